//! Random codes that are asked for more than once, by somebody who cannot know what became of the first request.

use bestow::actor::Actor;
use bestow::service::codes::{self, Generate, LoadReport};
use bestow::service::idempotency::{IdempotencyKey, KEY_CHARS_MAX};
use bestow::service::promotions::{self, PutPromotion};
use bestow_store::Fault;
use futures_util::future::join_all;
use serde_json::json;

use super::code;
use crate::support::World;

/// More than two transactions take.
const COUNT: u64 = 5_000;

/// A world whose GIFT gives unique codes and has none.
async fn world() -> World {
    let world = World::connected().await;
    let put: PutPromotion =
        serde_json::from_value(json!({"name": "Gift", "kind": "unique"})).expect("a promotion");
    promotions::put(&world.app, &Actor::cli(), &world.acme(), "GIFT", put)
        .await
        .expect("it is written");
    world
}

async fn generate(world: &World, count: u64, key: Option<&str>) -> bestow::Result<LoadReport> {
    let key = key.map(|key| IdempotencyKey::parse(key).expect("a key"));
    let wanted = Generate { count, key };
    codes::generate(&world.app, &Actor::cli(), &world.acme(), "GIFT", wanted).await
}

fn loaded(world: &World) -> u64 {
    let pool = codes::get(&world.app, &world.acme(), "GIFT");
    pool.expect("it has a pool").loaded
}

/// Lets every `nth` commit of a chunk fail in this way.
fn fail(world: &World, nth: u32, fault: Fault) {
    let met = std::sync::atomic::AtomicU32::new(0);
    world.app.store.fail_commits(move |name| {
        let is_chunk = name == "load_codes";
        let met = met.fetch_add(u32::from(is_chunk), std::sync::atomic::Ordering::SeqCst);
        (is_chunk && met % nth == nth - 1).then_some(fault)
    });
}

#[tokio::test]
async fn the_same_request_makes_no_more_and_answers_the_same() {
    let world = world().await;
    let first = generate(&world, COUNT, Some("spring")).await.expect("made");
    assert_eq!((first.loaded, loaded(&world)), (COUNT, COUNT));
    let again = generate(&world, COUNT, Some("spring")).await.expect("made");
    assert_eq!((again, loaded(&world)), (first, COUNT));
    let other = generate(&world, 7, Some("spring")).await;
    assert_eq!(code(&other.expect_err("refused")), "idempotency_key_reused");
    for key in [Some("summer"), None, None] {
        generate(&world, 10, key).await.expect("made");
    }
    assert_eq!(loaded(&world), COUNT + 30);
    world.assert_verified();
}

#[tokio::test]
async fn many_of_the_same_at_once_make_it_once() {
    let world = world().await;
    let made = join_all((0..8).map(|_| generate(&world, COUNT, Some("spring")))).await;
    for report in made {
        assert_eq!(report.expect("made").loaded, COUNT);
    }
    assert_eq!(loaded(&world), COUNT);
    world.assert_verified();
}

#[tokio::test]
async fn what_was_broken_off_goes_on_where_it_was() {
    let world = world().await;
    // The first chunk is durable; after that the disk is full until the service is started anew.
    let met = std::sync::atomic::AtomicU32::new(0);
    world.app.store.fail_commits(move |name| {
        let is_chunk = name == "load_codes";
        let met = met.fetch_add(u32::from(is_chunk), std::sync::atomic::Ordering::SeqCst);
        (is_chunk && met >= 1).then_some(Fault::BeforeCommit)
    });
    generate(&world, COUNT, Some("spring"))
        .await
        .expect_err("it breaks off");
    let there = loaded(&world);
    assert!(there > 0 && there < COUNT, "{there}");
    let world = world.reopen().await;
    let report = generate(&world, COUNT, Some("spring")).await.expect("made");
    assert_eq!((report.loaded, loaded(&world)), (COUNT, COUNT));
    world.assert_verified();
}

#[tokio::test]
async fn commits_of_unknown_outcome_make_none_too_many() {
    for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
        for key in [Some("spring"), None] {
            let world = world().await;
            fail(&world, 2, fault);
            generate(&world, COUNT, key).await.expect("made");
            assert_eq!(loaded(&world), COUNT, "{fault:?}, key {key:?}");
            world.assert_verified();
        }
    }
}

#[test]
fn a_key_is_short_and_visible() {
    let long = "k".repeat(KEY_CHARS_MAX);
    for key in ["k", "7c6b-Ü".split_at(5).0, "order:17/codes", &*long] {
        assert_eq!(IdempotencyKey::parse(key).expect("a key").as_str(), key);
    }
    let longer = format!("{long}k");
    for key in ["", " ", "a b", "a\nb", "ü", &*longer] {
        let refused = IdempotencyKey::parse(key).expect_err("no key");
        assert_eq!(code(&refused), "bad_idempotency_key", "{key:?}");
    }
}
