//! What processes with the same Optimove credential share: the calls they may make, and the session they make them in.
//!
//! Times here are the database's own, whatever clock the deployment lives by: Optimove counts in real seconds. A
//! process that is gone gives back what it had; one that only stands still keeps it, since what it was about to send
//! may still be sent. One that only lost its connections counts as gone too, and sends on for a moment.

use crate::{Error, Tx, values};

/// From one login to the next, in milliseconds: Optimove counts more than one a second.
const LOGIN_SPACING_MS: i64 = 1_000;

/// How long a process may still use what it was given, in milliseconds: calls of a slice are begun by then, and a login.
pub const FRESH_MS: i64 = 1_000;

/// Which credential: a hash of it and of where it is used.
pub type CredentialHash = [u8; 32];

/// How many calls all processes together may have in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimit {
    /// Calls in any window.
    pub calls_max: u32,
    /// Its length in milliseconds.
    pub window_ms: i64,
}

/// Some calls that one process may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// So many calls.
    Taken(u32),
    /// All are taken. Ask again after so many milliseconds.
    Wait(i64),
}

/// How to come by a session token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// This one, sealed, should still be good.
    Token(Vec<u8>),
    /// Log in, and end the turn with what came of it.
    LogIn,
    /// Somebody else logs in, or it is too early. Ask again after so many milliseconds.
    Wait(i64),
    /// A login was refused lately.
    Refused {
        /// The status of the answer.
        status: u16,
        /// What the server said.
        message: String,
    },
}

/// What came of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedIn {
    /// A token, sealed.
    Token(Vec<u8>),
    /// The credential was refused; nobody is to try again for so many milliseconds.
    Refused {
        /// The status of the answer.
        status: u16,
        /// What the server said.
        message: String,
        /// How long.
        rest_ms: i64,
    },
    /// Something else went wrong.
    Nothing,
}

impl Tx<'_> {
    /// Takes up to `wanted` calls for a process, as far as the limit goes, under a number that nobody uses. The same
    /// number again is the same slice.
    ///
    /// A slice counts from here until one window after it was ended, so whenever its calls reach Optimove, no window
    /// has more than the limit. That of a process that is gone ends when it is found to be.
    pub fn take_calls(
        &mut self,
        credential: &CredentialHash,
        (node, no): (i64, i64),
        wanted: u32,
        limit: CallLimit,
    ) -> Result<Slice, Error> {
        let now = self.server_now_ms()?;
        let known = self.query_one(
            "-- slice
            SELECT calls FROM call_slice WHERE credential = $1 AND no = $2",
            values![&credential[..], no],
            |row| Ok(row.int(0)? as u32),
        )?;
        if let Some(calls) = known {
            return Ok(Slice::Taken(calls));
        }
        self.execute(
            "-- drop_ended_slices
            DELETE FROM call_slice WHERE credential = $1 AND ends_at <= $2",
            values![&credential[..], now],
        )?;
        self.end_slices_of_the_gone(credential, now + FRESH_MS + limit.window_ms)?;
        let counted = self.query_one(
            "-- calls_taken
            SELECT COALESCE(SUM(calls), 0), MIN(ends_at) FROM call_slice WHERE credential = $1",
            values![&credential[..]],
            |row| Ok((row.int(0)?, row.opt_int(1)?)),
        )?;
        let (taken, first_end) = counted.unwrap_or_default();
        let free = i64::from(limit.calls_max.max(1)) - taken;
        if free <= 0 {
            let wait = first_end.map_or(limit.window_ms, |at| at - now);
            return Ok(Slice::Wait(wait.clamp(1, limit.window_ms.max(1))));
        }
        let calls = free.min(i64::from(wanted.max(1)));
        self.execute(
            "-- take_calls
            INSERT INTO call_slice (credential, no, node, calls) VALUES ($1, $2, $3, $4)",
            values![&credential[..], no, node, calls],
        )?;
        Ok(Slice::Taken(calls as u32))
    }

    /// Ends a slice whose calls are all over. Those that were not made are free at once.
    pub fn end_calls(
        &mut self,
        credential: &CredentialHash,
        (node, no): (i64, i64),
        made: u32,
        window_ms: i64,
    ) -> Result<(), Error> {
        let ends_at = self.server_now_ms()? + window_ms;
        self.execute(
            "-- end_calls
            UPDATE call_slice SET calls = $1, ends_at = $2
            WHERE credential = $3 AND no = $4 AND node = $5 AND ends_at IS NULL",
            values![made, ends_at, &credential[..], no, node],
        )?;
        Ok(())
    }

    /// Processes end without a word. What one of them was about to send is sent while it is fresh, or never.
    fn end_slices_of_the_gone(
        &mut self,
        credential: &CredentialHash,
        ends_at: i64,
    ) -> Result<(), Error> {
        let holders = self.query(
            "-- slice_holders
            SELECT DISTINCT node FROM call_slice WHERE credential = $1 AND ends_at IS NULL",
            values![&credential[..]],
            |row| row.int(0),
        )?;
        for node in holders {
            if !self.is_there(node)? {
                self.execute(
                    "-- end_slices_of
                    UPDATE call_slice SET ends_at = $1 WHERE credential = $2 AND node = $3 AND ends_at IS NULL",
                    values![ends_at, &credential[..], node],
                )?;
            }
        }
        Ok(())
    }

    /// The session of a credential, unless it is expired; or the turn to log in, under a number that nobody uses. The
    /// same number again is the same turn.
    ///
    /// One turn at a time, and none within a second of the one before. A process that is gone in the middle of its
    /// turn may log in for as long as the turn is fresh.
    pub fn find_session(
        &mut self,
        credential: &CredentialHash,
        (node, turn): (i64, i64),
        is_expired: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Session, Error> {
        let now = self.server_now_ms()?;
        self.execute(
            "-- make_session
            INSERT INTO optimove_session (credential) VALUES ($1) ON CONFLICT (credential) DO NOTHING",
            values![&credential[..]],
        )?;
        let row = self.query_one(
            "-- session
            SELECT token, turn, turn_of, ended_at, refused_until, refused_status, refused_message
            FROM optimove_session WHERE credential = $1",
            values![&credential[..]],
            session_row,
        )?;
        let row = row.ok_or_else(|| Error::Corrupt("a row just made is not there".into()))?;
        if (row.turn_of, row.turn) == (Some(node), turn) {
            return Ok(Session::LogIn);
        }
        if let Some(node) = row.turn_of {
            if self.is_there(node)? {
                return Ok(Session::Wait(LOGIN_SPACING_MS / 10));
            }
            self.execute(
                "-- end_turn_of_the_gone
                UPDATE optimove_session SET turn_of = NULL, ended_at = $1 WHERE credential = $2 AND turn_of = $3",
                values![now + FRESH_MS, &credential[..], node],
            )?;
            return Ok(Session::Wait(FRESH_MS + LOGIN_SPACING_MS));
        }
        if let Some(token) = row.token.filter(|token| !is_expired(token)) {
            return Ok(Session::Token(token));
        }
        if let Some((status, message)) = row.refused.filter(|_| now < row.refused_until) {
            return Ok(Session::Refused { status, message });
        }
        let too_early = row.ended_at + LOGIN_SPACING_MS - now;
        if too_early > 0 {
            return Ok(Session::Wait(too_early));
        }
        self.execute(
            "-- begin_turn
            UPDATE optimove_session SET token = NULL, turn = $1, turn_of = $2 WHERE credential = $3",
            values![turn, node, &credential[..]],
        )?;
        Ok(Session::LogIn)
    }

    /// Ends a turn to log in. Refuses where it was taken away meanwhile.
    pub fn end_login(
        &mut self,
        credential: &CredentialHash,
        (node, turn): (i64, i64),
        outcome: &LoggedIn,
    ) -> Result<(), Error> {
        let now = self.server_now_ms()?;
        let (token, refused) = match outcome {
            LoggedIn::Token(token) => (Some(token), None),
            LoggedIn::Refused {
                status,
                message,
                rest_ms,
            } => (None, Some((*status, message, now + rest_ms))),
            LoggedIn::Nothing => (None, None),
        };
        let changed = self.execute(
            "-- end_login
            UPDATE optimove_session SET token = $1, turn_of = NULL, ended_at = $2, refused_until = $3,
                refused_status = $4, refused_message = $5
            WHERE credential = $6 AND turn = $7 AND turn_of = $8",
            values![
                token, now, refused.map_or(0, |(_, _, until)| until),
                refused.map(|(status, ..)| i64::from(status)),
                refused.map(|(_, message, _)| message), &credential[..], turn, node
            ],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }
}

struct SessionRow {
    token: Option<Vec<u8>>,
    turn: i64,
    turn_of: Option<i64>,
    ended_at: i64,
    refused_until: i64,
    refused: Option<(u16, String)>,
}

fn session_row(row: &crate::Row<'_>) -> Result<SessionRow, Error> {
    let status = row
        .opt_int(5)?
        .and_then(|status| u16::try_from(status).ok());
    Ok(SessionRow {
        token: row.opt_blob(0)?,
        turn: row.int(1)?,
        turn_of: row.opt_int(2)?,
        ended_at: row.int(3)?,
        refused_until: row.int(4)?,
        refused: status.zip(row.opt_text(6)?),
    })
}
