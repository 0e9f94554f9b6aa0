//! Deliveries to an HTTP endpoint: one POST for a batch, signed after Standard Webhooks.

use bestow_core::delivery::Tried;
use bytes::Bytes;
use optimove::sign::Signer;
use reqwest::redirect;
use url::Url;

use super::addresses::Allowed;
use super::sender::{Attempt, Limits};
use crate::error::{Error, Result};

/// Bytes of a refusal's body that are kept for people.
const EXTRACT_BYTES_MAX: usize = 300;
/// Longest wait that a destination may ask for.
const RETRY_AFTER_SECONDS_MAX: i64 = 86_400;
/// Characters of an address.
const URL_CHARS_MAX: usize = 2_000;

/// An endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    http: reqwest::Client,
    url: Url,
    allowed: Allowed,
    /// One for each active secret, newest first.
    signers: Vec<Signer>,
}

impl Endpoint {
    pub(super) fn new(url: Url, secrets: &[String], limits: &Limits) -> Result<Self> {
        let signers = secrets
            .iter()
            .map(|secret| Signer::from_standard([secret.as_str()]))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::invalid("bad_secret", e.to_string()))?;
        // Somebody else may have chosen one before, which is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("bestow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .timeout(limits.answer)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .dns_resolver(limits.allowed.clone())
            .no_proxy();
        if url.scheme() == "http" {
            // Without TLS there is nothing to verify, and machines without certificates should work.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .build()
            .map_err(|e| Error::invalid("bad_url", format!("HTTP client: {e}")))?;
        Ok(Self {
            http,
            url,
            allowed: limits.allowed.clone(),
            signers,
        })
    }

    /// Sends a batch once.
    pub(super) async fn send(&self, id: &str, at_second: i64, body: Bytes) -> Attempt {
        if let Err(why) = self.allowed.check_literal(&self.url) {
            return Attempt::new(Tried::NotSent, why);
        }
        let signatures: Vec<_> = self
            .signers
            .iter()
            .map(|signer| signer.sign_standard(id, at_second, &body))
            .collect();
        let mut request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at_second);
        if !signatures.is_empty() {
            request = request.header("webhook-signature", signatures.join(" "));
        }
        match request.body(body).send().await {
            Ok(answer) => read(answer).await,
            Err(error) if error.is_connect() || error.is_builder() => {
                Attempt::new(Tried::NotSent, cause(error))
            }
            Err(error) => Attempt::new(Tried::Lost, cause(error)),
        }
    }
}

/// What an answer says. Its status is enough; the body of a refusal is kept for people.
async fn read(mut answer: reqwest::Response) -> Attempt {
    let status = answer.status().as_u16();
    let wait = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse::<i64>().ok())
        .map(|seconds| seconds.clamp(0, RETRY_AFTER_SECONDS_MAX) * 1_000);
    let tried = Tried::from_status(status, wait);
    let mut extract = Vec::new();
    // The status is known, so a body that is cut off changes nothing.
    while let Ok(Some(piece)) = answer.chunk().await {
        extract.extend_from_slice(&piece);
        if extract.len() >= EXTRACT_BYTES_MAX {
            break;
        }
    }
    if tried == Tried::Accepted {
        return Attempt::new(tried, String::new());
    }
    extract.truncate(EXTRACT_BYTES_MAX);
    let text: String = String::from_utf8_lossy(&extract)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Attempt::new(
        tried,
        format!("status {status} {}", text.trim())
            .trim_end()
            .to_owned(),
    )
}

/// An error with what caused it, and without the address.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let (mut text, mut source) = (error.to_string(), std::error::Error::source(&error));
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().take(EXTRACT_BYTES_MAX).collect()
}

/// An address that a destination may have: `https`, or plain `http` to a network inside that the operator allows by its
/// address, or anywhere with `delivery.allow_plain_http`.
///
/// # Errors
/// [`Error::Invalid`] with `bad_url`.
pub(super) fn check_url(text: &str, limits: &Limits) -> Result<Url> {
    let bad = |message: String| Error::invalid("bad_url", message);
    let text = text.trim();
    if text.chars().count() > URL_CHARS_MAX {
        return Err(bad("the destination's address is too long".into()));
    }
    let url = Url::parse(text).map_err(|e| bad(format!("the destination's address: {e}")))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        let message = "the destination's address may hold no credentials and no fragment";
        return Err(bad(message.into()));
    }
    limits.allowed.check_literal(&url).map_err(bad)?;
    let is_plain_allowed = limits.is_plain_allowed || limits.allowed.is_inside(&url);
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_plain_allowed => Ok(url),
        _ => Err(bad(
            "the destination needs https; plain http is allowed to addresses in delivery.allow_networks only".into(),
        )),
    }
}
