//! The schema and the statements, held to what spreading over shards asks: each row is found by the columns that tell
//! where it is, no key has to be unique over two shards, and nothing rests on triggers, sequences or references.

use std::collections::{BTreeMap, BTreeSet};

use bestow_store::schema::{Table, tables};
use bestow_store::spread::{Place, place_of, placed};

use super::source::texts;
use super::{BESIDE_THE_STATEMENTS, Listener};

/// Statements on the ways that are gone millions of times a day. Each carries the key of its shard.
const HOT: &str = "accept_notification insert_notifications count_arrival count_arrivals settle_notification \
    insert_page insert_block move_page_cursor landed_block block_behind \
    insert_grant insert_grants known_grants move_merge_cursor add_counts audit \
    ledger_rows ledger_rows_of offer_facts window_facts grant_exists grant_ends excluded_from \
    insert_reservation consume_reservation drop_reservation \
    trigger insert_trigger put_trigger_pair grants_of_campaign \
    take_code take_codes move_pool find_code";

/// Statements that ask more than one shard, and why they may.
const MANY_SHARDS: [(&str, &str); 25] = [
    ("campaigns_waiting", "once for each load of codes"),
    ("drop_lapsed", "a chore, some at a time"),
    ("exclusions", "a list for people"),
    ("grants_total", "a figure of the deployment"),
    ("has_exclusions", "once for each round of clearance"),
    ("inbox_size", "a figure of the deployment"),
    ("inbox_totals", "a figure of the deployment"),
    ("lapsed_reservations", "a chore, some at a time"),
    ("verify_ended_campaigns", "verify reads everything"),
    ("verify_ended_days", "verify reads everything"),
    ("verify_grant_codes", "verify reads everything"),
    ("verify_grant_ends", "verify reads everything"),
    ("verify_granted", "verify reads everything"),
    ("verify_never_redeemed", "verify reads everything"),
    ("verify_pledged", "verify reads everything"),
    ("verify_promotion_uses", "verify reads everything"),
    ("verify_references", "verify reads everything"),
    ("verify_trigger_outcomes", "verify reads everything"),
    ("verify_trigger_waits", "verify reads everything"),
    ("verify_waiting", "verify reads everything"),
    ("verify_waiting_counts", "verify reads everything"),
    ("waiting_cancels", "workers serve whoever waits"),
    ("waiting_offers", "once for each load of codes"),
    ("waiting_pairs", "once for each load of codes"),
    ("waiting_tenants", "workers serve whoever waits"),
];

/// Statements that bring rows of different places together, and why they may. Engines whose joins stay on a shard
/// need them put otherwise.
const ACROSS_PLACES: [(&str, &str); 26] = [
    (
        "customer_grants",
        "a list for people, with all that it says of each grant",
    ),
    ("drop_grant", "a chore, some at a time"),
    (
        "drop_lapsed",
        "a chore, some at a time: frees the room that they held",
    ),
    ("drop_trigger_pairs", "a chore, some at a time"),
    ("drop_triggered_grant", "a chore, some at a time"),
    ("ended_days_without_job", "once an hour for each tenant"),
    ("grant", "shown to people, with all that it says"),
    ("grant_of", "shown to people, with all that it says"),
    (
        "grants_for_code",
        "before a trigger or an approval is decided; eligibility reads the same piece by piece",
    ),
    ("grants_for_codes", "as grants_for_code, for many at once"),
    (
        "redemption_terms",
        "before a redemption is decided: the customer's block, and what is left of the promotion",
    ),
    ("triggered_grants", "an export, read page by page"),
    ("verify_code_owners", "verify compares"),
    ("verify_ended_campaigns", "verify compares"),
    ("verify_ended_days", "verify compares"),
    ("verify_grant_codes", "verify compares"),
    ("verify_granted", "verify compares"),
    ("verify_never_redeemed", "verify compares"),
    ("verify_pages", "verify compares"),
    ("verify_pledged", "verify compares"),
    ("verify_pledges", "verify compares"),
    ("verify_promotion_uses", "verify compares"),
    ("verify_redeemed", "verify compares"),
    ("verify_references", "verify compares"),
    ("verify_trigger_outcomes", "verify compares"),
    ("verify_waiting_counts", "verify compares"),
];

/// Statements that ask within the values of an insert, which some engines do not take: counted on in one statement, for
/// tenants with a destination only. They are to be put otherwise before such an engine is used.
const ASKS_WITHIN: [&str; 3] = [
    "insert_destination",
    "insert_grant_block",
    "insert_grant_event",
];

/// Words of a schema that shards do not keep.
const BEYOND_SHARDS: [&str; 8] = [
    "REFERENCES",
    "TRIGGER",
    "SEQUENCE",
    "SERIAL",
    "IDENTITY",
    "AUTOINCREMENT",
    "nextval",
    "GENERATED",
];

#[test]
fn tables_are_read_as_the_database_made_them() {
    let listener = Listener::new();
    let ask = |sql: &str| -> BTreeSet<String> {
        let mut statement = listener.connection.prepare(sql).expect("a question");
        let rows = statement.query_map([], |row| row.get(0)).expect("asked");
        rows.collect::<Result<_, _>>().expect("answered")
    };
    let made = ask(
        "SELECT 'key ' || t.name || ' (' || (SELECT GROUP_CONCAT(name, ', ') FROM
             (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk)) || ')'
         FROM sqlite_schema t WHERE t.type = 'table' AND t.name <> 'schema_migration'
         UNION ALL
         SELECT 'unique ' || t.name || ' (' || (SELECT GROUP_CONCAT(name, ', ') FROM
             (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) || ')'
         FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND i.origin = 'u'
         UNION ALL
         SELECT 'index ' || tbl_name || ' ' || name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    );
    let mut read = BTreeSet::new();
    for table in tables() {
        read.insert(format!("key {} ({})", table.name, table.key.join(", ")));
        for unique in &table.unique {
            read.insert(format!("unique {} ({})", table.name, unique.join(", ")));
        }
        for index in &table.indexes {
            read.insert(format!("index {} {}", table.name, index.name));
        }
    }
    assert_eq!(read, made);
    let names: BTreeSet<_> = tables().iter().map(|table| table.name).collect();
    let strangers: Vec<_> = placed().filter(|name| !names.contains(name)).collect();
    assert_eq!(strangers, [""; 0], "tables with a place that are not there");
}

/// A key that has to be unique can be looked at on one shard.
#[test]
fn unique_keys_stay_on_a_shard() {
    for table in tables() {
        let place = place_of(&table).columns();
        let mut keys = vec![table.key.join(", ")];
        keys.extend(table.unique.iter().map(|unique| unique.join(", ")));
        let unique = table
            .indexes
            .iter()
            .filter(|index| index.sql.contains("UNIQUE"));
        keys.extend(unique.map(|index| index.sql.split_once('(').expect("columns").1.to_owned()));
        for key in keys {
            let columns: Vec<_> = key.split([',', '(', ')', ' ']).collect();
            let lacks: Vec<_> = place
                .iter()
                .filter(|column| !columns.contains(column))
                .collect();
            assert!(
                lacks.is_empty(),
                "the key ({key}) of {} lacks {lacks:?}",
                table.name
            );
        }
    }
}

#[test]
fn nothing_rests_on_what_shards_do_not_keep() {
    for engine in ["sqlite", "postgres"] {
        let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder).expect("the migrations are there") {
            let sql = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            for line in sql.lines() {
                let said = line.split("--").next().unwrap_or_default();
                let words: BTreeSet<_> = said.split(|c: char| !c.is_alphanumeric()).collect();
                let found = BEYOND_SHARDS.iter().find(|word| words.contains(*word));
                assert_eq!(found, None, "{engine}: {line}");
            }
        }
    }
    let mut within = BTreeSet::new();
    for Named { name, text } in every_statement() {
        let values = text.split_once("VALUES").map_or("", |(_, values)| values);
        let values = values.split("ON CONFLICT").next().unwrap_or_default();
        if values.contains("SELECT") {
            within.insert(name);
        }
    }
    let known: BTreeSet<_> = ASKS_WITHIN.into_iter().map(str::to_owned).collect();
    assert_eq!(within, known, "statements that ask within their values");
}

/// A statement by its name.
struct Named {
    name: String,
    text: String,
}

/// Those of both engines, and those that PostgreSQL alone understands.
fn every_statement() -> Vec<Named> {
    texts()
        .into_iter()
        .filter(|text| {
            ["pairs.rs"].contains(&&*text.file) || !BESIDE_THE_STATEMENTS.contains(&&*text.file)
        })
        .filter_map(|text| {
            let (name, sql) = text.sql.strip_prefix("-- ")?.split_once('\n')?;
            Some(Named {
                name: name.trim().to_owned(),
                text: sql.to_owned(),
            })
        })
        .collect()
}

/// A table as a statement names it.
struct Use<'s> {
    table: &'s Table,
    alias: &'s str,
}

/// Every table that a statement names, with what it calls it.
fn uses<'s>(text: &'s str, tables: &'s [Table]) -> Vec<Use<'s>> {
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ',')
        .filter(|word| !word.is_empty())
        .collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let follows = at.checked_sub(1).and_then(|before| words.get(before));
        let is_named =
            follows.is_some_and(|word| ["FROM", "JOIN", "INTO", "UPDATE"].contains(word));
        let Some(table) = tables.iter().find(|table| is_named && table.name == *word) else {
            continue;
        };
        let next = words.get(at + 1).copied().unwrap_or_default();
        let next = if next == "AS" { words[at + 2] } else { next };
        let is_alias = next.bytes().all(|byte| byte.is_ascii_lowercase()) && !next.is_empty();
        let alias = if is_alias && follows != Some(&"INTO") {
            next
        } else {
            table.name
        };
        found.push(Use { table, alias });
    }
    found
}

/// What a statement lacks to be sent to one shard.
fn lacks(listener: &Listener, text: &str, tables: &[Table]) -> BTreeSet<String> {
    let uses = uses(text, tables);
    let is_both = !["UNNEST", "FOR UPDATE", "FOR KEY SHARE"]
        .iter()
        .any(|word| text.contains(word));
    let mut lacks = BTreeSet::new();
    let mut look = |table: &Table, is_given: &dyn Fn(&str) -> bool| {
        let columns = place_of(table).columns();
        let lacking = columns.iter().filter(|column| !is_given(column));
        lacks.extend(lacking.map(|column| format!("{}.{column}", table.name)));
    };
    for Use { table, alias } in &uses {
        if let Some((_, inserted)) = text.split_once(&format!("INSERT INTO {} (", table.name)) {
            let columns: Vec<_> = inserted
                .split(')')
                .next()
                .unwrap_or_default()
                .split(", ")
                .collect();
            look(table, &|column| columns.contains(&column));
        } else if !is_both {
            let dotted = if *alias == table.name {
                String::new()
            } else {
                format!("{alias}.")
            };
            look(table, &|column| {
                text.contains(&format!("{dotted}{column} = "))
            });
        }
    }
    if is_both && !uses.is_empty() {
        for (searched, equal) in plan(listener, text) {
            let named = uses
                .iter()
                .find(|one| one.alias == searched || one.table.name == searched);
            if let Some(Use { table, .. }) = named {
                look(table, &|column| equal.iter().any(|one| one == column));
            }
        }
    }
    lacks
}

/// What SQLite searches to answer, each with the columns that it knows the value of.
fn plan(listener: &Listener, text: &str) -> Vec<(String, Vec<String>)> {
    let mut explained = listener
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let steps = explained.raw_query().mapped(|row| row.get::<_, String>(3));
    let mut searched = Vec::new();
    for step in steps {
        let step = step.expect("a step");
        let Some(rest) = step
            .strip_prefix("SEARCH ")
            .or_else(|| step.strip_prefix("SCAN "))
        else {
            continue;
        };
        let known = rest.split_once('(').map_or("", |(_, known)| known);
        let equal = known
            .split([' ', ')'])
            .filter_map(|word| word.strip_suffix("=?"));
        let name = rest.split(' ').next().unwrap_or_default();
        searched.push((name.to_owned(), equal.map(str::to_owned).collect()));
    }
    searched
}

#[test]
fn statements_are_sent_to_one_shard() {
    let (listener, tables) = (Listener::new(), tables());
    let allowed: BTreeMap<_, _> = MANY_SHARDS.into();
    let mut wide = BTreeMap::new();
    for Named { name, text } in every_statement() {
        let lacks = lacks(&listener, &text, &tables);
        if !lacks.is_empty() {
            wide.insert(name, lacks);
        }
    }
    let unexplained: BTreeMap<_, _> = wide
        .iter()
        .filter(|(name, _)| !allowed.contains_key(&***name))
        .collect();
    assert!(
        unexplained.is_empty(),
        "not sent to one shard: {unexplained:#?}"
    );
    let needless: Vec<_> = allowed
        .keys()
        .filter(|name| !wide.contains_key(**name))
        .collect();
    assert!(
        needless.is_empty(),
        "sent to one shard after all: {needless:?}"
    );
}

#[test]
fn joins_stay_at_one_place() {
    let tables = tables();
    let allowed: BTreeMap<_, _> = ACROSS_PLACES.into();
    let mut across = BTreeMap::new();
    for Named { name, text } in every_statement() {
        let uses = uses(&text, &tables);
        let places: BTreeSet<_> = uses
            .iter()
            .map(|one| place_of(one.table))
            .filter(|place| *place != Place::Everywhere)
            .collect();
        if places.len() > 1 {
            across.insert(name, places);
        }
    }
    let unexplained: BTreeMap<_, _> = across
        .iter()
        .filter(|(name, _)| !allowed.contains_key(&***name))
        .collect();
    assert!(
        unexplained.is_empty(),
        "joins rows of several places: {unexplained:#?}"
    );
    let needless: Vec<_> = allowed
        .keys()
        .filter(|name| !across.contains_key(**name))
        .collect();
    assert!(
        needless.is_empty(),
        "joins nothing across places: {needless:?}"
    );
}

#[test]
fn hot_statements_are_known_and_never_wide() {
    let known: BTreeSet<_> = every_statement().into_iter().map(|one| one.name).collect();
    for hot in HOT.split_whitespace() {
        assert!(known.contains(hot), "{hot} is no statement");
        let is_wide = MANY_SHARDS
            .iter()
            .chain(&ACROSS_PLACES)
            .any(|(name, _)| *name == hot);
        assert!(!is_wide, "{hot} is asked of many shards");
    }
}
