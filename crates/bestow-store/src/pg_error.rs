//! What an error of PostgreSQL means, by its code.

use tokio_postgres::error::SqlState;

use crate::Error;
use crate::error::first_line;

/// What became of a transaction by an error in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It met another one, and will go well if it is run again from its beginning.
    Conflict,
    /// Its connection is gone.
    Lost,
    /// Anything else; the caller is told.
    Refused,
}

/// Sorts an error of the driver by its code, never by its message.
pub(crate) fn classify(statement: &str, error: &tokio_postgres::Error) -> (Failure, Error) {
    let Some(told) = error.as_db_error() else {
        if error.is_closed() || is_io(error) {
            return (Failure::Lost, Error::Unavailable(whole(error)));
        }
        return (Failure::Refused, refused(statement, whole(error)));
    };
    let message = format!("{} ({})", told.message(), told.code().code());
    let failure = match *told.code() {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => Failure::Conflict,
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Failure::Lost,
        _ => Failure::Refused,
    };
    let (class, _) = told.code().code().split_at(2);
    let error = match class {
        // Connection; transaction to be run again; authorization; resources; locks; operator; system.
        "08" | "40" | "28" | "3D" | "53" | "55" | "57" | "58" => Error::Unavailable(message),
        // A standby takes no writes, until it is the primary.
        "25" if *told.code() == SqlState::READ_ONLY_SQL_TRANSACTION => Error::Unavailable(message),
        "XX" if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(told.code()) => {
            Error::Corrupt(message)
        }
        _ => refused(statement, message),
    };
    (failure, error)
}

/// Whether a row could not be inserted because its key is taken.
pub(crate) fn is_there_already(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

fn refused(statement: &str, message: String) -> Error {
    Error::Refused {
        statement: first_line(statement),
        message,
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<std::io::Error>())
}

/// The driver's words with their cause.
fn whole(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
