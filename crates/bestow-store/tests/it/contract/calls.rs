//! Calls and sessions of a credential that several processes use. Here all of them are there; what becomes of those of
//! a process that is gone is shown where there is a server.

use bestow_store::calls::{CallLimit, CredentialHash, LoggedIn, Session, Slice};

use crate::support::Fresh;

const CREDENTIAL: CredentialHash = [7; 32];
const OTHER: CredentialHash = [8; 32];
/// An hour: whatever the database's own clock says, none of it is over within a test.
const LIMIT: CallLimit = CallLimit {
    calls_max: 5,
    window_ms: 3_600_000,
};

/// This process, and a number of its own.
fn mine(fresh: &Fresh, no: i64) -> (i64, i64) {
    let node = fresh.store().node().expect("it is there");
    (node.unwrap_or(1), no)
}

async fn take(fresh: &Fresh, no: i64, wanted: u32) -> Slice {
    let id = mine(fresh, no);
    fresh
        .tx(move |tx| tx.take_calls(&CREDENTIAL, id, wanted, LIMIT))
        .await
}

async fn session(fresh: &Fresh, turn: i64, expired: &'static [u8]) -> Session {
    let id = mine(fresh, turn);
    fresh
        .tx(move |tx| tx.find_session(&CREDENTIAL, id, |sealed| sealed == expired))
        .await
}

async fn end_login(fresh: &Fresh, turn: i64, outcome: LoggedIn) {
    let id = mine(fresh, turn);
    fresh
        .tx(move |tx| tx.end_login(&CREDENTIAL, id, &outcome))
        .await;
}

pub(crate) async fn all_together_stay_below_the_limit(fresh: Fresh) {
    assert_eq!(take(&fresh, 1, 3).await, Slice::Taken(3));
    assert_eq!(take(&fresh, 2, 3).await, Slice::Taken(2));
    assert!(matches!(take(&fresh, 3, 1).await, Slice::Wait(_)));
    let other = fresh.tx(|tx| tx.take_calls(&OTHER, (1, 4), 9, LIMIT)).await;
    assert_eq!(other, Slice::Taken(5));
}

pub(crate) async fn what_was_not_made_is_free_at_once(fresh: Fresh) {
    assert_eq!(take(&fresh, 1, 5).await, Slice::Taken(5));
    let end = |id: (i64, i64), made, window_ms| {
        fresh.tx(move |tx| tx.end_calls(&CREDENTIAL, id, made, window_ms))
    };
    // Nobody ends what is not theirs.
    end((2, 1), 0, LIMIT.window_ms).await;
    assert!(matches!(take(&fresh, 2, 1).await, Slice::Wait(_)));
    end(mine(&fresh, 1), 2, LIMIT.window_ms).await;
    assert_eq!(take(&fresh, 3, 9).await, Slice::Taken(3));
    // Calls whose window is over count no more.
    end(mine(&fresh, 3), 3, -1).await;
    assert_eq!(take(&fresh, 4, 9).await, Slice::Taken(3));
}

pub(crate) async fn the_same_number_is_the_same_slice(fresh: Fresh) {
    assert_eq!(take(&fresh, 1, 2).await, Slice::Taken(2));
    assert_eq!(take(&fresh, 1, 2).await, Slice::Taken(2));
    assert_eq!(take(&fresh, 2, 9).await, Slice::Taken(3));
}

pub(crate) async fn one_logs_in_for_all(fresh: Fresh) {
    assert_eq!(session(&fresh, 11, b"").await, Session::LogIn);
    assert_eq!(session(&fresh, 11, b"").await, Session::LogIn);
    let token = LoggedIn::Token(b"first".to_vec());
    end_login(&fresh, 11, token).await;
    assert_eq!(
        session(&fresh, 12, b"").await,
        Session::Token(b"first".to_vec())
    );
    let mine = mine(&fresh, 11);
    let late = fresh
        .try_tx(move |tx| tx.end_login(&CREDENTIAL, mine, &LoggedIn::Nothing))
        .await;
    assert!(
        matches!(late, Err(bestow_store::Error::LeaseLost)),
        "{late:?}"
    );
}

pub(crate) async fn refused_login_rests(fresh: Fresh) {
    assert_eq!(session(&fresh, 11, b"").await, Session::LogIn);
    let refused = LoggedIn::Refused {
        status: 401,
        message: "no".to_owned(),
        rest_ms: 3_600_000,
    };
    end_login(&fresh, 11, refused).await;
    let told = Session::Refused {
        status: 401,
        message: "no".to_owned(),
    };
    assert_eq!(session(&fresh, 12, b"").await, told);
}

pub(crate) async fn logins_are_a_second_apart(fresh: Fresh) {
    assert_eq!(session(&fresh, 11, b"").await, Session::LogIn);
    end_login(&fresh, 11, LoggedIn::Token(b"first".to_vec())).await;
    let again = session(&fresh, 12, b"first").await;
    assert!(matches!(again, Session::Wait(1..=1_000)), "{again:?}");
}
