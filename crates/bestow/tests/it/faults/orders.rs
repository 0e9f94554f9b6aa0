//! Every order in which the notifications of a campaign may come, each of them twice in a row, and worked on in between.
//!
//! Each order has a campaign of its own; all of them go through one service side by side.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::{listener, switch};
use crate::support::{World, changed};

const CUSTOMERS: u64 = 3;
/// Campaigns whose notifications come at the same time.
const AT_ONCE: usize = 64;

/// A notification: the event, and the channel of event 13.
type Told = (i64, Option<i64>);

const EVENT_1: Told = (1, None);
const EMAIL: Told = (13, Some(504));
const SMS: Told = (13, Some(505));
const CANCELLED: Told = (4, None);
const HELD: Told = (5, None);

/// Every order of these, each once.
fn orders(told: &[Told]) -> BTreeSet<Vec<Told>> {
    let Some((last, others)) = told.split_last() else {
        return BTreeSet::from([Vec::new()]);
    };
    let insert = |order: Vec<Told>| {
        (0..=order.len()).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, *last);
            longer
        })
    };
    orders(others).into_iter().flat_map(insert).collect()
}

fn body(campaign: u64, (event, channel): Told) -> Value {
    json!({
        "EventTypeID": event, "TimeStamp": "2027-03-25 06:00", "CampaignID": campaign,
        "ChannelID": channel, "ClearanceRequiredBy": "2027-03-25 07:00",
    })
}

/// A campaign for each order.
struct Lanes {
    world: World,
    lanes: Vec<(u64, Vec<Told>)>,
}

impl Lanes {
    /// Plans a campaign for each order of these, and starts it.
    async fn of(told: &[Told], spec: &Value, start: impl Fn(&World, u64)) -> Self {
        let world = World::start().await;
        world.connect(&json!({"conditional": true})).await;
        // What arrives is what the test posts.
        switch(&world, &json!({"notify-drop": 100}));
        let lanes = orders(told).into_iter().enumerate().map(|(lane, order)| {
            // Nobody is in two campaigns: a limit for each customer is another test's subject.
            let audience = json!({"count": CUSTOMERS, "prefix": format!("L{lane}-")});
            let spec = changed(spec.clone(), &json!({ "audience": audience }));
            let campaign = world.plan(CUSTOMERS, &spec);
            start(&world, campaign);
            (campaign, order)
        });
        let lanes = lanes.collect();
        Self { world, lanes }
    }

    /// Posts the notification at a place of each order, and does the work that follows.
    async fn tell(&self, place: usize) {
        for lanes in self.lanes.chunks(AT_ONCE) {
            let posts = lanes.iter().map(|(campaign, order)| async move {
                let (event, _) = order[place];
                if event == 4 && !order[..place].contains(&CANCELLED) {
                    let cancelled = self.world.sandbox.cancel(*campaign);
                    cancelled.expect("it can be cancelled");
                }
                let path = listener(&self.world, event);
                let body = body(*campaign, order[place]);
                self.world.post(&path, &body).await;
                self.world.post(&path, &body).await;
            });
            join_all(posts).await;
        }
        self.world.work().await;
    }

    /// Lets time pass on both clocks, and does the work that follows.
    async fn pass(&self, seconds: i64) {
        let to = bestow::clock::instant(self.world.app.clock.now_ms() + seconds * 1_000);
        self.world.travel(&to.to_string()).await;
        self.world.work().await;
    }

    /// How many grants of a campaign have this status, and how many it has.
    async fn count(&self, campaign: u64, status: &str) -> (u64, u64) {
        let (mut of_status, mut all) = (0, 0);
        let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants");
        let count = |line: &[u8]| {
            let grant: Value = serde_json::from_slice(line)?;
            of_status += u64::from(grant["status"] == status);
            all += 1;
            Ok(())
        };
        self.world
            .api
            .lines(&path, count)
            .await
            .expect("the export is whole");
        (of_status, all)
    }

    /// Nothing of those campaigns can be redeemed whose cancel was told before this place. Gives how many grants they
    /// have.
    async fn assert_stopped(&self, place: usize) -> u64 {
        let mut grants = 0;
        for (campaign, order) in &self.lanes {
            if order[..place].contains(&CANCELLED) {
                let (active, all) = self.count(*campaign, "active").await;
                assert_eq!(active, 0, "after {:?}", &order[..place]);
                grants += all;
            }
        }
        grants
    }

    /// Every campaign has granted what was sent, and all of it is active.
    async fn assert_all_granted(&self) {
        for (campaign, order) in &self.lanes {
            let ledger = self.world.ledger(*campaign).await;
            assert_eq!(ledger.len() as u64, CUSTOMERS, "{order:?}");
            assert_eq!(ledger, self.world.oracle(*campaign), "{order:?}");
            let (active, _) = self.count(*campaign, "active").await;
            assert_eq!(active, CUSTOMERS, "{order:?}");
        }
        self.world.assert_verified();
    }

    /// Every campaign is revoked.
    async fn assert_all_revoked(&self) {
        for (campaign, order) in &self.lanes {
            let path = format!("/v1/tenants/acme/campaigns/{campaign}");
            let view = self.world.api.ok(Method::GET, &path, &Value::Null).await;
            assert_eq!(view.expect("it is known")["status"], "revoked", "{order:?}");
        }
        self.world.assert_verified();
    }
}

fn scheduled() -> Value {
    json!({"lead_time": 0})
}

fn execute(world: &World, campaign: u64) {
    world.sandbox.process(campaign).expect("it is executed");
}

fn conditional() -> Value {
    json!({"kind": "conditional", "lead_time": 0})
}

/// Holds a campaign until seven, when it is sent to whom we approved.
fn hold(world: &World, campaign: u64) {
    world.sandbox.hold(campaign, 3_600).expect("it is held");
}

#[tokio::test]
async fn a_scheduled_campaign_is_granted_alike_in_every_order() {
    let lanes = Lanes::of(
        &[EVENT_1, EMAIL, SMS, EMAIL, EVENT_1],
        &scheduled(),
        execute,
    )
    .await;
    assert_eq!(lanes.lanes.len(), 30);
    for place in 0..5 {
        lanes.tell(place).await;
    }
    lanes.pass(3_600).await;
    lanes.assert_all_granted().await;
}

#[tokio::test]
async fn a_conditional_campaign_is_granted_alike_in_every_order() {
    let lanes = Lanes::of(&[EVENT_1, EMAIL, SMS, HELD, EMAIL], &conditional(), hold).await;
    assert_eq!(lanes.lanes.len(), 60);
    for place in 0..5 {
        lanes.tell(place).await;
    }
    // Sent at seven; what was read before is read anew.
    lanes.pass(3_600).await;
    lanes.pass(3_600).await;
    lanes.assert_all_granted().await;
}

#[tokio::test]
async fn nothing_of_a_cancelled_scheduled_campaign_is_active_in_any_order() {
    let told = [EVENT_1, EMAIL, SMS, CANCELLED, EMAIL, CANCELLED];
    let lanes = Lanes::of(&told, &scheduled(), execute).await;
    assert_eq!(lanes.lanes.len(), 180);
    let mut grants = 0;
    for place in 0..6 {
        lanes.tell(place).await;
        grants = lanes.assert_stopped(place + 1).await;
    }
    assert!(grants > 0, "there was nothing to be stopped");
    lanes.pass(7_200).await;
    lanes.assert_stopped(6).await;
    lanes.assert_all_revoked().await;
}

#[tokio::test]
async fn nothing_of_a_cancelled_conditional_campaign_is_active_in_any_order() {
    let told = [EVENT_1, EMAIL, SMS, HELD, CANCELLED, EMAIL];
    let lanes = Lanes::of(&told, &conditional(), hold).await;
    assert_eq!(lanes.lanes.len(), 360);
    for place in 0..6 {
        lanes.tell(place).await;
    }
    let grants = lanes.assert_stopped(6).await;
    assert!(grants > 0, "there was nothing to be stopped");
    lanes.pass(3_600).await;
    lanes.pass(7_200).await;
    lanes.assert_stopped(6).await;
    lanes.assert_all_revoked().await;
}
