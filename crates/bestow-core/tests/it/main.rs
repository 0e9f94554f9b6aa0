//! What the core answers: scenarios as tables, the world's clock changes, and properties.

mod announce;
mod campaign;
mod cancel;
mod clearance;
mod code;
mod delivery;
mod eligibility;
mod ended;
mod guard;
mod history;
mod id;
mod import;
mod merge;
mod money;
mod names;
mod notification;
mod pool;
mod promotion;
mod redemption;
mod retention;
mod status;
mod trigger;
mod turns;
mod window;
mod zones;

use bestow_core::Window;
use jiff::Timestamp;
use jiff::civil::DateTime;
use proptest::test_runner::{Config, RngSeed};

/// An instant from RFC 3339 text.
fn at(text: &str) -> Timestamp {
    text.parse()
        .unwrap_or_else(|fault| panic!("{text:?} is no instant: {fault}"))
}

/// A wall-clock time.
fn wall(text: &str) -> DateTime {
    text.parse()
        .unwrap_or_else(|fault| panic!("{text:?} is no wall-clock time: {fault}"))
}

/// The instant this many seconds after the epoch: for tests in which only the order counts.
fn tick(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("tests stay near the epoch")
}

/// A window between two [`tick`]s.
fn ticks(starts: i64, ends: impl Into<Option<i64>>) -> Window {
    Window {
        starts_at: tick(starts),
        ends_at: ends.into().map(tick),
    }
}

/// The cells of a table: one row a line, cells between bars, blank lines and `#` lines left out.
fn table<const CELLS: usize>(text: &str) -> Vec<[&str; CELLS]> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            cells
                .try_into()
                .unwrap_or_else(|_| panic!("{line:?} should have {CELLS} cells"))
        })
        .collect()
}

/// Properties run from one seed, so that a run tomorrow tries what it tried today.
fn properties() -> Config {
    Config {
        rng_seed: RngSeed::Fixed(0x0be5_7011),
        failure_persistence: None,
        ..Config::default()
    }
}
