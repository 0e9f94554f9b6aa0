//! `bestow-core` decides and does nothing else, so that a million histories can be tried without
//! a database, a network or a clock. The manifest keeps foreign crates out (see `edges`); this
//! keeps out those parts of the standard library that reach the world.

use crate::repository::File;
use crate::source::Source;

/// Sources under this rule. Tests of the crate may read files.
const PURE: &str = "crates/bestow-core/src/";

/// Parts of the standard library that are a clock, or input and output. The modules that hold
/// them are refused as a whole import too, since their parts would then hide behind a short name.
const REFUSED: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];
const REFUSED_WHOLE: &[&str] = &["std", "std::*", "std::time", "std::time::*"];

/// Words that no pure function needs.
const REFUSED_WORDS: &[&str] = &["async", "await"];

/// Every use of the world in the pure sources, one sentence each.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is("rs") && file.path.starts_with(PURE))
        .flat_map(|file| violations_in(&file.path, &Source::scan(&file.text)))
        .collect()
}

fn violations_in(path: &str, source: &Source) -> Vec<String> {
    let tokens = source.tokens();
    let mut found = Paths {
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
    }
    .collect();
    found.retain(|(_, name)| is_refused(name));
    let words = tokens
        .iter()
        .filter(|(_, token)| REFUSED_WORDS.contains(token));
    found.extend(words.map(|&(line, token)| (line, token.to_owned())));
    found
        .into_iter()
        .map(|(line, name)| format!("{path}:{line}: bestow-core is pure and must not use `{name}`"))
        .collect()
}

fn is_refused(name: &str) -> bool {
    let inside = |refused: &&str| {
        name.strip_prefix(*refused)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    REFUSED.iter().any(inside) || REFUSED_WHOLE.contains(&name)
}

/// Collects the paths that a file names, with those in `use` trees written out in full.
struct Paths<'a> {
    tokens: &'a [(usize, &'a str)],
    at: usize,
    found: Vec<(usize, String)>,
}

impl Paths<'_> {
    fn collect(mut self) -> Vec<(usize, String)> {
        while let Some(token) = self.peek(0) {
            if token == "use" {
                self.at += 1;
                self.tree("");
            } else if self.peek(1) == Some("::") && is_name(token) {
                self.tree("");
            } else {
                self.at += 1;
            }
        }
        self.found
    }

    fn peek(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(|(_, token)| *token)
    }

    /// Reads `a::b`, `a::{b, c::d}`, `a::*` or `a as b` behind `prefix`.
    fn tree(&mut self, prefix: &str) {
        let mut path = prefix.to_owned();
        while let Some(&(line, token)) = self.tokens.get(self.at) {
            if token == "{" && (path.is_empty() || path.ends_with("::")) {
                return self.group(&path);
            }
            if token == "::" {
                // A leading one changes nothing: `::std::fs` is `std::fs`.
                path.push_str(if path.is_empty() { "" } else { "::" });
            } else if (is_name(token) || token == "*") && (path.is_empty() || path.ends_with("::"))
            {
                path.push_str(token);
                if self.peek(1) != Some("::") {
                    self.at += 1;
                    return self.found.push((line, path));
                }
            } else {
                return;
            }
            self.at += 1;
        }
    }

    fn group(&mut self, prefix: &str) {
        self.at += 1;
        while let Some(token) = self.peek(0) {
            if matches!(token, "}" | ";") {
                self.at += 1;
                return;
            }
            let before = self.at;
            self.tree(prefix);
            if self.at == before {
                self.at += 1;
            }
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::rules::tests::file;

    fn refused_in(text: &str) -> Vec<String> {
        violations(&[file("crates/bestow-core/src/a.rs", text)])
            .into_iter()
            .map(|sentence| sentence.split('`').nth(1).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_way_to_name_the_world_is_refused() {
        let cases: &[(&str, &[&str])] = &[
            ("use std::fs;", &["std::fs"]),
            ("use ::std::net::TcpStream as S;", &["std::net::TcpStream"]),
            (
                "use std::{fmt, env::{self, var}};",
                &["std::env::self", "std::env::var"],
            ),
            (
                "use std::{time::{Duration, Instant}, io};",
                &["std::time::Instant", "std::io"],
            ),
            ("use std::time;", &["std::time"]),
            ("use std::time::*;", &["std::time::*"]),
            (
                "fn f() { let t = std::time::SystemTime::UNIX_EPOCH; }",
                &["std::time::SystemTime::UNIX_EPOCH"],
            ),
            ("async fn f() { g().await }", &["async", "await"]),
        ];
        for (text, expected) in cases {
            assert_eq!(refused_in(text), *expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_the_world_is_taken() {
        let text = "//! std::fs is not used here.\n\
                    use std::{collections::BTreeMap, fmt::{self, Write as _}, time::Duration};\n\
                    enum Read { Instant(u8) }\n\
                    fn f() -> Read { g(\"std::net\"); Read::Instant(Duration::ZERO.as_secs()) }\n\
                    fn g<'a>(x: &'a str) -> impl Iterator<Item = u8> + use<'a> { x.bytes() }";
        assert_eq!(refused_in(text), [""; 0]);
    }

    #[test]
    fn a_sentence_names_the_line_and_only_the_pure_crate_is_read() {
        let text = "fn f() {}\nuse std::fs;\n";
        let found = violations(&[file("crates/bestow-core/src/a.rs", text)]);
        let expected = "crates/bestow-core/src/a.rs:2: bestow-core is pure and must not use \
                        `std::fs`";
        assert_eq!(found, [expected]);
        assert!(violations(&[file("crates/bestow/src/a.rs", text)]).is_empty());
        assert!(violations(&[file("crates/bestow-core/tests/it/a.rs", text)]).is_empty());
    }
}
