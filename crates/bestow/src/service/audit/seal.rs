//! Sealing: signing what the audit records are, a little after they were written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bestow_store::Error as StoreError;
use bestow_store::audit::Checkpoint;
use tokio_util::sync::CancellationToken;

use super::chain::{self, Chain, Signer};
use crate::app::App;
use crate::error::Result;

/// Records that one checkpoint covers.
const RECORDS_AT_ONCE: u32 = 2_000;
/// The finding for a chain that cannot be gone on with.
const BROKEN: &str = "audit_broken";

/// Signs the chains of all tenants and that of the deployment. Several processes may: whoever is first adds the
/// checkpoint.
#[derive(Debug)]
pub struct Sealer {
    app: Arc<App>,
    signer: Signer,
    /// The newest checkpoints that this process has seen: one that goes missing is not followed by another.
    seen: HashMap<i64, Checkpoint>,
}

/// What became of an attempt.
enum Sealed {
    /// All records are covered.
    All,
    /// There are more.
    Some,
    /// The newest checkpoint is not what it was, or not ours. Nothing is built on it.
    Broken(String),
}

impl Sealer {
    /// A sealer that has seen nothing yet.
    pub fn new(app: &Arc<App>) -> Self {
        Self {
            app: Arc::clone(app),
            signer: app.keys.signer(),
            seen: HashMap::new(),
        }
    }

    /// Seals again and again until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let pause = Duration::from_secs(self.app.config.work.seal_seconds.max(1));
        loop {
            if let Err(error) = self.seal().await {
                tracing::error!(error.message = %error, "audit records cannot be sealed");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Seals all that is not.
    ///
    /// # Errors
    /// The store's.
    pub async fn seal(&mut self) -> Result<()> {
        let snapshot = self.app.directory.snapshot();
        let tenants = snapshot.tenants().map(|tenant| tenant.no());
        for tenant in std::iter::once(0).chain(tenants) {
            loop {
                match self.seal_some(tenant).await? {
                    Sealed::All => break,
                    Sealed::Some => {}
                    Sealed::Broken(why) => {
                        self.tell(tenant, why).await?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn seal_some(&mut self, tenant: i64) -> Result<Sealed> {
        let (last, records) = self.app.store.peek(|tx| {
            let last = tx.last_checkpoint(tenant)?;
            let after = last.as_ref().map_or(0, |last| last.seq);
            let records = tx.audit_records(tenant, after as i64, RECORDS_AT_ONCE)?;
            Ok::<_, StoreError>((last, records))
        })?;
        if let Some(why) = self.distrust(tenant, last.as_ref()) {
            return Ok(Sealed::Broken(why));
        }
        if let Some(last) = &last {
            self.seen.insert(tenant, last.clone());
        }
        if records.is_empty() {
            return Ok(Sealed::All);
        }
        let mut chain = last.map_or_else(|| Chain::new(tenant), |last| Chain::at(tenant, &last));
        let after = chain.seq();
        for record in &records {
            chain.take(record);
        }
        let checkpoint = chain.sign(self.app.clock.now_ms(), &self.signer);
        let added = self.app.tx("seal_audit", move |tx| {
            tx.add_checkpoint(tenant, after, &checkpoint)
        });
        let is_whole = added.await? && records.len() < RECORDS_AT_ONCE as usize;
        Ok(if is_whole { Sealed::All } else { Sealed::Some })
    }

    /// Why nothing may be built on the newest checkpoint.
    fn distrust(&self, tenant: i64, last: Option<&Checkpoint>) -> Option<String> {
        let seen = self.seen.get(&tenant);
        let (Some(last), seq) = (last, seen.map_or(0, |seen| seen.seq)) else {
            return seen.map(|seen| format!("checkpoint {} is gone", seen.seq));
        };
        let is_changed = seen.is_some_and(|seen| seen.seq == last.seq && seen != last);
        if last.seq < seq || is_changed {
            return Some(format!("checkpoint {seq} is gone or was changed"));
        }
        let is_ours = seen == Some(last) || chain::is_signed(tenant, &self.signer.public(), last);
        (!is_ours).then(|| format!("checkpoint {} was not signed with our key", last.seq))
    }

    async fn tell(&self, tenant: i64, why: String) -> Result<()> {
        tracing::error!(
            tenant.no = tenant,
            reason = why,
            "the audit chain is broken"
        );
        if tenant == 0 {
            return Ok(());
        }
        self.app
            .tx("find_broken_audit", move |tx| {
                tx.find(tenant, BROKEN, "audit", &why)
            })
            .await
    }
}
