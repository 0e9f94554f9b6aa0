//! Signatures on bodies, HMAC-SHA256: signing and verifying side by side.
//!
//! Two forms: the `x-hub-signature` header (`sha256=` and hexadecimal digits, over the body), which
//! other Optimove webhooks use, and Standard Webhooks (`v1,` and base64, over id, time and body).
//! Several secrets may be active at once, so that they can be changed without losing a delivery.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Prefix of a Standard Webhooks secret; base64 of the key follows.
const STANDARD_PREFIX: &str = "whsec_";

/// The header of the body-only form.
pub const HUB_SIGNATURE_HEADER: &str = "x-hub-signature";

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header has no signature in a form that is understood.
    #[error("no signature in a known form")]
    Unreadable,
    /// No active secret gives this signature.
    #[error("the signature does not match")]
    Mismatch,
    /// The stated time is too far from now.
    #[error("signed too long ago, or in the future")]
    OutOfTime,
    /// There is no active secret, or one is no base64.
    #[error("no usable secret")]
    NoSecret,
}

/// The active secrets of one sender. The first one signs, all of them verify.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<Vec<u8>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signer({} secrets)", self.keys.len())
    }
}

/// The three headers of a Standard Webhooks delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardHeaders<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since 1970 in UTC, as sent.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more signatures with blanks between them.
    pub signature: &'a str,
}

impl Signer {
    /// Takes the secrets as raw bytes, newest first.
    pub fn new(keys: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, SignatureError> {
        let keys: Vec<Vec<u8>> = keys.into_iter().collect();
        if keys.is_empty() || keys.iter().any(Vec::is_empty) {
            return Err(SignatureError::NoSecret);
        }
        Ok(Self { keys })
    }

    /// Takes secrets in the Standard Webhooks form (`whsec_` and base64), newest first.
    pub fn from_standard<'a>(
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SignatureError> {
        let decode = |secret: &str| {
            let text = secret.strip_prefix(STANDARD_PREFIX).unwrap_or(secret);
            STANDARD.decode(text).map_err(|_| SignatureError::NoSecret)
        };
        Self::new(
            secrets
                .into_iter()
                .map(decode)
                .collect::<Result<Vec<_>, _>>()?,
        )
    }

    /// The value of the `x-hub-signature` header for a body.
    pub fn sign_hub(&self, body: &[u8]) -> String {
        format!("sha256={}", hex(&mac(&self.keys[0], &[body])))
    }

    /// Checks an `x-hub-signature` header against the bytes that were received.
    pub fn verify_hub(&self, header: &str, body: &[u8]) -> Result<(), SignatureError> {
        let (algorithm, hex) = header
            .trim()
            .split_once('=')
            .ok_or(SignatureError::Unreadable)?;
        if !algorithm.trim().eq_ignore_ascii_case("sha256") {
            return Err(SignatureError::Unreadable);
        }
        let given = decode_hex(hex.trim()).ok_or(SignatureError::Unreadable)?;
        self.find(&given, &[body])
    }

    /// The value of the `webhook-signature` header for a delivery at `timestamp` seconds.
    pub fn sign_standard(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let time = timestamp.to_string();
        let parts = standard_parts(id, &time, body);
        format!("v1,{}", STANDARD.encode(mac(&self.keys[0], &parts)))
    }

    /// Checks a Standard Webhooks delivery; `now` is in seconds since 1970, `tolerance` applies to
    /// both sides of it.
    pub fn verify_standard(
        &self,
        headers: StandardHeaders<'_>,
        body: &[u8],
        now: i64,
        tolerance: Duration,
    ) -> Result<(), SignatureError> {
        let time: i64 = headers
            .timestamp
            .parse()
            .map_err(|_| SignatureError::Unreadable)?;
        if time.abs_diff(now) > tolerance.as_secs() {
            return Err(SignatureError::OutOfTime);
        }
        let parts = standard_parts(headers.id, headers.timestamp, body);
        let mut error = SignatureError::Unreadable;
        for signature in headers.signature.split_ascii_whitespace() {
            let Some(text) = signature.strip_prefix("v1,") else {
                continue;
            };
            let Ok(given) = STANDARD.decode(text) else {
                continue;
            };
            match self.find(&given, &parts) {
                Ok(()) => return Ok(()),
                Err(mismatch) => error = mismatch,
            }
        }
        Err(error)
    }

    /// Whether any secret gives this digest; every secret is tried, in constant time.
    fn find(&self, given: &[u8], parts: &[&[u8]]) -> Result<(), SignatureError> {
        let mut found = subtle::Choice::from(0);
        for key in &self.keys {
            found |= mac(key, parts).as_slice().ct_eq(given);
        }
        if found.into() {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }
}

fn standard_parts<'a>(id: &'a str, time: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", time.as_bytes(), b".", body]
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .flatten()
        .collect()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|sign| sign.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits?;
    if digits.is_empty() || digits.len() % 2 == 1 {
        return None;
    }
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] * 16 + pair[1])
            .collect(),
    )
}
