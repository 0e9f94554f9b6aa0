//! Reading what a campaign is: GetCampaignDetails, kept as a version.

use bestow_core::HoldReason;
use bestow_core::campaign::{
    DefaultSource, DurationDecision, DurationGap, decide_duration, decide_lead,
};
use bestow_store::campaigns::{Campaign, NewDetails};
use bestow_store::imports::Import;
use optimove::wire::CampaignDetails;

use super::Work;
use crate::error::Result;
use crate::ingest;
use crate::service::notifications::seconds_ms;

/// Reads and keeps the details. A campaign that gives no usable times is held before a page of it is read.
pub(crate) async fn read(work: &Work<'_>, campaign: &Campaign, imports: &[Import]) -> Result<()> {
    let details = match work.client.get_campaign_details(&campaign.id).await {
        Ok(details) => details,
        Err(error) => {
            let hold = match error {
                optimove::Error::UnknownCampaign | optimove::Error::BadRequest { .. }
                    if has_waited(work, imports) =>
                {
                    HoldReason::CampaignUnknown
                }
                optimove::Error::OtherCampaign => HoldReason::CampaignMismatch,
                optimove::Error::Malformed { .. } if work.gives_up() => HoldReason::UnreadablePage,
                error => return Err(error.into()),
            };
            return hold_all(work, campaign, imports, hold).await;
        }
    };
    let default = work
        .tenant
        .settings
        .duration_days_default
        .and_then(|days| bestow_core::Duration::from_days(i64::from(days)).ok());
    let duration = decide_duration(ingest::duration(&details.duration), None, default);
    let lead = decide_lead(ingest::lead_time(&details.lead_time));
    let new = NewDetails {
        duration_days: duration
            .duration()
            .ok()
            .map(|duration| duration.days().into()),
        lead_time_days: lead.as_ref().ok().map(|lead| lead.days().into()),
        duration_source: source(&duration),
        expected_size: details
            .test_group_size
            .and_then(|size| i64::try_from(size).ok()),
        channels: channels(&details),
        document: document(&details),
    };
    let (tenant, no) = (work.job.tenant, campaign.no);
    work.app
        .tx("put_details", move |tx| tx.put_details(tenant, no, &new))
        .await?;
    match (duration.duration(), lead) {
        (Err(hold), _) => hold_all(work, campaign, imports, hold).await,
        (Ok(_), Err(_)) => hold_all(work, campaign, imports, HoldReason::BadLeadTime).await,
        (Ok(_), Ok(_)) => Ok(()),
    }
}

/// Whether a campaign that Optimove does not know has been asked for long enough.
fn has_waited(work: &Work<'_>, imports: &[Import]) -> bool {
    let patience = seconds_ms(work.app.config.work.unknown_campaign_seconds);
    let unread = imports.iter().filter(|import| is_unread(import));
    let newest = unread
        .map(|import| import.wanted_at)
        .max()
        .unwrap_or_default();
    work.app.clock.now_ms().saturating_sub(newest) >= patience
}

async fn hold_all(
    work: &Work<'_>,
    campaign: &Campaign,
    imports: &[Import],
    reason: HoldReason,
) -> Result<()> {
    for import in imports.iter().filter(|import| is_unread(import)) {
        work.hold(campaign, import.channel, reason).await?;
    }
    Ok(())
}

fn is_unread(import: &Import) -> bool {
    matches!(import.state.as_str(), "wanted" | "reading")
}

/// Where the duration comes from, for the campaign to say so.
fn source(decision: &DurationDecision) -> String {
    let why = |gap: &DurationGap| match gap {
        DurationGap::Missing => "the campaign gives none".to_owned(),
        DurationGap::Absurd(text) => format!("the campaign gives {text:?}"),
    };
    match decision {
        DurationDecision::FromCampaign(_) => "campaign".to_owned(),
        DurationDecision::Default {
            source: DefaultSource::Promotion,
            gap,
            ..
        } => {
            format!("default of the promotion: {}", why(gap))
        }
        DurationDecision::Default {
            source: DefaultSource::Tenant,
            gap,
            ..
        } => {
            format!("default of the tenant: {}", why(gap))
        }
        DurationDecision::Hold { gap } => format!("none: {}", why(gap)),
    }
}

fn channels(details: &CampaignDetails) -> Option<String> {
    let ids: Vec<i64> = details
        .channels
        .iter()
        .filter_map(|channel| channel.id)
        .collect();
    (!ids.is_empty()).then(|| serde_json::json!(ids).to_string())
}

fn document(details: &CampaignDetails) -> String {
    serde_json::json!({
        "campaign_type": details.campaign_type,
        "target_group_id": details.target_group_id,
        "duration": format!("{:?}", details.duration),
        "lead_time": format!("{:?}", details.lead_time),
        "notes": details.notes,
        "is_multi_channel": details.is_multi_channel,
        "is_recurrence": details.is_recurrence,
        "status": details.status,
        "error": details.error,
        "test_group_size": details.test_group_size,
        "control_group_size": details.control_group_size,
        "channels": details.channels.iter().filter_map(|channel| channel.id).collect::<Vec<_>>(),
        "tags": details.tags,
    })
    .to_string()
}
