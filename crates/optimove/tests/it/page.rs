//! Paging: nothing is missed, nothing is read twice, and the end is believed only with proof.

use optimove::page::{Next, NoProgress, Paging};
use proptest::prelude::*;

/// What a read saw: the first row of each page, the waits, the calls.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    rows: Vec<u64>,
    waits: usize,
    calls: usize,
}

/// A server with `total` rows that never sends more than `cap` at once.
fn read(mut paging: Paging, total: u64, cap: u64) -> Seen {
    let mut seen = Seen::default();
    let mut next = Next::Fetch {
        top: paging.top(),
        skip: paging.skip(),
    };
    loop {
        let (top, skip) = match next {
            Next::End => return seen,
            Next::Fetch { top, skip } => (top, skip),
            Next::FetchAfterWait { top, skip } => {
                seen.waits += 1;
                (top, skip)
            }
        };
        seen.calls += 1;
        assert!(seen.calls < 1_000, "no end in sight");
        let end = (skip + u64::from(top).min(cap)).min(total).max(skip);
        seen.rows.extend(skip..end);
        next = paging.on_page((end - skip) as usize, skip).unwrap();
    }
}

#[test]
fn sizes_around_the_page_size() {
    for (total, calls, waits) in [
        (0, 2, 1), // an empty first page is asked for again
        (1, 2, 0), // a short page is confirmed by an empty one
        (9, 2, 0),
        (10, 3, 1), // an empty page after a full one is asked for again
        (11, 3, 0),
        (30, 5, 1),
        (31, 5, 0),
    ] {
        let seen = read(Paging::new(10), total, 1_000);
        assert_eq!(seen.rows, (0..total).collect::<Vec<_>>(), "{total} rows");
        assert_eq!((seen.calls, seen.waits), (calls, waits), "{total} rows");
    }
}

#[test]
fn a_server_with_a_limit_of_its_own_is_read_to_the_end() {
    let seen = read(Paging::new(10), 25, 4);
    assert_eq!(seen.rows, (0..25).collect::<Vec<_>>());
    // Six pages of four, one of one, which is short and confirmed.
    assert_eq!((seen.calls, seen.waits), (8, 0));
    // Here the last page is as long as those before it: the empty one needs proof.
    assert_eq!(read(Paging::new(10), 24, 4).waits, 1);
}

#[test]
fn an_empty_page_in_the_middle_is_not_the_end() {
    let mut paging = Paging::new(2);
    assert_eq!(paging.on_page(2, 1), Ok(Next::Fetch { top: 2, skip: 2 }));
    assert_eq!(
        paging.on_page(0, 0),
        Ok(Next::FetchAfterWait { top: 2, skip: 2 })
    );
    assert_eq!(paging.on_page(1, 2), Ok(Next::Fetch { top: 2, skip: 3 }));
    assert_eq!(paging.on_page(0, 0), Ok(Next::End));
}

#[test]
fn a_read_that_resumes_needs_proof_of_the_end() {
    let mut paging = Paging::resume(10, 20);
    assert_eq!(
        paging.on_page(0, 0),
        Ok(Next::FetchAfterWait { top: 10, skip: 20 })
    );
    assert_eq!(paging.on_page(0, 0), Ok(Next::End));
}

#[test]
fn the_same_page_again_is_an_error() {
    let mut paging = Paging::new(5);
    assert_eq!(paging.on_page(5, 77), Ok(Next::Fetch { top: 5, skip: 5 }));
    assert_eq!(paging.on_page(5, 77), Err(NoProgress { skip: 5 }));
    // Also with an empty page in between.
    let mut paging = Paging::new(5);
    assert!(paging.on_page(5, 77).is_ok() && paging.on_page(0, 0).is_ok());
    assert_eq!(paging.on_page(5, 77), Err(NoProgress { skip: 5 }));
}

#[test]
fn more_rows_than_asked_for_count_all() {
    let mut paging = Paging::new(5);
    assert_eq!(
        paging.on_page(5_000, 1),
        Ok(Next::Fetch {
            top: 5,
            skip: 5_000
        })
    );
    assert_eq!(
        paging.on_page(0, 0),
        Ok(Next::FetchAfterWait {
            top: 5,
            skip: 5_000
        })
    );
}

proptest! {
    #[test]
    fn every_row_once_for_any_size(total in 0_u64..300, top in 0_u32..40, cap in 1_u64..40) {
        let seen = read(Paging::new(top), total, cap);
        prop_assert_eq!(seen.rows, (0..total).collect::<Vec<_>>());
        prop_assert!(seen.waits <= 1);
    }
}
