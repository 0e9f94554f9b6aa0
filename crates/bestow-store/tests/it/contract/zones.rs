//! Windows to come, reckoned again by newer zone data.

use std::collections::HashMap;

use bestow_core::announce::{Span, Tells};
use bestow_store::campaigns::{Walls, WindowSpec};
use bestow_store::merge::WindowRef;
use bestow_store::windows::MovedWindow;

use super::announcements::destination;
use super::tenants::ACME;
use crate::support::{Fresh, NOW_MS, TENANT, WINDOW, reading};

const HOUR_MS: i64 = 3_600_000;

/// A window that starts so many hours from now, as a clock on the wall an hour ahead shows it.
fn to_come(hours: i64) -> WindowSpec {
    let starts_at = NOW_MS + hours * HOUR_MS;
    let ends_at = starts_at + 24 * HOUR_MS;
    WindowSpec {
        starts_at,
        ends_at: Some(ends_at),
        walls: Walls {
            starts: Some(starts_at + HOUR_MS),
            ends: Some(ends_at + HOUR_MS),
        },
        ..WINDOW
    }
}

fn moved(no: u32, spec: &WindowSpec) -> MovedWindow {
    MovedWindow {
        no,
        starts_at: spec.starts_at,
        ends_at: spec.ends_at,
    }
}

async fn campaign(fresh: &Fresh) -> i64 {
    let seen = fresh.tx(|tx| tx.see_campaign(TENANT, "5101", "scheduled", "sweep"));
    seen.await.0
}

pub(crate) async fn windows_that_started_stay(fresh: Fresh) {
    let campaign = campaign(&fresh).await;
    let instant = WindowSpec {
        walls: Walls::default(),
        ..to_come(2)
    };
    let specs = [to_come(-1), to_come(0), to_come(1), instant];
    let found = fresh
        .tx(move |tx| {
            for spec in &specs {
                tx.window_for(TENANT, campaign, spec)?;
            }
            tx.windows_to_come(TENANT, 0, 10)
        })
        .await;
    // One that starts now has started; one of instants alone is not reckoned from anything.
    let found: Vec<_> = found
        .into_iter()
        .map(|window| (window.no, window.spec))
        .collect();
    assert_eq!(found, [(3, to_come(1))]);
    let changed = fresh
        .tx(move |tx| {
            let wanted: Vec<_> = (1..=3).map(|no| moved(no, &to_come(5))).collect();
            tx.move_windows(TENANT, campaign, &wanted)
        })
        .await;
    assert_eq!(changed, 1);
    let spans: Vec<_> = fresh
        .read(|tx| tx.windows(TENANT, campaign))
        .into_iter()
        .map(|(_, spec)| (spec.starts_at, spec.ends_at, spec.walls))
        .collect();
    let span = |spec: &WindowSpec| (spec.starts_at, spec.ends_at, spec.walls);
    let last = WindowSpec {
        walls: to_come(1).walls,
        ..to_come(5)
    };
    assert_eq!(
        spans,
        [
            span(&to_come(-1)),
            span(&to_come(0)),
            span(&last),
            span(&instant)
        ]
    );
    assert!(fresh.read(|tx| tx.has_moved_windows(TENANT, campaign)));
}

pub(crate) async fn campaign_ends_with_its_moved_windows(fresh: Fresh) {
    let no = campaign(&fresh).await;
    let ends = |fresh: &Fresh| {
        let known = fresh
            .read(|tx| tx.campaign_by_no(TENANT, no))
            .expect("it is there");
        known.windows_end_at
    };
    fresh
        .tx(move |tx| {
            tx.window_for(TENANT, no, &to_come(3))?;
            tx.window_for(TENANT, no, &to_come(9))
        })
        .await;
    assert_eq!(ends(&fresh), to_come(9).ends_at);
    fresh
        .tx(move |tx| tx.move_windows(TENANT, no, &[moved(2, &to_come(8))]))
        .await;
    assert_eq!(ends(&fresh), to_come(8).ends_at);
}

pub(crate) async fn windows_are_told_apart_by_the_wall(fresh: Fresh) {
    let no = campaign(&fresh).await;
    // A start that the clocks skip and the one that they jump to are the same instant, by today's data.
    let skipped = WindowSpec {
        walls: Walls {
            starts: Some(to_come(1).starts_at + HOUR_MS / 2),
            ..to_come(1).walls
        },
        ..to_come(1)
    };
    let numbers = fresh
        .tx(move |tx| {
            let mut number = |spec| tx.window_for(TENANT, no, &spec);
            Ok([
                number(to_come(1))?,
                number(skipped)?,
                number(to_come(1))?,
                number(skipped)?,
            ])
        })
        .await;
    assert_eq!(numbers, [1, 2, 1, 2]);
    // Moved to the same, they stay two.
    let changed = fresh
        .tx(move |tx| {
            let both = [moved(1, &to_come(4)), moved(2, &to_come(4))];
            tx.move_windows(TENANT, no, &both)
        })
        .await;
    assert_eq!(changed, 2);
}

pub(crate) async fn windows_of_another_zone_are_fixed(fresh: Fresh) {
    let no = campaign(&fresh).await;
    let found = fresh
        .tx(move |tx| {
            tx.window_for(TENANT, no, &to_come(1))?;
            tx.window_for(TENANT, no, &to_come(-1))?;
            tx.fix_windows(TENANT)?;
            let walls = tx
                .windows(TENANT, no)?
                .into_iter()
                .map(|(_, spec)| spec.walls);
            Ok((
                tx.windows_to_come(TENANT, 0, 10)?,
                walls.collect::<Vec<_>>(),
            ))
        })
        .await;
    assert_eq!(
        found,
        (Vec::new(), vec![Walls::default(), to_come(-1).walls])
    );
}

pub(crate) async fn tenants_note_their_zone_data(fresh: Fresh) {
    let made = fresh.tx(|tx| tx.insert_tenant(&ACME)).await;
    assert_eq!(made, Some(TENANT));
    let noted = || {
        fresh
            .read(|tx| tx.tenant("acme"))
            .expect("it is there")
            .zone_data
    };
    assert_eq!(noted(), bestow_core::ZONE_DATA);
    fresh.tx(|tx| tx.set_zone_data(TENANT, "2020a")).await;
    assert_eq!(noted(), "2020a");
}

pub(crate) async fn who_hears_of_grants_hears_of_moved_windows(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    destination(&fresh, "bonus").await;
    let mut chunk = reading.chunk(&["anna", "bob"]);
    chunk.new_windows.push(to_come(3));
    chunk.grants[0].window = WindowRef::New(0);
    reading.merge(&fresh, chunk).await;
    let told = fresh
        .read(|tx| tx.grant_block(TENANT, 1))
        .expect("it is there");
    let moved_no = told.notes[0].window;
    let span = |spec: &WindowSpec| Span::new(spec.starts_at, spec.ends_at, None);
    let spans = HashMap::from([(moved_no, (span(&to_come(3)), span(&to_come(4))))]);
    fresh
        .tx(move |tx| tx.note_moved_windows(TENANT, 1, &spans))
        .await;
    assert_eq!(fresh.read(|tx| tx.last_block(TENANT)), 2);
    let later = fresh.read(|tx| tx.moves_of(TENANT, &told, 2));
    let notes: Vec<_> = later[0]
        .notes
        .iter()
        .map(|note| (&*note.customer, note.span, note.tells))
        .collect();
    let start_and_end = Tells {
        start: true,
        end: true,
        ..Tells::default()
    };
    assert_eq!(notes, [("anna", span(&to_come(4)), start_and_end)]);
}
