//! The schema is one: tables, columns, keys, unique indexes and checks are the same in both databases.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tokio_postgres::NoTls;

use crate::support::{postgres, sqlite};

/// One fact of a schema, in words that both can say.
type Facts = BTreeSet<String>;

fn of_sqlite() -> Facts {
    let fresh = sqlite();
    let connection = Connection::open(fresh.store().path().expect("a file")).expect("it opens");
    let ask = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).expect("a question");
        let rows = statement.query_map([], |row| row.get(0)).expect("asked");
        rows.collect::<Result<_, _>>().expect("answered")
    };
    let mut facts = Facts::new();
    facts.extend(ask(
        "SELECT 'column ' || t.name || '.' || c.name || ' ' || c.type
             || CASE WHEN c.\"notnull\" OR c.pk > 0 THEN ' not null' ELSE '' END
             || COALESCE(' default ' || c.dflt_value, '')
         FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
    ));
    facts.extend(ask(
        "SELECT CASE i.origin WHEN 'pk' THEN 'primary key ' WHEN 'u' THEN 'unique ' ELSE
                 CASE i.\"unique\" WHEN 1 THEN 'unique index ' ELSE 'index ' END END || t.name || ' ('
             || (SELECT GROUP_CONCAT(COALESCE(c.name, 'expression'), ', ') FROM
                 (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) c) || ')'
             || CASE i.partial WHEN 1 THEN ' partial' ELSE '' END
         FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table'",
    ));
    // A table whose key is its number has no index for it.
    facts.extend(ask(
        "SELECT 'primary key ' || t.name || ' (' || c.name || ')'
         FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.pk > 0 AND c.type = 'INTEGER'
             AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) i WHERE i.origin = 'pk')",
    ));
    facts
        .into_iter()
        .map(|fact| {
            fact.replace(" INTEGER", " BIGINT")
                .replace(" BLOB", " BYTEA")
        })
        .collect()
}

async fn of_postgres() -> Facts {
    let fresh = postgres();
    let (client, connection) = tokio_postgres::connect(&fresh.db.url(), NoTls)
        .await
        .expect("connected");
    tokio::spawn(connection);
    let mut facts = Facts::new();
    for sql in [
        // Any other collation would sort and compare otherwise than SQLite does.
        "SELECT 'column ' || table_name || '.' || column_name || ' ' || UPPER(data_type)
             || CASE WHEN data_type = 'text' AND collation_name IS DISTINCT FROM 'C' THEN ' not by bytes' ELSE '' END
             || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
             || COALESCE(' default ' || SPLIT_PART(column_default, '::', 1), '')
         FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT CASE WHEN i.indisprimary THEN 'primary key ' WHEN k.oid IS NOT NULL THEN 'unique '
                 WHEN i.indisunique THEN 'unique index ' ELSE 'index ' END || i.indrelid::regclass || ' ('
             || (SELECT STRING_AGG(COALESCE(a.attname, 'expression'), ', ' ORDER BY n.place)
                 FROM UNNEST(i.indkey) WITH ORDINALITY n (attnum, place)
                 LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = n.attnum AND n.attnum > 0)
             || ')' || CASE WHEN i.indpred IS NULL THEN '' ELSE ' partial' END
         FROM pg_index i LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'u'
         WHERE i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)",
    ] {
        let rows = client.query(sql, &[]).await.expect("answered");
        facts.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    facts
}

#[tokio::test]
async fn schemas_are_the_same() {
    let (sqlite, postgres) = (of_sqlite(), of_postgres().await);
    let only_sqlite: Vec<_> = sqlite.difference(&postgres).collect();
    let only_postgres: Vec<_> = postgres.difference(&sqlite).collect();
    assert!(
        only_sqlite.is_empty() && only_postgres.is_empty(),
        "only in SQLite: {only_sqlite:#?}\nonly in PostgreSQL: {only_postgres:#?}"
    );
    assert!(sqlite.len() > 250, "only {} facts", sqlite.len());
}

/// Checks and conditions are compared as they are written: no catalogue tells them in the same words.
#[test]
fn migrations_are_written_in_step() {
    let files = |engine: &str| {
        let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("the migrations are there")
            .map(|file| file.expect("a file").path())
            .collect();
        files.sort();
        files
    };
    let (sqlite, postgres) = (files("sqlite"), files("postgres"));
    assert_eq!(
        sqlite.len(),
        postgres.len(),
        "one of each for every version"
    );
    for (one, other) in sqlite.iter().zip(&postgres) {
        assert_eq!(one.file_name(), other.file_name());
        let read = |path| std::fs::read_to_string(path).expect("text");
        let (one, other) = (words(&read(one)), words(&read(other)));
        for (line, (one, other)) in one.iter().zip(&other).enumerate() {
            assert_eq!(one, other, "statement line {}", line + 1);
        }
        assert_eq!(one.len(), other.len());
    }
}

/// The lines of a migration without comments and blanks, in PostgreSQL's words.
fn words(sql: &str) -> Vec<String> {
    sql.lines()
        .filter_map(|line| line.split("--").next())
        .map(|line| {
            line.replace(") WITHOUT ROWID;", ");")
                .replace("INTEGER", "BIGINT")
                .replace("BLOB", "BYTEA")
                .replace(" COLLATE \"C\"", "")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .filter(|line| !line.is_empty())
        .collect()
}
