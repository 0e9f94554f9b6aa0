//! Promo codes: one string, a list, a string that holds a list, a number, or nothing.

use std::borrow::Cow;

use super::value::trimmed;
use super::{Raw, read_list};

/// The texts of one `PromoCode` field, trimmed, blanks and nulls dropped.
///
/// Texts are not split on commas: a text that as a whole is a known code is that code, and only the
/// catalogue's owner can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Codes<'a> {
    /// No code: the row carries no promotion.
    #[default]
    None,
    /// One text, perhaps several codes with commas between them.
    One(Cow<'a, str>),
    /// The elements of a list, in its order.
    Many(Vec<Cow<'a, str>>),
    /// A value that holds no codes in any known form: its JSON text. To be held, never dropped.
    Unreadable(Cow<'a, str>),
}

impl<'a> Codes<'a> {
    /// The texts in their order; nothing for [`Codes::Unreadable`].
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let texts: &[Cow<'a, str>] = match self {
            Self::None | Self::Unreadable(_) => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        };
        texts.iter().map(AsRef::as_ref)
    }

    /// The same, independent of the body it was read from.
    pub fn into_owned(self) -> Codes<'static> {
        match self {
            Self::None => Codes::None,
            Self::One(text) => Codes::One(Cow::Owned(text.into_owned())),
            Self::Many(texts) => Codes::Many(
                texts
                    .into_iter()
                    .map(|text| Cow::Owned(text.into_owned()))
                    .collect(),
            ),
            Self::Unreadable(text) => Codes::Unreadable(Cow::Owned(text.into_owned())),
        }
    }

    fn from_texts(mut texts: Vec<Cow<'a, str>>) -> Self {
        match texts.len() {
            0 => Self::None,
            1 => texts.pop().map_or(Self::None, Self::One),
            _ => Self::Many(texts),
        }
    }
}

pub(super) fn read(raw: Raw<'_>) -> Codes<'_> {
    if raw.is_null() {
        return Codes::None;
    }
    if raw.is_number() {
        return Codes::One(Cow::Borrowed(raw.json()));
    }
    if raw.json().starts_with('[') {
        return elements(raw.json()).unwrap_or(Codes::Unreadable(Cow::Borrowed(raw.json())));
    }
    let Some(text) = raw.string().map(trimmed) else {
        return Codes::Unreadable(Cow::Borrowed(raw.json()));
    };
    if text.is_empty() {
        return Codes::None;
    }
    if text.starts_with('[')
        && let Some(codes) = elements(&text)
    {
        return codes.into_owned();
    }
    Codes::One(text)
}

/// The texts of a JSON list; `None` where it is none or holds something that cannot be a code.
fn elements(json: &str) -> Option<Codes<'_>> {
    let mut texts = Vec::new();
    for raw in read_list(json).ok()? {
        if raw.is_null() {
            continue;
        }
        if raw.is_number() {
            texts.push(Cow::Borrowed(raw.json()));
            continue;
        }
        let text = trimmed(raw.string()?);
        if !text.is_empty() {
            texts.push(text);
        }
    }
    Some(Codes::from_texts(texts))
}
