//! The operator's own system, which is asked before a customer of a conditional campaign is approved.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::model::Manner;

/// How long a slow answer takes.
const SLOW: Duration = Duration::from_millis(20);

/// A small server on a port of its own; it ends with the history.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) url: String,
    manner: Arc<Mutex<Manner>>,
    serving: JoinHandle<()>,
}

impl Operator {
    pub(super) async fn start() -> Self {
        let manner = Arc::new(Mutex::new(Manner::Choosy));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new()
            .route("/approve", post(answer))
            .with_state(Arc::clone(&manner));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            url: format!("http://{address}/approve"),
            manner,
            serving,
        }
    }

    /// Answers like this from now on.
    pub(super) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(manner): State<Arc<Mutex<Manner>>>,
    axum::Json(batch): axum::Json<Value>,
) -> Response {
    let manner = *manner.lock().unwrap_or_else(PoisonError::into_inner);
    let customers = batch["customers"].as_array().into_iter().flatten();
    let ids = customers.filter_map(|one| one["customer_id"].as_str());
    match manner {
        Manner::Slow => tokio::time::sleep(SLOW).await,
        Manner::Broken => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Manner::Odd => return "yes to all".into_response(),
        Manner::Choosy | Manner::Decisions => {}
    }
    let body = if manner == Manner::Decisions {
        let one = |id| json!({ "customer_id": id, "approved": is_liked(id) });
        json!({ "decisions": ids.map(one).collect::<Vec<_>>() })
    } else {
        json!({ "approved": ids.filter(|id| is_liked(id)).collect::<Vec<_>>() })
    };
    axum::Json(body).into_response()
}

/// Whether the operator says yes to a customer when it answers at all.
pub(super) fn is_liked(customer: &str) -> bool {
    customer.bytes().map(u64::from).sum::<u64>() % 5 != 0
}
