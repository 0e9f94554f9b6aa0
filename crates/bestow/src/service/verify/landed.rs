//! One campaign, derived again from its landed rows and compared with its grants and counts.
//!
//! The derivation shares the marks of landed rows with the import, and nothing else: it is the
//! second opinion.

mod facts;

use std::collections::HashSet;
use std::thread;

use bestow_core::HoldReason;
use bestow_core::import::Disposition;
use bestow_store::Error as StoreError;
use bestow_store::campaigns::Campaign;
use bestow_store::grants::LedgerRow;
use bestow_store::holders::{HolderGroup, Holders};
use bestow_store::runs::{Group, GroupEntry, Runs};
use bestow_store::verify::Violation;

use facts::Facts;

use super::beside;
use super::tally::Tally;
use crate::app::App;
use crate::error::Result;
use crate::ingest::mark;

/// Times a campaign that changes meanwhile is looked at again; after that it is left to a later
/// run.
const LOOKS_MAX: u32 = 3;
/// Stretches of customers looked at beside each other, at most.
const STRETCHES_MAX: usize = 4;
/// Violations of one kind of rule told of one campaign.
const TOLD_MAX: usize = 100;

/// Checks a campaign. One that is in the middle of a merge, or keeps changing, is left to a later
/// run.
pub(super) fn check(app: &App, tenant: i64, campaign: Campaign) -> Result<Vec<Violation>> {
    let mut campaign = campaign;
    for _ in 0..LOOKS_MAX {
        if campaign.merge_to.is_some() || campaign.merged_through == 0 {
            return Ok(Vec::new());
        }
        let facts = Facts::read(app, tenant, campaign.clone())?;
        let derived = Derivation::run(app, tenant, &facts)?;
        let again = app.store.read(|tx| {
            let counts = tx.counts(tenant, campaign.no)?;
            Ok::<_, StoreError>((tx.campaign_by_no(tenant, campaign.no)?, counts))
        })?;
        match again {
            (Some(now), counts) if now == campaign && counts == facts.counts => {
                return Ok(derived.violations(&facts));
            }
            (Some(now), _) => campaign = now,
            (None, _) => return Ok(Vec::new()),
        }
    }
    Ok(Vec::new())
}

/// What the landed rows say.
#[derive(Default)]
struct Derivation {
    tally: Tally,
    /// Grants of the ledger that some row asks for.
    found: u64,
    violations: Vec<Violation>,
    /// Violations beyond those kept.
    untold: u64,
}

/// All rows that bring one code to one customer with one mark.
struct Bundle<'g> {
    customer: &'g str,
    entries: &'g [GroupEntry],
    /// Pairs that were surely counted.
    counted: u64,
    /// Pairs that may have been counted beside: it depends on which pages were merged together.
    uncertain: u64,
}

impl Derivation {
    /// Of all customers: stretches of them beside each other, where there are many.
    fn run(app: &App, tenant: i64, facts: &Facts) -> Result<Self> {
        let Campaign {
            no, merged_through, ..
        } = facts.campaign;
        let stretches = thread::available_parallelism().map_or(1, usize::from);
        let ends = app
            .store
            .peek(|tx| tx.stretches(tenant, no, merged_through, stretches.min(STRETCHES_MAX)))?;
        let ends: Vec<_> = ends.iter().map(String::as_str).collect();
        let after = std::iter::once(None).chain(ends.iter().copied().map(Some));
        let through = ends.iter().copied().map(Some).chain(std::iter::once(None));
        let mut derived = Self {
            tally: facts.nobody.clone(),
            ..Self::default()
        };
        thread::scope(|scope| {
            let started: Vec<_> = after
                .zip(through)
                .map(|stretch| scope.spawn(move || Self::of_stretch(app, tenant, facts, stretch)))
                .collect();
            for thread in started {
                derived.add(beside::joined(thread)??);
            }
            Ok(derived)
        })
    }

    /// Of the customers (folded) behind the first and up to the second.
    fn of_stretch(
        app: &App,
        tenant: i64,
        facts: &Facts,
        (after, through): (Option<&str>, Option<&str>),
    ) -> Result<Self> {
        let Campaign {
            no, merged_through, ..
        } = facts.campaign;
        let mut derived = Self::default();
        let runs = Runs::open(&app.store, tenant, no, merged_through, after)?;
        let mut holders = Holders::over(&app.store, tenant, runs, |_| true);
        let mut found = HolderGroup::default();
        while holders.next_group(&mut found)?
            && through.is_none_or(|through| found.group.fold() <= through)
        {
            derived.take(app, tenant, facts, &found)?;
        }
        Ok(derived)
    }

    fn add(&mut self, other: Self) {
        self.tally.add_all(&other.tally);
        self.found += other.found;
        self.untold += other.untold;
        let room = TOLD_MAX.saturating_sub(self.violations.len());
        self.untold += other.violations.len().saturating_sub(room) as u64;
        self.violations
            .extend(other.violations.into_iter().take(room));
    }

    fn take(&mut self, app: &App, tenant: i64, facts: &Facts, ledger: &HolderGroup) -> Result<()> {
        let bundles = bundles(facts, &ledger.group);
        self.count_rows(facts, &bundles);
        for bundle in &bundles {
            match mark::disposition(bundle.entries[0].mark) {
                Disposition::NoCode => self.count("rows_without_code", bundle),
                Disposition::Refused(reason) => {
                    self.count("pairs", bundle);
                    self.count(&format!("refused:{reason}"), bundle);
                }
                Disposition::Held(reason) => {
                    self.count("pairs", bundle);
                    self.count(&format!("held:{reason}"), bundle);
                }
                Disposition::Grant | Disposition::Repeat => {
                    self.count("pairs", bundle);
                    self.expect_grant((app, tenant), facts, bundle, ledger)?;
                }
            }
        }
        Ok(())
    }

    /// A pair that is to be granted: it is in the ledger with the right window, or held for a
    /// reason.
    fn expect_grant(
        &mut self,
        (app, tenant): (&App, i64),
        facts: &Facts,
        bundle: &Bundle<'_>,
        ledger: &HolderGroup,
    ) -> Result<()> {
        let offer = bundle.entries[0].offer;
        let rows = ledger.rows(bundle.customer);
        if let Some(row) = rows
            .iter()
            .find(|row| row.offer == offer && row.occurrence.is_empty())
        {
            self.found += 1;
            self.tally.add("granted", 1);
            self.check_window(facts, bundle, row);
            return Ok(());
        }
        if facts.waits(app, tenant, bundle.customer, offer)? {
            self.count(&format!("held:{}", HoldReason::NoFreeCode), bundle);
            return Ok(());
        }
        if let Some(Some(reason)) = facts.offers.get(&offer) {
            self.count(&format!("held:{reason}"), bundle);
            return Ok(());
        }
        let pairs = bundle.counted + bundle.uncertain;
        // Who waits for a code has their place in the campaign as by a grant.
        let has_other = |customer: &str, rows: &[LedgerRow]| {
            let is_granted = rows.iter().any(|row| facts.offers.contains_key(&row.offer));
            Ok::<_, StoreError>(is_granted || facts.waits_for_any(app, tenant, customer)?)
        };
        let mut others = ledger
            .holders()
            .filter(|(customer, _)| *customer != bundle.customer);
        if others.try_fold(false, |found, (customer, rows)| {
            Ok::<_, StoreError>(found || has_other(customer, rows)?)
        })? {
            // Held under the name of a customer whose id is nearly the same, since it came or since
            // its code was released.
            for reason in [
                "near_equal_customer_id",
                "unknown_code",
                "inactive_promotion",
                "promotion_stopped",
            ] {
                self.tally.allow(&format!("held:{reason}"), pairs);
            }
        } else if has_other(bundle.customer, rows)? && facts.stored("held:too_many_codes") > 0 {
            self.tally.allow("held:too_many_codes", pairs);
        } else {
            let detail = format!("offer {offer} was to be granted and is not in the ledger");
            self.violate(
                "grant_missing",
                format!("customer {}", bundle.customer),
                detail,
            );
        }
        Ok(())
    }

    fn check_window(&mut self, facts: &Facts, bundle: &Bundle<'_>, row: &LedgerRow) {
        let specs = bundle
            .entries
            .iter()
            .filter_map(|entry| facts.windows.get(&entry.window));
        let Some(rows) = specs
            .map(|spec| (spec.starts_at, spec.ends_at))
            .reduce(union)
        else {
            let detail = format!("offer {}: none of its rows has a window", row.offer);
            return self.violate("window_is_known", customer(bundle), detail);
        };
        let Some(kept) = facts.windows.get(&row.window) else {
            let detail = format!(
                "offer {}: window {} is not the campaign's",
                row.offer, row.window
            );
            return self.violate("window_is_known", customer(bundle), detail);
        };
        let kept = (kept.starts_at, kept.ends_at);
        let is_right = if facts.was_confirmed {
            union(kept, rows) == kept
        } else {
            kept == rows || facts.was_moved && is_near(kept, rows)
        };
        if !is_right {
            let detail = format!(
                "offer {}: {kept:?} in the ledger, {rows:?} by its rows",
                row.offer
            );
            self.violate("window_spans_rows", customer(bundle), detail);
        }
    }

    fn count_rows(&mut self, facts: &Facts, bundles: &[Bundle<'_>]) {
        let (mut sure, mut perhaps) = (HashSet::new(), HashSet::new());
        for bundle in bundles {
            let is_first_pass = |entry: &&GroupEntry| !facts.confirming.contains(&entry.page);
            let mut place = |entry: &GroupEntry| sure.insert((entry.page, entry.row));
            let first = bundle
                .entries
                .iter()
                .min_by_key(|entry| (entry.page, entry.row));
            if bundle.entries.iter().any(|entry| is_first_pass(&entry)) {
                bundle
                    .entries
                    .iter()
                    .filter(is_first_pass)
                    .for_each(|entry| {
                        place(entry);
                    });
                if bundle.uncertain > 0 {
                    perhaps.extend(first.map(|entry| (entry.page, entry.row)));
                }
            } else if let Some(first) = first {
                place(first);
            }
        }
        self.tally.add("rows", sure.len() as u64);
        self.tally
            .allow("rows", perhaps.difference(&sure).count() as u64);
    }

    fn count(&mut self, counter: &str, bundle: &Bundle<'_>) {
        self.tally.add(counter, bundle.counted);
        self.tally.allow(counter, bundle.uncertain);
    }

    fn violate(&mut self, rule: &'static str, object: String, detail: String) {
        if self.violations.len() < TOLD_MAX {
            self.violations.push(Violation {
                rule,
                object,
                detail,
            });
        } else {
            self.untold += 1;
        }
    }

    /// What is broken, the recounts last.
    fn violations(mut self, facts: &Facts) -> Vec<Violation> {
        let campaign = format!("campaign {}", facts.campaign.id);
        let granted = facts.stored("granted");
        if granted > self.found as i64 {
            let without = granted - self.found as i64;
            let detail = format!("{without} grants that none of its rows asks for");
            self.violate("grant_has_row", campaign.clone(), detail);
        }
        for (counter, stored) in &facts.counts {
            // What repeats is what is left over: that everything adds up is checked elsewhere.
            if counter == "repeated" {
                continue;
            }
            if !self.tally.fits(counter, *stored) {
                let derived = self.tally.range(counter);
                let detail = format!("{counter}: {stored} counted, {derived} by its rows");
                self.violate("recount_agrees", campaign.clone(), detail);
            }
        }
        for counter in self.tally.counters() {
            let is_stored = facts.counts.iter().any(|(known, _)| *known == counter);
            if !is_stored && !self.tally.fits(&counter, 0) {
                let derived = self.tally.range(&counter);
                let detail = format!("{counter}: never counted, {derived} by its rows");
                self.violate("recount_agrees", campaign.clone(), detail);
            }
        }
        if self.untold > 0 {
            let detail = format!("{} more violations are not listed", self.untold);
            self.violations.push(Violation {
                rule: "more",
                object: campaign,
                detail,
            });
        }
        self.violations
    }
}

fn customer(bundle: &Bundle<'_>) -> String {
    format!("customer {}", bundle.customer)
}

/// Whether clocks that a government moved may be all that two spans differ by.
fn is_near(a: (i64, Option<i64>), b: (i64, Option<i64>)) -> bool {
    const DAY_MS: u64 = 86_400_000;
    let near = |a: i64, b: i64| a.abs_diff(b) <= DAY_MS;
    let ends = match (a.1, b.1) {
        (Some(a), Some(b)) => near(a, b),
        (a, b) => a == b,
    };
    near(a.0, b.0) && ends
}

/// The earliest start and the latest end; no end is the latest of all.
fn union(a: (i64, Option<i64>), b: (i64, Option<i64>)) -> (i64, Option<i64>) {
    (a.0.min(b.0), a.1.zip(b.1).map(|(a, b)| a.max(b)))
}

/// The bundles of a group, and how many pairs of each were counted: every row of a first pass is
/// one; of confirming passes only the first that brings what no first pass had.
fn bundles<'g>(facts: &Facts, group: &'g Group) -> Vec<Bundle<'g>> {
    let same = |a: &GroupEntry, b: &GroupEntry| {
        group.customer(a) == group.customer(b) && (a.offer, a.mark) == (b.offer, b.mark)
    };
    let bundle = |entries: &'g [GroupEntry]| {
        let (late, first): (Vec<u32>, Vec<u32>) = entries
            .iter()
            .map(|entry| entry.page)
            .partition(|page| facts.confirming.contains(page));
        let came_before = match (late.iter().min(), first.iter().min()) {
            (Some(late), Some(first)) => late < first,
            _ => false,
        };
        Bundle {
            customer: group.customer(&entries[0]),
            entries,
            counted: first.len().max(1) as u64,
            uncertain: u64::from(came_before),
        }
    };
    group.entries.chunk_by(same).map(bundle).collect()
}
