//! The gateway: may this campaign go to this customer? Asked by Optimove before it sends, answered
//! by the rules that decide about the trigger afterwards.
//!
//! A yes is a reservation, and durable before it is said. Whatever cannot be decided in time is a
//! no. All reading happens in the transaction that reserves, on the writer's thread: a store that
//! stands still keeps no thread of the server, and of many who ask for the last place one gets it.

mod approvals;
mod places;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bestow_core::id::fold_code;
use bestow_core::promotion::Limits;
use bestow_core::trigger::{DenyReason, Person, TriggerFacts, WithoutCodes, answer};
use bestow_core::{CampaignFacts, CampaignId};
use bestow_store::gateway::Reservation;
use bestow_store::{Ahead, Error as StoreError, Tx};
use optimove::wire::GatewayRequest;

use crate::app::App;
use crate::clock::instant;
use crate::error::Result;
use crate::ingest::trigger::{days_in, duration, subject};
use crate::service::audit::Object;
use crate::service::grants::campaign_facts;
use crate::service::triggered::codes;
use crate::service::triggered::facts::{Asked, standing};
use crate::tenant::{GatewayVersion, Tenant};
use crate::work::kind;

pub use approvals::run as send_approvals;
pub use places::Places;

/// The gateway's place among the events that have addresses of their own; Optimove numbers none 0.
pub const EVENT: i64 = 0;
/// Lapsed reservations dropped with each new one.
const LAPSED_PER_YES: u32 = 2;
/// How exactly it is remembered when the last question came.
const NOTED_EVERY_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

type Stored<T> = std::result::Result<T, StoreError>;

/// What the gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The answer: yes, and durable; or no, with its reason.
    Answer(std::result::Result<(), DenyReason>),
    /// The decision is durable, and sent by a call of its own.
    Later,
    /// No decision was made durable: the question is to be asked again.
    AskAgain,
}

/// A question, read.
struct Question {
    person: Person,
    customer: String,
    /// Exactly as sent.
    user_id: String,
    campaign: CampaignId,
    campaign_sent: String,
    series: Option<CampaignId>,
    action: i64,
    codes: Vec<String>,
    days: Option<u32>,
}

/// Answers a question within the time of the settings.
pub async fn ask(app: &App, tenant_no: i64, request: &GatewayRequest) -> Said {
    let snapshot = app.directory.snapshot();
    let Some(tenant) = snapshot.tenant_by_no(tenant_no).cloned() else {
        return Said::Answer(Err(DenyReason::TooLate));
    };
    let version = tenant.settings.gateway.version;
    let late = match version {
        GatewayVersion::V1 => Said::Answer(Err(DenyReason::TooLate)),
        GatewayVersion::V2 => Said::AskAgain,
    };
    let Some(question) = Question::read(request) else {
        // Nobody has such an id, so nobody can be promised anything.
        return Said::Answer(Err(DenyReason::Visitor));
    };
    let places = &app.gateway;
    places.asked(app.clock.now_ms());
    let Ok(place) = places.free.try_acquire() else {
        return late;
    };
    let limit = Duration::from_millis(app.config.http.gateway_ms_max);
    let decided = tokio::time::timeout(limit, decide(app, tenant, question)).await;
    drop(place);
    match (decided, version) {
        (Ok(Ok(answer)), GatewayVersion::V1) => Said::Answer(answer),
        (Ok(Ok(_)), GatewayVersion::V2) => {
            app.work.notify_one();
            Said::Later
        }
        (Ok(Err(error)), _) => {
            tracing::error!(error.message = %error, "the gateway could not decide");
            late
        }
        (Err(_), _) => late,
    }
}

/// Says that nobody waits any more, so that what was not decided yet holds no room.
struct Asker(Arc<AtomicBool>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn decide(
    app: &App,
    tenant: Arc<Tenant>,
    question: Question,
) -> Result<std::result::Result<(), DenyReason>> {
    let gone = Arc::new(AtomicBool::new(false));
    let asker = Asker(Arc::clone(&gone));
    let (no, now) = (tenant.no(), app.clock.now_ms());
    let is_to_be_noted = app.gateway.is_to_be_noted(no, now);
    let question = Arc::new(question);
    let theirs = Arc::clone(&question);
    let answer = app.store.tx_ahead(
        "answer_gateway",
        || question.ahead(app, no),
        move |tx| {
            if gone.load(Ordering::Relaxed) {
                return Ok(Err(DenyReason::TooLate));
            }
            if is_to_be_noted && tx.note_question(no, tx.now_ms() - NOTED_EVERY_MS)? {
                tx.resolve_finding(no, "gateway_silent", "gateway")?;
            }
            let answer = theirs.decide(tx, &tenant)?;
            if tenant.settings.gateway.version == GatewayVersion::V2 {
                theirs.answer_later(tx, &tenant, answer.is_ok())?;
            }
            Ok::<_, StoreError>(answer)
        },
    );
    let answer = answer.await?;
    if is_to_be_noted {
        app.gateway.noted(no, now);
    }
    drop(asker);
    Ok(answer)
}

impl Question {
    fn read(request: &GatewayRequest) -> Option<Self> {
        let person = if request.is_visitor {
            Person::Visitor
        } else {
            Person::Customer
        };
        let series = request.series_id.as_deref();
        Some(Self {
            person,
            customer: subject(&request.user_id, person).ok()?.as_str().to_owned(),
            user_id: request.user_id_sent.clone(),
            campaign: CampaignId::parse(&request.campaign_id).ok()?,
            campaign_sent: request.campaign_id.clone(),
            series: series.and_then(|id| CampaignId::parse(id).ok()),
            action: request.action_id.unwrap_or(0),
            codes: request.promo_codes.texts().map(str::to_owned).collect(),
            days: days_in(request.notes.as_deref()),
        })
    }

    /// What the decision is going to read.
    fn ahead(&self, app: &App, tenant: i64) -> Ahead {
        let campaigns = [Some(&self.campaign), self.series.as_ref()];
        let campaigns = campaigns.into_iter().flatten();
        let codes: Vec<_> = self
            .codes
            .iter()
            .map(|text| fold_code(text).into_owned())
            .collect();
        let limited = |by: fn(&Limits) -> bool| {
            let codes = codes.iter().filter(|code| {
                let known = app.facts.promotion(&app.store, tenant, code);
                known.is_ok_and(|known| known.is_some_and(|one| by(&one.facts.limits)))
            });
            codes.cloned().collect()
        };
        Ahead {
            tenant,
            customer: self.customer.clone(),
            campaigns: campaigns.map(|id| id.as_str().to_owned()).collect(),
            counted_for_customer: limited(|limits| limits.per_customer.is_some()),
            counted_for_all: limited(|limits| limits.total.is_some()),
            codes,
        }
    }

    fn decide(
        &self,
        tx: &mut Tx<'_>,
        tenant: &Tenant,
    ) -> Stored<std::result::Result<(), DenyReason>> {
        let (no, now) = (tenant.no(), tx.now_ms());
        let row = codes::read(tx, tenant, &self.codes)?;
        let reservations = tx.reservations(no, &self.customer)?;
        let (campaigns, known) = self.campaigns(tx, tenant)?;
        let facts = self.facts(tx, tenant, known)?;
        let settings = &tenant.settings;
        let rules = settings.triggered.rules(settings.duration_days_default);
        let mut folds: Vec<&str> = row.codes.iter().map(|code| code.fold()).collect();
        folds.sort_unstable();
        let folds = folds.join("\n");
        let own = reservations.iter().find(|one| {
            one.campaign == self.campaign.as_str() && one.action == self.action && one.is_alive(now)
        });
        if own.is_some_and(|own| own.codes == folds) {
            let excluded_from = tx.excluded_from(no, &self.customer)?;
            for code in &row.codes {
                if excluded_from.iter().any(|from| from == code.fold()) {
                    return Ok(Err(DenyReason::Excluded));
                }
                let promotion = tx.promotion(no, code.fold())?;
                if promotion.is_some_and(|known| known.resumes_as.is_some()) {
                    return Ok(Err(DenyReason::PromotionStopped));
                }
            }
            // The same question: only what stops the customer, the campaign or the promotion undoes a yes.
            return Ok(answer(&rules, WithoutCodes::Allow, &campaigns, &facts, &[]));
        }
        if !row.held.is_empty() {
            return self.deny_code(tx, no, &row.held[0].text, DenyReason::UnusableCode);
        }
        let asked = Asked {
            tenant: no,
            customer: &self.customer,
            reservations: &reservations,
            own,
        };
        let mut code_facts = Vec::with_capacity(row.codes.len());
        for code in &row.codes {
            code_facts.push(asked.code(tx, code.fold())?);
        }
        let without = settings.gateway.without_codes();
        match answer(&rules, without, &campaigns, &facts, &code_facts) {
            Err(reason @ (DenyReason::UnknownCode | DenyReason::UnusableCode)) => {
                let is_usable = |status: Option<bestow_core::PromotionStatus>| {
                    status.is_some_and(|status| status.grantable().is_ok())
                };
                let wrong = row.codes.iter().zip(&code_facts);
                let wrong = wrong.filter(|(_, facts)| !is_usable(facts.status));
                let text = wrong.map(|(code, _)| code.as_str()).next();
                self.deny_code(tx, no, text.unwrap_or_default(), reason)
            }
            Err(reason) => Ok(Err(reason)),
            Ok(()) if row.codes.is_empty() => Ok(Ok(())),
            Ok(()) => {
                self.reserve(tx, tenant, folds)?;
                Ok(Ok(()))
            }
        }
    }

    /// What stops the campaign and its series, and the number of the one that is known.
    fn campaigns(
        &self,
        tx: &mut Tx<'_>,
        tenant: &Tenant,
    ) -> Stored<(Vec<CampaignFacts>, Option<i64>)> {
        let mut facts = vec![CampaignFacts {
            suspended_at: tenant.row.suspended_at.map(instant),
            revoked_at: None,
        }];
        let (mut known, mut is_taken) = (None, false);
        for id in [Some(&self.campaign), self.series.as_ref()]
            .into_iter()
            .flatten()
        {
            is_taken |= tenant.settings.triggered.takes(id.as_str());
            if let Some(campaign) = tx.campaign(tenant.no(), id.as_str())? {
                facts.push(campaign_facts(tenant, &campaign));
                known = known.or(Some(campaign.no));
            }
        }
        if !is_taken {
            facts.push(CampaignFacts {
                suspended_at: Some(instant(tx.now_ms())),
                revoked_at: None,
            });
        }
        Ok((facts, known))
    }

    fn facts(&self, tx: &mut Tx<'_>, tenant: &Tenant, known: Option<i64>) -> Stored<TriggerFacts> {
        let (no, minute) = (tenant.no(), tx.now_ms() / MINUTE_MS);
        let triggered = &tenant.settings.triggered;
        Ok(TriggerFacts {
            person: self.person,
            standing: standing(tx, no, &self.customer)?,
            is_reserved: false,
            of_campaign: match (known, triggered.per_customer_max) {
                (Some(campaign), Some(_)) => tx.grants_of_campaign(no, &self.customer, campaign)?,
                _ => 0,
            },
            this_minute: match (known, triggered.per_minute_max) {
                (Some(campaign), Some(_)) => tx.trigger_minute(no, campaign, minute)?,
                _ => 0,
            },
            duration: duration(self.days),
        })
    }

    /// A code that nobody can be given is a mistake in a campaign: somebody has to look at it.
    fn deny_code(
        &self,
        tx: &mut Tx<'_>,
        tenant: i64,
        code: &str,
        reason: DenyReason,
    ) -> Stored<std::result::Result<(), DenyReason>> {
        let object = Object::Campaign(self.campaign.as_str()).to_string();
        let detail = format!(
            "the gateway was asked about code {code:?} and said no: {}",
            reason.as_str()
        );
        tx.find(tenant, "gateway_code", &object, &detail)?;
        Ok(Err(reason))
    }

    fn reserve(&self, tx: &mut Tx<'_>, tenant: &Tenant, codes: String) -> Stored<()> {
        let (no, now) = (tenant.no(), tx.now_ms());
        let seconds = i64::try_from(tenant.settings.gateway.reservation_seconds);
        tx.drop_lapsed_later(no, LAPSED_PER_YES)?;
        tx.reserve(
            no,
            &Reservation {
                customer: self.customer.clone(),
                campaign: self.campaign.as_str().to_owned(),
                action: self.action,
                series: self.series.as_ref().map(|id| id.as_str().to_owned()),
                codes,
                asked_at: now,
                lapses_at: now.saturating_add(seconds.unwrap_or(i64::MAX).saturating_mul(1_000)),
                consumed_by: None,
            },
        )
    }

    fn answer_later(&self, tx: &mut Tx<'_>, tenant: &Tenant, allowed: bool) -> Stored<()> {
        let (no, now) = (tenant.no(), tx.now_ms());
        tx.want_approval(no, &self.user_id, &self.campaign_sent, allowed)?;
        tx.want_job(no, kind::APPROVALS, "", now)
    }
}
