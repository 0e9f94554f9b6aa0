//! The operator's own say: batches of customers are put to their system, which approves or does not. Where no answer
//! comes that can be understood, the whole batch is not approved.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bestow_core::clearance::Word;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use optimove::sign::Signer;
use reqwest::redirect;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::AtRound;
use super::decide::is_open_question;
use super::walk::Listed;
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::notification::digest;
use crate::tenant::{Approval, Settings, Tenant};

/// Customers of one batch.
const BATCH_MAX: usize = 1_000;
/// Batches on their way at the same time.
const IN_FLIGHT_MAX: usize = 4;
/// Time for one answer in all.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Tries of one batch.
const TRIES_MAX: u32 = 3;
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Characters of an address.
const URL_CHARS_MAX: usize = 2_000;

/// Whoever is asked about a tenant's customers.
pub(super) struct Asker {
    http: reqwest::Client,
    url: Url,
    signer: Option<Signer>,
    retry_ms: u64,
    /// How each offer's code is spelled.
    codes: HashMap<u32, String>,
}

/// A batch as it is sent.
#[derive(Serialize)]
struct Batch<'a> {
    campaign_id: &'a str,
    round: i64,
    customers: Vec<Asked<'a>>,
}

#[derive(Serialize)]
struct Asked<'a> {
    customer_id: &'a str,
    promo_codes: Vec<&'a str>,
}

/// An answer: who is approved, or what is decided of each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Approved { approved: Vec<String> },
    Decisions { decisions: Vec<Decision> },
}

#[derive(Deserialize)]
struct Decision {
    customer_id: String,
    approved: bool,
}

/// The places of a batch's customers, and who of them is approved, or why that cannot be told.
type BatchAnswer<'a> = (&'a [usize], std::result::Result<HashSet<String>, String>);

impl Answer {
    /// Everybody who is approved and nowhere denied.
    fn approved(self) -> HashSet<String> {
        match self {
            Self::Approved { approved } => approved.into_iter().collect(),
            Self::Decisions { decisions } => {
                let (yes, no): (Vec<_>, Vec<_>) =
                    decisions.into_iter().partition(|one| one.approved);
                let mut approved: HashSet<_> = yes.into_iter().map(|one| one.customer_id).collect();
                for one in no {
                    approved.remove(&one.customer_id);
                }
                approved
            }
        }
    }
}

impl Asker {
    /// Whoever is to be asked at this round; `None` where nobody is.
    pub(super) fn new(at: &AtRound<'_>) -> Result<Option<Self>> {
        let (app, tenant) = (at.work.app, at.work.tenant);
        let Some(approval) = &tenant.settings.approval else {
            return Ok(None);
        };
        let url = check_url(app, &approval.url)?;
        let signer = secret(app, tenant, approval)?
            .map(|secret| Signer::new([secret]))
            .transpose();
        let offers = app
            .store
            .peek(|tx| tx.offers(tenant.no(), at.campaign.no))?;
        Ok(Some(Self {
            http: http_client(&url)?,
            url,
            signer: signer.map_err(|e| Error::invalid("bad_approval_secret", e.to_string()))?,
            retry_ms: app.config.optimove.retry_ms,
            codes: offers.into_iter().map(|o| (o.no, o.code)).collect(),
        }))
    }

    /// Asks about everybody whom nothing else decides, and writes down what was said.
    pub(super) async fn ask(&self, at: &AtRound<'_>, listed: &mut [Listed]) -> Result<()> {
        let open: Vec<usize> = (0..listed.len())
            .filter(|place| is_open_question(&listed[*place]))
            .collect();
        let batches: Vec<BoxFuture<'_, BatchAnswer<'_>>> = open
            .chunks(BATCH_MAX)
            .map(|places| {
                let customers = places.iter().map(|place| &listed[*place]);
                let body = self.body(at, customers);
                let answer = async move { (places, self.batch(at, body).await) };
                answer.boxed()
            })
            .collect();
        let answers: Vec<BatchAnswer<'_>> = stream::iter(batches)
            .buffer_unordered(IN_FLIGHT_MAX)
            .collect()
            .await;
        let mut words: Vec<(usize, Word)> = Vec::with_capacity(open.len());
        let mut failed = None;
        for (places, answer) in answers {
            let approved = answer.unwrap_or_else(|why| {
                let (_, customers) = failed.get_or_insert((why, 0));
                *customers += places.len();
                HashSet::new()
            });
            words.extend(places.iter().map(|place| {
                let is_approved = approved.contains(&listed[*place].customer);
                (*place, if is_approved { Word::Yes } else { Word::No })
            }));
        }
        for (place, word) in words {
            listed[place].word = word;
        }
        if let Some((why, customers)) = failed {
            let detail = format!(
                "the approval endpoint gave no usable answer ({why}): {customers} customers or more are not approved"
            );
            at.find("approval_failed", detail).await?;
        }
        Ok(())
    }

    fn body<'l>(
        &self,
        at: &AtRound<'_>,
        customers: impl Iterator<Item = &'l Listed>,
    ) -> std::result::Result<Vec<u8>, String> {
        let customers = customers.map(|one| Asked {
            customer_id: &one.customer,
            promo_codes: one
                .pairs
                .iter()
                .filter_map(|pair| self.codes.get(&pair.offer).map(String::as_str))
                .collect(),
        });
        let batch = Batch {
            campaign_id: &at.campaign.id,
            round: at.round.no,
            customers: customers.collect(),
        };
        serde_json::to_vec(&batch).map_err(|e| e.to_string())
    }

    /// One batch, tried a few times under one id.
    async fn batch(
        &self,
        at: &AtRound<'_>,
        body: std::result::Result<Vec<u8>, String>,
    ) -> std::result::Result<HashSet<String>, String> {
        let body = body?;
        let id = format!("apr_{}", &digest(&body)[..32]);
        let mut why = String::new();
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                let wait = self.retry_ms << (attempt - 1);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            let at_second = at.work.app.clock.now().as_second();
            let attempt = self.attempt(&id, at_second, body.clone());
            match tokio::time::timeout(ANSWER_MAX, attempt).await {
                Ok(Ok(approved)) => return Ok(approved),
                Ok(Err(error)) => why = error,
                Err(_) => why = format!("no answer within {} s", ANSWER_MAX.as_secs()),
            }
        }
        Err(why)
    }

    async fn attempt(
        &self,
        id: &str,
        at_second: i64,
        body: Vec<u8>,
    ) -> std::result::Result<HashSet<String>, String> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at_second);
        if let Some(signer) = &self.signer {
            let signature = signer.sign_standard(id, at_second, &body);
            request = request.header("webhook-signature", signature);
        }
        let sent = request.body(body).send().await;
        let mut answer = sent.map_err(|e| e.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status().as_u16()));
        }
        let mut whole = Vec::new();
        while let Some(piece) = answer
            .chunk()
            .await
            .map_err(|e| e.without_url().to_string())?
        {
            if whole.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
            }
            whole.extend_from_slice(&piece);
        }
        let read: Answer = serde_json::from_slice(&whole)
            .map_err(|_| "the answer names neither `approved` nor `decisions`".to_owned())?;
        Ok(read.approved())
    }
}

/// The place that the secret of a tenant's approval endpoint is sealed for.
pub(crate) fn secret_place(tenant: &str) -> String {
    format!("tenant/{tenant}/approval")
}

/// Whether two settings name the same endpoint with the same secret.
pub(crate) fn is_same_approval(app: &App, tenant: &str, a: &Settings, b: &Settings) -> bool {
    let of = |settings: &Settings| {
        let approval = settings.approval.as_ref()?;
        Some((approval.url.clone(), open(app, tenant, approval).ok()))
    };
    of(a) == of(b)
}

fn open(app: &App, tenant: &str, approval: &Approval) -> Result<Option<Vec<u8>>> {
    let Some(sealed) = &approval.sealed_secret else {
        return Ok(None);
    };
    let broken = |e: base64::DecodeError| Error::invalid("bad_approval_secret", e.to_string());
    let sealed = STANDARD.decode(sealed).map_err(broken)?;
    Ok(Some(app.keys.open(&secret_place(tenant), &sealed)?))
}

fn secret(app: &App, tenant: &Tenant, approval: &Approval) -> Result<Option<Vec<u8>>> {
    let Some(opened) = open(app, tenant.id(), approval)? else {
        return Ok(None);
    };
    // The usual form of such secrets is `whsec_` and base64; any other text is taken as it is.
    let text = String::from_utf8_lossy(&opened);
    let key = text
        .strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok());
    Ok(Some(key.unwrap_or(opened)))
}

/// An address that may be asked: `https`, or plain `http` to this machine (anywhere, where the deployment allows it).
///
/// # Errors
/// [`Error::Invalid`] with `bad_approval_url`.
pub(crate) fn check_url(app: &App, text: &str) -> Result<Url> {
    let bad = |message: &str| Error::invalid("bad_approval_url", message);
    let text = text.trim();
    if text.chars().count() > URL_CHARS_MAX {
        return Err(bad("the approval endpoint's address is too long"));
    }
    let url = Url::parse(text).map_err(|e| bad(&format!("the approval endpoint: {e}")))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(bad(
            "the approval endpoint's address may hold no credentials and no fragment",
        ));
    }
    let is_plain_allowed = app.config.optimove.allow_plain_http || is_this_machine(&url);
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_plain_allowed => Ok(url),
        _ => Err(bad(
            "the approval endpoint needs https; plain http is allowed to this machine only",
        )),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn http_client(url: &Url) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("bestow/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(ANSWER_MAX)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if url.scheme() == "http" {
        // Without TLS there is nothing to verify, and machines without certificates should work.
        builder = builder.tls_certs_only([]);
    }
    builder
        .build()
        .map_err(|e| Error::invalid("bad_approval_url", format!("HTTP client: {e}")))
}
