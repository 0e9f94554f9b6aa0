//! The write-ahead log: it does not grow for ever while the writer never rests.

use bestow_store::inbox::NewNotification;

use crate::support::{Fresh, TENANT, sqlite};

const MIB: usize = 1 << 20;
/// Bytes of one commit.
const COMMIT_BYTES: usize = MIB / 4;
/// Commits without a pause: far more than a long log.
const COMMITS: usize = 1_024;
/// Room for what is committed while a copying is under way: the writer's own part in it begins at 188 MiB.
const LOG_BYTES_MAX: u64 = 192 * MIB as u64;

fn log_bytes(fresh: &Fresh) -> u64 {
    let mut path = fresh.store().path().expect("a file").as_os_str().to_owned();
    path.push("-wal");
    std::fs::metadata(path).expect("the log is there").len()
}

#[tokio::test]
async fn log_starts_over_while_commits_never_pause() {
    let fresh = sqlite();
    for place in 0..COMMITS {
        let new = NewNotification {
            tenant: TENANT,
            id: format!("n{place:04}"),
            event_type: 13,
            identity: format!("13:504:{place}"),
            campaign: None,
            channel: None,
            body: vec![place as u8; COMMIT_BYTES],
        };
        assert!(fresh.tx(move |tx| tx.accept_notification(&new)).await);
    }
    let log = log_bytes(&fresh);
    assert!(log < LOG_BYTES_MAX, "the log has {} MiB", log / MIB as u64);
    let kept = fresh.read(|tx| tx.inbox_size());
    assert_eq!(kept, (COMMITS as u64, COMMITS as u64));
    let all_there = "SELECT COUNT(*) FROM notification WHERE LENGTH(body) = 262144";
    assert_eq!(fresh.ask(all_there), COMMITS as i64);
    assert_eq!(
        fresh.ask("SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
        1
    );
}
