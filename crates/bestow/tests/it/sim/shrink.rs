//! From a failing history to a short one that still fails.

use std::fmt::Write;

use super::model::History;

/// Times that a history is played again while it is shortened.
const PLAYS_MAX: u32 = 200;

/// The shortened history as text: what stands before, what happens, what is wrong then.
pub(crate) fn told(history: &History) -> String {
    let (short, wrong) = shorten(history);
    let mut text = format!(
        "shortened to {} operations: {wrong}\n{:#?}\n",
        short.ops.len(),
        short.world
    );
    for op in &short.ops {
        let _ = writeln!(text, "  {op:?}");
    }
    text
}

/// Leaves out ever smaller stretches of operations, as long as what is left still fails.
fn shorten(history: &History) -> (History, String) {
    let mut short = history.clone();
    let mut wrong = String::from("it did not fail again");
    let (mut plays, mut stretch) = (0, short.ops.len());
    while stretch > 0 {
        let (mut start, mut is_shorter) = (0, false);
        while start < short.ops.len() && plays < PLAYS_MAX {
            let mut fewer = short.clone();
            let end = (start + stretch).min(fewer.ops.len());
            fewer.ops.drain(start..end);
            plays += 1;
            match super::play(&fewer) {
                Ok(_) => start += stretch,
                Err(still) => (short, wrong, is_shorter) = (fewer, still, true),
            }
        }
        if !is_shorter || stretch > 1 {
            stretch /= 2;
        }
        if plays >= PLAYS_MAX {
            break;
        }
    }
    (short, wrong)
}
