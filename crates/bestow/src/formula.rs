//! Cells of tables that a spreadsheet would take for a formula: an apostrophe before them says that they are text.
//!
//! It goes in where tables are written for people and out where they are read, so what a person copies from one into
//! the other comes back as it was.

use std::borrow::Cow;

/// What a formula begins with.
const BEGINNINGS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Whether a cell is a formula, or one that was guarded before.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(BEGINNINGS)
}

/// The cell as a spreadsheet shows it without working it out.
pub(crate) fn guarded(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) {
        Cow::from(format!("'{cell}"))
    } else {
        Cow::from(cell)
    }
}

/// What [`guarded`] was given.
pub(crate) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_formula(text) => text,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guarded_is_text_and_comes_back() {
        let cells = [
            ("C-1", "C-1"),
            ("", ""),
            ("'tis", "'tis"),
            ("=1+1", "'=1+1"),
            ("+7", "'+7"),
            ("-7", "'-7"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("'=1+1", "''=1+1"),
            ("''-", "'''-"),
        ];
        for (cell, written) in cells {
            assert_eq!(guarded(cell), written);
            assert_eq!(unguarded(written), cell);
        }
    }
}
