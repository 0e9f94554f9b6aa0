//! Lets libFuzzer look for inputs that a parser does not survive, with the one toolchain (docs/decisions/0262).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cargo::{cargo, succeed};
use crate::ha::target_folder;

/// The targets, each with a folder of seeds beside it.
const TARGETS: [&str; 5] = ["listener", "page", "codes", "time", "signature"];
/// Lets the compiler count which branches are taken. It is asked for by flags of the code generator, which the stable
/// toolchain takes; only those of checkers of memory are kept for others, and there is no `unsafe` to check.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Memory of a target. None keeps more than a few times its input.
const MEBIBYTES_MAX: u32 = 1_024;

/// Runs each target for so many seconds, on from its seeds and what earlier runs found.
///
/// # Errors
/// Where a target does not build, or finds something; the input is kept then, and its path told.
pub(crate) fn run(root: &Path, seconds: u32) -> anyhow::Result<()> {
    let (folder, built) = (root.join("fuzz"), target_folder(root).join("fuzz"));
    let host = host(root)?;
    let mut compile = cargo(&folder, "build --locked --release");
    // Named, so that what runs while building is built without the flags.
    compile.args(["--target", &host]);
    compile
        .env("CARGO_TARGET_DIR", &built)
        .env("RUSTFLAGS", FLAGS);
    succeed(compile).context("building the targets")?;
    for target in TARGETS {
        let (corpus, found) = (built.join("corpus").join(target), built.join("found"));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&found)?;
        let mut fuzz = Command::new(built.join(&host).join("release").join(target));
        fuzz.arg(corpus)
            .arg(folder.join("seeds").join(target))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-rss_limit_mb={MEBIBYTES_MAX}"))
            .arg(format!("-artifact_prefix={}/{target}-", found.display()))
            .args(["-print_final_stats=1", "-verbosity=0"]);
        succeed(fuzz).with_context(|| format!("target {target}"))?;
    }
    Ok(())
}

/// The machine's own target, as the compiler names it.
fn host(root: &Path) -> anyhow::Result<String> {
    let told = cargo(root, "-vV").output().context("cannot start cargo")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    match told.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("`cargo -vV` names no host"),
    }
}
