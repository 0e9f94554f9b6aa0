//! Turning landed rows into grants, a small sorted chunk at a time.

use std::collections::BTreeSet;

use bestow_core::HoldReason;

use crate::campaigns::WindowSpec;
use crate::door::{Door, Gave, Promise};
use crate::jobs::Job;
use crate::{Error, Tx, values};

/// A window of a chunk: one that has a number, or one that this chunk brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRef {
    /// `eligibility_window.no`.
    Known(u32),
    /// Place in [`MergeChunk::new_windows`].
    New(u32),
}

/// A stretch of the merge, in the order of customers.
#[derive(Debug, Default)]
pub struct MergeChunk {
    /// The customers' ids, one after the other.
    pub text: String,
    /// New grants.
    pub grants: Vec<NewGrant>,
    /// Further pairs that were received beside the one that is granted: place in `grants`, and how many. They repeat
    /// it, or wait with it.
    pub beside: Vec<(u32, u32)>,
    /// Pairs that were received for a grant which waits for a unique code since before; each with how many.
    pub waits: Vec<(NewGrant, u32)>,
    /// Grants whose window grows.
    pub widened: Vec<NewGrant>,
    /// Grants of a clearance round whose customers were sent to: they take the window and the page of that.
    pub executed: Vec<NewGrant>,
    /// How many of them are sent to for the first time.
    pub sent: u64,
    /// A difference that the chunk shows.
    pub finding: Option<ChunkFinding>,
    /// Windows without a number yet.
    pub new_windows: Vec<WindowSpec>,
    /// Counters to add, the granted and repeated of `grants` not included.
    pub counts: Vec<(String, i64)>,
    /// Distinct customers in it.
    pub customers: u64,
    /// Pairs that only a confirming pass brought, by channel.
    pub added: Vec<(i64, i64)>,
    /// The last customer in it, folded: where the cursor stands afterwards.
    pub last_fold: String,
}

/// A difference that a chunk shows, to be recorded with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkFinding {
    /// What kind of difference.
    pub kind: &'static str,
    /// About what.
    pub object: String,
    /// In words.
    pub detail: String,
}

/// One grant of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewGrant {
    /// Where the customer's id starts in the chunk's text.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// `offer.no`.
    pub offer: u32,
    /// Its window.
    pub window: WindowRef,
    /// The landed page that brought it.
    pub page: u32,
}

impl MergeChunk {
    /// The customer of a grant of this chunk.
    pub fn customer(&self, grant: &NewGrant) -> &str {
        &self.text[grant.start as usize..grant.end as usize]
    }

    fn promise(&self, grant: &NewGrant, windows: &[u32]) -> Promise<'_> {
        Promise {
            customer: self.customer(grant),
            offer: grant.offer,
            occurrence: "",
            window: window_no(grant.window, windows),
            page: grant.page,
        }
    }
}

/// What became of the pairs of a chunk.
#[derive(Debug, Default)]
struct Tally {
    granted: i64,
    repeated: i64,
    waiting: i64,
}

impl Tally {
    fn counts(&self) -> [(String, i64); 3] {
        [
            ("granted".to_owned(), self.granted),
            ("repeated".to_owned(), self.repeated),
            (held_counter(HoldReason::NoFreeCode), self.waiting),
        ]
    }
}

/// The counter of pairs held for a reason.
fn held_counter(reason: HoldReason) -> String {
    format!("held:{reason}")
}

impl<'c> Tx<'c> {
    /// Starts a merge of the landed pages up to `to`.
    pub fn begin_merge(&mut self, job: &Job, campaign: i64, to: u32) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- begin_merge
            UPDATE campaign SET merge_to = $1, merge_cursor = NULL, merge_customers = 0 WHERE tenant = $2 AND no = $3",
            values![to, job.tenant, campaign],
        )?;
        Ok(())
    }

    /// Grants a chunk and moves the merge cursor behind it, all or nothing. False where the cursor is there already.
    pub fn merge_chunk(
        &mut self,
        job: &Job,
        campaign: i64,
        chunk: &MergeChunk,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        self.hold_job(job, lease_ms)?;
        let tenant = job.tenant;
        let moved = self.execute(
            "-- move_merge_cursor
            UPDATE campaign SET merge_cursor = $1, merge_customers = merge_customers + $2, sent = sent + $3
            WHERE tenant = $4 AND no = $5 AND merge_to IS NOT NULL AND (merge_cursor IS NULL OR merge_cursor < $1)",
            values![&chunk.last_fold, chunk.customers as i64, chunk.sent as i64, tenant, campaign],
        )?;
        if moved == 0 {
            return Ok(false);
        }
        let windows = self.number_windows(tenant, campaign, &chunk.new_windows)?;
        let tally = self.grant_chunk(tenant, chunk, &windows)?;
        let moved = chunk.widened.iter().chain(&chunk.executed);
        let moved: Vec<_> = moved.map(|grant| chunk.promise(grant, &windows)).collect();
        self.note_moves(tenant, campaign, &moved)?;
        self.widen(tenant, chunk, &windows)?;
        for grant in &chunk.executed {
            self.move_grant(tenant, &chunk.promise(grant, &windows))?;
        }
        if let Some(found) = &chunk.finding {
            self.find(tenant, found.kind, &found.object, &found.detail)?;
        }
        self.add_counts(tenant, campaign, &chunk.counts)?;
        self.add_counts(tenant, campaign, &tally.counts())?;
        for (channel, added) in &chunk.added {
            self.execute(
                "-- add_confirming_pairs
                UPDATE import SET pass_added = pass_added + $1 WHERE tenant = $2 AND campaign = $3 AND channel = $4",
                values![*added, tenant, campaign, *channel],
            )?;
        }
        Ok(true)
    }

    /// Takes the grants of a chunk through the door; those that find no code left wait.
    fn grant_chunk(
        &mut self,
        tenant: i64,
        chunk: &MergeChunk,
        windows: &[u32],
    ) -> Result<Tally, Error> {
        let mut door = self.open_door(tenant)?;
        let promises: Vec<_> = chunk
            .grants
            .iter()
            .map(|grant| chunk.promise(grant, windows))
            .collect();
        let mut tally = match door.give_shared(self, &promises)? {
            Some(new) => {
                let beside: i64 = chunk.beside.iter().map(|(_, n)| i64::from(*n)).sum();
                Tally {
                    granted: new as i64,
                    repeated: (promises.len() - new) as i64 + beside,
                    waiting: 0,
                }
            }
            None => self.give_unique(tenant, &mut door, chunk, &promises)?,
        };
        self.close_door(door)?;
        for (grant, pairs) in &chunk.waits {
            let (promise, pairs) = (chunk.promise(grant, windows), i64::from(*pairs));
            if self.wait_longer(tenant, &promise, pairs)? {
                tally.waiting += pairs;
            } else {
                tally.repeated += pairs;
            }
        }
        Ok(tally)
    }

    /// Gives the promises of a chunk some of which take unique codes.
    fn give_unique(
        &mut self,
        tenant: i64,
        door: &mut Door<'c>,
        chunk: &MergeChunk,
        promises: &[Promise<'_>],
    ) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let mut beside = chunk.beside.iter().peekable();
        let gave = door.give_all(self, promises)?;
        for (place, (gave, promise)) in gave.into_iter().zip(promises).enumerate() {
            let further = beside.next_if(|(of, _)| *of as usize == place);
            let further = further.map_or(0, |(_, further)| i64::from(*further));
            match gave {
                Gave::New => {
                    tally.granted += 1;
                    tally.repeated += further;
                }
                Gave::Known => tally.repeated += 1 + further,
                Gave::NoFreeCode => {
                    self.wait_for_code(tenant, promise, 1 + further)?;
                    tally.waiting += 1 + further;
                }
            }
        }
        Ok(tally)
    }

    /// Ends a merge whose last chunk is in.
    pub fn end_merge(&mut self, job: &Job, campaign: i64) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- end_merge
            UPDATE campaign SET merged_through = merge_to, customers = merge_customers, merge_to = NULL,
                merge_cursor = NULL
            WHERE tenant = $1 AND no = $2 AND merge_to IS NOT NULL",
            values![job.tenant, campaign],
        )?;
        Ok(())
    }

    /// Grants pairs that were held, each moved from held to granted once however often this runs; one that finds no
    /// unique code left waits for one from then on, and counts as held for that. The chunk's grants name one
    /// (customer, offer) each; `repeats` says how many further pairs of it were held beside.
    pub fn release_chunk(
        &mut self,
        job: &Job,
        campaign: i64,
        chunk: &MergeChunk,
        repeats: &[u32],
        held_counter: &str,
        lease_ms: i64,
    ) -> Result<u64, Error> {
        self.hold_job(job, lease_ms)?;
        let offers: BTreeSet<u32> = chunk.grants.iter().map(|grant| grant.offer).collect();
        for offer in offers {
            self.begin_release(job.tenant, offer)?;
        }
        let windows = self.number_windows(job.tenant, campaign, &chunk.new_windows)?;
        let (mut tally, mut released) = (Tally::default(), 0);
        let mut door = self.open_door(job.tenant)?;
        let promises: Vec<_> = chunk
            .grants
            .iter()
            .map(|grant| chunk.promise(grant, &windows))
            .collect();
        // What waits since an earlier run has left this reason already.
        let waits = self.wait_for_codes(job.tenant, &promises)?;
        let (promises, repeats): (Vec<_>, Vec<&u32>) = promises
            .into_iter()
            .zip(repeats)
            .zip(waits)
            .filter_map(|(pair, waits)| (!waits).then_some(pair))
            .unzip();
        let gave = door.give_all(self, &promises)?;
        for (gave, (promise, repeats)) in gave.into_iter().zip(promises.iter().zip(repeats)) {
            let repeats = i64::from(*repeats);
            match gave {
                Gave::New => {
                    tally.granted += 1;
                    tally.repeated += repeats;
                }
                Gave::Known => continue,
                Gave::NoFreeCode => {
                    self.wait_for_code(job.tenant, promise, 1 + repeats)?;
                    tally.waiting += 1 + repeats;
                }
            }
            released += 1 + repeats;
        }
        self.close_door(door)?;
        self.add_counts(job.tenant, campaign, &tally.counts())?;
        self.add_counts(
            job.tenant,
            campaign,
            &[(held_counter.to_owned(), -released)],
        )?;
        Ok(tally.granted as u64)
    }

    /// Drops the rows of a confirming pass that brought nothing new; its pages' counts and digests stay.
    pub fn drop_confirmed_rows(
        &mut self,
        job: &Job,
        campaign: i64,
        channel: i64,
        from_page: u32,
    ) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- drop_confirmed_rows
            DELETE FROM landed_block WHERE tenant = $1 AND campaign = $2 AND page IN (
                SELECT page FROM landed_page
                WHERE tenant = $1 AND campaign = $2 AND channel = $3 AND page >= $4 AND pass > 1)",
            values![job.tenant, campaign, channel, from_page],
        )?;
        Ok(())
    }

    fn number_windows(
        &mut self,
        tenant: i64,
        campaign: i64,
        new: &[WindowSpec],
    ) -> Result<Vec<u32>, Error> {
        new.iter()
            .map(|spec| self.window_for(tenant, campaign, spec))
            .collect()
    }

    fn widen(&mut self, tenant: i64, chunk: &MergeChunk, windows: &[u32]) -> Result<(), Error> {
        let rows = chunk.widened.iter().map(|grant| {
            [
                window_no(grant.window, windows).into(),
                tenant.into(),
                chunk.customer(grant).into(),
                grant.offer.into(),
            ]
        });
        self.execute_many(
            "-- widen_grant
            UPDATE grants SET window_no = $1
            WHERE tenant = $2 AND customer = $3 AND offer = $4 AND occurrence = ''",
            rows,
        )?;
        Ok(())
    }
}

fn window_no(window: WindowRef, windows: &[u32]) -> u32 {
    match window {
        WindowRef::Known(no) => no,
        WindowRef::New(place) => windows.get(place as usize).copied().unwrap_or_default(),
    }
}
