//! Identities. What comes from outside stays text; each type is checked once, when it is made.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::text;

/// Longest tenant id, in characters.
pub const TENANT_ID_CHARS_MAX: usize = 64;
/// Longest customer id, in characters.
pub const CUSTOMER_ID_CHARS_MAX: usize = 256;
/// Longest campaign id, in characters.
pub const CAMPAIGN_ID_CHARS_MAX: usize = 128;
/// Longest promo code, in characters.
pub const PROMO_CODE_CHARS_MAX: usize = 128;
/// Longest occurrence, in characters: a SHA-512 in hexadecimal digits.
pub const OCCURRENCE_CHARS_MAX: usize = 128;

/// Why a text is no tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant id is 1 to {TENANT_ID_CHARS_MAX} characters of a-z, 0-9, '_' and '-', \
     and starts with a letter or a digit"
)]
pub struct TenantIdFault;

/// One Optimove client with its own credentials, zone and data: a short name chosen by the
/// operator, safe in addresses, file names and log lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Box<str>);

impl TenantId {
    /// Reads a tenant id as it stands: nothing is trimmed or lower-cased.
    pub fn parse(text: &str) -> Result<Self, TenantIdFault> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let starts_plain = text.bytes().next().is_some_and(plain);
        let stays_plain = text
            .bytes()
            .all(|byte| plain(byte) || byte == b'_' || byte == b'-');
        if starts_plain && stays_plain && text.len() <= TENANT_ID_CHARS_MAX {
            Ok(Self(text.into()))
        } else {
            Err(TenantIdFault)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no customer id. The row that carries it is held, the others of its page go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CustomerIdFault {
    /// Nothing is left once blanks at both ends are gone.
    #[error("a customer id may not be empty")]
    Empty,
    /// More than [`CUSTOMER_ID_CHARS_MAX`] characters.
    #[error("a customer id has at most {CUSTOMER_ID_CHARS_MAX} characters")]
    TooLong,
    /// NUL or another control character inside.
    #[error("a customer id may not hold control characters")]
    Control,
}

/// The person, by Optimove's id (`CustomerID` on the wire): opaque text.
///
/// Trimmed at both ends and otherwise byte for byte what was sent: `007` is not `7`, `abc` is not
/// `ABC`, and a composed letter is not its decomposed twin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(Box<str>);

impl CustomerId {
    /// Reads a customer id.
    pub fn parse(text: &str) -> Result<Self, CustomerIdFault> {
        Self::check(text).map(|id| Self(id.into()))
    }

    /// The id that `text` holds, borrowed: for paths that look at millions of rows and keep few.
    pub fn check(text: &str) -> Result<&str, CustomerIdFault> {
        let id = text.trim();
        if id.is_empty() {
            return Err(CustomerIdFault::Empty);
        }
        if text::is_longer_than(id, CUSTOMER_ID_CHARS_MAX) {
            return Err(CustomerIdFault::TooLong);
        }
        if text::has_control(id) {
            return Err(CustomerIdFault::Control);
        }
        Ok(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// See [`fold_customer`].
    pub fn fold(&self) -> Cow<'_, str> {
        fold_customer(&self.0)
    }
}

/// The form in which two customer ids count as nearly equal: Unicode lower case, without blanks and
/// invisible characters.
///
/// It never identifies a customer. It only finds two spellings in one campaign that a person
/// should look at, because somebody typed one of them.
pub fn fold_customer(id: &str) -> Cow<'_, str> {
    text::fold_closely(id)
}

/// Why a text is no campaign id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CampaignIdFault {
    /// Nothing is left once blanks at both ends are gone.
    #[error("a campaign id may not be empty")]
    Empty,
    /// More than [`CAMPAIGN_ID_CHARS_MAX`] characters.
    #[error("a campaign id has at most {CAMPAIGN_ID_CHARS_MAX} characters")]
    TooLong,
    /// NUL or another control character inside.
    #[error("a campaign id may not hold control characters")]
    Control,
}

/// One occurrence of a campaign (`CampaignID` on the wire), in its one canonical form.
///
/// All digits: a number, so leading zeros go. Otherwise (triggered campaigns): text without letter
/// case, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CampaignId(Box<str>);

impl CampaignId {
    /// Reads a campaign id in any of the spellings the wire uses for it.
    pub fn parse(text: &str) -> Result<Self, CampaignIdFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(CampaignIdFault::Empty);
        }
        if text::has_control(text) {
            return Err(CampaignIdFault::Control);
        }
        let canonical = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let digits = text.trim_start_matches('0');
            Cow::Borrowed(if digits.is_empty() { "0" } else { digits })
        } else {
            text::lower(text)
        };
        if text::is_longer_than(&canonical, CAMPAIGN_ID_CHARS_MAX) {
            return Err(CampaignIdFault::TooLong);
        }
        Ok(Self(canonical.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a scheduled campaign can have it: a whole number from 0 to [`i64::MAX`]. Triggered ones may have text.
    pub fn is_scheduled(&self) -> bool {
        number(&self.0).is_ok()
    }
}

/// Why a text is no channel or action id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel or action id is a whole number from 0 to {}", i64::MAX)]
pub struct NumberFault;

fn number(text: &str) -> Result<i64, NumberFault> {
    let text = text.trim();
    // `i64::from_str` would also take a sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberFault);
    }
    text.parse().map_err(|_| NumberFault)
}

/// The way a message goes out (`ChannelID` on the wire). An attribute of a grant, never part of its
/// key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub i64);

impl ChannelId {
    /// Reads a channel id: digits, possibly with leading zeros.
    pub fn parse(text: &str) -> Result<Self, NumberFault> {
        number(text).map(Self)
    }
}

/// Optimove's treatment for part of an audience (`ActionID` on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub i64);

impl ActionId {
    /// The control group: whoever is in it gets nothing, whatever list names them.
    pub const CONTROL_GROUP: Self = Self(1);

    /// Reads an action id: digits, possibly with leading zeros.
    pub fn parse(text: &str) -> Result<Self, NumberFault> {
        number(text).map(Self)
    }
}

/// Why a text is no promo code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromoCodeFault {
    /// Nothing visible is left once blanks at both ends are gone.
    #[error("a promo code may not be empty")]
    Empty,
    /// More than [`PROMO_CODE_CHARS_MAX`] characters.
    #[error("a promo code has at most {PROMO_CODE_CHARS_MAX} characters")]
    TooLong,
    /// NUL or another control character inside.
    #[error("a promo code may not hold control characters")]
    Control,
    /// A comma in a code that is being defined: lists of codes are written with commas.
    #[error("a promo code may not hold a comma, because lists of codes are written with commas")]
    Comma,
}

/// The text shared with Optimove that points to one promotion (`PromoCode` on the wire).
///
/// Two codes are equal when their [`fold`](Self::fold) is; the spelling that was seen first is the
/// one that is shown. `Eq`, `Ord` and `Hash` all go by the fold.
#[derive(Debug, Clone)]
pub struct PromoCode {
    spelling: Box<str>,
    /// Only where it differs from the spelling.
    folded: Option<Box<str>>,
}

impl PromoCode {
    /// Reads a code as it comes from Optimove or from a customer.
    pub fn parse(text: &str) -> Result<Self, PromoCodeFault> {
        let text = text.trim();
        let folded = text::fold(text);
        if folded.trim().is_empty() {
            return Err(PromoCodeFault::Empty);
        }
        if text::is_longer_than(text, PROMO_CODE_CHARS_MAX) {
            return Err(PromoCodeFault::TooLong);
        }
        if text::has_control(text) {
            return Err(PromoCodeFault::Control);
        }
        let folded = (folded != text).then(|| folded.into());
        Ok(Self {
            spelling: text.into(),
            folded,
        })
    }

    /// Reads a code that is about to enter the catalogue: as [`parse`](Self::parse), and without a
    /// comma.
    pub fn define(text: &str) -> Result<Self, PromoCodeFault> {
        if text.contains(',') {
            return Err(PromoCodeFault::Comma);
        }
        Self::parse(text)
    }

    /// The spelling seen first.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// The key under which the code is known: Unicode lower case without invisible characters.
    pub fn fold(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.spelling)
    }
}

/// The key under which a code of this spelling would be known; see [`PromoCode::fold`].
pub fn fold_code(text: &str) -> Cow<'_, str> {
    text::fold(text.trim())
}

impl PartialEq for PromoCode {
    fn eq(&self, other: &Self) -> bool {
        self.fold() == other.fold()
    }
}

impl Eq for PromoCode {}

impl PartialOrd for PromoCode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PromoCode {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.fold().cmp(other.fold())
    }
}

impl Hash for PromoCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fold().hash(state);
    }
}

/// Why a text is no occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an occurrence is a digest: 1 to {OCCURRENCE_CHARS_MAX} characters of 0-9 and a-f")]
pub struct OccurrenceFault;

/// What tells two triggers of one campaign for one customer apart: a digest, in lower-case
/// hexadecimal digits, of what [`trigger_material`](crate::notification::trigger_material) gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Occurrence(Box<str>);

impl Occurrence {
    /// Reads an occurrence.
    pub fn parse(text: &str) -> Result<Self, OccurrenceFault> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if (1..=OCCURRENCE_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_digit) {
            Ok(Self(text.into()))
        } else {
            Err(OccurrenceFault)
        }
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shown_as_text {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }
    )+};
}

shown_as_text!(TenantId, CustomerId, CampaignId, PromoCode, Occurrence);

impl fmt::Display for ChannelId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
