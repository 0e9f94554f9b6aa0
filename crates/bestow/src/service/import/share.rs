//! Sharing out a long list: its parts are read by whichever process comes first, in any order.
//!
//! Where the parts begin and end is decided once, from the size that the campaign tells. Each has a cursor and a job of
//! its own; a page lands in one transaction as ever. Whoever reads the last part hands the list back to the import.

use bestow_store::campaigns::Campaign;
use bestow_store::imports::Import;
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};
use optimove::rate::Priority;
use tokio_util::sync::CancellationToken;

use super::read::{self, Reached};
use super::{Work, is_of_round};
use crate::app::App;
use crate::error::{Error, Result};
use crate::work::kind;
use crate::work::run::Ended;

/// Parts of one list, at most. The last one goes to its end, however long that is.
const RANGES_MAX: u64 = 64;

/// How a list is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shared {
    /// It is not, and will not be.
    Not,
    /// It will be: it is long, and nothing of it has been read.
    CanBe,
    /// Some parts are left to be read.
    Open,
    /// All of it is read.
    Read,
}

/// How the list is shared out that is read next.
pub(super) fn look(
    tx: &mut Tx<'_>,
    work: &Work<'_>,
    campaign: &Campaign,
    imports: &[Import],
) -> std::result::Result<Shared, StoreError> {
    let reading = imports.iter().find(|import| import.state == "reading");
    let Some(import) = reading.filter(|import| !is_of_round(import)) else {
        return Ok(Shared::Not);
    };
    let ranges = tx.ranges(work.job.tenant, campaign.no, import.channel)?;
    if ranges.iter().any(|range| !range.is_read) {
        return Ok(Shared::Open);
    }
    if !ranges.is_empty() {
        return Ok(Shared::Read);
    }
    let can_be = import.skip == 0 && work.app.store.is_shared();
    let parts = parts(work.app, campaign, import);
    Ok(if can_be && parts.len() > 1 {
        Shared::CanBe
    } else {
        Shared::Not
    })
}

/// Where the parts of a list begin and end. One, or none, where it is not worth it.
fn parts(app: &App, campaign: &Campaign, import: &Import) -> Vec<(u64, Option<u64>)> {
    let pages = app.config.work.range_pages_max;
    let rows = u64::from(import.page_rows).saturating_mul(pages);
    let size = campaign.expected_size.unwrap_or_default();
    if rows == 0 {
        return Vec::new();
    }
    let count = size.div_ceil(rows).min(RANGES_MAX);
    let is_last = |part: u64| part + 1 == count;
    (0..count)
        .map(|part| (part * rows, (!is_last(part)).then(|| (part + 1) * rows)))
        .collect()
}

/// Shares out a list, and asks for each part to be read.
pub(super) async fn out(work: &Work<'_>, campaign: &Campaign, import: &Import) -> Result<()> {
    let parts = parts(work.app, campaign, import);
    let (job, no, channel) = (work.job.clone(), campaign.no, import.channel);
    work.app
        .tx("share_list", move |tx| {
            if tx.share_list(&job, no, channel, &parts)? {
                want_open(tx, job.tenant, no, channel)?;
            }
            Ok(())
        })
        .await?;
    work.app.work.notify_one();
    Ok(())
}

/// Asks for the parts that are left, in case nobody does: the import was held and goes on.
pub(super) async fn want(work: &Work<'_>, campaign: i64, import: &Import) -> Result<()> {
    let (job, channel) = (work.job.clone(), import.channel);
    work.app
        .tx("want_pages", move |tx| {
            want_open(tx, job.tenant, campaign, channel)
        })
        .await?;
    work.app.work.notify_one();
    Ok(())
}

fn want_open(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
    channel: i64,
) -> std::result::Result<(), StoreError> {
    let now = tx.now_ms();
    for range in tx.ranges(tenant, campaign, channel)? {
        if !range.is_read {
            tx.want_job(
                tenant,
                kind::PAGES,
                &key(campaign, channel, range.first),
                now,
            )?;
        }
    }
    Ok(())
}

/// Jobs that are due at one time are taken by their keys: these in the order of the list.
fn key(campaign: i64, channel: i64, first: u64) -> String {
    format!("{campaign}/{channel}/{first:012}")
}

fn read_key(job: &Job) -> Option<(i64, i64, u64)> {
    let mut parts = job.key.split('/');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (campaign, channel, first) = (next()?, next()?, next()?);
    Some((campaign, channel, u64::try_from(first).ok()?))
}

/// Reads one part of a list to its end.
///
/// # Errors
/// Optimove's and the store's: the job is tried again later and goes on from what is durable.
pub(crate) async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let (no, channel, first) = read_key(job)
        .ok_or_else(|| Error::invalid("bad_job", format!("{} is no part of a list", job.key)))?;
    let tenant = &app.tenant_by_no(job.tenant)?;
    let (campaign, import, range) = app.store.read(|tx| {
        let campaign = tx.campaign_by_no(job.tenant, no)?;
        let imports = tx.imports(job.tenant, no)?;
        let import = imports.into_iter().find(|one| one.channel == channel);
        let ranges = tx.ranges(job.tenant, no, channel)?;
        let range = ranges.into_iter().find(|range| range.first == first);
        Ok::<_, StoreError>((campaign, import, range))
    })?;
    let is_read_now = |import: &Import| import.state == "reading";
    let (Some(campaign), Some(import), Some(range)) = (
        campaign,
        import.filter(is_read_now),
        range.filter(|range| !range.is_read),
    ) else {
        // It was held, begun anew, or read by somebody else.
        return Ok(Ended::Done);
    };
    let work = Work {
        app,
        job,
        tenant,
        client: app.client(tenant, Priority::Import)?,
        stop,
        estimate: None,
    };
    match read::part(&work, &campaign, &import, Some(&range)).await? {
        Reached::End { skip } => end(&work, no, channel, (first, skip)).await?,
        Reached::Stop if stop.is_cancelled() => return Ok(Ended::Stopped),
        Reached::Stop => {}
    }
    Ok(Ended::Done)
}

/// The last part hands the list back.
async fn end(work: &Work<'_>, campaign: i64, channel: i64, range: (u64, u64)) -> Result<()> {
    let job = work.job.clone();
    work.app
        .tx("end_range", move |tx| {
            if tx.end_range(&job, campaign, channel, range)? == 0 {
                let now = tx.now_ms();
                tx.want_job(job.tenant, kind::IMPORT, &campaign.to_string(), now)?;
            }
            Ok(())
        })
        .await?;
    work.app.work.notify_one();
    Ok(())
}
