//! Reading one channel's list: while one page is written, the next is read and the one after it fetched.

use std::collections::HashSet;
use std::time::Duration as Wait;

use bestow_core::{CampaignKind, Duration, HoldReason, LeadTime};
use bestow_store::campaigns::Campaign;
use bestow_store::imports::{Import, LandingPage};
use bestow_store::ranges::Range;
use bestow_store::{Error as StoreError, correlation};
use optimove::client::PagedList;
use optimove::page::{Next, Paging};
use optimove::wire::Page;
use sha2::{Digest, Sha256};
use tokio::task::{JoinError, JoinHandle};

use super::Work;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ingest::page::{CampaignCode, PageReader, ReadPage, Terms};
use crate::service::exclusions::refuse_excluded;
use crate::service::release::hold_reason;

/// A page on its way.
type Fetch = JoinHandle<std::result::Result<Page, optimove::Error>>;

/// Reads from the page cursor to the end of the list, or until told to stop. The import is `read` or `held` then, or
/// stands where somebody can go on.
pub(crate) async fn pass(work: &Work<'_>, campaign: &Campaign, import: &Import) -> Result<()> {
    match part(work, campaign, import, None).await? {
        Reached::End { .. } => work.end_pass(campaign.no, import.channel).await,
        Reached::Stop => Ok(()),
    }
}

/// Reads a list, or a range of it, from where it stands. What holds the import has held it when this says
/// [`Reached::Stop`].
pub(super) async fn part(
    work: &Work<'_>,
    campaign: &Campaign,
    import: &Import,
    range: Option<&Range>,
) -> Result<Reached> {
    match pages(work, campaign, import, range).await {
        Err(Error::Optimove(error)) => match why_held(&error, work) {
            Some(reason) => {
                work.hold(campaign, import.channel, reason).await?;
                Ok(Reached::Stop)
            }
            None => Err(error.into()),
        },
        reached => reached,
    }
}

async fn pages(
    work: &Work<'_>,
    campaign: &Campaign,
    import: &Import,
    range: Option<&Range>,
) -> Result<Reached> {
    let mut reading = Reading::new(work, campaign, import, range)?;
    let read = reading.read_on().await;
    // Whatever ended the reading: the page that is being written is settled before anybody decides what comes next.
    let written = reading.written().await;
    let reached = read?;
    written.map(|()| reached)
}

/// How far a reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The end of the list, or of the range.
    End {
        /// The rows before it.
        skip: u64,
    },
    /// Only the point where it was told to stop.
    Stop,
}

/// What holds an import at once or after enough tries; `None`: worth another try.
fn why_held(error: &optimove::Error, work: &Work<'_>) -> Option<HoldReason> {
    use optimove::Error as E;
    match error {
        E::NoProgress { .. } => Some(HoldReason::RepeatedPage),
        E::OtherCampaign => Some(HoldReason::CampaignMismatch),
        E::TooLarge { .. } => Some(HoldReason::UnreadablePage),
        E::Malformed { .. } if work.gives_up() => Some(HoldReason::UnreadablePage),
        E::BadRequest { .. } | E::NotFound { .. } | E::Refused { .. } if work.gives_up() => {
            Some(HoldReason::GaveUp)
        }
        _ => None,
    }
}

impl Work<'_> {
    /// Whether tries without progress are enough for an answer that a further try will hardly mend.
    pub(super) fn gives_up(&self) -> bool {
        self.job.attempts >= self.app.config.work.malformed_tries_max
    }
}

/// The reading of one list.
struct Reading<'a> {
    work: &'a Work<'a>,
    campaign: &'a Campaign,
    import: &'a Import,
    /// What is read of the list, if not all of it.
    range: Option<&'a Range>,
    /// Taken while a page is being read on another thread.
    reader: Option<PageReader>,
    /// `offer.no` of each place in the reader's list of codes; likewise windows.
    offers: Vec<u32>,
    windows: Vec<u32>,
    /// The page that is being written.
    writing: Option<JoinHandle<std::result::Result<(), StoreError>>>,
}

impl<'a> Reading<'a> {
    fn new(
        work: &'a Work<'a>,
        campaign: &'a Campaign,
        import: &'a Import,
        range: Option<&'a Range>,
    ) -> Result<Self> {
        let held = |what: &str| Error::invalid("no_terms", format!("the campaign has no {what}"));
        let days = campaign.duration_days.ok_or_else(|| held("duration"))?;
        let lead = campaign.lead_time_days.ok_or_else(|| held("lead time"))?;
        let terms = Terms {
            zone: work.tenant.zone.clone(),
            lead: LeadTime::from_days(lead).map_err(|e| held(&e.to_string()))?,
            duration: Duration::from_days(days).map_err(|e| held(&e.to_string()))?,
            expiry: work.tenant.expiry(),
            codes_max: work.tenant.settings.codes_per_row_max,
            estimate: work.estimate,
        };
        let known = work.app.store.peek(|tx| tx.known_codes(work.job.tenant))?;
        let known: HashSet<String> = known.into_iter().collect();
        let reader = Some(PageReader::new(terms, import.channel, known));
        Ok(Self {
            work,
            campaign,
            import,
            range,
            reader,
            offers: Vec::new(),
            windows: Vec::new(),
            writing: None,
        })
    }

    /// Reads from the page cursor on. The last page may still be being written afterwards.
    async fn read_on(&mut self) -> Result<Reached> {
        let work = self.work;
        let skip = self.range.map_or(self.import.skip, |range| range.skip);
        if self.rows_from(skip) == 0 {
            return Ok(Reached::End { skip });
        }
        let mut paging = Paging::resume(self.rows_from(skip), skip);
        let mut fetch = Some(self.fetch(paging.top(), paging.skip()));
        while let Some(coming) = fetch.take() {
            if work.stop.is_cancelled() {
                coming.abort();
                return Ok(Reached::Stop);
            }
            let page = coming.await.map_err(|error| crashed(&error))??;
            let skip = paging.skip();
            let next = paging
                .on_page(page.len(), page.digest())
                .map_err(|error| optimove::Error::NoProgress { skip: error.skip })?;
            fetch = match next {
                Next::Fetch { skip, .. } if self.rows_from(skip) == 0 => None,
                Next::Fetch { skip, .. } if self.rows_from(skip) < paging.top() => {
                    // The rest of the range is less than a page.
                    paging = Paging::resume(self.rows_from(skip), skip);
                    Some(self.fetch(paging.top(), skip))
                }
                Next::Fetch { top, skip } => Some(self.fetch(top, skip)),
                // As many rows as the campaign says it has customers: this is the end.
                Next::FetchAfterWait { skip, .. } if self.campaign.expected_size == Some(skip) => {
                    None
                }
                Next::FetchAfterWait { top, skip } => {
                    let wait = Wait::from_millis(work.app.config.work.empty_answer_wait_ms);
                    tokio::time::sleep(wait).await;
                    Some(self.fetch(top, skip))
                }
                Next::End => None,
            };
            if !page.is_empty() {
                self.land(page, skip).await?;
            }
        }
        Ok(Reached::End {
            skip: paging.skip(),
        })
    }

    /// How many rows to ask for in the page behind `skip`; 0 at the end of a range.
    fn rows_from(&self, skip: u64) -> u32 {
        let until = self.range.and_then(|range| range.until);
        let left = until.map_or(u64::MAX, |until| until.saturating_sub(skip));
        u32::try_from(left).map_or(self.import.page_rows, |left| {
            left.min(self.import.page_rows)
        })
    }

    fn fetch(&self, top: u32, skip: u64) -> Fetch {
        let client = self.work.client.clone();
        let campaign_id = self.campaign.id.clone();
        let list = match self.import.channel {
            ..0 => PagedList::Processed { campaign_id },
            channel => PagedList::Execution {
                campaign_id,
                channel_id: (channel != 0).then_some(channel),
            },
        };
        tokio::spawn(async move { client.page(&list, top, skip).await })
    }

    async fn land(&mut self, page: Page, skip: u64) -> Result<()> {
        let mut reader = self.reader.take().ok_or(Error::NotFound("page reader"))?;
        // A page is milliseconds of work: not on the threads that answer requests.
        let (reader, read, digest) = tokio::task::spawn_blocking(move || {
            let read = reader.read(&page);
            let digest = Sha256::digest(page.body()).to_vec();
            (
                reader,
                read.map_err(|e| optimove::Error::malformed(e, page.body().as_bytes())),
                digest,
            )
        })
        .await
        .map_err(|error| crashed(&error))?;
        self.number(&reader).await?;
        self.reader = Some(reader);
        self.write(read?, digest, skip).await
    }

    /// Gives codes and windows that are new their numbers, before rows refer to them.
    async fn number(&mut self, reader: &PageReader) -> Result<()> {
        let codes = reader.codes()[self.offers.len()..].to_vec();
        let windows = reader.windows()[self.windows.len()..].to_vec();
        if codes.is_empty() && windows.is_empty() {
            return Ok(());
        }
        let (tenant, campaign) = (self.work.job.tenant, self.campaign.no);
        let (offers, windows) = self
            .work
            .app
            .tx("number_terms", move |tx| {
                let mut offers = Vec::with_capacity(codes.len());
                for code in &codes {
                    let known = tx.promotion(tenant, &code.fold)?;
                    let hold = hold_reason(known.as_ref().map(|known| known.status.as_str()));
                    let why = hold.map(HoldReason::as_str);
                    let CampaignCode { fold, spelling } = code;
                    let offer = tx.offer_for(tenant, campaign, fold, spelling, why)?;
                    offers.push(offer.no);
                }
                let mut numbers = Vec::with_capacity(windows.len());
                for spec in &windows {
                    numbers.push(tx.window_for(tenant, campaign, spec)?);
                }
                Ok::<_, StoreError>((offers, numbers))
            })
            .await?;
        self.offers.extend(offers);
        self.windows.extend(windows);
        Ok(())
    }

    async fn write(&mut self, read: ReadPage, digest: Vec<u8>, skip: u64) -> Result<()> {
        let ReadPage {
            mut landing,
            rows,
            rows_without_code,
            pairs,
            held,
        } = read;
        let (offers, windows) = (self.offers.clone(), self.windows.clone());
        let (store, tenant) = (self.work.app.store.clone(), self.work.job.tenant);
        // Whoever is to be cleared is looked up when that is decided, and was sent to by that decision.
        let codes = (!self.campaign.is(CampaignKind::Conditional)).then(|| self.codes());
        let (blocks, customers) = tokio::task::spawn_blocking(move || {
            if let Some(codes) = codes {
                refuse_excluded(&store, tenant, &mut landing, &codes)?;
            }
            landing.renumber(&offers, &windows);
            Ok::<_, StoreError>(landing.pack())
        })
        .await
        .map_err(|error| crashed(&error))??;
        let landing = LandingPage {
            channel: self.import.channel,
            pass: self.import.pass,
            skip,
            rows,
            rows_without_code,
            pairs,
            customers,
            digest,
            blocks,
            held,
        };
        self.written().await?;
        self.writing = Some(tokio::spawn(correlation::kept(
            correlation::current(),
            self.commit(landing),
        )));
        Ok(())
    }

    /// The codes (folded) that were met so far, each with its offer.
    fn codes(&self) -> Vec<(String, u32)> {
        let codes = self.reader.as_ref().map(PageReader::codes);
        let codes = codes.unwrap_or_default().iter();
        codes
            .map(|code| code.fold.clone())
            .zip(self.offers.iter().copied())
            .collect()
    }

    /// Waits until the page that is being written is durable.
    async fn written(&mut self) -> Result<()> {
        match self.writing.take() {
            Some(writing) => Ok(writing.await.map_err(|error| crashed(&error))??),
            None => Ok(()),
        }
    }

    /// Makes a page durable and tells whoever watches.
    fn commit(
        &self,
        landing: LandingPage,
    ) -> impl Future<Output = std::result::Result<(), StoreError>> + use<> {
        let (store, events) = (self.work.app.store.clone(), self.work.app.events.clone());
        let (job, campaign, lease_ms) = (
            self.work.job.clone(),
            self.campaign.no,
            self.work.lease_ms(),
        );
        let first = self.range.map(|range| range.first);
        let landed = Event::PageLanded {
            tenant: self.work.tenant.id().to_owned(),
            campaign: self.campaign.id.clone(),
            channel: self.import.channel,
            rows: landing.skip + landing.rows,
        };
        async move {
            store
                .bulk("land_page", move |tx| match first {
                    Some(first) => tx.land_page_of_range(&job, campaign, first, &landing, lease_ms),
                    None => tx.land_page(&job, campaign, &landing, lease_ms),
                })
                .await
                .map(|_: Option<u32>| ())
                .inspect(|()| {
                    // Nobody watching is fine.
                    let _ = events.send(landed);
                })
        }
    }
}

/// A task of ours that panicked or was torn down: this try ends, another goes on from what is durable.
fn crashed(error: &JoinError) -> Error {
    Error::Store(StoreError::Unavailable(format!(
        "a task ended early: {error}"
    )))
}
