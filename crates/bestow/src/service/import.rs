//! Importing a campaign: details, then each wanted channel page by page, then the merge, then the verdict.
//!
//! Every step ends in a durable state, and the next step is worked out from that state alone: whoever holds the job,
//! after whatever crash, goes on from there and reads at most one page again.

mod agree;
pub(crate) mod details;
mod going_on;
pub(crate) mod read;
pub(crate) mod share;
mod verdict;

pub(crate) use going_on::{go_on, let_beyond_go_on, resume, resume_unknown};

use bestow_core::{CampaignKind, HoldReason, ScheduleTime};
use bestow_store::campaigns::Campaign;
use bestow_store::imports::Import;
use bestow_store::jobs::Job;
use bestow_store::stops::Stop;

use optimove::rate::Priority;
use tokio_util::sync::CancellationToken;

use crate::actor::WORKER;
use crate::app::App;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::service::audit::Object;
use crate::service::guards::weigh;
use crate::service::notifications::seconds_ms;
use crate::service::{merge, release};
use crate::tenant::Tenant;
use crate::work::run::Ended;

/// How often an import that a person stopped is looked at again; letting it go on does so at once.
const LOOK_AGAIN_MS: i64 = 15_000;

/// One import under way: who, what, and under which claim.
pub(crate) struct Work<'a> {
    pub(crate) app: &'a App,
    pub(crate) job: &'a Job,
    pub(crate) tenant: &'a Tenant,
    pub(crate) client: optimove::Client,
    pub(crate) stop: &'a CancellationToken,
    /// What stands in for schedule times while nothing is scheduled yet.
    pub(crate) estimate: Option<ScheduleTime>,
}

/// What to do next, from what is durable.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Ask Optimove what the campaign is.
    Details,
    /// Start a pass over a channel's list.
    Begin { channel: i64, pass: u32 },
    /// Share out a channel's list, of which nothing has been read.
    Share(Import),
    /// Others read the parts of a channel's list.
    Wait(Import),
    /// All parts of a channel's list are read.
    EndPass(Import),
    /// Go on with a channel's list.
    Read(Import),
    /// Look whether the size makes sense before anything is granted.
    CheckSize,
    /// Look whether it would give more than may be given without a second person.
    Weigh,
    /// Turn landed rows into grants.
    Merge,
    /// Decide whether what was read is complete.
    Conclude(Import),
    /// Grant what was held for a code that is known by now.
    Release,
    /// Nothing is left to do.
    Done,
}

/// Runs the import of one campaign until nothing is left to do.
///
/// # Errors
/// Optimove's and the store's: the job is tried again later and goes on from what is durable.
pub async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let campaign_no = campaign_no(job)?;
    let tenant = &app.tenant_by_no(job.tenant)?;
    if app
        .store
        .peek(|tx| tx.archive_of(job.tenant, campaign_no))?
        .is_some()
    {
        return Ok(Ended::Done);
    }
    let client = app.client(tenant, Priority::Import)?;
    let mut work = Work {
        app,
        job,
        tenant,
        client,
        stop,
        estimate: None,
    };
    let mut looked = Looked::default();
    while !stop.is_cancelled() {
        work.renew_client()?;
        let state = work.state(campaign_no)?;
        let State {
            campaign, imports, ..
        } = &state;
        let next = next_step(&state, looked);
        let gives = matches!(next, Step::Weigh | Step::Merge | Step::Release);
        if state.stop.is_some() && gives {
            return Ok(Ended::Again(app.clock.now_ms() + LOOK_AGAIN_MS));
        }
        match next {
            Step::Details => {
                details::read(&work, campaign, imports).await?;
                looked.at_details = true;
            }
            Step::Begin { channel, pass } => {
                work.begin_pass(campaign_no, channel, pass, work.page_rows())
                    .await?;
            }
            Step::Share(import) => share::out(&work, campaign, &import).await?,
            Step::Wait(import) => {
                share::want(&work, campaign.no, &import).await?;
                return Ok(Ended::Done);
            }
            Step::EndPass(import) => {
                work.end_pass(campaign.no, import.channel).await?;
                looked.forget_rows();
            }
            Step::Read(import) => {
                read::pass(&work, campaign, &import).await?;
                looked.forget_rows();
            }
            Step::CheckSize => {
                work.check_size(campaign, imports).await?;
                looked.at_size = true;
            }
            Step::Weigh => {
                work.weigh(campaign, imports, state.last_page).await?;
                looked.at_weight = true;
            }
            Step::Merge => merge::run(&work, campaign, state.last_page).await?,
            Step::Conclude(import) => work.conclude(campaign, &import).await?,
            Step::Release => release::grant_held(&work, campaign).await?,
            Step::Done => {
                work.clear_error(campaign_no).await?;
                return Ok(Ended::Done);
            }
        }
    }
    Ok(Ended::Stopped)
}

/// What a run has looked at since anything was read.
#[derive(Debug, Clone, Copy, Default)]
struct Looked {
    at_details: bool,
    at_size: bool,
    at_weight: bool,
}

impl Looked {
    /// There are more rows.
    fn forget_rows(&mut self) {
        (self.at_size, self.at_weight) = (false, false);
    }
}

/// What is durable about a campaign's import.
struct State {
    campaign: Campaign,
    imports: Vec<Import>,
    /// The newest landed page; 0: none.
    last_page: u32,
    /// How the list that is read next is shared out, or could be.
    shared: share::Shared,
    /// Pairs are held for a code that is known by now, or wait for a unique code and there is one; and nobody has to
    /// decide about the campaign first.
    releasable: bool,
    /// A person stopped it, or what it needs.
    stop: Option<Stop>,
}

/// The order of work: finish a merge that was begun, read everything wanted, check, merge, conclude.
fn next_step(state: &State, looked: Looked) -> Step {
    let State {
        campaign,
        imports,
        last_page,
        shared,
        releasable,
        ..
    } = state;
    let in_state = |state: &str| imports.iter().find(|import| import.state == state);
    if campaign.merge_to.is_some() {
        return Step::Merge;
    }
    let unread = in_state("reading").or_else(|| in_state("wanted"));
    if unread.is_some() && !looked.at_details {
        return Step::Details;
    }
    if let Some(import) = unread {
        return if import.state == "reading" {
            match shared {
                share::Shared::Not => Step::Read(import.clone()),
                share::Shared::CanBe => Step::Share(import.clone()),
                share::Shared::Open => Step::Wait(import.clone()),
                share::Shared::Read => Step::EndPass(import.clone()),
            }
        } else {
            let pass = if import.skip == 0 {
                import.pass
            } else {
                import.pass + 1
            };
            Step::Begin {
                channel: import.channel,
                pass,
            }
        };
    }
    // Rows that wait for a person to approve their number must not be granted beside others.
    let waits = imports.iter().any(going_on::waits_for_a_person);
    match in_state("read") {
        Some(_) if waits => Step::Done,
        Some(_) if !looked.at_size => Step::CheckSize,
        Some(_) if *last_page > campaign.merged_through && !looked.at_weight => Step::Weigh,
        Some(_) if *last_page > campaign.merged_through => Step::Merge,
        Some(import) => Step::Conclude(import.clone()),
        None if *releasable => Step::Release,
        None => Step::Done,
    }
}

pub(crate) fn campaign_no(job: &Job) -> Result<i64> {
    job.key
        .parse()
        .map_err(|_| Error::invalid("bad_job", format!("{} is no number of a campaign", job.key)))
}

impl Work<'_> {
    /// A credential that was replaced meanwhile is used from the next step on.
    fn renew_client(&mut self) -> Result<()> {
        let snapshot = self.app.directory.snapshot();
        if let Some(tenant) = snapshot.tenant_by_no(self.job.tenant) {
            self.client = self.app.client(tenant, Priority::Import)?;
        }
        Ok(())
    }

    pub(crate) fn lease_ms(&self) -> i64 {
        seconds_ms(self.app.config.work.lease_seconds)
    }

    pub(crate) fn page_rows(&self) -> u32 {
        self.app.page_rows(self.tenant)
    }

    fn state(&self, campaign: i64) -> Result<State> {
        let tenant = self.job.tenant;
        self.app.store.read(|tx| {
            let found = tx.campaign_by_no(tenant, campaign)?;
            let found = found.ok_or(Error::NotFound("campaign"))?;
            // Of a conditional one a release lets its next round decide, which is weighed itself.
            let waits =
                !found.is(CampaignKind::Conditional) && weigh::is_waiting(tx, tenant, campaign)?;
            let imports = lists(tx.imports(tenant, campaign)?);
            Ok(State {
                shared: share::look(tx, self, &found, &imports)?,
                campaign: found,
                imports,
                last_page: tx.last_landed_page(tenant, campaign)?,
                stop: tx.stop_of(tenant, campaign)?,
                releasable: !waits
                    && (!release::releasable(tx, tenant, campaign)?.is_empty()
                        || !release::waiting_with_codes(tx, tenant, campaign)?.is_empty()),
            })
        })
    }

    pub(crate) async fn begin_pass(
        &self,
        campaign: i64,
        channel: i64,
        pass: u32,
        rows: u32,
    ) -> Result<()> {
        let job = self.job.clone();
        self.app
            .tx("begin_pass", move |tx| {
                tx.begin_pass(&job, campaign, channel, pass, rows)
            })
            .await?;
        Ok(())
    }

    async fn end_pass(&self, campaign: i64, channel: i64) -> Result<()> {
        let job = self.job.clone();
        self.app
            .tx("end_pass", move |tx| tx.end_pass(&job, campaign, channel))
            .await
    }

    /// Stops the reading of a channel until a person acts; what is granted already stays.
    pub(crate) async fn hold(
        &self,
        campaign: &Campaign,
        channel: i64,
        reason: HoldReason,
    ) -> Result<()> {
        let (job, no, id) = (self.job.clone(), campaign.no, campaign.id.clone());
        tracing::warn!(
            tenant.id = self.tenant.id(),
            campaign.id = campaign.id,
            channel.id = channel,
            reason = reason.as_str(),
            "the import of a campaign is held"
        );
        self.app
            .tx("hold_import", move |tx| {
                tx.check_lease(&job)?;
                let why = Some(reason.as_str());
                tx.set_import_state(job.tenant, no, channel, "held", why)?;
                tx.set_campaign_error(job.tenant, no, why)?;
                let detail = format!(r#"{{"channel":{channel},"reason":"{reason}"}}"#);
                Object::Campaign(&id).record(tx, job.tenant, WORKER, "import.held", &detail)
            })
            .await?;
        self.tell_ended(&campaign.id, "held");
        Ok(())
    }

    async fn clear_error(&self, campaign: i64) -> Result<()> {
        let job = self.job.clone();
        self.app
            .tx("clear_campaign_error", move |tx| {
                let held = tx
                    .imports(job.tenant, campaign)?
                    .iter()
                    .any(|i| i.state == "held");
                if held || weigh::is_waiting(tx, job.tenant, campaign)? {
                    Ok(())
                } else {
                    tx.set_campaign_error(job.tenant, campaign, None)
                }
            })
            .await
    }

    fn tell_ended(&self, campaign: &str, state: &str) {
        self.app.tell(Event::ImportEnded {
            tenant: self.tenant.id().to_owned(),
            campaign: campaign.to_owned(),
            state: state.to_owned(),
        });
    }
}

/// Whether an import reads the list of a clearance round, which is not who was sent to.
pub(crate) fn is_of_round(import: &Import) -> bool {
    import.channel < 0
}

/// Lists of who was sent to.
pub(crate) fn lists(mut imports: Vec<Import>) -> Vec<Import> {
    imports.retain(|import| !is_of_round(import));
    imports
}

/// Channels that the campaign names as its own.
pub(crate) fn told_channels(campaign: &Campaign) -> Vec<i64> {
    let told = campaign.details_channels.as_deref();
    told.and_then(|told| serde_json::from_str(told).ok())
        .unwrap_or_default()
}
