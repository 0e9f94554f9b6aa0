//! The retry decision, row by row.

use std::time::Duration;

use optimove::retry::{CallKind, Decision, Failure, RetryPolicy, decide};
use proptest::prelude::*;

fn policy() -> RetryPolicy {
    RetryPolicy {
        attempts_max: 4,
        wait_first: Duration::from_millis(100),
        rate_limited_wait_first: Duration::from_secs(2),
        wait_max: Duration::from_secs(10),
        hint_max: Duration::from_mins(1),
    }
}

fn repeats(kind: CallKind, failure: Failure) -> bool {
    decide(&policy(), kind, 1, failure, None, 0) != Decision::Stop
}

#[test]
fn what_is_worth_repeating() {
    use CallKind::{IdempotentWrite, Login, Read};
    for (failure, expected) in [
        (Failure::Status(400), [false, false, false]),
        (Failure::Status(401), [false, false, false]),
        (Failure::Status(403), [false, false, false]),
        (Failure::Status(404), [false, false, false]),
        (Failure::Status(405), [false, false, false]),
        (Failure::Status(302), [false, false, false]),
        (Failure::Status(408), [true, true, false]),
        (Failure::Status(429), [true, true, true]),
        (Failure::Status(500), [true, true, false]),
        (Failure::Status(503), [true, true, false]),
        (Failure::Unreadable, [true, true, false]),
        (Failure::Transport, [true, true, false]),
        (Failure::TimedOut, [true, true, false]),
        (Failure::TooSlow, [true, true, false]),
        (Failure::TooLarge, [false, false, false]),
    ] {
        let got = [Read, IdempotentWrite, Login].map(|kind| repeats(kind, failure));
        assert_eq!(got, expected, "{failure:?}");
    }
}

#[test]
fn waits_double_and_attempts_end() {
    let wait = |attempt, jitter| {
        decide(
            &policy(),
            CallKind::Read,
            attempt,
            Failure::Status(500),
            None,
            jitter,
        )
    };
    let millis = |millis| Decision::Wait(Duration::from_millis(millis));
    assert_eq!(
        [wait(1, 0), wait(2, 0), wait(3, 0)],
        [millis(50), millis(100), millis(200)]
    );
    assert_eq!(wait(1, 25_000_000), millis(75));
    assert_eq!([wait(4, 0), wait(9, 0)], [Decision::Stop, Decision::Stop]);
}

#[test]
fn the_servers_hint_is_obeyed_or_given_to_the_caller() {
    let wait = |seconds| {
        let hint = Some(Duration::from_secs(seconds));
        decide(&policy(), CallKind::Read, 1, Failure::Status(429), hint, 0)
    };
    let Decision::Wait(waited) = wait(30) else {
        panic!("stopped")
    };
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31));
    assert_eq!(wait(0), Decision::Wait(Duration::from_secs(1)));
    assert_eq!(wait(61), Decision::Stop);
}

proptest! {
    #[test]
    fn waits_stay_between_half_and_whole(attempt in 1_u32..1_000, jitter: u64) {
        let policy = RetryPolicy { attempts_max: u32::MAX, ..policy() };
        let decision = decide(&policy, CallKind::Read, attempt, Failure::Transport, None, jitter);
        let span = policy.wait_first.saturating_mul(1 << (attempt - 1).min(16)).min(policy.wait_max);
        let Decision::Wait(wait) = decision else { return Err(TestCaseError::fail("stopped")) };
        prop_assert!(wait >= span / 2 && wait <= span, "{wait:?} of {span:?}");
    }
}
