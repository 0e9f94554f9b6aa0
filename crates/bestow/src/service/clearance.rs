//! Clearing the customers of a conditional campaign: each event 5 is a round with a deadline. Its customers are read,
//! decided and granted, and only what is durable is reported to Optimove, before the deadline.
//!
//! As in an import, every step ends in a durable state and the next one is worked out from that alone.

mod approval;
mod decide;
mod ending;
mod read;
mod report;
pub(crate) mod verify;
mod view;
mod walk;
mod weigh;

use bestow_core::clearance::{Schedule, schedule};
use bestow_core::{CampaignId, ScheduleTime};
use bestow_store::campaigns::Campaign;
use bestow_store::clearance::Round;
use bestow_store::imports::Import;
use bestow_store::jobs::Job;
use bestow_store::stops::Stop;
use bestow_store::{Error as StoreError, Tx};
use jiff::{SignedDuration, Timestamp};
use optimove::rate::Priority;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use view::RoundView;
pub(crate) use view::rounds;

pub(crate) use approval::{check_url, is_same_approval, secret_place};

use crate::actor::WORKER;
use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::import::{Work, campaign_no};
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::kind;
use crate::work::run::Ended;

/// How often a round that cannot go on is looked at again.
const LOOK_AGAIN_MS: i64 = 15_000;

/// What became of a notice that a campaign waits for clearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is a new round.
    Opened,
    /// There is a round with this deadline.
    Known,
    /// The campaign is none that can wait.
    NotConditional,
}

/// Opens a round, in the transaction that settles its event 5. The same deadline again is the same round. One whose
/// deadline has passed is closed at once: nothing of it is approved.
pub(crate) fn ask(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    campaign: &CampaignId,
    deadline: Timestamp,
) -> std::result::Result<Asked, StoreError> {
    let (no, id) = (tenant.no(), campaign.as_str());
    let (campaign, _) = tx.see_campaign(no, id, "conditional", "notification")?;
    if !tx.make_conditional(no, campaign)? {
        return Ok(Asked::NotConditional);
    }
    let deadline_ms = deadline.as_millisecond();
    let Some(round) = tx.open_round(no, campaign, deadline_ms)? else {
        return Ok(Asked::Known);
    };
    let detail = format!(r#"{{"round":{round},"deadline":"{deadline}"}}"#);
    Object::Campaign(id).record(tx, no, WORKER, "clearance.asked", &detail)?;
    let now = tx.now_ms();
    if now >= deadline_ms {
        tx.close_round(no, campaign, round, "past")?;
        let detail = format!("event 5 came after its deadline {deadline}: nobody is approved");
        tracing::error!(tenant.id = tenant.id(), campaign.id = id, round, "{detail}");
        let object = Object::Round(id, round).to_string();
        tx.find(no, "clearance_past", &object, &detail)?;
    } else {
        tx.want_import(no, campaign, -round)?;
    }
    tx.want_job(no, kind::CLEARANCE, &campaign.to_string(), now)?;
    Ok(Asked::Opened)
}

/// Works the open rounds of a campaign, the earliest deadline first, then looks at what became of the closed ones.
///
/// # Errors
/// Optimove's and the store's: the job is tried again soon, and goes on from what is durable.
pub async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let no = campaign_no(job)?;
    let tenant = &app.tenant_by_no(job.tenant)?;
    let client = app.client(tenant, Priority::Clearance)?;
    let (mut fresh, mut waits) = (Vec::new(), Vec::<(i64, i64)>::new());
    while !stop.is_cancelled() {
        let state = State::read(app, job.tenant, no)?;
        let mut open = state.rounds.iter().filter(|round| {
            !round.is_closed() && !waits.iter().any(|(waiting, _)| *waiting == round.no)
        });
        let Some(round) = open.next() else {
            let next = ending::look_back(app, job, tenant, &state).await?;
            let soonest = waits.iter().map(|(_, at)| *at).chain(next).min();
            return Ok(soonest.map_or(Ended::Done, Ended::Again));
        };
        let work = Work {
            app,
            job,
            tenant,
            client: client.clone(),
            stop,
            estimate: Some(ScheduleTime::Instant(instant(round.deadline))),
        };
        let at = AtRound::new(&work, &state, round);
        if let Next::Wait(until) = at.step(&mut fresh).await? {
            waits.push((round.no, until));
        }
    }
    Ok(Ended::Stopped)
}

/// What is durable about a campaign's clearance.
struct State {
    campaign: Campaign,
    /// The earliest deadline first.
    rounds: Vec<Round>,
    imports: Vec<Import>,
    /// Whether a person stopped it, or what it needs.
    stop: Option<Stop>,
}

impl State {
    fn read(app: &App, tenant: i64, campaign: i64) -> Result<Self> {
        app.store.read(|tx| {
            let found = tx.campaign_by_no(tenant, campaign)?;
            Ok(Self {
                campaign: found.ok_or(Error::NotFound("campaign"))?,
                rounds: tx.rounds(tenant, campaign)?,
                imports: tx.imports(tenant, campaign)?,
                stop: tx.stop_of(tenant, campaign)?,
            })
        })
    }
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another one.
    Step,
    /// None before this instant, in milliseconds, unless somebody asks for it.
    Wait(i64),
}

/// One round under way.
struct AtRound<'a> {
    work: &'a Work<'a>,
    campaign: &'a Campaign,
    round: &'a Round,
    import: Option<&'a Import>,
    is_stopped: bool,
    schedule: Schedule,
}

impl<'a> AtRound<'a> {
    fn new(work: &'a Work<'a>, state: &'a State, round: &'a Round) -> Self {
        let margin = seconds_ms(work.app.config.work.clearance_margin_seconds);
        Self {
            work,
            campaign: &state.campaign,
            round,
            import: state.imports.iter().find(|i| i.channel == round.channel()),
            is_stopped: state.campaign.suspended_at.is_some() || state.stop.is_some(),
            schedule: schedule(
                instant(round.asked_at),
                instant(round.deadline),
                SignedDuration::from_millis(margin),
            ),
        }
    }

    fn is_over(&self) -> bool {
        self.work.app.clock.now() >= self.schedule.stop_at
    }

    /// Does what comes next for this round.
    async fn step(&self, fresh: &mut Vec<i64>) -> Result<Next> {
        let state = self.import.map(|import| import.state.as_str());
        if self.campaign.revoked_at.is_some() {
            return ending::close(self, "revoked").await;
        }
        if self.is_over() {
            return ending::close(self, self.why_over(state)).await;
        }
        if self.is_stopped {
            return Ok(self.wait(LOOK_AGAIN_MS));
        }
        match (state, self.import) {
            // Only a person lets it go on.
            (Some("held"), _) => Ok(self.wait(i64::MAX)),
            (Some("wanted" | "reading" | "read"), Some(import)) => {
                read::step(self, import, fresh).await
            }
            _ => self.clear().await,
        }
    }

    /// Why a round ends whose time is up, from how far its reading came.
    fn why_over(&self, state: Option<&str>) -> &'static str {
        match state {
            Some("held") => "list_held",
            _ if self.is_stopped => "suspended",
            _ => "deadline",
        }
    }

    fn wait(&self, for_ms: i64) -> Next {
        let until = self.work.app.clock.now_ms().saturating_add(for_ms);
        Next::Wait(until.min(self.schedule.stop_at.as_millisecond()))
    }

    /// Decides and reports side by side, until both are done or the time is up.
    async fn clear(&self) -> Result<Next> {
        let (told, progress) = watch::channel(Progress {
            through: self.round.decided_through.clone(),
            is_over: false,
        });
        let (decided, reported) =
            tokio::join!(decide::all(self, told), report::all(self, progress));
        if decided? == Reached::End && reported? == Reached::End {
            return ending::close(self, "complete").await;
        }
        if self.is_over() || self.work.stop.is_cancelled() {
            return Ok(Next::Step);
        }
        // The campaign was stopped, or the round closed by somebody else.
        Ok(self.wait(LOOK_AGAIN_MS))
    }

    fn object(&self) -> String {
        Object::Round(&self.campaign.id, self.round.no).to_string()
    }

    /// Records a difference and says so at once.
    async fn find(&self, kind: &'static str, detail: String) -> Result<()> {
        tracing::warn!(
            tenant.id = self.work.tenant.id(),
            campaign.id = self.campaign.id,
            round = self.round.no,
            finding = kind,
            "{detail}"
        );
        let (tenant, object) = (self.work.job.tenant, self.object());
        self.work
            .app
            .tx("find_clearance", move |tx| {
                tx.find(tenant, kind, &object, &detail)
            })
            .await
    }
}

/// How far deciding is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Progress {
    /// Customers up to here (folded) are decided.
    through: Option<String>,
    /// Nothing more will be decided now.
    is_over: bool,
}

/// How far deciding or reporting came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The end.
    End,
    /// A point where it has to stop.
    Stop,
}

/// A task of ours that panicked or was torn down: this try ends, another goes on from what is durable.
fn crashed(error: &tokio::task::JoinError) -> Error {
    Error::Store(StoreError::Unavailable(format!(
        "a task ended early: {error}"
    )))
}
