//! An old backup is put back: what was granted and told since is granted and told again, and nobody has it twice.

use serde_json::{Value, json};

use super::delivering;
use super::receiver::{Books, Receiver, Troubles};

/// In the windows of campaigns, and when the sweep looked once more.
const INSIDE: &str = "2027-03-25T08:00:00Z";
const LATER: &str = "2027-03-25T20:00:00Z";

#[tokio::test]
async fn what_an_old_backup_does_not_know_is_granted_again_and_told_under_the_same_keys() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({"batch_events_max": 7})).await;
    let known = world.run(10, &json!({"lead_time": 0})).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("backup.db");
    world.back_up(&file);
    let unknown = world.run(10, &json!({"lead_time": 0})).await;
    world.travel(INSIDE).await;
    world.settle().await;
    let kinds = receiver.kinds();
    assert_eq!((kinds["grant.created"], kinds["grant.activated"]), (20, 20));
    let held = [world.ledger(known).await, world.ledger(unknown).await];
    let requests = receiver.seen().requests;

    let world = world.restored(&file).await;
    let path = format!("/v1/tenants/acme/campaigns/{unknown}");
    let asked = world.api.json(http::Method::GET, &path, &Value::Null).await;
    assert_eq!(asked.expect("an answer").0, 404);
    world.settle().await;
    world.travel(LATER).await;
    world.settle().await;
    let again = [world.ledger(known).await, world.ledger(unknown).await];
    assert_eq!(again, held);
    assert!(
        receiver.seen().requests > requests,
        "nothing was told again"
    );
    assert_eq!(receiver.kinds(), kinds);
    assert_eq!(receiver.seen().grants.len(), 20);
    world.assert_verified();
}
