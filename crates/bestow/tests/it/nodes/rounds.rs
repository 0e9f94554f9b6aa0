//! Three processes, a stand-in for Optimove, and rounds of things that go wrong: one stands still for up to three times
//! its lease, or is killed, or loses connections to the database, before or after what was on its way was committed.
//! In the end the ledger is what the oracle says, and Optimove was never called too often.

use std::collections::BTreeSet;
use std::time::Duration;

use bestow::random::Random;
use http::Method;
use optimove_sandbox::{ClockMode, Config, Sandbox};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::node::Node;
use crate::home::Home;
use crate::process;

/// How many rounds are played. A thousand take a quarter of an hour.
const ROUNDS: &str = "BESTOW_NODES_ROUNDS";
const ROUNDS_DEFAULT: u32 = 30;
const NODES: usize = 3;
/// A process stands still for up to so long; its leases last a second.
const PAUSE_MS_MAX: u64 = 3_000;
/// From one round to the next, at most.
const ROUND_MS_MAX: u64 = 400;
/// Campaigns that are worked on at a time.
const OPEN_MAX: usize = 4;
/// Small pages, so that a campaign is many steps; its calls are what the budget lets through in two seconds.
const SETTINGS: [(&str, &str); 3] = [
    ("BESTOW_OPTIMOVE__PAGE_ROWS", "150"),
    ("BESTOW_WORK__RANGE_PAGES_MAX", "1"),
    ("BESTOW_WORK__MERGE_GRANTS_MAX", "40"),
];
const ACME: &str = "/v1/tenants/acme";

fn rounds() -> u32 {
    let wanted = std::env::var(ROUNDS).ok();
    wanted.map_or(ROUNDS_DEFAULT, |text| text.parse().expect("a number"))
}

/// A process, and until when it stands still.
struct Standing {
    node: Node,
    until: Option<Instant>,
}

struct Rig {
    home: Home,
    sandbox: Sandbox,
    random: Random,
    nodes: Vec<Standing>,
    /// Path of event 13 on channels 504 and 505.
    listeners: Vec<String>,
    campaigns: Vec<u64>,
    open: Vec<u64>,
    /// Refused writes of processes that were killed since.
    stale: u64,
    acknowledged: u64,
    /// Whether parts of a list were seen being read apart from each other.
    parts_seen: bool,
}

impl Rig {
    async fn start() -> Self {
        let (home, random) = (Home::shared(), Random::seeded(20_260_403));
        let sandbox = sandbox().await;
        // One makes the key, the others find it.
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let node = Node::start(&home, &SETTINGS);
            nodes.push(Standing { node, until: None });
        }
        let mut this = Self {
            home,
            sandbox,
            random,
            nodes,
            listeners: Vec::new(),
            campaigns: Vec::new(),
            open: Vec::new(),
            stale: 0,
            acknowledged: 0,
            parts_seen: false,
        };
        this.set_up().await;
        this
    }

    /// Looks whether parts of a list are being read apart from each other, until that was seen once.
    async fn look_for_parts(&mut self) {
        let Some(place) = self.somebody().filter(|_| !self.parts_seen) else {
            return;
        };
        let parts = "bestow_jobs{kind=\"pages\",state=\"running\"}";
        let running = self.nodes[place].node.number(parts).await;
        self.parts_seen = running.is_some_and(|running| running > 1);
    }

    async fn set_up(&mut self) {
        let node = &self.nodes[0].node;
        let tenant = json!({
            "id": "acme", "name": "Acme", "time_zone": "Europe/Lisbon",
            "optimove": {
                "base_url": self.sandbox.url(),
                "auth": {"username": "acme", "password": "acme-password"},
            },
            "scheduled_channels": [504, 505], "conditional": false, "expiry": "duration",
        });
        node.ok(Method::POST, "/v1/tenants", &tenant).await;
        for code in ["FS20", "CB10"] {
            let put = json!({"name": code, "status": "active", "kind": "shared", "reward": {}});
            node.ok(Method::PUT, &format!("{ACME}/promotions/{code}"), &put)
                .await;
        }
        let path = format!("{ACME}/listeners/sync");
        node.ok(Method::POST, &path, &Value::Null).await;
        let key = optimove::client::Auth::ApiKey(optimove::Secret::new("acme-admin-key"));
        let client = optimove::Client::builder(&self.sandbox.url(), key).build();
        let client = client.expect("a client");
        let there = client.get_registered_event_listeners().await;
        for one in there.expect("the list") {
            if one.event_type == 13 {
                let url = one.listener_url.expose();
                let path = url[url.find("/optimove/").expect("a listener's path")..].to_owned();
                self.listeners.push(path);
            }
        }
    }

    fn draw(&self, below: u64) -> u64 {
        self.random.number() % below.max(1)
    }

    /// A process that does not stand still.
    fn somebody(&self) -> Option<usize> {
        let awake: Vec<_> = (0..NODES)
            .filter(|place| self.nodes[*place].until.is_none())
            .collect();
        let place = self.draw(awake.len() as u64) as usize;
        awake.get(place).copied()
    }

    /// Lets those go on whose time has come.
    fn wake(&mut self) {
        for standing in &mut self.nodes {
            if standing.until.is_some_and(|until| until <= Instant::now()) {
                standing.node.signal("CONT");
                standing.until = None;
            }
        }
    }

    /// One thing goes wrong.
    async fn round(&mut self) {
        let ends = Instant::now() + Duration::from_millis(self.draw(ROUND_MS_MAX));
        match (self.draw(10), self.somebody()) {
            // At least one is left to do something.
            (0..5, Some(place)) if self.awake() > 1 => {
                let pause = Duration::from_millis(self.draw(PAUSE_MS_MAX));
                let standing = &mut self.nodes[place];
                standing.node.signal("STOP");
                standing.until = Some(Instant::now() + pause);
            }
            (5..7, Some(place)) => {
                self.stale += self.nodes[place]
                    .node
                    .stale_writes()
                    .await
                    .unwrap_or_default();
                let new = Standing {
                    node: Node::start(&self.home, &SETTINGS),
                    until: None,
                };
                let Standing { node, .. } = std::mem::replace(&mut self.nodes[place], new);
                node.kill();
            }
            _ => self.cut(),
        }
        while Instant::now() < ends {
            self.look_for_parts().await;
            self.feed().await;
            self.wake();
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn awake(&self) -> usize {
        let awake = self.nodes.iter().filter(|one| one.until.is_none());
        awake.count()
    }

    /// Ends connections to the database, whatever is on its way on them.
    fn cut(&self) {
        let (draw, most) = (self.random.number(), 1 + self.draw(6));
        let cut = self.home.database().cut(draw, most);
        cut.expect("the server is there");
    }

    /// Keeps some campaigns going.
    async fn feed(&mut self) {
        let Some(place) = self.somebody() else { return };
        let mut open = Vec::new();
        for campaign in std::mem::take(&mut self.open) {
            let path = format!("{ACME}/campaigns/{campaign}");
            let known = self.nodes[place]
                .node
                .try_call(Method::GET, &path, &Value::Null);
            let is_done = matches!(known.await, Some((200, view)) if is_done(&view));
            if !is_done {
                open.push(campaign);
            }
        }
        self.open = open;
        if self.open.len() < OPEN_MAX {
            self.add_campaign().await;
        }
    }

    async fn add_campaign(&mut self) {
        let campaign = self
            .sandbox
            .add_campaign(json!({
                "tenant": "acme", "kind": "scheduled", "control_share": 0.1, "duration": 7, "lead_time": 2,
                "audience": {"count": 120 + self.draw(400), "prefix": "C"},
                "actions": [
                    {"id": 24, "name": "Two", "share": 0.7, "promo_codes": ["FS20", "CB10"],
                     "channels": [{"id": 504, "template_id": 1}, {"id": 505, "template_id": 2}]},
                    {"id": 65, "name": "None", "share": 0.3, "promo_codes": [],
                     "channels": [{"id": 504, "template_id": 3}]},
                ],
            }))
            .expect("a campaign");
        self.sandbox.process(campaign).expect("it runs");
        for channel in [504, 505] {
            self.tell(campaign, channel).await;
        }
        self.campaigns.push(campaign);
        self.open.push(campaign);
    }

    /// Event 13, sent to one after the other until one has taken it.
    async fn tell(&mut self, campaign: u64, channel: i64) {
        let event = json!({
            "EventTypeID": 13, "TimeStamp": "2026-03-04 09:05", "CampaignID": campaign, "ChannelID": channel,
        });
        let path = self.listeners[0].clone();
        loop {
            self.wake();
            if let Some(place) = self.somebody() {
                let told = self.nodes[place].node.try_call(Method::POST, &path, &event);
                if matches!(told.await, Some((200, _))) {
                    self.acknowledged += 1;
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing goes wrong any more, and all that is under way comes to its end.
    async fn settle(&mut self) {
        for standing in &mut self.nodes {
            if let Some(until) = standing.until.take() {
                sleep_until(until).await;
                standing.node.signal("CONT");
            }
        }
        for campaign in &self.campaigns {
            let path = format!("{ACME}/campaigns/{campaign}");
            loop {
                let asked = self.nodes[0]
                    .node
                    .try_call(Method::GET, &path, &Value::Null);
                if matches!(asked.await, Some((200, view)) if is_done(&view)) {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn ledger(&self, campaign: u64) -> Vec<String> {
        let path = format!("{ACME}/campaigns/{campaign}/grants");
        let mut grants = Vec::new();
        let read = self.nodes[1].node.caller.lines(&path, |line| {
            let grant: Value = serde_json::from_slice(line)?;
            let text = |name: &str| grant[name].as_str().unwrap_or("-").to_owned();
            grants.push(
                ["customer_id", "promo_code", "starts_at", "ends_at"]
                    .map(text)
                    .join(" "),
            );
            Ok(())
        });
        read.await.expect("the export is whole");
        grants
    }

    fn oracle(&self, campaign: u64) -> BTreeSet<String> {
        let expected = self.sandbox.expected(campaign).expect("it is known");
        let line = |one: optimove_sandbox::Expectation| {
            format!(
                "{} {} {} {}",
                one.customer_id, one.promo_code, one.starts_at, one.ends_at
            )
        };
        expected.map(line).collect()
    }

    /// Everything once, nothing lost.
    async fn assert_right(&self) {
        for campaign in &self.campaigns {
            let held = self.ledger(*campaign).await;
            let distinct: BTreeSet<_> = held.iter().cloned().collect();
            assert_eq!(held.len(), distinct.len(), "{campaign}: granted twice");
            assert_eq!(distinct, self.oracle(*campaign), "{campaign}");
        }
        let path = format!("{ACME}/notifications?limit=1000");
        let kept = self.nodes[2].node.get(&path).await;
        let kept = kept["data"].as_array().expect("a list").len() as u64;
        assert!(
            kept >= self.acknowledged.min(1_000),
            "{kept} of {}",
            self.acknowledged
        );
        process::verify(&self.home);
    }

    /// Never too many calls, never two logins within a second; as Optimove counts them.
    async fn assert_polite(&self) -> Value {
        let control = bestow::cli::call::Caller::new(self.sandbox.address(), None);
        let path = "/_sandbox/requests?tenant=acme";
        let usage = control.ok(Method::GET, path, &Value::Null).await;
        let usage = usage.expect("it tells");
        let most = usage["most_in_10_s"].as_u64().expect("a number");
        assert!(most <= 50, "{usage}");
        assert!(usage["by_status"]["429"].is_null(), "{usage}");
        let between = usage["least_ms_between_logins"].as_u64();
        assert!(between.is_none_or(|ms| ms >= 1_000), "{usage}");
        usage
    }
}

fn is_done(campaign: &Value) -> bool {
    !["importing", "announced"].contains(&campaign["status"].as_str().unwrap_or("importing"))
}

/// A stand-in that sends nothing by itself, and forgets sessions that rest.
async fn sandbox() -> Sandbox {
    let config = Config {
        listen: "127.0.0.1:0".parse().expect("an address"),
        seed: 11,
        clock: ClockMode::System,
        control_token: None,
    };
    let sandbox = Sandbox::start(config).await.expect("it starts");
    let switches = json!({
        "notify-drop": 100, "notify-retry-seconds": [], "token-ttl-seconds": 1,
    });
    sandbox.set_switches(&switches).expect("these exist");
    sandbox
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_each_everything_is_done_once() {
    let mut rig = Rig::start().await;
    let rounds = rounds();
    for round in 1..=rounds {
        rig.round().await;
        if round % 50 == 0 {
            println!(
                "{round} of {rounds} rounds, {} campaigns",
                rig.campaigns.len()
            );
        }
    }
    rig.settle().await;
    rig.assert_right().await;
    let usage = rig.assert_polite().await;
    let mut stale = rig.stale;
    for standing in &rig.nodes {
        stale += standing.node.stale_writes().await.unwrap_or_default();
    }
    println!(
        "{rounds} rounds, {} campaigns, {} notifications acknowledged, {stale} stale writes refused, {usage}",
        rig.campaigns.len(),
        rig.acknowledged
    );
    assert!(rig.parts_seen, "no list was shared");
    assert!(stale > 0, "nobody came too late: the rounds show nothing");
    rig.sandbox.stop().await;
}
