//! Campaigns are cancelled while the service is killed: what was acknowledged stops its campaign, once and for good.

use std::collections::{BTreeMap, BTreeSet};

use bestow::random::Random;
use http::Method;
use serde_json::{Value, json};

use super::{
    Home, Listeners, Service, assert_right, kill_at_random, oracle, set_up, silent_sandbox, verify,
};

const CAMPAIGNS: u64 = 6;

async fn is_eligible(service: &Service, customer: &str) -> Value {
    let question = json!({"customer_id": customer, "promo_code": "FS20"});
    let path = "/v1/tenants/acme/eligibility";
    service.ok(Method::POST, path, &question).await["eligible"].clone()
}

/// How often each thing was done to each campaign.
async fn record(service: &Service) -> BTreeMap<(String, String), u32> {
    let mut done = BTreeMap::new();
    for row in service.rows("/v1/tenants/acme/audit").await {
        let text = |field: &str| row[field].as_str().expect("a text").to_owned();
        *done.entry((text("object"), text("action"))).or_default() += 1;
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_cancel_survives_kills_at_random_moments() {
    let random = Random::seeded(4_711);
    let home = Home::new();
    let sandbox = silent_sandbox(5).await;
    let mut service = Service::start(&home);
    set_up(&service, &sandbox).await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let campaigns: Vec<u64> = (0..CAMPAIGNS)
        .map(|place| {
            let spec = json!({
                "tenant": "acme", "kind": "scheduled", "duration": 7, "lead_time": 0,
                "audience": {"count": 900, "prefix": format!("K{place}-")},
                "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}, {"id": 505}]}],
            });
            let campaign = sandbox.add_campaign(spec).expect("a campaign");
            sandbox.process(campaign).expect("it runs");
            campaign
        })
        .collect();
    // Half of them are granted before they are cancelled, the others are cancelled while they are imported.
    let (granted, cut) = campaigns.split_at(campaigns.len() / 2);
    for campaign in granted {
        listeners
            .tell(&service, 13, *campaign, &json!({"ChannelID": 504}))
            .await;
    }
    service = kill_at_random(service, &home, &random, 2, async |service| {
        let mut done = true;
        for campaign in granted {
            done &= service.campaign(*campaign).await["status"] == "running";
        }
        done
    })
    .await;
    let expected: Vec<BTreeSet<String>> =
        granted.iter().map(|one| oracle(&sandbox, *one)).collect();
    assert_eq!(is_eligible(&service, "K0-1").await, true);
    for campaign in cut {
        listeners
            .tell(&service, 13, *campaign, &json!({"ChannelID": 504}))
            .await;
    }
    for campaign in &campaigns {
        sandbox.cancel(*campaign).expect("it is cancelled");
        listeners.tell(&service, 4, *campaign, &json!({})).await;
        service = kill_at_random(service, &home, &random, 1, async |_| true).await;
    }
    let mut stopped = BTreeSet::new();
    service = kill_at_random(service, &home, &random, 12, async |service| {
        let mut settled = true;
        for campaign in &campaigns {
            let seen = service.campaign(*campaign).await;
            let is_stopped = seen["status"] == "suspended" || seen["status"] == "revoked";
            assert!(
                is_stopped || !stopped.contains(campaign),
                "it goes on again: {seen}"
            );
            if is_stopped {
                stopped.insert(*campaign);
            }
            let imports = seen["imports"].as_array().expect("a list");
            settled &= seen["cancellation"]["settled_at"].is_string();
            settled &= imports.iter().all(|import| import["state"] == "done");
        }
        settled
    })
    .await;
    let record = record(&service).await;
    for (place, campaign) in campaigns.iter().enumerate() {
        let seen = service.campaign(*campaign).await;
        assert_eq!(
            (&seen["status"], &seen["cancellation"]["state"]),
            (&json!("revoked"), &json!("confirmed"))
        );
        for action in ["campaign.cancel_heard", "campaign.revoked"] {
            let done = record.get(&(format!("campaign/{campaign}"), action.to_owned()));
            assert_eq!(done, Some(&1), "{action} of {campaign}");
        }
        assert_eq!(is_eligible(&service, &format!("K{place}-1")).await, false);
    }
    for (campaign, expected) in granted.iter().zip(&expected) {
        assert_right(&service, *campaign, expected).await;
    }
    verify(service, &home);
    sandbox.stop().await;
}
