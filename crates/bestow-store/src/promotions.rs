//! The catalogue.

use crate::{Error, Row, Tx, values};

/// A promotion as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The code folded: what compares.
    pub code_fold: String,
    /// First spelling.
    pub code: String,
    /// Name, as Optimove's users see it.
    pub name: String,
    /// draft, active, paused, archived or stopped.
    pub status: String,
    /// shared or unique.
    pub kind: String,
    /// JSON.
    pub reward: String,
    /// JSON.
    pub limits: String,
    /// JSON.
    pub metadata: String,
    /// Rises with every change.
    pub version: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
    /// The name on which the catalogue and Optimove's list last agreed.
    pub synced_name: Option<String>,
    /// What everybody gets once a pool of unique codes is empty.
    pub fallback_code: Option<String>,
    /// Days that a triggered grant lasts.
    pub validity_days: Option<i64>,
    /// Of one that is stopped: its status once it goes on.
    pub resumes_as: Option<String>,
    /// Of one that is stopped: why, for people.
    pub stop_reason: Option<String>,
}

impl Promotion {
    /// Its status as it was put, whether or not it is stopped.
    pub fn put_status(&self) -> &str {
        self.resumes_as.as_deref().unwrap_or(&self.status)
    }
}

/// When a version of a promotion came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionVersion {
    /// Counted from 1.
    pub version: i64,
    /// Milliseconds.
    pub made_at: i64,
    /// draft, active, paused or archived.
    pub status: String,
}

macro_rules! promotion_columns {
    () => {
        "code_fold, code, name, status, kind, reward, limits, metadata, version, created_at, updated_at, synced_name,
         fallback_code, validity_days, resumes_as, stop_reason"
    };
}
pub(crate) use promotion_columns;

pub(crate) fn promotion(row: &Row<'_>) -> Result<Promotion, Error> {
    Ok(Promotion {
        code_fold: row.text(0)?,
        code: row.text(1)?,
        name: row.text(2)?,
        status: row.text(3)?,
        kind: row.text(4)?,
        reward: row.text(5)?,
        limits: row.text(6)?,
        metadata: row.text(7)?,
        version: row.int(8)?,
        created_at: row.int(9)?,
        updated_at: row.int(10)?,
        synced_name: row.opt_text(11)?,
        fallback_code: row.opt_text(12)?,
        validity_days: row.opt_int(13)?,
        resumes_as: row.opt_text(14)?,
        stop_reason: row.opt_text(15)?,
    })
}

impl Tx<'_> {
    /// Adds or changes a promotion. The first spelling of the code stays; one of kind unique has a pool from then on.
    /// Gives it as it is now.
    pub fn put_promotion(&mut self, tenant: i64, new: &Promotion) -> Result<Promotion, Error> {
        if new.kind == "unique" {
            self.make_pool(tenant, &new.code_fold)?;
        }
        let now = self.now_ms();
        self.query_one(
            concat!(
                "-- put_promotion
                INSERT INTO promotion (tenant, code_fold, code, name, status, kind, reward, limits, metadata,
                    fallback_code, validity_days, resumes_as, stop_reason, version, created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $14)
                ON CONFLICT (tenant, code_fold) DO UPDATE SET
                    name = excluded.name, status = excluded.status, kind = excluded.kind,
                    reward = excluded.reward, limits = excluded.limits, metadata = excluded.metadata,
                    fallback_code = excluded.fallback_code, validity_days = excluded.validity_days,
                    resumes_as = excluded.resumes_as, stop_reason = excluded.stop_reason,
                    version = promotion.version + 1, updated_at = excluded.updated_at
                RETURNING ",
                promotion_columns!()
            ),
            values![
                tenant, &new.code_fold, &new.code, &new.name, &new.status, &new.kind, &new.reward,
                &new.limits, &new.metadata, new.fallback_code.as_ref(), new.validity_days,
                new.resumes_as.as_ref(), new.stop_reason.as_ref(), now
            ],
            promotion,
        )?
        .ok_or_else(|| Error::Corrupt("an upsert returned nothing".into()))
    }

    /// Keeps the terms of a promotion as they are from now on.
    pub fn add_promotion_version(
        &mut self,
        tenant: i64,
        promotion: &Promotion,
        document: &str,
        by: &str,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- add_promotion_version
            INSERT INTO promotion_version (tenant, code_fold, version, made_at, status, document, made_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values![
                tenant,
                &promotion.code_fold,
                promotion.version,
                now,
                &promotion.status,
                document,
                by
            ],
        )?;
        Ok(())
    }

    /// When each version of a promotion came to be, and with which status. In their order.
    pub fn promotion_versions(
        &mut self,
        tenant: i64,
        code_fold: &str,
    ) -> Result<Vec<PromotionVersion>, Error> {
        self.query(
            "-- promotion_versions
            SELECT version, made_at, status FROM promotion_version WHERE tenant = $1 AND code_fold = $2 ORDER BY version",
            values![tenant, code_fold],
            |row| {
                Ok(PromotionVersion {
                    version: row.int(0)?,
                    made_at: row.int(1)?,
                    status: row.text(2)?,
                })
            },
        )
    }

    /// Versions of a promotion behind one, each with its terms.
    pub fn promotion_history(
        &mut self,
        tenant: i64,
        code_fold: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(PromotionVersion, String)>, Error> {
        self.query(
            "-- promotion_history
            SELECT version, made_at, status, document FROM promotion_version
            WHERE tenant = $1 AND code_fold = $2 AND version > $3 ORDER BY version LIMIT $4",
            values![tenant, code_fold, after, limit],
            |row| {
                let version = PromotionVersion {
                    version: row.int(0)?,
                    made_at: row.int(1)?,
                    status: row.text(2)?,
                };
                Ok((version, row.text(3)?))
            },
        )
    }

    /// Who made the newest version of a promotion.
    pub fn promotion_made_by(
        &mut self,
        tenant: i64,
        code_fold: &str,
    ) -> Result<Option<String>, Error> {
        self.query_one(
            "-- promotion_made_by
            SELECT made_by FROM promotion_version WHERE tenant = $1 AND code_fold = $2 ORDER BY version DESC LIMIT 1",
            values![tenant, code_fold],
            |row| row.text(0),
        )
    }

    /// The terms of a version of a promotion.
    pub fn promotion_document(
        &mut self,
        tenant: i64,
        code_fold: &str,
        version: i64,
    ) -> Result<Option<String>, Error> {
        self.query_one(
            "-- promotion_document
            SELECT document FROM promotion_version WHERE tenant = $1 AND code_fold = $2 AND version = $3",
            values![tenant, code_fold, version],
            |row| row.text(0),
        )
    }

    /// One promotion by its code folded.
    pub fn promotion(&mut self, tenant: i64, code_fold: &str) -> Result<Option<Promotion>, Error> {
        let key = || (tenant, code_fold.to_owned());
        if let Some(known) = self.near(|near| near.promotions.get(&key()).cloned()) {
            return Ok(known);
        }
        self.query_one(
            concat!(
                "-- promotion\nSELECT ",
                promotion_columns!(),
                " FROM promotion WHERE tenant = $1 AND code_fold = $2"
            ),
            values![tenant, code_fold],
            promotion,
        )
    }

    /// Promotions behind a code, in the order of codes.
    pub fn promotions(
        &mut self,
        tenant: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Promotion>, Error> {
        self.query(
            concat!(
                "-- promotions\nSELECT ",
                promotion_columns!(),
                " FROM promotion WHERE tenant = $1 AND code_fold > $2 ORDER BY code_fold LIMIT $3"
            ),
            values![tenant, after, limit],
            promotion,
        )
    }

    /// Promotions with a fallback code: their codes folded, each with it.
    pub fn fallback_codes(&mut self, tenant: i64) -> Result<Vec<(String, String)>, Error> {
        self.query(
            "-- fallback_codes
            SELECT code_fold, fallback_code FROM promotion WHERE tenant = $1 AND fallback_code IS NOT NULL
            ORDER BY code_fold",
            values![tenant],
            |row| Ok((row.text(0)?, row.text(1)?)),
        )
    }

    /// All codes of the catalogue, folded.
    pub fn known_codes(&mut self, tenant: i64) -> Result<Vec<String>, Error> {
        self.query(
            "-- known_codes
            SELECT code_fold FROM promotion WHERE tenant = $1 ORDER BY code_fold",
            values![tenant],
            |row| row.text(0),
        )
    }

    /// Remembers the name on which the catalogue and Optimove's list agree, or that there is none.
    pub fn set_synced_name(
        &mut self,
        tenant: i64,
        code_fold: &str,
        name: Option<&str>,
    ) -> Result<(), Error> {
        self.execute(
            "-- set_synced_name
            UPDATE promotion SET synced_name = $1 WHERE tenant = $2 AND code_fold = $3",
            values![name, tenant, code_fold],
        )?;
        Ok(())
    }

    /// Remembers that it is us who put a code into Optimove's list. Whether it arrived is not known yet.
    pub fn promotion_added_there(&mut self, tenant: i64, code_fold: &str) -> Result<(), Error> {
        self.execute(
            "-- promotion_added_there
            UPDATE promotion SET added_there = 1, synced_name = NULL WHERE tenant = $1 AND code_fold = $2",
            values![tenant, code_fold],
        )?;
        Ok(())
    }

    /// Remembers that a code is not in Optimove's list, so none of ours is there.
    pub fn promotion_not_there(&mut self, tenant: i64, code_fold: &str) -> Result<(), Error> {
        self.execute(
            "-- promotion_not_there
            UPDATE promotion SET added_there = 0, synced_name = NULL WHERE tenant = $1 AND code_fold = $2",
            values![tenant, code_fold],
        )?;
        Ok(())
    }

    /// Codes (folded) that it was us who put into Optimove's list.
    pub fn codes_added_there(&mut self, tenant: i64) -> Result<Vec<String>, Error> {
        self.query(
            "-- codes_added_there
            SELECT code_fold FROM promotion WHERE tenant = $1 AND added_there = 1 ORDER BY code_fold",
            values![tenant],
            |row| row.text(0),
        )
    }

    /// Campaigns that are to be granted and whose lists are not read to the end, so that their codes are not all
    /// known here: announced, being read, or on hold. Oldest first.
    pub fn campaigns_unread(&mut self, tenant: i64, limit: u32) -> Result<Vec<String>, Error> {
        self.query(
            "-- campaigns_unread
            SELECT c.id FROM campaign c
            WHERE c.tenant = $1 AND c.revoked_at IS NULL AND c.suspended_at IS NULL AND COALESCE(c.kind, '') <> 'triggered'
                AND (c.windows_end_at IS NULL AND NOT EXISTS
                        (SELECT 1 FROM import i WHERE i.tenant = c.tenant AND i.campaign = c.no)
                    OR EXISTS (SELECT 1 FROM import i
                        WHERE i.tenant = c.tenant AND i.campaign = c.no AND i.state <> 'done'))
            ORDER BY c.no LIMIT $2",
            values![tenant, limit],
            |row| row.text(0),
        )
    }

    /// Campaigns with a code whose lists are not all granted yet.
    pub fn campaigns_granting(&mut self, tenant: i64, code_fold: &str) -> Result<Vec<i64>, Error> {
        self.query(
            "-- campaigns_granting
            SELECT o.campaign FROM offer o
            WHERE o.tenant = $1 AND o.code_fold = $2 AND EXISTS
                (SELECT 1 FROM import i
                    WHERE i.tenant = o.tenant AND i.campaign = o.campaign AND i.state <> 'done')
            ORDER BY o.campaign",
            values![tenant, code_fold],
            |row| row.int(0),
        )
    }

    /// Campaigns whose pairs of a code are held because of a code.
    pub fn campaigns_holding(&mut self, tenant: i64, code_fold: &str) -> Result<Vec<i64>, Error> {
        self.query(
            "-- campaigns_holding
            SELECT campaign FROM offer WHERE tenant = $1 AND code_fold = $2 AND hold_reason IS NOT NULL
            ORDER BY campaign",
            values![tenant, code_fold],
            |row| row.int(0),
        )
    }
}
