//! Grants are redeemed while the service is killed: nothing that was answered is lost, nothing is redeemed twice, and a
//! repeat gets the first answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bestow::random::Random;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Home, Listeners, Service, TOKEN, kill_at_random, set_up, silent_sandbox, verify};

const CUSTOMERS: u64 = 3_000;
const CLIENTS: u64 = 8;
const REDEMPTIONS: &str = "/v1/tenants/acme/redemptions";
/// Before asking a service again that was not there.
const PAUSE: Duration = Duration::from_millis(5);
/// After it nobody is there: a port that was the service's may be anybody's until the service has its next.
const PATIENCE: Duration = Duration::from_secs(10);
/// Times that one request is refused, at most. Ours never refuses one; whoever has got its port meanwhile does.
const REFUSALS_MAX: u32 = 4_000;

/// An answer's bytes, by customer.
type Answers = BTreeMap<String, Vec<u8>>;

/// One request; `None` where the service was gone before it answered.
async fn ask(http: &reqwest::Client, address: SocketAddr, customer: u64) -> Option<(u16, Vec<u8>)> {
    let body = json!({"customer_id": format!("K-{customer}"), "promo_code": "FS20"});
    let asked = http
        .post(format!("http://{address}{REDEMPTIONS}"))
        .bearer_auth(TOKEN)
        .header("Idempotency-Key", format!("key-{customer}"))
        .header("Content-Type", "application/json")
        .timeout(PATIENCE)
        .body(body.to_string());
    let answer = asked.send().await.ok()?;
    let status = answer.status().as_u16();
    // It is stopping or was just started: nothing is decided.
    if status == 503 {
        return None;
    }
    Some((status, answer.bytes().await.ok()?.to_vec()))
}

/// The same until it is done.
async fn redeem(
    http: &reqwest::Client,
    addresses: &watch::Receiver<SocketAddr>,
    customer: u64,
) -> Vec<u8> {
    let mut refusals = 0;
    loop {
        let address = *addresses.borrow();
        match ask(http, address, customer).await {
            Some((201, body)) => return body,
            Some((status, body)) => {
                refusals += 1;
                let body = String::from_utf8_lossy(&body);
                assert!(refusals < REFUSALS_MAX, "{customer}: {status}, {body}");
            }
            None => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Redeems for its share of the customers, each until there is an answer, and each answered one a second time.
async fn client(number: u64, addresses: watch::Receiver<SocketAddr>) -> Answers {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let http = http.build().expect("a client");
    let mut answers = Answers::new();
    for customer in (1..=CUSTOMERS).filter(|customer| customer % CLIENTS == number) {
        for _ in 0..2 {
            let answer = redeem(&http, &addresses, customer).await;
            let key = format!("K-{customer}");
            let first = answers.entry(key).or_insert_with(|| answer.clone());
            assert_eq!(*first, answer, "a repeat was answered otherwise");
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn redemptions_survive_kills_at_random_moments() {
    let random = Random::seeded(220);
    let home = Home::new();
    let sandbox = silent_sandbox(7).await;
    let service = Service::start(&home);
    set_up(&service, &sandbox).await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let spec = json!({
        "tenant": "acme", "kind": "scheduled", "duration": 7, "lead_time": 0, "control_share": 0.0,
        "audience": {"count": CUSTOMERS, "prefix": "K-"},
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let campaign = sandbox.add_campaign(spec).expect("a campaign");
    sandbox.process(campaign).expect("it runs");
    let told = json!({"ChannelID": 504});
    listeners.tell(&service, 13, campaign, &told).await;
    let service = kill_at_random(service, &home, &random, 0, async |service| {
        service.campaign(campaign).await["counts"]["granted"] == CUSTOMERS
    })
    .await;
    let (address, addresses) = watch::channel(service.caller.address());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(number, addresses.clone())))
        .collect();
    let service = kill_at_random(service, &home, &random, 20, async |service| {
        address.send_replace(service.caller.address());
        clients.iter().all(JoinHandle::is_finished)
    })
    .await;
    let mut answers = Answers::new();
    for client in clients {
        answers.extend(client.await.expect("a client"));
    }
    let kept = service.rows(REDEMPTIONS).await;
    let kept: BTreeMap<_, _> = kept.iter().map(|one| (customer_of(one), one)).collect();
    assert_eq!(kept.len() as u64, CUSTOMERS, "each once");
    for (customer, body) in &answers {
        let told: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!(Some(&&told), kept.get(customer));
    }
    assert_eq!(answers.len() as u64, CUSTOMERS);
    assert_eq!(service.rows(REDEMPTIONS).await.len() as u64, CUSTOMERS);
    verify(service, &home);
    sandbox.stop().await;
}

fn customer_of(redemption: &Value) -> String {
    let id = redemption["customer_id"].as_str();
    id.expect("a customer").to_owned()
}
