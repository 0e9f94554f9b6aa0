//! What the client sends, and what it makes of good answers.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::date;
use optimove::client::PagedList;
use optimove::page::Paging;
use optimove::rate::{BudgetConfig, CallBudget, Priority};
use optimove::read::{Days, WireTime};
use optimove::secret::SecretUrl;
use optimove::wire::{
    CustomerDecision, Promotion, PromotionStatusReport, RegisterEventListener, TriggeredApproval,
    UnregisterEventListener,
};
use optimove::{Client, Error};

use crate::golden::golden;
use crate::server::{Reply, Server, key, ok};

pub(crate) fn text(name: &str) -> String {
    String::from_utf8(golden(name)).unwrap()
}

pub(crate) fn listener() -> RegisterEventListener {
    RegisterEventListener {
        event_type: 13,
        listener_url: SecretUrl::new("https://promo.example.test/optimove/listener/canary-secret"),
        channel_id: Some(504),
    }
}

#[tokio::test]
async fn every_function_has_its_documented_path() {
    let server = Server::start(|request| {
        ok(
            match request.target.split(['/', '?']).nth(3).unwrap_or_default() {
                "GetCampaignDetails" => "{\"Duration\":7}",
                "GetLastDataUpdate" => "{\"Date\":\"2025-03-03\"}",
                function if function.starts_with("Get") => "[]",
                _ => "",
            },
        )
    })
    .await;
    let client = server.client();
    let day = date(2025, 3, 4);
    let promotion = Promotion {
        code: "FS20".into(),
        name: "20 free spins".into(),
    };
    let decision = CustomerDecision {
        customer_id: "P-20031".into(),
        approved: true,
    };
    let report = PromotionStatusReport {
        time_stamp: None,
        campaign_id: "5102".into(),
        decisions: vec![decision],
    };

    client.register_event_listener(&listener()).await.unwrap();
    let gone = UnregisterEventListener {
        event_type: 13,
        channel_id: None,
    };
    client.unregister_event_listener(gone).await.unwrap();
    client.add_promotions(&[promotion]).await.unwrap();
    client.delete_promotions(&["FS20"]).await.unwrap();
    client
        .update_customer_promotion_status(&report)
        .await
        .unwrap();
    client
        .set_gateway(SecretUrl::new("https://promo.example.test/g"))
        .await
        .unwrap();
    client
        .register_triggered_webhook(SecretUrl::new("https://promo.example.test/w"))
        .await
        .unwrap();
    let decision = TriggeredApproval {
        user_id: "P-20031".into(),
        campaign_id: "90121".into(),
        allowed: true,
    };
    client.approve_triggered(&decision).await.unwrap();
    assert_eq!(client.get_registered_event_listeners().await.unwrap(), []);
    assert_eq!(client.get_promotions().await.unwrap(), []);
    assert_eq!(
        client.get_campaign_details("5101").await.unwrap().duration,
        Days::Whole(7)
    );
    assert_eq!(client.get_executed_campaign_details(day).await.unwrap(), []);
    assert!(
        client
            .get_executed_campaigns_by_channel(504, day)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(client.get_execution_channels().await.unwrap(), []);
    assert_eq!(
        client.get_promo_codes_by_campaign("rt 812&").await.unwrap(),
        []
    );
    let update = client.get_last_data_update().await.unwrap().date;
    assert_eq!(update, WireTime::Local(date(2025, 3, 3).at(0, 0, 0, 0)));
    assert!(
        client
            .execution_page("5101", Some(504), 10_000, 20_000)
            .await
            .unwrap()
            .is_empty()
    );
    let campaign_id = "5102".to_owned();
    client
        .page(
            &PagedList::Processed {
                campaign_id: campaign_id.clone(),
            },
            5,
            0,
        )
        .await
        .unwrap();
    client
        .page(&PagedList::Cancelled { campaign_id }, 5, 0)
        .await
        .unwrap();
    client
        .page(&PagedList::EndedByDate { date: day }, 5, 0)
        .await
        .unwrap();

    let lines: Vec<String> = server
        .seen()
        .iter()
        .map(|request| format!("{} {} {}", request.method, request.target, request.body))
        .collect();
    let url = "https://promo.example.test/optimove/listener/canary-secret";
    let first = format!(
        "POST /current/general/RegisterEventListener \
         {{\"EventTypeID\":13,\"ListenerURL\":\"{url}\",\"ChannelID\":504}}"
    );
    let expected = [
        first.as_str(),
        "POST /current/general/UnregisterEventListener {\"EventTypeID\":13}",
        "POST /current/integrations/AddPromotions \
         [{\"PromoCode\":\"FS20\",\"PromotionName\":\"20 free spins\"}]",
        "POST /current/integrations/DeletePromotions [{\"PromoCode\":\"FS20\"}]",
        "POST /current/integrations/UpdateCustomerPromotionStatus {\"CampaignID\":5102,\
         \"PromosUpdated\":[{\"CustomerID\":\"P-20031\",\"Status\":true}]}",
        "PUT /triggered_conditional_execution_gateway {\"url\":\"https://promo.example.test/g\"}",
        "POST /conditional-execution/v2/triggered/webhooks/ {\"url\":\"https://promo.example.test/w\"}",
        "POST /conditional-execution/v2/triggered/approval \
         {\"user_id\":\"P-20031\",\"campaign_id\":90121,\"allowed\":true}",
        "GET /current/general/GetRegisteredEventListeners ",
        "GET /current/integrations/GetPromotions ",
        "GET /current/actions/GetCampaignDetails?CampaignID=5101 ",
        "GET /current/actions/GetExecutedCampaignDetails?Date=2025-03-04 ",
        "GET /current/actions/GetExecutedCampaignsByChannel?ChannelID=504&Date=2025-03-04 ",
        "GET /current/actions/GetExecutionChannels ",
        "GET /current/actions/GetPromoCodesByCampaign?CampaignID=rt+812%26 ",
        "GET /current/general/GetLastDataUpdate ",
        "GET /current/customers/GetCustomerExecutionDetailsByCampaign\
         ?CampaignID=5101&ChannelID=504&$top=10000&$skip=20000 ",
        "GET /current/customers/GetProcessedCampaignCustomers?CampaignID=5102&$top=5&$skip=0 ",
        "GET /current/customers/GetCanceledCampaignCustomers?CampaignID=5102&$top=5&$skip=0 ",
        "GET /current/customers/GetCustomersActionEndedByDate?Date=2025-03-04&$top=5&$skip=0 ",
    ];
    assert_eq!(lines, expected);
    for request in server.seen() {
        assert_eq!(request.header("x-api-key"), Some("canary-key"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("cache-control"), Some("no-store"));
        let json = (request.method != "GET").then_some("application/json");
        assert_eq!(request.header("content-type"), json);
    }
}

#[tokio::test]
async fn a_list_of_nobody_is_not_a_list_that_is_not_there() {
    let list = PagedList::Cancelled {
        campaign_id: "5101".into(),
    };
    for (status, body) in [(200, "[]"), (200, ""), (204, "")] {
        let server = Server::start(move |_| Reply::Full(status, body.into())).await;
        let page = server.client().page(&list, 5, 0).await.unwrap();
        assert!(page.is_empty(), "{status} {body:?}");
    }
    for body in ["", "Not Found", "\"Not Found\"", "<html></html>"] {
        let server = Server::start(move |_| Reply::Full(404, body.into())).await;
        let first = server.client().page(&list, 5, 0).await;
        assert!(
            matches!(first, Err(Error::NotFound { .. })),
            "{body:?}: {first:?}"
        );
    }
    // Behind its rows a 404 is the end, as for any other list.
    let server = Server::start(|_| Reply::Full(404, "Not Found".into())).await;
    assert!(server.client().page(&list, 5, 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn prefix_and_base_url_can_differ() {
    let server = Server::start(|_| ok("[]")).await;
    for (base, prefix) in [("", "/"), ("/", ""), ("/proxy/", "v3.0")] {
        let client = Client::builder(&format!("{}{base}", server.url()), key());
        client
            .path_prefix(prefix)
            .build()
            .unwrap()
            .get_promotions()
            .await
            .unwrap();
    }
    let expected = [
        "/integrations/GetPromotions",
        "/integrations/GetPromotions",
        "/proxy/v3.0/integrations/GetPromotions",
    ];
    assert_eq!(server.targets(), expected);
}

#[tokio::test]
async fn too_many_entries_are_not_sent() {
    let server = Server::start(|_| ok("")).await;
    let client = server.client();
    let promotion = Promotion {
        code: "A".into(),
        name: "A".into(),
    };
    let error = client
        .add_promotions(&vec![promotion.clone(); 101])
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooMany {
                entries: 101,
                entries_max: 100
            }
        ),
        "{error}"
    );
    assert!(client.delete_promotions(&vec!["A"; 101]).await.is_err());
    let decision = CustomerDecision {
        customer_id: "A".into(),
        approved: true,
    };
    let mut report = PromotionStatusReport {
        time_stamp: None,
        campaign_id: "1".into(),
        decisions: vec![decision; 10_001],
    };
    assert!(
        client
            .update_customer_promotion_status(&report)
            .await
            .is_err()
    );
    client.add_promotions(&[]).await.unwrap();
    assert!(server.seen().is_empty());

    client.add_promotions(&vec![promotion; 100]).await.unwrap();
    report.decisions.pop();
    client
        .update_customer_promotion_status(&report)
        .await
        .unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn clients_share_a_budget_and_differ_in_priority() {
    let server = Server::start(|_| ok("[]")).await;
    let budget = Arc::new(CallBudget::new(BudgetConfig {
        calls_max: 2,
        ..BudgetConfig::default()
    }));
    let client = server
        .builder(key())
        .budget(Arc::clone(&budget))
        .build()
        .unwrap();
    let urgent = client.with_priority(Priority::Clearance);
    client.get_promotions().await.unwrap();
    urgent.get_promotions().await.unwrap();
    assert!(Arc::ptr_eq(client.budget(), &budget) && Arc::ptr_eq(urgent.budget(), &budget));
    // Both places are taken, so a third call does not start.
    let third = tokio::time::timeout(Duration::from_millis(20), client.get_promotions());
    assert!(third.await.is_err());
    assert_eq!(server.seen().len(), 2);
}

/// Calls are made from tasks that move between threads.
#[tokio::test]
async fn calls_can_be_spawned() {
    let server = Server::start(|request| {
        ok(if request.target.contains("Details?") {
            "{}"
        } else {
            "[]"
        })
    })
    .await;
    let client = server.client();
    let task = tokio::spawn(async move {
        client.get_campaign_details("5101").await?;
        client.register_event_listener(&listener()).await?;
        client.delete_promotions(&["FS20"]).await?;
        let mut pages = client.execution_pages("5101", None, Paging::new(10));
        pages.next().await
    });
    assert!(task.await.unwrap().unwrap().is_none());
}
