//! What destinations hear of grants that have another window or end from now on, or are used.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bestow_core::announce::{GrantEvent, Span, Tells, tells};

use crate::announcements::{Moves, Note};
use crate::door::Promise;
use crate::endings::GrantEnd;
use crate::grants::LedgerRow;
use crate::redemptions::Taking;
use crate::{Error, Tx};

impl Tx<'_> {
    /// Writes down what is told of grants that are about to take these windows and pages. Those of a clearance round
    /// are told of here for the first time.
    pub(crate) fn note_moves(
        &mut self,
        tenant: i64,
        campaign: i64,
        promises: &[Promise<'_>],
    ) -> Result<(), Error> {
        if promises.is_empty() || !self.is_heard(tenant)? {
            return Ok(());
        }
        let untold = self.untold_pages(tenant, campaign)?;
        let customers: Vec<_> = promises.iter().map(|promise| promise.customer).collect();
        let rows = self.ledger_rows_of(tenant, &customers)?;
        let now = self.now_ms();
        let mut notes = Vec::new();
        for (promise, rows) in promises.iter().zip(rows) {
            let Some(row) = row_of(&rows, promise.offer, promise.occurrence) else {
                continue;
            };
            let by_list = self.ended_by_list(tenant, promise.customer, row)?;
            let before = self.span_of(tenant, row.window)?;
            let before = Span::new(before.starts_at, before.ends_at, by_list);
            let after = self.span_of(tenant, promise.window)?;
            let after = Span::new(after.starts_at, after.ends_at, by_list);
            let was_told = !untold.contains(&row.page);
            notes.push(note(promise.customer, row, promise.window, after, |span| {
                tells(was_told.then_some(before), span, now)
            }));
        }
        self.note(tenant, &notes, Moves::Yes)
    }

    /// Writes down what is told of grants that the daily list has just ended.
    pub(crate) fn note_ends(&mut self, tenant: i64, ends: &[&GrantEnd]) -> Result<(), Error> {
        if ends.is_empty() || !self.is_heard(tenant)? {
            return Ok(());
        }
        let customers: Vec<_> = ends.iter().map(|end| &*end.customer).collect();
        let rows = self.ledger_rows_of(tenant, &customers)?;
        let (now, mut notes, mut untold) = (self.now_ms(), Vec::new(), HashMap::new());
        for (end, rows) in ends.iter().zip(rows) {
            let Some(row) = row_of(&rows, end.offer, &end.occurrence) else {
                continue;
            };
            let Some(offer) = self.offer_facts(tenant, row.offer)? else {
                continue;
            };
            if let Entry::Vacant(of_campaign) = untold.entry(offer.campaign) {
                of_campaign.insert(self.untold_pages(tenant, offer.campaign)?);
            }
            if untold[&offer.campaign].contains(&row.page) {
                continue;
            }
            let before = self.span_of(tenant, row.window)?;
            let after = Span::new(before.starts_at, before.ends_at, Some(end.ended_at));
            notes.push(note(&end.customer, row, row.window, after, |span| {
                tells(Some(before), span, now)
            }));
        }
        self.note(tenant, &notes, Moves::Yes)
    }

    /// Writes down that a grant was redeemed, or that this was undone.
    pub(crate) fn note_redemption(
        &mut self,
        tenant: i64,
        taking: &Taking,
        kind: GrantEvent,
    ) -> Result<(), Error> {
        if !self.is_heard(tenant)? {
            return Ok(());
        }
        let key = &taking.grant;
        let rows = self.ledger_rows(tenant, &key.customer)?;
        let row = row_of(&rows, key.offer, &key.occurrence);
        let row = row.ok_or_else(|| Error::Corrupt("a redemption has no grant".into()))?;
        let by_list = self.ended_by_list(tenant, &key.customer, row)?;
        let span = self.span_of(tenant, row.window)?;
        let span = Span::new(span.starts_at, span.ends_at, by_list);
        let grant = note(&key.customer, row, row.window, span, |_| Tells::default());
        self.note_use(tenant, &grant, kind, &taking.id)
    }

    /// Writes down what is told of the grants of a block whose windows are about to take other instants: before and
    /// after, by number.
    pub fn note_moved_windows(
        &mut self,
        tenant: i64,
        block: i64,
        spans: &HashMap<u32, (Span, Span)>,
    ) -> Result<(), Error> {
        let Some(block) = self.grant_block(tenant, block)? else {
            return Ok(());
        };
        let told: Vec<_> = block
            .notes
            .iter()
            .filter(|note| spans.contains_key(&note.window))
            .collect();
        let customers: Vec<_> = told.iter().map(|note| &*note.customer).collect();
        let rows = self.ledger_rows_of(tenant, &customers)?;
        let (now, mut notes) = (self.now_ms(), Vec::new());
        for (told, rows) in told.into_iter().zip(rows) {
            let row = row_of(&rows, told.offer, &told.occurrence);
            // Another window by now: what is told of that comes from the block that moved it.
            let Some(row) = row.filter(|row| row.window == told.window) else {
                continue;
            };
            let by_list = self.ended_by_list(tenant, &told.customer, row)?;
            let (before, after) = spans[&row.window];
            let cut = |span: Span| Span::new(span.starts_at, span.ends_at, by_list);
            notes.push(note(&told.customer, row, row.window, cut(after), |span| {
                tells(Some(cut(before)), span, now)
            }));
        }
        self.note(tenant, &notes, Moves::Yes)
    }

    /// Pages of clearance rounds: nobody hears of their grants. Page 0 is one where there are rounds: an approval that
    /// Optimove refused.
    fn untold_pages(&mut self, tenant: i64, campaign: i64) -> Result<Vec<u32>, Error> {
        let pages = self.landed_pages(tenant, campaign)?;
        let of_rounds = pages.iter().filter(|page| page.channel < 0);
        let mut untold: Vec<_> = of_rounds.map(|page| page.page).collect();
        if !untold.is_empty() {
            untold.push(0);
        }
        Ok(untold)
    }

    fn ended_by_list(
        &mut self,
        tenant: i64,
        customer: &str,
        row: &LedgerRow,
    ) -> Result<Option<i64>, Error> {
        let ends = self.grant_ends(tenant, customer)?;
        let own = ends
            .iter()
            .find(|end| end.offer == row.offer && end.occurrence == row.occurrence);
        Ok(own.map(|end| end.ended_at))
    }
}

fn row_of<'r>(rows: &'r [LedgerRow], offer: u32, occurrence: &str) -> Option<&'r LedgerRow> {
    rows.iter()
        .find(|row| row.offer == offer && row.occurrence == occurrence)
}

fn note(
    customer: &str,
    row: &LedgerRow,
    window: u32,
    span: Span,
    tells: impl Fn(Span) -> Tells,
) -> Note {
    Note {
        customer: customer.to_owned(),
        offer: row.offer,
        occurrence: row.occurrence.clone(),
        window,
        span,
        code: row.code,
        tells: tells(span),
    }
}
