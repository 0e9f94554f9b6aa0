//! The codes of a row: none is lost, none comes twice, none is made up.
#![no_main]

use std::collections::BTreeSet;

use bestow_core::code::codes_in_row;
use bestow_core::id::fold_code;
use libfuzzer_sys::fuzz_target;

const CODES_MAX: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    // Lines are texts of the field; the first says which codes are known.
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let known = fold_code(lines.next().unwrap_or_default()).into_owned();
    let texts: Vec<&str> = lines.collect();
    let row = codes_in_row(texts.iter().copied(), |fold| fold == known, CODES_MAX);
    assert!(row.codes.len() <= CODES_MAX);
    let mut folds = BTreeSet::new();
    let codes = row.codes.iter().map(|code| code.as_str());
    for code in codes.chain(row.held.iter().map(|held| held.text.as_str())) {
        assert!(folds.insert(fold_code(code).into_owned()), "{code:?} twice");
        assert!(!code.trim().is_empty());
        assert!(
            texts.iter().any(|text| text.contains(code)),
            "{code:?} made up"
        );
    }
    // Every piece is there, unless a text as a whole is one code.
    for text in texts.iter().filter(|text| fold_code(text) != known) {
        for part in text.split(',') {
            let fold = fold_code(part.trim());
            assert!(
                fold.trim().is_empty() || folds.contains(fold.as_ref()),
                "{part:?} lost"
            );
        }
    }
    // Again, in the same order, it is the same.
    let again = codes_in_row(texts.iter().copied(), |fold| fold == known, CODES_MAX);
    assert_eq!(row, again);
});
