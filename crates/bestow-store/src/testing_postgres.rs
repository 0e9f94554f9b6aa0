//! For tests: a PostgreSQL database with the newest schema, copied from a template.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::scratch::{Scratch, Server};
use crate::spread::Spread;
use crate::{Error, migrate};

/// As a later version might: it adds, fills and builds, and leaves room for the program before it.
const LATER: &str = "
    ALTER TABLE promotion ADD COLUMN IF NOT EXISTS tomorrow BIGINT;
    ALTER TABLE tenant ADD COLUMN IF NOT EXISTS tomorrow BIGINT NOT NULL DEFAULT 7;
    UPDATE promotion SET tomorrow = 7 WHERE tomorrow IS NULL AND ctid >= $1 AND ctid < $2;
    CREATE INDEX CONCURRENTLY IF NOT EXISTS promotion_tomorrow ON promotion (tenant, tomorrow);
    ALTER TABLE promotion DROP CONSTRAINT IF EXISTS promotion_has_a_tomorrow;
    ALTER TABLE promotion ADD CONSTRAINT promotion_has_a_tomorrow CHECK (tomorrow > 0) NOT VALID;
";

/// Held while the template is made: by one of all test processes.
const TEMPLATE_LOCK: i64 = 0x62_7465_7374;

impl Scratch {
    /// As [`Scratch::beside`], with the newest schema.
    ///
    /// # Errors
    /// As there.
    pub fn migrated(url: &str) -> Result<Self, Error> {
        Self::from_template(url, None)
    }

    /// The same, with its tables spread.
    ///
    /// # Errors
    /// As there.
    pub fn spread(url: &str, spread: Spread) -> Result<Self, Error> {
        Self::from_template(url, Some(spread))
    }

    fn from_template(url: &str, spread: Option<Spread>) -> Result<Self, Error> {
        let server = Server::new(url)?;
        let template = template(&server, spread)?;
        Self::copied(server, &template)
    }

    /// Ends up to `most` connections to it, whatever is on its way on them. The same number of the draw and the same
    /// connections: the same end.
    ///
    /// # Errors
    /// The database's.
    pub fn cut(&self, draw: u64, most: u64) -> Result<(), Error> {
        let cut = self.raw(&format!(
            "SELECT COUNT(*) FROM (SELECT pg_terminate_backend(pid) FROM (
                SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                ORDER BY md5(CAST(pid AS TEXT) || '{draw}') LIMIT {most}) chosen) ended"
        ));
        cut.map(|_| ())
    }

    /// Migrates as a later program would that leaves room for this one: see `LATER`.
    ///
    /// # Errors
    /// The database's.
    pub fn migrate_as_a_later_program(&self) -> Result<(), Error> {
        let known = self.raw("SELECT MAX(version) FROM schema_migration")?;
        self.migrate_further(LATER, known)
    }

    pub(crate) fn migrate_further(&self, step: &'static str, beside: i64) -> Result<(), Error> {
        migrate::apply_further(&self.session()?, step, beside)
    }

    /// Whether a text stands in any column of any row.
    ///
    /// # Errors
    /// The database's.
    pub fn holds(&self, text: &str) -> Result<bool, Error> {
        let mut hex = String::new();
        for byte in text.bytes() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        let columns = self.raw(&format!(
            r"SELECT COUNT(*) FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type IN ('text', 'bytea')
                AND CAST(query_to_xml(
                    format(
                        'SELECT 1 FROM %I WHERE position(CAST(%L AS BYTEA) IN %s) > 0',
                        table_name,
                        '\x{hex}',
                        format(
                            CASE data_type WHEN 'text' THEN 'convert_to(%I, ''UTF8'')' ELSE '%I' END,
                            column_name
                        )
                    ),
                    true, true, ''
                ) AS TEXT) LIKE '%<row%'"
        ))?;
        Ok(columns > 0)
    }
}

/// The name of a database with the newest schema that nobody is connected to.
fn template(server: &Server, spread: Option<Spread>) -> Result<String, Error> {
    let steps = spread.map(Spread::steps).unwrap_or_default();
    let mut digest = DefaultHasher::new();
    migrate::texts().for_each(|text| text.hash(&mut digest));
    for step in &steps {
        step.statements.hash(&mut digest);
    }
    let name = format!("bestow_template_{:016x}", digest.finish());
    let session = server.session()?;
    session.run(&format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"))?;
    let is_there = format!("SELECT COUNT(*) FROM pg_database WHERE datname = '{name}'");
    if session.raw(&is_there)? == 0 {
        let half = format!("{name}_half");
        session.run(&format!("DROP DATABASE IF EXISTS {half} WITH (FORCE)"))?;
        session.run(&format!("CREATE DATABASE {half} TEMPLATE template0"))?;
        // The instant at which the schema was applied is looked at by no test of these.
        let inside = server.connect(&server.address_of(&half)?)?;
        migrate::apply_postgres(&inside, 0)?;
        for step in &steps {
            inside.run(&step.statements.join(";\n"))?;
        }
        drop(inside);
        session.run(&format!(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{half}'"
        ))?;
        session.run(&format!("ALTER DATABASE {half} RENAME TO {name}"))?;
    }
    Ok(name)
}
