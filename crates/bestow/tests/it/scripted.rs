//! An Optimove that answers what the test says, where the stand-in plays by its rules: for answers that contradict each
//! other, that are missing, or that nobody asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use bestow::actor::Actor;
use bestow::service::tenants;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::World;

/// What is answered, by function.
#[derive(Default)]
struct Script {
    /// Rows of lists, in pages as asked for.
    rows: HashMap<&'static str, Vec<Value>>,
    /// Whole answers, which come before rows.
    answers: HashMap<&'static str, (u16, String)>,
    /// What was asked, in turn.
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Script>>;

/// The scripted Optimove; ends with its value.
pub(crate) struct Scripted {
    script: Shared,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    /// Starts one that knows nothing, and makes it the Optimove of tenant `acme`.
    pub(crate) async fn instead(world: &World) -> Self {
        let script = Shared::default();
        let app = Router::new()
            .route("/{prefix}/{group}/{function}", axum::routing::any(answer))
            .with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        let patch = json!({
            "optimove": {"base_url": url, "auth": {"api_key": "acme-admin-key"}},
        });
        let patch = serde_json::from_value(patch).expect("a change");
        tenants::update(&world.app, &Actor::cli(), "acme", patch)
            .await
            .expect("the tenant is changed");
        Self { script, serving }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("no holder panics")
    }

    /// A list with these rows.
    pub(crate) fn list(&self, function: &'static str, rows: Vec<Value>) {
        let mut script = self.script();
        script.answers.remove(function);
        script.rows.insert(function, rows);
    }

    /// One answer to whatever is asked of a function.
    pub(crate) fn answer(
        &self,
        function: &'static str,
        status: u16,
        body: &(impl ToString + ?Sized),
    ) {
        self.script()
            .answers
            .insert(function, (status, body.to_string()));
    }

    /// What was asked since the last time somebody looked: function, date or campaign, `$skip`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.script().asked)
    }
}

async fn answer(
    State(shared): State<Shared>,
    Path((_, _, function)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, String) {
    let mut script = shared.lock().expect("no holder panics");
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (top, skip) = (number("$top").unwrap_or(100), number("$skip").unwrap_or(0));
    let about = query.get("Date").or(query.get("CampaignID"));
    let about = about.map_or("", String::as_str);
    script.asked.push(format!("{function} {about} {skip}"));
    if let Some((status, body)) = script.answers.get(&*function) {
        let status = StatusCode::from_u16(*status).expect("a status");
        return (status, body.clone());
    }
    let Some(rows) = script.rows.get(&*function) else {
        return (StatusCode::NOT_FOUND, "Not Found".to_owned());
    };
    let fits = |row: &&Value| row["@"].is_null() || row["@"] == about;
    let page: Vec<_> = rows.iter().filter(fits).skip(skip).take(top).collect();
    (StatusCode::OK, json!(page).to_string())
}
