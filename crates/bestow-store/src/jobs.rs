//! Work to be done, claimed by lease.

use crate::{Error, Tx, pairs, values};

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
    /// What it was asked for because of; `None`: nobody said.
    pub correlation: Option<String>,
}

impl Tx<'_> {
    /// Asks for a job to run at `run_at`, because of what this transaction comes from. One that waits is moved forward
    /// if that is sooner, and stays what somebody asked for first; one that is being done will be done once more.
    pub fn want_job(
        &mut self,
        tenant: i64,
        kind: &str,
        key: &str,
        run_at: i64,
    ) -> Result<(), Error> {
        let correlation = self.correlation();
        self.execute(
            "-- want_job
            INSERT INTO job (tenant, kind, key, run_at, correlation) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant, kind, key) DO UPDATE SET
                run_at = CASE WHEN job.lease_until IS NULL AND excluded.run_at < job.run_at
                    THEN excluded.run_at ELSE job.run_at END,
                correlation = CASE WHEN job.lease_until IS NULL AND job.correlation IS NOT NULL
                    THEN job.correlation ELSE excluded.correlation END,
                again = CASE WHEN job.lease_until IS NULL THEN 0 ELSE 1 END",
            values![tenant, kind, key, run_at, correlation.as_deref()],
        )?;
        Ok(())
    }

    /// Claims a due job that nobody holds, the longest due first, whoever's it is.
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
        let due = self.either(
            "-- due_job
            SELECT j.tenant, j.kind, j.key FROM job j LEFT JOIN tenant t ON t.no = j.tenant
            WHERE j.run_at <= $1 AND (j.lease_until IS NULL OR j.lease_until <= $1)
                AND t.suspended_at IS NULL AND (j.kind = $2 OR $2 IS NULL)
            ORDER BY j.run_at, j.tenant, j.kind, j.key LIMIT 1",
            pairs::DUE_JOB,
        );
        let due = self.query_one(due, values![now, kind], |row| {
            Ok((row.int(0)?, row.text(1)?, row.text(2)?))
        })?;
        self.claim(due, lease_ms)
    }

    /// Claims a due job of one tenant that nobody holds, the longest due first; no delivery.
    pub fn claim_job_of_tenant(
        &mut self,
        tenant: i64,
        lease_ms: i64,
    ) -> Result<Option<Job>, Error> {
        let now = self.now_ms();
        let due = self.either(
            "-- due_job_of_tenant
            SELECT kind, key FROM job
            WHERE tenant = $1 AND run_at <= $2 AND (lease_until IS NULL OR lease_until <= $2) AND kind <> 'deliver'
            ORDER BY run_at, kind, key LIMIT 1",
            pairs::DUE_JOB_OF_TENANT,
        );
        let due = self.query_one(due, values![tenant, now], |row| {
            Ok((tenant, row.text(0)?, row.text(1)?))
        })?;
        self.claim(due, lease_ms)
    }

    fn claim(
        &mut self,
        due: Option<(i64, String, String)>,
        lease_ms: i64,
    ) -> Result<Option<Job>, Error> {
        let now = self.now_ms();
        let Some((tenant, kind, key)) = due else {
            return Ok(None);
        };
        let token = self.next_token(tenant)?;
        let claimed = self.query_one(
            "-- claim_job
            UPDATE job SET lease_until = $1, lease_token = $2, lease_node = NULL, attempts = attempts + 1, again = 0
            WHERE tenant = $3 AND kind = $4 AND key = $5 RETURNING attempts, correlation",
            values![now + lease_ms, token, tenant, &kind, &key],
            |row| Ok((row.count(0)?, row.opt_text(1)?)),
        )?;
        Ok(claimed.map(|(attempts, correlation)| Job {
            tenant,
            kind,
            key,
            attempts,
            token,
            correlation,
        }))
    }

    /// A token that no claim had before. Counted apart from the jobs: one that is done goes, and one of the same name
    /// that comes later must not be written to under an old claim.
    fn next_token(&mut self, tenant: i64) -> Result<i64, Error> {
        let token = self.query_one(
            "-- next_token
            INSERT INTO lease_count (tenant, claims) VALUES ($1, 1)
            ON CONFLICT (tenant) DO UPDATE SET claims = lease_count.claims + 1 RETURNING claims",
            values![tenant],
            |row| row.int(0),
        )?;
        token.ok_or_else(|| Error::Corrupt("an insert returned nothing".into()))
    }

    /// When the first job of a kind that nobody holds is due.
    pub fn next_job_of_kind_at(&mut self, kind: &str) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        let found = self.query_one(
            "-- next_job_of_kind_at
            SELECT MIN(j.run_at) FROM job j LEFT JOIN tenant t ON t.no = j.tenant
            WHERE j.kind = $1 AND (j.lease_until IS NULL OR j.lease_until <= $2) AND t.suspended_at IS NULL",
            values![kind, now],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten())
    }

    /// Tenants that have a job to be claimed, and are neither suspended nor resting. Deliveries have places of their
    /// own, and count as none.
    ///
    /// Goes from tenant to tenant and looks at the first due job of each: the cost follows the number of tenants, not
    /// of jobs.
    pub fn due_turns(&mut self) -> Result<Vec<DueTurn>, Error> {
        let now = self.now_ms();
        let found = self.query(
            "-- due_turns
            WITH RECURSIVE listed (tenant) AS (
                SELECT MIN(tenant) FROM job
                UNION ALL
                SELECT (SELECT MIN(j.tenant) FROM job j WHERE j.tenant > listed.tenant) FROM listed
                WHERE listed.tenant IS NOT NULL)
            SELECT h.tenant,
                (SELECT j.run_at FROM job j
                    WHERE j.tenant = h.tenant AND j.run_at <= $1 AND (j.lease_until IS NULL OR j.lease_until <= $1)
                        AND j.kind <> 'deliver'
                    ORDER BY j.run_at LIMIT 1),
                r.until
            FROM listed h LEFT JOIN tenant t ON t.no = h.tenant LEFT JOIN tenant_rest r ON r.tenant = h.tenant
            WHERE h.tenant IS NOT NULL AND t.suspended_at IS NULL AND (r.until IS NULL OR r.until <= $1)
            ORDER BY h.tenant",
            values![now],
            |row| Ok((row.int(0)?, row.opt_int(1)?, row.opt_int(2)?.is_some())),
        )?;
        let turns = found.into_iter().filter_map(|(tenant, since, has_rested)| {
            since.map(|since| DueTurn {
                tenant,
                since,
                has_rested,
            })
        });
        Ok(turns.collect())
    }

    /// A tenant's rest, past or present, since its last success.
    pub fn rest(&mut self, tenant: i64) -> Result<Option<Rest>, Error> {
        self.query_one(
            "-- rest
            SELECT since, until, failures, reason FROM tenant_rest WHERE tenant = $1",
            values![tenant],
            |row| {
                Ok(Rest {
                    since: row.int(0)?,
                    until: row.int(1)?,
                    failures: row.count(2)?,
                    reason: row.text(3)?,
                })
            },
        )
    }

    /// Lets a tenant's jobs rest until an instant, one failure more in a row.
    pub fn begin_rest(&mut self, tenant: i64, until: i64, reason: &str) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- begin_rest
            INSERT INTO tenant_rest (tenant, since, until, failures, reason) VALUES ($1, $2, $3, 1, $4)
            ON CONFLICT (tenant) DO UPDATE SET
                until = excluded.until, failures = tenant_rest.failures + 1, reason = excluded.reason",
            values![tenant, now, until, reason],
        )?;
        Ok(())
    }

    /// Ends a tenant's rest for good. True where there was one.
    pub fn end_rest(&mut self, tenant: i64) -> Result<bool, Error> {
        let ended = self.execute(
            "-- end_rest
            DELETE FROM tenant_rest WHERE tenant = $1",
            values![tenant],
        )?;
        Ok(ended > 0)
    }

    /// Lets jobs of a tenant that failed be tried again at once.
    pub fn hasten_failed_jobs(&mut self, tenant: i64) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- hasten_failed_jobs
            UPDATE job SET run_at = $1 WHERE tenant = $2 AND lease_until IS NULL AND last_error IS NOT NULL AND run_at > $1",
            values![now, tenant],
        )?;
        Ok(())
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

    /// Keeps the claim for another while and says nothing of how the work goes: what failed before still counts. Refuses
    /// where somebody else has it by now.
    pub fn keep_job(&mut self, job: &Job, lease_ms: i64) -> Result<(), Error> {
        let until = self.now_ms() + lease_ms;
        let changed = self.execute(
            "-- keep_job
            UPDATE job SET lease_until = $1
            WHERE tenant = $2 AND kind = $3 AND key = $4 AND lease_token = $5 AND lease_until IS NOT NULL",
            values![until, job.tenant, &job.kind, &job.key, job.token],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    /// Lets the next run of a claimed job come from nothing but itself, unless somebody asked for it meanwhile.
    pub fn drop_correlation(&mut self, job: &Job) -> Result<(), Error> {
        self.execute(
            "-- drop_correlation
            UPDATE job SET correlation = NULL
            WHERE tenant = $1 AND kind = $2 AND key = $3 AND lease_token = $4 AND again = 0",
            values![job.tenant, &job.kind, &job.key, job.token],
        )?;
        Ok(())
    }

    /// Ends a claim with success. The job goes, unless it was asked for again meanwhile or is to run at `next`.
    pub fn finish_job(&mut self, job: &Job, next: Option<i64>) -> Result<(), Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- finish_job
            UPDATE job SET lease_until = NULL, attempts = 0, last_error = NULL,
                run_at = CASE WHEN again = 1 THEN $1 ELSE COALESCE($2, run_at) END,
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

    /// Says which process holds a claim, so that others need not wait for its end once the process is gone.
    pub fn sign_job(&mut self, job: &Job, node: i64) -> Result<(), Error> {
        self.execute(
            "-- sign_job
            UPDATE job SET lease_node = $1 WHERE tenant = $2 AND kind = $3 AND key = $4 AND lease_token = $5",
            values![node, job.tenant, &job.kind, &job.key, job.token],
        )?;
        Ok(())
    }

    /// Processes that hold claims and are gone.
    pub fn gone_holders(&mut self) -> Result<Vec<i64>, Error> {
        let holders = self.query(
            "-- lease_holders
            SELECT DISTINCT lease_node FROM job WHERE lease_until IS NOT NULL AND lease_node IS NOT NULL",
            values![],
            |row| row.int(0),
        )?;
        let mut gone = Vec::new();
        for node in holders {
            if !self.is_there(node)? {
                gone.push(node);
            }
        }
        Ok(gone)
    }

    /// Gives back the claims of a process that is gone.
    pub fn release_leases_of(&mut self, node: i64) -> Result<usize, Error> {
        self.execute(
            "-- release_leases_of
            UPDATE job SET lease_until = NULL, lease_node = NULL WHERE lease_until IS NOT NULL AND lease_node = $1",
            values![node],
        )
    }

    /// Gives every claim back at once: only right where this process is the only one and has just started.
    pub fn release_all_leases(&mut self) -> Result<usize, Error> {
        self.execute(
            "-- release_all_leases
            UPDATE job SET lease_until = NULL WHERE lease_until IS NOT NULL",
            values![],
        )
    }

    /// Tenants that have no job of this kind.
    pub fn tenants_without_job(&mut self, kind: &str) -> Result<Vec<i64>, Error> {
        self.query(
            "-- tenants_without_job
            SELECT t.no FROM tenant t
            WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.tenant = t.no AND j.kind = $1) ORDER BY t.no",
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

    /// All jobs, the first due first. A job whose tenant rests is due when the rest is over, unless
    /// it has a deadline and is claimed all the same.
    pub fn jobs(&mut self) -> Result<Vec<JobRow>, Error> {
        self.query(
            "-- jobs
            SELECT j.tenant, j.kind, j.key,
                CASE WHEN r.until > j.run_at AND j.kind NOT IN ('clearance', 'deliver') THEN r.until ELSE j.run_at END,
                j.attempts, j.lease_until, j.last_error
            FROM job j LEFT JOIN tenant_rest r ON r.tenant = j.tenant
            ORDER BY 4, j.tenant, j.kind, j.key",
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

/// A tenant with a job to be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueTurn {
    /// The tenant's number.
    pub tenant: i64,
    /// Milliseconds; when the longest due of its jobs became due.
    pub since: i64,
    /// It rested since its last success.
    pub has_rested: bool,
}

/// Why and until when a tenant's jobs rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Milliseconds; the first failure in a row.
    pub since: i64,
    /// Milliseconds; no job starts before.
    pub until: i64,
    /// Rests in a row.
    pub failures: u64,
    /// What the newest failure said.
    pub reason: String,
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
