//! The chain of audit records: whatever is changed in what was sealed is found.

use std::path::Path;
use std::thread;

use bestow::actor::Actor;
use bestow::random::Random;
use bestow::service::audit::chain::{self, Chain, Signer};
use bestow::service::audit::{self, Sealer};
use bestow::service::tokens::{self, NewToken};
use bestow::service::verify;
use bestow_store::audit::{AuditRecord, Checkpoint};
use bestow_store::values;
use http::Method;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::silent::{BY_HAND, SILENT};

const TAMPERS: u64 = 100_000;
const THREADS: u64 = 4;
const RECORDS: u64 = 12;
const TENANT: i64 = 3;
const RULE: &str = "audit_is_what_was_signed";

/// A trail, and the newest of its checkpoints as it was kept elsewhere.
#[derive(Clone, PartialEq)]
struct Trail {
    records: Vec<AuditRecord>,
    checkpoints: Vec<Checkpoint>,
}

fn records(random: &Random) -> Vec<AuditRecord> {
    let one = |seq| AuditRecord {
        seq,
        at: 1_800_000_000_000 + seq as i64,
        actor: ["worker", "cli", "tok_1"][(random.number() % 3) as usize].to_owned(),
        action: "campaign.suspended".to_owned(),
        object: format!("campaign/{}", 5_000 + random.number() % 100),
        detail: format!(r#"{{"draw":{}}}"#, random.number()),
        correlation: random
            .number()
            .is_multiple_of(2)
            .then(|| format!("ntf_{}", random.number())),
    };
    (1..=RECORDS).map(one).collect()
}

/// Signs a chain over these records at the end of each stretch.
fn signed(records: &[AuditRecord], ends: &[u64], signer: &Signer) -> Vec<Checkpoint> {
    let (mut chain, mut found) = (Chain::new(TENANT), Vec::new());
    for record in records {
        chain.take(record);
        if ends.contains(&record.seq) {
            found.push(chain.sign(record.at + 5_000, signer));
        }
    }
    found
}

/// What somebody may do who writes to the database and has no key of ours. `theirs` signs with a key of their own.
fn tamper(trail: &mut Trail, random: &Random, theirs: &Signer) {
    let below = |n: usize| (random.number() % n as u64) as usize;
    let at = below(trail.records.len());
    let renumber = |records: &mut Vec<AuditRecord>| {
        for (seq, record) in (1..).zip(records) {
            record.seq = seq;
        }
    };
    match below(12) {
        0 => trail.records[at].actor.push('x'),
        1 => trail.records[at].action.push_str("_again"),
        2 => trail.records[at].object.push('0'),
        3 => trail.records[at].detail.insert(1, ' '),
        4 => trail.records[at].at -= 1,
        5 => {
            let correlation = &mut trail.records[at].correlation;
            *correlation = match correlation {
                None => Some(String::new()),
                Some(_) => None,
            };
        }
        6 => {
            // From the end of one text to the beginning of the next.
            let moved = trail.records[at].actor.pop().expect("actors have a name");
            trail.records[at].action.insert(0, moved);
        }
        7 => drop(trail.records.remove(at)),
        8 => {
            trail.records.remove(at);
            renumber(&mut trail.records);
        }
        9 => {
            let mut more = trail.records[at].clone();
            more.detail.push(' ');
            trail.records.insert(at, more);
            renumber(&mut trail.records);
        }
        10 => {
            let other = (at + 1 + below(trail.records.len() - 1)) % trail.records.len();
            trail.records.swap(at, other);
            renumber(&mut trail.records);
        }
        _ => {
            // The newest records, and whatever was signed about them.
            let left = at as u64;
            trail.records.retain(|record| record.seq <= left);
            trail.checkpoints.retain(|one| one.seq <= left);
        }
    }
    // Now and then the chain is made anew, as far as that can be done without the key.
    match below(4) {
        0 => {
            let ends: Vec<_> = trail.checkpoints.iter().map(|one| one.seq).collect();
            trail.checkpoints = signed(&trail.records, &ends, theirs);
        }
        1 => {
            let ends: Vec<_> = trail.checkpoints.iter().map(|one| one.seq).collect();
            let anew = signed(&trail.records, &ends, theirs);
            for (kept, anew) in trail.checkpoints.iter_mut().zip(anew) {
                kept.head = anew.head;
            }
        }
        2 => trail.checkpoints.clear(),
        _ => {}
    }
}

/// What is found wrong with it, with the newest checkpoint kept elsewhere.
fn found(trail: &Trail, kept: &Checkpoint, key: &[u8; chain::PUBLIC_BYTES]) -> usize {
    let mut checkpoints = trail.checkpoints.clone();
    checkpoints.push(kept.clone());
    checkpoints.sort_by_key(|one| one.seq);
    let found = chain::check(
        TENANT,
        key,
        checkpoints.into_iter().map(Ok::<_, ()>),
        trail.records.iter().cloned().map(Ok),
    );
    found.expect("nothing is read").len()
}

#[test]
fn a_hundred_thousand_tampers_are_all_found() {
    let play = |thread: u64| {
        let random = Random::seeded(20_261_123 + thread);
        let (ours, theirs) = (Signer::new([7; 32]), Signer::new([8; 32]));
        let mut unseen = Vec::new();
        for _ in 0..TAMPERS / THREADS / 100 {
            let records = records(&random);
            let checkpoints = signed(
                &records,
                &[random.number() % (RECORDS - 1) + 1, RECORDS],
                &ours,
            );
            let kept = checkpoints
                .last()
                .expect("the last record is sealed")
                .clone();
            let whole = Trail {
                records,
                checkpoints,
            };
            assert_eq!(found(&whole, &kept, &ours.public()), 0);
            for _ in 0..100 {
                let mut tampered = whole.clone();
                tamper(&mut tampered, &random, &theirs);
                assert!(tampered.records != whole.records, "nothing was changed");
                if found(&tampered, &kept, &ours.public()) == 0 {
                    unseen.push(tampered.records);
                }
            }
        }
        unseen
    };
    let unseen = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || play(n))).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().expect("played"));
        ended.flatten().collect::<Vec<_>>()
    });
    assert!(
        unseen.is_empty(),
        "{} were not seen, such as {:?}",
        unseen.len(),
        unseen[0]
    );
}

/// A world whose records are sealed, twice.
async fn sealed() -> World {
    let world = World::connected().await;
    let mut sealer = Sealer::new(&world.app);
    sealer.seal().await.expect("sealed");
    for name in ["one", "two"] {
        let new = NewToken {
            name: name.to_owned(),
            role: "viewer".to_owned(),
            tenant: None,
            days: None,
        };
        let made = tokens::create(&world.app, &Actor::cli(), new).await;
        made.expect("of no tenant");
    }
    world.run(5, &json!({})).await;
    sealer.seal().await.expect("sealed");
    world.assert_verified();
    world
}

async fn execute(world: &World, sql: &'static str) {
    let changed = world
        .app
        .tx("damage", move |tx| tx.execute(sql, values![]))
        .await;
    assert!(changed.expect("done") > 0, "{sql}");
}

fn rules(world: &World) -> Vec<&'static str> {
    let found = verify::run(&world.app).expect("it can be verified");
    found.iter().map(|finding| finding.violation.rule).collect()
}

/// What may be done to the sealed records of a tenant, or of the deployment.
const DAMAGES: [&str; 9] = [
    "-- damage
    UPDATE audit SET detail = '{}' WHERE tenant > 0 AND seq = 1",
    "-- damage
    UPDATE audit SET at = at - 1 WHERE tenant = 0 AND seq = 1",
    "-- damage
    UPDATE audit SET correlation = '' WHERE tenant > 0 AND seq = 2",
    "-- damage
    UPDATE audit SET actor = 'somebody' WHERE tenant > 0 AND seq = 3",
    "-- damage
    DELETE FROM audit WHERE tenant > 0 AND seq = 2",
    "-- damage
    DELETE FROM audit WHERE tenant > 0",
    "-- damage
    UPDATE audit_checkpoint SET head = signature",
    "-- damage
    UPDATE audit_checkpoint SET at = at + 1",
    "-- damage
    UPDATE audit_checkpoint SET key = head",
];

#[tokio::test]
async fn what_was_sealed_is_not_changed_unseen() {
    for sql in DAMAGES {
        let world = sealed().await;
        execute(&world, sql).await;
        let rules = rules(&world);
        assert!(rules.contains(&RULE), "{sql}: {rules:?}");
    }
}

#[tokio::test]
async fn a_missing_end_shows_against_what_was_kept_elsewhere() {
    let world = sealed().await;
    let newest = audit::newest(&world.app).expect("read");
    assert_eq!(newest.len(), 2, "of the tenant and of the deployment");
    let lines = newest
        .iter()
        .map(|one| serde_json::to_string(one).expect("JSON"));
    let file = lines.collect::<Vec<_>>().join("\n");
    let kept = audit::kept(&world.app, &file).expect("as it was written");
    assert_eq!(
        verify::run_against(&world.app, &kept).expect("verified"),
        []
    );
    // The last record of both, and what was signed of it.
    execute(&world, "-- damage
        DELETE FROM audit WHERE seq = (SELECT MAX(a.seq) FROM audit a WHERE a.tenant = audit.tenant)").await;
    execute(
        &world,
        "-- damage
        DELETE FROM audit_checkpoint WHERE seq = (SELECT MAX(c.seq) FROM audit_checkpoint c
            WHERE c.tenant = audit_checkpoint.tenant)",
    )
    .await;
    assert!(
        !rules(&world).contains(&RULE),
        "nothing here says so any more"
    );
    let found = verify::run_against(&world.app, &kept).expect("verified");
    let of: Vec<_> = found
        .iter()
        .map(|one| (&*one.tenant, one.violation.rule))
        .collect();
    assert_eq!(of, [("-", RULE), ("acme", RULE)]);
}

#[tokio::test]
async fn nothing_is_built_on_a_checkpoint_that_is_not_ours() {
    let world = sealed().await;
    execute(
        &world,
        "-- damage
        UPDATE audit_checkpoint SET head = key WHERE tenant > 0",
    )
    .await;
    world.put_promotion("LATER", "active").await;
    Sealer::new(&world.app)
        .seal()
        .await
        .expect("the others are sealed");
    let kinds: Vec<Value> = world.findings().await;
    let broken = kinds.iter().filter(|one| one["kind"] == "audit_broken");
    assert_eq!(broken.count(), 1, "{kinds:?}");
    let tenant = world.app.tenant("acme").expect("it is there").no();
    let (last, newest) = world
        .app
        .store
        .peek(|tx| {
            let last = tx.last_checkpoint(tenant)?.map(|last| last.seq);
            let records = tx.audit_records(tenant, 0, 1_000)?;
            Ok::<_, bestow_store::Error>((last, records.last().map(|record| record.seq)))
        })
        .expect("read");
    assert!(last < newest, "{last:?} of {newest:?}");
}

#[tokio::test]
async fn checkpoints_that_go_while_a_process_looks_on_are_missed() {
    let world = sealed().await;
    let mut sealer = Sealer::new(&world.app);
    sealer.seal().await.expect("sealed");
    execute(
        &world,
        "-- damage
        DELETE FROM audit_checkpoint WHERE tenant > 0",
    )
    .await;
    sealer.seal().await.expect("the others are sealed");
    let found = world.findings().await;
    assert!(
        found.iter().any(|one| one["kind"] == "audit_broken"),
        "{found:?}"
    );
}

#[tokio::test]
async fn two_who_seal_at_once_add_one_checkpoint() {
    let world = World::connected().await;
    let (mut one, mut other) = (Sealer::new(&world.app), Sealer::new(&world.app));
    let (one, other) = tokio::join!(one.seal(), other.seal());
    one.and(other).expect("sealed");
    let path = "/v1/tenants/acme/audit/checkpoints";
    let listed = world
        .api
        .ok(Method::GET, path, &Value::Null)
        .await
        .expect("listed");
    assert_eq!(
        listed["data"].as_array().expect("rows").len(),
        1,
        "{listed}"
    );
    world.assert_verified();
}

#[tokio::test]
async fn what_is_no_checkpoint_is_named_by_its_line() {
    let world = sealed().await;
    let newest = audit::newest(&world.app).expect("read");
    let good = serde_json::to_string(&newest[1]).expect("JSON");
    for (bad, says) in [
        ("{}", "Line 2 of the kept checkpoints: missing field"),
        (
            &*good.replace("acme", "nobody"),
            "there is no tenant nobody",
        ),
        (
            &*good.replace(r#""at":"2027"#, r#""at":"x027"#),
            "`at` is no instant",
        ),
    ] {
        let refused = audit::kept(&world.app, &format!("{good}\n{bad}\n"));
        let refused = refused.expect_err("refused");
        assert_eq!(super::code(&refused), "bad_checkpoint");
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

/// All source files beneath a folder, in one text.
fn source(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.push_str(&source(&path));
        } else {
            all.push_str(&std::fs::read_to_string(path).expect("a text"));
        }
    }
    all
}

#[test]
fn what_needs_no_record_is_there() {
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let gone: Vec<_> = SILENT
        .iter()
        .filter(|(_, why)| *why != BY_HAND)
        .filter(|(name, _)| !source.contains(&format!("\"{name}\"")))
        .collect();
    assert!(gone.is_empty(), "no such transactions: {gone:?}");
}

#[tokio::test]
async fn a_change_without_a_record_is_refused_by_the_tests() {
    let world = World::connected().await;
    let rename = world.app.tx("rename", |tx| {
        tx.execute(
            "-- rename
            UPDATE tenant SET name = $1 WHERE id = $2",
            values!["Other", "acme"],
        )
        .map(|_| ())
    });
    let refused = rename.await.expect_err("it left no record").to_string();
    assert!(refused.contains("panicked"), "{refused}");
    assert_eq!(world.acme().row.name, "Acme");
}
