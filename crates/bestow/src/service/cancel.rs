//! A cancelled campaign (event 4): suspended at once, then confirmed, lifted or revoked.
//!
//! The transaction that settles the notification suspends the campaign, one row whatever its size,
//! and wants the job that asks Optimove. What its answers are worth is decided in
//! [`bestow_core::cancel`]; here they are asked for, and the decision is carried out.

mod carry_out;
mod compare;

use bestow_core::CampaignId;
use bestow_core::cancel::{DetailsSaid, Evidence, ListSaid, ListWindow, Settlement, look, settle};
use bestow_core::notification::NotificationKey;
use bestow_store::audit::AuditEntry;
use bestow_store::campaigns::{Campaign, SuspendedBy};
use bestow_store::cancellations::Cancellation;
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};
use optimove::client::PagedList;
use optimove::rate::Priority;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use carry_out::{Looked, carry_out};

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::import::campaign_no;
use crate::service::notifications::seconds_ms;
use crate::service::view::Instant;
use crate::tenant::Tenant;
use crate::work::kind;
use crate::work::run::Ended;

/// Why a campaign is suspended by a notification.
const SUSPENDED: &str = "cancelled by Optimove (event 4)";
/// The finding of a list that is not what we hold.
const DIFFERS: &str = "cancelled_list_differs";
/// Findings that are over once somebody has decided.
const OPEN_QUESTIONS: [&str; 2] = ["cancel_contradicted", "cancel_unconfirmed"];

/// What Optimove's notice of a cancel has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CancellationView {
    /// When the notice came.
    pub notified_at: Instant,
    /// `asking` while Optimove is asked; `confirmed`; `contradicted`: the campaign goes on;
    /// `unconfirmed`: Optimove could not tell; `overruled`: a person decided before.
    pub state: String,
    /// Rows of Optimove's list of cancelled customers.
    pub rows: u64,
    /// Distinct pairs of customer and code in it.
    pub listed: u64,
    /// Listed pairs without a grant here.
    pub not_ours: u64,
    /// Grants here that it does not list.
    pub not_listed: u64,
    /// When nothing was left to be asked; null before.
    pub settled_at: Option<Instant>,
}

impl From<Cancellation> for CancellationView {
    fn from(kept: Cancellation) -> Self {
        Self {
            notified_at: Instant(kept.notified_at),
            state: kept.state,
            rows: kept.counts.rows,
            listed: kept.counts.listed,
            not_ours: kept.counts.not_ours,
            not_listed: kept.counts.not_listed,
            settled_at: kept.settled_at.map(Instant),
        }
    }
}

/// Takes a notice in: the campaign is suspended when this transaction is durable, and Optimove will
/// be asked. A campaign that was never seen becomes known by it, stopped before it began (a
/// tombstone); one that is revoked has its list compared again where that had differed. False where there is nothing
/// to be done: it is asked about already, or nothing is open.
///
/// # Errors
/// The store's.
pub(crate) fn heard(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &str,
    notified_at: i64,
) -> std::result::Result<bool, StoreError> {
    let (no, is_new) = tx.see_cancelled(tenant, campaign)?;
    let is_revoked = tx
        .campaign_by_no(tenant, no)?
        .is_some_and(|campaign| campaign.revoked_at.is_some());
    if is_revoked {
        return compare_again(tx, tenant, no, campaign);
    }
    if !tx.begin_cancellation(tenant, no, notified_at)? {
        return Ok(false);
    }
    let suspended = tx.suspend_campaign(tenant, no, SuspendedBy::Cancel, SUSPENDED)?;
    answered(tx, tenant, campaign)?;
    let now = tx.now_ms();
    tx.want_job(tenant, kind::CANCEL, &no.to_string(), now)?;
    let detail = json!({"event": 4, "suspended": suspended, "first_heard_of": is_new});
    audit(
        tx,
        tenant,
        "optimove",
        "campaign.cancel_heard",
        campaign,
        &detail,
    )?;
    Ok(true)
}

/// Has Optimove's list of cancelled customers compared once more where it differed: what was missing may have come
/// since. True where it will be.
///
/// # Errors
/// The store's.
pub(crate) fn compare_again(
    tx: &mut Tx<'_>,
    tenant: i64,
    no: i64,
    campaign: &str,
) -> std::result::Result<bool, StoreError> {
    let found = tx.finding(tenant, DIFFERS, &object(campaign))?;
    let is_open = found.is_some_and(|found| found.resolved_at.is_none());
    if !is_open || !tx.compare_again(tenant, no)? {
        return Ok(false);
    }
    let now = tx.now_ms();
    tx.want_job(tenant, kind::CANCEL, &no.to_string(), now)?;
    Ok(true)
}

/// A person lets the campaign go on: what Optimove would answer does not matter any more, and the
/// next notice counts as new.
///
/// # Errors
/// The store's.
pub(crate) fn overruled(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &Campaign,
) -> std::result::Result<(), StoreError> {
    tx.overrule_cancellation(tenant, campaign.no)?;
    listen_again(tx, tenant, &campaign.id)?;
    answered(tx, tenant, &campaign.id)
}

/// The questions about a campaign are answered.
pub(crate) fn answered(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &str,
) -> std::result::Result<(), StoreError> {
    let object = object(campaign);
    OPEN_QUESTIONS
        .iter()
        .try_for_each(|question| tx.resolve_finding(tenant, question, &object))
}

/// A notice that was lifted is over: the next one is another, not a repeat of it.
fn listen_again(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &str,
) -> std::result::Result<(), StoreError> {
    if let Ok(campaign) = CampaignId::parse(campaign) {
        let identity = NotificationKey::Cancelled { campaign }.to_string();
        tx.retire_notification(tenant, &identity)?;
    }
    Ok(())
}

/// One question to Optimove about one campaign.
struct Check<'a> {
    app: &'a App,
    job: &'a Job,
    tenant: &'a Tenant,
    client: optimove::Client,
    campaign: Campaign,
    notified_at: i64,
    stop: &'a CancellationToken,
}

/// Asks Optimove, and does what follows from its answers.
///
/// # Errors
/// Optimove's, as long as it may still tell; the store's.
pub async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let no = campaign_no(job)?;
    let snapshot = app.directory.snapshot();
    let tenant = snapshot
        .tenant_by_no(job.tenant)
        .ok_or(Error::NotFound("tenant"))?;
    let (campaign, notice) = app.store.read(|tx| {
        let found = tx.campaign_by_no(job.tenant, no)?;
        let campaign = found.ok_or(Error::NotFound("campaign"))?;
        Ok::<_, Error>((campaign, tx.cancellation(job.tenant, no)?))
    })?;
    let Some(notice) = notice.filter(|notice| notice.settled_at.is_none()) else {
        return Ok(Ended::Done);
    };
    let client = app.clients.for_tenant(tenant, &app.keys)?;
    let check = Check {
        app,
        job,
        tenant,
        client: client.with_priority(Priority::Cancel),
        campaign,
        notified_at: notice.notified_at,
        stop,
    };
    if notice.state != "asking" {
        return check.compare().await;
    }
    let before = notice.doubt.as_deref().map(evidence_of);
    let list = check.ask_list().await?;
    let details = match list {
        // That says it already.
        ListSaid::Customers => DetailsSaid::NothingOfUse,
        _ => check.ask_details().await?,
    };
    let window = check.window();
    let evidence = look(list, details, window);
    let settlement = settle(before, evidence, window, tenant.cancel_unconfirmed());
    let looked = Looked {
        evidence,
        settlement,
        list,
        why: format!("list: {}, details: {}", words(list), told(details)),
    };
    check.carry_out(looked).await?;
    match settlement {
        Settlement::LookAgain => {
            let wait = seconds_ms(app.config.work.cancel_again_seconds);
            Ok(Ended::Again(app.clock.now_ms() + wait))
        }
        Settlement::Revoke if list == ListSaid::Customers => check.compare().await,
        _ => Ok(Ended::Done),
    }
}

impl Check<'_> {
    fn window(&self) -> ListWindow {
        ListWindow::at(self.app.clock.now_ms(), self.notified_at)
    }

    fn list(&self) -> PagedList {
        PagedList::Cancelled {
            campaign_id: self.campaign.id.clone(),
        }
    }

    fn page_rows(&self) -> u32 {
        let own = self.tenant.settings.page_rows;
        own.unwrap_or(self.app.config.optimove.page_rows).max(1)
    }

    async fn ask_list(&self) -> Result<ListSaid> {
        Ok(
            match self.client.page(&self.list(), self.page_rows(), 0).await {
                Ok(page) if page.is_empty() => ListSaid::Nobody,
                Ok(_) => ListSaid::Customers,
                Err(error) if is_not_there(&error) => ListSaid::NotThere,
                Err(error) => self.unreadable(error).map(|()| ListSaid::Unreadable)?,
            },
        )
    }

    async fn ask_details(&self) -> Result<DetailsSaid> {
        Ok(
            match self.client.get_campaign_details(&self.campaign.id).await {
                Ok(details) => DetailsSaid::of_status(details.status.as_deref()),
                Err(optimove::Error::UnknownCampaign) => DetailsSaid::UnknownCampaign,
                Err(error) => self.unreadable(error).map(|()| DetailsSaid::Unreadable)?,
            },
        )
    }

    /// A call that failed is made again as long as the answer may still come; afterwards it counts
    /// as no answer.
    fn unreadable(&self, error: optimove::Error) -> Result<()> {
        let may_pass = matches!(
            error,
            optimove::Error::Transport { .. }
                | optimove::Error::TimedOut { .. }
                | optimove::Error::TooSlow { .. }
                | optimove::Error::Server { .. }
                | optimove::Error::RateLimited { .. }
                | optimove::Error::Unauthorized { .. }
                | optimove::Error::LoginRefused { .. }
        );
        if may_pass && self.window() == ListWindow::Open {
            return Err(error.into());
        }
        tracing::warn!(
            tenant.id = self.tenant.id(),
            campaign.id = self.campaign.id,
            error.message = %error,
            "Optimove cannot be asked about a cancelled campaign"
        );
        Ok(())
    }

    /// Writes down what was decided, in one transaction with its record.
    async fn carry_out(&self, looked: Looked) -> Result<()> {
        let (job, no, id) = (self.job.clone(), self.campaign.no, self.campaign.id.clone());
        let settlement = looked.settlement;
        self.app
            .tx("settle_cancel", move |tx| {
                carry_out(tx, &job, no, &id, &looked)
            })
            .await?;
        if settlement != Settlement::LookAgain {
            self.app.facts_changed();
        }
        let (tenant, campaign) = (self.tenant.id(), &*self.campaign.id);
        if settlement == Settlement::Lift {
            tracing::error!(
                tenant.id = tenant,
                campaign.id = campaign,
                "a notification said that a campaign was cancelled; Optimove knows of no cancel"
            );
        } else {
            tracing::warn!(
                tenant.id = tenant,
                campaign.id = campaign,
                settlement = ?settlement,
                "Optimove was asked about a cancelled campaign"
            );
        }
        Ok(())
    }
}

/// Answers of a server that does not have the function, or not for us.
fn is_not_there(error: &optimove::Error) -> bool {
    matches!(
        error,
        optimove::Error::NotFound { .. }
            | optimove::Error::Refused { .. }
            | optimove::Error::BadRequest { .. }
            | optimove::Error::Forbidden { .. }
    )
}

fn evidence_of(name: &str) -> Evidence {
    match name {
        "contradicts" => Evidence::Contradicts,
        _ => Evidence::CannotTell,
    }
}

fn words(list: ListSaid) -> &'static str {
    match list {
        ListSaid::Customers => "names customers",
        ListSaid::Nobody => "names nobody",
        ListSaid::NotThere => "is not there",
        ListSaid::Unreadable => "cannot be read",
    }
}

fn told(details: DetailsSaid) -> &'static str {
    match details {
        DetailsSaid::Cancelled => "cancelled",
        DetailsSaid::Successful => "successful",
        DetailsSaid::NothingOfUse => "do not say",
        DetailsSaid::UnknownCampaign => "campaign unknown",
        DetailsSaid::Unreadable => "cannot be read",
    }
}

fn object(campaign: &str) -> String {
    format!("campaign/{campaign}")
}

fn audit(
    tx: &mut Tx<'_>,
    tenant: i64,
    actor: &str,
    action: &str,
    campaign: &str,
    detail: &serde_json::Value,
) -> std::result::Result<(), StoreError> {
    tx.audit(&AuditEntry {
        tenant,
        actor,
        action,
        object: &object(campaign),
        detail: &detail.to_string(),
    })
}
