//! Optimove's list of codes: somebody changes it by hand, and after a calm sync it is what the catalogue says again.

use std::collections::BTreeMap;

use http::Method;
use optimove::client::Auth;
use optimove::{Client, Secret, wire};
use serde_json::Value;

use super::model::Known;
use super::run::Wrong;
use super::stage::Stage;

/// A code of somebody else, and its name.
const FOREIGN: (&str, &str) = ("THEIRS-1", "not ours");

impl Stage<'_> {
    /// A client with a tenant's own credential.
    pub(super) fn client(&self, tenant: usize) -> Result<Client, Wrong> {
        let key = format!("{}-admin-key", self.history.world.tenants[tenant].id);
        let auth = Auth::ApiKey(Secret::new(key));
        let client = Client::builder(&self.sandbox.url(), auth).build();
        client.map_err(|e| e.to_string())
    }

    /// Somebody who has nothing to do with us writes a code into Optimove's list.
    pub(super) async fn add_foreign(&self, tenant: usize) -> Result<(), Wrong> {
        let (code, name) = FOREIGN;
        self.write_there(tenant, code, name).await
    }

    /// Somebody gives one of our codes another name at Optimove, or puts it there before us.
    pub(super) async fn write_there(
        &self,
        tenant: usize,
        code: &str,
        name: &str,
    ) -> Result<(), Wrong> {
        let entry = wire::Promotion {
            code: code.to_owned(),
            name: name.to_owned(),
        };
        let added = self.client(tenant)?.add_promotions(&[entry]).await;
        added.map(drop).map_err(|e| e.to_string())
    }

    /// A sync without faults makes Optimove's list what the catalogue is, and leaves what is others' alone.
    pub(super) async fn synced(&self, tenant: usize) -> Result<(), Wrong> {
        let path = format!("{}/promotions/sync", self.tenant_path(tenant));
        let report = self.api(Method::POST, &path, &Value::Null).await?;
        let there = self.client(tenant)?.get_promotions().await;
        let there = there.map_err(|e| e.to_string())?.into_iter();
        let there: BTreeMap<String, String> = there
            .map(|one| (one.code.to_lowercase(), one.name))
            .collect();
        let codes = self.history.world.codes.iter();
        let ours = codes.filter(|plan| plan.known != Known::Never);
        let mut wanted: BTreeMap<String, String> = ours
            .map(|plan| (plan.code.to_lowercase(), plan.code.to_owned()))
            .collect();
        wanted.insert(FOREIGN.0.to_lowercase(), FOREIGN.1.to_owned());
        if there == wanted {
            Ok(())
        } else {
            Err(format!(
                "Optimove has the codes {there:?}, and should have {wanted:?}: {report}"
            ))
        }
    }
}
