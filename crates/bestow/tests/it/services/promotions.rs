use bestow::actor::Actor;
use bestow::service::promotions::{
    self, CatalogueReport, Foreign, PromotionView, Put, PutPromotion,
};
use bestow_store::promotions::Promotion;
use http::Method;
use serde_json::{Value, json};

use super::code;
use crate::support::World;

async fn put(world: &World, code: &str, body: Value) -> bestow::Result<(PromotionView, Put)> {
    let body: PutPromotion = serde_json::from_value(body).expect("a promotion");
    promotions::put(&world.app, &Actor::cli(), &world.acme(), code, body).await
}

async fn sync(world: &World) -> CatalogueReport {
    promotions::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .expect("it works")
}

#[tokio::test]
async fn a_put_says_what_it_did_and_repeats_change_nothing() {
    let world = World::start().await;
    world.add_tenant(&json!({})).await;
    let body = json!({"name": "20 spins", "reward": {"spins": 20}, "metadata": {"owner": "crm"}});
    let (made, what) = put(&world, "FS20", body.clone()).await.unwrap();
    assert_eq!(
        (what, made.version, made.status.as_str()),
        (Put::Created, 1, "active")
    );
    assert_eq!(
        made.limits,
        json!({
            "per_customer": 1, "per_grant": 1, "total": null, "budget_minor": null, "budget_day_minor": null,
            "budget_week_minor": null, "budget_month_minor": null, "currency": null,
        })
    );
    assert_eq!(
        put(&world, "FS20", body).await.unwrap(),
        (made.clone(), Put::Unchanged)
    );
    let (changed, what) = put(
        &world,
        "FS20",
        json!({"name": "20 spins", "status": "paused"}),
    )
    .await
    .unwrap();
    assert_eq!(
        (what, changed.version, changed.reward),
        (Put::Changed, 2, json!({}))
    );
    assert_eq!(
        promotions::get(&world.app, &world.acme(), "fs20")
            .unwrap()
            .status,
        "paused"
    );
    let no = world.acme().no();
    let records = world.app.store.peek(|tx| tx.audit_records(no, 0, 100));
    let last: Value = serde_json::from_str(&records.unwrap().pop().unwrap().detail).unwrap();
    let told = |version: u64, status: &str, reward: Value| {
        let mut told = last["after"].clone();
        (told["version"], told["status"]) = (json!(version), json!(status));
        (told["reward"], told["metadata"]) = (reward, last["before"]["metadata"].clone());
        told
    };
    assert_eq!(last["before"], told(1, "active", json!({"spins": 20})));
    assert_eq!(last["before"]["metadata"], json!({"owner": "crm"}));
    assert_eq!(
        (
            &last["after"]["version"],
            &last["after"]["status"],
            &last["after"]["reward"]
        ),
        (&json!(2), &json!("paused"), &json!({}))
    );
}

#[tokio::test]
async fn codes_and_values_that_break_a_rule_are_refused() {
    let world = World::connected().await;
    let cases = [
        ("FS20,CB10", json!({"name": "x"}), "bad_promo_code"),
        (" ", json!({"name": "x"}), "bad_promo_code"),
        ("a\u{0}b", json!({"name": "x"}), "bad_promo_code"),
        ("fs20", json!({"name": "x"}), "other_spelling"),
        ("NEW", json!({"name": ""}), "bad_name"),
        (
            "NEW",
            json!({"name": "x", "fallback_code": "K1"}),
            "bad_fallback_code",
        ),
        (
            "NEW",
            json!({"name": "x", "kind": "unique", "fallback_code": "a,b"}),
            "bad_fallback_code",
        ),
        (
            "NEW",
            json!({"name": "x", "limits": {"per_customer": 0}}),
            "bad_limits",
        ),
        (
            "NEW",
            json!({"name": "x", "limits": {"budget_minor": 100}}),
            "bad_limits",
        ),
        (
            "NEW",
            json!({"name": "x", "limits": {"currency": "EURO"}}),
            "bad_limits",
        ),
        (
            "NEW",
            json!({"name": "x", "limits": {"budget_day_minor": -1, "currency": "EUR"}}),
            "bad_limits",
        ),
        (
            "NEW",
            json!({"name": "x", "limits": {"per_grant": 0}}),
            "bad_limits",
        ),
        (
            "NEW",
            json!({"name": "x", "reward": {"type": "amount", "amount_minor": 0, "currency": "EUR"}}),
            "bad_reward",
        ),
        (
            "NEW",
            json!({"name": "x", "metadata": {"a": "b".repeat(20_000)}}),
            "bad_document",
        ),
    ];
    for (promo_code, body, wanted) in cases {
        let refused = put(&world, promo_code, body.clone()).await.unwrap_err();
        assert_eq!(code(&refused), wanted, "{promo_code} {body}");
    }
    assert_eq!(
        promotions::list(&world.app, &world.acme(), "", 10)
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn pairs_held_for_a_code_are_granted_once_it_is_put() {
    let world = World::connected().await;
    let actions = json!([{"id": 24, "promo_codes": ["LATER"], "channels": [{"id": 504}]}]);
    let campaign = world.run(20, &json!({ "actions": actions })).await;
    assert_eq!(world.counts(campaign)["held:unknown_code"], 20);
    world.assert_verified();
    world.put_promotion("LATER", "draft").await;
    world.settle().await;
    assert_eq!(
        world.ledger(campaign).await.len(),
        0,
        "a draft is not granted"
    );
    world.put_promotion("LATER", "active").await;
    world.settle().await;
    world.assert_right(campaign).await;
    assert_eq!(world.counts(campaign).get("held:unknown_code"), None);
}

#[tokio::test]
async fn a_sync_adds_renames_and_verifies_in_chunks_of_a_hundred() {
    let world = World::start().await;
    world.add_tenant(&json!({})).await;
    for n in 0..250 {
        put(
            &world,
            &format!("P{n:03}"),
            json!({"name": format!("Promotion {n}")}),
        )
        .await
        .unwrap();
    }
    put(&world, "DRAFT", json!({"name": "Draft", "status": "draft"}))
        .await
        .unwrap();
    world.add_there("p001", "Named by somebody else").await;
    world.add_there("FOREIGN", "Not ours").await;
    let before = world.calls_of("AddPromotions").await;
    let report = sync(&world).await;
    assert_eq!(
        (report.added.len(), report.renamed, report.refused),
        (249, vec!["p001".to_owned()], vec![])
    );
    assert_eq!(world.calls_of("AddPromotions").await - before, 3);
    let there = world.codes_there().await;
    assert_eq!(there.len(), 251);
    assert!(there.contains(&("p001".to_owned(), "Promotion 1".to_owned())));
    assert!(there.contains(&("FOREIGN".to_owned(), "Not ours".to_owned())));
    let again = sync(&world).await;
    let foreign = Foreign {
        count: 1,
        codes: vec!["FOREIGN".to_owned()],
    };
    let nothing = CatalogueReport {
        foreign,
        ..CatalogueReport::default()
    };
    assert_eq!(again, nothing);
}

#[tokio::test]
async fn only_what_we_added_and_nobody_needs_is_deleted() {
    let world = World::connected().await;
    world.add_there("THEIRS", "THEIRS").await;
    world.put_promotion("THEIRS", "active").await;
    sync(&world).await;
    world.run(5, &json!({})).await;
    for code in ["FS20", "CB10", "THEIRS"] {
        world.put_promotion(code, "archived").await;
    }
    let report = sync(&world).await;
    assert_eq!(report.deleted, ["CB10"]);
    assert_eq!(report.refused.len(), 1);
    assert_eq!(
        (
            report.refused[0].code.as_str(),
            report.refused[0].reason.as_str()
        ),
        ("FS20", "in_use")
    );
    // Windows are over.
    world.travel("2027-05-01T00:00:00Z").await;
    assert_eq!(sync(&world).await.deleted, ["FS20"]);
    let there: Vec<String> = world
        .codes_there()
        .await
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    assert_eq!(there, ["RELOAD", "THEIRS"]);
}

#[tokio::test]
async fn one_entry_that_is_refused_does_not_stop_the_others() {
    let world = World::start().await;
    world.add_tenant(&json!({})).await;
    for n in 0..120 {
        put(
            &world,
            &format!("P{n:03}"),
            json!({"name": format!("Promotion {n}")}),
        )
        .await
        .unwrap();
    }
    // A name that an older release let in and that Optimove does not take.
    let no = world.acme().no();
    let nameless = |code: &str| Promotion {
        code_fold: code.to_lowercase(),
        code: code.to_owned(),
        name: " ".to_owned(),
        status: "active".to_owned(),
        kind: "shared".to_owned(),
        reward: "{}".to_owned(),
        limits: "{}".to_owned(),
        metadata: "{}".to_owned(),
        version: 1,
        created_at: 0,
        updated_at: 0,
        synced_name: None,
        fallback_code: None,
        validity_days: None,
        resumes_as: None,
        stop_reason: None,
    };
    for code in ["BAD1", "Z-BAD2"] {
        let nameless = nameless(code);
        world
            .app
            .tx("test", move |tx| tx.put_promotion(no, &nameless))
            .await
            .unwrap();
    }
    let report = sync(&world).await;
    assert_eq!(report.added.len(), 120);
    let refused: Vec<(&str, &str)> = report
        .refused
        .iter()
        .map(|one| (one.code.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            ("BAD1", "refused_by_optimove"),
            ("Z-BAD2", "refused_by_optimove")
        ]
    );
    assert_eq!(world.codes_there().await.len(), 120);
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_the_next_sync() {
    let world = World::start().await;
    world.add_tenant(&json!({})).await;
    world.put_promotion("FS20", "active").await;
    let fault =
        json!({"fault-kind": "reset", "fault-percent": 100, "fault-functions": ["AddPromotions"]});
    world
        .control(Method::PUT, "/_sandbox/switches", &fault)
        .await;
    let lost = promotions::sync(&world.app, &Actor::cli(), &world.acme()).await;
    assert!(lost.is_err());
    world
        .control(
            Method::PUT,
            "/_sandbox/switches",
            &json!({"fault-percent": 0}),
        )
        .await;
    assert_eq!(world.codes_there().await.len(), 1, "the write took effect");
    assert_eq!(sync(&world).await, CatalogueReport::default());
    // It is known to be ours, so it goes when it is over.
    world.put_promotion("FS20", "archived").await;
    assert_eq!(sync(&world).await.deleted, ["FS20"]);
}

#[tokio::test]
async fn a_file_is_taken_line_by_line_and_leaves_what_it_does_not_name() {
    let world = World::start().await;
    world.add_tenant(&json!({})).await;
    put(
        &world,
        "FS20",
        json!({"name": "Old", "reward": {"spins": 20}, "status": "paused"}),
    )
    .await
    .unwrap();
    let import = async |text: &str| {
        promotions::import_csv(&world.app, &Actor::cli(), &world.acme(), text).await
    };
    let text = "code,name\nFS20,\"20 spins, free\"\nCB10,Cashback\n\"A,B\",Bad\nfs20,Twin\n";
    let report = import(text).await.unwrap();
    assert_eq!((report.created, report.changed), (1, 1));
    let lines: Vec<usize> = report.refused.iter().map(|refusal| refusal.line).collect();
    assert_eq!(lines, [4, 5]);
    let kept = promotions::get(&world.app, &world.acme(), "FS20").unwrap();
    assert_eq!(
        (kept.name.as_str(), kept.status.as_str(), kept.reward),
        ("20 spins, free", "paused", json!({"spins": 20}))
    );
    let again = import("code,name\nCB10,Cashback\n").await.unwrap();
    assert_eq!((again.created, again.changed, again.unchanged), (0, 0, 1));
    assert_eq!(code(&import("name\nx\n").await.unwrap_err()), "bad_csv");
    assert_eq!(code(&import("").await.unwrap_err()), "bad_csv");
}
