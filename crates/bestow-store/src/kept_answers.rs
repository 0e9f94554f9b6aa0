//! What was answered to requests with a key.

use crate::{Error, Tx, values};

/// An answer that was given to a request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// SHA-256 of what was asked.
    pub request: Vec<u8>,
    /// As HTTP has it.
    pub status: u16,
    /// Byte for byte.
    pub body: Vec<u8>,
}

/// An answer to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAnswer<'a> {
    /// Time-ordered.
    pub id: &'a str,
    /// Whose key it is.
    pub actor: &'a str,
    /// What they name the request by.
    pub key: &'a str,
    /// SHA-256 of what was asked.
    pub request: &'a [u8],
    /// As HTTP has it.
    pub status: u16,
    /// Byte for byte.
    pub body: &'a [u8],
}

impl Tx<'_> {
    /// What a request with this key was answered.
    pub fn kept_answer(
        &mut self,
        tenant: i64,
        actor: &str,
        key: &str,
    ) -> Result<Option<KeptAnswer>, Error> {
        self.query_one(
            "-- kept_answer
            SELECT request, status, body FROM kept_answer WHERE tenant = $1 AND actor = $2 AND key = $3",
            values![tenant, actor, key],
            |row| {
                Ok(KeptAnswer {
                    request: row.blob(0)?,
                    status: row.int(1)? as u16,
                    body: row.blob(2)?,
                })
            },
        )
    }

    /// Keeps an answer. Refused by its key where there is one.
    pub fn keep_answer(&mut self, tenant: i64, new: &NewAnswer<'_>) -> Result<(), Error> {
        self.execute(
            "-- keep_answer
            INSERT INTO kept_answer (tenant, id, actor, key, request, status, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values![
                tenant, new.id, new.actor, new.key, new.request, i64::from(new.status), new.body
            ],
        )?;
        Ok(())
    }

    /// Drops the oldest answers in front of an id, a few at once. Says how many.
    pub fn drop_answers(&mut self, tenant: i64, before: &str, limit: u32) -> Result<usize, Error> {
        self.execute(
            "-- drop_answers
            DELETE FROM kept_answer WHERE tenant = $1 AND id IN
                (SELECT id FROM kept_answer WHERE tenant = $1 AND id < $2 ORDER BY id LIMIT $3)",
            values![tenant, before, limit],
        )
    }
}
