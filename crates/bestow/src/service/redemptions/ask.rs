//! A request to redeem, read.

use std::sync::Arc;

use bestow_core::money::MoneyFault;
use bestow_core::{Currency, Minor, PromoCode, UniqueCode};
use sha2::{Digest, Sha256};

use super::attempts::Guess;
use super::{ANSWERS_KEPT_DAYS, PLEDGE_SECONDS_MAX, REFERENCE_CHARS_MAX, Redeem};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::grants::{customer_id, sentence};
use crate::service::idempotency::IdempotencyKey;
use crate::tenant::Tenant;

const DAY_MS: i64 = 86_400_000;
/// Characters of an address.
const ADDRESS_CHARS_MAX: usize = 64;
/// The ids that end with it, one of 32, take answers that are too old with them.
const SWEEPS: char = '0';

/// A request that can be decided.
pub(super) struct Asked {
    pub(super) tenant: Arc<Tenant>,
    pub(super) actor: String,
    pub(super) key: String,
    /// Of everything that was asked.
    pub(super) digest: [u8; 32],
    /// Of whatever comes of it.
    pub(super) id: String,
    /// Answers with smaller ids may go, where it is this request's turn to sweep.
    pub(super) sweep_before: Option<String>,
    pub(super) customer: String,
    pub(super) code: Typed,
    pub(super) amount: Option<Minor>,
    pub(super) currency: Option<Currency>,
    pub(super) reference: Option<String>,
    /// How long it is only set aside.
    pub(super) pledge_ms: Option<i64>,
    address: Option<String>,
}

/// What names the promotion.
pub(super) enum Typed {
    /// Its code, folded.
    Promo(String),
    /// The customer's own.
    Unique(UniqueCode),
}

impl Asked {
    pub(super) fn read(
        app: &App,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        key: &IdempotencyKey,
        request: &Redeem,
    ) -> Result<Self> {
        let customer = customer_id(&request.customer_id)?.to_owned();
        let written = serde_json::to_vec(request)
            .map_err(|e| Error::invalid("invalid_body", e.to_string()))?;
        let now = app.clock.now_ms();
        let id = app.random.id(now);
        let sweep_before = id.ends_with(SWEEPS).then(|| {
            app.random
                .id(now.saturating_sub(ANSWERS_KEPT_DAYS * DAY_MS))
        });
        Ok(Self {
            tenant: Arc::clone(tenant),
            actor: actor.id.clone(),
            key: key.as_str().to_owned(),
            digest: Sha256::digest(&written).into(),
            id,
            sweep_before,
            customer,
            code: typed(request)?,
            amount: amount(request)?,
            currency: currency(request)?,
            reference: short(
                "reference",
                request.reference.as_deref(),
                REFERENCE_CHARS_MAX,
            )?,
            pledge_ms: pledge_ms(request)?,
            address: short(
                "client_address",
                request.client_address.as_deref(),
                ADDRESS_CHARS_MAX,
            )?,
        })
    }

    /// Who guesses a unique code, if that is what this is.
    pub(super) fn guess(&self) -> Option<Guess> {
        match self.code {
            Typed::Promo(_) => None,
            Typed::Unique(_) => Some(Guess {
                tenant: self.tenant.no(),
                customer: self.customer.clone(),
                address: self.address.clone(),
            }),
        }
    }
}

fn typed(request: &Redeem) -> Result<Typed> {
    match (&request.promo_code, &request.unique_code) {
        (Some(code), None) => PromoCode::parse(code)
            .map(|code| Typed::Promo(code.fold().to_owned()))
            .map_err(|e| Error::invalid("bad_promo_code", sentence(&e))),
        (None, Some(code)) => UniqueCode::parse(code)
            .map(Typed::Unique)
            .map_err(|e| Error::invalid("bad_unique_code", sentence(&e))),
        _ => {
            let message = "Either `promo_code` or `unique_code` says what is redeemed.";
            Err(Error::invalid("bad_code", message))
        }
    }
}

fn amount(request: &Redeem) -> Result<Option<Minor>> {
    let amount = request.amount_minor.map(Minor::positive).transpose();
    amount.map_err(bad_amount)
}

fn currency(request: &Redeem) -> Result<Option<Currency>> {
    let currency = request.currency.as_deref().map(Currency::parse).transpose();
    currency.map_err(|e| Error::invalid("bad_currency", sentence(&e)))
}

fn bad_amount(fault: MoneyFault) -> Error {
    Error::invalid("bad_amount", sentence(&fault))
}

fn short(field: &str, text: Option<&str>, chars_max: usize) -> Result<Option<String>> {
    let is_fine =
        |text: &str| text.chars().count() <= chars_max && !text.chars().any(char::is_control);
    match text {
        Some(text) if !is_fine(text) => {
            let message =
                format!("`{field}` has at most {chars_max} characters, none of which controls.");
            Err(Error::invalid("bad_text", message))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn pledge_ms(request: &Redeem) -> Result<Option<i64>> {
    match request.pledge_seconds {
        Some(seconds) if !(1..=PLEDGE_SECONDS_MAX).contains(&seconds) => {
            let message = format!("`pledge_seconds` is 1 to {PLEDGE_SECONDS_MAX}.");
            Err(Error::invalid("bad_pledge_seconds", message))
        }
        seconds => Ok(seconds.map(|seconds| i64::from(seconds) * 1_000)),
    }
}
