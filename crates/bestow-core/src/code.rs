//! Promo codes as rows carry them: none, one, several with commas, or a list.

use std::collections::BTreeSet;

use crate::id::{PromoCode, fold_code};
use crate::outcome::HoldReason;

/// How many distinct codes a customer may get from one campaign, unless the tenant says otherwise.
pub const CODES_PER_CUSTOMER_MAX: usize = 5;

/// A code that no grant can be made of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCode {
    /// What the row said, trimmed.
    pub text: String,
    /// Why it is held.
    pub reason: HoldReason,
}

/// What one row carries. Each element is one pair of customer and code; no element at all is a row
/// without promotion, which is counted and is no error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCodes {
    /// The distinct codes in the order of the row, each in its first spelling.
    pub codes: Vec<PromoCode>,
    /// The distinct texts that are no codes, or are more than the row may carry.
    pub held: Vec<HeldCode>,
}

impl RowCodes {
    /// Pairs in this row; 0 is a row without promotion.
    pub fn pairs(&self) -> usize {
        self.codes.len() + self.held.len()
    }
}

/// Reads the codes of one row from the text or texts of its `PromoCode` field.
///
/// A text that as a whole `is_known` (asked by its fold) is that code, commas and all. Any other is
/// split on commas, trimmed, and loses its blanks. A repeat, in whatever spelling, is dropped.
/// Codes beyond `codes_max` are held as `too_many_codes`, texts that cannot be codes as `bad_code`.
pub fn codes_in_row<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    is_known: impl Fn(&str) -> bool,
    codes_max: usize,
) -> RowCodes {
    let mut row = RowCodes::default();
    let mut seen = BTreeSet::new();
    for text in texts {
        if !text.contains(',') || is_known(&fold_code(text)) {
            take(text, &mut row, &mut seen, codes_max);
        } else {
            for part in text.split(',') {
                take(part, &mut row, &mut seen, codes_max);
            }
        }
    }
    row
}

fn take(text: &str, row: &mut RowCodes, seen: &mut BTreeSet<String>, codes_max: usize) {
    let text = text.trim();
    let folded = fold_code(text);
    if folded.trim().is_empty() || seen.contains(folded.as_ref()) {
        return;
    }
    seen.insert(folded.into_owned());
    let reason = match PromoCode::parse(text) {
        Ok(code) if row.codes.len() < codes_max => return row.codes.push(code),
        Ok(_) => HoldReason::TooManyCodes,
        Err(_) => HoldReason::BadCode,
    };
    row.held.push(HeldCode {
        text: text.to_owned(),
        reason,
    });
}
