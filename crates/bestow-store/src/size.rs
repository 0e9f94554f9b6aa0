//! How much room a database takes.

use crate::{Error, Store, Tx};

impl Store {
    /// Bytes that the database takes on its disk, indexes included; of SQLite without its log.
    ///
    /// # Errors
    /// The database's.
    pub fn size_bytes(&self) -> Result<u64, Error> {
        match self.path() {
            Some(path) => std::fs::metadata(path)
                .map(|file| file.len())
                .map_err(|e| Error::Unavailable(format!("{}: {e}", path.display()))),
            None => self.peek(|tx| tx.database_bytes()),
        }
    }
}

impl Tx<'_> {
    fn database_bytes(&mut self) -> Result<u64, Error> {
        let found = self.query_one(
            "-- database_bytes
            SELECT pg_database_size(current_database())",
            &[],
            |row| row.count(0),
        )?;
        Ok(found.unwrap_or_default())
    }
}
