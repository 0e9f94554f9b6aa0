//! Work to be done, claimed by lease.

use crate::{Error, Tx, values};

/// A job that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The tenant's number; 0 for the deployment itself.
    pub tenant: i64,
    /// What kind of work.
    pub kind: String,
    /// Which piece of it.
    pub key: String,
    /// Claims so far, this one included, since it last succeeded.
    pub attempts: u64,
    /// Needed to write anything under this claim.
    pub token: i64,
}

impl Tx<'_> {
    /// Asks for a job to run at `run_at`. One that waits is moved forward if that is sooner; one that is being done
    /// will be done once more.
    pub fn want_job(
        &mut self,
        tenant: i64,
        kind: &str,
        key: &str,
        run_at: i64,
    ) -> Result<(), Error> {
        self.execute(
            "-- want_job
            INSERT INTO job (tenant, kind, key, run_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, kind, key) DO UPDATE SET
                run_at = CASE WHEN job.lease_until IS NULL AND excluded.run_at < job.run_at
                    THEN excluded.run_at ELSE job.run_at END,
                again = CASE WHEN job.lease_until IS NULL THEN 0 ELSE 1 END",
            values![tenant, kind, key, run_at],
        )?;
        Ok(())
    }

    /// Claims a due job that nobody holds, the longest due first.
    pub fn claim_job(&mut self, lease_ms: i64) -> Result<Option<Job>, Error> {
        self.claim_job_of(None, lease_ms)
    }

    /// As [`Tx::claim_job`], of one kind only where that is given.
    pub fn claim_job_of(
        &mut self,
        kind: Option<&str>,
        lease_ms: i64,
    ) -> Result<Option<Job>, Error> {
        let now = self.now_ms();
        let due = self.query_one(
            "-- due_job
            SELECT j.tenant, j.kind, j.key FROM job j LEFT JOIN tenant t ON t.no = j.tenant
            WHERE j.run_at <= $1 AND (j.lease_until IS NULL OR j.lease_until <= $1)
                AND t.suspended_at IS NULL AND ($2 IS NULL OR j.kind = $2)
            ORDER BY j.run_at, j.tenant, j.kind, j.key LIMIT 1",
            values![now, kind],
            |row| Ok((row.int(0)?, row.text(1)?, row.text(2)?)),
        )?;
        let Some((tenant, kind, key)) = due else {
            return Ok(None);
        };
        let claimed = self.query_one(
            "-- claim_job
            UPDATE job SET lease_until = $1, lease_token = lease_token + 1, attempts = attempts + 1, again = 0
            WHERE tenant = $2 AND kind = $3 AND key = $4 RETURNING attempts, lease_token",
            values![now + lease_ms, tenant, &kind, &key],
            |row| Ok((row.count(0)?, row.int(1)?)),
        )?;
        Ok(claimed.map(|(attempts, token)| Job {
            tenant,
            kind,
            key,
            attempts,
            token,
        }))
    }

    /// Keeps the claim for another while, as a sign that the work goes well: earlier failures are forgotten. Refuses
    /// where somebody else has it by now.
    pub fn hold_job(&mut self, job: &Job, lease_ms: i64) -> Result<(), Error> {
        let until = self.now_ms() + lease_ms;
        let changed = self.execute(
            "-- hold_job
            UPDATE job SET lease_until = $1, attempts = 1
            WHERE tenant = $2 AND kind = $3 AND key = $4 AND lease_token = $5 AND lease_until IS NOT NULL",
            values![until, job.tenant, &job.kind, &job.key, job.token],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    /// Ends a claim with success. The job goes, unless it was asked for again meanwhile or is to run at `next`.
    pub fn finish_job(&mut self, job: &Job, next: Option<i64>) -> Result<(), Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- finish_job
            UPDATE job SET lease_until = NULL, attempts = 0, last_error = NULL,
                run_at = CASE WHEN again = 1 THEN $1 WHEN $2 IS NULL THEN run_at ELSE $2 END,
                again = CASE WHEN again = 1 OR $2 IS NOT NULL THEN 1 ELSE 0 END
            WHERE tenant = $3 AND kind = $4 AND key = $5 AND lease_token = $6 AND lease_until IS NOT NULL",
            values![now, next, job.tenant, &job.kind, &job.key, job.token],
        )?;
        if changed == 0 {
            return Err(Error::LeaseLost);
        }
        self.execute(
            "-- drop_finished_job
            DELETE FROM job WHERE tenant = $1 AND kind = $2 AND key = $3 AND lease_until IS NULL AND again = 0
                AND lease_token = $4",
            values![job.tenant, &job.kind, &job.key, job.token],
        )?;
        Ok(())
    }

    /// Ends a claim with a failure; it is tried again at `run_at`.
    pub fn fail_job(&mut self, job: &Job, run_at: i64, error: &str) -> Result<(), Error> {
        let changed = self.execute(
            "-- fail_job
            UPDATE job SET lease_until = NULL, run_at = $1, last_error = $2, again = 0
            WHERE tenant = $3 AND kind = $4 AND key = $5 AND lease_token = $6 AND lease_until IS NOT NULL",
            values![run_at, error, job.tenant, &job.kind, &job.key, job.token],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    /// Gives every claim back at once: only right where this process is the only one and has just started.
    pub fn release_all_leases(&mut self) -> Result<usize, Error> {
        self.execute(
            "-- release_all_leases
            UPDATE job SET lease_until = NULL WHERE lease_until IS NOT NULL",
            values![],
        )
    }

    /// Tenants that have a job of this kind.
    pub fn tenants_with_job(&mut self, kind: &str) -> Result<Vec<i64>, Error> {
        self.query(
            "-- tenants_with_job
            SELECT DISTINCT tenant FROM job WHERE kind = $1",
            values![kind],
            |row| row.int(0),
        )
    }

    /// When the next unclaimed job is due.
    pub fn next_job_at(&mut self) -> Result<Option<i64>, Error> {
        let found = self.query_one(
            "-- next_job_at
            SELECT MIN(j.run_at) FROM job j LEFT JOIN tenant t ON t.no = j.tenant
            WHERE j.lease_until IS NULL AND t.suspended_at IS NULL",
            values![],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten())
    }

    /// Jobs of a kind: key, when due, attempts, last error; over one tenant or all.
    pub fn jobs(&mut self) -> Result<Vec<JobRow>, Error> {
        self.query(
            "-- jobs
            SELECT tenant, kind, key, run_at, attempts, lease_until, last_error FROM job ORDER BY run_at",
            values![],
            |row| {
                Ok(JobRow {
                    tenant: row.int(0)?,
                    kind: row.text(1)?,
                    key: row.text(2)?,
                    run_at: row.int(3)?,
                    attempts: row.count(4)?,
                    leased: row.opt_int(5)?.is_some(),
                    last_error: row.opt_text(6)?,
                })
            },
        )
    }
}

/// A job as it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The tenant's number.
    pub tenant: i64,
    /// What kind of work.
    pub kind: String,
    /// Which piece of it.
    pub key: String,
    /// Milliseconds.
    pub run_at: i64,
    /// Failed tries since it last succeeded.
    pub attempts: u64,
    /// Whether somebody holds it.
    pub leased: bool,
    /// What the last try died of.
    pub last_error: Option<String>,
}
