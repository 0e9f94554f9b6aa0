//! The client of the crate `optimove` against the sandbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use optimove::client::{Auth, PagedList};
use optimove::page::Paging;
use optimove::rate::{BudgetConfig, CallBudget};
use optimove::wire::{
    CustomerDecision, Promotion, PromotionStatusReport, RegisterEventListener,
    UnregisterEventListener,
};
use optimove::{Client, Error, Secret, SecretUrl};
use serde_json::{Value, json};

use crate::world::{World, simple};

fn with_key() -> Auth {
    Auth::ApiKey(Secret::new("acme-admin-key"))
}

fn with_login() -> Auth {
    Auth::Login {
        user_name: "acme".into(),
        password: Secret::new("acme-password"),
    }
}

/// A client that may call often and does not wait long before it asks again.
fn client(world: &World, auth: Auth) -> Client {
    let often = BudgetConfig {
        calls_max: 100_000,
        window: Duration::from_millis(1),
    };
    Client::builder(&world.sandbox.url(), auth)
        .budget(Arc::new(CallBudget::new(often)))
        .empty_page_wait(Duration::from_millis(1))
        .build()
        .unwrap()
}

fn promotion(code: &str, name: &str) -> Promotion {
    Promotion {
        code: code.into(),
        name: name.into(),
    }
}

/// Customers and codes of every row, read in pages of `top`.
async fn read_all(client: &Client, top: u32) -> Vec<(String, String)> {
    let mut pages = client.execution_pages("5101", Some(504), Paging::new(top));
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        for row in page.rows().unwrap() {
            let codes: Vec<&str> = row.promo_code.texts().collect();
            rows.push((row.customer_id.unwrap().into_owned(), codes.join("|")));
        }
    }
    rows
}

#[tokio::test]
async fn both_ways_in_keep_the_catalogue_and_the_listeners() {
    for auth in [with_key(), with_login()] {
        let world = World::start().await;
        let client = client(&world, auth);
        let added = [
            promotion("FS20", "20 free spins"),
            promotion("CB10", "10% cashback"),
        ];
        client.add_promotions(&added).await.unwrap();
        client
            .add_promotions(&[promotion("fs20", "Twenty spins")])
            .await
            .unwrap();
        client
            .delete_promotions(&["cb10", "never-existed"])
            .await
            .unwrap();
        let catalogue = client.get_promotions().await.unwrap();
        assert_eq!(catalogue, [promotion("FS20", "Twenty spins")]);
        let url = SecretUrl::new("https://promo.example.test/optimove/secret-13?brand=a&b=c");
        let listener = RegisterEventListener {
            event_type: 13,
            listener_url: url,
            channel_id: Some(504),
        };
        client.register_event_listener(&listener).await.unwrap();
        let registered = client.get_registered_event_listeners().await.unwrap();
        assert_eq!(registered.len(), 1);
        assert_eq!(registered[0].listener_url, listener.listener_url);
        assert_eq!(
            (registered[0].event_type, registered[0].channel_id),
            (13, Some(504))
        );
        let gone = UnregisterEventListener {
            event_type: 13,
            channel_id: Some(504),
        };
        client.unregister_event_listener(gone).await.unwrap();
        assert!(
            client
                .get_registered_event_listeners()
                .await
                .unwrap()
                .is_empty()
        );
        client.get_last_data_update().await.unwrap();
    }
}

#[tokio::test]
async fn a_campaign_is_read_whole_at_any_page_size() {
    let world = World::start().await;
    world.executed(5101, 1_234);
    let client = client(&world, with_key());
    let details = client.get_campaign_details("5101").await.unwrap();
    let channels: Vec<_> = details.channels.iter().map(|channel| channel.id).collect();
    assert_eq!(channels, [Some(504)]);
    let whole = read_all(&client, 10_000).await;
    assert_eq!(whole.len(), 1_234);
    for top in [1, 7, 100] {
        assert_eq!(read_all(&client, top).await, whole, "in pages of {top}");
    }
    let expected: BTreeSet<(String, String)> = world
        .sandbox
        .expected(5101)
        .unwrap()
        .map(|one| (one.customer_id, one.promo_code))
        .collect();
    assert_eq!(whole.into_iter().collect::<BTreeSet<_>>(), expected);
    let unknown = client.get_campaign_details("1").await;
    assert!(
        matches!(unknown, Err(Error::UnknownCampaign)),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn every_spelling_of_a_page_reads_the_same() {
    let world = World::start().await;
    let mut spec = simple(5101, 60);
    spec["actions"][0]["promo_codes"] = json!(["FS20", "CB10"]);
    world.executed_spec(spec);
    let client = client(&world, with_key());
    let pairs = |rows: Vec<(String, String)>| -> BTreeSet<(String, String)> {
        let split = rows.iter().flat_map(|(customer, codes)| {
            codes
                .split(['|', ','])
                .map(|code| (customer.clone(), code.trim().to_owned()))
        });
        split.collect()
    };
    let wanted = pairs(read_all(&client, 50).await);
    assert_eq!(wanted.len(), 120);
    for switches in [
        json!({"promo-codes": "csv-spaced", "ids": "string"}),
        json!({"promo-codes": "array", "ids": "number", "key-casing": "camel"}),
        json!({"promo-codes": "json-array-string", "key-casing": "lower"}),
        json!({"promo-codes": "row-per-code", "optional-fields": "absent"}),
        json!({"empty-result": "no-content", "schedule-field": "scheduled-time"}),
        json!({"empty-result": "not-found", "time-format": "iso-offset"}),
        json!({"empty-result": "empty-body", "schedule-field": "both"}),
        json!({"transfer": "chunked", "optional-fields": "null-value"}),
    ] {
        let (_, all) = world.control("GET", "/switches", Value::Null).await;
        world.set(&switches);
        assert_eq!(pairs(read_all(&client, 50).await), wanted, "{switches}");
        world.set(&all);
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed() {
    let world = World::start().await;
    let client = client(&world, with_login());
    client.get_last_data_update().await.unwrap();
    for form in ["plain", "plain-lower", "json-string"] {
        world.set(&json!({"token-expired-body": form}));
        world
            .control("POST", "/clock/advance", json!({"seconds": 1_201}))
            .await;
        client.get_last_data_update().await.unwrap();
    }
    let (_, usage) = world
        .control("GET", "/requests?tenant=acme", Value::Null)
        .await;
    assert_eq!(
        usage["by_function"]["GetLastDataUpdate"], 4,
        "expired ones have no tenant"
    );
}

#[tokio::test]
async fn the_client_stays_below_the_rate_limit() {
    let world = World::with_seed(1).await;
    world.set(&json!({"rate-limit-requests": 5, "rate-limit-window-ms": 200}));
    let budget = BudgetConfig {
        calls_max: 5,
        window: Duration::from_millis(200),
    };
    let client = Client::builder(&world.sandbox.url(), with_key())
        .budget(Arc::new(CallBudget::new(budget)))
        .build()
        .unwrap();
    for _ in 0..17 {
        client.get_last_data_update().await.unwrap();
    }
    let (_, usage) = world
        .control("GET", "/requests?tenant=acme", Value::Null)
        .await;
    assert_eq!(usage["by_status"], json!({"200": 17}));
}

/// Customers of a list, read in pages of 7.
async fn customers(client: &Client, list: PagedList) -> BTreeSet<String> {
    let mut pages = client.pages(list, Paging::new(7));
    let mut ids = BTreeSet::new();
    while let Some(page) = pages.next().await.unwrap() {
        for row in page.rows().unwrap() {
            ids.insert(row.customer_id.unwrap().into_owned());
        }
    }
    ids
}

#[tokio::test]
async fn a_conditional_campaign_is_approved_executed_and_taken_back() {
    let world = World::start().await;
    let mut spec = simple(5102, 40);
    spec["kind"] = json!("conditional");
    world.sandbox.add_campaign(spec).unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    let client = client(&world, with_key());
    let campaign_id = || "5102".to_owned();
    let processed = PagedList::Processed {
        campaign_id: campaign_id(),
    };
    let waiting = customers(&client, processed).await;
    assert_eq!(waiting.len(), 40);
    let decisions = waiting.iter().map(|id| CustomerDecision {
        customer_id: id.clone(),
        approved: id.ends_with('1'),
    });
    let report = PromotionStatusReport {
        time_stamp: Some("2025-03-04 09:20:00".into()),
        campaign_id: campaign_id(),
        decisions: decisions.collect(),
    };
    let reported = client.update_customer_promotion_status(&report).await;
    reported.unwrap();
    world.advance(600);
    let approved: BTreeSet<String> = ["P-1", "P-11", "P-21", "P-31"].map(str::to_owned).into();
    let execution = PagedList::Execution {
        campaign_id: campaign_id(),
        channel_id: None,
    };
    assert_eq!(customers(&client, execution).await, approved);
    world.sandbox.cancel(5102).unwrap();
    let cancelled = PagedList::Cancelled {
        campaign_id: campaign_id(),
    };
    assert_eq!(customers(&client, cancelled).await, approved);
    let gateway = SecretUrl::new("https://promo.example.test/optimove/gateway/secret");
    client.set_gateway(gateway).await.unwrap();
    let shown = world.get("/triggered_conditional_execution_gateway").await;
    assert_eq!(
        shown.json()["url"],
        "https://promo.example.test/optimove/gateway/secret"
    );
}
