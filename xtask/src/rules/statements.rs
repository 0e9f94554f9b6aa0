//! SQL lives in `bestow-store` and nowhere else, so that every statement can be read in one
//! place and tested on every database.

use super::{Exception, is_excepted};
use crate::repository::File;
use crate::source::Source;

const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "crates/bestow-store/",
        reason: "the one home of SQL",
    },
    Exception {
        path: "crates/bestow-core/tests/it/id.rs",
        reason: "a customer's id may look like anything, a statement too",
    },
    Exception {
        path: "crates/bestow/tests/it/services/audit.rs",
        reason: "plants the damage that `verify` must find, behind the store's back",
    },
    Exception {
        path: "crates/bestow/tests/it/services/codes.rs",
        reason: "plants the damage that `verify` must find, behind the store's back",
    },
    Exception {
        path: "crates/bestow/tests/it/services/verify.rs",
        reason: "plants the damage that `verify` must find, behind the store's back",
    },
    Exception {
        path: "xtask/src/rules/statements.rs",
        reason: "recognises SQL, runs none",
    },
];

/// First words of a statement with the word that must follow, at once or further on: alone, the
/// first word is plain English.
const STATEMENTS: &[(&str, Follows)] = &[
    ("select", Follows::Later("from")),
    ("update", Follows::Later("set")),
    ("insert", Follows::AtOnce(&["into", "or"])),
    ("replace", Follows::AtOnce(&["into"])),
    ("delete", Follows::AtOnce(&["from"])),
    (
        "create",
        Follows::AtOnce(&["table", "index", "unique", "view", "trigger"]),
    ),
    (
        "drop",
        Follows::AtOnce(&["table", "index", "view", "trigger"]),
    ),
    ("alter", Follows::AtOnce(&["table"])),
    ("begin", Follows::AtOnce(&["immediate", "exclusive"])),
    ("pragma", Follows::Anything),
];

enum Follows {
    AtOnce(&'static [&'static str]),
    Later(&'static str),
    Anything,
}

/// Every statement outside the store, one sentence each.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is("rs") && !is_excepted(EXCEPTIONS, file))
    {
        for literal in Source::scan(&file.text).literals {
            if is_statement(&literal.text) {
                let (path, line) = (&file.path, literal.line);
                found.push(format!("{path}:{line}: SQL belongs in crates/bestow-store"));
            }
        }
    }
    found
}

/// Whether `literal` holds SQL: a statement in capitals anywhere in it, or one in small letters
/// as its first words. A sentence that starts with a capital letter is neither.
fn is_statement(literal: &str) -> bool {
    // Escapes are not resolved in literals, and these two part words.
    let literal = literal.replace("\\n", " ").replace("\\t", " ");
    let words: Vec<&str> = literal
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let is_upper = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
    let small = !literal
        .trim_start()
        .starts_with(|c: char| !c.is_ascii_lowercase());
    (0..words.len()).any(|at| {
        let in_capitals = is_upper(words[at]);
        (in_capitals || (small && at == 0)) && starts_statement(&words[at..], in_capitals)
    })
}

fn starts_statement(words: &[&str], in_capitals: bool) -> bool {
    let same = |word: &str, keyword: &str| {
        if in_capitals {
            word == keyword.to_ascii_uppercase()
        } else {
            word == keyword
        }
    };
    STATEMENTS.iter().any(|(first, follows)| {
        same(words[0], first)
            && match follows {
                Follows::AtOnce(seconds) => {
                    let second = words.get(1);
                    second.is_some_and(|word| seconds.iter().any(|next| same(word, next)))
                }
                Follows::Later(later) => words[1..].iter().any(|word| same(word, later)),
                Follows::Anything => words.len() > 1,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::{is_statement, violations};
    use crate::rules::tests::file;

    #[test]
    fn statements_are_recognised() {
        for text in [
            "SELECT a FROM b",
            "-- read_grants\\nSELECT a\\n  FROM b",
            "select a from b where c = ?1",
            "INSERT OR IGNORE INTO a VALUES (1)",
            "update a set b = 1",
            "x; DELETE FROM a",
            "CREATE UNIQUE INDEX a ON b (c)",
            "PRAGMA journal_mode = WAL",
            "BEGIN IMMEDIATE",
            "WITH x AS (SELECT a FROM b) UPDATE c SET d = 1",
        ] {
            assert!(is_statement(text), "{text:?} was not recognised");
        }
    }

    #[test]
    fn english_is_not_taken_for_statements() {
        for text in [
            "",
            "select",
            "Select a campaign from the list",
            "Update the settings and set the token",
            "cannot delete from here",
            "insert the code",
            "SELECTED FROM LIST",
            "drop 30 % of notifications",
            "pragma",
            "begin the import",
        ] {
            assert!(!is_statement(text), "{text:?} was taken for SQL");
        }
    }

    #[test]
    fn a_statement_is_refused_outside_the_store_only() {
        let text = "fn f() {\n    run(\"DELETE FROM grants\"); // SELECT a FROM b\n}";
        let found = violations(&[
            file("crates/bestow/src/a.rs", text),
            file("crates/bestow-store/src/a.rs", text),
            file("README.md", text),
        ]);
        assert_eq!(
            found,
            ["crates/bestow/src/a.rs:2: SQL belongs in crates/bestow-store"]
        );
    }
}
