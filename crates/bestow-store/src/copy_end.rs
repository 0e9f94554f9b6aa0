//! One end of a copy: a database whose rows are read and written in blocks, in the order of their keys.
//!
//! Which tables and columns there are is asked of the database, so there is no list of them to forget one in.

use std::path::Path;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use rusqlite::Connection;
use tokio_postgres::binary_copy::BinaryCopyInWriter;

use crate::copy_table::{Cell, Gathered, Table, places, quoted};
use crate::error::classify;
use crate::pairs::TABLE_COLUMNS;
use crate::pg_connect::{Connector, Io, Role};
use crate::postgres::{Begin, Session, Uncommitted};
use crate::{Error, Row, Tx, Value, migrate, sqlite};

/// Rows of a block, at most.
const BLOCK_ROWS_MAX: usize = 4_000;
/// Bytes of text and blobs after which a block takes no further row.
const BLOCK_BYTES: usize = 4 << 20;
/// What a server asks for no statement of a copy to do: a whole table is read while the other end rests.
const UNHURRIED: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// Tables, columns, their types and their places in the key, by table and by column.
const COLUMNS: &str = "-- table_columns
    SELECT t.name, c.name, c.type, c.pk FROM sqlite_schema t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid";

/// Rows that follow each other in a table.
pub(crate) type Rows = Vec<Vec<Cell>>;

/// What reads see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Each block as it is when it is read.
    Newest,
    /// One moment of the whole database.
    Moment,
    /// The whole database, in which nobody can write meanwhile.
    Still,
}

pub(crate) enum End {
    Sqlite(Connection),
    /// With the thread that the session needs, which goes after it.
    Postgres {
        session: Box<Session>,
        place: String,
        _io: Io,
    },
}

impl End {
    pub(crate) fn sqlite(path: &Path) -> Result<Self, Error> {
        sqlite::open_writer(path).map(Self::Sqlite)
    }

    pub(crate) fn postgres(url: &str) -> Result<Self, Error> {
        let io = Io::start()?;
        let connector = Connector::new(url, &io)?;
        let session = connector.connect(Role::Writes)?;
        session.run(UNHURRIED)?;
        Ok(Self::Postgres {
            session: Box::new(session),
            place: connector.place(),
            _io: io,
        })
    }

    pub(crate) fn tx(&self) -> Tx<'_> {
        match self {
            Self::Sqlite(connection) => Tx::sqlite(connection, 0),
            Self::Postgres { session, .. } => Tx::postgres(session, 0),
        }
    }

    /// Makes the newest schema.
    pub(crate) fn migrate(&mut self, now_ms: i64) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => migrate::apply(connection, now_ms),
            Self::Postgres { session, .. } => migrate::apply_postgres(session, now_ms),
        }
    }

    /// What stands in the place of a schema's version, where somebody wrote it: see [`migrate::NO_VERSION`].
    pub(crate) fn note(&self) -> Result<Option<String>, Error> {
        let has_schema = match self {
            Self::Sqlite(connection) => connection
                .table_exists(None, "schema_migration")
                .map_err(|e| classify("note", &e))?,
            Self::Postgres { .. } => self.tx().has_schema()?,
        };
        if has_schema {
            self.tx().copy_note()
        } else {
            Ok(None)
        }
    }

    /// Where it is, to be shown.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Sqlite(connection) => connection.path().unwrap_or_default().to_owned(),
            Self::Postgres { place, .. } => place.clone(),
        }
    }

    /// Refuses any schema but this program's.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => migrate::check(connection),
            Self::Postgres { session, .. } => migrate::check_postgres(session),
        }
    }

    /// All tables of the schema but the one that numbers it.
    pub(crate) fn tables(&self) -> Result<Vec<Table>, Error> {
        let columns = match self {
            Self::Sqlite(_) => COLUMNS,
            Self::Postgres { .. } => TABLE_COLUMNS,
        };
        let mut found = Vec::new();
        self.tx().query(columns, &[], |row| {
            Table::gather(
                &mut found,
                row.text(0)?,
                row.text(1)?,
                &row.text(2)?,
                row.int(3)?,
            )
        })?;
        let tables = found.into_iter().map(Gathered::table);
        Ok(tables.filter(|t| t.name != "schema_migration").collect())
    }

    /// Begins to look at what `view` says, until [`End::roll_back`].
    pub(crate) fn look(&self, view: View, tables: &[Table]) -> Result<(), Error> {
        match (self, view) {
            (_, View::Newest) => Ok(()),
            (Self::Sqlite(connection), View::Moment) => batch(connection, "BEGIN DEFERRED"),
            (Self::Sqlite(connection), View::Still) => batch(connection, "BEGIN IMMEDIATE"),
            (Self::Postgres { session, .. }, View::Moment) => {
                session.begin(Begin::Read);
                Ok(())
            }
            (Self::Postgres { session, .. }, View::Still) => {
                let names: Vec<_> = tables.iter().map(|table| quoted(&table.name)).collect();
                session.begin(Begin::Beside);
                session.run(&format!("LOCK TABLE {} IN SHARE MODE", names.join(", ")))
            }
        }
    }

    /// How many rows there are.
    pub(crate) fn count(&self, table: &Table) -> Result<u64, Error> {
        let sql = format!("SELECT COUNT(*) FROM {}", quoted(&table.name));
        let count = self.rows(&sql, &[], usize::MAX, |row| Ok((row.count(0)?, 0)))?;
        Ok(count.first().copied().unwrap_or_default())
    }

    /// The next rows behind the key `after`.
    pub(crate) fn block(&self, table: &Table, after: &[Cell]) -> Result<Rows, Error> {
        self.range(table, after, &[], BLOCK_ROWS_MAX, BLOCK_BYTES)
    }

    /// The rows behind the key `after` up to the key `through`, but not many more than `rows_max`.
    pub(crate) fn within(
        &self,
        table: &Table,
        after: &[Cell],
        through: &[Cell],
        rows_max: usize,
    ) -> Result<Rows, Error> {
        self.range(table, after, through, rows_max + 1, usize::MAX)
    }

    fn range(
        &self,
        table: &Table,
        after: &[Cell],
        through: &[Cell],
        rows_max: usize,
        bytes: usize,
    ) -> Result<Rows, Error> {
        let sql = format!(
            "SELECT {} FROM {}{} ORDER BY {} LIMIT {rows_max}",
            table.column_names(),
            quoted(&table.name),
            table.bounds(after, through),
            table.key_names(),
        );
        let key: Vec<_> = after.iter().chain(through).map(Cell::value).collect();
        self.rows(&sql, &key, bytes, |row| {
            let cells = table.read(row)?;
            let size = cells.iter().map(Cell::bytes).sum();
            Ok((cells, size))
        })
    }

    /// Reads rows, each with its size, until they are `bytes` in all.
    fn rows<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        bytes: usize,
        mut read: impl FnMut(&Row<'_>) -> Result<(T, usize), Error>,
    ) -> Result<Vec<T>, Error> {
        let (mut found, mut size) = (Vec::new(), 0);
        let mut keep = |row: &Row<'_>| {
            let (one, its_size) = read(row)?;
            size += its_size;
            found.push(one);
            Ok::<_, Error>(size < bytes)
        };
        match self {
            Self::Sqlite(connection) => {
                let failed = |e| classify(sql, &e);
                let mut statement = connection.prepare_cached(sql).map_err(failed)?;
                let bound = rusqlite::params_from_iter(values);
                let mut rows = statement.query(bound).map_err(failed)?;
                while let Some(row) = rows.next().map_err(failed)? {
                    if !keep(&Row::Sqlite(row))? {
                        break;
                    }
                }
            }
            Self::Postgres { session, .. } => {
                session.ask(sql, async {
                    let rows = session.client.query_raw(sql, values).await?;
                    let mut rows = pin!(rows);
                    Ok(loop {
                        let Some(row) = rows.try_next().await? else {
                            break Ok(());
                        };
                        match keep(&Row::Postgres(&row)) {
                            Ok(true) => {}
                            Ok(false) => break Ok(()),
                            Err(error) => break Err(error),
                        }
                    })
                })??;
            }
        }
        Ok(found)
    }

    /// Puts `rows` in the place of what stands behind the key `after` up to the key `through` (to the end of the table
    /// where that is empty), in a transaction of its own.
    pub(crate) fn replace(
        &self,
        table: &Table,
        after: &[Cell],
        through: &[Cell],
        rows: &[Vec<Cell>],
    ) -> Result<(), Error> {
        self.begin()?;
        let written = self
            .delete(table, after, through)
            .and_then(|()| self.insert(table, rows));
        if written.is_err() {
            self.roll_back();
        }
        written.and_then(|()| self.commit())
    }

    /// Adds rows that are not there, in a transaction of its own.
    pub(crate) fn add(&self, table: &Table, rows: &[Vec<Cell>]) -> Result<(), Error> {
        self.begin()?;
        let written = self.insert(table, rows);
        if written.is_err() {
            self.roll_back();
        }
        written.and_then(|()| self.commit())
    }

    fn delete(&self, table: &Table, after: &[Cell], through: &[Cell]) -> Result<(), Error> {
        let (name, bounds) = (quoted(&table.name), table.bounds(after, through));
        let sql = format!("DELETE FROM {name}{bounds}");
        let key: Vec<_> = after.iter().chain(through).map(Cell::value).collect();
        match self {
            Self::Sqlite(connection) => connection
                .execute(&sql, rusqlite::params_from_iter(&key))
                .map(drop)
                .map_err(|e| classify(&sql, &e)),
            Self::Postgres { session, .. } => session
                .ask(&sql, session.client.execute_raw(&*sql, &key))
                .map(drop),
        }
    }

    fn insert(&self, table: &Table, rows: &[Vec<Cell>]) -> Result<(), Error> {
        let name = quoted(&table.name);
        let columns = table.column_names();
        match self {
            Self::Sqlite(connection) => {
                let places = places(&mut (1..), table.width());
                let sql = format!("INSERT INTO {name} ({columns}) VALUES ({places})");
                let failed = |e| classify(&sql, &e);
                let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
                for row in rows {
                    let values = row.iter().map(Cell::value);
                    statement
                        .execute(rusqlite::params_from_iter(values))
                        .map_err(failed)?;
                }
                Ok(())
            }
            Self::Postgres { session, .. } => {
                let sql = format!("COPY {name} ({columns}) FROM STDIN (FORMAT BINARY)");
                let kinds = table.wire_types();
                session.ask(&sql, async {
                    let sink = session.client.copy_in(&sql).await?;
                    let mut writer = pin!(BinaryCopyInWriter::new(sink, &kinds));
                    for row in rows {
                        let values: Vec<_> = row.iter().map(Cell::value).collect();
                        writer.as_mut().write_raw(&values).await?;
                    }
                    writer.finish().await.map(drop)
                })
            }
        }
    }

    pub(crate) fn begin(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => batch(connection, "BEGIN IMMEDIATE"),
            Self::Postgres { session, .. } => {
                session.begin(Begin::Beside);
                Ok(())
            }
        }
    }

    pub(crate) fn commit(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => batch(connection, "COMMIT"),
            Self::Postgres { session, .. } => session.commit().map_err(|error| match error {
                Uncommitted::Surely(error) => error,
                Uncommitted::Perhaps => Error::OutcomeUnknown,
            }),
        }
    }

    /// Ends what [`End::look`] or [`End::begin`] began, if anything.
    pub(crate) fn roll_back(&self) {
        match self {
            Self::Sqlite(connection) if connection.is_autocommit() => {}
            Self::Sqlite(connection) => {
                if let Err(error) = batch(connection, "ROLLBACK") {
                    tracing::debug!(error.message = %error, "a transaction ends with its connection");
                }
            }
            Self::Postgres { session, .. } => session.roll_back(),
        }
    }
}

fn batch(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.execute_batch(sql).map_err(|e| classify(sql, &e))
}
