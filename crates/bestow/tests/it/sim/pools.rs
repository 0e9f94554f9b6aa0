//! Unique codes: nobody's twice, nobody's missing, and the figures of each pool add up.

use std::collections::BTreeSet;

use serde_json::Value;

use super::model::Known;
use super::run::Wrong;
use super::seen::Seen;
use super::stage::{Stage, escaped};

/// Codes that are loaded where a pool is empty at the end.
const REFILL: u64 = 400;

impl Stage<'_> {
    /// The figures of a pool; none where the promotion is not there.
    async fn pool(&self, tenant: usize, code: &str) -> Result<Option<Value>, Wrong> {
        let path = format!(
            "{}/promotions/{}/codes",
            self.tenant_path(tenant),
            escaped(code)
        );
        let (status, figures) = self.get(&path).await?;
        Ok((status == 200).then_some(figures))
    }

    /// Loads codes wherever there are none left.
    pub(super) async fn refill(&self) -> Result<(), Wrong> {
        for (index, plan) in self.history.world.codes.iter().enumerate() {
            if plan.pool.is_none() || plan.known == Known::Never {
                continue;
            }
            let mut is_empty = false;
            for tenant in 0..self.history.world.tenants.len() {
                let figures = self.pool(tenant, plan.code).await?;
                is_empty |= figures.is_none_or(|figures| figures["free"] == 0);
            }
            if is_empty {
                self.load(index, REFILL).await?;
            }
        }
        Ok(())
    }

    /// Checks the pools of all tenants against their ledgers. Gives how many codes were given.
    pub(super) async fn pools(&self, ledgers: &[Vec<Seen>]) -> Result<u64, Wrong> {
        let mut given = 0;
        for tenant in 0..self.history.world.tenants.len() {
            let ledgers = ledgers.iter().enumerate();
            let of_tenant = ledgers.filter(|(campaign, _)| self.tenant_of(*campaign) == tenant);
            let grants: Vec<&Seen> = of_tenant.flat_map(|(_, ledger)| ledger).collect();
            let mut everyones = BTreeSet::new();
            for plan in &self.history.world.codes {
                let fold = plan.code.to_lowercase();
                let grants = grants.iter().filter(|grant| grant.code == fold);
                let codes: Vec<Option<&str>> =
                    grants.map(|grant| grant.unique_code.as_deref()).collect();
                let Some(pool) = plan.pool else {
                    if codes.iter().any(Option::is_some) {
                        return Err(format!("{fold} is one code for all, and gives {codes:?}"));
                    }
                    continue;
                };
                let codes: Option<Vec<&str>> = codes.into_iter().collect();
                let codes =
                    codes.ok_or_else(|| format!("a grant of {fold} has no code of its own"))?;
                let own: Vec<&str> = codes
                    .iter()
                    .copied()
                    .filter(|code| Some(*code) != pool.fallback)
                    .collect();
                if let Some(twice) = own.iter().find(|code| !everyones.insert(**code)) {
                    return Err(format!("{twice} of {fold} was given twice"));
                }
                let fallbacks = codes.len() - own.len();
                self.adds_up(tenant, plan.code, own.len() as u64, fallbacks as u64)
                    .await?;
                given += own.len() as u64;
            }
        }
        Ok(given)
    }

    async fn adds_up(
        &self,
        tenant: usize,
        code: &str,
        own: u64,
        fallbacks: u64,
    ) -> Result<(), Wrong> {
        let Some(figures) = self.pool(tenant, code).await? else {
            return Ok(());
        };
        let number = |name: &str| figures[name].as_u64().unwrap_or_default();
        let parts = number("assigned") + number("free") + number("void");
        if number("loaded") != parts
            || number("assigned") != own
            || number("fallbacks") != fallbacks
        {
            return Err(format!(
                "{own} codes of {code} and {fallbacks} fallbacks are held, but {figures}"
            ));
        }
        Ok(())
    }
}
