//! Unique codes are made and given while the service is killed: none to two, none lost, and as many as were asked for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bestow::random::Random;
use serde_json::{Value, json};

use super::{
    Home, Listeners, Service, TOKEN, assert_right, kill_at_random, oracle, put, set_up,
    silent_sandbox, verify,
};

const CUSTOMERS: u64 = 1_500;
/// More than one transaction makes, and fewer than are wanted: the last of the second campaign wait for the next load.
const FIRST_LOAD: u64 = 2_500;
/// After it nobody answers: the port may be somebody else's by now.
const PATIENCE: Duration = Duration::from_mins(1);
/// Requests for codes that the service is killed over.
const KILLED_MAX: u32 = 5;
const CODES: &str = "/v1/tenants/acme/promotions/GIFT/codes";

/// One request for codes; `None` where the service was gone before it answered.
async fn ask(address: SocketAddr, count: u64, key: &str) -> Option<Value> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let http = http.build().expect("a client");
    let asked = http
        .post(format!("http://{address}{CODES}"))
        .bearer_auth(TOKEN)
        .header("Idempotency-Key", key)
        .header("Content-Type", "application/json")
        .timeout(PATIENCE)
        .body(json!({ "generate": count }).to_string());
    let answer = asked.send().await.ok()?;
    assert_eq!(answer.status().as_u16(), 200);
    let body = answer.bytes().await.ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}

/// Asks for codes until somebody answers: the service may be killed over it, and is started anew. Where it is too slow to
/// answer before it is killed, it is spared in the end.
async fn generate(
    mut service: Service,
    home: &Home,
    count: u64,
    key: &str,
    random: &Random,
) -> Service {
    for place in 1_u32.. {
        let (address, name) = (service.caller.address(), key.to_owned());
        let asked = tokio::spawn(async move { ask(address, count, &name).await });
        let kills = u32::from(place <= KILLED_MAX);
        service = kill_at_random(service, home, random, kills, async |_| {
            kills > 0 || asked.is_finished()
        })
        .await;
        if let Some(answer) = asked.await.expect("a caller") {
            assert_eq!(answer["loaded"], count);
            return service;
        }
    }
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_add_up_after_kills_at_random_moments() {
    let random = Random::seeded(180);
    let home = Home::new();
    let sandbox = silent_sandbox(6).await;
    let service = Service::start(&home);
    set_up(&service, &sandbox).await;
    put(&service, "GIFT", "unique").await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let service = generate(service, &home, FIRST_LOAD, "first", &random).await;
    assert_eq!(service.get(CODES).await["loaded"], FIRST_LOAD);
    let mut campaigns = Vec::new();
    for place in 0..2 {
        let spec = json!({
            "tenant": "acme", "kind": "scheduled", "duration": 7, "lead_time": 0,
            "audience": {"count": CUSTOMERS, "prefix": format!("U{place}-")},
            "actions": [{"id": 24, "promo_codes": ["GIFT"], "channels": [{"id": 504}, {"id": 505}]}],
        });
        let campaign = sandbox.add_campaign(spec).expect("a campaign");
        sandbox.process(campaign).expect("it runs");
        listeners
            .tell(&service, 13, campaign, &json!({"ChannelID": 504}))
            .await;
        campaigns.push(campaign);
    }
    let service = kill_at_random(service, &home, &random, 8, async |service| {
        let pool = service.get(CODES).await;
        let number = |name: &str| pool[name].as_u64().expect("a number");
        assert_eq!(
            number("loaded"),
            number("assigned") + number("free") + number("void")
        );
        number("free") == 0
    })
    .await;
    // Those who wait are given theirs by the next load.
    let missing = 2 * CUSTOMERS - FIRST_LOAD;
    let service = generate(service, &home, missing + 10, "second", &random).await;
    let service = kill_at_random(service, &home, &random, 6, async |service| {
        service.get(CODES).await["free"] == 10
    })
    .await;
    let expected = json!({
        "loaded": 2 * CUSTOMERS + 10, "assigned": 2 * CUSTOMERS, "free": 10, "void": 0, "fallbacks": 0,
    });
    assert_eq!(service.get(CODES).await, expected);
    let mut owners = BTreeMap::new();
    for campaign in campaigns {
        assert_right(&service, campaign, &oracle(&sandbox, campaign)).await;
        let path = format!("/v1/tenants/acme/campaigns/{campaign}/codes");
        let read = service.caller.lines(&path, |line| {
            let row: Value = serde_json::from_slice(line)?;
            let text = |name: &str| row[name].as_str().expect("a text").to_owned();
            let other = owners.insert(text("promocode"), text("user_campaignid"));
            assert_eq!(other, None, "a code was given twice: {row}");
            Ok(())
        });
        read.await.expect("the export is whole");
    }
    assert_eq!(owners.len() as u64, 2 * CUSTOMERS);
    verify(service, &home);
    sandbox.stop().await;
}
