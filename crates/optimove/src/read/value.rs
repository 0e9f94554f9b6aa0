//! One JSON value, still raw, and what it can be read as.

use std::borrow::Cow;

use super::Codes;

/// The largest number of days that is taken seriously: a hundred years.
pub const DAYS_MAX: u32 = 36_500;

/// A JSON value as it was sent, without the white space around it.
///
/// The text is valid JSON. Each reader answers `None` where the value cannot be read as that type;
/// what this means is the caller's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    pub(crate) fn new(raw: &'a serde_json::value::RawValue) -> Self {
        Self(raw.get())
    }

    /// The JSON text.
    pub fn json(self) -> &'a str {
        self.0
    }

    /// Whether this is `null`, which everywhere means the same as an absent field.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The JSON type's name, for messages.
    pub fn kind(self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// The content of a string; `None` for other types and for text that Unicode forbids.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.as_bytes().contains(&b'\\') {
            return serde_json::from_str(self.0).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(inner))
    }

    /// An identifier: the trimmed content of a string, or the digits of an integer as sent.
    ///
    /// Blank text, text with a NUL, fractions, exponents and all other types are no identifiers.
    pub fn id(self) -> Option<Cow<'a, str>> {
        if self.is_integer() {
            return Some(Cow::Borrowed(self.0));
        }
        let text = trimmed(self.string()?);
        (!text.is_empty() && !text.contains('\0')).then_some(text)
    }

    /// A whole number, sent as a number or as a string of digits.
    pub fn integer(self) -> Option<i64> {
        if self.is_integer() {
            return self.0.parse().ok();
        }
        let text = self.string()?;
        let digits = text.trim();
        is_integer(digits).then(|| digits.parse().ok()).flatten()
    }

    /// A count, sent as a number or as a string of digits; `None` below zero.
    pub fn count(self) -> Option<u64> {
        self.integer().and_then(|number| u64::try_from(number).ok())
    }

    /// `true` or `false`, or one of these words as a string in any letter case.
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                let text = self.string()?;
                let word = text.trim();
                if word.eq_ignore_ascii_case("true") {
                    Some(true)
                } else {
                    word.eq_ignore_ascii_case("false").then_some(false)
                }
            }
        }
    }

    /// Text for people: the content of a string, or the JSON text of anything else.
    pub fn prose(self) -> Cow<'a, str> {
        self.string().unwrap_or(Cow::Borrowed(self.0))
    }

    /// A number of days: Duration and `LeadTime` of a campaign.
    pub fn days(self) -> Days {
        let text = self.prose();
        if self.is_null() || text.trim().is_empty() {
            return Days::Missing;
        }
        match self.integer().and_then(|days| u32::try_from(days).ok()) {
            Some(days) if days <= DAYS_MAX => Days::Whole(days),
            _ => Days::Absurd(text.trim().to_owned()),
        }
    }

    /// The promo codes of a row or of a notification.
    pub fn codes(self) -> Codes<'a> {
        super::codes::read(self)
    }

    /// Whether this is a JSON number.
    pub fn is_number(self) -> bool {
        self.0
            .starts_with(|sign: char| sign == '-' || sign.is_ascii_digit())
    }

    fn is_integer(self) -> bool {
        is_integer(self.0)
    }
}

/// Digits with at most one minus before them.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The same text without white space at its ends, borrowed where it was.
pub(super) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if plain(bytes.first()) && plain(bytes.last()) {
        return text;
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// A number of days as a campaign states it, told apart from what says nothing and from nonsense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Days {
    /// Absent, `null` or blank.
    #[default]
    Missing,
    /// From 0 to [`DAYS_MAX`].
    Whole(u32),
    /// Negative, too large, or no whole number: the text as sent.
    Absurd(String),
}

impl Days {
    /// The days, where they make sense.
    pub fn whole(&self) -> Option<u32> {
        match self {
            Self::Whole(days) => Some(*days),
            Self::Missing | Self::Absurd(_) => None,
        }
    }
}
