//! The decisions of one transaction: some customers of a round, one after the other, with what is left of everything.

use std::collections::{BTreeMap, HashMap};

use bestow_core::clearance::{CodeFacts, CustomerFacts, decide};
use bestow_core::import::Disposition;
use bestow_core::pool::Supply as Pool;
use bestow_core::promotion::Limits;
use bestow_core::trigger::{Standing, Supply};
use bestow_core::{HoldReason, PromotionStatus, RefuseReason};
use bestow_store::campaigns::Campaign;
use bestow_store::clearance::{Decided, Denial, Round};
use bestow_store::door::{Door, Gave, Promise};
use bestow_store::grants::LedgerRow;
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};

use crate::service::clearance::walk::Listed;
use crate::service::triggered::facts::{is_over, limits, promotion_status};

type Stored<T> = Result<T, StoreError>;

/// One offer, as the transaction finds it and as it is used up.
struct Code {
    fold: String,
    status: Option<PromotionStatus>,
    limits: Limits,
    by_all: u64,
    /// What unique codes are left; `None` for a shared one.
    pool: Option<Pool>,
    granted: i64,
}

/// Whether a customer's pairs are in the ledger already.
enum Before {
    /// An earlier round approved them, or they were sent.
    Decided,
    /// Not decided, or not reported by the round that did.
    Open,
}

/// The decisions of one transaction.
pub(super) struct Deciding<'t, 'c> {
    pub(super) tx: &'t mut Tx<'c>,
    tenant: i64,
    campaign: Campaign,
    pub(super) round: Round,
    /// All rounds by number.
    rounds: HashMap<i64, Round>,
    codes_max: usize,
    codes: HashMap<u32, Code>,
    /// Channel of a page.
    pages: HashMap<u32, i64>,
    has_exclusions: bool,
    has_denials: bool,
    door: Option<Door<'c>>,
    counts: BTreeMap<String, i64>,
    decided: Decided,
}

impl<'t, 'c> Deciding<'t, 'c> {
    /// `None` where nothing may be decided any more.
    pub(super) fn begin(
        tx: &'t mut Tx<'c>,
        job: &Job,
        campaign: i64,
        no: i64,
        codes_max: usize,
    ) -> Stored<Option<Self>> {
        let tenant = job.tenant;
        let found = tx.campaign_by_no(tenant, campaign)?;
        let rounds: HashMap<i64, Round> = tx
            .rounds(tenant, campaign)?
            .into_iter()
            .map(|round| (round.no, round))
            .collect();
        let (Some(campaign), Some(round)) = (found, rounds.get(&no).cloned()) else {
            return Err(StoreError::Corrupt(format!("no clearance round {no}")));
        };
        let is_stopped = campaign.suspended_at.is_some()
            || campaign.revoked_at.is_some()
            || tx.stop_of(tenant, campaign.no)?.is_some();
        if is_stopped || round.state != "deciding" {
            return Ok(None);
        }
        let pages = tx.landed_pages(tenant, campaign.no)?;
        Ok(Some(Self {
            has_exclusions: tx.has_exclusions(tenant)?,
            has_denials: tx.has_denials(tenant, campaign.no)?,
            door: Some(tx.open_silent_door(tenant)?),
            tx,
            tenant,
            campaign,
            round,
            rounds,
            codes_max,
            codes: HashMap::new(),
            pages: pages.into_iter().map(|p| (p.page, p.channel)).collect(),
            counts: BTreeMap::new(),
            decided: Decided::default(),
        }))
    }

    pub(super) fn customer(&mut self, listed: &Listed) -> Stored<()> {
        self.count("rows", listed.rows);
        self.count("rows_without_code", listed.rows_without_code);
        self.count("pairs", listed.pair_count);
        let rows = self.tx.ledger_rows(self.tenant, &listed.customer)?;
        let denial = if self.has_denials {
            let (tenant, campaign) = (self.tenant, self.campaign.no);
            self.tx.denial(tenant, campaign, &listed.customer)?
        } else {
            None
        };
        if let Some(reason) = denial.as_ref().and_then(refused_for_good) {
            self.count(&Disposition::Refused(reason).counter(), listed.pair_count);
            return Ok(());
        }
        if let Before::Decided = self.before(listed, &rows) {
            self.count_decided(listed, &rows);
            return Ok(());
        }
        match self.decide(listed, &rows)? {
            Ok(()) => self.approve(listed, &rows, denial.as_ref()),
            Err(disposition) => self.deny(listed, disposition, denial.as_ref()),
        }
    }

    /// Whether a customer is decided already: sent to, or approved by a round that told Optimove.
    fn before(&self, listed: &Listed, rows: &[LedgerRow]) -> Before {
        let fold = listed.fold();
        let is_decided = |row: &LedgerRow| {
            let channel = self.pages.get(&row.page).copied();
            match channel {
                Some(channel) if channel >= 0 => true,
                Some(channel) => self.rounds.get(&-channel).is_some_and(|round| {
                    let reported = round.reported_through.as_deref();
                    reported.is_some_and(|through| fold.as_str() <= through)
                }),
                None => false,
            }
        };
        let mut own = listed.pairs.iter().filter_map(|pair| own(rows, pair.offer));
        if own.any(is_decided) {
            Before::Decided
        } else {
            Before::Open
        }
    }

    /// Pairs that are granted repeat their grant; others come too late for a customer who is decided.
    fn count_decided(&mut self, listed: &Listed, rows: &[LedgerRow]) {
        let mut left = listed.pair_count;
        for pair in &listed.pairs {
            if own(rows, pair.offer).is_some() {
                self.count("repeated", pair.counted);
                left -= pair.counted;
            }
        }
        let too_late = Disposition::Refused(RefuseReason::PastClearance);
        self.count(&too_late.counter(), left);
    }

    fn decide(&mut self, listed: &Listed, rows: &[LedgerRow]) -> Stored<Result<(), Disposition>> {
        let excluded_from = if self.has_exclusions {
            self.tx.excluded_from(self.tenant, &listed.customer)?
        } else {
            Vec::new()
        };
        let mut codes = Vec::with_capacity(listed.pairs.len());
        for pair in &listed.pairs {
            let mut facts = self.code_facts(&listed.customer, pair.offer, rows)?;
            if excluded_from.contains(&self.codes[&pair.offer].fold) {
                facts.standing = Standing::Excluded;
            }
            codes.push(facts);
        }
        let is_excluded = excluded_from.iter().any(String::is_empty);
        Ok(decide(&CustomerFacts {
            spelling: listed.spelling,
            standing: if is_excluded {
                Standing::Excluded
            } else {
                Standing::Welcome
            },
            against: listed.against,
            codes: &codes,
            codes_max: self.codes_max,
            word: listed.word,
        }))
    }

    fn code_facts(&mut self, customer: &str, offer: u32, rows: &[LedgerRow]) -> Stored<CodeFacts> {
        self.load(offer)?;
        let code = &self.codes[&offer];
        // Most customers have nothing yet, or the promotion does not ask.
        let by_customer = match code.limits.per_customer {
            Some(_) if !rows.is_empty() => {
                let now = self.tx.now_ms();
                let grants = self.tx.grants_for_code(self.tenant, customer, &code.fold)?;
                let others = grants.iter().filter(|grant| {
                    grant.campaign != self.campaign.id && !is_over(grant, customer, now)
                });
                others.count() as u64
            }
            _ => 0,
        };
        let is_dry = code.pool.as_ref().is_some_and(|pool| pool.peek().is_none());
        Ok(CodeFacts {
            status: code.status,
            limits: code.limits,
            by_customer,
            by_all: code.by_all,
            supply: if is_dry { Supply::Empty } else { Supply::Ready },
            is_granted: own(rows, offer).is_some(),
            standing: Standing::Welcome,
        })
    }

    fn load(&mut self, offer: u32) -> Stored<()> {
        if self.codes.contains_key(&offer) {
            return Ok(());
        }
        let facts = self.tx.offer_facts(self.tenant, offer)?;
        let facts = facts.ok_or_else(|| StoreError::Corrupt(format!("no offer {offer}")))?;
        let fold = facts.code_fold;
        let promotion = self.tx.promotion(self.tenant, &fold)?;
        let (status, limits) = match &promotion {
            Some(known) => (Some(promotion_status(known)?), limits(known)?),
            None => (None, Limits::default()),
        };
        if status.is_some_and(|status| status.grantable().is_ok()) {
            self.tx.let_offer_grant(self.tenant, offer)?;
        }
        let taken = self.tx.taken(self.tenant, &fold)?;
        let code = Code {
            pool: self.tx.supply(self.tenant, &fold)?,
            by_all: taken.granted + taken.reserved,
            granted: 0,
            status,
            limits,
            fold,
        };
        self.codes.insert(offer, code);
        Ok(())
    }

    fn approve(
        &mut self,
        listed: &Listed,
        rows: &[LedgerRow],
        denial: Option<&Denial>,
    ) -> Stored<()> {
        for pair in &listed.pairs {
            let promise = Promise {
                customer: &listed.customer,
                offer: pair.offer,
                occurrence: "",
                window: pair.window,
                page: pair.page,
            };
            if own(rows, pair.offer).is_some() {
                // From now on its clearance is this round's.
                self.tx.move_grant(self.tenant, &promise)?;
                self.count("repeated", pair.counted);
                continue;
            }
            self.give(&promise)?;
            self.count("granted", 1);
            self.count("repeated", pair.counted - 1);
        }
        if let Some(denial) = denial {
            // Its pairs were held; they are those that are granted now.
            self.tx
                .drop_denial(self.tenant, self.campaign.no, &listed.customer)?;
            self.count_back(denial);
            *self.counts.entry("repeated".to_owned()).or_default() += denial.pairs;
        }
        self.decided.approved += 1;
        Ok(())
    }

    fn give(&mut self, promise: &Promise<'_>) -> Stored<()> {
        let mut door = self.door.take().ok_or_else(no_door)?;
        let gave = door.give(self.tx, promise);
        self.door = Some(door);
        match gave? {
            Gave::New => {}
            Gave::Known | Gave::NoFreeCode => {
                let what = "a grant was to be made that is there, or a code taken that is not";
                return Err(StoreError::Corrupt(what.into()));
            }
        }
        if let Some(code) = self.codes.get_mut(&promise.offer) {
            code.by_all += 1;
            code.granted += 1;
            if let Some(pool) = &mut code.pool {
                pool.take();
            }
        }
        Ok(())
    }

    fn deny(
        &mut self,
        listed: &Listed,
        disposition: Disposition,
        before: Option<&Denial>,
    ) -> Stored<()> {
        let counter = disposition.counter();
        self.count(&counter, listed.pair_count);
        let mut pairs = listed.pair_count as i64;
        if let Some(before) = before {
            self.count_back(before);
            *self.counts.entry(counter).or_default() += before.pairs;
            pairs += before.pairs;
        }
        let reason = match disposition {
            Disposition::Held(reason) => reason.as_str(),
            Disposition::Refused(reason) => reason.as_str(),
            Disposition::Grant | Disposition::Repeat | Disposition::NoCode => {
                RefuseReason::NotApproved.as_str()
            }
        };
        self.tx.put_denial(
            self.tenant,
            self.campaign.no,
            &Denial {
                customer: listed.customer.clone(),
                round: self.round.no,
                reason: reason.to_owned(),
                pairs,
            },
        )?;
        self.decided.denied += 1;
        Ok(())
    }

    /// Pairs that were held by an earlier round are counted as what they are now.
    fn count_back(&mut self, denial: &Denial) {
        let held = format!("held:{}", denial.reason);
        *self.counts.entry(held).or_default() -= denial.pairs;
    }

    fn count(&mut self, counter: &str, n: u64) {
        if n > 0 {
            *self.counts.entry(counter.to_owned()).or_default() += n as i64;
        }
    }

    /// Writes what all of it comes to, and moves the cursor.
    pub(super) fn finish(mut self, through: &str) -> Stored<()> {
        let door = self.door.take().ok_or_else(no_door)?;
        self.tx.close_door(door)?;
        for code in self.codes.values().filter(|code| code.granted > 0) {
            self.tx.take(self.tenant, &code.fold, code.granted, 0)?;
        }
        let counts: Vec<(String, i64)> = std::mem::take(&mut self.counts).into_iter().collect();
        self.tx.add_counts(self.tenant, self.campaign.no, &counts)?;
        through.clone_into(&mut self.decided.through);
        let (campaign, no) = (self.campaign.no, self.round.no);
        if self
            .tx
            .move_decided(self.tenant, campaign, no, &self.decided)?
        {
            Ok(())
        } else {
            let what = format!("clearance round {no} was decided twice");
            Err(StoreError::Corrupt(what))
        }
    }
}

fn no_door() -> StoreError {
    StoreError::Corrupt("the ledger's door is closed".into())
}

/// The grant of this campaign for an offer.
fn own(rows: &[LedgerRow], offer: u32) -> Option<&LedgerRow> {
    rows.iter()
        .find(|row| row.offer == offer && row.occurrence.is_empty())
}

/// What a customer was refused for; whoever was only held is decided anew.
fn refused_for_good(denial: &Denial) -> Option<RefuseReason> {
    match HoldReason::parse(&denial.reason) {
        Ok(_) => None,
        Err(_) => Some(RefuseReason::parse(&denial.reason).unwrap_or(RefuseReason::NotApproved)),
    }
}
