//! The daily list of ended actions: in time, late, twice, never, a day off, cut in the middle, and about strangers.

use bestow_store::endings::EndedDay;
use http::Method;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::{is_eligible, lose_commits, switch};
use crate::scripted::Scripted;
use crate::support::{Holdings, World};

const LIST: &str = "GetCustomersActionEndedByDate";
/// The day on which the campaigns below end: executed on 25 March, for seven days.
const DAY: &str = "2027-04-01";

/// A tenant whose grants end by this rule.
async fn expiring(rule: &str) -> World {
    let world = World::with(|config| config.optimove.page_rows = 10).await;
    world.connect(&json!({ "expiry": rule })).await;
    world
}

/// Event 3, and the work that follows.
async fn close_day(world: &World) {
    world
        .control(Method::POST, "/_sandbox/day/close", &Value::Null)
        .await;
    world.settle().await;
}

fn day(world: &World, date: &str) -> Option<EndedDay> {
    let no = world.acme().no();
    let found: Result<_, bestow_store::Error> = world.app.store.peek(|tx| tx.ended_day(no, date));
    found.expect("the days can be read")
}

fn ms(at: &str) -> i64 {
    at.parse::<Timestamp>()
        .expect("an instant")
        .as_millisecond()
}

/// When the grants of a campaign end, the same for all of them.
async fn end(world: &World, campaign: u64) -> Option<i64> {
    let ledger = world.ledger(campaign).await;
    assert_eq!(ledger.len(), 25);
    let mut ends: Vec<_> = ledger.into_values().map(|(_, end)| end).collect();
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0]
}

async fn findings(world: &World) -> Vec<Value> {
    let path = "/v1/tenants/acme/findings";
    let page = world.api.ok(Method::GET, path, &Value::Null).await;
    page.expect("the findings")["data"]
        .as_array()
        .expect("a list")
        .clone()
}

async fn calls(world: &World) -> Value {
    let path = "/_sandbox/requests?tenant=acme";
    let calls = world.control(Method::GET, path, &Value::Null).await;
    calls["by_function"][LIST].clone()
}

#[tokio::test]
async fn listed_after_event_3_the_grants_end_when_it_is_learned() {
    let world = expiring("ended_by_date").await;
    let campaign = world.run(25, &json!({})).await;
    assert_eq!(end(&world, campaign).await, None);
    // Every day's list is read, and nobody is on it before the day.
    for back in (1..=6).rev() {
        let at: Timestamp = "2027-04-01T07:30:00Z".parse().expect("an instant");
        let at = at.checked_sub((24 * back).hours()).expect("an instant");
        world.travel(&at.to_string()).await;
        close_day(&world).await;
        assert_eq!(end(&world, campaign).await, None);
    }
    world.travel("2027-04-01T07:30:00Z").await;
    assert!(is_eligible(&world, "P-1", "FS20").await);
    close_day(&world).await;
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    let learned = ms("2027-04-01T07:30:00Z");
    assert_eq!(end(&world, campaign).await, Some(learned));
    let path = "/v1/tenants/acme/customers/P-1/grants?status=expired";
    let grants = world
        .api
        .ok(Method::GET, path, &Value::Null)
        .await
        .expect("grants");
    assert_eq!(grants["data"][0]["ends_at"], "2027-04-01T07:30:00Z");
    // Both channels of each customer are on the list, and fit the one grant.
    let read = day(&world, DAY).expect("it was wanted");
    assert_eq!(
        (&*read.state, read.rows, read.ended, read.unmatched),
        ("read", 50, 25, 0)
    );
    assert_eq!(findings(&world).await, [Value::Null; 0]);
    world.assert_verified();
}

#[tokio::test]
async fn read_again_and_again_it_ends_each_grant_once() {
    let world = expiring("ended_by_date").await;
    let campaign = world.run(25, &json!({})).await;
    world.travel("2027-04-01T07:30:00Z").await;
    close_day(&world).await;
    let first = end(&world, campaign).await;
    for at in [
        "2027-04-01T08:00:00Z",
        "2027-04-01T20:00:00Z",
        "2027-04-02T03:00:00Z",
    ] {
        world.travel(at).await;
        close_day(&world).await;
        assert_eq!(end(&world, campaign).await, first);
    }
    let read = day(&world, DAY).expect("it was wanted");
    assert_eq!(
        (&*read.state, read.rows, read.ended, read.unmatched),
        ("done", 50, 25, 0)
    );
    world.assert_verified();
}

#[tokio::test]
async fn where_event_3_never_comes_the_clock_sees_to_it() {
    let world = expiring("ended_by_date").await;
    switch(
        &world,
        &json!({"notify-drop": 100, "notify-events": [2, 3]}),
    );
    let campaign = world.run(25, &json!({})).await;
    // Each sweep plans, and each day is begun when it begins.
    world.travel("2027-03-31T23:00:00Z").await;
    world.settle().await;
    assert_eq!(end(&world, campaign).await, None);
    world.travel("2027-04-01T00:10:00Z").await;
    world.settle().await;
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    world.assert_verified();
}

#[tokio::test]
async fn days_behind_are_caught_up_and_end_grants_in_the_past() {
    let world = expiring("ended_by_date").await;
    let campaign = world.run(25, &json!({})).await;
    world.travel("2027-04-03T12:00:00Z").await;
    assert!(is_eligible(&world, "P-1", "FS20").await);
    world.settle().await;
    assert_eq!(
        end(&world, campaign).await,
        Some(ms("2027-04-02T00:00:00Z"))
    );
    for (date, state) in [
        ("2027-03-25", "done"),
        ("2027-03-30", "done"),
        (DAY, "done"),
        ("2027-04-02", "done"),
        ("2027-04-03", "read"),
    ] {
        assert_eq!(
            day(&world, date).expect("it was wanted").state,
            state,
            "{date}"
        );
    }
    assert!(day(&world, "2027-03-24").is_none());
    world.assert_verified();
}

#[tokio::test]
async fn a_day_is_the_tenants_day() {
    for (zone, day_end) in [
        ("Pacific/Auckland", "2027-04-01T11:00:00Z"),
        ("America/Los_Angeles", "2027-04-01T07:00:00Z"),
    ] {
        let world = World::with(|config| config.optimove.page_rows = 10).await;
        let rule = json!({"expiry": "ended_by_date", "time_zone": zone});
        world.connect(&rule).await;
        let campaign = world.run(25, &json!({})).await;
        world.travel("2027-04-05T12:00:00Z").await;
        world.settle().await;
        assert_eq!(end(&world, campaign).await, Some(ms(day_end)), "{zone}");
        world.assert_verified();
    }
}

#[tokio::test]
async fn a_day_off_ends_them_when_the_list_says() {
    for (offset, day_end) in [(-1, "2027-04-01T00:00:00Z"), (1, "2027-04-03T00:00:00Z")] {
        let world = expiring("ended_by_date").await;
        switch(&world, &json!({ "ended-offset-days": offset }));
        let campaign = world.run(25, &json!({})).await;
        world.travel("2027-04-05T12:00:00Z").await;
        world.settle().await;
        assert_eq!(end(&world, campaign).await, Some(ms(day_end)));
        assert_eq!(findings(&world).await, [Value::Null; 0]);
        world.assert_verified();
    }
}

#[tokio::test]
async fn under_both_whichever_is_first_ends_them() {
    // The window ends on 1 April at six, without lead time.
    for (offset, first) in [(0, "2027-04-01T06:00:00Z"), (-1, "2027-04-01T00:00:00Z")] {
        let world = expiring("both").await;
        switch(&world, &json!({ "ended-offset-days": offset }));
        let campaign = world.run(25, &json!({"lead_time": 0})).await;
        assert_eq!(
            end(&world, campaign).await,
            Some(ms("2027-04-01T06:00:00Z"))
        );
        world.travel("2027-04-05T12:00:00Z").await;
        world.settle().await;
        assert_eq!(end(&world, campaign).await, Some(ms(first)));
        world.assert_verified();
    }
}

#[tokio::test]
async fn under_duration_nothing_is_read_and_nothing_changes() {
    let world = expiring("duration").await;
    let campaign = world.run(25, &json!({})).await;
    let before: Holdings = world.ledger(campaign).await;
    for at in ["2027-04-01T07:30:00Z", "2027-04-02T12:00:00Z"] {
        world.travel(at).await;
        close_day(&world).await;
    }
    assert_eq!(world.ledger(campaign).await, before);
    world.assert_right(campaign).await;
    assert_eq!(calls(&world).await, Value::Null);
    assert!(day(&world, DAY).is_none());
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_anywhere_changes_nothing() {
    for name in [
        "begin_ended_day",
        "land_ended_page",
        "finish_ended_day",
        "plan_ended_days",
    ] {
        let world = expiring("ended_by_date").await;
        let campaign = world.run(25, &json!({})).await;
        world.travel("2027-04-02T12:00:00Z").await;
        lose_commits(&world, name, 9);
        world.settle().await;
        assert_eq!(
            end(&world, campaign).await,
            Some(ms("2027-04-02T00:00:00Z")),
            "{name}"
        );
        let read = day(&world, DAY).expect("it was wanted");
        assert_eq!(
            (read.rows, read.ended, read.unmatched),
            (50, 25, 0),
            "{name}"
        );
        world.assert_verified();
    }
}

#[tokio::test]
async fn whoever_dies_in_the_middle_of_a_list_is_succeeded() {
    for name in ["land_ended_page", "finish_ended_day"] {
        let world = expiring("ended_by_date").await;
        let campaign = world.run(25, &json!({})).await;
        world.travel("2027-04-02T12:00:00Z").await;
        // Every try of the third page's commit fails, until somebody starts the service anew.
        let met = std::sync::atomic::AtomicU32::new(0);
        world.app.store.fail_commits(move |each| {
            let is_it = each == name;
            let met = met.fetch_add(u32::from(is_it), std::sync::atomic::Ordering::Relaxed);
            (is_it && met >= 2).then_some(bestow_store::Fault::BeforeCommit)
        });
        for _ in 0..40 {
            bestow::work::step(&world.app).await.expect("a step");
        }
        let world = world.reopen().await;
        world.travel("2027-04-02T12:10:00Z").await;
        world.settle().await;
        assert_eq!(
            end(&world, campaign).await,
            Some(ms("2027-04-02T00:00:00Z")),
            "{name}"
        );
        let read = day(&world, DAY).expect("it was wanted");
        assert_eq!((read.ended, read.unmatched), (25, 0), "{name}");
        world.assert_verified();
    }
}

/// A row of the list of [`DAY`].
fn row(customer: &str, action: i64, channel: i64) -> Value {
    json!({
        "CustomerID": customer, "ActionID": action, "ChannelID": channel, "Date": "2027-03-25",
        "Duration": 7, "TargetGroupID": 15, "@": DAY,
    })
}

#[tokio::test]
async fn rows_that_fit_no_grant_are_told_and_end_nothing() {
    let world = expiring("ended_by_date").await;
    let campaign = world.run(25, &json!({})).await;
    let optimove = Scripted::instead(&world).await;
    let mut rows = vec![
        row("P-1", 24, 504),
        row("P-2", 99, 504),
        row("P-3", 24, 777),
        row("p-4", 24, 504),
        row("stranger", 24, 504),
        json!({"CustomerID": "P-5", "ActionID": 24, "Date": "soon", "@": DAY}),
        json!({"ActionID": 24, "Date": "2027-03-25", "@": DAY}),
        // Never given anything.
        row("P-6", 1, 504),
    ];
    rows.push(json!({"CustomerID": "P-7", "Date": "2027-03-24", "@": DAY}));
    optimove.list(LIST, rows);
    optimove.list("GetExecutedCampaignsByChannel", Vec::new());
    world.travel("2027-04-01T07:30:00Z").await;
    world.settle().await;
    let ended: Vec<_> = world
        .ledger(campaign)
        .await
        .into_iter()
        .filter(|(_, (_, end))| end.is_some())
        .map(|((customer, _), _)| customer)
        .collect();
    assert_eq!(ended, ["P-1"]);
    let found = findings(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["kind"], &found[0]["object"]),
        (&json!("ended_rows_unmatched"), &json!("ended/2027-04-01"))
    );
    let detail = found[0]["detail"].as_str().expect("words");
    assert!(detail.starts_with("7 of 9 rows"), "{detail}");
    assert!(
        detail.contains("action 99, channel 504, sent on 2027-03-25"),
        "{detail}"
    );
    // The list is mended, and grows, until the day is over.
    optimove.list(
        LIST,
        (1..=25).map(|n| row(&format!("P-{n}"), 24, 505)).collect(),
    );
    world.travel("2027-04-02T02:00:00Z").await;
    world.settle().await;
    let ledger = world.ledger(campaign).await;
    let early = ledger
        .values()
        .filter(|(_, end)| *end == Some(ms("2027-04-01T07:30:00Z")));
    assert_eq!(early.count(), 1, "the first end stays");
    let late = ledger
        .values()
        .filter(|(_, end)| *end == Some(ms("2027-04-02T00:00:00Z")));
    assert_eq!(late.count(), 24);
    assert_eq!(findings(&world).await, [Value::Null; 0]);
    world.assert_verified();
}

#[tokio::test]
async fn two_campaigns_of_a_day_are_told_apart() {
    let world = expiring("ended_by_date").await;
    let long = world.run(25, &json!({})).await;
    let short = world.run(25, &json!({"duration": 5})).await;
    let action = json!({"id": 30, "promo_codes": ["CB10"], "channels": [{"id": 504}]});
    let other = world.run(25, &json!({ "actions": [action] })).await;
    world.travel("2027-03-31T12:00:00Z").await;
    world.settle().await;
    assert_eq!(end(&world, long).await, None);
    assert_eq!(end(&world, short).await, Some(ms("2027-03-31T00:00:00Z")));
    assert_eq!(end(&world, other).await, None);
    world.travel("2027-04-02T12:00:00Z").await;
    world.settle().await;
    for campaign in [long, other] {
        assert_eq!(
            end(&world, campaign).await,
            Some(ms("2027-04-02T00:00:00Z"))
        );
    }
    assert_eq!(findings(&world).await, [Value::Null; 0]);
    world.assert_verified();
}
