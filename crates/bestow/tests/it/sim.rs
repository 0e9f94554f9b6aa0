//! The simulation: one seed makes a world and a list of what happens in it; the service and the stand-in play it on a
//! hand-moved clock; at the end everything is mended, and the ledger has to be what the oracle says.
//!
//! `docs/simulation.md` says what is drawn and how to replay a seed.

mod audit;
mod generate;
pub(crate) mod model;
mod process;
mod run;
mod shrink;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::History;
use run::{Played, Wrong};

/// Seeds of every run of the tests. Seeds that once failed are tests of their own.
const FIXED_SEEDS: Range<u64> = 1..501;

/// Histories that are played twice.
const REPLAYED: usize = 12;

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

/// Plays a range of seeds on all cores. The first failure found is shortened and told whole.
fn play_all(seeds: Range<u64>) {
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Option<(History, Wrong)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(4, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let is_over = failed
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .is_some();
                    if is_over || seed >= seeds.end {
                        return;
                    }
                    let history = generate::history(seed);
                    if let Err(wrong) = play(&history) {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.get_or_insert((history, wrong));
                    }
                }
            });
        }
    });
    if let Some((history, wrong)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!(
            "seed {} fails: {wrong}\n{}",
            history.seed,
            shrink::told(&history)
        );
    }
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
    play_all(FIXED_SEEDS);
}

#[test]
fn range() {
    let seeds = wanted_seeds();
    let histories = seeds.end.saturating_sub(seeds.start);
    let begun = tokio::time::Instant::now();
    play_all(seeds);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{histories} histories, {:.0} a minute",
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
