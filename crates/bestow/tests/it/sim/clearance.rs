//! Conditional campaigns: what is reported to Optimove, watched while it happens, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use bestow_store::Error as StoreError;
use serde_json::Value;

use super::audit::Counts;
use super::model::{Kind, Known};
use super::operator::is_liked;
use super::run::Wrong;
use super::seen::Seen;
use super::stage::Stage;
use crate::support::Holdings;

/// How a status reads that a grant has which nobody was sent.
const NEVER_SENT: [&str; 5] = [
    "not_cleared",
    "awaiting_clearance",
    "pending",
    "expired",
    "suspended",
];

/// Who was approved, and what they held at that moment.
#[derive(Debug, Default)]
pub(super) struct Approvals(BTreeMap<usize, BTreeMap<String, BTreeSet<String>>>);

impl Stage<'_> {
    /// Looks at what Optimove was told since the last look: it was told in time, and what the customers hold now is
    /// kept, since it has to be all that they are sent in the end.
    pub(super) async fn watch_approvals(&mut self) -> Result<(), Wrong> {
        for campaign in self.processed.clone() {
            if !matches!(self.kind(campaign), Kind::Conditional { .. }) {
                continue;
            }
            let known = self.approvals.0.get(&campaign);
            let is_new =
                |customer: &String| known.is_none_or(|known| !known.contains_key(customer));
            let approved: Vec<String> = self
                .approved(campaign)?
                .into_iter()
                .filter(is_new)
                .collect();
            if approved.is_empty() {
                continue;
            }
            self.in_time(campaign)?;
            let unliked = approved.iter().find(|customer| !is_liked(customer));
            if let Some(customer) = unliked.filter(|_| self.tenant(campaign).asks_operator) {
                return Err(format!("{customer} is approved, and the operator said no"));
            }
            let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for grant in self.ledger(campaign).await? {
                let codes = held.entry(grant.customer).or_default();
                codes.insert(grant.code);
            }
            for customer in &approved {
                let codes = held.get(customer).into_iter().flatten();
                self.may_have(campaign, customer, codes.map(String::as_str))
                    .map_err(|wrong| format!("{customer} is approved, and {wrong}"))?;
            }
            let known = self.approvals.0.entry(campaign).or_default();
            for customer in approved {
                let codes = held.get(&customer).cloned().unwrap_or_default();
                known.insert(customer, codes);
            }
        }
        Ok(())
    }

    /// Customers who are approved at the stand-in.
    pub(super) fn approved(&self, campaign: usize) -> Result<Vec<String>, Wrong> {
        let id = self.history.world.campaigns[campaign].id;
        let statuses = self.sandbox.statuses(id).map_err(|e| e.to_string())?;
        let approved = statuses.filter(|one| one.status == Some(true));
        Ok(approved.map(|one| one.customer_id).collect())
    }

    /// Something was approved now, so some round is not over yet.
    fn in_time(&self, campaign: usize) -> Result<(), Wrong> {
        let app = &self.process().app;
        let margin_ms = 1_000 * app.config.work.clearance_margin_seconds as i64;
        let plan = &self.history.world.campaigns[campaign];
        let tenant = app.tenant(self.history.world.tenants[plan.tenant].id);
        let tenant = tenant.map_err(|e| e.to_string())?;
        let rounds = app.store.read(|tx| {
            let found = tx.campaign(tenant.no(), &plan.id.to_string())?;
            found.map_or(Ok::<_, StoreError>(Vec::new()), |found| {
                tx.rounds(tenant.no(), found.no)
            })
        });
        let rounds = rounds.map_err(|e| e.to_string())?;
        let stops = rounds.iter().map(|round| {
            let early = round.deadline - margin_ms;
            if round.asked_at < early {
                early
            } else {
                round.deadline
            }
        });
        match stops.max() {
            Some(stop) if self.clock.now_ms() < stop => Ok(()),
            stop => Err(format!(
                "campaign {campaign}: approved at {}, after its rounds had to stop at {stop:?}",
                self.clock.now_ms()
            )),
        }
    }

    /// What was sent is in the ledger as it was sent, and was there when it was approved; whatever else is there was
    /// sent to nobody and is worth nothing.
    pub(super) fn cleared(&self, campaign: usize, ledger: &[Seen]) -> Result<(), Wrong> {
        let sent = self.expected(campaign)?;
        let held: Holdings = ledger.iter().map(Seen::holding).collect();
        let approvals = self.approvals.0.get(&campaign);
        for (pair, window) in &sent {
            if held.get(pair) != Some(window) {
                return Err(format!(
                    "{pair:?} was sent for {window:?}, and held is {:?}",
                    held.get(pair)
                ));
            }
            let codes = approvals.and_then(|known| known.get(&pair.0));
            if !codes.is_some_and(|codes| codes.contains(&pair.1)) {
                return Err(format!(
                    "{pair:?} was approved when there was no grant: {codes:?}"
                ));
            }
        }
        for grant in ledger {
            let (pair, _) = grant.holding();
            if !sent.contains_key(&pair) && !NEVER_SENT.contains(&&*grant.status) {
                return Err(format!("{pair:?} was not sent, and is {}", grant.status));
            }
        }
        Ok(())
    }

    /// Nobody was denied for a reason that is not in the world, and Optimove sent to nobody who was not approved.
    pub(super) async fn only_approved(
        &self,
        campaign: usize,
        view: &Value,
        counts: &Counts,
    ) -> Result<(), Wrong> {
        let tenant = self.tenant_of(campaign);
        let codes = &self.history.world.codes;
        let is_whole = view["rounds"].as_array().into_iter().flatten();
        let is_whole = is_whole.clone().count() > 0
            && is_whole
                .clone()
                .all(|round| round["close_reason"] == "complete");
        for (reason, number) in counts.held.iter().chain(&counts.refused) {
            let may_be = match reason.as_str() {
                "promotion_stopped" => self.guards.has_stopped,
                "unknown_code" | "inactive_promotion" => {
                    codes.iter().any(|code| code.known != Known::Active)
                }
                "near_equal_customer_id" => true,
                "limit_reached" => codes.iter().any(|code| !code.is_for_all()),
                "excluded" => self.excluded.iter().any(|(of, _)| *of == tenant),
                "no_free_code" => codes.iter().any(|code| code.pool.is_some()),
                "not_approved" => self.tenant(campaign).asks_operator,
                "past_clearance" => {
                    !is_whole || view["rounds"].as_array().is_some_and(|all| all.len() > 1)
                }
                _ => false,
            };
            if !may_be {
                return Err(format!("{number} pairs are {reason}: {view}"));
            }
        }
        let path = format!("{}/findings?limit=1000", self.tenant_path(tenant));
        let (_, findings) = self.get(&path).await?;
        let object = format!("campaign/{}", self.history.world.campaigns[campaign].id);
        let mut findings = findings["data"].as_array().into_iter().flatten();
        match findings
            .find(|one| one["kind"] == "executed_without_approval" && one["object"] == object)
        {
            Some(found) => Err(found.to_string()),
            None => Ok(()),
        }
    }

    /// Approvals of a campaign that were seen.
    pub(super) fn approvals_seen(&self, campaign: usize) -> u64 {
        self.approvals
            .0
            .get(&campaign)
            .map_or(0, |known| known.len() as u64)
    }
}
