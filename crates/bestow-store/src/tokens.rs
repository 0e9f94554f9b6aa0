//! API tokens: only hashes of them.

use crate::{Error, Row, Tx, values};

/// A token as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Public id, shown in lists.
    pub id: String,
    /// Hash of the secret.
    pub secret_hash: Vec<u8>,
    /// What it is for.
    pub name: String,
    /// viewer, operator, approver, admin or auditor.
    pub role: String,
    /// Bound to one tenant, or to none.
    pub tenant: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; refused from then on.
    pub expires_at: i64,
    /// Milliseconds; refused from then on.
    pub revoked_at: Option<i64>,
}

fn token(row: &Row<'_>) -> Result<ApiToken, Error> {
    Ok(ApiToken {
        id: row.text(0)?,
        secret_hash: row.blob(1)?,
        name: row.text(2)?,
        role: row.text(3)?,
        tenant: row.opt_int(4)?,
        created_at: row.int(5)?,
        expires_at: row.int(6)?,
        revoked_at: row.opt_int(7)?,
    })
}

impl Tx<'_> {
    /// Keeps a new token.
    pub fn insert_token(&mut self, new: &ApiToken) -> Result<(), Error> {
        self.execute(
            "-- insert_token
            INSERT INTO api_token (id, secret_hash, name, role, tenant, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values![
                &new.id,
                &new.secret_hash,
                &new.name,
                &new.role,
                new.tenant,
                new.created_at,
                new.expires_at
            ],
        )?;
        Ok(())
    }

    /// Refuses a token from now on; false where there is none that is still accepted.
    pub fn revoke_token(&mut self, id: &str) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- revoke_token
            UPDATE api_token SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
            values![now, id],
        )?;
        Ok(changed == 1)
    }

    /// All tokens, in the order of ids.
    pub fn tokens(&mut self) -> Result<Vec<ApiToken>, Error> {
        self.query(
            "-- tokens
            SELECT id, secret_hash, name, role, tenant, created_at, expires_at, revoked_at
            FROM api_token ORDER BY id",
            values![],
            token,
        )
    }

    /// The token with this hash.
    pub fn token_by_hash(&mut self, secret_hash: &[u8]) -> Result<Option<ApiToken>, Error> {
        self.query_one(
            "-- token_by_hash
            SELECT id, secret_hash, name, role, tenant, created_at, expires_at, revoked_at
            FROM api_token WHERE secret_hash = $1",
            values![secret_hash],
            token,
        )
    }
}
