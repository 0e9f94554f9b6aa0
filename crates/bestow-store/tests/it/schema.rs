//! Every statement in the sources and every column of the schema, held to the rules that all of
//! them follow. SQLite itself says what a statement touches.

mod history;
mod named;
pub(crate) mod source;
mod spread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, Authorization};

use crate::support::sqlite;
use source::{Text, texts};

/// Where SQL stands that is no statement of a transaction: the engine's own words.
const BESIDE_THE_STATEMENTS: [&str; 18] = [
    "copy.rs",
    "copy_end.rs",
    "copy_table.rs",
    "migrate.rs",
    "online.rs",
    "pairs.rs",
    "pg_near.rs",
    "pg_raw.rs",
    "pg_spread.rs",
    "postgres.rs",
    "schema.rs",
    "scratch.rs",
    "size.rs",
    "raw.rs",
    "spread.rs",
    "sqlite.rs",
    "testing.rs",
    "testing_postgres.rs",
];
/// SQL that begins or ends transactions.
const TRANSACTION_WORDS: [&str; 4] = ["BEGIN DEFERRED", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"];
/// Tables whose rows are only ever added to.
const INSERT_ONLY: [&str; 10] = [
    "audit",
    "audit_checkpoint",
    "campaign_details",
    "grant_block",
    "grant_event",
    "pool_code",
    "promotion_version",
    "redemption",
    "reversal",
    "taken_code",
];
/// Tables without a tenant's rows in them.
const TENANTLESS: [&str; 5] = [
    "tenant",
    "api_token",
    "schema_migration",
    // Optimove counts by credential, which tenants may share.
    "call_slice",
    "optimove_session",
];
/// Statements that look over all tenants, and why they may.
const OVER_ALL_TENANTS: [(&str, &str); 15] = [
    ("due_job", "workers serve whoever is due"),
    ("due_turns", "workers serve whoever is due"),
    ("grants_total", "a figure of the deployment"),
    ("inbox_size", "a figure of the deployment"),
    ("inbox_totals", "a figure of the deployment"),
    ("jobs", "a list for the operator of the deployment"),
    ("lease_holders", "a process works for whoever is due"),
    (
        "listeners",
        "an address is looked up before its tenant is known",
    ),
    ("next_job_at", "workers serve whoever is due"),
    ("next_job_of_kind_at", "workers serve whoever is due"),
    (
        "release_all_leases",
        "a starting process that is the only one",
    ),
    ("release_leases_of", "a process works for whoever is due"),
    ("tenants_without_job", "tells which tenants there are"),
    ("waiting_cancels", "workers serve whoever waits"),
    ("waiting_tenants", "workers serve whoever waits"),
];
/// Columns without a comment of their own, whose names say it.
const SELF_EVIDENT: &str = "tenant name created_at suspended_at revoked_at expires_at \
    updated_at received_at done_at read_at wanted_at landed_at found_at seen_at resolved_at released_at first_seen_at \
    redeemed_at reversed_at pledged_at ended_at last_error last_error_at stop_reason hold_reason arrivals secret_hash kind version \
    campaign channel page block body rows rows_without_code pairs pass reason no offer \
    attempts run_at actor action object detail";
/// More of them, which say it in one table only.
const SELF_EVIDENT_IN: &str = "api_token.id audit.seq audit.at audit.correlation \
    grants.customer grant_end.customer clearance_round.closed_at trigger_event.customer trigger_pair.occurrence \
    trigger_pair.code_fold trigger_minute.granted reservation.customer reservation.asked_at \
    redemption.customer pledge.customer promotion_count.code_fold promotion_count.granted campaign.lead_time_days campaign_count.counter \
    campaign_count.n eligibility_window.starts_at offer.code_fold archived_grants.customer \
    schema_migration.applied_at schema_migration.beside";

/// A statement of a transaction: what stands behind its name.
struct Statement {
    name: String,
    text: Text,
}

fn statements() -> Vec<Statement> {
    texts()
        .into_iter()
        .filter(|text| !BESIDE_THE_STATEMENTS.contains(&&*text.file))
        .filter_map(|text| {
            let name = text
                .sql
                .strip_prefix("-- ")?
                .lines()
                .next()?
                .trim()
                .to_owned();
            Some(Statement { name, text })
        })
        .collect()
}

/// What SQLite says that a statement does, while it prepares it.
#[derive(Default, Debug)]
struct Touched {
    /// Table and column, for reading and for the conditions of changes.
    read: BTreeSet<(String, String)>,
    inserted: BTreeSet<String>,
    changed: BTreeSet<String>,
}

/// Prepares statements on the schema and listens to what they would do.
struct Listener {
    connection: Connection,
    touched: Arc<Mutex<Touched>>,
}

impl Listener {
    fn new() -> Self {
        let fresh = sqlite();
        // The schema stays in memory once the file is gone.
        let mut connection = Connection::open_in_memory().expect("a database in memory");
        let file = Connection::open(fresh.store().path().expect("a file")).expect("the file opens");
        let mut schema = file
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
            .expect("the schema is there");
        let made = schema
            .query_map([], |row| row.get::<_, String>(0))
            .expect("read");
        for sql in made {
            connection
                .execute_batch(&sql.expect("text"))
                .expect("made again");
        }
        let touched = Arc::new(Mutex::new(Touched::default()));
        let notes = Arc::clone(&touched);
        connection
            .authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
                let mut notes = notes.lock().expect("no holder panics");
                match context.action {
                    AuthAction::Read {
                        table_name,
                        column_name,
                    } => {
                        notes
                            .read
                            .insert((table_name.to_owned(), column_name.to_owned()));
                    }
                    AuthAction::Insert { table_name } => {
                        notes.inserted.insert(table_name.to_owned());
                    }
                    AuthAction::Update { table_name, .. } | AuthAction::Delete { table_name } => {
                        notes.changed.insert(table_name.to_owned());
                    }
                    _ => {}
                }
                Authorization::Allow
            }))
            .expect("SQLite tells what it does");
        Self {
            connection,
            touched,
        }
    }

    /// What `sql` touches, and the names of its parameters in the order in which values are bound.
    fn listen(&self, sql: &str) -> Result<(Touched, Vec<String>), rusqlite::Error> {
        *self.touched.lock().expect("no holder panics") = Touched::default();
        let statement = self.connection.prepare(sql)?;
        let parameters = (1..=statement.parameter_count())
            .map(|place| statement.parameter_name(place).unwrap_or("?").to_owned())
            .collect();
        let touched = std::mem::take(&mut *self.touched.lock().expect("no holder panics"));
        Ok((touched, parameters))
    }
}

#[test]
fn every_sql_text_is_a_named_statement() {
    let verbs = [
        "ALTER",
        "ATTACH",
        "BEGIN",
        "COMMIT",
        "CREATE",
        "DELETE",
        "DROP",
        "INSERT",
        "PRAGMA",
        "REPLACE",
        "ROLLBACK",
        "SAVEPOINT",
        "SELECT",
        "UPDATE",
        "VACUUM",
        "WITH",
    ];
    let stray: Vec<_> = texts()
        .into_iter()
        .filter(|text| !BESIDE_THE_STATEMENTS.contains(&&*text.file))
        .filter(|text| {
            verbs
                .iter()
                .any(|verb| text.sql.trim_start().starts_with(verb))
        })
        .filter(|text| !TRANSACTION_WORDS.contains(&&*text.sql))
        .map(|text| format!("{}: {}", text.file, text.sql))
        .collect();
    assert_eq!(stray, [""; 0], "SQL without its name in front");
}

#[test]
fn names_are_unique() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Statement { name, text } in statements() {
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name} in {}",
            text.file
        );
        places.entry(name).or_default().push(text.file);
    }
    places.retain(|_, files| files.len() > 1);
    assert_eq!(places, BTreeMap::new());
    // The reader of the sources has found them all, and not just some.
    assert!(
        statements().len() > 80,
        "only {} statements",
        statements().len()
    );
}

/// Values are bound by place, so `$n` must be the n-th parameter that SQLite meets; PostgreSQL
/// reads them so in any order.
#[test]
fn parameters_come_in_order_and_have_a_value_each() {
    let listener = Listener::new();
    let mut counted = 0;
    for Statement { name, text } in statements() {
        let (_, parameters) = listener
            .listen(&text.sql)
            .unwrap_or_else(|error| panic!("{name} is no statement of this schema: {error}"));
        let in_order: Vec<_> = (1..=parameters.len()).map(|n| format!("${n}")).collect();
        assert_eq!(parameters, in_order, "{name}");
        if let Some(values) = text.values {
            assert_eq!(values, parameters.len(), "values given to {name}");
            counted += 1;
        }
    }
    assert!(
        counted > 80,
        "only {counted} statements have their values beside them"
    );
}

#[test]
fn records_are_only_added() {
    let listener = Listener::new();
    let mut added = BTreeSet::new();
    for Statement { name, text } in statements() {
        let (touched, _) = listener.listen(&text.sql).expect("a statement");
        for table in INSERT_ONLY {
            assert!(!touched.changed.contains(table), "{name} changes {table}");
            if touched.inserted.contains(table) {
                added.insert(table);
            }
        }
    }
    assert_eq!(added, BTreeSet::from(INSERT_ONLY));
}

#[test]
fn each_table_is_asked_for_one_tenant() {
    let listener = Listener::new();
    let allowed: BTreeMap<_, _> = OVER_ALL_TENANTS.into();
    let mut used = BTreeSet::new();
    for Statement { name, text } in statements() {
        let (touched, _) = listener.listen(&text.sql).expect("a statement");
        let read = touched.read.iter().map(|(table, _)| table);
        let tables: BTreeSet<_> = read.chain(&touched.changed).collect();
        for table in tables
            .into_iter()
            .filter(|table| !TENANTLESS.contains(&&***table))
        {
            let named = (table.clone(), "tenant".to_owned());
            let conditional = touched.read.contains(&named) && tenant_is_given(&text.sql);
            if !conditional {
                assert!(
                    allowed.contains_key(&*name),
                    "{name} reads {table} of every tenant"
                );
                used.insert(name.clone());
            }
        }
    }
    let allowed: BTreeSet<_> = allowed.into_keys().map(str::to_owned).collect();
    assert_eq!(
        used, allowed,
        "statements that may look over all tenants, and do"
    );
}

/// Whether a tenant's number comes in from outside: in a condition, or first in an insert.
fn tenant_is_given(sql: &str) -> bool {
    let condition = sql.split("tenant = $").count() > 1;
    let insert = sql.contains("INSERT INTO") && sql.contains("(tenant, ");
    condition || insert
}

#[test]
fn columns_are_explained() {
    let listener = Listener::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let mut explained = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the migrations are there") {
        let sql = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        let mut table = "";
        for line in sql.lines() {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = rest.split([' ', '(']).next().unwrap_or_default();
            }
            if let Some((column, _)) = line.trim().split_once(' ')
                && (line.contains(" -- ") || line.contains(" IN ('"))
            {
                explained.insert(format!("{table}.{column}"));
            }
        }
    }
    let mut columns = listener
        .connection
        .prepare(
            "SELECT t.name || '.' || c.name, c.name, c.type
             FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
        )
        .expect("the schema is there");
    let rows = columns.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
        ))
    });
    let mut bare = Vec::new();
    let mut used = BTreeSet::new();
    for row in rows.expect("read") {
        let (full, column, kind) = row.expect("read");
        assert!(
            ["INTEGER", "TEXT", "BLOB"].contains(&&*kind),
            "{full} is {kind}"
        );
        if explained.contains(&full) {
            continue;
        }
        if let Some(known) = SELF_EVIDENT.split(' ').find(|known| *known == column) {
            used.insert(known);
        } else if let Some(known) = SELF_EVIDENT_IN.split(' ').find(|known| *known == full) {
            used.insert(known);
        } else {
            bare.push(full);
        }
    }
    assert_eq!(bare, [""; 0], "columns without a word of explanation");
    let listed: BTreeSet<_> = SELF_EVIDENT
        .split(' ')
        .chain(SELF_EVIDENT_IN.split(' '))
        .collect();
    assert_eq!(
        used, listed,
        "columns listed as self-evident, and needed there"
    );
}

/// What the keys promise: each tenant's rows are kept apart, so that the same schema can be spread
/// over machines by tenant.
#[test]
fn tenant_leads_every_key() {
    let listener = Listener::new();
    let mut keys = listener
        .connection
        .prepare(
            "SELECT t.name, i.name, i.\"unique\",
                 (SELECT c.name FROM pragma_index_info(i.name) c WHERE c.seqno = 0)
             FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table'",
        )
        .expect("the schema is there");
    let rows = keys.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, bool>(2)?,
            row.get::<_, Option<String>>(3)?,
        ))
    });
    let mut tables = BTreeSet::new();
    for row in rows.expect("read") {
        let (table, index, unique, first) = row.expect("read");
        if TENANTLESS.contains(&&*table) || !unique {
            continue;
        }
        // The hash of a listener's secret is what finds its tenant.
        if table == "listener" && first.as_deref() == Some("secret_hash") {
            continue;
        }
        assert_eq!(first.as_deref(), Some("tenant"), "{index} of {table}");
        tables.insert(table);
    }
    assert!(tables.len() >= 15, "{tables:?}");
}
