//! What the migrations make, read from their own words: tables with their keys and indexes.

use crate::migrate;

/// A table as the migrations make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns of its primary key, in order.
    pub key: Vec<&'static str>,
    /// Columns of its other unique keys.
    pub unique: Vec<Vec<&'static str>>,
    /// Its indexes.
    pub indexes: Vec<Index>,
}

/// An index as the migrations make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// The statement that makes it, without its semicolon.
    pub sql: &'static str,
}

/// All tables of the newest schema, in the order in which they are made. Reads the small part of SQL that the
/// migrations are written in; a test compares with the catalogue of a database.
pub fn tables() -> Vec<Table> {
    let mut found: Vec<Table> = Vec::new();
    for text in migrate::texts() {
        for statement in text.split_inclusive(";\n") {
            let Some(start) = statement.find("CREATE ") else {
                continue;
            };
            let sql = statement[start..].trim_end().trim_end_matches(';');
            if let Some(rest) = sql.strip_prefix("CREATE TABLE ") {
                found.extend(table(rest.trim_start_matches("IF NOT EXISTS ")));
            } else if let Some(index) = index(sql)
                && let Some(on) = between(sql, " ON ", " (")
                && let Some(table) = found.iter_mut().find(|table| table.name == on.trim())
            {
                table.indexes.push(index);
            }
        }
    }
    found
}

fn table(rest: &'static str) -> Option<Table> {
    let (name, body) = rest.split_once(" (")?;
    let mut table = Table {
        name,
        key: Vec::new(),
        unique: Vec::new(),
        indexes: Vec::new(),
    };
    for line in body.lines() {
        let line = line.split("--").next().unwrap_or_default().trim();
        if let Some(columns) = line.strip_prefix("PRIMARY KEY (") {
            table.key = columns_of(columns);
        } else if let Some(columns) = line.strip_prefix("UNIQUE (") {
            table.unique.push(columns_of(columns));
        } else if let Some((column, kind)) = line.split_once(' ') {
            if kind.contains("PRIMARY KEY") {
                table.key = vec![column];
            } else if kind.ends_with("UNIQUE,") {
                table.unique.push(vec![column]);
            }
        }
    }
    Some(table)
}

fn index(sql: &'static str) -> Option<Index> {
    let rest = sql.strip_prefix("CREATE ")?;
    let rest = rest.strip_prefix("UNIQUE ").unwrap_or(rest);
    let rest = rest
        .strip_prefix("INDEX ")?
        .trim_start_matches("CONCURRENTLY IF NOT EXISTS ");
    let name = rest.split_whitespace().next()?;
    Some(Index { name, sql })
}

fn columns_of(list: &'static str) -> Vec<&'static str> {
    let inside = list.split(')').next().unwrap_or_default();
    inside.split(", ").collect()
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    text.split_once(from)?.1.split_once(to).map(|found| found.0)
}
