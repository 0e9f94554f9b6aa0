//! `cargo xtask test`: everything that must pass before a change lands.
//!
//! Steps run in order, cheapest first, and all of them run, so that one run shows everything
//! that is wrong; only a missing tool ends it early. The last line of the output is the verdict,
//! `N passed, M failed`: N counts tests, M counts failed tests and failed steps. The exit code is
//! 0 exactly when N is not 0 and M is 0. A further step is a further line in [`STEPS`].

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, bail, ensure};

use crate::api::{self, Effort};
use crate::cargo::{Ended, cargo, succeed, tests};
use crate::postgres::{self, Server};
use crate::totals::Totals;
use crate::{disk, fuzz, repository, rules, tidy};

/// What is asked of the API in every run: the same each time.
const API_EFFORT: Effort = Effort {
    examples: 25,
    seed: 1,
    seconds_max: 30,
};
/// How long tests may say nothing. Far longer than any of them takes, also where the machine is slow.
const SILENCE_MAX: Duration = Duration::from_mins(20);
/// How long each fuzz target runs in every run.
const FUZZ_SECONDS: u32 = 5;

/// One check that passes or fails as a whole.
struct Step {
    name: &'static str,
    run: fn(&Path) -> anyhow::Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: |root| succeed(cargo(root, "fmt --all -- --check")),
    },
    Step {
        name: "rules",
        run: keep_rules,
    },
    Step {
        name: "tidy",
        run: report_sizes,
    },
    Step {
        name: "lints",
        run: |root| {
            let arguments = "--locked --workspace --all-targets --all-features -- -D warnings";
            succeed(cargo(root, &format!("clippy {arguments}")))
        },
    },
    Step {
        name: "lints of optimove without its client",
        run: |root| {
            let arguments = "--locked -p optimove --no-default-features -- -D warnings";
            succeed(cargo(root, &format!("clippy {arguments}")))
        },
    },
    Step {
        name: "documentation",
        run: document,
    },
    // One build for all tests; it includes the `bestow` binary that tests start.
    Step {
        name: "build",
        run: |root| {
            succeed(cargo(
                root,
                "test --locked --workspace --all-features --no-run",
            ))
        },
    },
    Step {
        name: "the API by its description",
        run: |root| api::fuzz(root, API_EFFORT),
    },
    Step {
        name: "fuzz targets",
        run: |root| fuzz::run(root, FUZZ_SECONDS),
    },
];

/// Tests of the service that run a second time, with a PostgreSQL database for each service. The
/// same binaries are asked for as the first time, so nothing is built again.
const ON_POSTGRES: &[&str] = &[
    "cli::demo",
    "cli::serving",
    "deliveries::",
    "faults::",
    "flows::",
    "harness::",
    "http::",
    "kill::",
    "services::",
    "sim::a_seed",
    "sim::fixed",
];

/// Runs of the service's tests on PostgreSQL: name, tests, customers of the demo that is checked grant by grant. That
/// of a million has the machine to itself.
const AGAIN_ON_POSTGRES: &[(&str, &[&str], &str)] = &[
    ("tests of the service on postgresql", ON_POSTGRES, "20000"),
    (
        "demo of a million customers on postgresql",
        &["cli::demo::the_demo_ends_well"],
        "1000000",
    ),
];

/// Says how many customers the tested demo has.
const DEMO_VARIABLE: &str = "BESTOW_TEST_DEMO_CUSTOMERS";

/// Runs all steps, then all tests.
///
/// # Errors
/// When output cannot be written or a tool is missing.
pub(crate) fn test() -> anyhow::Result<ExitCode> {
    let root = repository::root();
    let mut out = io::stdout();
    let started = now();
    announced(&mut out, "toolchain", || find_tools(&root))?.map_err(Error::msg)?;
    let mut failed = Vec::new();
    for step in STEPS {
        failed.extend(announced(&mut out, step.name, || (step.run)(&root))?.err());
    }
    failed.extend(announced(&mut out, "nats-server", nats_server)?.err());
    let library = disk::library();
    let mut server = None;
    let started_server = announced(&mut out, "postgresql", || {
        server = Some(Server::start(library.as_deref())?);
        Ok(())
    })?;
    failed.extend(started_server.err());
    let mut totals = Totals::default();
    let everything = "test --locked --workspace --all-features --no-fail-fast";
    let mut ran = announced(&mut out, "tests", || {
        let mut command = cargo(&root, everything);
        command.envs(library.iter().map(|library| (disk::VARIABLE, library)));
        // Without a server the tests that need one fail, and say why.
        if let Some(server) = &server {
            command.env(postgres::URL_VARIABLE, server.url());
        }
        run_tests(command, &mut totals)
    })?;
    if let Some(server) = &server {
        for (name, wanted, customers) in AGAIN_ON_POSTGRES {
            let again = announced(&mut out, name, || {
                let mut command = cargo(&root, &format!("{everything} --test it --"));
                command
                    .args(*wanted)
                    .envs(library.iter().map(|library| (disk::VARIABLE, library)))
                    .env(DEMO_VARIABLE, customers)
                    .env(postgres::URL_VARIABLE, server.url())
                    .env(postgres::SERVICE_VARIABLE, server.url());
                run_tests(command, &mut totals)
            })?;
            ran = ran.and(again);
        }
    }
    drop(server);
    writeln!(out, "\nall steps took {}", seconds(started.elapsed()))?;
    close(&mut out, totals, &failed, ran)
}

/// Runs one test command, adds its counts to `totals` and judges them.
fn run_tests(command: Command, totals: &mut Totals) -> anyhow::Result<()> {
    let (counted, ended) = tests(command, SILENCE_MAX)?;
    totals.add(counted);
    judge(counted, ended)
}

/// Writes what failed and then the verdict, which is the last line, and gives the exit code that
/// says the same. `ran` is what became of the tests as a whole.
pub(crate) fn close(
    out: &mut impl Write,
    totals: Totals,
    steps: &[String],
    ran: Result<(), String>,
) -> anyhow::Result<ExitCode> {
    // Failed tests are in the total already; anything else that is wrong counts once.
    let wrong = steps.len() as u64 + u64::from(ran.is_err() && totals.failed == 0);
    for sentence in steps.iter().chain(ran.err().as_ref()) {
        writeln!(out, "failed: {sentence}")?;
    }
    let failed = totals.failed + wrong;
    writeln!(out, "{}", Totals { failed, ..totals })?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs one step between two lines that name it, the second with its result and duration. The
/// inner error is the step's failure, as a sentence that starts with its name.
fn announced(
    out: &mut impl Write,
    name: &str,
    step: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Result<(), String>> {
    writeln!(out, "\n== {name}")?;
    let started = now();
    let result = step().map_err(|error| format!("{name}: {error:#}"));
    let word = if result.is_ok() { "ok" } else { "FAILED" };
    writeln!(out, "== {name}: {word}, {}", seconds(started.elapsed()))?;
    Ok(result)
}

/// Whether a run of tests counts as passed. An ignored test proves nothing, and neither does a
/// run without tests.
pub(crate) fn judge(totals: Totals, ended: Ended) -> anyhow::Result<()> {
    ensure!(totals.failed == 0, "{} failed", totals.failed);
    ensure!(
        ended == Ended::Well,
        "a test binary did not build or did not end properly"
    );
    ensure!(
        totals.ignored == 0,
        "{} ignored; run them or remove them",
        totals.ignored
    );
    ensure!(totals.passed > 0, "no test ran");
    Ok(())
}

/// The server of NATS that some tests start for themselves.
fn nats_server() -> anyhow::Result<()> {
    let is_there = || {
        Command::new("nats-server")
            .arg("--version")
            .output()
            .is_ok()
    };
    if !is_there() {
        postgres::install("nats-server")?;
    }
    ensure!(
        is_there(),
        "nats-server is missing: install it (Debian: `apt-get install nats-server`)"
    );
    Ok(())
}

fn find_tools(root: &Path) -> anyhow::Result<()> {
    for tool in ["fmt", "clippy"] {
        let found = cargo(root, &format!("{tool} --version"))
            .output()
            .context("no cargo")?;
        ensure!(
            found.status.success(),
            "`cargo {tool}` is missing: run `rustup component add rustfmt clippy`"
        );
    }
    Ok(())
}

fn keep_rules(root: &Path) -> anyhow::Result<()> {
    refuse(
        &mut io::stdout(),
        &rules::violations(&repository::files(root)?)?,
    )
}

fn report_sizes(root: &Path) -> anyhow::Result<()> {
    let report = tidy::report(&repository::files(root)?);
    for remark in &report.remarks {
        writeln!(io::stdout(), "{remark}")?;
    }
    refuse(&mut io::stdout(), &report.violations)
}

fn refuse(out: &mut impl Write, violations: &[String]) -> anyhow::Result<()> {
    for violation in violations {
        writeln!(out, "{violation}")?;
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("1 violation"),
        count => bail!("{count} violations"),
    }
}

fn document(root: &Path) -> anyhow::Result<()> {
    let mut command = cargo(root, "doc --locked --workspace --no-deps");
    command.env("RUSTDOCFLAGS", "-D warnings");
    succeed(command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "durations of steps are only printed"
)]
fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::{Ended, ON_POSTGRES, Totals, announced, close, judge, refuse};
    use crate::repository;
    use anyhow::bail;
    use std::process::ExitCode;

    #[test]
    fn a_run_passes_only_when_every_test_ran_and_passed() {
        let good = Totals {
            passed: 3,
            failed: 0,
            ignored: 0,
        };
        assert!(judge(good, Ended::Well).is_ok());
        assert!(judge(good, Ended::Badly).is_err());
        assert!(judge(Totals { failed: 1, ..good }, Ended::Badly).is_err());
        assert!(judge(Totals { ignored: 1, ..good }, Ended::Well).is_err());
        assert!(judge(Totals::default(), Ended::Well).is_err());
    }

    #[test]
    fn no_tests_of_the_service_are_forgotten_on_postgresql() {
        let main = repository::root().join("crates/bestow/tests/it/main.rs");
        let main = std::fs::read_to_string(main).unwrap();
        // What the tests stand on, and stand-ins of their own.
        // Those of several processes are on PostgreSQL in the first run already.
        let without_tests = ["home", "nodes", "process", "scripted", "support"];
        let modules = main.lines().filter_map(|line| {
            let name = line.strip_prefix("mod ")?;
            name.strip_suffix(';')
        });
        let mut found = 0;
        for module in modules.filter(|module| !without_tests.contains(module)) {
            let prefix = format!("{module}::");
            let is_run = ON_POSTGRES.iter().any(|one| one.starts_with(&prefix));
            assert!(is_run, "{module} does not run on PostgreSQL");
            found += 1;
        }
        assert!(found > 0);
    }

    #[test]
    fn a_failed_step_is_told_by_its_name() {
        let mut out = Vec::new();
        let failed = announced(&mut out, "lints", || bail!("ended with 101")).unwrap();
        assert_eq!(failed, Err("lints: ended with 101".to_owned()));
        assert!(
            String::from_utf8(out)
                .unwrap()
                .starts_with("\n== lints\n== lints: FAILED, ")
        );
    }

    #[test]
    fn a_passed_step_says_so() {
        let mut out = Vec::new();
        assert_eq!(announced(&mut out, "format", || Ok(())).unwrap(), Ok(()));
        assert!(
            String::from_utf8(out)
                .unwrap()
                .starts_with("\n== format\n== format: ok, ")
        );
    }

    /// The verdict line for these failures, and whether the exit code agrees with it.
    fn verdict(totals: Totals, steps: &[&str], ran: Result<(), &str>) -> (String, bool) {
        let steps: Vec<_> = steps.iter().map(|&step| step.to_owned()).collect();
        let mut out = Vec::new();
        let code = close(&mut out, totals, &steps, ran.map_err(str::to_owned)).unwrap();
        let last = String::from_utf8(out)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .to_owned();
        (last, code == ExitCode::SUCCESS)
    }

    #[test]
    fn the_verdict_counts_failed_tests_and_failed_steps() {
        let good = Totals {
            passed: 3,
            failed: 0,
            ignored: 0,
        };
        let bad = Totals { failed: 2, ..good };
        let is = |line: &str, success| (line.to_owned(), success);
        assert_eq!(verdict(good, &[], Ok(())), is("3 passed, 0 failed", true));
        assert_eq!(
            verdict(good, &["lints: no"], Ok(())),
            is("3 passed, 1 failed", false)
        );
        assert_eq!(
            verdict(good, &[], Err("tests: crashed")),
            is("3 passed, 1 failed", false)
        );
        assert_eq!(
            verdict(bad, &[], Err("tests: 2 failed")),
            is("3 passed, 2 failed", false)
        );
        assert_eq!(
            verdict(bad, &["a", "b"], Err("tests: 2")),
            is("3 passed, 4 failed", false)
        );
    }

    #[test]
    fn violations_fail_their_step() {
        let mut out = Vec::new();
        assert!(refuse(&mut out, &[]).is_ok());
        assert!(refuse(&mut out, &["a.rs:1: wrong".to_owned()]).is_err());
        assert_eq!(out, b"a.rs:1: wrong\n");
    }
}
