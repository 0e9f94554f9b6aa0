//! Each flow from end to end: told by Optimove over HTTP, asked about by a shop over HTTP, days lived through in
//! seconds on a hand-moved clock. Nobody may redeem a second early or late.

mod asked;
mod listed;
mod many;

use std::collections::{BTreeMap, BTreeSet};

use bestow::clock::instant;
use serde_json::{Value, json};

use crate::support::{Holdings, World, changed};

/// A second, in milliseconds.
const SECOND: i64 = 1_000;

/// From when to when somebody holds a code; the same code may be held several times.
type Spans = BTreeMap<(String, String), Vec<(i64, Option<i64>)>>;

/// The same, of a campaign whose customers hold each code once.
fn spans(holdings: Holdings) -> Spans {
    let one = |(pair, span)| (pair, vec![span]);
    holdings.into_iter().map(one).collect()
}

/// Lives through all starts and ends in their order, and asks for everybody a second before each and at it: the answer
/// is what the spans say. Those who hold nothing get nothing, ever.
async fn live(world: &World, tenant: &str, spans: &Spans, strangers: &[(&str, &str)]) {
    let edges = spans.values().flatten();
    let edges: BTreeSet<i64> = edges
        .flat_map(|(start, end)| [Some(*start).filter(|start| *start > i64::MIN), *end])
        .flatten()
        .collect();
    assert!(!edges.is_empty(), "nobody holds anything");
    for edge in edges {
        for at in [edge - SECOND, edge] {
            world.travel(&instant(at).to_string()).await;
            for ((customer, code), spans) in spans {
                let is_inside = |(start, end): &(i64, Option<i64>)| {
                    *start <= at && end.is_none_or(|end| at < end)
                };
                let answer = ask(world, tenant, customer, code).await;
                assert_eq!(
                    answer["eligible"],
                    spans.iter().any(is_inside),
                    "{customer} {code} at {}: {answer}",
                    instant(at)
                );
            }
            nobody(world, tenant, strangers).await;
        }
    }
}

/// None of these may redeem now.
async fn nobody(world: &World, tenant: &str, of: &[(&str, &str)]) {
    for (customer, code) in of {
        let answer = ask(world, tenant, customer, code).await;
        assert_eq!(answer["eligible"], false, "{customer} {code}: {answer}");
    }
}

/// What a shop hears about a customer and a code.
async fn ask(world: &World, tenant: &str, customer: &str, code: &str) -> Value {
    let question = json!({ "customer_id": customer, "promo_code": code });
    world
        .post(&format!("/v1/tenants/{tenant}/eligibility"), &question)
        .await
}

/// A world with tenant `acme` whose fields are changed by `over`.
async fn world(over: &Value) -> World {
    let world = World::start().await;
    world.connect(over).await;
    world
}

/// Lets seconds pass on both clocks, and does the work that follows.
async fn pass(world: &World, seconds: i64) {
    let to = instant(world.app.clock.now_ms() + seconds * SECOND);
    world.travel(&to.to_string()).await;
    for _ in 0..2 {
        world.delivered().await;
        world.work().await;
    }
}

/// Writes a promotion with fields of its own.
async fn put(world: &World, code: &str, over: &Value) {
    let body = changed(json!({ "name": code }), over);
    world
        .put(&format!("/v1/tenants/acme/promotions/{code}"), &body)
        .await;
}
