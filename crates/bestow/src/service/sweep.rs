//! Finding campaigns that no notification told us of: Optimove's lists of what was executed are compared with ours.

use std::sync::Arc;

use bestow_core::id::CampaignId;
use bestow_store::Error as StoreError;
use bestow_store::jobs::Job;
use jiff::ToSpan;
use jiff::civil::Date;
use optimove::rate::Priority;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::ended;
use crate::service::import::{self, campaign_no, told_channels};
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::kind;
use crate::work::run::Ended;

/// Looks at the lists of the last days, and wants what is missing to be read.
///
/// # Errors
/// Optimove's and the store's.
pub async fn run(app: &App, job: &Job) -> Result<Ended> {
    let tenant = &app.tenant_by_no(job.tenant)?;
    let client = app.client(tenant, Priority::Sweep)?;
    let planned = Arc::clone(tenant);
    app.tx("plan_ended_days", move |tx| ended::plan(tx, &planned))
        .await?;
    let channels = &tenant.settings.scheduled_channels;
    for date in days(app, tenant) {
        for channel in channels {
            let listed = client
                .get_executed_campaigns_by_channel(*channel, date)
                .await?;
            want(app, job, &listed, *channel).await?;
        }
        if channels.is_empty() {
            let listed = client.get_executed_campaign_details(date).await?;
            let ids: Vec<String> = listed
                .into_iter()
                .map(|listed| listed.campaign_id)
                .collect();
            want(app, job, &ids, 0).await?;
        }
    }
    let next = app.clock.now_ms() + seconds_ms(app.config.work.sweep_seconds);
    Ok(Ended::Again(next))
}

/// After event 1, and time for event 13 of each channel to come: wants the channels that stayed silent.
///
/// # Errors
/// Optimove's and the store's.
pub async fn grace(app: &App, job: &Job) -> Result<Ended> {
    let no = campaign_no(job)?;
    let tenant = &app.tenant_by_no(job.tenant)?;
    let client = app.client(tenant, Priority::Import)?;
    let campaign = app.store.peek(|tx| tx.campaign_by_no(job.tenant, no))?;
    let campaign = campaign.ok_or(Error::NotFound("campaign"))?;
    let mut channels = told_channels(&campaign);
    if channels.is_empty() {
        channels = match client.get_campaign_details(&campaign.id).await {
            Ok(details) => details
                .channels
                .iter()
                .filter_map(|channel| channel.id)
                .collect(),
            // The import asks again, waits and holds; here it only means that no channel is named.
            Err(optimove::Error::UnknownCampaign) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
    }
    if channels.is_empty() {
        channels.clone_from(&tenant.settings.scheduled_channels);
    }
    for channel in channels {
        want(app, job, std::slice::from_ref(&campaign.id), channel).await?;
    }
    Ok(Ended::Done)
}

/// The last days in the tenant's zone, today first.
fn days(app: &App, tenant: &Tenant) -> Vec<Date> {
    let today = tenant.zone.wall_clock(app.clock.now()).date();
    (0..i32::from(app.config.work.sweep_days.max(1)))
        .filter_map(|back| today.checked_sub(back.days()).ok())
        .collect()
}

/// Wants a channel of campaigns to be read, where that is new. One that was heard of before Optimove knew it goes on.
async fn want(app: &App, job: &Job, campaigns: &[String], channel: i64) -> Result<()> {
    let ids: Vec<String> = campaigns
        .iter()
        .filter_map(|id| CampaignId::parse(id).ok())
        .map(|id| id.as_str().to_owned())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let tenant = job.tenant;
    let found = app
        .tx("want_swept", move |tx| {
            let mut found = 0;
            for id in &ids {
                let (no, _) = tx.see_campaign(tenant, id, "scheduled", "sweep")?;
                let imports = tx.imports(tenant, no)?;
                // A list of every channel covers this one.
                let whole = imports.iter().any(|import| import.channel == 0);
                let is_new = !whole && tx.want_import(tenant, no, channel)?;
                let goes_on = import::resume_unknown(tx, tenant, no, &imports)?;
                if is_new || goes_on {
                    let now = tx.now_ms();
                    tx.want_job(tenant, kind::IMPORT, &no.to_string(), now)?;
                    found += 1;
                }
            }
            Ok::<_, StoreError>(found)
        })
        .await?;
    if found > 0 {
        tracing::info!(
            tenant.no = tenant,
            channel.id = channel,
            campaigns = found,
            "the sweep found campaigns"
        );
        app.work.notify_one();
    }
    Ok(())
}
