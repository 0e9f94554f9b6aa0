//! Questions of the gateway: always an answer, the same one to the same question, and never more yes than there is room.

use bestow_store::Error as StoreError;
use http::Method;
use serde_json::{Value, json};

use super::run::Wrong;
use super::stage::Stage;

/// How long a yes stands, as tenants have it unless they say otherwise.
const RESERVATION_MS: i64 = 900_000;

impl Stage<'_> {
    /// Optimove asks about the first action of a campaign, several times in a row.
    pub(super) async fn question(
        &mut self,
        campaign: usize,
        number: u64,
        times: u8,
    ) -> Result<String, Wrong> {
        let plan = &self.history.world.campaigns[campaign];
        let Some(customer) = self.history.world.customer(campaign, number) else {
            return Ok("about nobody".to_owned());
        };
        let action = &plan.spec["actions"][0];
        let body = json!({
            "user": { "user_id": customer, "is_visitor": false },
            "campaign": {
                "id": plan.id, "series_id": plan.id, "notes": plan.spec["notes"], "tags": [],
                "action": {
                    "id": action["id"], "name": "action", "promo_codes": action["promo_codes"], "channels": [],
                },
            },
        });
        let secret = self
            .process()
            .app
            .keys
            .listener_secret(self.tenant(campaign).id, 0, 1);
        let path = format!("/optimove/gateway/{secret}");
        let mut told = String::new();
        for _ in 0..times {
            let answer = self.process().api.json(Method::POST, &path, &body).await;
            let (status, answer) = answer.map_err(|e| format!("{e:#}"))?;
            let allowed = answer["allowed"]
                .as_bool()
                .filter(|_| answer["user_id"] == customer);
            let Some(allowed) = allowed.filter(|_| status.as_u16() == 200) else {
                return Err(format!("the gateway answered {status}: {answer}"));
            };
            if allowed {
                let codes = action["promo_codes"].as_array().into_iter().flatten();
                self.may_have(campaign, &customer, codes.filter_map(Value::as_str))
                    .map_err(|wrong| format!("{customer} is allowed, and {wrong}"))?;
            }
            self.keeps_its_word(campaign, &customer, allowed)?;
            told = format!("{told} {allowed}");
        }
        if told.contains("true") {
            self.has_room(campaign)?;
        }
        Ok(told)
    }

    fn keeps_its_word(
        &mut self,
        campaign: usize,
        customer: &str,
        allowed: bool,
    ) -> Result<(), Wrong> {
        let (now, key) = (self.clock.now_ms(), (campaign, customer.to_owned()));
        let promised = self.promised.get(&key).copied();
        if allowed {
            if promised.is_none_or(|until| until <= now) {
                self.promised.insert(key, now + RESERVATION_MS);
            }
            return Ok(());
        }
        match promised.filter(|_| !self.history.gateway_may_fail()) {
            Some(until) if now < until => Err(format!(
                "{customer} was allowed campaign {campaign}, and is not any more"
            )),
            _ => Ok(()),
        }
    }

    /// Of no code of the campaign there is more granted and reserved than there may be.
    fn has_room(&self, campaign: usize) -> Result<(), Wrong> {
        let app = &self.process().app;
        let tenant = app
            .tenant(self.tenant(campaign).id)
            .map_err(|e| e.to_string())?;
        for plan in &self.history.world.codes {
            let Some(total) = plan.total else {
                continue;
            };
            let fold = plan.code.to_lowercase();
            let taken = app.store.peek(|tx| tx.taken(tenant.no(), &fold));
            let taken = taken.map_err(|e: StoreError| e.to_string())?;
            if taken.granted + taken.reserved > total {
                return Err(format!(
                    "of {total} {fold} {} are granted, {} reserved",
                    taken.granted, taken.reserved
                ));
            }
        }
        Ok(())
    }
}
