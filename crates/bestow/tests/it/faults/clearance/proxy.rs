//! What stands between the service and the stand-in, and spoils calls as a test wants it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes through.
    Through,
    /// It goes through, and its answer breaks off.
    AnswerLost,
    /// It goes nowhere, and this is the answer.
    Refused(u16),
}

/// A call on its way: its path, and its body if it is JSON.
pub(super) struct Call {
    pub(super) path: String,
    pub(super) body: Value,
}

impl Call {
    /// The reports in it: customer and status.
    pub(super) fn reports(&self) -> Vec<(&str, bool)> {
        let list = self.body["PromosUpdated"].as_array();
        list.into_iter()
            .flatten()
            .map(|one| {
                let customer = one["CustomerID"].as_str().unwrap();
                (customer, one["Status"].as_bool().unwrap())
            })
            .collect()
    }
}

type Judge = Box<dyn FnMut(&Call) -> Fate + Send>;

#[derive(Clone)]
struct Inner {
    target: String,
    http: reqwest::Client,
    judge: Arc<Mutex<Judge>>,
}

/// A running proxy.
pub(super) struct Proxy {
    pub(super) url: String,
    _stop: DropGuard,
}

impl Proxy {
    /// Starts before a server; `judge` decides about each call.
    pub(super) async fn start(
        target: String,
        judge: impl FnMut(&Call) -> Fate + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner {
            target,
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()
                .unwrap(),
            judge: Arc::new(Mutex::new(Box::new(judge))),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let router = Router::new().fallback(pass).with_state(inner);
        tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
            served.await.unwrap();
        });
        Self {
            url,
            _stop: stop.drop_guard(),
        }
    }
}

async fn pass(
    State(inner): State<Inner>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        path: uri.path().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let fate = (inner.judge.lock().unwrap())(&call);
    if let Fate::Refused(status) = fate {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let target = format!("{}{uri}", inner.target);
    let mut request = inner.http.request(method, target).body(body);
    for name in ["x-api-key", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    if fate == Fate::AnswerLost {
        let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
        return Body::from_stream(broken).into_response();
    }
    (status, [("content-type", "application/json")], body).into_response()
}
