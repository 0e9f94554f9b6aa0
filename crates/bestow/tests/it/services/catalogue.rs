//! The catalogue and Optimove's list of codes: what a sync writes, what it leaves alone, and what it tells of changes
//! that somebody made there by hand.

use bestow::actor::Actor;
use bestow::service::findings;
use bestow::service::promotions::{self, CatalogueReport, PutPromotion, SyncWish};
use bestow::service::tenants::{self, TenantPatch};
use serde_json::{Value, json};

use crate::support::World;

const FORCE: SyncWish = SyncWish {
    dry_run: false,
    force: true,
};
const DRY_RUN: SyncWish = SyncWish {
    dry_run: true,
    force: false,
};

/// A tenant without promotions.
async fn bare() -> World {
    let world = World::with(|config| config.work.catalogue_seconds = 86_400).await;
    world.add_tenant(&json!({})).await;
    world
}

async fn name(world: &World, code: &str, name: &str) {
    let put = PutPromotion::named(name);
    promotions::put(&world.app, &Actor::cli(), &world.acme(), code, put)
        .await
        .expect("the promotion is written");
}

async fn sync(world: &World) -> CatalogueReport {
    sync_with(world, &SyncWish::default()).await
}

async fn sync_with(world: &World, wish: &SyncWish) -> CatalogueReport {
    promotions::sync_with(&world.app, &Actor::cli(), &world.acme(), wish)
        .await
        .expect("it works")
}

fn pair(code: &str, name: &str) -> (String, String) {
    (code.to_owned(), name.to_owned())
}

fn open_findings(world: &World) -> Vec<(String, String)> {
    findings::findings(&world.app, &world.acme(), None, 100)
        .expect("they can be read")
        .into_iter()
        .map(|finding| (finding.kind, finding.object))
        .collect()
}

fn newest_audit(world: &World) -> Value {
    let (no, mut after, mut newest) = (world.acme().no(), 0, Value::Null);
    loop {
        let records = world.app.store.read(|tx| tx.audit_records(no, after, 100));
        let records: Vec<_> = records.expect("they can be read");
        let Some(last) = records.last() else {
            return newest;
        };
        after = i64::try_from(last.seq).expect("a small number");
        newest = serde_json::from_str(&last.detail).expect("it is JSON");
    }
}

/// The daily look, a day later.
async fn next_day(world: &World) {
    world.work().await;
    world.travel("2027-03-26T06:00:01Z").await;
    world.work().await;
}

#[tokio::test]
async fn a_change_by_hand_is_overwritten_and_told_with_the_name_that_was_lost() {
    let world = bare().await;
    name(&world, "FS20", "20 spins").await;
    name(&world, "CB10", "Cashback").await;
    sync(&world).await;
    world.add_there("FS20", "Spins, renamed there").await;
    world.optimove().delete_promotions(&["CB10"]).await.unwrap();
    let report = sync(&world).await;
    let told: Vec<_> = report
        .changed_there
        .iter()
        .map(|one| (&*one.code, &*one.change, one.theirs.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("CB10", "deleted", None),
            ("FS20", "renamed", Some("Spins, renamed there")),
        ]
    );
    let ours = [pair("CB10", "Cashback"), pair("FS20", "20 spins")];
    assert_eq!(world.codes_there().await, ours);
    let audited = newest_audit(&world);
    assert_eq!(
        audited["changed_there"][1]["theirs"],
        "Spins, renamed there"
    );
    // It is told once: both sides agree again.
    assert_eq!(sync(&world).await, CatalogueReport::default());
}

#[tokio::test]
async fn a_rename_here_is_no_change_there() {
    let world = bare().await;
    name(&world, "FS20", "20 spins").await;
    sync(&world).await;
    name(&world, "FS20", "Twenty spins").await;
    let report = sync(&world).await;
    assert_eq!((report.renamed.len(), report.changed_there), (1, vec![]));
    assert_eq!(world.codes_there().await, [pair("FS20", "Twenty spins")]);
    assert_eq!(
        world.calls_of("DeletePromotions").await,
        0,
        "a rename is an add"
    );
}

#[tokio::test]
async fn a_code_that_was_there_before_us_is_renamed_told_and_never_deleted() {
    let world = bare().await;
    world.add_there("fs20", "Theirs").await;
    world.add_there("OTHER", "Not ours").await;
    name(&world, "FS20", "Ours").await;
    let report = sync(&world).await;
    assert_eq!(report.renamed, ["fs20"]);
    assert_eq!(report.changed_there[0].change, "added");
    assert_eq!(
        (report.foreign.count, &*report.foreign.codes[0]),
        (1, "OTHER")
    );
    world.put_promotion("FS20", "archived").await;
    let report = sync_with(&world, &FORCE).await;
    assert_eq!((report.deleted.len(), report.foreign.count), (0, 2));
    assert_eq!(world.codes_there().await.len(), 2);
}

#[tokio::test]
async fn a_plan_tells_everything_and_writes_nothing() {
    let world = bare().await;
    name(&world, "FS20", "20 spins").await;
    name(&world, "OLD", "Old").await;
    sync(&world).await;
    world.add_there("FS20", "Renamed there").await;
    name(&world, "NEW", "New").await;
    world.put_promotion("OLD", "archived").await;
    let before = (world.codes_there().await, newest_audit(&world));
    let path = "/v1/tenants/acme/promotions/sync";
    let plan = world.post(path, &json!({"dry_run": true})).await;
    assert_eq!(plan["dry_run"], true);
    assert_eq!(plan["added"], json!(["NEW"]));
    assert_eq!(plan["renamed"], json!(["FS20"]));
    assert_eq!(plan["deleted"], json!(["OLD"]));
    assert_eq!(plan["changed_there"][0]["theirs"], "Renamed there");
    assert_eq!((world.codes_there().await, newest_audit(&world)), before);
    assert_eq!(open_findings(&world), []);
    // The same again: not even what was seen was noted.
    let again = sync_with(&world, &DRY_RUN).await;
    assert_eq!(serde_json::to_value(again).unwrap(), plan);
    let done = sync(&world).await;
    assert_eq!(
        (done.added, done.renamed, done.deleted),
        (
            vec!["NEW".to_owned()],
            vec!["FS20".to_owned()],
            vec!["OLD".to_owned()]
        )
    );
}

#[tokio::test]
async fn chunks_hold_a_hundred_entries_at_every_edge() {
    for (count, chunks) in [(99_usize, 1), (100, 1), (101, 2), (250, 3)] {
        let world = bare().await;
        let rows: Vec<_> = (0..count)
            .map(|n| format!("P{n:03},Promotion {n}"))
            .collect();
        let csv = format!("code,name\n{}\n", rows.join("\n"));
        let written = promotions::import_csv(&world.app, &Actor::cli(), &world.acme(), &csv).await;
        assert_eq!(written.unwrap().created, count as u64);
        assert_eq!(sync(&world).await.added.len(), count);
        assert_eq!(world.calls_of("AddPromotions").await, chunks, "{count}");
        let csv = csv
            .replace("code,name", "code,name,status")
            .replace('\n', ",archived\n");
        let csv = csv.replacen("status,archived", "status", 1);
        let written = promotions::import_csv(&world.app, &Actor::cli(), &world.acme(), &csv).await;
        assert_eq!(written.unwrap().changed, count as u64);
        assert_eq!(sync(&world).await.deleted.len(), count);
        assert_eq!(world.calls_of("DeletePromotions").await, chunks, "{count}");
        assert_eq!(world.codes_there().await, []);
    }
}

#[tokio::test]
async fn a_code_that_a_live_campaign_uses_stays_unless_forced() {
    let world = World::connected().await;
    sync(&world).await;
    world.run(3, &json!({})).await;
    world.put_promotion("FS20", "archived").await;
    let report = sync(&world).await;
    assert_eq!(report.deleted, [""; 0]);
    assert_eq!(
        (&*report.refused[0].code, &*report.refused[0].reason),
        ("FS20", "in_use")
    );
    assert_eq!(sync_with(&world, &FORCE).await.deleted, ["FS20"]);
}

#[tokio::test]
async fn a_code_of_a_campaign_that_is_to_come_stays() {
    let world = World::connected().await;
    sync(&world).await;
    // Announced, and not read: its codes are known to Optimove only.
    let campaign = world.plan(3, &json!({}));
    world.sandbox.process(campaign).unwrap();
    world.delivered().await;
    let no = world.acme().no();
    world
        .app
        .tx("test", move |tx| {
            tx.see_campaign(no, &campaign.to_string(), "scheduled", "notification")
        })
        .await
        .unwrap();
    for code in ["FS20", "CB10"] {
        world.put_promotion(code, "archived").await;
    }
    let report = sync(&world).await;
    assert_eq!(report.deleted, ["CB10"]);
    assert_eq!(report.refused[0].reason, "in_use");
    // Of this one Optimove tells nothing: it may use any code.
    world
        .app
        .tx("test", move |tx| {
            tx.see_campaign(no, "4711", "scheduled", "notification")
        })
        .await
        .unwrap();
    world.put_promotion("RELOAD", "archived").await;
    let report = sync(&world).await;
    assert_eq!(report.deleted, [""; 0]);
    assert_eq!(report.refused.len(), 2);
    assert!(report.refused.iter().any(|one| one.detail.contains("4711")));
}

#[tokio::test]
async fn a_code_that_was_renamed_there_is_not_deleted_behind_somebodys_back() {
    let world = bare().await;
    name(&world, "FS20", "20 spins").await;
    sync(&world).await;
    world.add_there("FS20", "Needed, ask Ann").await;
    world.put_promotion("FS20", "archived").await;
    let report = sync(&world).await;
    assert_eq!(
        (report.deleted.len(), &*report.refused[0].reason),
        (0, "changed_there")
    );
    assert_eq!(
        report.changed_there[0].theirs.as_deref(),
        Some("Needed, ask Ann")
    );
    let finding = pair("catalogue_changed_there", "promotion/FS20");
    assert_eq!(open_findings(&world), [finding]);
    assert_eq!(sync_with(&world, &FORCE).await.deleted, ["FS20"]);
    assert_eq!(open_findings(&world), []);
}

#[tokio::test]
async fn every_day_drift_is_told_and_left_as_it_is() {
    let world = bare().await;
    name(&world, "FS20", "20 spins").await;
    sync(&world).await;
    world.add_there("FS20", "Renamed there").await;
    next_day(&world).await;
    let told = [
        pair("catalogue_changed_there", "promotion/FS20"),
        pair("catalogue_drift", "catalogue"),
    ];
    assert_eq!(open_findings(&world), told);
    assert_eq!(world.codes_there().await, [pair("FS20", "Renamed there")]);
    sync(&world).await;
    assert_eq!(open_findings(&world), []);
}

#[tokio::test]
async fn a_tenant_that_wants_it_is_synced_every_day() {
    let world = bare().await;
    let patch = json!({"catalogue_sync": "daily"});
    let patch: TenantPatch = serde_json::from_value(patch).unwrap();
    let view = tenants::update(&world.app, &Actor::cli(), "acme", patch).await;
    assert_eq!(
        serde_json::to_value(view.unwrap()).unwrap()["catalogue_sync"],
        "daily"
    );
    name(&world, "FS20", "20 spins").await;
    next_day(&world).await;
    assert_eq!(world.codes_there().await, [pair("FS20", "20 spins")]);
    assert_eq!(open_findings(&world), []);
}
