//! Rows of a day's list to the grants that they mean.

use std::collections::HashMap;
use std::sync::Arc;

use bestow_core::ended::{Candidate, EndedAction, sent_on};
use bestow_core::id::CustomerId;
use bestow_core::{ActionId, LeadTime, Zone};
use bestow_store::campaigns::Campaign;
use bestow_store::endings::{EndedPage, GrantEnd};
use bestow_store::grants::LedgerRow;
use bestow_store::{Error as StoreError, Store, Tx};
use jiff::civil::Date;
use optimove::read::{Days, WireTime};
use optimove::wire::{EndedRow, Page};

use crate::app::App;
use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// Windows and offers kept at hand; beyond it they are looked up anew.
const KEPT_MAX: usize = 100_000;
/// Rows without a grant that are told as examples.
const EXAMPLES_MAX: usize = 3;

/// A row that can be matched.
type Row = (String, EndedAction);

/// Matches the pages of one reading.
pub(super) struct Matcher {
    store: Store,
    tenant: i64,
    zone: Zone,
    /// By offer: its campaign.
    campaigns: HashMap<u32, Arc<Terms>>,
    /// By window: what it was made from.
    windows: HashMap<u32, Made>,
    examples: Vec<String>,
}

/// What all grants of a campaign share.
#[derive(Debug)]
struct Terms {
    lead: LeadTime,
    /// The campaign's own, not a default.
    duration_days: Option<u16>,
    channels: Vec<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Made {
    action: i64,
    channel: i64,
    sent_on: Date,
}

impl Matcher {
    pub(super) fn new(app: &App, tenant: &Tenant) -> Self {
        Self {
            store: app.store.clone(),
            tenant: tenant.no(),
            zone: tenant.zone.clone(),
            campaigns: HashMap::new(),
            windows: HashMap::new(),
            examples: Vec::new(),
        }
    }

    /// Some rows that fit no grant, in words.
    pub(super) fn examples(&self) -> String {
        if self.examples.is_empty() {
            return String::new();
        }
        format!(", for example {}", self.examples.join("; "))
    }

    /// What a page ends, behind `skip` rows, as of `ended_at` in milliseconds.
    pub(super) fn page(
        mut self,
        page: &Page,
        skip: u64,
        ended_at: i64,
    ) -> Result<(Self, EndedPage)> {
        let mut matched = EndedPage {
            skip,
            ..EndedPage::default()
        };
        let mut rows: Vec<Row> = Vec::with_capacity(page.len());
        page.for_each_ended(|row| {
            matched.rows += 1;
            // Nothing was ever given to the control group.
            if row.action_id.map(ActionId) == Some(ActionId::CONTROL_GROUP) {
                return;
            }
            match self.read(&row) {
                Some(read) => rows.push(read),
                None => matched.unmatched += 1,
            }
        })
        .map_err(|e| optimove::Error::malformed(e, page.body().as_bytes()))?;
        rows.sort_unstable();
        let store = self.store.clone();
        store.read(|tx| {
            for rows in rows.chunk_by(|a, b| a.0 == b.0) {
                self.customer(tx, rows, ended_at, &mut matched)?;
            }
            Ok::<_, Error>(())
        })?;
        Ok((self, matched))
    }

    fn read(&self, row: &EndedRow<'_>) -> Option<Row> {
        let customer = CustomerId::check(row.customer_id.as_deref()?).ok()?;
        let sent_on = match WireTime::parse(row.date.as_deref()?).ok()? {
            WireTime::Local(wall) => wall.date(),
            WireTime::Instant(instant) => self.zone.wall_clock(instant).date(),
        };
        let action = EndedAction {
            action: row.action_id,
            channel: row.channel_id,
            sent_on,
            duration_days: match row.duration {
                Days::Whole(days) => u16::try_from(days).ok(),
                Days::Missing | Days::Absurd(_) => None,
            },
        };
        Some((customer.to_owned(), action))
    }

    /// What the rows of one customer end.
    fn customer(
        &mut self,
        tx: &mut Tx<'_>,
        rows: &[Row],
        ended_at: i64,
        matched: &mut EndedPage,
    ) -> Result<(), StoreError> {
        let customer = &*rows[0].0;
        let mut held = tx.ledger_rows(self.tenant, customer)?;
        // A triggered grant ends by its own window: event 11 names no action to list.
        held.retain(|grant| grant.occurrence.is_empty());
        let terms = held.iter().map(|grant| self.terms(tx, grant));
        let terms = terms.collect::<Result<Vec<_>, _>>()?;
        let candidates: Vec<_> = terms
            .iter()
            .map(|(terms, made)| candidate(terms, *made))
            .collect();
        let mut ends = vec![false; held.len()];
        for (_, row) in rows {
            let places = row.ends(&candidates);
            if places.is_empty() {
                matched.unmatched += 1;
                self.note(customer, row);
            }
            for place in places {
                ends[place] = true;
            }
        }
        if !ends.contains(&true) {
            return Ok(());
        }
        // What has ended is not written again: a list is read several times.
        let over = tx.grant_ends(self.tenant, customer)?;
        let is_over = |grant: &LedgerRow| {
            let same =
                |end: &GrantEnd| end.offer == grant.offer && end.occurrence == grant.occurrence;
            over.iter().any(same)
        };
        let new = held
            .iter()
            .zip(ends)
            .filter(|(grant, end)| *end && !is_over(grant));
        matched.ends.extend(new.map(|(grant, _)| GrantEnd {
            customer: customer.to_owned(),
            offer: grant.offer,
            occurrence: grant.occurrence.clone(),
            ended_at,
        }));
        Ok(())
    }

    fn note(&mut self, customer: &str, row: &EndedAction) {
        if self.examples.len() >= EXAMPLES_MAX {
            return;
        }
        let told = |number: Option<i64>| number.map_or("-".to_owned(), |n| n.to_string());
        self.examples.push(format!(
            "customer {customer}, action {}, channel {}, sent on {}",
            told(row.action),
            told(row.channel),
            row.sent_on
        ));
    }

    fn terms(
        &mut self,
        tx: &mut Tx<'_>,
        grant: &LedgerRow,
    ) -> Result<(Arc<Terms>, Made), StoreError> {
        if self.campaigns.len() + self.windows.len() > KEPT_MAX {
            self.campaigns.clear();
            self.windows.clear();
        }
        let terms = match self.campaigns.get(&grant.offer) {
            Some(terms) => Arc::clone(terms),
            None => Arc::new(self.campaign(tx, grant.offer)?),
        };
        self.campaigns.insert(grant.offer, Arc::clone(&terms));
        let made = match self.windows.get(&grant.window) {
            Some(made) => *made,
            None => self.window(tx, grant.window, terms.lead)?,
        };
        self.windows.insert(grant.window, made);
        Ok((terms, made))
    }

    fn campaign(&self, tx: &mut Tx<'_>, offer: u32) -> Result<Terms, StoreError> {
        let missing = || StoreError::Corrupt(format!("offer {offer} is of no campaign"));
        let facts = tx.offer_facts(self.tenant, offer)?.ok_or_else(missing)?;
        let campaign = tx.campaign_by_no(self.tenant, facts.campaign)?;
        let campaign = campaign.ok_or_else(missing)?;
        let imports = tx.imports(self.tenant, campaign.no)?;
        Ok(Terms {
            lead: lead(&campaign),
            duration_days: own_duration(&campaign),
            channels: imports.iter().map(|import| import.channel).collect(),
        })
    }

    fn window(&self, tx: &mut Tx<'_>, no: u32, lead: LeadTime) -> Result<Made, StoreError> {
        let corrupt = |why: &str| StoreError::Corrupt(format!("window {no} {why}"));
        let spec = tx.window_facts(self.tenant, no)?;
        let spec = spec.ok_or_else(|| corrupt("is not there"))?;
        let starts_at = crate::clock::instant(spec.starts_at);
        Ok(Made {
            action: spec.action,
            channel: spec.channel,
            sent_on: sent_on(starts_at, lead, &self.zone).map_err(|e| corrupt(&e.to_string()))?,
        })
    }
}

fn candidate(terms: &Terms, made: Made) -> Candidate<'_> {
    Candidate {
        action: made.action,
        channel: made.channel,
        campaign_channels: &terms.channels,
        sent_on: made.sent_on,
        duration_days: terms.duration_days,
    }
}

fn lead(campaign: &Campaign) -> LeadTime {
    let days = campaign.lead_time_days.unwrap_or_default();
    LeadTime::from_days(days).unwrap_or(LeadTime::NONE)
}

/// The duration that Optimove itself gave; a default of ours is not on its list.
fn own_duration(campaign: &Campaign) -> Option<u16> {
    let is_own = campaign.duration_source.as_deref() == Some("campaign");
    let days = campaign.duration_days.filter(|_| is_own);
    days.and_then(|days| u16::try_from(days).ok())
}
