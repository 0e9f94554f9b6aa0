//! Optimove's daily list of ended actions (`GetCustomersActionEndedByDate`), for tenants whose grants
//! end by it.
//!
//! Each day's list is read after event 3, by the clock where that does not come, and once more when
//! the day is over, since it may grow. Days on which nobody read are caught up. A grant ends once,
//! however often a list that names it is read.

mod matching;

use std::collections::HashSet;

use bestow_core::campaign::{LatestEnd, ListedEnds};
use bestow_core::ended::{day_span, ended_at};
use bestow_core::{Expiry, GrantFacts};
use bestow_store::campaigns::WindowSpec;
use bestow_store::endings::{EndedDay, GrantEnd, OfferInUse};
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use optimove::client::{PageStream, PagedList};
use optimove::page::Paging;
use optimove::rate::Priority;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::service::grants::window_of;
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::kind;
use crate::work::run::Ended;
use matching::Matcher;

/// How far back days are caught up that nobody read.
const CATCH_UP_DAYS_MAX: i64 = 400;
/// How long after the end of a day its list is read for the last time.
const LAST_READ_AFTER_MS: i64 = 3_600_000;
/// The kind of finding for rows that fit no grant.
const UNMATCHED: &str = "ended_rows_unmatched";

/// Wants the lists of the days up to today that were never wanted, the oldest first: from the day
/// after the newest one, or from the tenant's first campaign.
///
/// # Errors
/// The store's.
pub(crate) fn plan(tx: &mut Tx<'_>, tenant: &Tenant) -> std::result::Result<(), StoreError> {
    if tenant.expiry() == Expiry::Duration {
        return Ok(());
    }
    let today = today(tenant, instant(tx.now_ms()));
    let first = match tx.last_ended_day(tenant.no())? {
        Some(last) => parse(&last)?.checked_add(1.day()).ok(),
        None => tx
            .first_campaign_at(tenant.no())?
            .map(|ms| tenant.zone.wall_clock(instant(ms)).date()),
    };
    let earliest = today.saturating_sub(CATCH_UP_DAYS_MAX.days());
    let mut next = first.map(|first| first.max(earliest));
    while let Some(day) = next.filter(|day| *day <= today) {
        tx.want_ended_day(tenant.no(), &day.to_string())?;
        next = day.checked_add(1.day()).ok();
    }
    for day in tx.ended_days_without_job(tenant.no(), kind::ENDED)? {
        let begin = begin_of(tenant, parse(&day)?)?;
        tx.want_job(tenant.no(), kind::ENDED, &day, begin)?;
    }
    Ok(())
}

/// Wants today's list to be read now: event 3 says that Optimove is done with the day.
///
/// # Errors
/// The store's.
pub(crate) fn want_today(tx: &mut Tx<'_>, tenant: &Tenant) -> std::result::Result<(), StoreError> {
    plan(tx, tenant)?;
    let now = tx.now_ms();
    let day = today(tenant, instant(now)).to_string();
    if tx.ended_day(tenant.no(), &day)?.is_some() {
        tx.want_job(tenant.no(), kind::ENDED, &day, now)?;
    }
    Ok(())
}

/// How long after its last deadline a conditional campaign that was sent to nobody is given up, in milliseconds.
pub(crate) fn patience(app: &App) -> i64 {
    seconds_ms(app.config.work.clearance_executed_seconds)
}

/// What the daily lists have ended of a campaign; nothing where they end nothing. `patience` is that of [`patience`].
///
/// # Errors
/// The store's.
pub(crate) fn of_campaign(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    campaign: i64,
    patience: i64,
) -> std::result::Result<ListedEnds, StoreError> {
    if tenant.expiry() == Expiry::Duration {
        return Ok(ListedEnds::default());
    }
    tx.listed_ends(tenant.no(), campaign, patience)
}

/// Codes (folded) with grants that still run or are to come; `patience` as in [`of_campaign`].
///
/// # Errors
/// The store's.
pub(crate) fn codes_in_use(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    patience: i64,
) -> std::result::Result<HashSet<String>, StoreError> {
    let now = tx.now_ms();
    let offers = tx.offers_in_use(tenant.no(), now, patience)?.into_iter();
    let runs = |offer: &OfferInUse| {
        tenant.expiry() == Expiry::Duration
            || !LatestEnd::Open.cut(offer.listed).is_over(instant(now))
    };
    Ok(offers.filter(runs).map(|offer| offer.code_fold).collect())
}

/// How many days are over and their lists not read since, and the oldest of them.
///
/// # Errors
/// The store's.
pub(crate) fn behind(app: &App, tenant: &Tenant) -> Result<Option<(usize, String)>> {
    if tenant.expiry() == Expiry::Duration {
        return Ok(None);
    }
    let yesterday = today(tenant, app.clock.now())
        .saturating_sub(1.day())
        .to_string();
    let open = app.store.peek(|tx| tx.open_ended_days(tenant.no()))?;
    let late: Vec<_> = open.into_iter().filter(|day| day.day < yesterday).collect();
    Ok(late.first().map(|oldest| (late.len(), oldest.day.clone())))
}

/// Reads one day's list.
///
/// # Errors
/// Optimove's and the store's: the job is tried again later and goes on from what is durable.
pub async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let snapshot = app.directory.snapshot();
    let tenant = snapshot
        .tenant_by_no(job.tenant)
        .ok_or(Error::NotFound("tenant"))?;
    if tenant.expiry() == Expiry::Duration {
        return Ok(Ended::Done);
    }
    let date = parse(&job.key)?;
    let (begin, end) = span(tenant, date)?;
    let now = app.clock.now_ms();
    if now < begin {
        return Ok(Ended::Again(begin));
    }
    let known = begin_reading(app, job).await?;
    let client = app.clients.for_tenant(tenant, &app.keys)?;
    let own = tenant.settings.page_rows;
    let top = own.unwrap_or(app.config.optimove.page_rows);
    let list = PagedList::EndedByDate { date };
    let paging = Paging::resume(top, known.skip);
    let mut reading = Reading {
        app,
        job,
        pages: client.with_priority(Priority::Sweep).pages(list, paging),
        matcher: Some(Matcher::new(app, tenant)),
        day_end: instant(end),
    };
    if !reading.read_on(stop).await? {
        return Ok(Ended::Stopped);
    }
    // What was begun while the day went on may have missed what came later. One that was begun after it is whole, however
    // often it was taken up again: a list that always breaks off somewhere would be read for ever.
    let is_over = known.begun_at.is_some_and(|begun| begun >= end);
    reading.finish(is_over).await?;
    if is_over {
        return Ok(Ended::Done);
    }
    let again = app.clock.now_ms() + seconds_ms(app.config.work.ended_seconds);
    Ok(Ended::Again(again.min(end + LAST_READ_AFTER_MS)))
}

/// Starts a reading, or finds the one to go on with.
async fn begin_reading(app: &App, job: &Job) -> Result<EndedDay> {
    let this = job.clone();
    app.tx("begin_ended_day", move |tx| {
        tx.begin_ended_day(&this, &this.key)
    })
    .await?;
    let found = app.store.peek(|tx| tx.ended_day(job.tenant, &job.key))?;
    found.ok_or(Error::NotFound("day"))
}

/// A reading of one day's list.
struct Reading<'a> {
    app: &'a App,
    job: &'a Job,
    pages: PageStream,
    /// Taken while a page is matched on another thread.
    matcher: Option<Matcher>,
    day_end: Timestamp,
}

impl Reading<'_> {
    /// Reads and writes page by page. False where it was told to stop before the end.
    async fn read_on(&mut self, stop: &CancellationToken) -> Result<bool> {
        while let Some(page) = self.pages.next().await? {
            let skip = self.pages.paging().skip() - page.len() as u64;
            let matcher = self.matcher.take().ok_or(Error::NotFound("matcher"))?;
            let at = ended_at(self.app.clock.now(), self.day_end).as_millisecond();
            // A page is milliseconds of work: not on the threads that answer requests.
            let work = tokio::task::spawn_blocking(move || matcher.page(&page, skip, at));
            let crashed = |e| StoreError::Unavailable(format!("a task ended early: {e}"));
            let (matcher, page) = work.await.map_err(crashed)??;
            self.matcher = Some(matcher);
            let lease_ms = seconds_ms(self.app.config.work.lease_seconds);
            let job = self.job.clone();
            self.app
                .bulk("land_ended_page", move |tx| {
                    tx.land_ended_page(&job, &job.key, &page, lease_ms)
                })
                .await?;
            if stop.is_cancelled() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn finish(&self, is_over: bool) -> Result<()> {
        let job = self.job.clone();
        let examples = self.matcher.as_ref().map(Matcher::examples);
        let examples = examples.unwrap_or_default();
        self.app
            .tx("finish_ended_day", move |tx| {
                let state = if is_over { "done" } else { "read" };
                tx.finish_ended_day(&job, &job.key, state)?;
                let object = format!("ended/{}", job.key);
                let day = tx.ended_day(job.tenant, &job.key)?;
                match day.filter(|day| day.unmatched > 0) {
                    Some(day) => tx.find(job.tenant, UNMATCHED, &object, &told(&day, &examples)),
                    None => tx.resolve_finding(job.tenant, UNMATCHED, &object),
                }
            })
            .await
    }
}

fn told(day: &EndedDay, examples: &str) -> String {
    format!(
        "{} of {} rows of Optimove's list of ended actions fit no grant of ours{examples}",
        day.unmatched, day.rows
    )
}

/// What the daily lists ended of one customer. Empty for tenants that do not expire by them, which
/// pay nothing.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<GrantEnd>);

impl Ends {
    /// Looks them up. To be asked after the grants themselves: ends are only ever added.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn of(app: &App, tenant: &Tenant, customer: &str) -> Result<Self, StoreError> {
        if tenant.expiry() == Expiry::Duration {
            return Ok(Self::default());
        }
        app.store
            .peek(|tx| tx.grant_ends(tenant.no(), customer))
            .map(Self)
    }

    /// As [`Ends::of`], within a transaction.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn read(
        tx: &mut Tx<'_>,
        tenant: &Tenant,
        customer: &str,
    ) -> std::result::Result<Self, StoreError> {
        if tenant.expiry() == Expiry::Duration {
            return Ok(Self::default());
        }
        tx.grant_ends(tenant.no(), customer).map(Self)
    }

    /// The window of a grant, cut short where a list ended it.
    pub(crate) fn cut(&self, offer: u32, occurrence: &str, window: WindowSpec) -> WindowSpec {
        let is_it = |end: &&GrantEnd| end.offer == offer && end.occurrence == occurrence;
        let Some(end) = self.0.iter().find(is_it) else {
            return window;
        };
        let facts = GrantFacts {
            ended_at: Some(instant(end.ended_at)),
            ..GrantFacts::single_use(window_of(window))
        };
        let ends_at = facts.effective_window().ends_at;
        WindowSpec {
            ends_at: ends_at.map(Timestamp::as_millisecond),
            ..window
        }
    }
}

fn today(tenant: &Tenant, now: Timestamp) -> Date {
    tenant.zone.wall_clock(now).date()
}

fn parse(day: &str) -> std::result::Result<Date, StoreError> {
    day.parse()
        .map_err(|_| StoreError::Corrupt(format!("{day} is no day of a list")))
}

fn begin_of(tenant: &Tenant, day: Date) -> std::result::Result<i64, StoreError> {
    span(tenant, day).map(|(begin, _)| begin)
}

/// Begin and end of a local day, in milliseconds.
fn span(tenant: &Tenant, day: Date) -> std::result::Result<(i64, i64), StoreError> {
    let (begin, end) = day_span(day, &tenant.zone)
        .map_err(|e| StoreError::Corrupt(format!("{day} is no day of a list: {e}")))?;
    Ok((begin.as_millisecond(), end.as_millisecond()))
}
