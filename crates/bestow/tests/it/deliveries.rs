//! Deliveries: what destinations hear, in which order, and what becomes of it when they fail.

mod doctor;
mod faults;
mod hears;
mod jetstream;
pub(crate) mod receiver;
mod restored;

use http::Method;
use serde_json::{Value, json};

use crate::support::{World, changed};
use receiver::Receiver;

/// A world that may deliver to this machine, with short waits.
async fn world() -> World {
    World::with(|config| {
        config.delivery.allow_networks = "127.0.0.1".into();
        config.delivery.retry_ms = 1;
        config.delivery.rest_ms = 1;
    })
    .await
}

/// The same with tenant `acme`, and a destination `bonus`. Gives the secret that it signs with.
async fn delivering(receiver: &Receiver, over: &Value) -> (World, String) {
    let world = world().await;
    world.connect(&json!({})).await;
    let secret = destination(&world, receiver, over).await;
    (world, secret)
}

async fn destination(world: &World, receiver: &Receiver, over: &Value) -> String {
    let body = changed(
        json!({"id": "bonus", "kind": "http", "url": receiver.url()}),
        over,
    );
    let made = world.of_acme(Method::POST, "destinations", &body).await;
    made["secret"].as_str().expect("a secret").to_owned()
}

impl World {
    /// A request of tenant `acme` that has to succeed.
    async fn of_acme(&self, method: Method, path: &str, body: &Value) -> Value {
        let path = format!("/v1/tenants/acme/{path}");
        self.api.ok(method, &path, body).await.expect("it is done")
    }

    async fn refused(&self, method: Method, path: &str, body: &Value) -> (u16, String) {
        let path = format!("/v1/tenants/acme/{path}");
        let (status, answer) = self.api.json(method, &path, body).await.expect("an answer");
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        (status.as_u16(), code)
    }

    /// All deliveries in a state.
    async fn deliveries(&self, state: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("deliveries?limit=1000&state={state}{cursor}");
            let page = self.of_acme(Method::GET, &path, &Value::Null).await;
            found.extend(page["data"].as_array().expect("a list").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }

    async fn bonus(&self) -> Value {
        self.of_acme(Method::GET, "destinations/bonus", &Value::Null)
            .await
    }
}
