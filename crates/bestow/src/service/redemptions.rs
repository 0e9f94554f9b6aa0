//! Redemptions: the use of a grant, at once or by way of a cart, and its reversal.
//!
//! A redemption is one transaction on the writer's thread: it reads what decides, lets the core decide, and writes the
//! redemption, the grant, the promotion's figures, the audit record and the answer itself. Whoever sends the same
//! request again gets that answer, byte for byte.

mod answer;
mod ask;
mod attempts;
mod back;
mod candidate;
mod decide;
mod terms;
mod view;

use std::sync::Arc;

use bestow_core::Refusal;
use serde::{Deserialize, Serialize};

pub use answer::Answered;
pub use attempts::Attempts;
pub use back::{Undo, cancel, confirm, reverse};
pub(crate) use candidate::{Who, in_use, is_in_cart, preview};
pub(crate) use view::shown_id;
pub use view::{RedemptionView, get, list};

use ask::Asked;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::idempotency::{IdempotencyKey, reused};
use crate::tenant::Tenant;

/// How long an answer is kept at least, and so how long its key counts, in days.
pub const ANSWERS_KEPT_DAYS: i64 = 400;
/// How long a pledge may keep a grant in a cart, in seconds.
pub const PLEDGE_SECONDS_MAX: u32 = 86_400;
/// Characters of a reference.
pub const REFERENCE_CHARS_MAX: usize = 256;

/// What is to be redeemed. What is not said is not written either, so that a request stays the same when a later release
/// knows more fields. Body of `POST /v1/tenants/{tenant}/redemptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redeem {
    /// Optimove's customer id.
    pub customer_id: String,
    /// The promotion's code, in any letter case. Either this or `unique_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
    /// The customer's own code, however it is typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_code: Option<String>,
    /// What it takes, in minor units, above zero. Needed where the promotion has a budget and its reward has no amount;
    /// without it a reward of an amount is taken whole, or what is left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    /// Three letters; has to be the promotion's, where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The caller's own word for it, such as the number of an order, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Only sets it aside for a cart, for so many seconds (at most 86,400): it is to be confirmed by then, or lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pledge_seconds: Option<u32>,
    /// Where the customer is, as the caller sees it: unique codes that miss are counted by it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
}

/// Redeems a grant, or sets it aside. The same key again gives the first answer again, byte for byte.
///
/// # Errors
/// [`Error::Invalid`] for a body that breaks a rule, also with the promotion's terms, and for a key that named another
/// request; [`Error::TooMany`] where too many unique codes missed. A refusal is an answer.
pub async fn redeem(
    app: &App,
    actor: &Actor,
    tenant: &Arc<Tenant>,
    key: &IdempotencyKey,
    request: &Redeem,
) -> Result<Answered> {
    let asked = Asked::read(app, actor, tenant, key, request)?;
    let guess = asked.guess();
    if let Some(guess) = &guess {
        app.attempts.check(guess, app.clock.now_ms())?;
    }
    let decided = app
        .store
        .tx("redeem", move |tx| decide::run(tx, &asked))
        .await?;
    match decided {
        Decided::Answered { answer, missed } => {
            if let Some(guess) = guess.filter(|_| missed) {
                app.attempts.miss(&guess, app.clock.now_ms());
            }
            Ok(answer)
        }
        Decided::KeyReused => Err(reused()),
    }
}

/// What a transaction came to.
enum Decided {
    /// This answer, which is kept now; it may be one that was kept before.
    Answered {
        answer: Answered,
        /// Whether a unique code was nobody's, or somebody else's.
        missed: bool,
    },
    /// The key named another request.
    KeyReused,
}

/// A refusal as a sentence.
fn sentence(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownPromotion => "The catalogue has no such code.",
        Refusal::PromotionPaused => "The promotion is not active.",
        Refusal::NoGrant => "The customer has no grant for it.",
        Refusal::Excluded => "The customer is excluded and may get nothing now.",
        Refusal::Revoked => "The grant or its campaign was taken back.",
        Refusal::Suspended => "The campaign is stopped for now.",
        Refusal::NotCleared => "The grant is not cleared.",
        Refusal::NotStarted => "The grant has not started.",
        Refusal::Expired => "The grant is over.",
        Refusal::AlreadyRedeemed => "The grant has been used as often as it may be.",
        Refusal::LimitReached => "A limit of the promotion or of the grant leaves no room.",
        Refusal::BudgetExhausted => "A budget of the promotion does not cover it.",
    }
}

/// Something that is kept and cannot be right.
fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Store(bestow_store::Error::Corrupt(what.to_string()))
}
