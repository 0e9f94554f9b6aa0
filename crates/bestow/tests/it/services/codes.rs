//! Unique codes: loaded, given with grants, shown, run out of and loaded again.

use std::collections::BTreeSet;

use bestow::actor::Actor;
use bestow::events::Event;
use bestow::service::codes::{self, Generate, Load, LoadReport, PoolView};
use bestow::service::promotions::{self, PutPromotion};
use bestow::work::{Workers, kind};
use bestow_store::Error as StoreError;
use http::Method;
use serde_json::{Value, json};

use super::code;
use crate::support::World;

async fn put(world: &World, over: &Value) -> bestow::Result<()> {
    let mut body = json!({"name": "Gift", "kind": "unique"});
    let fields = body.as_object_mut().expect("an object");
    fields.extend(over.as_object().expect("an object").clone());
    let put: PutPromotion = serde_json::from_value(body).expect("a promotion");
    promotions::put(&world.app, &Actor::cli(), &world.acme(), "GIFT", put)
        .await
        .map(|_| ())
}

/// A world whose GIFT gives unique codes, with a pool of this many.
async fn gifts(count: u64, over: &Value) -> World {
    let world = World::connected().await;
    put(&world, over).await.expect("it is written");
    load(&world, 0, count).await;
    world
}

/// Loads the codes K-FROM to K-TO, the last not included.
async fn load(world: &World, from: u64, to: u64) -> LoadReport {
    let text = lines(from..to, |n| format!("K-{n:05}"));
    let acme = world.acme();
    let mut load = Load::begin(&world.app, &Actor::cli(), &acme, "gift").expect("it begins");
    load.take(text.as_bytes()).await.expect("it is taken");
    load.end().await.expect("it ends")
}

fn pool(world: &World) -> PoolView {
    codes::get(&world.app, &world.acme(), "GIFT").expect("it has a pool")
}

/// One action with GIFT on channels 504 and 505, to everybody.
fn gift() -> Value {
    let channels = json!([{"id": 504}, {"id": 505}]);
    json!({"actions": [{"id": 24, "promo_codes": ["GIFT"], "channels": channels}]})
}

async fn export(world: &World, campaign: u64, query: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/codes{query}");
    world
        .api
        .lines(&path, |line| {
            rows.push(serde_json::from_slice(line)?);
            Ok(())
        })
        .await
        .expect("the export is read");
    rows
}

/// Codes of a campaign; no two alike.
async fn given(world: &World, campaign: u64) -> BTreeSet<String> {
    let rows = export(world, campaign, "").await;
    let codes: BTreeSet<String> = rows
        .iter()
        .map(|row| row["promocode"].as_str().expect("a code").to_owned())
        .collect();
    assert_eq!(codes.len(), rows.len(), "a code was given twice");
    codes
}

/// So many random codes, each time it is asked for.
fn random(count: u64) -> Generate {
    Generate { count, key: None }
}

async fn ask(world: &World, customer: &str) -> Value {
    let question = json!({"customer_id": customer, "promo_code": "gift"});
    let path = "/v1/tenants/acme/eligibility";
    let asked = world.api.ok(Method::POST, path, &question).await;
    asked.expect("an answer")
}

/// Wants one channel of a campaign to be read, as its notification would, and does it.
async fn read_channel(world: &World, campaign: u64, channel: i64) {
    let (tenant, id) = (world.acme().no(), campaign.to_string());
    world
        .app
        .tx("test_want", move |tx| {
            let (no, _) = tx.see_campaign(tenant, &id, "scheduled", "test")?;
            tx.want_import(tenant, no, channel)?;
            let now = tx.now_ms();
            tx.want_job(tenant, kind::IMPORT, &no.to_string(), now)
        })
        .await
        .expect("it is wanted");
    world.settle().await;
}

fn findings(world: &World) -> Vec<String> {
    let found = world
        .app
        .store
        .read(|tx| tx.findings(world.acme().no()))
        .expect("they can be read");
    let low = found.into_iter().filter(|one| one.kind == "codes_low");
    low.map(|one| one.detail).collect()
}

#[tokio::test]
async fn each_customer_has_one_code_that_is_shown_everywhere() {
    let world = gifts(40, &json!({})).await;
    let campaign = world.run(30, &gift()).await;
    world.assert_right(campaign).await;
    let codes = given(&world, campaign).await;
    assert_eq!(codes.len(), 30);
    assert_eq!(
        pool(&world),
        PoolView {
            loaded: 40,
            assigned: 30,
            free: 10,
            void: 0,
            fallbacks: 0
        }
    );
    let rows = export(&world, campaign, "").await;
    let row = &rows[0];
    let key = row["user_campaignid"].as_str().expect("a key");
    let customer = key.strip_suffix(&format!("_{campaign}")).expect("the key");
    // Two days of lead and seven of duration from 25 March: it ends on 3 April.
    assert_eq!(row["promo_code"], "GIFT");
    assert_eq!(row["expiry_date"], "2027-04-03");
    let path = format!("/v1/tenants/acme/customers/{customer}/grants");
    let list = world.api.ok(Method::GET, &path, &Value::Null).await;
    let list = list.expect("a list");
    assert_eq!(list["data"][0]["unique_code"], row["promocode"]);
    world.travel("2027-03-28T06:00:00Z").await;
    let answer = ask(&world, customer).await;
    assert_eq!(answer["grant"]["unique_code"], row["promocode"]);
    // Nobody else's promotion is in it.
    assert!(
        export(&world, campaign, "?promo_code=FS20")
            .await
            .is_empty()
    );
    assert_eq!(export(&world, campaign, "?promo_code=gift").await, rows);
    // Reading everything once more gives nobody another code.
    read_channel(&world, campaign, 0).await;
    assert_eq!(given(&world, campaign).await, codes);
    assert_eq!(pool(&world).assigned, 30);
    world.assert_verified();
}

#[tokio::test]
async fn two_campaigns_at_once_share_no_code() {
    let world = gifts(1_000, &json!({})).await;
    world
        .sandbox
        .set_switches(&json!({"notify-drop": 100}))
        .expect("a switch");
    let mut campaigns = Vec::new();
    for _ in 0..2 {
        let campaign = world.plan(400, &gift());
        world.sandbox.process(campaign).expect("it is executed");
        campaigns.push(campaign);
    }
    let mut events = world.app.events.subscribe();
    let (tenant, ids) = (world.acme().no(), campaigns.clone());
    world
        .app
        .tx("test_want", move |tx| {
            for id in &ids {
                let (no, _) = tx.see_campaign(tenant, &id.to_string(), "scheduled", "test")?;
                tx.want_import(tenant, no, 504)?;
                tx.want_job(tenant, kind::IMPORT, &no.to_string(), 0)?;
            }
            Ok(())
        })
        .await
        .expect("they are wanted");
    let workers = Workers::start(&world.app);
    let mut ended = 0;
    while ended < 2 {
        if let Event::ImportEnded { state, .. } = events.recv().await.expect("events go on") {
            assert_eq!(state, "done");
            ended += 1;
        }
    }
    workers.stop().await;
    let [first, second] = [
        given(&world, campaigns[0]).await,
        given(&world, campaigns[1]).await,
    ];
    assert_eq!((first.len(), second.len()), (400, 400));
    assert!(first.is_disjoint(&second));
    let pool = pool(&world);
    assert_eq!(pool.loaded, pool.assigned + pool.free + pool.void);
    assert_eq!(pool.assigned, 800);
    world.assert_verified();
}

/// C6: pairs that find no code wait, whatever lists bring them, and each is granted once when there are codes.
#[tokio::test]
async fn an_empty_pool_holds_and_a_load_releases() {
    let world = gifts(10, &json!({})).await;
    world
        .sandbox
        .set_switches(&json!({"notify-drop": 100}))
        .expect("a switch");
    let campaign = world.plan(25, &gift());
    world.sandbox.process(campaign).expect("it is executed");
    let counts = || {
        let counts = world.counts(campaign);
        let n = |name: &str| counts.get(name).copied().unwrap_or_default();
        (
            n("pairs"),
            n("granted"),
            n("repeated"),
            n("held:no_free_code"),
        )
    };
    read_channel(&world, campaign, 504).await;
    assert_eq!(counts(), (25, 10, 0, 15));
    world.assert_verified();
    // The second list brings everybody again: those who have a code repeat, the others wait twice.
    read_channel(&world, campaign, 505).await;
    assert_eq!(counts(), (50, 10, 10, 30));
    world.assert_verified();
    let held = world
        .api
        .ok(Method::GET, "/v1/tenants/acme/held", &Value::Null)
        .await
        .expect("a list");
    assert_eq!(held["data"][0]["reason"], "no_free_code");
    assert_eq!(held["data"][0]["promo_codes"], json!(["GIFT"]));

    load(&world, 10, 14).await;
    world.settle().await;
    assert_eq!(counts(), (50, 14, 14, 22));
    world.assert_verified();
    load(&world, 14, 100).await;
    world.settle().await;
    assert_eq!(counts(), (50, 25, 25, 0));
    world.assert_right(campaign).await;
    assert_eq!(given(&world, campaign).await.len(), 25);
    assert_eq!(pool(&world).free, 75);
}

/// Codes that come between the two lists of a campaign are for those who wait since the first one.
#[tokio::test]
async fn codes_that_come_in_the_middle_of_a_campaign_change_no_count() {
    let world = gifts(5, &json!({})).await;
    world
        .sandbox
        .set_switches(&json!({"notify-drop": 100}))
        .expect("a switch");
    let campaign = world.plan(20, &gift());
    world.sandbox.process(campaign).expect("it is executed");
    read_channel(&world, campaign, 504).await;
    let acme = world.acme();
    let mut load = Load::begin(&world.app, &Actor::cli(), &acme, "GIFT").expect("it begins");
    let text = lines(0..2_000, |n| format!("M{n}"));
    load.take(text.as_bytes()).await.expect("it is taken");
    // Broken off: what is loaded stays, and the second list comes before anybody looks at those who wait.
    drop(load);
    read_channel(&world, campaign, 505).await;
    world.assert_right(campaign).await;
    let counts = world.counts(campaign);
    assert_eq!((counts["granted"], counts["repeated"]), (20, 20));
    assert_eq!(given(&world, campaign).await.len(), 20);
}

/// Ids that are nearly equal and the limit of codes see a pair that waits as one that is granted.
#[tokio::test]
async fn who_waits_for_a_code_keeps_their_place() {
    let world = gifts(0, &json!({})).await;
    let drop_all = json!({"notify-drop": 100});
    world.sandbox.set_switches(&drop_all).expect("a switch");
    for code in ["A", "B", "C", "D", "E"] {
        world.put_promotion(code, "active").await;
    }
    let row = |id: &str, codes: &str| json!({"id": id, "action": 24, "promo_code": codes});
    let rows = [
        row("Ab", "GIFT"),
        row("aB", "FS20"),
        row("greedy", "GIFT,A,B"),
        row("greedy", "C,D,E"),
    ];
    let mut over = gift();
    over["audience"] = json!({ "customers": rows });
    let campaign = world.plan(0, &over);
    world.sandbox.process(campaign).expect("it is executed");
    let held = |reason: &str| {
        let counts = world.counts(campaign);
        counts
            .get(&format!("held:{reason}"))
            .copied()
            .unwrap_or_default()
    };
    for (channel, times) in [(504, 1), (505, 2)] {
        read_channel(&world, campaign, channel).await;
        assert_eq!(held("no_free_code"), 2 * times);
        assert_eq!(held("near_equal_customer_id"), times);
        assert_eq!(held("too_many_codes"), times);
        world.assert_verified();
    }
    load(&world, 0, 10).await;
    world.settle().await;
    assert_eq!(held("no_free_code"), 0);
    assert_eq!(
        (held("near_equal_customer_id"), held("too_many_codes")),
        (2, 2)
    );
    let ledger = world.ledger(campaign).await;
    assert_eq!(ledger.len(), 6);
    assert!(ledger.contains_key(&("Ab".to_owned(), "GIFT".to_owned())));
    assert!(ledger.contains_key(&("greedy".to_owned(), "GIFT".to_owned())));
    world.assert_verified();
}

/// A code that nobody knew turns out to be one with a pool that is too small.
#[tokio::test]
async fn an_unknown_code_may_become_one_that_waits() {
    let world = World::connected().await;
    let campaign = world.run(12, &gift()).await;
    assert_eq!(world.counts(campaign)["held:unknown_code"], 24);
    put(&world, &json!({})).await.expect("it is written");
    world.settle().await;
    assert_eq!(world.counts(campaign)["held:no_free_code"], 24);
    world.assert_verified();
    load(&world, 0, 7).await;
    world.settle().await;
    let counts = world.counts(campaign);
    assert_eq!((counts["granted"], counts["held:no_free_code"]), (7, 10));
    world.assert_verified();
    // A fallback code is for everybody who is left.
    put(&world, &json!({"fallback_code": "WELCOME"}))
        .await
        .expect("it is written");
    world.settle().await;
    world.assert_right(campaign).await;
    let rows = export(&world, campaign, "").await;
    let fallback = rows.iter().filter(|row| row["promocode"] == "WELCOME");
    assert_eq!((rows.len(), fallback.count()), (12, 5));
    assert_eq!(pool(&world).fallbacks, 5);
}

#[tokio::test]
async fn what_customers_have_cannot_change_under_them() {
    let world = gifts(3, &json!({"fallback_code": "WELCOME"})).await;
    let campaign = world.run(5, &gift()).await;
    world.assert_right(campaign).await;
    world.travel("2027-03-28T06:00:00Z").await;
    let rows = export(&world, campaign, "").await;
    for row in &rows {
        let key = row["user_campaignid"].as_str().expect("a key");
        let customer = key.strip_suffix(&format!("_{campaign}")).expect("the key");
        let answer = ask(&world, customer).await;
        assert_eq!(answer["grant"]["unique_code"], row["promocode"]);
    }
    for (over, wanted) in [
        (json!({"kind": "shared"}), "kind_in_use"),
        (json!({"fallback_code": "OTHER"}), "fallback_in_use"),
        (json!({}), "fallback_in_use"),
    ] {
        let refused = put(&world, &over).await.expect_err("it is in use");
        assert_eq!(code(&refused), wanted);
    }
    // The rest may change.
    put(
        &world,
        &json!({"name": "Other", "fallback_code": "WELCOME"}),
    )
    .await
    .expect("it is written");
    let acme = world.acme();
    let void = |code: &'static str| {
        let (app, acme) = (&world.app, &acme);
        async move { codes::void(app, &Actor::cli(), acme, "GIFT", code).await }
    };
    let refused = void("k00001").await.expect_err("somebody has it");
    assert_eq!(code(&refused), "code_assigned");
    assert_eq!(
        code(&void("nonsense").await.expect_err("none")),
        "code in this pool"
    );
    load(&world, 3, 5).await;
    let figures = void("k 00004").await.expect("it is free");
    assert_eq!(void("K-00004").await.expect("it is void already"), figures);
    assert_eq!((figures.free, figures.void), (1, 1));
    world.assert_verified();
}

#[tokio::test]
async fn only_promotions_of_kind_unique_have_codes() {
    let world = World::connected().await;
    let acme = world.acme();
    let asked = codes::get(&world.app, &acme, "FS20").expect_err("it is shared");
    assert_eq!(code(&asked), "not_unique");
    let asked = codes::get(&world.app, &acme, "NONE").expect_err("it is not there");
    assert_eq!(code(&asked), "promotion");
    let loaded = codes::generate(&world.app, &Actor::cli(), &acme, "FS20", random(1)).await;
    assert_eq!(code(&loaded.expect_err("it is shared")), "not_unique");
    put(&world, &json!({})).await.expect("it is written");
    for count in [0, codes::GENERATED_MAX + 1] {
        let made = codes::generate(&world.app, &Actor::cli(), &acme, "GIFT", random(count)).await;
        assert_eq!(code(&made.expect_err("no count")), "bad_count");
    }
    let made = codes::generate(&world.app, &Actor::cli(), &acme, "GIFT", random(2_500)).await;
    assert_eq!(made.expect("they are made").loaded, 2_500);
    assert_eq!(pool(&world).free, 2_500);
}

/// A load that a crash cuts off keeps its whole chunks; the same file again loads the rest, and nothing twice.
#[tokio::test]
async fn a_crash_in_the_middle_of_a_load_keeps_what_was_loaded() {
    let world = gifts(0, &json!({})).await;
    let text = lines(0..5_000, |n| format!("K-{n:05}\r"));
    let acme = world.acme();
    let mut load = Load::begin(&world.app, &Actor::cli(), &acme, "GIFT").expect("it begins");
    load.take(&text.as_bytes()[..45_000])
        .await
        .expect("it is taken");
    drop(load);
    drop(acme);
    let world = world.reopen().await;
    assert_eq!(pool(&world).loaded, 4_000);
    let acme = world.acme();
    let mut load = Load::begin(&world.app, &Actor::cli(), &acme, "GIFT").expect("it begins");
    load.take(text.as_bytes()).await.expect("it is taken");
    let report = load.end().await.expect("it ends");
    assert_eq!((report.loaded, report.duplicates), (1_000, 4_000));
    assert_eq!(pool(&world).loaded, 5_000);
    world.assert_verified();
}

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_loads_and_gives_nothing_twice() {
    let world = gifts(0, &json!({})).await;
    let failing = std::sync::atomic::AtomicU32::new(0);
    world.app.store.fail_commits(move |name| {
        let is_ours = ["load_codes", "merge_chunk", "grant_waiting"].contains(&name);
        let turn = failing.fetch_add(u32::from(is_ours), std::sync::atomic::Ordering::SeqCst);
        match turn % 3 {
            1 if is_ours => Some(bestow_store::Fault::AfterCommit),
            2 if is_ours => Some(bestow_store::Fault::BeforeCommit),
            _ => None,
        }
    });
    load(&world, 0, 3).await;
    let campaign = world.run(10, &gift()).await;
    load(&world, 0, 20).await;
    world.settle().await;
    world.assert_right(campaign).await;
    assert_eq!(given(&world, campaign).await.len(), 10);
    assert_eq!((pool(&world).loaded, pool(&world).assigned), (20, 10));
}

/// C6: told once at 20 %, at 5 % and when empty; and again after a load.
#[tokio::test]
async fn a_pool_that_runs_low_is_told_once_for_each_mark() {
    let world = gifts(100, &json!({})).await;
    let mut events = world.app.events.subscribe();
    let mut told = || {
        let mut percents = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let Event::CodesLow { percent, .. } = event {
                percents.push(percent);
            }
        }
        percents
    };
    for (customers, percents, finding) in [
        (79, vec![], None),
        (1, vec![20], Some("20 of 100 unique codes are left")),
        (14, vec![], Some("20 of 100 unique codes are left")),
        (1, vec![5], Some("5 of 100 unique codes are left")),
        (7, vec![0], Some("0 of 100 unique codes are left")),
    ] {
        let prefix = format!("{customers}-");
        let audience = json!({"count": customers, "prefix": prefix});
        let mut over = gift();
        over["audience"] = audience;
        world.run(customers, &over).await;
        assert_eq!(told(), percents);
        assert_eq!(
            findings(&world),
            finding.map(str::to_owned).into_iter().collect::<Vec<_>>()
        );
    }
    load(&world, 100, 110).await;
    assert_eq!(findings(&world), ["10 of 110 unique codes are left"]);
    world.settle().await;
    // Two had waited: eight are left, below the first mark as before.
    assert_eq!(told(), [0_u8; 0]);
    let mut over = gift();
    over["audience"] = json!({"count": 3, "prefix": "more-"});
    world.run(3, &over).await;
    assert_eq!(told(), [5]);
    load(&world, 110, 1_000).await;
    assert_eq!(findings(&world), [""; 0]);
    world.assert_verified();
}

#[tokio::test]
async fn damaged_codes_are_found_by_verify() {
    let world = gifts(5, &json!({})).await;
    world.run(3, &gift()).await;
    let tenant = world.acme().no();
    world
        .app
        .tx("damage", move |tx| {
            tx.execute(
                "-- damage
                UPDATE code_pool SET assigned = assigned - 1 WHERE tenant = $1",
                bestow_store::values![tenant],
            )
            .map_err(|e| StoreError::Corrupt(e.to_string()))
        })
        .await
        .expect("it is damaged");
    let found = bestow::service::verify::run(&world.app).expect("it runs");
    let rules: Vec<&str> = found.iter().map(|one| one.violation.rule).collect();
    assert_eq!(rules, ["codes_add_up"]);
}

/// A file with a line for each number.
fn lines(numbers: std::ops::Range<u64>, line: impl Fn(u64) -> String) -> String {
    let mut file = String::new();
    for number in numbers {
        file.push_str(&line(number));
        file.push('\n');
    }
    file
}
