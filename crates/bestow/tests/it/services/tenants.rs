use bestow::actor::Actor;
use bestow::service::listeners::LISTENER_PATH;
use bestow::service::tenants::{self, Suspension, TenantPatch, TenantView};
use serde_json::{Value, json};

use super::code;
use crate::support::World;

async fn create(world: &World, over: &Value) -> bestow::Result<TenantView> {
    let new = serde_json::from_value(world.tenant_body(over)).expect("a tenant");
    tenants::create(&world.app, &Actor::cli(), new).await
}

async fn patch(world: &World, patch: Value) -> bestow::Result<TenantView> {
    let patch: TenantPatch = serde_json::from_value(patch).expect("a patch");
    tenants::update(&world.app, &Actor::cli(), "acme", patch).await
}

#[tokio::test]
async fn the_same_again_exists_and_another_says_what_differs() {
    let world = World::start().await;
    create(&world, &json!({})).await.unwrap();
    let again = create(&world, &json!({})).await.unwrap_err();
    assert_eq!(code(&again), "exists");
    let others = [
        (json!({"name": "Other"}), "name"),
        (json!({"time_zone": "Europe/Lisbon"}), "time_zone"),
        (
            json!({"optimove":
                {"base_url": "http://127.0.0.1:1", "auth": {"api_key": "acme-admin-key"}}}),
            "base_url",
        ),
        (
            json!({"optimove": {"base_url": world.sandbox.url(), "auth": {"api_key": "other"}}}),
            "auth",
        ),
        (json!({"scheduled_channels": [504]}), "scheduled_channels"),
        (json!({"triggered_channels": [15]}), "triggered_channels"),
        (json!({"conditional": true}), "conditional"),
        (json!({"expiry": "both"}), "expiry"),
        (
            json!({"cancel_unconfirmed": "suspend"}),
            "cancel_unconfirmed",
        ),
        (json!({"duration_days_default": 3}), "duration_days_default"),
        (json!({"codes_per_row_max": 2}), "codes_per_row_max"),
        (json!({"page_rows": 7}), "page_rows"),
    ];
    for (over, field) in others {
        let refused = create(&world, &over).await.unwrap_err();
        assert_eq!(code(&refused), format!("exists_with_different_{field}"));
    }
    // Channels are a set: their order says nothing.
    let turned = create(&world, &json!({"scheduled_channels": [505, 504, 505]})).await;
    assert_eq!(code(&turned.unwrap_err()), "exists");
}

#[tokio::test]
async fn a_value_that_breaks_a_rule_is_refused_and_nothing_is_stored() {
    let world = World::start().await;
    let url = world.sandbox.url();
    let optimove = |url: &str, auth: Value| json!({"optimove": {"base_url": url, "auth": auth}});
    let cases = [
        (json!({"id": "Acme"}), "bad_tenant_id"),
        (json!({"id": ""}), "bad_tenant_id"),
        (json!({"name": "  "}), "bad_name"),
        (json!({"name": "a\u{0}b"}), "bad_name"),
        (json!({"name": "x".repeat(201)}), "bad_name"),
        (json!({"time_zone": "Mars/Base"}), "bad_time_zone"),
        (json!({"time_zone": "+02:00"}), "bad_time_zone"),
        (optimove("ftp://x", json!({"api_key": "k"})), "bad_base_url"),
        (
            optimove("http://api5.optimove.net", json!({"api_key": "k"})),
            "bad_base_url",
        ),
        (
            optimove("nonsense", json!({"api_key": "k"})),
            "bad_base_url",
        ),
        (optimove(&url, json!({})), "bad_auth"),
        (optimove(&url, json!({"api_key": ""})), "bad_auth"),
        (optimove(&url, json!({"api_key": "a\nb"})), "bad_auth"),
        (optimove(&url, json!({"username": "u"})), "bad_auth"),
        (
            optimove(
                &url,
                json!({"api_key": "k", "username": "u", "password": "p"}),
            ),
            "bad_auth",
        ),
        (json!({"scheduled_channels": [0]}), "bad_channels"),
        (
            json!({"triggered_channels": (1..=101).collect::<Vec<_>>()}),
            "bad_channels",
        ),
        (json!({"duration_days_default": 3651}), "bad_duration"),
        (json!({"codes_per_row_max": 0}), "bad_codes_per_row_max"),
        (json!({"page_rows": 0}), "bad_page_rows"),
    ];
    for (over, wanted) in cases {
        let refused = create(&world, &over).await.unwrap_err();
        assert_eq!(code(&refused), wanted, "{over}");
    }
    assert_eq!(tenants::list(&world.app, "", 10).unwrap(), []);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_takes_a_default_away() {
    let world = World::start().await;
    let before = create(
        &world,
        &json!({"duration_days_default": 5, "page_rows": 100}),
    )
    .await
    .unwrap();
    let after = patch(
        &world,
        json!({"name": "New", "duration_days_default": null}),
    )
    .await
    .unwrap();
    let wanted = TenantView {
        name: "New".to_owned(),
        duration_days_default: None,
        ..before
    };
    assert_eq!(after, wanted);
    assert_eq!(tenants::get(&world.app, "acme").unwrap(), wanted);
    let refused = patch(&world, json!({"page_rows": 0})).await.unwrap_err();
    assert_eq!(code(&refused), "bad_page_rows");
    assert_eq!(tenants::get(&world.app, "acme").unwrap(), wanted);
}

#[tokio::test]
async fn a_credential_is_never_sent_to_another_address_on_anybodys_word() {
    let world = World::start().await;
    create(&world, &json!({})).await.unwrap();
    let elsewhere = json!({"optimove": {"base_url": "https://collector.example"}});
    assert_eq!(
        code(&patch(&world, elsewhere).await.unwrap_err()),
        "auth_needed"
    );
    let with_auth =
        json!({"optimove": {"base_url": "https://api9.example", "auth": {"api_key": "new"}}});
    let view = patch(&world, with_auth).await.unwrap();
    assert_eq!(view.optimove.base_url, "https://api9.example");
}

#[tokio::test]
async fn secrets_are_in_no_view_no_record_and_no_file() {
    let world = World::start().await;
    let auth = json!({"username": "maria", "password": "s3cr3t-passw0rd"});
    let url = world.sandbox.url();
    let view = create(
        &world,
        &json!({"optimove": {"base_url": url, "auth": auth}}),
    )
    .await
    .unwrap();
    let shown = format!("{view:?}{}", serde_json::to_string(&view).unwrap());
    assert!(!shown.contains("s3cr3t-passw0rd") && !shown.contains("maria"));
    let new: tenants::NewTenant = serde_json::from_value(world.tenant_body(&json!({
        "optimove": {"base_url": url, "auth": {"api_key": "s3cr3t-passw0rd"}}
    })))
    .unwrap();
    assert!(!format!("{new:?}").contains("s3cr3t-passw0rd"));
    assert!(
        !world.home.holds("s3cr3t-passw0rd"),
        "a secret is stored in the clear"
    );
}

#[tokio::test]
async fn suspending_twice_is_one_record_and_resuming_undoes_it() {
    let world = World::start().await;
    create(&world, &json!({})).await.unwrap();
    let actor = Actor::cli();
    for _ in 0..2 {
        let view = tenants::set_suspended(&world.app, &actor, "acme", Suspension::Suspend).await;
        assert_eq!(view.unwrap().status, "suspended");
    }
    let view = tenants::set_suspended(&world.app, &actor, "acme", Suspension::Resume).await;
    assert_eq!(view.unwrap().status, "active");
    let no = world.acme().no();
    let records = world
        .app
        .store
        .peek(|tx| tx.audit_records(no, 0, 100))
        .unwrap();
    let actions: Vec<&str> = records
        .iter()
        .map(|record| record.action.as_str())
        .collect();
    assert_eq!(
        actions,
        ["tenant.created", "tenant.suspended", "tenant.resumed"]
    );
}

#[tokio::test]
async fn a_tenant_with_live_grants_is_not_deleted_and_a_deleted_one_keeps_its_record() {
    let world = World::connected().await;
    let campaign = world.run(10, &json!({})).await;
    let refused = tenants::delete(&world.app, &Actor::cli(), "acme")
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "grants_live");
    world.travel("2027-05-01T00:00:00Z").await;
    let url = world.app.public_url.get().unwrap().clone();
    let secret = world.app.keys.listener_secret("acme", 13, 1);
    let path = format!("{LISTENER_PATH}{secret}");
    let body = json!({"CampaignID": 9, "EventTypeID": 13});
    assert!(
        world
            .api
            .json(http::Method::POST, &path, &body)
            .await
            .unwrap()
            .0
            .is_success(),
        "{url}"
    );

    tenants::delete(&world.app, &Actor::cli(), "acme")
        .await
        .unwrap();
    tenants::delete(&world.app, &Actor::cli(), "acme")
        .await
        .unwrap();

    assert_eq!(tenants::get(&world.app, "acme").unwrap().status, "deleted");
    assert_eq!(
        world
            .api
            .json(http::Method::POST, &path, &body)
            .await
            .unwrap()
            .0,
        404
    );
    assert!(world.acme().row.credential.is_empty());
    assert_eq!(world.ledger(campaign).await.len(), 10);
    let resumed =
        tenants::set_suspended(&world.app, &Actor::cli(), "acme", Suspension::Resume).await;
    assert_eq!(code(&resumed.unwrap_err()), "deleted");
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() {
    let world = World::start().await;
    let actor = Actor::cli();
    let refusals = [
        tenants::get(&world.app, "acme").unwrap_err(),
        patch(&world, json!({})).await.unwrap_err(),
        tenants::delete(&world.app, &actor, "acme")
            .await
            .unwrap_err(),
        tenants::set_suspended(&world.app, &actor, "acme", Suspension::Suspend)
            .await
            .unwrap_err(),
    ];
    assert!(refusals.iter().all(|refusal| code(refusal) == "tenant"));
}

#[tokio::test]
async fn what_a_tenant_was_and_is_stands_in_its_record() {
    let world = World::start().await;
    create(&world, &json!({})).await.unwrap();
    let patch = json!({"name": "Acme Ltd", "retention_days": 400});
    let patch = serde_json::from_value(patch).unwrap();
    let actor = Actor::cli();
    tenants::update(&world.app, &actor, "acme", patch)
        .await
        .unwrap();
    let no = world.acme().no();
    let records = world.app.store.peek(|tx| tx.audit_records(no, 0, 100));
    let details: Vec<Value> = records
        .unwrap()
        .iter()
        .map(|record| serde_json::from_str(&record.detail).unwrap())
        .collect();
    let [created, changed] = &*details else {
        panic!("{details:?}")
    };
    assert_eq!(created["before"], Value::Null);
    assert_eq!(created["after"], changed["before"]);
    assert_eq!(
        (&changed["before"]["name"], &changed["after"]["name"]),
        (&json!("Acme"), &json!("Acme Ltd"))
    );
    let retention = |told: &Value| told["settings"]["retention_days"].clone();
    assert_eq!(
        (retention(&changed["before"]), retention(&changed["after"])),
        (Value::Null, json!(400))
    );
    assert_eq!(changed["credential_replaced"], json!(false));
}

#[tokio::test]
async fn another_zone_is_for_campaigns_that_come_after_it() {
    let world = World::connected().await;
    let spec = json!({"scheduled_at": "2027-03-26T09:00"});
    let before = world.run(3, &spec).await;
    let granted = world.ledger(before).await;
    let zone = json!({"time_zone": "Asia/Kathmandu"});
    patch(&world, zone.clone()).await.expect("it is changed");
    world
        .control(http::Method::PUT, "/_sandbox/tenants/acme", &zone)
        .await;
    world.settle().await;
    assert_eq!(world.ledger(before).await, granted);
    let after = world.run(3, &spec).await;
    let starts = |of: &crate::support::Holdings| {
        let starts = of.values().map(|(starts_at, _)| *starts_at);
        starts.min().expect("a grant")
    };
    let earlier = starts(&granted) - starts(&world.ledger(after).await);
    assert_eq!(earlier, (5 * 60 + 45) * 60_000);
    let no = world.acme().no();
    let records = world.app.store.peek(|tx| tx.audit_records(no, 0, 1_000));
    let is_of_zone = |detail: &str| detail.contains("Asia/Kathmandu");
    let told = records.unwrap().into_iter().find(|record| {
        record.action == "tenant.changed" && is_of_zone(&format!("{:?}", record.detail))
    });
    assert!(told.is_some());
}
