//! What can go wrong in the store, shaped by what a caller can do about it.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is busy, full, read-only or unreachable. Nothing was changed; try again later.
    #[error("the database is not available now: {0}")]
    Unavailable(String),
    /// It is not known whether the transaction was committed. Run it again: keys make that harmless.
    #[error("the outcome of the transaction is not known")]
    OutcomeUnknown,
    /// The work's lease was taken over by somebody else; what it wanted to write was refused.
    #[error("the lease of this work was lost")]
    LeaseLost,
    /// The database was made by a newer version of the program.
    #[error(
        "the database has schema version {found}, this program knows {known}: use a newer program"
    )]
    SchemaTooNew {
        /// Version found in the database.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// The database has not been brought to this program's schema.
    #[error(
        "the database has schema version {found}, this program needs {known}: run `bestow migrate`"
    )]
    SchemaTooOld {
        /// Version found in the database.
        found: i64,
        /// Version this program needs.
        known: i64,
    },
    /// The database is half of a copy, or a backup: nobody may serve from it.
    #[error(
        "the database is an unfinished copy, or a backup: run the `bestow move` or `bestow restore` that makes it again, \
         or restore from it"
    )]
    NotWhole,
    /// The database was moved: what is written to it from now on would be missing where it is.
    #[error(
        "the database was moved to {0}: set BESTOW_DATABASE_URL to that, or give the copy up and run `bestow move --take-back`"
    )]
    Moved(String),
    /// A copy was to be made where something else is kept.
    #[error("{0} holds something already: name an empty database")]
    NotEmpty(String),
    /// What was copied is not what was read, or a backup is not what was written.
    #[error("the copy differs in {0}: do not use it")]
    Differs(String),
    /// Another process serves from this database.
    #[error("another Bestow is already running on this database ({0}): stop it first")]
    InUse(String),
    /// The tables cannot be spread as was asked. Nothing was changed.
    #[error("the tables cannot be spread: {0}")]
    CannotSpread(String),
    /// The address of the database cannot be understood.
    #[error("`{0}` is not a database address: use sqlite:PATH or postgres://USER@HOST/DATABASE")]
    BadUrl(String),
    /// What is stored breaks a rule of the schema. A defect; the work stops here.
    #[error("the database holds something impossible: {0}")]
    Corrupt(String),
    /// Any other refusal of the database. A defect; the work stops here.
    #[error("the database refused `{statement}`: {message}")]
    Refused {
        /// Name of the statement or transaction.
        statement: String,
        /// The database's own words.
        message: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown)
    }
}

/// Sorts an error of the driver by its code, never by its message.
pub(crate) fn classify(statement: &str, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as C;
    match error.sqlite_error_code() {
        Some(
            C::DatabaseBusy
            | C::DatabaseLocked
            | C::DiskFull
            | C::ReadOnly
            | C::CannotOpen
            | C::OutOfMemory
            | C::SystemIoFailure
            | C::PermissionDenied,
        ) => Error::Unavailable(error.to_string()),
        Some(C::DatabaseCorrupt | C::NotADatabase) => Error::Corrupt(error.to_string()),
        _ => Error::Refused {
            statement: first_line(statement),
            message: error.to_string(),
        },
    }
}

/// The method name that leads each statement.
pub(crate) fn first_line(statement: &str) -> String {
    statement
        .trim()
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("-- ")
        .to_owned()
}

impl Error {
    /// The same error for another of the callers that shared a transaction.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::OutcomeUnknown => Self::OutcomeUnknown,
            Self::Corrupt(message) => Self::Corrupt(message.clone()),
            Self::Refused { statement, message } => Self::Refused {
                statement: statement.clone(),
                message: message.clone(),
            },
            other => Self::Unavailable(other.to_string()),
        }
    }
}
