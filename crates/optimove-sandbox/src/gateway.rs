//! Triggered conditional execution: asking whether a customer may get a campaign.
//!
//! Under version 1 the gateway's answer decides. Under version 2 a webhook is told the same
//! question, and the decision comes by a call of its own while the trigger waits.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::event11::Occasion;
use crate::id::CampaignId;
use crate::outbox::read_answer;
use crate::routes::get;
use crate::shared::Shared;
use crate::spec::NamedChannel;
use crate::switch::{GatewayIds, Verdict, Version};
use crate::world::Gateways;

/// What the gateway said, or what its silence comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) allowed: bool,
    pub(crate) status: Option<u16>,
    pub(crate) problem: Option<&'static str>,
    /// Real time that the answer took.
    pub(crate) waited: Duration,
}

/// Why there is no decision.
#[derive(Clone, Copy, Debug)]
enum Undecided {
    Silence,
    Failure(&'static str),
}

/// Questions that wait for a call with the decision.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    waiting: Mutex<HashMap<Asked, VecDeque<Waiting>>>,
    last_number: AtomicU64,
}

/// What a decision names: tenant, campaign, user.
type Asked = (String, String, String);

#[derive(Debug)]
struct Waiting {
    number: u64,
    decided: oneshot::Sender<bool>,
}

impl Questions {
    fn add(&self, asked: Asked) -> (u64, oneshot::Receiver<bool>) {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        let (decided, decision) = oneshot::channel();
        let waiting = Waiting { number, decided };
        self.waiting().entry(asked).or_default().push_back(waiting);
        (number, decision)
    }

    fn remove(&self, asked: &Asked, number: u64) {
        let mut all = self.waiting();
        if let Some(waiting) = all.get_mut(asked) {
            waiting.retain(|one| one.number != number);
            if waiting.is_empty() {
                all.remove(asked);
            }
        }
    }

    /// Decides the oldest question on a user and a campaign; false if none waits.
    pub(crate) fn decide(
        &self,
        tenant: &str,
        campaign: &CampaignId,
        user: &str,
        allowed: bool,
    ) -> bool {
        let asked = asked(tenant, campaign, user);
        let mut all = self.waiting();
        let Some(waiting) = all.get_mut(&asked) else {
            return false;
        };
        let oldest = waiting.pop_front();
        if waiting.is_empty() {
            all.remove(&asked);
        }
        oldest.is_some_and(|one| one.decided.send(allowed).is_ok())
    }

    /// Leaves all questions without a decision.
    pub(crate) fn forget(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Asked, VecDeque<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Asks who decides on a triggered campaign; none if nobody is registered for that.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        occasion: &Occasion<'_>,
        gateways: &Gateways,
        channels: &[NamedChannel],
    ) -> Option<Reply> {
        let switches = self.switches();
        let url = match switches.gateway_version {
            Version::V1 => gateways.gateway.as_ref()?,
            Version::V2 => gateways.webhook.as_ref()?,
        };
        let question = question(occasion, channels, switches.gateway_ids);
        let limit = Duration::from_millis(switches.gateway_timeout_ms.get());
        let started = self.clock.elapsed();
        let mut status = None;
        let deciding = async {
            match switches.gateway_version {
                Version::V1 => {
                    self.ask_gateway(url, &question, occasion.customer, &mut status)
                        .await
                }
                Version::V2 => {
                    self.tell_webhook(url, &question, occasion, &mut status)
                        .await
                }
            }
        };
        let decision = tokio::time::timeout(limit, deciding).await;
        let waited = self.clock.elapsed().saturating_sub(started);
        let (allowed, problem) = match decision.unwrap_or(Err(Undecided::Silence)) {
            Ok(allowed) => (allowed, None),
            Err(Undecided::Silence) => {
                let allowed = switches.gateway_on_timeout == Verdict::Allow;
                (allowed, Some("there was no decision in time"))
            }
            Err(Undecided::Failure(problem)) => {
                (switches.gateway_on_error == Verdict::Allow, Some(problem))
            }
        };
        Some(Reply {
            allowed,
            status,
            problem,
            waited,
        })
    }

    /// Version 1: the answer is the decision.
    async fn ask_gateway(
        &self,
        url: &str,
        question: &Value,
        user: &str,
        status: &mut Option<u16>,
    ) -> Result<bool, Undecided> {
        let body = self.post_question(url, question, status).await?;
        decision(&body, user).ok_or(Undecided::Failure("the answer cannot be read"))
    }

    /// Version 2: the answer says only that the question arrived.
    async fn tell_webhook(
        &self,
        url: &str,
        question: &Value,
        occasion: &Occasion<'_>,
        status: &mut Option<u16>,
    ) -> Result<bool, Undecided> {
        let campaign = occasion.campaign;
        let asked = asked(&campaign.tenant, &campaign.id, occasion.customer);
        let (number, decision) = self.questions.add(asked.clone());
        // Whatever ends the wait, the question goes.
        let _gone = Forget {
            questions: &self.questions,
            asked,
            number,
        };
        self.post_question(url, question, status).await?;
        decision.await.map_err(|_| Undecided::Silence)
    }

    async fn post_question(
        &self,
        url: &str,
        question: &Value,
        status: &mut Option<u16>,
    ) -> Result<Vec<u8>, Undecided> {
        let request = self
            .outbox
            .client()
            .post(url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(question.to_string());
        let response = request.send().await;
        let response = response.map_err(|_| Undecided::Failure("it could not be reached"))?;
        *status = Some(response.status().as_u16());
        if !response.status().is_success() {
            return Err(Undecided::Failure("the answer is not a success"));
        }
        let body = read_answer(response).await;
        body.ok_or(Undecided::Failure("the answer breaks off or is too long"))
    }
}

/// Takes a question away when nobody waits for its decision any more.
struct Forget<'a> {
    questions: &'a Questions,
    asked: Asked,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.questions.remove(&self.asked, self.number);
    }
}

fn asked(tenant: &str, campaign: &CampaignId, user: &str) -> Asked {
    let campaign = campaign.to_string().to_ascii_lowercase();
    (tenant.to_owned(), campaign, user.to_owned())
}

/// The body of the question.
fn question(occasion: &Occasion, channels: &[NamedChannel], ids: GatewayIds) -> Value {
    let (campaign, action) = (occasion.campaign, occasion.action);
    let id = |id: &CampaignId| match (id, ids) {
        (CampaignId::Number(number), GatewayIds::Number) => json!(number),
        (id, _) => json!(id.to_string()),
    };
    let channels = action.placements.iter().map(|placement| {
        let name = channels
            .iter()
            .find(|channel| channel.id == placement.channel);
        json!({
            "id": placement.channel,
            "name": name.map_or("", |channel| channel.name.as_str()),
            "brand_id": null,
            "templates": [{"id": placement.template_id, "name": placement.template_name}],
        })
    });
    let channels: Vec<Value> = channels.collect();
    json!({
        "user": {"user_id": occasion.customer, "is_visitor": occasion.is_visitor},
        "campaign": {
            "id": id(&campaign.id),
            "series_id": id(&campaign.series),
            "notes": campaign.notes,
            "tags": campaign.tags,
            "action": {
                "id": action.id,
                "name": action.name,
                "promo_codes": (!action.codes.is_empty()).then_some(&action.codes),
                "channels": channels,
            },
        },
    })
}

/// What an answer decides: it has to echo the user exactly and to carry a real boolean.
fn decision(body: &[u8], user: &str) -> Option<bool> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let answer = answer.as_object()?;
    let echoed = get(answer, "user_id")?.as_str()? == user;
    get(answer, "allowed")?.as_bool().filter(|_| echoed)
}
