//! Tenants and their listeners' secret addresses.

use bestow_core::ZONE_DATA;

use crate::postgres::Numbers;
use crate::{Error, Row, Tx, values};

/// A tenant as kept. The credential is sealed; settings are the service's own JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Short number that leads all keys.
    pub no: i64,
    /// Slug.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// IANA zone name.
    pub time_zone: String,
    /// Release of the zone data that windows to come stand by.
    pub zone_data: String,
    /// Optimove's API for this client.
    pub base_url: String,
    /// `api_key` or `login`.
    pub auth_kind: String,
    /// Sealed credential.
    pub credential: Vec<u8>,
    /// JSON.
    pub settings: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; set while suspended.
    pub suspended_at: Option<i64>,
}

/// What is needed to make or change a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantFields<'a> {
    /// Slug.
    pub id: &'a str,
    /// Name for people.
    pub name: &'a str,
    /// IANA zone name.
    pub time_zone: &'a str,
    /// Optimove's API for this client.
    pub base_url: &'a str,
    /// `api_key` or `login`.
    pub auth_kind: &'a str,
    /// Sealed credential.
    pub credential: &'a [u8],
    /// JSON.
    pub settings: &'a str,
}

/// A listener's secret, as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The tenant's number.
    pub tenant: i64,
    /// Optimove's number of the event.
    pub event_type: i64,
    /// Rises with every rotation.
    pub generation: i64,
    /// Keyed hash of the secret.
    pub secret_hash: Vec<u8>,
    /// Milliseconds; not accepted from then on.
    pub retired_at: Option<i64>,
}

macro_rules! tenant_columns {
    () => {
        "no, id, name, time_zone, base_url, auth_kind, credential, settings, created_at, suspended_at, zone_data"
    };
}

fn tenant(row: &Row<'_>) -> Result<Tenant, Error> {
    Ok(Tenant {
        no: row.int(0)?,
        id: row.text(1)?,
        name: row.text(2)?,
        time_zone: row.text(3)?,
        base_url: row.text(4)?,
        auth_kind: row.text(5)?,
        credential: row.blob(6)?,
        settings: row.text(7)?,
        created_at: row.int(8)?,
        suspended_at: row.opt_int(9)?,
        zone_data: row.text(10)?,
    })
}

impl Tx<'_> {
    /// Adds a tenant; `None` where the id is taken.
    pub fn insert_tenant(&mut self, fields: &TenantFields<'_>) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        self.lock_numbers(Numbers::Tenants, 0);
        self.query_one(
            "-- insert_tenant
            INSERT INTO tenant
                (id, name, time_zone, base_url, auth_kind, credential, settings, created_at, zone_data, no)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, COALESCE(MAX(no), 0) + 1
            FROM tenant WHERE TRUE
            ON CONFLICT (id) DO NOTHING RETURNING no",
            values![
                fields.id, fields.name, fields.time_zone, fields.base_url, fields.auth_kind,
                fields.credential, fields.settings, now, ZONE_DATA
            ],
            |row| row.int(0),
        )
    }

    /// Changes all fields of a tenant but its id.
    pub fn update_tenant(&mut self, fields: &TenantFields<'_>) -> Result<bool, Error> {
        let changed = self.execute(
            "-- update_tenant
            UPDATE tenant SET name = $1, time_zone = $2, base_url = $3, auth_kind = $4, credential = $5, settings = $6
            WHERE id = $7",
            values![
                fields.name, fields.time_zone, fields.base_url, fields.auth_kind, fields.credential,
                fields.settings, fields.id
            ],
        )?;
        Ok(changed == 1)
    }

    /// Suspends (`Some` instant) or resumes a tenant.
    pub fn set_tenant_suspended(&mut self, no: i64, at: Option<i64>) -> Result<(), Error> {
        self.execute(
            "-- set_tenant_suspended
            UPDATE tenant SET suspended_at = $1 WHERE no = $2",
            values![at, no],
        )?;
        Ok(())
    }

    /// One tenant by its id.
    pub fn tenant(&mut self, id: &str) -> Result<Option<Tenant>, Error> {
        self.query_one(
            concat!(
                "-- tenant\nSELECT ",
                tenant_columns!(),
                " FROM tenant WHERE id = $1"
            ),
            values![id],
            tenant,
        )
    }

    /// One tenant by its number.
    pub fn tenant_by_no(&mut self, no: i64) -> Result<Option<Tenant>, Error> {
        self.query_one(
            concat!(
                "-- tenant_by_no\nSELECT ",
                tenant_columns!(),
                " FROM tenant WHERE no = $1"
            ),
            values![no],
            tenant,
        )
    }

    /// Tenants behind an id, in the order of ids.
    pub fn tenants(&mut self, after: &str, limit: u32) -> Result<Vec<Tenant>, Error> {
        self.query(
            concat!(
                "-- tenants\nSELECT ",
                tenant_columns!(),
                " FROM tenant WHERE id > $1 ORDER BY id LIMIT $2"
            ),
            values![after, limit],
            tenant,
        )
    }

    /// Keeps the hash of a listener's secret.
    pub fn insert_listener(
        &mut self,
        tenant: i64,
        event_type: i64,
        generation: i64,
        secret_hash: &[u8],
    ) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- insert_listener
            INSERT INTO listener (tenant, event_type, generation, secret_hash, created_at)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            values![tenant, event_type, generation, secret_hash, now],
        )?;
        Ok(())
    }

    /// Stops accepting older secrets of a listener from `at` on; those that end before stay so.
    pub fn retire_listeners(
        &mut self,
        tenant: i64,
        event_type: i64,
        before_generation: i64,
        at: i64,
    ) -> Result<(), Error> {
        self.execute(
            "-- retire_listeners
            UPDATE listener SET retired_at = $1
            WHERE tenant = $2 AND event_type = $3 AND generation < $4 AND (retired_at IS NULL OR retired_at > $1)",
            values![at, tenant, event_type, before_generation],
        )?;
        Ok(())
    }

    /// All listeners' secrets that are or were accepted.
    pub fn listeners(&mut self) -> Result<Vec<Listener>, Error> {
        self.query(
            "-- listeners
            SELECT tenant, event_type, generation, secret_hash, retired_at FROM listener
            ORDER BY tenant, event_type, generation",
            values![],
            |row| {
                Ok(Listener {
                    tenant: row.int(0)?,
                    event_type: row.int(1)?,
                    generation: row.int(2)?,
                    secret_hash: row.blob(3)?,
                    retired_at: row.opt_int(4)?,
                })
            },
        )
    }
}
