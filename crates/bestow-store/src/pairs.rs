//! Where the two databases differ: what PostgreSQL is asked in words of its own.
//!
//! All other statements are one text for both. Tests prepare these on PostgreSQL.

use std::collections::HashSet;

use crate::campaigns::campaign_columns;
use crate::gateway::reservation_columns;
use crate::grants::{grant_columns, grant_joins};
use crate::postgres::{NODE, Numbers, SERVING, key};
use crate::promotions::promotion_columns;
use crate::{Error, Row, Tx, values};

/// Settings without which what is acknowledged may be lost.
pub(crate) const DURABILITY: &str = "-- durability
    SELECT name, setting FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name";

/// Pages of this database that were found damaged, where it keeps checksums.
pub(crate) const CHECKSUM_FAILURES: &str = "-- checksum_failures
    SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()";

/// Until the connection ends, beside others that serve.
const CLAIM_SERVING: &str = "-- claim_serving
    SELECT pg_try_advisory_lock_shared($1)";

const RELEASE_SERVING: &str = "-- release_serving
    SELECT pg_advisory_unlock_shared($1)";

/// As [`CLAIM_SERVING`], where nobody else may.
const CLAIM_ALONE: &str = "-- claim_alone
    SELECT pg_try_advisory_lock($1)";

const RELEASE_ALONE: &str = "-- release_alone
    SELECT pg_advisory_unlock($1)";

/// Not the time at which the transaction began.
pub(crate) const SERVER_NOW: &str = "-- server_now
    SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// By the connection and when it began: 48 bits that no other process has, nor had lately.
pub(crate) const NODE_NUMBER: &str = "-- node_number
    SELECT hashtextextended(CONCAT(pid, ' ', backend_start), 0) & 281474976710655 FROM pg_stat_activity
    WHERE pid = pg_backend_pid()";

/// Tables, columns, their types and their places in the key, as the catalogue has them.
pub(crate) const TABLE_COLUMNS: &str = "-- table_columns
    SELECT CAST(t.relname AS TEXT), CAST(c.attname AS TEXT), CAST(format_type(c.atttypid, NULL) AS TEXT),
        CAST(COALESCE(array_position(CAST(i.indkey AS SMALLINT[]), c.attnum) + 1, 0) AS BIGINT)
    FROM pg_class t
    JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
    JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
    WHERE t.relnamespace = to_regnamespace(CAST(current_schema() AS TEXT)) AND t.relkind IN ('r', 'p')
        AND NOT t.relispartition
    ORDER BY t.relname COLLATE \"C\", c.attnum";

/// Until the connection ends.
pub(crate) const JOIN_NODES: &str = "-- join_nodes
    SELECT pg_advisory_lock($1) IS NULL";

/// Nobody can share the lock of a process that is there.
pub(crate) const NODE_IS_THERE: &str = "-- node_is_there
    SELECT NOT pg_try_advisory_xact_lock_shared($1)";

/// Told to whoever listens, once the transaction is committed.
pub(crate) const CRY: &str = "-- cry
    SELECT pg_notify($1, $2) IS NULL";

const CHANGE_MARK: &str = "-- change_mark
    SELECT hashtextextended(CAST(pg_current_snapshot() AS TEXT), 0)";

/// As its namesake for SQLite. Several processes ask at once: each leaves out what another is about to claim.
pub(crate) const DUE_JOB: &str = "-- due_job
    SELECT j.tenant, j.kind, j.key FROM job j LEFT JOIN tenant t ON t.no = j.tenant
    WHERE j.run_at <= $1 AND (j.lease_until IS NULL OR j.lease_until <= $1) AND t.suspended_at IS NULL
        AND (j.kind = $2 OR $2 IS NULL)
    ORDER BY j.run_at, j.tenant, j.kind, j.key LIMIT 1 FOR UPDATE OF j SKIP LOCKED";

/// As [`DUE_JOB`], of one tenant.
pub(crate) const DUE_JOB_OF_TENANT: &str = "-- due_job_of_tenant
    SELECT kind, key FROM job
    WHERE tenant = $1 AND run_at <= $2 AND (lease_until IS NULL OR lease_until <= $2) AND kind <> 'deliver'
    ORDER BY run_at, kind, key LIMIT 1 FOR UPDATE SKIP LOCKED";

/// As its namesake for SQLite; and nobody claims the job until the transaction ends.
pub(crate) const CHECK_LEASE: &str = "-- check_lease
    SELECT 1 FROM job
    WHERE tenant = $1 AND kind = $2 AND key = $3 AND lease_token = $4 AND lease_until IS NOT NULL FOR UPDATE";

/// Who lands a page or opens a round counts on those of its campaign.
pub(crate) const LOCK_CAMPAIGN: &str = "-- lock_campaign
    SELECT 1 FROM campaign WHERE tenant = $1 AND no = $2 FOR UPDATE";

/// Who gives or takes out codes moves on in their row.
pub(crate) const LOCK_POOL: &str = "-- lock_pool
    SELECT 1 FROM code_pool WHERE tenant = $1 AND code_fold = $2 FOR UPDATE";

/// As [`LOCK_POOL`], by the pool's number.
pub(crate) const LOCK_POOL_NO: &str = "-- lock_pool_no
    SELECT 1 FROM code_pool WHERE tenant = $1 AND no = $2 FOR UPDATE";

/// As its namesake for SQLite; and nobody drops the grant until the transaction ends.
pub(crate) const INSERT_GRANT_END: &str = "-- insert_grant_end
    INSERT INTO grant_end (tenant, customer, offer, occurrence, ended_at, day)
    SELECT tenant, customer, offer, occurrence, $1, $2 FROM grants
    WHERE tenant = $3 AND customer = $4 AND offer = $5 AND occurrence = $6 FOR KEY SHARE
    ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING";

macro_rules! notifications_of_columns {
    () => {
        "INSERT INTO notification (tenant, id, event_type, identity, campaign, channel, received_at, body)
    SELECT * FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[],
        $8::BYTEA[])"
    };
}

/// Notifications as columns. Fails where one is there already.
pub(crate) const INSERT_NOTIFICATIONS: &str =
    concat!("-- insert_notifications\n", notifications_of_columns!());

/// As [`INSERT_NOTIFICATIONS`], without those that are there already.
pub(crate) const INSERT_NEW_NOTIFICATIONS: &str = concat!(
    "-- insert_new_notifications\n",
    notifications_of_columns!(),
    " ON CONFLICT (tenant, identity) DO NOTHING"
);

/// Counts one more arrival of each of these that is kept under another id; gives those that are not kept at all.
pub(crate) const COUNT_ARRIVALS: &str = "-- count_arrivals
    WITH k (tenant, id, identity) AS (SELECT * FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::TEXT[])),
    came AS (
        SELECT n.tenant, n.id, COUNT(*) AS times
        FROM k JOIN notification n ON n.tenant = k.tenant AND n.identity = k.identity
        WHERE n.id <> k.id GROUP BY n.tenant, n.id),
    counted AS (
        UPDATE notification n SET arrivals = n.arrivals + came.times
        FROM came WHERE n.tenant = came.tenant AND n.id = came.id)
    SELECT k.id FROM k WHERE NOT EXISTS (
        SELECT 1 FROM notification n WHERE n.tenant = k.tenant AND n.identity = k.identity)";

macro_rules! grants_of_columns {
    () => {
        "INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page, code)
    SELECT * FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[])"
    };
}

/// Grants as columns. Fails where one is there already.
pub(crate) const INSERT_GRANTS: &str = concat!("-- insert_grants\n", grants_of_columns!());

/// As [`INSERT_GRANTS`], without those that are there already.
pub(crate) const INSERT_MISSING_GRANTS: &str = concat!(
    "-- insert_missing_grants\n",
    grants_of_columns!(),
    " ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING"
);

/// As [`INSERT_MISSING_GRANTS`]; gives those that were none yet.
pub(crate) const INSERT_NEW_GRANTS: &str = concat!(
    "-- insert_new_grants\n",
    grants_of_columns!(),
    " ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING RETURNING customer, offer, occurrence"
);

/// Which of these are grants.
pub(crate) const KNOWN_GRANTS: &str = "-- known_grants
    SELECT g.customer, g.offer, g.occurrence
    FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[]) AS k (tenant, customer, offer, occurrence)
    JOIN grants g ON g.tenant = k.tenant AND g.customer = k.customer AND g.offer = k.offer
        AND g.occurrence = k.occurrence";

/// The grants of each of these customers, each row with its customer's place.
pub(crate) const LEDGER_ROWS_OF: &str = "-- ledger_rows_of
    SELECT k.place, g.offer, g.occurrence, g.window_no, g.page, g.code, g.redeemed, g.spent, g.pledged_until
    FROM UNNEST($1::BIGINT[], $2::TEXT[]) WITH ORDINALITY AS k (tenant, customer, place)
    JOIN grants g ON g.tenant = k.tenant AND g.customer = k.customer
    ORDER BY k.place, g.offer, g.occurrence";

/// The reservations of these customers, in any order; each row ends with its tenant. Customer by customer, or a plan that
/// was made while there were hardly any would go through all of them.
pub(crate) const RESERVATIONS_OF: &str = concat!(
    "-- reservations_of\nSELECT ",
    reservation_columns!(),
    ", k.of_tenant FROM UNNEST($1::BIGINT[], $2::TEXT[]) AS k (of_tenant, of_customer), LATERAL (
        SELECT ",
    reservation_columns!(),
    " FROM reservation
        WHERE tenant = k.of_tenant AND customer = k.of_customer OFFSET 0) r"
);

/// What these customers are excluded from.
pub(crate) const EXCLUDED_OF: &str = "-- excluded_of
    SELECT e.tenant, e.customer, e.code_fold FROM UNNEST($1::BIGINT[], $2::TEXT[]) AS k (tenant, customer)
    JOIN exclusion e ON e.tenant = k.tenant AND e.customer = k.customer";

/// These campaigns, by id; each row ends with its tenant.
pub(crate) const CAMPAIGNS_OF: &str = concat!(
    "-- campaigns_of\nSELECT ",
    campaign_columns!(),
    ", k.of_tenant FROM UNNEST($1::BIGINT[], $2::TEXT[]) AS k (of_tenant, of_id)
    JOIN campaign ON tenant = k.of_tenant AND id = k.of_id"
);

/// These promotions, by folded code; each row ends with its tenant.
pub(crate) const PROMOTIONS_OF: &str = concat!(
    "-- promotions_of\nSELECT ",
    promotion_columns!(),
    ", k.of_tenant FROM UNNEST($1::BIGINT[], $2::TEXT[]) AS k (of_tenant, of_code)
    JOIN promotion ON tenant = k.of_tenant AND code_fold = k.of_code"
);

/// The grants of these customers for these codes; each row ends with tenant, customer and code.
pub(crate) const GRANTS_FOR_CODES: &str = concat!(
    "-- grants_for_codes\nSELECT ",
    grant_columns!(),
    ", k.of_tenant, k.of_customer, k.of_code ",
    grant_joins!(),
    " JOIN UNNEST($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS k (of_tenant, of_customer, of_code)
        ON g.tenant = k.of_tenant AND g.customer = k.of_customer AND o.code_fold = k.of_code
    ORDER BY g.offer, g.occurrence"
);

/// What is taken of these codes.
pub(crate) const TAKEN_OF: &str = "-- taken_of
    SELECT p.tenant, p.code_fold, p.granted, p.reserved
    FROM UNNEST($1::BIGINT[], $2::TEXT[]) AS k (tenant, code_fold)
    JOIN promotion_count p ON p.tenant = k.tenant AND p.code_fold = k.code_fold";

macro_rules! reservations_of_columns {
    () => {
        "INSERT INTO reservation (tenant, customer, campaign, action, series, codes, asked_at, lapses_at)
    SELECT * FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[], $6::TEXT[], $7::BIGINT[],
        $8::BIGINT[])"
    };
}

/// Reservations as columns, each the first for its question.
pub(crate) const INSERT_RESERVATIONS: &str =
    concat!("-- insert_reservations\n", reservations_of_columns!());

/// Reservations as columns, each in place of an older one for the same question.
pub(crate) const PUT_RESERVATIONS: &str = concat!(
    "-- put_reservations\n",
    reservations_of_columns!(),
    "
    ON CONFLICT (tenant, customer, campaign, action) DO UPDATE SET
        series = excluded.series, codes = excluded.codes, asked_at = excluded.asked_at,
        lapses_at = excluded.lapses_at, consumed_by = NULL"
);

/// As `lapsed_reservations` and `drop_reservation`, at once for several tenants: until when, and at most how many. The
/// room that they held is free; gives how many there were.
pub(crate) const DROP_LAPSED: &str = "-- drop_lapsed
    WITH k (tenant, now_ms, at_most) AS (SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])),
    dropped AS (
        DELETE FROM reservation r USING k, LATERAL (
            SELECT o.customer, o.campaign, o.action FROM reservation o
            WHERE o.tenant = k.tenant AND o.lapses_at <= k.now_ms
            ORDER BY o.lapses_at LIMIT k.at_most) lapsed
        WHERE r.tenant = k.tenant AND r.customer = lapsed.customer AND r.campaign = lapsed.campaign
            AND r.action = lapsed.action
        RETURNING r.tenant, r.codes, r.consumed_by),
    freed AS (
        INSERT INTO promotion_count (tenant, code_fold, granted, reserved)
        SELECT d.tenant, c.code_fold, 0, -COUNT(*)
        FROM dropped d, UNNEST(STRING_TO_ARRAY(d.codes, CHR(10))) AS c (code_fold)
        WHERE d.consumed_by IS NULL GROUP BY d.tenant, c.code_fold
        ON CONFLICT (tenant, code_fold) DO UPDATE SET
            reserved = promotion_count.reserved + excluded.reserved)
    SELECT COUNT(*) FROM dropped";

/// As `take`, for many codes at once.
pub(crate) const ADD_RESERVED: &str = "-- add_reserved
    INSERT INTO promotion_count (tenant, code_fold, granted, reserved)
    SELECT tenant, code_fold, 0, reserved FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::BIGINT[])
        AS k (tenant, code_fold, reserved)
    ON CONFLICT (tenant, code_fold) DO UPDATE SET
        reserved = promotion_count.reserved + excluded.reserved";

/// Unique codes that belong to grants from now on, as columns.
pub(crate) const TAKE_CODES: &str = "-- take_codes
    INSERT INTO taken_code (tenant, pool, no, customer, offer, occurrence)
    SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::BIGINT[], $6::TEXT[])";

/// Which of these pairs wait for a code.
pub(crate) const WAITING_OF: &str = "-- waiting_of
    SELECT w.customer, w.offer, ''
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS k (tenant, offer, customer)
    JOIN waiting_pair w ON w.tenant = k.tenant AND w.offer = k.offer AND w.customer = k.customer";

/// Who else may serve from the same database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Any number of processes, on a database that has a server; on SQLite there is only ever one.
    Beside,
    /// Nobody.
    Alone,
}

/// The lock of a process.
pub(crate) fn node_lock(node: i64) -> i64 {
    key(NODE, node)
}

/// What tells the grants of a tenant apart: customer, offer, occurrence.
pub(crate) type GrantKey<'k> = (&'k str, u32, &'k str);

/// The keys of an answer of the statements above.
pub(crate) fn grant_keys(rows: &[tokio_postgres::Row]) -> Result<HashSet<GrantKey<'_>>, Error> {
    let key = |row| {
        let offer = Row::Postgres(row).int(1)? as u32;
        Ok((text(row, 0)?, offer, text(row, 2)?))
    };
    rows.iter().map(key).collect()
}

fn text(row: &tokio_postgres::Row, at: usize) -> Result<&str, Error> {
    row.try_get(at)
        .map_err(|e| Error::Corrupt(format!("column {at}: {e}")))
}

impl Tx<'_> {
    /// A number that differs once anything was committed.
    pub(crate) fn change_mark(&mut self) -> Result<i64, Error> {
        let mark = self.query_one(CHANGE_MARK, &[], |row| row.int(0))?;
        mark.ok_or_else(|| Error::Corrupt("a question was not answered".into()))
    }

    /// Whether this connection serves from now on: beside others, or as the only one.
    pub(crate) fn claim_serving(&mut self, sharing: Sharing) -> Result<bool, Error> {
        let claim = match sharing {
            Sharing::Beside => CLAIM_SERVING,
            Sharing::Alone => CLAIM_ALONE,
        };
        let claimed = self.query_one(claim, values![SERVING], |row| row.int(0))?;
        Ok(claimed == Some(1))
    }

    /// Gives back what was claimed.
    pub(crate) fn release_serving(&mut self, sharing: Sharing) -> Result<(), Error> {
        let release = match sharing {
            Sharing::Beside => RELEASE_SERVING,
            Sharing::Alone => RELEASE_ALONE,
        };
        self.execute(release, values![SERVING]).map(|_| ())
    }

    /// Whoever makes a campaign, offer, window or pool counts on their numbers.
    pub(crate) fn lock_terms(&mut self, tenant: i64) {
        self.lock_numbers(Numbers::Terms, tenant);
    }
}
