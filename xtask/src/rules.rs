//! The rules of the repository that no lint knows, each with the reason in its own file.
//!
//! `cargo xtask test` runs them as one step; the tests at the end of this file run the same code,
//! so that a plain `cargo test` finds a violation too.

mod edges;
mod links;
mod machine;
mod purity;
mod statements;
mod sums;

use crate::repository::File;

/// Every violation in the repository, one sentence each; empty when all rules hold.
///
/// # Errors
/// When a manifest cannot be read.
pub(crate) fn violations(files: &[File]) -> anyhow::Result<Vec<String>> {
    let mut found = edges::violations(&edges::members(files)?);
    found.extend(purity::violations(files));
    found.extend(statements::violations(files));
    found.extend(machine::violations(files));
    found.extend(links::violations(files));
    found.extend(sums::violations(files));
    Ok(found)
}

/// A place where a rule does not apply, and why.
struct Exception {
    /// Start of the paths it covers.
    path: &'static str,
    /// Why the rule is not meant for it.
    #[expect(
        dead_code,
        reason = "read by people: an exception without a reason is not one"
    )]
    reason: &'static str,
}

fn is_excepted(exceptions: &[Exception], file: &File) -> bool {
    exceptions
        .iter()
        .any(|exception| file.path.starts_with(exception.path))
}

#[cfg(test)]
mod tests {
    use super::{File, violations};
    use crate::repository;

    /// A file that exists only in a test.
    pub(super) fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_repository_keeps_its_rules() {
        let files = repository::files(&repository::root()).unwrap();
        let found = violations(&files).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
