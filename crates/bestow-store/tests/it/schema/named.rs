//! Statements name their columns: a later program adds some while this one serves, and its statements mean what they
//! meant.

use super::source::texts;

#[test]
fn columns_are_named() {
    let mut inserts = 0;
    for text in texts()
        .into_iter()
        .filter(|text| text.sql.starts_with("-- "))
    {
        let words = text.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let all = words.match_indices('*').filter(|(at, _)| {
            let before = words[..*at].trim_end();
            before.ends_with("SELECT") || before.ends_with("RETURNING") || before.ends_with('.')
        });
        for (at, _) in all {
            // What is given as columns has as many as are given.
            assert!(words[at..].starts_with("* FROM UNNEST"), "{words}");
        }
        for (at, _) in words.match_indices("INSERT INTO ") {
            let mut into = words[at..].split(' ').skip(3);
            assert!(
                into.next().is_some_and(|word| word.starts_with('(')),
                "{words}"
            );
            inserts += 1;
        }
    }
    assert!(inserts > 30, "only {inserts} inserts");
}
