//! The simulation: one seed makes a world and a list of what happens in it; the service and the stand-in play it on a
//! hand-moved clock; at the end everything is mended, and the ledger has to be what the oracle says.
//!
//! `docs/simulation.md` says what is drawn and how to replay a seed.

mod acts;
mod audit;
mod catalogue;
mod clearance;
pub(crate) mod destinations;
mod dice;
mod endings;
mod gateway;
mod generate;
pub(crate) mod guards;
mod heard;
mod lists;
pub(crate) mod model;
mod notes;
mod operator;
mod pools;
mod process;
mod redemptions;
mod run;
mod seen;
mod shrink;
mod stage;
mod triggers;
mod worlds;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::History;
use run::{Played, Wrong};
use seen::Met;

/// Seeds of every run of the tests. Seeds that once failed are tests of their own.
const FIXED_SEEDS: Range<u64> = 1..201;

/// Histories that are played twice.
const REPLAYED: usize = 12;

/// What a seed draws.
pub(crate) fn history_of(seed: u64) -> History {
    generate::history(seed)
}

/// Plays a history on a runtime of its own; a panic is as wrong as anything.
pub(crate) fn play(history: &History) -> Result<Played, Wrong> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(run::play(history))
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("without a text")))
    })
}

/// Failures after which no further seed is played.
const FAILURES_MAX: usize = 10;

/// What came of many histories.
#[derive(Default)]
struct Outcome {
    met: Met,
    failed: Vec<(History, Wrong)>,
}

/// Plays a range of seeds on all cores, and gives how much of what there was. All failures are named, and the first is
/// shortened and told whole.
fn play_all(seeds: Range<u64>) -> Met {
    let next = AtomicU64::new(seeds.start);
    let outcome: Mutex<Outcome> = Mutex::default();
    let lock = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = std::thread::available_parallelism().map_or(4, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end || lock().failed.len() >= FAILURES_MAX {
                        return;
                    }
                    let history = generate::history(seed);
                    let played = play(&history);
                    let mut outcome = lock();
                    match played {
                        Ok(played) => outcome.met = outcome.met.and(played.met),
                        Err(wrong) => outcome.failed.push((history, wrong)),
                    }
                }
            });
        }
    });
    let Outcome { met, mut failed } = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|(history, _)| history.seed);
    let Some((history, wrong)) = failed.first() else {
        return met;
    };
    let named = failed
        .iter()
        .map(|(history, wrong)| format!("seed {} fails: {wrong:.300}\n", history.seed));
    panic!(
        "{}seed {} in full: {wrong}\n{}",
        named.collect::<String>(),
        history.seed,
        shrink::told(history)
    );
}

/// Moves the stand-in's clock from any thread, without a runtime.
pub(crate) fn jump(sandbox: SocketAddr, seconds: i64) {
    let body = format!("{{\"seconds\":{seconds}}}");
    let request = format!(
        "POST /_sandbox/clock/advance HTTP/1.1\r\nhost: {sandbox}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(sandbox).expect("the sandbox listens");
    stream
        .write_all(request.as_bytes())
        .expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// `BESTOW_SIM_SEEDS=A..B`; one seed where it is not set.
fn wanted_seeds() -> Range<u64> {
    let Ok(text) = std::env::var("BESTOW_SIM_SEEDS") else {
        return 1..2;
    };
    let range = text
        .split_once("..")
        .and_then(|(start, end)| Some(start.trim().parse().ok()?..end.trim().parse().ok()?));
    range.unwrap_or_else(|| panic!("BESTOW_SIM_SEEDS is A..B, not {text:?}"))
}

#[test]
fn fixed_seeds() {
    let met = play_all(FIXED_SEEDS);
    let each = [
        met.listed,
        met.approved,
        met.cleared,
        met.triggered,
        met.revoked,
        met.ended,
        met.codes,
        met.lifted,
        met.redeemed,
        met.decided,
        met.told,
        met.in_doubt,
    ];
    assert!(each.iter().all(|number| *number > 0), "{met:?}");
}

#[test]
fn range() {
    let seeds = wanted_seeds();
    let histories = seeds.end.saturating_sub(seeds.start);
    let begun = tokio::time::Instant::now();
    let met = play_all(seeds);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{histories} histories, {:.0} a minute: {met:?}",
        histories as f64 * 60.0 / seconds
    );
}

/// The same seed plays the same history: each operation comes to the same, the stand-in is asked the same, and the
/// ledger is the same.
#[test]
fn a_seed_replays_its_history() {
    let exact = (1..).map(generate::history).filter(History::is_exact);
    for history in exact.take(REPLAYED) {
        let first = play(&history).expect("it plays");
        let again = play(&history).expect("it plays again");
        assert_eq!(again, first, "seed {}", history.seed);
    }
}
