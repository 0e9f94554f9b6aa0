//! What can go wrong with a call, shaped by what the caller can do about it.

use std::time::Duration;

use crate::read::ReadError;

/// Why a call gave no answer.
///
/// Messages never hold credentials or URL paths: what a server echoes is scrubbed before it gets
/// here, and bodies that could not be read are shown as their shape only.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 401: the credential is unknown or missing. Stop calling and raise an alarm.
    #[error("Optimove does not know the credential: {message}")]
    Unauthorized {
        /// What the server said.
        message: String,
    },
    /// 403 other than an expired token: the credential may not make this call.
    #[error("Optimove refuses this call to the credential: {message}")]
    Forbidden {
        /// What the server said.
        message: String,
    },
    /// The login itself was refused (401, 403, or 500 on old servers). Never retried in a loop.
    #[error("Optimove refuses the login with status {status}: {message}")]
    LoginRefused {
        /// The status of the answer.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The campaign is not known, or not yet: wait and ask again, then hold.
    #[error("Optimove does not know the campaign")]
    UnknownCampaign,
    /// 404 in a form that does not mean "no rows".
    #[error("not found: {message}")]
    NotFound {
        /// What the server said.
        message: String,
    },
    /// 400: a parameter or the body is wrong. Sending it again changes nothing.
    #[error("Optimove refuses the request: {message}")]
    BadRequest {
        /// What the server said.
        message: String,
    },
    /// Any other status that is no success; 405 may mean a wrong path prefix.
    #[error("unexpected status {status}: {message}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// 429, still after the waits that the retry policy allows.
    #[error("too many requests")]
    RateLimited {
        /// How long the server asked to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// 5xx, still after the retries.
    #[error("server error {status}: {message}")]
    Server {
        /// The status of the answer.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// No connection, or it broke. A write may have taken effect.
    #[error("transport: {detail}")]
    Transport {
        /// The cause, without the URL.
        detail: String,
    },
    /// The whole call took too long. A write may have taken effect.
    #[error("no complete answer within {limit:?}")]
    TimedOut {
        /// The limit for the whole call.
        limit: Duration,
    },
    /// The body came slower than the least speed allowed.
    #[error("the answer came slower than {bytes_per_s_min} bytes/s")]
    TooSlow {
        /// The least speed.
        bytes_per_s_min: u64,
    },
    /// The body is larger than allowed; the same call would be so again.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// An answer with a success status that is not what the call promises. Never "empty".
    #[error("unreadable answer ({source}), digest {digest}, shape {extract}")]
    Malformed {
        /// What is wrong with it.
        source: ReadError,
        /// The first 16 hexadecimal digits of the body's SHA-256.
        digest: String,
        /// The beginning of the body with letters as `x` and digits as `9`.
        extract: String,
    },
    /// A valid answer about another campaign than the one asked for.
    #[error("the answer is about another campaign")]
    OtherCampaign,
    /// The same page came again although `$skip` moved on.
    #[error("the same page came again at row {skip}: $skip seems to be ignored")]
    NoProgress {
        /// The `$skip` of the repeated page.
        skip: u64,
    },
    /// More entries than one call may carry; nothing was sent.
    #[error("{entries} entries, but a call carries at most {entries_max}")]
    TooMany {
        /// How many there were.
        entries: usize,
        /// How many are allowed.
        entries_max: usize,
    },
    /// What processes with the same credential share cannot be reached. Nothing was sent.
    #[error("calls cannot be shared with other processes: {reason}")]
    Peers {
        /// Why.
        reason: String,
    },
    /// The client cannot be built from these settings.
    #[error("client settings: {reason}")]
    Setup {
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody mending something.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::UnknownCampaign
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Transport { .. }
            | Self::TimedOut { .. }
            | Self::TooSlow { .. }
            | Self::Malformed { .. }
            | Self::Peers { .. }
            | Self::OtherCampaign => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::LoginRefused { .. }
            | Self::NotFound { .. }
            | Self::BadRequest { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::NoProgress { .. }
            | Self::TooMany { .. }
            | Self::Setup { .. } => false,
        }
    }

    /// Whether a write may have taken effect although no answer came.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::Transport { .. }
                | Self::TimedOut { .. }
                | Self::TooSlow { .. }
                | Self::Server { .. }
                | Self::Malformed { .. }
        )
    }

    /// An answer that could not be read, with what may be shown of it.
    pub fn malformed(source: ReadError, body: &[u8]) -> Self {
        Self::Malformed {
            source,
            digest: digest(body),
            extract: extract(body),
        }
    }
}

/// How many signs of an unreadable body are shown.
const EXTRACT_CHARS_MAX: usize = 120;

fn digest(body: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(body);
    crate::sign::hex(&hash[..8])
}

/// The beginning of a body with its words and numbers masked: enough to see what kind it is.
fn extract(body: &[u8]) -> String {
    let head = &body[..body.len().min(EXTRACT_CHARS_MAX * 4)];
    let text = String::from_utf8_lossy(head);
    let mask = |sign: char| match sign {
        sign if sign.is_alphabetic() => 'x',
        sign if sign.is_numeric() => '9',
        sign if sign.is_control() => ' ',
        sign => sign,
    };
    text.chars().take(EXTRACT_CHARS_MAX).map(mask).collect()
}
