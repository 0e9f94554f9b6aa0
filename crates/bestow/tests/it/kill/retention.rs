//! Campaigns leave the ledger while the service is killed: each is whole, here or in its archive, and leaves once.

use std::collections::BTreeSet;

use bestow::clock::instant;
use bestow::random::Random;
use http::Method;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::process;

use super::{
    Home, Listeners, Service, kill_at_random, oracle, set_up_with, silent_sandbox, verify,
};

const CAMPAIGNS: u64 = 3;
const CUSTOMERS: u64 = 900;

async fn archives(service: &Service) -> Vec<Value> {
    service.rows("/v1/tenants/acme/archives").await
}

#[tokio::test(flavor = "multi_thread")]
async fn campaigns_leave_once_whenever_it_is_killed() {
    let random = Random::seeded(815);
    let home = Home::new();
    let sandbox = silent_sandbox(7).await;
    let service = Service::start(&home);
    let over = json!({"retention_days": 1});
    set_up_with(&service, &sandbox, &over).await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let month_ago = instant(bestow::clock::Clock::system().now_ms())
        .to_zoned(TimeZone::UTC)
        .saturating_sub(30.days());
    let scheduled_at = month_ago.strftime("%Y-%m-%dT%H:%M").to_string();
    let campaigns: Vec<u64> = (0..CAMPAIGNS)
        .map(|place| {
            let spec = json!({
                "tenant": "acme", "kind": "scheduled", "duration": 1, "lead_time": 0,
                "scheduled_at": scheduled_at,
                "audience": {"count": CUSTOMERS, "prefix": format!("K{place}-")},
                "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}, {"id": 505}]}],
            });
            let campaign = sandbox.add_campaign(spec).expect("a campaign");
            sandbox.process(campaign).expect("it runs");
            campaign
        })
        .collect();
    for campaign in &campaigns {
        let channel = json!({"ChannelID": 504});
        listeners.tell(&service, 13, *campaign, &channel).await;
    }
    let service = kill_at_random(service, &home, &random, 14, async |service| {
        let archives = archives(service).await;
        let left = archives.iter().filter(|one| one["state"] == "dropped");
        left.count() as u64 == CAMPAIGNS
    })
    .await;
    let archives = archives(&service).await;
    for (place, campaign) in campaigns.iter().enumerate() {
        let expected = oracle(&sandbox, *campaign);
        let id = json!(campaign.to_string());
        let of_it = |one: &&Value| one["campaign_id"] == id;
        let its: Vec<_> = archives.iter().filter(of_it).collect();
        assert_eq!(its.len(), 1, "{archives:?}");
        let counts = (&its[0]["grants"], &its[0]["dropped"]);
        let all = json!(expected.len());
        assert_eq!(counts, (&all, &all));
        for n in [1, 2, CUSTOMERS] {
            let customer = format!("K{place}-{n}");
            let path = format!("/v1/tenants/acme/customers/{customer}/archived-grants");
            let found: BTreeSet<String> = service
                .rows(&path)
                .await
                .iter()
                .map(|row| {
                    let fields = ["customer_id", "promo_code", "starts_at", "ends_at"];
                    fields
                        .map(|name| row[name].as_str().unwrap_or("-").to_owned())
                        .join(" ")
                })
                .collect();
            let prefix = format!("{customer} ");
            let should = expected.iter().filter(|one| one.starts_with(&prefix));
            assert_eq!(found, should.cloned().collect(), "{customer}");
            let path = format!("/v1/tenants/acme/customers/{customer}/grants");
            assert_eq!(service.rows(&path).await, [Value::Null; 0]);
        }
        let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants");
        let (status, body) = service.call(Method::GET, &path, &Value::Null).await;
        assert_eq!((status, &body["code"]), (410, &json!("archived")));
    }
    verify(service, &home);
    let list = process::says(&home, &["archives", "list", "acme"]);
    assert_eq!(list.matches("dropped").count() as u64, CAMPAIGNS, "{list}");
    let found = process::says(&home, &["archives", "find", "acme", "K1-2"]);
    let found: Value = serde_json::from_str(&found).expect("one document");
    assert_eq!(found["campaign_id"], campaigns[1].to_string());
}
