//! What tests ask of the service's API, as admin. Whatever is refused fails the test.

use bestow::actor::Actor;
use bestow::service::idempotency::IdempotencyKey;
use bestow::service::redemptions;
use http::Method;
use serde_json::{Value, json};

use super::World;

impl World {
    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.api.ok(method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Value {
        self.call(Method::PUT, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Value {
        self.call(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str, body: &Value) -> Value {
        self.call(Method::DELETE, path, body).await
    }

    /// The first page of a list.
    pub(crate) async fn rows(&self, path: &str) -> Vec<Value> {
        let page = self.get(path).await;
        page["data"].as_array().expect("a list").clone()
    }

    /// Open findings.
    pub(crate) async fn findings(&self) -> Vec<Value> {
        self.rows("/v1/tenants/acme/findings").await
    }

    /// Their kinds.
    pub(crate) async fn finding_kinds(&self) -> Vec<String> {
        let found = self.findings().await;
        found.iter().map(|one| text(one, "kind")).collect()
    }

    /// Redeems FS20 for a customer, who must be able to. The id of the redemption.
    pub(crate) async fn redeem(&self, customer: &str) -> String {
        let asked = json!({"customer_id": customer, "promo_code": "FS20"});
        let asked = serde_json::from_value(asked).expect("a request");
        let key = IdempotencyKey::parse(&format!("key-{customer}")).expect("a key");
        let redeemed =
            redemptions::redeem(&self.app, &Actor::cli(), &self.acme(), &key, &asked).await;
        let answer = redeemed.expect("an answer");
        let body: Value = serde_json::from_slice(&answer.body).expect("a document");
        text(&body, "id")
    }
}

/// A field of a row that has to be a text.
pub(crate) fn text(row: &Value, field: &str) -> String {
    let text = row[field].as_str();
    text.unwrap_or_else(|| panic!("no text {field} in {row}"))
        .to_owned()
}

/// An object with some of its fields replaced, or with more of them.
pub(crate) fn changed(mut object: Value, over: &Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    fields.extend(over.as_object().expect("an object").clone());
    object
}
