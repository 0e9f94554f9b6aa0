//! Retention: what has ended for long enough leaves for files, whole and once, whatever breaks on the way, and nothing
//! else changes its answer.

mod files;
mod triggered;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bestow::Error;
use bestow::service::grants::CampaignGrants;
use bestow::work::kind;
use bestow_core::CampaignId;
use bestow_store::{Error as StoreError, Fault};
use http::Method;
use serde_json::{Value, json};

use super::{listener, view};
use crate::support::{World, changed, text};

/// More commits than an archive below makes.
const COMMITS_MAX: u32 = 40;
const LATER: &str = "2027-06-30T00:00:00Z";

fn tune(config: &mut bestow::config::Config) {
    config.optimove.page_rows = 20;
    config.work.merge_grants_max = 15;
    // Only when a test says so.
    config.work.retention_seconds = 10 * 365 * 86_400;
    config.work.sweep_seconds = 10 * 365 * 86_400;
}

/// A world whose tenant keeps ended grants for 30 days.
async fn kept_for_a_month(over: &Value) -> World {
    let world = World::with(tune).await;
    world
        .connect(&changed(json!({"retention_days": 30}), over))
        .await;
    world
}

/// Has what is due archived now.
async fn archive(world: &World) {
    let no = world.acme().no();
    let wanted = world.app.tx("plant", move |tx| {
        let now = tx.now_ms();
        tx.want_job(no, kind::RETENTION, "", now)
    });
    wanted.await.expect("planted");
    world.work().await;
}

async fn archives(world: &World) -> Vec<Value> {
    world.rows("/v1/tenants/acme/archives").await
}

fn folder(world: &World, archive: &Value) -> PathBuf {
    let folder = text(archive, "folder");
    world.app.config.archive_dir().join(folder)
}

async fn archived_of(world: &World, customer: &str) -> Vec<Value> {
    world
        .rows(&format!(
            "/v1/tenants/acme/customers/{customer}/archived-grants"
        ))
        .await
}

fn in_ledger(world: &World) -> u64 {
    let total = world.app.store.peek(|tx| tx.grants_total());
    total.expect("the ledger is counted")
}

/// Campaigns' rows that are still in the database.
fn has_rows(world: &World, campaign: u64) -> bool {
    use bestow_store::runs::{Group, Pages, Runs};
    let (tenant, id) = (world.acme().no(), campaign.to_string());
    let found = world.app.store.peek(|tx| tx.campaign(tenant, &id));
    let no = found.expect("read").expect("the campaign is known").no;
    let mut runs =
        Runs::over(&world.app.store, tenant, no, Pages::All, None).expect("it can be walked");
    runs.next_group(&mut Group::default()).expect("walked")
}

#[tokio::test]
async fn an_ended_campaign_leaves_and_everything_else_stays_as_it_was() {
    let world = kept_for_a_month(&json!({})).await;
    let old = world.run(70, &json!({"lead_time": 0})).await;
    let used = world.redeem("P-7").await;
    let undone = world.redeem("P-8").await;
    let path = format!("/v1/tenants/acme/redemptions/{undone}/reverse");
    world.post(&path, &json!({"reason": "test"})).await;
    let held = world.ledger(old).await;
    let counts = world.counts(old);
    archive(&world).await;
    assert_eq!(archives(&world).await, [Value::Null; 0], "it runs");

    world.travel("2027-04-25T00:00:00Z").await;
    archive(&world).await;
    assert_eq!(archives(&world).await, [Value::Null; 0], "not long enough");

    world.travel("2027-05-10T00:00:00Z").await;
    let new = world.run(70, &json!({"lead_time": 0})).await;
    world.travel("2027-05-12T00:00:00Z").await;
    archive(&world).await;
    let left = archives(&world).await;
    assert_eq!(left.len(), 1, "{left:?}");
    let left = &left[0];
    assert_eq!(
        (
            &left["campaign_id"],
            &left["state"],
            &left["grants"],
            &left["dropped"]
        ),
        (
            &json!(old.to_string()),
            &json!("dropped"),
            &json!(held.len()),
            &json!(held.len() - 2)
        ),
        "a grant that was ever redeemed stays"
    );
    assert!(!has_rows(&world, old) && has_rows(&world, new));
    assert_eq!(world.counts(old), counts);
    world.assert_right(new).await;

    let path = format!("/v1/tenants/acme/campaigns/{old}/grants");
    let (status, body) = world
        .api
        .json(Method::GET, &path, &Value::Null)
        .await
        .expect("an answer");
    assert_eq!((status.as_u16(), &body["code"]), (410, &json!("archived")));
    for stream in [
        path.clone(),
        format!("/v1/tenants/acme/campaigns/{old}/codes"),
    ] {
        let refused = world.api.lines(&stream, |_| Ok(())).await;
        let refused = refused
            .expect_err("before anything is streamed")
            .to_string();
        assert!(refused.contains("410"), "{refused}");
    }
    assert!(text(&body, "detail").contains("archive 1"), "{body}");
    for ((customer, code), (starts_at, ends_at)) in &held {
        let found = archived_of(&world, customer).await;
        assert_eq!(found.len(), 1, "{customer}");
        let at = |name: &str| {
            let at: jiff::Timestamp = text(&found[0], name).parse().expect("an instant");
            at.as_millisecond()
        };
        assert_eq!(text(&found[0], "promo_code"), *code);
        assert_eq!(
            (at("starts_at"), Some(at("ends_at"))),
            (*starts_at, *ends_at)
        );
    }
    assert_eq!(archived_of(&world, "P-9999").await, [Value::Null; 0]);
    let path = format!("/v1/tenants/acme/redemptions/{used}");
    assert_eq!(world.get(&path).await["customer_id"], "P-7");
    world
        .post(&format!("{path}/reverse"), &json!({"reason": "late"}))
        .await;
    world.assert_verified();
}

#[tokio::test]
async fn a_list_that_is_read_while_its_campaign_leaves_does_not_end_early() {
    let world = kept_for_a_month(&json!({})).await;
    let campaign = world.run(40, &json!({"lead_time": 0})).await;
    world.travel(LATER).await;
    let id = CampaignId::parse(&campaign.to_string()).expect("an id");
    let mut walk =
        CampaignGrants::open(&world.app, &world.acme(), &id, None).expect("it is opened");
    walk.next_grant().expect("read").expect("the first");
    archive(&world).await;
    let ended = loop {
        match walk.next_grant() {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(matches!(ended, Err(Error::Gone { .. })), "{ended:?}");
}

#[tokio::test]
async fn an_archived_campaign_takes_nothing_in() {
    let world = kept_for_a_month(&json!({})).await;
    let campaign = world.run(30, &json!({"lead_time": 0})).await;
    world.travel(LATER).await;
    archive(&world).await;
    assert_eq!(in_ledger(&world), 0);
    // Another channel, the same again by hand, and a round of clearance.
    for body in [
        json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 506}),
        json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504, "TimeStamp": "2027-06-30"}),
    ] {
        world.post(&listener(&world, 13), &body).await;
        world.settle().await;
    }
    let no = world.acme().no();
    let campaign_no = archives(&world).await[0]["folder"]
        .as_str()
        .and_then(|folder| folder.rsplit('/').next()?.parse::<i64>().ok())
        .expect("a number");
    let wanted = world.app.tx("plant", move |tx| {
        let now = tx.now_ms();
        tx.want_job(no, kind::IMPORT, &campaign_no.to_string(), now)?;
        let import = tx.want_import(no, campaign_no, 507)?;
        Ok::<_, StoreError>((import, tx.open_round(no, campaign_no, now + 3_600_000)?))
    });
    assert_eq!(wanted.await.expect("planted"), (false, None));
    world.settle().await;
    assert_eq!(in_ledger(&world), 0);
    assert_eq!(view(&world, campaign).await["status"], "ended");
    world.assert_verified();
}

/// Everything that an archive is, but when it was made.
async fn told(world: &World) -> Vec<Value> {
    let mut archives = archives(world).await;
    for archive in &mut archives {
        for at in ["begun_at", "written_at", "dropped_at"] {
            assert!(archive[at].is_string(), "{archive}");
            archive[at] = Value::Null;
        }
    }
    archives
}

#[tokio::test]
async fn it_dies_at_each_commit_and_goes_on() {
    let mut whole = None;
    for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
        for commit in 0..COMMITS_MAX {
            let world = kept_for_a_month(&json!({})).await;
            let campaign = world.run(40, &json!({"lead_time": 0})).await;
            world.redeem("P-7").await;
            world.travel(LATER).await;
            let (seen, hit) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
            let is_hit = Arc::clone(&hit);
            world.app.store.fail_commits(move |name| {
                let is_of_archive = name.contains("archive") || name.starts_with("drop_");
                (is_of_archive && seen.fetch_add(1, Ordering::Relaxed) == commit).then(|| {
                    is_hit.store(1, Ordering::Relaxed);
                    fault
                })
            });
            archive(&world).await;
            world.settle().await;
            assert!(!has_rows(&world, campaign));
            assert_eq!(in_ledger(&world), 1, "{fault:?} at commit {commit}");
            world.assert_verified();
            let told = told(&world).await;
            assert_eq!(*whole.get_or_insert_with(|| told.clone()), told);
            if hit.load(Ordering::Relaxed) == 0 {
                assert!(commit > 6, "it has more commits than {commit}");
                break;
            }
            assert!(commit + 1 < COMMITS_MAX, "not all commits were tried");
        }
    }
}

#[tokio::test]
async fn what_does_not_add_up_stays_and_is_told() {
    let world = kept_for_a_month(&json!({})).await;
    let campaign = world.run(30, &json!({"lead_time": 0})).await;
    let (no, id) = (world.acme().no(), campaign.to_string());
    let planted = world.app.tx("plant", move |tx| {
        let found = tx.campaign(no, &id)?.map(|campaign| campaign.no);
        let found = found.ok_or_else(|| StoreError::Corrupt("no campaign".into()))?;
        tx.add_counts(no, found, &[("granted".to_owned(), 1)])
    });
    planted.await.expect("planted");
    world.travel(LATER).await;
    archive(&world).await;
    assert_eq!(archives(&world).await, [Value::Null; 0]);
    assert_eq!(world.finding_kinds().await, ["archive_refused"]);
    assert_eq!(world.ledger(campaign).await.len(), 30);
}

#[tokio::test]
async fn a_campaign_with_unique_codes_leaves_and_its_codes_stay_taken() {
    let world = kept_for_a_month(&json!({})).await;
    let body = json!({"name": "Gift", "kind": "unique"});
    world.put("/v1/tenants/acme/promotions/GIFT", &body).await;
    let made = json!({"generate": 50});
    world
        .post("/v1/tenants/acme/promotions/GIFT/codes", &made)
        .await;
    let channels = json!([{"id": 504}, {"id": 505}]);
    let gift = json!({"lead_time": 0,
        "actions": [{"id": 24, "promo_codes": ["GIFT"], "channels": channels}]});
    world.run(30, &gift).await;
    let pool = world.get("/v1/tenants/acme/promotions/GIFT/codes").await;
    world.travel(LATER).await;
    archive(&world).await;
    assert_eq!(in_ledger(&world), 0);
    let after = world.get("/v1/tenants/acme/promotions/GIFT/codes").await;
    assert_eq!(after, pool);
    world.assert_verified();
}

#[tokio::test]
async fn a_conditional_campaign_leaves_with_its_denials() {
    let world = kept_for_a_month(&json!({"conditional": true})).await;
    let out = json!({"customer_ids": ["P-3", "P-4"], "reason": "test"});
    world.post("/v1/tenants/acme/exclusions", &out).await;
    let spec = json!({
        "kind": "conditional", "lead_time": 0,
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let campaign = world.plan(30, &spec);
    world
        .sandbox
        .hold(campaign, 1_200)
        .expect("it waits for clearance");
    world.settle().await;
    world.travel("2027-03-25T06:30:00Z").await;
    world.settle().await;
    world.travel("2027-03-26T08:00:00Z").await;
    world.settle().await;
    let granted = in_ledger(&world);
    assert_eq!(granted, 28);
    world.assert_verified();
    world.travel(LATER).await;
    archive(&world).await;
    assert_eq!(in_ledger(&world), 0);
    let left = archives(&world).await.remove(0);
    let rows = |name: &str| {
        let files = left["files"].as_array().expect("a list").iter();
        let mut named = files.filter(|file| file["name"] == name);
        named.next().map(|file| file["rows"].clone())
    };
    assert_eq!(rows("grants.parquet"), Some(json!(granted)));
    assert_eq!(rows("denials.parquet"), Some(json!(2)));
    world.assert_verified();
}

#[tokio::test]
async fn what_the_daily_list_ended_leaves_with_its_ends() {
    let world = kept_for_a_month(&json!({"expiry": "ended_by_date"})).await;
    let campaign = world.run(25, &json!({"lead_time": 0})).await;
    let optimove = crate::scripted::Scripted::instead(&world).await;
    let row = |n| {
        json!({"CustomerID": format!("P-{n}"), "ActionID": 24, "ChannelID": 504, "Date": "2027-03-25",
            "Duration": 7, "@": "2027-03-31"})
    };
    optimove.list("GetCustomersActionEndedByDate", (1..=25).map(row).collect());
    optimove.list("GetExecutedCampaignsByChannel", Vec::new());
    world.travel("2027-03-31T07:30:00Z").await;
    world
        .post(
            &listener(&world, 3),
            &json!({"EventTypeID": 3, "TimeStamp": "2027-03-31"}),
        )
        .await;
    world.settle().await;
    assert_eq!(view(&world, campaign).await["status"], "ended");
    archive(&world).await;
    assert_eq!(in_ledger(&world), 25, "ended today");
    world.travel(LATER).await;
    archive(&world).await;
    assert_eq!(in_ledger(&world), 0);
    let found = archived_of(&world, "P-3").await;
    assert!(found[0]["ended_at"].is_string() && found[0]["ends_at"].is_null());
    world.assert_verified();
}
