//! Comparing texts from outside: letter case and characters that nobody can see.

use std::borrow::Cow;

/// Characters without width that survive copying and pasting, and so turn up in ids and codes.
const INVISIBLE: [char; 6] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}',
];

pub(crate) fn is_invisible(letter: char) -> bool {
    INVISIBLE.contains(&letter)
}

/// Unicode lower case; borrowed where there is nothing to change.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    let settled = text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if settled {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// Lower case without invisible characters: the form in which promo codes are compared.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    without(text, is_invisible)
}

/// As [`fold`], and without blanks: the form in which two customer ids count as nearly equal.
pub(crate) fn fold_closely(text: &str) -> Cow<'_, str> {
    without(text, |letter| {
        is_invisible(letter) || letter.is_whitespace()
    })
}

fn without(text: &str, dropped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.contains(&dropped) {
        let kept: String = text.chars().filter(|&letter| !dropped(letter)).collect();
        Cow::Owned(kept.to_lowercase())
    } else {
        lower(text)
    }
}

/// Whether a text holds NUL or another control character, which no id and no code may.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether a text is longer than `chars_max` characters, without counting a long one to its end.
pub(crate) fn is_longer_than(text: &str, chars_max: usize) -> bool {
    text.len() > chars_max && text.chars().nth(chars_max).is_some()
}
