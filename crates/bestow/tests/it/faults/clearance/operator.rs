//! The operator's own approval endpoint, played by a small server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::Method;
use optimove::sign::{Signer, StandardHeaders};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{denied, hold, pass, settled, stood, work};
use crate::support::World;

const SECRET: &str = "an approval secret of the operator";

/// How the endpoint answers a batch.
type Answer = Arc<dyn Fn(&Value) -> Response + Send + Sync>;

#[derive(Clone)]
struct Operator {
    answer: Answer,
    /// Every batch that came, by its id.
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Operator {
    /// Starts one; its address.
    async fn start(answer: impl Fn(&Value) -> Response + Send + Sync + 'static) -> (Self, String) {
        let this = Self {
            answer: Arc::new(answer),
            seen: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/approve", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/approve", post(take))
            .with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (this, url)
    }

    fn batches(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn take(State(operator): State<Operator>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signer = Signer::new([SECRET.as_bytes().to_vec()]).unwrap();
    let signature = header("webhook-signature");
    let sent = StandardHeaders {
        id: &id,
        timestamp: &timestamp,
        signature: &signature,
    };
    let now = timestamp.parse().unwrap();
    signer
        .verify_standard(sent, &body, now, Duration::from_secs(1))
        .unwrap();
    let batch: Value = serde_json::from_slice(&body).unwrap();
    let answer = (operator.answer)(&batch);
    operator.seen.lock().unwrap().push((id, batch));
    answer
}

fn ids(batch: &Value) -> Vec<&str> {
    let customers = batch["customers"].as_array().unwrap();
    customers
        .iter()
        .map(|one| one["customer_id"].as_str().unwrap())
        .collect()
}

fn is_even(id: &str) -> bool {
    id.ends_with(['0', '2', '4', '6', '8'])
}

async fn asking(url: &str) -> World {
    let world = World::start().await;
    let approval = json!({"url": url, "secret": SECRET});
    world
        .connect(&json!({"conditional": true, "approval": approval}))
        .await;
    world
}

#[tokio::test]
async fn the_operator_has_the_last_word() {
    for shape in ["approved", "decisions"] {
        let (operator, url) = Operator::start(move |batch| {
            let ids = ids(batch);
            let body = match shape {
                "approved" => json!({"approved": ids.into_iter().filter(|id| is_even(id)).collect::<Vec<_>>()}),
                _ => json!({"decisions": ids.into_iter().map(|id|
                    json!({"customer_id": id, "approved": is_even(id)})).collect::<Vec<_>>()}),
            };
            axum::Json(body).into_response()
        })
        .await;
        let world = asking(&url).await;
        let campaign = hold(&world, 20, 3_600, &json!({}));
        work(&world).await;
        let batches = operator.batches();
        assert_eq!(batches.len(), 1);
        let (_, batch) = &batches[0];
        assert_eq!(batch["campaign_id"], campaign.to_string());
        assert_eq!(batch["round"], 1);
        assert_eq!(ids(batch).len(), 20);
        assert_eq!(batch["customers"][0]["promo_codes"], json!(["FS20"]));
        let held = stood(&world, campaign).await;
        assert_eq!(
            (&held["approved"], &held["denied"]),
            (&json!(10), &json!(10))
        );
        assert_eq!(
            denied(&world, campaign).await,
            [("not_approved".to_owned(), 10)]
        );
        settled(&world, campaign).await;
        assert!(
            world
                .ledger(campaign)
                .await
                .keys()
                .all(|(id, _)| is_even(id))
        );
    }
}

#[tokio::test]
async fn a_batch_without_a_usable_answer_is_not_approved_and_the_others_are() {
    type Spoiled = fn() -> Response;
    let spoiled: [Spoiled; 4] = [
        || StatusCode::SERVICE_UNAVAILABLE.into_response(),
        || "yes to all".into_response(),
        || axum::Json(json!({"approve": []})).into_response(),
        || (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response(),
    ];
    for answer in spoiled {
        let (operator, url) = Operator::start(move |batch| {
            let ids = ids(batch);
            if ids.contains(&"P-1") {
                return answer();
            }
            axum::Json(json!({"approved": ids})).into_response()
        })
        .await;
        let world = asking(&url).await;
        let campaign = hold(&world, 2_500, 3_600, &json!({}));
        work(&world).await;
        let mut tries: BTreeMap<String, usize> = BTreeMap::new();
        for (id, _) in operator.batches() {
            *tries.entry(id).or_default() += 1;
        }
        let mut counts: Vec<usize> = tries.into_values().collect();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [1, 1, 3],
            "the spoiled batch is tried three times under one id"
        );
        assert_eq!(world.finding_kinds().await, ["approval_failed"]);
        let held = stood(&world, campaign).await;
        let (approved, no) = (
            held["approved"].as_u64().unwrap(),
            held["denied"].as_u64().unwrap(),
        );
        assert_eq!(approved + no, 2_500);
        assert!([500, 1_000].contains(&no), "one batch of three: {no}");
        settled(&world, campaign).await;
    }
}

#[tokio::test]
async fn nobody_is_approved_who_is_left_out_or_denied_beside() {
    let (_operator, url) = Operator::start(|_| {
        let decisions = json!([
            {"customer_id": "P-1", "approved": true}, {"customer_id": "P-2", "approved": true},
            {"customer_id": "P-2", "approved": false}, {"customer_id": "stranger", "approved": true},
        ]);
        axum::Json(json!({ "decisions": decisions })).into_response()
    })
    .await;
    let world = asking(&url).await;
    let campaign = hold(&world, 3, 3_600, &json!({}));
    work(&world).await;
    settled(&world, campaign).await;
    let customers: Vec<_> = world
        .ledger(campaign)
        .await
        .into_keys()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(customers, ["P-1"]);
    pass(&world, 60).await;
}

#[tokio::test]
async fn the_endpoints_secret_is_never_shown() {
    let world = asking("http://127.0.0.1:1/approve").await;
    let tenant = "/v1/tenants/acme";
    let shown = world.get(tenant).await;
    assert_eq!(
        shown["approval"],
        json!({"url": "http://127.0.0.1:1/approve", "signed": true})
    );
    let audit = world.get("/v1/tenants/acme/audit?limit=1000").await;
    let row = world.acme().row.settings.clone();
    for text in [shown.to_string(), audit.to_string(), row] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(
        !audit.to_string().contains("sealed_secret\":\""),
        "not even sealed"
    );
    for (bad, code) in [
        (json!({"url": "http://example.com/x"}), "bad_approval_url"),
        (json!({"url": "ftp://127.0.0.1/x"}), "bad_approval_url"),
        (
            json!({"url": "https://user:pw@example.com/"}),
            "bad_approval_url",
        ),
        (json!({"url": "nonsense"}), "bad_approval_url"),
        (
            json!({"url": "https://example.com/", "secret": " "}),
            "bad_approval_secret",
        ),
    ] {
        let (status, body) = world
            .api
            .json(Method::PATCH, tenant, &json!({ "approval": bad }))
            .await
            .unwrap();
        assert_eq!((status.as_u16(), &body["code"]), (422, &json!(code)));
    }
    let off = json!({"approval": null});
    let shown = world.patch(tenant, &off).await;
    assert_eq!(shown["approval"], Value::Null);
}
