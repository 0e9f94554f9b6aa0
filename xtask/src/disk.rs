//! Tests that do not wait for the disk.
//!
//! They end processes and never the machine, so what the operating system has taken is there afterwards whether it
//! reached the disk or not. Where waiting for it is slow, the waits were most of the time the tests took.

use std::fs;
use std::path::PathBuf;

use crate::postgres;

/// Debian's package of the library that lets `fsync` and its like return at once.
const PACKAGE: &str = "libeatmydata1";
const LIBRARY: &str = "libeatmydata.so.1";
/// The variable by which the loader is told of it.
pub(crate) const VARIABLE: &str = "LD_PRELOAD";

/// The library, installed first where it is missing and may be installed. Without it everything is as true, and slower.
pub(crate) fn library() -> Option<PathBuf> {
    installed().or_else(|| {
        postgres::install(PACKAGE).ok()?;
        installed()
    })
}

fn installed() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = folders.map(|folder| folder.path().join(LIBRARY));
    found.find(|library| library.exists())
}
