//! Many at once: one wins, keys get one answer, caps hold. How many is bounded here; `BESTOW_TEST_RACES` multiplies it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bestow::actor::Actor;
use bestow::service::idempotency::IdempotencyKey;
use bestow::service::redemptions::{self, Answered, Redeem};
use serde_json::{Value, json};

use super::{assert_verified, put_promotion};
use crate::http::support::Service;

/// Multiplies the number of rounds and keys.
const MORE: &str = "BESTOW_TEST_RACES";

fn times(count: usize) -> usize {
    let more = std::env::var(MORE).ok();
    count * more.map_or(1, |more| more.parse().expect("a number of times"))
}

fn request(customer: &str, amount: Option<i64>) -> Redeem {
    let body = json!({"customer_id": customer, "promo_code": "FS20", "amount_minor": amount});
    serde_json::from_value(body).unwrap()
}

async fn redeem(service: Arc<Service>, key: String, request: Redeem) -> Answered {
    let (key, acme) = (
        IdempotencyKey::parse(&key).unwrap(),
        service.app.tenant("acme").unwrap(),
    );
    redemptions::redeem(&service.app, &Actor::cli(), &acme, &key, &request)
        .await
        .unwrap()
}

/// Runs all of them at once and gives their answers in order.
async fn at_once(
    service: &Arc<Service>,
    wanted: impl Iterator<Item = (String, Redeem)>,
) -> Vec<Answered> {
    let tasks: Vec<_> = wanted
        .map(|(key, request)| tokio::spawn(redeem(Arc::clone(service), key, request)))
        .collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

fn by_code(answers: &[Answered]) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for answer in answers {
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let code = body["code"].as_str().or(body["status"].as_str()).unwrap();
        *codes.entry(code.to_owned()).or_default() += 1;
    }
    codes
}

async fn service(customers: &[String], put: &Value) -> Arc<Service> {
    let service = Service::start().await;
    put_promotion(&service, "FS20", put).await;
    let customers: Vec<&str> = customers.iter().map(String::as_str).collect();
    service.campaign("12345", &customers, &["FS20"], 0).await;
    Arc::new(service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_at_once_one_redeems() {
    let customers: Vec<String> = (0..times(10)).map(|round| format!("R-{round}")).collect();
    let service = service(&customers, &json!({"name": "x"})).await;
    for customer in &customers {
        let wanted = (0..200).map(|place| (format!("{customer}-{place}"), request(customer, None)));
        let codes = by_code(&at_once(&service, wanted).await);
        let expected = [
            ("already_redeemed".to_owned(), 199),
            ("redeemed".to_owned(), 1),
        ];
        assert_eq!(codes, BTreeMap::from(expected), "{customer}");
    }
    assert_verified(&service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_key_has_one_answer() {
    let keys = times(1_000);
    // Every second customer has nothing, so refusals are among the answers.
    let customers: Vec<String> = (0..keys).step_by(2).map(|n| format!("K-{n}")).collect();
    let service = service(&customers, &json!({"name": "x"})).await;
    for first in (0..keys).step_by(1_000) {
        let wanted = (first..keys.min(first + 1_000)).flat_map(|n| {
            (0..5).map(move |_| (format!("key-{n}"), request(&format!("K-{n}"), None)))
        });
        let answers = at_once(&service, wanted).await;
        for five in answers.chunks(5) {
            assert!(five.iter().all(|one| *one == five[0]), "{five:?}");
        }
    }
    let redeemed = service.app.store.peek(|tx| tx.redemptions(1, "", u32::MAX));
    let redeemed: Result<_, bestow_store::Error> = redeemed;
    assert_eq!(redeemed.unwrap().len(), customers.len());
    assert_verified(&service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn caps_and_budgets_are_exact_under_sixty_four_workers() {
    let (customers, total) = (times(640), times(200));
    let names: Vec<String> = (0..customers).map(|n| format!("L-{n}")).collect();
    let budget = total as i64 * 7 - 3;
    let limits = json!({
        "total": total, "budget_minor": budget, "budget_day_minor": budget, "currency": "EUR",
    });
    let service = service(&names, &json!({"name": "x", "limits": limits})).await;
    let names = Arc::new(names);
    let workers: Vec<_> = (0..64_usize)
        .map(|worker| {
            let (service, names) = (Arc::clone(&service), Arc::clone(&names));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for name in names.iter().skip(worker).step_by(64) {
                    let wanted = request(name, Some(7));
                    answers.push(redeem(Arc::clone(&service), name.clone(), wanted).await);
                }
                answers
            })
        })
        .collect();
    let mut answers = Vec::new();
    for worker in workers {
        answers.extend(worker.await.unwrap());
    }
    // The last one under the limit is one more than the budget has room for.
    let expected = [
        ("budget_exhausted".to_owned(), customers - (total - 1)),
        ("redeemed".to_owned(), total - 1),
    ];
    assert_eq!(by_code(&answers), BTreeMap::from(expected));
    let spent = service.app.store.peek(|tx| tx.promotion_use(1, "fs20", ""));
    let spent: Result<_, bestow_store::Error> = spent;
    let spent = spent.unwrap();
    assert_eq!(
        (spent.used, spent.spent_minor),
        (total as u64 - 1, (total as i64 - 1) * 7)
    );
    assert_verified(&service);
}
