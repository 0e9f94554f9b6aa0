//! `kill -9` of the real service at random moments: nothing acknowledged is lost, nothing is granted twice.

mod cancels;
mod clearance;
mod codes;
mod deliveries;
mod endings;
mod redemptions;
mod retention;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bestow::random::Random;
use http::Method;
use optimove_sandbox::{ClockMode, Config, Sandbox};
use serde_json::{Value, json};

use crate::home::Home;
use crate::process::{self, Process, TOKEN};
use crate::support::changed;

/// What the service is started with: small pages and small transactions, so that a kill meets every step.
const SETTINGS: [(&str, &str); 11] = [
    ("BESTOW_LOG", "error"),
    ("BESTOW_OPTIMOVE__PAGE_ROWS", "200"),
    ("BESTOW_OPTIMOVE__CALLS_MAX", "100000"),
    ("BESTOW_WORK__MERGE_GRANTS_MAX", "300"),
    ("BESTOW_WORK__EMPTY_ANSWER_WAIT_MS", "1"),
    ("BESTOW_WORK__RETRY_MS", "1"),
    ("BESTOW_WORK__POLL_MS", "5"),
    // For tenants that have any.
    ("BESTOW_WORK__RETENTION_SECONDS", "1"),
    ("BESTOW_DELIVERY__ALLOW_NETWORKS", "127.0.0.1"),
    ("BESTOW_DELIVERY__RETRY_MS", "1"),
    ("BESTOW_DELIVERY__REST_MS", "1"),
];

/// The service that is killed.
struct Service(Process);

impl Deref for Service {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl Service {
    fn start(home: &Home) -> Self {
        Self(Process::start(home, &SETTINGS))
    }

    /// What is known of a campaign: null until a worker has read its first notification.
    async fn campaign(&self, campaign: u64) -> Value {
        let path = format!("/v1/tenants/acme/campaigns/{campaign}");
        match self.call(Method::GET, &path, &Value::Null).await {
            (200, answer) => answer,
            (404, _) => Value::Null,
            (status, answer) => panic!("GET {path}: {status} {answer}"),
        }
    }

    /// SIGKILL: no handler, no flush, no goodbye.
    fn kill(self) {
        self.0.kill();
    }
}

/// A stand-in that sends no notification by itself.
async fn silent_sandbox(seed: u64) -> Sandbox {
    let config = Config {
        listen: "127.0.0.1:0".parse().expect("an address"),
        seed,
        clock: ClockMode::System,
        control_token: None,
    };
    let sandbox = Sandbox::start(config).await.expect("the sandbox starts");
    sandbox
        .set_switches(
            &json!({"rate-limit-requests": 0, "notify-drop": 100, "notify-retry-seconds": []}),
        )
        .expect("these switches exist");
    sandbox
}

/// Kills the service at so many moments drawn at random, starting it anew each time, and waits until the work is over.
/// `look` is asked before each kill whether it is, and may look at what is there.
async fn kill_at_random(
    mut service: Service,
    home: &Home,
    random: &Random,
    kills: u32,
    mut look: impl AsyncFnMut(&Service) -> bool,
) -> Service {
    let mut left = kills;
    loop {
        // A moment drawn at random, so that every transaction is hit in turn.
        tokio::time::sleep(Duration::from_millis(random.number() % 120)).await;
        let is_over = look(&service).await;
        if left > 0 {
            service.kill();
            service = Service::start(home);
            left -= 1;
        } else if is_over {
            return service;
        }
    }
}

async fn set_up(service: &Service, sandbox: &Sandbox) {
    set_up_with(service, sandbox, &json!({"time_zone": "Europe/Lisbon"})).await;
}

/// Makes tenant `acme`, some of its fields changed, and its shared codes.
async fn set_up_with(service: &Service, sandbox: &Sandbox, over: &Value) {
    let tenant = json!({
        "id": "acme", "name": "Acme", "time_zone": "UTC",
        "optimove": {"base_url": sandbox.url(), "auth": {"api_key": "acme-admin-key"}},
        "scheduled_channels": [504, 505], "conditional": false, "expiry": "duration",
    });
    let tenant = changed(tenant, over);
    service.ok(Method::POST, "/v1/tenants", &tenant).await;
    for code in ["FS20", "CB10"] {
        put(service, code, "shared").await;
    }
}

async fn put(service: &Service, code: &str, kind: &str) {
    let put = json!({"name": code, "status": "active", "kind": kind, "reward": {}});
    let path = format!("/v1/tenants/acme/promotions/{code}");
    service.ok(Method::PUT, &path, &put).await;
}

/// Where Optimove sends its notifications.
struct Listeners(Vec<optimove::wire::RegisteredListener>);

impl Listeners {
    /// Registers them, and asks Optimove for what it has.
    async fn register(service: &Service, sandbox: &Sandbox) -> Self {
        let path = "/v1/tenants/acme/listeners/sync";
        service.ok(Method::POST, path, &Value::Null).await;
        let auth = optimove::client::Auth::ApiKey(optimove::Secret::new("acme-admin-key"));
        let client = optimove::Client::builder(&sandbox.url(), auth)
            .build()
            .expect("a client");
        let there = client.get_registered_event_listeners().await;
        Self(there.expect("the list"))
    }

    /// The path of an event, of event 13 on channel 504.
    fn path(&self, event: i64) -> String {
        let is_it = |one: &&optimove::wire::RegisteredListener| {
            one.event_type == event && (event != 13 || one.channel_id == Some(504))
        };
        let listener = self.0.iter().find(is_it).expect("it is registered");
        let url = listener.listener_url.expose();
        url[url.find("/optimove/").expect("the path of a listener")..].to_owned()
    }

    /// Event about a campaign, acknowledged.
    async fn tell(&self, service: &Service, event: i64, campaign: u64, over: &Value) {
        let body = json!({
            "EventTypeID": event, "TimeStamp": "2026-03-04 09:05", "CampaignID": campaign,
        });
        let body = changed(body, over);
        service.ok(Method::POST, &self.path(event), &body).await;
    }
}

/// Every grant as `customer code start end`, read from the campaign's export; none of one that is not known yet.
async fn ledger(service: &Service, campaign: u64) -> Vec<String> {
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants");
    let mut grants = Vec::new();
    if service.campaign(campaign).await.is_null() {
        return grants;
    }
    service
        .caller
        .lines(&path, |line| {
            let grant: Value = serde_json::from_slice(line)?;
            let text = |name: &str| grant[name].as_str().unwrap_or("-").to_owned();
            let fields = ["customer_id", "promo_code", "starts_at", "ends_at"].map(text);
            grants.push(fields.join(" "));
            Ok(())
        })
        .await
        .expect("the export is whole");
    grants
}

fn oracle(sandbox: &Sandbox, campaign: u64) -> BTreeSet<String> {
    sandbox
        .expected(campaign)
        .expect("the campaign is known")
        .map(|one| {
            format!(
                "{} {} {} {}",
                one.customer_id, one.promo_code, one.starts_at, one.ends_at
            )
        })
        .collect()
}

/// The campaign granted what it should, nothing twice, and its counts add up.
async fn assert_right(service: &Service, campaign: u64, expected: &BTreeSet<String>) {
    let held = ledger(service, campaign).await;
    let distinct: BTreeSet<String> = held.iter().cloned().collect();
    assert_eq!(held.len(), distinct.len(), "something was granted twice");
    assert_eq!(&distinct, expected);
    let counts = &service.campaign(campaign).await["counts"];
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    let sum = |name: &str| -> u64 {
        let map = counts[name].as_object();
        map.map_or(0, |map| map.values().filter_map(Value::as_u64).sum())
    };
    assert_eq!(number("granted"), distinct.len() as u64);
    assert_eq!(
        number("pairs"),
        number("granted") + number("repeated") + sum("held") + sum("refused"),
        "{counts}"
    );
}

/// Kills the service once more; no invariant is broken.
fn verify(service: Service, home: &Home) {
    service.kill();
    process::verify(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_survives_kills_at_random_moments() {
    let random = Random::seeded(20_260_304);
    let home = Home::new();
    let sandbox = silent_sandbox(3).await;
    let service = Service::start(&home);
    set_up(&service, &sandbox).await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let campaign = sandbox
        .add_campaign(json!({
            "tenant": "acme", "kind": "scheduled", "control_share": 0.1, "duration": 7, "lead_time": 2,
            "audience": {"count": 6_000, "prefix": "C"},
            "actions": [
                {"id": 24, "name": "Two", "share": 0.7, "promo_codes": ["FS20", "CB10"],
                 "channels": [{"id": 504, "template_id": 1}, {"id": 505, "template_id": 2}]},
                {"id": 65, "name": "None", "share": 0.3, "promo_codes": [],
                 "channels": [{"id": 504, "template_id": 3}]},
            ],
        }))
        .expect("a campaign");
    sandbox.process(campaign).expect("it runs");
    for channel in [504, 505] {
        let channel = json!({ "ChannelID": channel });
        listeners.tell(&service, 13, campaign, &channel).await;
    }
    let service = kill_at_random(service, &home, &random, 12, async |service| {
        let state = service.campaign(campaign).await["status"].clone();
        state != "importing" && state != "announced"
    })
    .await;
    assert_right(&service, campaign, &oracle(&sandbox, campaign)).await;
    verify(service, &home);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_notification_is_there_after_a_kill() {
    let home = Home::new();
    let sandbox = silent_sandbox(4).await;
    let mut service = Service::start(&home);
    set_up(&service, &sandbox).await;
    let path = Listeners::register(&service, &sandbox).await.path(13);
    let next = Arc::new(AtomicU64::new(1));
    let mut acknowledged = BTreeSet::new();
    for round in 0..5 {
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..16)
            .map(|_| {
                let (next, stop) = (Arc::clone(&next), Arc::clone(&stop));
                let (path, caller) = (path.clone(), service.caller.clone());
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let campaign = 1_000_000 + next.fetch_add(1, Ordering::SeqCst);
                        let event =
                            json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
                        match caller.json(Method::POST, &path, &event).await {
                            Ok((status, _)) if status == 200 => mine.push(campaign.to_string()),
                            Ok((status, body)) => panic!("{status} {body}"),
                            Err(_) => break,
                        }
                    }
                    mine
                })
            })
            .collect();
        // The kill waits for traffic, not for time: some of it is under way when it comes.
        let goal = 1 + 200 * (round + 1);
        while next.load(Ordering::SeqCst) < goal {
            tokio::task::yield_now().await;
        }
        service.kill();
        stop.store(true, Ordering::SeqCst);
        for sender in senders {
            acknowledged.extend(sender.await.expect("a sender"));
        }
        service = Service::start(&home);
    }
    let mut kept = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/tenants/acme/notifications?limit=1000{cursor}");
        let (status, page) = service.call(Method::GET, &path, &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        for one in page["data"].as_array().into_iter().flatten() {
            assert!(
                kept.insert(one["campaign_id"].as_str().unwrap_or_default().to_owned()),
                "kept twice: {one}"
            );
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let lost: Vec<&String> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(
        acknowledged.len() > 500,
        "too little traffic to mean anything: {}",
        acknowledged.len()
    );
    sandbox.stop().await;
}
