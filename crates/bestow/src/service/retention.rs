//! Retention: ended grants leave the ledger for files once the tenant has kept them for long enough.
//!
//! A campaign leaves as a whole, a triggered one month by month. It is closed first: from then on nothing is taken in for
//! it, so what is written to files is what there is. The files are read again before anything is dropped, and what is
//! dropped goes in small transactions that give way to others. Each step goes on from what is durable. What was delivered
//! as long ago goes without a file: the grants that it told of say what came of it.

mod check;
mod delivered;
mod layout;
mod leave;
mod look;
mod month;
mod view;
mod write;

use std::collections::HashSet;

use bestow_core::campaign::{LatestEnd, ListedEnds};
use bestow_core::retention::{LeavingFacts, cutoff, may_leave, next_month};
use bestow_store::archives::{Archive, NewArchive};
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(crate) use check::check;
pub use look::{ArchivedGrantView, ArchivedPlace, of_customer};
pub use view::{ArchiveView, FileView, list};

use crate::actor::WORKER;
use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::ended;
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::kind;
use crate::work::run::Ended;
use write::{Source, Written};

/// Campaigns looked at at once.
const CAMPAIGNS_AT_ONCE: u32 = 500;
/// The kind of finding for a campaign that cannot leave although its time has come.
const REFUSED: &str = "archive_refused";
/// Jobs that keep a campaign from leaving.
const WORK: [&str; 7] = [
    kind::IMPORT,
    kind::PAGES,
    kind::GRACE,
    kind::RELEASE,
    kind::TRIGGERS,
    kind::CLEARANCE,
    kind::CANCEL,
];

/// What a run of the job works with.
struct Run<'a> {
    app: &'a App,
    job: &'a Job,
    tenant: &'a Tenant,
    cutoff: Timestamp,
    /// Campaigns that turned out not to be ready in this run.
    skipped: HashSet<i64>,
}

/// Archives all of a tenant that is due, one after the other.
///
/// # Errors
/// The store's and the disk's: the job is tried again later and goes on from what is durable.
pub async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let tenant = app.tenant_by_no(job.tenant)?;
    let Some(days) = tenant.settings.retention_days else {
        return Ok(Ended::Done);
    };
    let mut run = Run {
        app,
        job,
        tenant: &tenant,
        cutoff: cutoff(app.clock.now(), days),
        skipped: HashSet::new(),
    };
    while !stop.is_cancelled() {
        let open = app.store.peek(|tx| tx.open_archive(job.tenant))?;
        match open {
            Some(archive) if archive.state == "writing" => run.write(archive).await?,
            Some(archive) => leave::run(&run, archive, stop).await?,
            None if run.begin_next().await? => {}
            None => {
                delivered::run(&run, stop).await?;
                let pause = seconds_ms(app.config.work.retention_seconds);
                return Ok(Ended::Again(app.clock.now_ms() + pause));
            }
        }
    }
    Ok(Ended::Stopped)
}

impl Run<'_> {
    /// Closes the next campaign, or month of one, that may leave. False where none may.
    async fn begin_next(&self) -> Result<bool> {
        let Some(new) = self.next_campaign()?.map_or_else(
            || self.next_month(),
            |campaign| Ok(Some(self.new_archive(campaign, String::new(), 0))),
        )?
        else {
            return Ok(false);
        };
        let (job, cutoff, tenant) = (self.job.clone(), self.cutoff, self.tenant.clone());
        self.app
            .tx("begin_archive", move |tx| {
                let campaign = new.campaign;
                let is_ready = match new.month.as_str() {
                    "" => may_leave(&facts(tx, &tenant, campaign)?, cutoff).is_ok(),
                    _ => !tx.has_work(job.tenant, campaign, &WORK)?,
                };
                if is_ready {
                    tx.begin_archive(&job, &new)?;
                    let detail = serde_json::json!({ "month": new.month, "folder": new.place });
                    record(tx, job.tenant, campaign, "archive.begun", &detail)?;
                }
                Ok::<_, StoreError>(is_ready)
            })
            .await
    }

    fn new_archive(&self, campaign: i64, month: String, until: i64) -> NewArchive {
        let folder = match month.as_str() {
            "" => campaign.to_string(),
            month => format!("{campaign}-{month}"),
        };
        NewArchive {
            campaign,
            month,
            until,
            place: format!("{}/{folder}", self.tenant.id()),
        }
    }

    fn next_campaign(&self) -> Result<Option<i64>> {
        let (no, by) = (self.job.tenant, self.cutoff.as_millisecond());
        let mut after = 0;
        loop {
            let found = self
                .app
                .store
                .peek(|tx| tx.ended_campaigns(no, after, by, CAMPAIGNS_AT_ONCE))?;
            let Some(last) = found.last() else {
                return Ok(None);
            };
            after = *last;
            for campaign in found {
                let facts = self.app.store.read(|tx| facts(tx, self.tenant, campaign))?;
                if !self.skipped.contains(&campaign) && may_leave(&facts, self.cutoff).is_ok() {
                    return Ok(Some(campaign));
                }
            }
        }
    }

    fn next_month(&self) -> Result<Option<NewArchive>> {
        let mut after = 0;
        loop {
            let found = self
                .app
                .store
                .peek(|tx| tx.triggered_campaigns(self.job.tenant, after, CAMPAIGNS_AT_ONCE))?;
            let Some(last) = found.last() else {
                return Ok(None);
            };
            after = last.no;
            for campaign in found {
                let archived =
                    (campaign.archived_until > 0).then(|| instant(campaign.archived_until));
                let month = next_month(instant(campaign.first_seen_at), archived, self.cutoff);
                let has_work = self
                    .app
                    .store
                    .peek(|tx| tx.has_work(self.job.tenant, campaign.no, &WORK))?;
                if let Some(month) = month
                    && !has_work
                    && !self.skipped.contains(&campaign.no)
                {
                    let until = month.end().as_millisecond();
                    return Ok(Some(self.new_archive(
                        campaign.no,
                        month.to_string(),
                        until,
                    )));
                }
            }
        }
    }

    /// Writes the files of an archive and reads them again; or opens its campaign again where it is not ready.
    async fn write(&mut self, archive: Archive) -> Result<()> {
        let source = self.source(&archive);
        let written = on_a_thread(move || write::files(&source)).await?;
        let (job, no, campaign) = (self.job.clone(), archive.no, archive.campaign);
        match written {
            Written::Whole { grants, tallies } => {
                self.app
                    .tx("archive_is_written", move |tx| {
                        tx.archive_is_written(&job, no, grants, &tallies)?;
                        let files: Vec<&str> = tallies.lines().collect();
                        let detail = serde_json::json!({ "grants": grants, "files": files });
                        record(tx, job.tenant, campaign, "archive.written", &detail)
                    })
                    .await
            }
            Written::NotReady(why) => {
                self.skipped.insert(campaign);
                self.give_up(job, no, campaign, why).await
            }
        }
    }

    async fn give_up(&self, job: Job, no: i64, campaign: i64, why: Option<String>) -> Result<()> {
        self.app
            .tx("give_archive_up", move |tx| {
                tx.give_archive_up(&job, no)?;
                let detail = serde_json::json!({ "why": why });
                record(tx, job.tenant, campaign, "archive.given_up", &detail)?;
                if let Some(why) = &why {
                    let object = format!("campaign-no/{campaign}");
                    tx.find(job.tenant, REFUSED, &object, why)?;
                }
                Ok(())
            })
            .await
    }

    fn source(&self, archive: &Archive) -> Source {
        Source {
            store: self.app.store.clone(),
            tenant: self.job.tenant,
            folder: self.app.config.archive_dir().join(&archive.place),
            archive: archive.clone(),
            cutoff_ms: self.cutoff.as_millisecond(),
            mark: self.job.token.to_string(),
        }
    }
}

fn facts(tx: &mut Tx<'_>, tenant: &Tenant, campaign: i64) -> Result<LeavingFacts, StoreError> {
    let no = tenant.no();
    let found = tx.campaign_by_no(no, campaign)?;
    let latest_end = match found.and_then(|campaign| campaign.windows_end_at) {
        None => LatestEnd::NoGrants,
        Some(i64::MAX) => LatestEnd::Open,
        Some(ms) => LatestEnd::At(instant(ms)),
    };
    Ok(LeavingFacts {
        latest_end,
        // Whoever was given up on has no end to leave by.
        listed: ListedEnds {
            given_up_at: None,
            ..ended::of_campaign(tx, tenant, campaign, 0)?
        },
        has_work: tx.has_work(no, campaign, &WORK)?,
    })
}

fn record(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
    action: &str,
    detail: &serde_json::Value,
) -> Result<(), StoreError> {
    let found = tx.campaign_by_no(tenant, campaign)?;
    let id = found.map(|campaign| campaign.id).unwrap_or_default();
    Object::Campaign(&id).record(tx, tenant, WORKER, action, detail)
}

/// The archive that a campaign is in whose rows the database may have no more.
fn archive_of(app: &App, tenant: i64, campaign: i64) -> Result<Option<Archive>> {
    let found = app.store.peek(|tx| tx.archive_of(tenant, campaign))?;
    Ok(found.filter(|archive| archive.state != "writing"))
}

/// Whether the rows of a campaign may be gone.
///
/// # Errors
/// The store's.
pub(crate) fn has_left(app: &App, tenant: i64, campaign: i64) -> Result<bool> {
    Ok(archive_of(app, tenant, campaign)?.is_some())
}

/// Where a campaign went that the ledger has no more.
///
/// # Errors
/// [`Error::Gone`] where it is in an archive; the store's.
pub(crate) fn still_here(app: &App, tenant: &Tenant, campaign: i64) -> Result<()> {
    match archive_of(app, tenant.no(), campaign)? {
        None => Ok(()),
        Some(archive) => Err(Error::Gone {
            code: "archived",
            message: format!(
                "The grants of campaign {} have left for archive {}, in the folder {}.",
                archive.campaign_id, archive.no, archive.place
            ),
        }),
    }
}

/// Where a campaign went that the ledger has no more, by Optimove's id. One that nobody knows is no matter here.
///
/// # Errors
/// As [`still_here`].
pub(crate) fn still_listed(app: &App, tenant: &Tenant, id: &str) -> Result<()> {
    let found = app.store.peek(|tx| tx.campaign(tenant.no(), id))?;
    found.map_or(Ok(()), |campaign| still_here(app, tenant, campaign.no))
}

/// Runs what reads and writes files where it keeps nobody waiting.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    let ended = ended.map_err(|e| StoreError::Unavailable(format!("a task ended early: {e}")))?;
    Ok(ended?)
}
