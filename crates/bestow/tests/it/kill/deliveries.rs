//! The service is killed while it delivers: nothing is lost, and nobody guesses.

use std::collections::BTreeSet;

use bestow::random::Random;
use http::Method;
use serde_json::{Value, json};

use super::{Home, Listeners, Service, kill_at_random, ledger, set_up, silent_sandbox, verify};
use crate::deliveries::receiver::{Books, Receiver, Troubles};

const CUSTOMERS: u64 = 3_000;

/// All deliveries in a state, with how many events they have in all.
async fn events(service: &Service, state: &str) -> u64 {
    let (mut events, mut cursor) = (0, String::new());
    loop {
        let path = format!("/v1/tenants/acme/deliveries?limit=1000&state={state}{cursor}");
        let page = service.get(&path).await;
        let rows = page["data"].as_array().expect("a list").iter();
        events += rows
            .map(|row| row["events"].as_u64().expect("a number"))
            .sum::<u64>();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
}

async fn destination(service: &Service, id: &str, receiver: &Receiver, keys: &str) {
    let body = json!({
        "id": id, "kind": "http", "url": receiver.url(), "keys": keys, "batch_events_max": 50, "concurrency": 4,
    });
    let path = "/v1/tenants/acme/destinations";
    service.ok(Method::POST, path, &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_survive_kills_at_random_moments() {
    let random = Random::seeded(230);
    let home = Home::new();
    let sandbox = silent_sandbox(9).await;
    let troubles = Troubles {
        slow: 50,
        ..Troubles::default()
    };
    let keyed = Receiver::start(Books::Keyed, troubles).await;
    let plain = Receiver::start(Books::Plain, troubles).await;
    let mut service = Service::start(&home);
    set_up(&service, &sandbox).await;
    destination(&service, "keyed", &keyed, "honoured").await;
    destination(&service, "plain", &plain, "ignored").await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let spec = json!({
        "tenant": "acme", "kind": "scheduled", "duration": 7, "lead_time": 2,
        "audience": {"count": CUSTOMERS, "prefix": "K-"},
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let campaign = sandbox.add_campaign(spec).expect("a campaign");
    sandbox.process(campaign).expect("it runs");
    listeners
        .tell(&service, 13, campaign, &json!({"ChannelID": 504}))
        .await;
    service = kill_at_random(service, &home, &random, 12, async |service| {
        let destinations = service.rows("/v1/tenants/acme/destinations").await;
        let is_idle = |one: &Value| one["waiting"] == 0 && one["events_behind"] == 0;
        service.campaign(campaign).await["status"] == "running"
            && keyed.seen().grants.len() as u64 == CUSTOMERS
            && destinations.iter().all(is_idle)
    })
    .await;
    assert_eq!(ledger(&service, campaign).await.len() as u64, CUSTOMERS);
    // With keys: every grant was told of, each once.
    assert!(keyed.seen().effects.values().all(|times| *times == 1));
    assert_eq!(keyed.seen().effects.len() as u64, CUSTOMERS);
    // Without: never twice, and what is not known to have arrived is known not to be known.
    let applied: BTreeSet<_> = plain.seen().effects.keys().cloned().collect();
    assert!(plain.seen().effects.values().all(|times| *times == 1));
    let (delivered, unknown) = (
        events(&service, "delivered").await - CUSTOMERS,
        events(&service, "unknown").await,
    );
    assert_eq!(delivered + unknown, CUSTOMERS);
    assert!((delivered..=CUSTOMERS).contains(&(applied.len() as u64)));
    verify(service, &home);
    sandbox.stop().await;
}
