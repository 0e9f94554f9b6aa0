//! Ids of campaigns: numbers, and text for triggered ones.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// Longest id that is text, in bytes.
const TEXT_BYTES_MAX: usize = 64;

/// The id of a campaign. All digits are a number; anything else is text, compared without letter
/// case and sent in its own spelling. Only triggered campaigns have text.
#[derive(Clone, Debug)]
pub enum CampaignId {
    /// A number, as all campaigns of the API have.
    Number(u64),
    /// Text such as `rt-812`.
    Text(String),
}

impl CampaignId {
    /// The id behind a text that a caller gave.
    pub(crate) fn read(text: &str) -> Self {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// Whether it can stand in a path and in any body as it is.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        match self {
            Self::Number(_) => true,
            Self::Text(text) => {
                (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
            }
        }
    }
}

impl Ord for CampaignId {
    /// Numbers first.
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |text: &str| text.to_ascii_lowercase();
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (Self::Text(one), Self::Text(other)) => lower(one).cmp(&lower(other)),
        }
    }
}

impl PartialOrd for CampaignId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for CampaignId {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for CampaignId {}

impl fmt::Display for CampaignId {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Text(text) => out.write_str(text),
        }
    }
}

impl From<u64> for CampaignId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for CampaignId {
    fn from(text: &str) -> Self {
        Self::read(text)
    }
}

impl From<&CampaignId> for CampaignId {
    fn from(id: &CampaignId) -> Self {
        id.clone()
    }
}

impl<'de> Deserialize<'de> for CampaignId {
    /// From a number or from text.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = CampaignId;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("the id of a campaign, a number or text")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<CampaignId, E> {
                Ok(CampaignId::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CampaignId, E> {
                Ok(CampaignId::read(text.trim()))
            }
        }

        from.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_numbers_and_text_compares_without_case() {
        assert_eq!(CampaignId::from("5101"), CampaignId::Number(5_101));
        assert_eq!(CampaignId::from("RT-812"), CampaignId::from("rt-812"));
        assert_ne!(CampaignId::from("rt-813"), CampaignId::from("rt-812"));
        assert_eq!(CampaignId::from("RT-812").to_string(), "RT-812");
        assert!(CampaignId::from(u64::MAX) < CampaignId::from("a"));
        for (text, plain) in [("rt-812", true), ("+5", false), ("", false), ("a/b", false)] {
            assert_eq!(CampaignId::from(text).is_plain(), plain, "{text:?}");
        }
    }
}
