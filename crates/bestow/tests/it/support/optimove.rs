//! What somebody does and sees at Optimove, beside the service.

use http::Method;
use optimove::client::Auth;
use optimove::{Client, Secret, wire};
use serde_json::Value;

use super::World;

impl World {
    /// A client of Optimove's with the tenant's credential.
    pub(crate) fn optimove(&self) -> Client {
        let auth = Auth::ApiKey(Secret::new("acme-admin-key"));
        Client::builder(&self.sandbox.url(), auth)
            .build()
            .expect("a client")
    }

    /// Optimove's list of codes with their names, in the order of codes.
    pub(crate) async fn codes_there(&self) -> Vec<(String, String)> {
        let there = self.optimove().get_promotions().await.expect("the list");
        let mut there: Vec<_> = there.into_iter().map(|one| (one.code, one.name)).collect();
        there.sort_unstable();
        there
    }

    /// Somebody adds or renames a code there by hand.
    pub(crate) async fn add_there(&self, code: &str, name: &str) {
        let entry = wire::Promotion {
            code: code.to_owned(),
            name: name.to_owned(),
        };
        let added = self.optimove().add_promotions(&[entry]).await;
        added.expect("it is added");
    }

    /// How often the tenant called a function.
    pub(crate) async fn calls_of(&self, function: &str) -> u64 {
        let path = "/_sandbox/requests?tenant=acme";
        let requests = self.control(Method::GET, path, &Value::Null).await;
        requests["by_function"][function]
            .as_u64()
            .unwrap_or_default()
    }
}
