//! The cross-check: Optimove's list of cancelled customers beside our grants. The campaign is
//! revoked by then; a difference is told to people and changes nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bestow_core::code::codes_in_row;
use bestow_core::id::CustomerId;
use bestow_core::{ActionId, cancel::ListWindow};
use bestow_store::cancellations::{ListCounts, ListedPair};
use bestow_store::imports::Import;
use bestow_store::{Error as StoreError, Store};
use optimove::page::Paging;
use optimove::wire::{ExecutionRow, Page};

use super::{Check, DIFFERS, object};
use crate::error::{Error, Result};
use crate::service::notifications::seconds_ms;
use crate::work::run::Ended;

/// Distinct pairs that are told apart. Beyond it rows are counted and not compared.
const PAIRS_MAX: usize = 10_000_000;
/// How long an import under way is waited for before what is there is compared.
const IMPORT_WAIT_MS: i64 = 1_800_000;

impl Check<'_> {
    /// Reads the list whole and compares, once nothing is being imported any more.
    pub(super) async fn compare(&self) -> Result<Ended> {
        let importing = self.is_importing()?;
        let now = self.app.clock.now_ms();
        if importing && now - self.notified_at < IMPORT_WAIT_MS {
            return Ok(Ended::Again(
                now + seconds_ms(self.app.config.work.retry_max_seconds),
            ));
        }
        let mut list = Compared::new(self)?;
        let mut pages = self
            .client
            .pages(self.list(), Paging::new(self.page_rows()));
        let unread = loop {
            if self.stop.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            match pages.next().await {
                Ok(Some(page)) => list = list.take(page).await?,
                Ok(None) => break None,
                Err(error) => {
                    // What may pass is tried again while the list is there.
                    self.unreadable(error.clone())?;
                    break Some(error.to_string());
                }
            }
            let (job, lease_ms) = (self.job.clone(), self.lease_ms());
            self.app
                .tx("hold_cancel", move |tx| tx.hold_job(&job, lease_ms))
                .await?;
        };
        self.settle(list, importing, unread).await?;
        Ok(Ended::Done)
    }

    fn lease_ms(&self) -> i64 {
        seconds_ms(self.app.config.work.lease_seconds)
    }

    fn is_importing(&self) -> Result<bool> {
        let (tenant, no) = (self.job.tenant, self.campaign.no);
        let under_way = |import: &Import| matches!(&*import.state, "wanted" | "reading" | "read");
        let imports = self.app.store.peek(|tx| tx.imports(tenant, no))?;
        Ok(imports.iter().any(under_way))
    }

    async fn settle(&self, list: Compared, importing: bool, unread: Option<String>) -> Result<()> {
        let (job, no, object) = (
            self.job.clone(),
            self.campaign.no,
            object(&self.campaign.id),
        );
        let window = self.window();
        self.app
            .tx("settle_cancelled_list", move |tx| {
                let counts = list.counts(granted(&tx.counts(job.tenant, no)?));
                let gone = counts.rows == 0 && window == ListWindow::Over;
                let earlier = tx.cancellation(job.tenant, no)?.map(|notice| notice.counts);
                if let Some(earlier) = earlier.filter(|earlier| earlier.rows > 0)
                    && (gone || unread.is_some())
                {
                    // It was read before, and what that showed stands.
                    return tx.settle_cancellation(&job, no, earlier).map(drop);
                }
                if !tx.settle_cancellation(&job, no, counts)? {
                    return Ok(());
                }
                let told = match &unread {
                    Some(error) => Some(format!("could not be read to its end: {error}")),
                    None if gone => Some("was gone before it was read".to_owned()),
                    None if counts.not_ours + counts.not_listed > 0 => Some(differences(counts)),
                    None => None,
                };
                let Some(told) = told else {
                    return tx.resolve_finding(job.tenant, DIFFERS, &object);
                };
                let beside = if importing { IMPORTING } else { "" };
                let capped = if list.is_capped() { CAPPED } else { "" };
                let detail =
                    format!("Optimove's list of cancelled customers {told}{beside}{capped}");
                tx.find(job.tenant, DIFFERS, &object, &detail)
            })
            .await
    }
}

const IMPORTING: &str = "; the campaign was still being imported";
const CAPPED: &str = "; only its first 10 million pairs were compared";

fn differences(counts: ListCounts) -> String {
    format!(
        "has {} pairs without a grant here, and lacks {} grants; all grants of the campaign are \
         revoked",
        counts.not_ours, counts.not_listed
    )
}

/// Grants of the campaign, as counted when they were made.
fn granted(counts: &[(String, i64)]) -> u64 {
    let found = counts.iter().find(|(counter, _)| counter == "granted");
    found.map_or(0, |(_, n)| u64::try_from(*n).unwrap_or_default())
}

/// How far the list is compared. One number of 64 bits is kept for each pair, not the pair.
struct Compared {
    store: Store,
    tenant: i64,
    codes_max: usize,
    offers: HashMap<String, u32>,
    seen: HashSet<u64>,
    rows: u64,
    ours: u64,
}

impl Compared {
    fn new(check: &Check<'_>) -> Result<Self> {
        let (tenant, no) = (check.job.tenant, check.campaign.no);
        let offers = check.app.store.peek(|tx| tx.offers(tenant, no))?;
        Ok(Self {
            store: check.app.store.clone(),
            tenant,
            codes_max: check.tenant.settings.codes_per_row_max,
            offers: offers
                .into_iter()
                .map(|one| (one.code_fold, one.no))
                .collect(),
            seen: HashSet::new(),
            rows: 0,
            ours: 0,
        })
    }

    fn is_capped(&self) -> bool {
        self.seen.len() >= PAIRS_MAX
    }

    fn counts(&self, granted: u64) -> ListCounts {
        let listed = self.seen.len() as u64;
        ListCounts {
            rows: self.rows,
            listed,
            not_ours: listed - self.ours,
            not_listed: granted.saturating_sub(self.ours),
        }
    }

    /// Compares a page. Milliseconds of work: not on the threads that answer requests.
    async fn take(mut self, page: Page) -> Result<Self> {
        let taken = tokio::task::spawn_blocking(move || {
            let mut pairs = Vec::new();
            page.for_each(|row| self.pairs_of(&row, &mut pairs))
                .map_err(|e| optimove::Error::malformed(e, page.body().as_bytes()))?;
            pairs.sort_unstable();
            let tenant = self.tenant;
            self.ours += self.store.read(|tx| tx.pairs_granted(tenant, &pairs))?;
            Ok::<_, Error>(self)
        });
        let crashed = |e| StoreError::Unavailable(format!("a task ended early: {e}"));
        taken.await.map_err(crashed)?
    }

    /// The pairs of a row that were not met before and may be ours.
    fn pairs_of(&mut self, row: &ExecutionRow<'_>, pairs: &mut Vec<ListedPair>) {
        self.rows += 1;
        let customer = row.customer_id.as_deref().map(CustomerId::check);
        let is_control = row.action_id.map(ActionId) == Some(ActionId::CONTROL_GROUP);
        let Some(Ok(customer)) = customer.filter(|_| !is_control) else {
            return;
        };
        let texts = row.promo_code.texts();
        let codes = codes_in_row(texts, |fold| self.offers.contains_key(fold), self.codes_max);
        for code in codes.codes {
            let mut digest = DefaultHasher::new();
            (customer, code.fold()).hash(&mut digest);
            if self.is_capped() || !self.seen.insert(digest.finish()) {
                continue;
            }
            if let Some(offer) = self.offers.get(code.fold()) {
                pairs.push(ListedPair {
                    customer: customer.to_owned(),
                    offer: *offer,
                });
            }
        }
    }
}
