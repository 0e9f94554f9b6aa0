//! Catalogue sync: answers that are lost, entries that are refused, texts that are odd.

use bestow::actor::Actor;
use bestow::service::promotions::{self, CatalogueReport, PutPromotion};
use bestow_store::promotions::Promotion;
use serde_json::json;

use super::switch;
use crate::support::World;

async fn bare() -> World {
    let world = World::start().await;
    world.add_tenant(&json!({})).await;
    world
}

async fn sync(world: &World) -> bestow::Result<CatalogueReport> {
    promotions::sync(&world.app, &Actor::cli(), &world.acme()).await
}

async fn put(world: &World, code: &str, name: &str) -> bestow::Result<()> {
    let put = PutPromotion::named(name);
    promotions::put(&world.app, &Actor::cli(), &world.acme(), code, put)
        .await
        .map(drop)
}

/// A promotion whose name Optimove does not take, as only an older release would have let it in.
async fn nameless(world: &World, code: &str) {
    let text = |text: &str| text.to_owned();
    let promotion = Promotion {
        code_fold: code.to_lowercase(),
        code: text(code),
        name: text(" "),
        status: text("active"),
        kind: text("shared"),
        reward: text("{}"),
        limits: text("{}"),
        metadata: text("{}"),
        version: 1,
        created_at: 0,
        updated_at: 0,
        synced_name: None,
        fallback_code: None,
        validity_days: None,
        resumes_as: None,
        stop_reason: None,
    };
    let no = world.acme().no();
    let put = world
        .app
        .tx("test", move |tx| tx.put_promotion(no, &promotion));
    put.await.expect("it is written");
}

#[tokio::test]
async fn j1_when_the_answer_to_an_add_is_lost_the_list_is_read_back() {
    let world = bare().await;
    put(&world, "FS20", "20 spins").await.unwrap();
    let lost =
        json!({"fault-kind": "reset", "fault-percent": 100, "fault-functions": ["AddPromotions"]});
    switch(&world, &lost);
    assert!(sync(&world).await.is_err(), "a person is told");
    switch(&world, &json!({"fault-percent": 0}));
    assert_eq!(world.codes_there().await.len(), 1, "it took effect");
    // Read back at once: known to be ours, under this name. A change by hand is told from ours.
    let no = world.acme().no();
    let known = world.app.store.read(|tx| {
        let known = tx.promotion(no, "fs20")?.and_then(|one| one.synced_name);
        Ok::<_, bestow_store::Error>((known, tx.codes_added_there(no)?))
    });
    let expected = (Some("20 spins".to_owned()), vec!["fs20".to_owned()]);
    assert_eq!(known.unwrap(), expected);
    assert_eq!(sync(&world).await.unwrap(), CatalogueReport::default());
    world.put_promotion("FS20", "archived").await;
    assert_eq!(sync(&world).await.unwrap().deleted, ["FS20"]);
}

#[tokio::test]
async fn j1_when_the_answer_to_a_delete_is_lost_it_converges() {
    let world = bare().await;
    put(&world, "FS20", "20 spins").await.unwrap();
    sync(&world).await.unwrap();
    world.put_promotion("FS20", "archived").await;
    let functions = json!(["DeletePromotions", "GetPromotions"]);
    let lost = json!({"fault-kind": "reset", "fault-percent": 100, "fault-functions": ["DeletePromotions"]});
    switch(&world, &lost);
    assert!(sync(&world).await.is_err());
    switch(
        &world,
        &json!({"fault-percent": 100, "fault-functions": functions}),
    );
    assert!(sync(&world).await.is_err(), "not even the list can be read");
    switch(&world, &json!({"fault-percent": 0}));
    assert_eq!(sync(&world).await.unwrap(), CatalogueReport::default());
    assert_eq!(world.codes_there().await, []);
}

#[tokio::test]
async fn j4_twins_and_commas_are_refused_and_odd_texts_come_back_as_they_went() {
    let world = bare().await;
    assert!(put(&world, "A,B", "Comma").await.is_err());
    let odd = [
        ("Emoji-🎁", "Geschenk für \"Dich\" 🎁"),
        ("quote'n\"quote", "O'Neill's; \\ -- 100 %"),
        ("spaced code", "a, b, c"),
    ];
    for (code, name) in odd {
        put(&world, code, name).await.unwrap();
    }
    assert!(put(&world, "EMOJI-🎁", "Twin").await.is_err());
    let long = "x".repeat(10_000);
    assert!(put(&world, &long, "Long").await.is_err());
    assert!(put(&world, "LONG", &long).await.is_err());
    let report = sync(&world).await.unwrap();
    assert_eq!((report.added.len(), report.refused), (3, vec![]));
    let mut there = world.codes_there().await;
    there.sort_unstable();
    let sent = odd.map(|(code, name)| (code.to_owned(), name.to_owned()));
    assert_eq!(there, sent);
    assert_eq!(sync(&world).await.unwrap(), CatalogueReport::default());
}

#[tokio::test]
async fn j5_one_bad_entry_is_told_and_the_others_go_through_whatever_optimove_does_with_it() {
    for (what_optimove_does, reason) in
        [("refuse-all", "refused_by_optimove"), ("skip", "not_taken")]
    {
        let world = bare().await;
        switch(&world, &json!({"batch-bad-entry": what_optimove_does}));
        for n in 0..150 {
            put(&world, &format!("P{n:03}"), "Fine").await.unwrap();
        }
        nameless(&world, "P077X").await;
        nameless(&world, "P149X").await;
        let report = sync(&world).await.unwrap();
        assert_eq!(report.added.len(), 150, "{what_optimove_does}");
        let refused: Vec<_> = report
            .refused
            .iter()
            .map(|one| (&*one.code, &*one.reason))
            .collect();
        assert_eq!(refused, [("P077X", reason), ("P149X", reason)]);
        assert_eq!(world.codes_there().await.len(), 150);
    }
}
