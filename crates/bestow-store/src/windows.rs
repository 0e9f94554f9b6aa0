//! Eligibility windows: kept once for each campaign, and referred to by number.

use crate::campaigns::{Walls, WindowSpec};
use crate::{Error, Row, Tx, values};

/// A window that has not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowToCome {
    /// Number within the tenant.
    pub no: u32,
    /// `campaign.no`.
    pub campaign: i64,
    /// What it stands for.
    pub spec: WindowSpec,
}

/// A window that takes other instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedWindow {
    /// Number within the tenant.
    pub no: u32,
    /// Milliseconds.
    pub starts_at: i64,
    /// Milliseconds, exclusive; `None`: ended by the daily list.
    pub ends_at: Option<i64>,
}

macro_rules! spec_columns {
    () => {
        "starts_at, ends_at, action, channel, starts_wall, ends_wall"
    };
}

/// A window from the columns of [`spec_columns`], the first of which stands at `first`.
fn spec(row: &Row<'_>, first: usize) -> Result<WindowSpec, Error> {
    Ok(WindowSpec {
        starts_at: row.int(first)?,
        ends_at: row.opt_int(first + 1)?,
        action: row.int(first + 2)?,
        channel: row.int(first + 3)?,
        walls: Walls {
            starts: row.opt_int(first + 4)?,
            ends: row.opt_int(first + 5)?,
        },
    })
}

impl Tx<'_> {
    /// The number of a window of a campaign; made if there is none. Moves the campaign's latest end.
    pub fn window_for(
        &mut self,
        tenant: i64,
        campaign: i64,
        spec: &WindowSpec,
    ) -> Result<u32, Error> {
        // One at a time, so that nobody makes what was not there a moment ago.
        self.lock_terms(tenant);
        if let Some(no) = self.known_window(tenant, campaign, spec)? {
            return Ok(no);
        }
        let no = self.query_one(
            "-- insert_window
            INSERT INTO eligibility_window
                (tenant, campaign, starts_at, ends_at, action, channel, starts_wall, ends_wall, no)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, COALESCE(MAX(no), 0) + 1
            FROM eligibility_window WHERE tenant = $1
            RETURNING no",
            values![
                tenant,
                campaign,
                spec.starts_at,
                spec.ends_at,
                spec.action,
                spec.channel,
                spec.walls.starts,
                spec.walls.ends
            ],
            |row| Ok(row.int(0)? as u32),
        )?;
        self.execute(
            "-- move_windows_end
            UPDATE campaign SET windows_end_at = $1
            WHERE tenant = $2 AND no = $3 AND (windows_end_at IS NULL OR windows_end_at < $1)",
            values![spec.ends_at.unwrap_or(i64::MAX), tenant, campaign],
        )?;
        no.ok_or_else(|| Error::Corrupt("a window was not written".into()))
    }

    fn known_window(
        &mut self,
        tenant: i64,
        campaign: i64,
        spec: &WindowSpec,
    ) -> Result<Option<u32>, Error> {
        self.query_one(
            "-- known_window
            SELECT no FROM eligibility_window
            WHERE tenant = $1 AND campaign = $2 AND starts_at = $3 AND COALESCE(ends_at, -1) = $4
                AND action = $5 AND channel = $6
                AND COALESCE(starts_wall, -1) = $7 AND COALESCE(ends_wall, -1) = $8
            ORDER BY no LIMIT 1",
            values![
                tenant,
                campaign,
                spec.starts_at,
                spec.ends_at.unwrap_or(-1),
                spec.action,
                spec.channel,
                spec.walls.starts.unwrap_or(-1),
                spec.walls.ends.unwrap_or(-1)
            ],
            |row| Ok(row.int(0)? as u32),
        )
    }

    /// All windows of a campaign.
    pub fn windows(&mut self, tenant: i64, campaign: i64) -> Result<Vec<(u32, WindowSpec)>, Error> {
        self.query(
            concat!(
                "-- windows\nSELECT no, ",
                spec_columns!(),
                " FROM eligibility_window WHERE tenant = $1 AND campaign = $2 ORDER BY no"
            ),
            values![tenant, campaign],
            |row| Ok((row.int(0)? as u32, spec(row, 1)?)),
        )
    }

    /// Whether newer zone data has moved a window of a campaign.
    pub fn has_moved_windows(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let found = self.query_one(
            "-- has_moved_windows
            SELECT 1 FROM eligibility_window WHERE tenant = $1 AND campaign = $2 AND moved_at IS NOT NULL LIMIT 1",
            values![tenant, campaign],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }

    /// What a window's number stands for. Only newer zone data changes it, and only before the window starts.
    pub fn window_facts(&mut self, tenant: i64, window: u32) -> Result<Option<WindowSpec>, Error> {
        self.query_one(
            concat!(
                "-- window_facts\nSELECT ",
                spec_columns!(),
                " FROM eligibility_window WHERE tenant = $1 AND no = $2"
            ),
            values![tenant, window],
            |row| spec(row, 0),
        )
    }

    /// Windows behind number `after` that have not started and were reckoned from a clock on the wall, so many of them.
    pub fn windows_to_come(
        &mut self,
        tenant: i64,
        after: u32,
        limit: u32,
    ) -> Result<Vec<WindowToCome>, Error> {
        let now = self.now_ms();
        self.query(
            concat!(
                "-- windows_to_come\nSELECT no, campaign, ",
                spec_columns!(),
                " FROM eligibility_window WHERE tenant = $1 AND no > $2 AND starts_at > $3
                AND (starts_wall IS NOT NULL OR ends_wall IS NOT NULL) ORDER BY no LIMIT $4"
            ),
            values![tenant, after, now, limit],
            |row| {
                Ok(WindowToCome {
                    no: row.int(0)? as u32,
                    campaign: row.int(1)?,
                    spec: spec(row, 2)?,
                })
            },
        )
    }

    /// Gives a campaign's windows other instants, those that have started excepted. How many.
    pub fn move_windows(
        &mut self,
        tenant: i64,
        campaign: i64,
        moved: &[MovedWindow],
    ) -> Result<usize, Error> {
        let now = self.now_ms();
        let mut changed = 0;
        for window in moved {
            changed += self.execute(
                "-- move_window
                UPDATE eligibility_window SET starts_at = $1, ends_at = $2, moved_at = $3
                WHERE tenant = $4 AND no = $5 AND starts_at > $3",
                values![window.starts_at, window.ends_at, now, tenant, window.no],
            )?;
        }
        self.execute(
            "-- settle_windows_end
            UPDATE campaign SET windows_end_at = (
                SELECT MAX(COALESCE(ends_at, $1)) FROM eligibility_window WHERE tenant = $2 AND campaign = $3)
            WHERE tenant = $2 AND no = $3",
            values![i64::MAX, tenant, campaign],
        )?;
        Ok(changed)
    }

    /// Windows to come stay where they are from now on, whatever zone data says: their tenant has another zone.
    pub fn fix_windows(&mut self, tenant: i64) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- fix_windows
            UPDATE eligibility_window SET starts_wall = NULL, ends_wall = NULL
            WHERE tenant = $1 AND starts_at > $2 AND (starts_wall IS NOT NULL OR ends_wall IS NOT NULL)",
            values![tenant, now],
        )?;
        Ok(())
    }

    /// Writes down which zone data a tenant's windows to come stand by.
    pub fn set_zone_data(&mut self, tenant: i64, release: &str) -> Result<(), Error> {
        self.execute(
            "-- set_zone_data
            UPDATE tenant SET zone_data = $1 WHERE no = $2",
            values![release, tenant],
        )?;
        Ok(())
    }
}
