//! Every statement, prepared by PostgreSQL itself: it understands it, and takes and gives only whole numbers, text
//! and bytes.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::schema::source::texts;
use crate::support::postgres;

/// Files whose SQL is SQLite's alone.
const SQLITE_ONLY: [&str; 2] = ["raw.rs", "sqlite.rs"];
/// Statements in words of their own for SQLite; PostgreSQL's stand in `pairs.rs`.
const PAIRED: [&str; 2] = ["due_job", "table_columns"];

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("connected");
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn every_statement_is_understood() {
    let fresh = postgres();
    let client = client(&fresh.db.url()).await;
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for text in texts() {
        let Some(rest) = text.sql.strip_prefix("-- ") else {
            continue;
        };
        let name = rest.lines().next().unwrap_or_default().trim().to_owned();
        let is_pair = ["pairs.rs", "pg_raw.rs"].contains(&&*text.file);
        if SQLITE_ONLY.contains(&&*text.file) || (PAIRED.contains(&&*name) && !is_pair) {
            continue;
        }
        let prepared = match client.prepare(&text.sql).await {
            Ok(prepared) => prepared,
            Err(error) => {
                wrong.push(format!("{name}: {error:?}"));
                continue;
            }
        };
        let arrays = [Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::BYTEA_ARRAY];
        for kind in prepared.params() {
            let plain = [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind);
            if !(plain || is_pair && arrays.contains(kind)) {
                wrong.push(format!("{name} takes {kind}"));
            }
        }
        let read = [
            Type::INT8,
            Type::INT4,
            Type::NUMERIC,
            Type::BOOL,
            Type::TEXT,
            Type::BYTEA,
        ];
        for column in prepared.columns() {
            if !read.contains(column.type_()) {
                wrong.push(format!(
                    "{name} gives {} as {}",
                    column.name(),
                    column.type_()
                ));
            }
        }
        seen.insert(name);
    }
    assert_eq!(wrong, [""; 0]);
    assert!(seen.len() > 120, "only {} statements", seen.len());
    let unpaired: Vec<_> = PAIRED
        .iter()
        .filter(|name| !seen.contains(**name))
        .collect();
    assert!(
        unpaired.is_empty(),
        "{unpaired:?} have no words for PostgreSQL"
    );
}

/// What eligibility, triggers and redemptions ask of grants: one at a time, and together.
const LOOK_UPS: [&str; 6] = [
    "ledger_rows",
    "ledger_rows_of",
    "grants_for_code",
    "grants_for_codes",
    "grant_ends",
    "grants_of_campaign",
];

/// The plan that a connection which looks up keeps for good, step by step with its conditions.
async fn kept_plan(client: &Client, sql: &str) -> String {
    let taken = client
        .prepare(sql)
        .await
        .expect("understood")
        .params()
        .len();
    let nulls = vec!["NULL"; taken].join(", ");
    let set = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
        SET enable_mergejoin = off";
    let asked =
        format!("{set}; DEALLOCATE ALL; PREPARE asked AS {sql}; EXPLAIN EXECUTE asked({nulls})");
    let lines = client.simple_query(&asked).await.expect("explained");
    let lines = lines.iter().filter_map(|line| match line {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What eligibility costs does not grow with what is kept: grants, and what daily lists ended, are found by customer.
#[tokio::test]
async fn eligibility_looks_up_and_never_scans() {
    let fresh = postgres();
    let client = client(&fresh.db.url()).await;
    let mut seen = BTreeSet::new();
    for text in texts() {
        let Some((name, _)) = text.sql.trim_start_matches("-- ").split_once('\n') else {
            continue;
        };
        if !LOOK_UPS.contains(&name.trim()) {
            continue;
        }
        let plan = kept_plan(&client, &text.sql).await;
        assert!(!plan.contains("Seq Scan"), "{name}: {plan}");
        let found: Vec<_> = plan
            .lines()
            .zip(plan.lines().skip(1))
            .filter(|(step, _)| step.contains(" on grants ") || step.contains(" on grant_end "))
            .collect();
        assert!(!found.is_empty(), "{name}: {plan}");
        for (step, condition) in found {
            assert!(
                condition.contains("Index Cond") && condition.contains("(customer = "),
                "{name}: {step} by {condition}"
            );
        }
        seen.insert(name.trim().to_owned());
    }
    assert_eq!(seen.len(), LOOK_UPS.len(), "{seen:?}");
}

/// Numbers that are counted by the highest there is are counted under a lock: two connections would find the same.
#[test]
fn who_counts_on_holds_a_lock() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut counted = 0;
    for file in std::fs::read_dir(folder).expect("the sources are there") {
        let path = file.expect("a file").path();
        let source = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<_> = source.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.contains("COALESCE(MAX(") && line.contains("), 0) + 1") {
                let before = lines[at.saturating_sub(12)..at].concat();
                let method = before.rsplit(" fn ").next().unwrap_or_default();
                assert!(
                    method.contains("self.lock_"),
                    "{}:{}",
                    path.display(),
                    at + 1
                );
                counted += 1;
            }
        }
    }
    assert!(counted >= 7, "only {counted} places");
}
