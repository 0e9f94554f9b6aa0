//! Redemptions: one answer to each request however often it is sent, each grant once, and never before its window.

use std::collections::BTreeSet;
use std::fmt::Write;

use bestow::Error;
use bestow::actor::Actor;
use bestow::clock::instant;
use bestow::service::idempotency::IdempotencyKey;
use bestow::service::redemptions::{self, Answered, Redeem};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::run::Wrong;
use super::seen::Seen;
use super::stage::Stage;

/// Pairs of each campaign that are redeemed at last.
const AT_LAST_MAX: usize = 3;

/// A request, and its answer once there is one.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    campaign: usize,
    request: Redeem,
    answer: Option<Answered>,
    /// Whether it was sent before: then it may have been done before whatever came meanwhile.
    was_sent: bool,
}

impl Stage<'_> {
    /// Somebody redeems what a campaign with a list gave, where nothing but the grant itself is in the way.
    pub(super) async fn redeem(
        &mut self,
        campaign: usize,
        number: u64,
        copies: u8,
    ) -> Result<String, Wrong> {
        let pairs = self.free_pairs(campaign)?;
        if pairs.is_empty() {
            return Ok("for nobody".to_owned());
        }
        let place = (number % pairs.len() as u64) as usize;
        let (customer, code, _) = &pairs[place];
        self.redeem_pair(campaign, customer, code, copies).await
    }

    /// Once all is at rest, some of each campaign redeem at the first moment they may. Gives the last of these moments.
    pub(super) async fn redeem_at_last(&mut self) -> Result<i64, Wrong> {
        let mut last = i64::MIN;
        for campaign in 0..self.history.world.campaigns.len() {
            let pairs = self.free_pairs(campaign)?;
            for (customer, code, starts_at) in pairs.iter().take(AT_LAST_MAX) {
                last = last.max(*starts_at);
                self.clock.set(instant(*starts_at));
                self.redeem_pair(campaign, customer, code, 2).await?;
            }
        }
        Ok(last)
    }

    /// By tenant: what was made, as it was answered.
    pub(super) fn redeemed(&self) -> Result<Vec<(usize, Value)>, Wrong> {
        let granted = self.redemptions.iter().filter_map(|asked| {
            let answer = asked.answer.as_ref().filter(|one| one.is_granted())?;
            let made = serde_json::from_slice(&answer.body).map_err(|e| e.to_string());
            Some(made.map(|made| (self.tenant_of(asked.campaign), made)))
        });
        granted.collect()
    }

    /// Customer, code and start of what a campaign with a list should have given, by codes without limits.
    fn free_pairs(&self, campaign: usize) -> Result<Vec<(String, String, i64)>, Wrong> {
        let world = &self.history.world;
        let is_free = |code: &str| {
            let mut codes = world.codes.iter();
            codes.any(|plan| plan.code.to_lowercase() == code && plan.is_for_all())
        };
        let expected = self.expected(campaign)?.into_iter();
        let free = expected.filter(|((_, code), _)| is_free(code));
        Ok(free
            .map(|((customer, code), (starts_at, _))| (customer, code, starts_at))
            .collect())
    }

    async fn redeem_pair(
        &mut self,
        campaign: usize,
        customer: &str,
        code: &str,
        copies: u8,
    ) -> Result<String, Wrong> {
        let request = json!({"customer_id": customer, "promo_code": code});
        self.redemptions.push(Asked {
            campaign,
            request: serde_json::from_value(request).map_err(|e| e.to_string())?,
            answer: None,
            was_sent: false,
        });
        let mut told = String::new();
        for _ in 0..copies {
            let answer = self.send_redemption(self.redemptions.len() - 1).await?;
            let _ = write!(told, " {answer}");
        }
        Ok(told)
    }

    /// Sends a request once more; whatever was answered once is answered again.
    async fn send_redemption(&mut self, place: usize) -> Result<String, Wrong> {
        let asked = &self.redemptions[place];
        let app = &self.process().app;
        let tenant = app.tenant(self.tenant(asked.campaign).id);
        let tenant = tenant.map_err(|e| e.to_string())?;
        let key = IdempotencyKey::parse(&format!("sim-{place}")).map_err(|e| e.to_string())?;
        let sent = redemptions::redeem(app, &Actor::cli(), &tenant, &key, &asked.request).await;
        let was_sent = std::mem::replace(&mut self.redemptions[place].was_sent, true);
        let answer = match sent {
            Ok(answer) => answer,
            // Whether it was done, the next one is told.
            Err(Error::Store(_)) => return Ok("unknown".to_owned()),
            Err(error) => return Err(format!("a redemption failed: {error}")),
        };
        if answer.is_granted() && !was_sent {
            self.may_redeem(&answer.body)?;
        }
        let told = answer.status.as_u16().to_string();
        let first = self.redemptions[place].answer.get_or_insert(answer.clone());
        if *first == answer {
            Ok(told)
        } else {
            Err(format!("answered {first:?}, and then {answer:?}"))
        }
    }

    /// Sends every request once more.
    pub(super) async fn repeat_redemptions(&mut self) -> Result<(), Wrong> {
        for place in 0..self.redemptions.len() {
            if self.send_redemption(place).await? == "unknown" {
                return Err(format!("redemption {place} has no answer"));
            }
        }
        Ok(())
    }

    /// What was answered is there and nothing else is, each grant once and not before it began. Gives how many there are.
    pub(crate) async fn audit_redemptions(&self, ledgers: &[Vec<Seen>]) -> Result<u64, Wrong> {
        let mut grants = BTreeSet::new();
        let mut told = 0;
        for asked in &self.redemptions {
            let Some(answer) = asked.answer.as_ref().filter(|one| one.is_granted()) else {
                continue;
            };
            told += 1;
            let made: Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
            let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
            let tenant = self.tenant_path(self.tenant_of(asked.campaign));
            let (_, there) = self
                .get(&format!("{tenant}/redemptions/{}", text("id")))
                .await?;
            if there != made {
                return Err(format!("{made} was answered, and there is {there}"));
            }
            if !grants.insert(text("grant_id")) {
                return Err(format!("{made} was redeemed before"));
            }
            let at: Timestamp = text("redeemed_at")
                .parse()
                .map_err(|e: jiff::Error| e.to_string())?;
            let of_code = |seen: &&Seen| {
                seen.customer == text("customer_id")
                    && seen.code == text("promo_code").to_lowercase()
                    && seen.is_redeemed
                    && seen.starts_at <= at.as_millisecond()
            };
            if !ledgers.iter().flatten().any(|seen| of_code(&seen)) {
                return Err(format!("{made} is of no grant that had begun"));
            }
        }
        let mut kept = 0;
        for tenant in 0..self.history.world.tenants.len() {
            let path = format!("{}/redemptions?limit=1000", self.tenant_path(tenant));
            let (_, page) = self.get(&path).await?;
            kept += page["data"].as_array().map_or(0, Vec::len);
        }
        if kept == told {
            Ok(told as u64)
        } else {
            Err(format!(
                "{told} redemptions were answered, {kept} are there"
            ))
        }
    }
}
