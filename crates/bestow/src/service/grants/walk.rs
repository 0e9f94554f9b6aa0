//! The grants of one campaign in the order of customers, however many there are.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bestow_core::{CampaignId, CampaignKind, Clearance, GivenCode};
use bestow_store::Error as StoreError;
use bestow_store::campaigns::{Campaign, WindowSpec};
use bestow_store::grants::{LedgerRow, Used};
use bestow_store::holders::{HolderGroup, Holders};
use bestow_store::runs::{GroupEntry, Pages, Runs};
use jiff::Timestamp;

use super::{GrantView, Told, spelling};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::mark;
use crate::service::ended::Ends;
use crate::service::{codes, retention};
use crate::tenant::Tenant;

/// Where a list of a campaign's grants goes on: the last row seen, and the group before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignPlace {
    /// The ids seen whole, folded; empty: none.
    pub before: String,
    /// The customer of the last row seen.
    pub customer: String,
    /// Its offer.
    pub offer: u32,
}

/// Walks through the grants of a campaign in the order of customers: as they landed, looked up in
/// the ledger.
///
/// Memory is one block for each landed page, whatever the size of the campaign. What is held is not
/// in the ledger and is not given.
pub struct CampaignGrants {
    app: Arc<App>,
    tenant: Arc<Tenant>,
    campaign: Campaign,
    now: Timestamp,
    holders: Holders,
    held: HolderGroup,
    /// The ids before the group, folded.
    before: String,
    /// Rows of the group that were not given yet.
    found: VecDeque<FoundRow>,
    /// The last row that the caller knows; rows up to it are passed over.
    after: Option<CampaignPlace>,
    codes: HashMap<u32, Code>,
    windows: HashMap<u32, WindowSpec>,
}

/// Triggered grants read at once.
const TRIGGERED_AT_ONCE: u32 = 500;

fn may_be_granted(entry: &GroupEntry) -> bool {
    entry.mark == mark::GRANT
}

#[derive(Debug)]
struct FoundRow {
    customer: String,
    offer: u32,
    window: u32,
    page: u32,
    /// Empty unless triggered.
    occurrence: String,
    /// Milliseconds; when its trigger was taken, if there was one.
    taken_at: Option<i64>,
    given: GivenCode,
    cleared: Clearance,
    used: Used,
}

#[derive(Debug)]
struct Code {
    fold: String,
    shown: String,
}

impl CampaignGrants {
    /// Starts behind a place, or at the beginning. Reads from the disk: not for threads that serve
    /// others.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Gone`] where the campaign is in an archive; the store's.
    pub fn open(
        app: &Arc<App>,
        tenant: &Arc<Tenant>,
        campaign: &CampaignId,
        after: Option<CampaignPlace>,
    ) -> Result<Self> {
        let no = tenant.no();
        let found = app.store.peek(|tx| tx.campaign(no, campaign.as_str()))?;
        let campaign = found.ok_or(Error::NotFound("campaign"))?;
        retention::still_here(app, tenant, campaign.no)?;
        // What a merge under way has granted so far is given, too.
        let through = campaign
            .merge_to
            .unwrap_or_default()
            .max(campaign.merged_through);
        let before = after.as_ref().map(|place| place.before.as_str());
        let before = before.filter(|before| !before.is_empty());
        // Whoever a clearance round granted may not have been sent to yet.
        let pages = if campaign.is(CampaignKind::Conditional) {
            Pages::All
        } else {
            Pages::Lists { through }
        };
        let runs = Runs::over(&app.store, no, campaign.no, pages, before)?;
        let mut codes = HashMap::new();
        for offer in app.store.peek(|tx| tx.offers(no, campaign.no))? {
            let shown = spelling(app, tenant, &offer.code_fold, &offer.code)?;
            codes.insert(
                offer.no,
                Code {
                    fold: offer.code_fold,
                    shown,
                },
            );
        }
        Ok(Self {
            now: app.clock.now(),
            app: Arc::clone(app),
            tenant: Arc::clone(tenant),
            campaign,
            holders: Holders::over(&app.store, no, runs, may_be_granted),
            held: HolderGroup::default(),
            before: before.unwrap_or_default().to_owned(),
            found: VecDeque::new(),
            after,
            codes,
            windows: HashMap::new(),
        })
    }

    /// The next grant, with its place; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Gone`] where the campaign left for an archive meanwhile, since some were missed then; the store's.
    pub fn next_grant(&mut self) -> Result<Option<(CampaignPlace, GrantView)>> {
        let next = self.look_further()?;
        if next.is_none() {
            retention::still_here(&self.app, &self.tenant, self.campaign.no)?;
        }
        Ok(next)
    }

    fn look_further(&mut self) -> Result<Option<(CampaignPlace, GrantView)>> {
        loop {
            while let Some(row) = self.found.pop_front() {
                if row.occurrence.is_empty() {
                    if self.is_known(&row) {
                        continue;
                    }
                    self.after = None;
                }
                return self.view(row).map(Some);
            }
            if self.campaign.is(CampaignKind::Triggered) {
                if !self.look_up_triggered()? {
                    return Ok(None);
                }
                continue;
            }
            let fold = self.held.group.fold();
            if !fold.is_empty() {
                fold.clone_into(&mut self.before);
            }
            if !self.holders.next_group(&mut self.held)? {
                return Ok(None);
            }
            self.look_up()?;
        }
    }

    fn is_known(&self, row: &FoundRow) -> bool {
        self.after.as_ref().is_some_and(|after| {
            after.before == self.before
                && (row.customer.as_str(), row.offer) <= (&after.customer, after.offer)
        })
    }

    /// The next grants of a triggered campaign, in the order of occurrences: these are its places.
    fn look_up_triggered(&mut self) -> Result<bool> {
        let last = self.after.take().unwrap_or_default();
        let (no, campaign) = (self.tenant.no(), self.campaign.no);
        let found = self.app.store.peek(|tx| {
            let after = (last.before.as_str(), last.offer);
            tx.triggered_grants(no, campaign, after, TRIGGERED_AT_ONCE)
        })?;
        if let Some(last) = found.last() {
            // Where the next look goes on, unless the caller ends before.
            self.after = Some(CampaignPlace {
                before: last.occurrence.clone(),
                customer: last.customer.clone(),
                offer: last.offer,
            });
        }
        self.found = found
            .into_iter()
            .map(|grant| FoundRow {
                customer: grant.customer,
                offer: grant.offer,
                window: grant.window,
                page: 0,
                occurrence: grant.occurrence,
                taken_at: Some(grant.taken_at),
                given: grant.code,
                cleared: Clearance::NotNeeded,
                used: grant.used,
            })
            .collect();
        Ok(!self.found.is_empty())
    }

    /// What the group's rows became, by the ledger.
    fn look_up(&mut self) -> Result<()> {
        let Self {
            held,
            found,
            app,
            tenant,
            campaign,
            ..
        } = self;
        let (no, group) = (tenant.no(), &held.group);
        for entries in group
            .entries
            .chunk_by(|a, b| group.customer(a) == group.customer(b))
        {
            let offers = entries.iter().filter(|entry| may_be_granted(entry));
            let offers: BTreeSet<u32> = offers.map(|entry| entry.offer).collect();
            let customer = group.customer(&entries[0]);
            let rows = held.rows(customer);
            for offer in offers {
                let scheduled = |row: &&LedgerRow| row.offer == offer && row.occurrence.is_empty();
                if let Some(row) = rows.iter().find(scheduled) {
                    let cleared = app.facts.cleared(&app.store, no, campaign, customer, row)?;
                    let customer = customer.to_owned();
                    found.push_back(FoundRow {
                        customer,
                        offer,
                        window: row.window,
                        page: row.page,
                        occurrence: String::new(),
                        taken_at: None,
                        given: row.code,
                        cleared,
                        used: row.used,
                    });
                }
            }
        }
        Ok(())
    }

    fn view(&mut self, row: FoundRow) -> Result<(CampaignPlace, GrantView)> {
        let ends = Ends::of(&self.app, &self.tenant, &row.customer)?;
        let window = ends.cut(row.offer, &row.occurrence, self.window(row.window)?);
        let unknown = || StoreError::Corrupt(format!("offer {} is of no campaign", row.offer));
        let code = self.codes.get(&row.offer).ok_or_else(unknown)?;
        let unique_code = codes::shown(&self.app, self.tenant.no(), &code.fold, row.given)?;
        let told = Told {
            customer: &row.customer,
            code: &code.shown,
            code_fold: &code.fold,
            occurrence: &row.occurrence,
            unique_code: unique_code.as_deref(),
            window,
            campaign: &self.campaign,
            created_at: self.created_at(&row)?,
            cleared: row.cleared,
            used: row.used,
        };
        let view = GrantView::new(&self.tenant, told, self.now);
        let FoundRow {
            customer,
            offer,
            occurrence,
            ..
        } = row;
        let before = if occurrence.is_empty() {
            self.before.clone()
        } else {
            occurrence
        };
        Ok((
            CampaignPlace {
                before,
                customer,
                offer,
            },
            view,
        ))
    }

    fn created_at(&self, row: &FoundRow) -> Result<i64> {
        let Self {
            app,
            tenant,
            campaign,
            ..
        } = self;
        Ok(match row.taken_at {
            Some(at) => at,
            None => app
                .facts
                .landed_at(&app.store, tenant.no(), campaign, row.page)?,
        })
    }

    fn window(&mut self, no: u32) -> Result<WindowSpec> {
        if let Some(window) = self.windows.get(&no) {
            return Ok(*window);
        }
        // A merge under way makes new ones, so they are looked up as they are met.
        let found = self
            .app
            .store
            .peek(|tx| tx.window_facts(self.tenant.no(), no))?;
        let missing = || StoreError::Corrupt(format!("window {no} is not there"));
        let window = found.ok_or_else(missing)?;
        self.windows.insert(no, window);
        Ok(window)
    }
}
