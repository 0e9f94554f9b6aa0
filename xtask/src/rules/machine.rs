//! No file names a place on somebody's machine: what works only there works nowhere else.

use super::{Exception, is_excepted};
use crate::repository::File;

const EXCEPTIONS: &[Exception] = &[Exception {
    path: "xtask/src/rules/machine.rs",
    reason: "lists the refused places",
}];

/// Folders that belong to one machine. Temporary folders are asked for, never spelled out.
const PLACES: &[&str] = &["/farm", "/home", "/root", "/tmp", "/work"];

/// Every mention of such a place, one sentence each.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !is_excepted(EXCEPTIONS, file)) {
        for (index, line) in file.text.lines().enumerate() {
            for place in PLACES.iter().filter(|place| mentions(line, place)) {
                let path = &file.path;
                found.push(format!("{path}:{}: names the machine's {place}", index + 1));
            }
        }
    }
    found
}

/// Whether `place` stands in `line` as the first part of an absolute path with more behind it, or
/// alone; `src/work/lease.rs` and `/workers` are other things.
fn mentions(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || "_-.*}/".contains(c);
        let before = line[..at].chars().next_back();
        let after = line[at + place.len()..].chars().next();
        !before.is_some_and(is_part)
            && !after.is_some_and(|c| c.is_alphanumeric() || "_-.".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::rules::tests::file;

    fn is_refused(line: &str) -> bool {
        !violations(&[file("a.txt", line)]).is_empty()
    }

    #[test]
    fn places_on_a_machine_are_refused() {
        for line in [
            "cd /work/main",
            "see `/tmp`",
            "url = \"sqlite:/tmp/a.db\"",
            "--target-dir=/home/me/target",
            "(/root/.cargo)",
            "/farm/a",
        ] {
            assert!(is_refused(line), "{line:?} was taken");
        }
    }

    #[test]
    fn paths_of_the_repository_and_of_the_api_are_taken() {
        for line in [
            "crates/bestow/src/work/lease.rs",
            "GET /workers and /v1/home",
            "https://example.test/home",
            "{base}/tmp",
            "a temporary folder",
            "work/home",
        ] {
            assert!(!is_refused(line), "{line:?} was refused");
        }
    }

    #[test]
    fn the_sentence_names_file_line_and_place() {
        let found = violations(&[file("docs/a.md", "x\n/tmp/b\n")]);
        assert_eq!(found, ["docs/a.md:2: names the machine's /tmp"]);
    }
}
