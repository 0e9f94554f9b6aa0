//! What is known of one customer, one code and one campaign.

use std::sync::Arc;

use bestow_core::id::{fold_code, fold_customer};
use bestow_core::import::Disposition;
use bestow_store::campaigns::{Campaign, Offer};
use bestow_store::imports::Import;
use bestow_store::inbox::{InboxFilter, Notification};
use bestow_store::runs::{Group, GroupEntry, Pages, Runs};
use bestow_store::{Error as StoreError, Tx};

use super::{StepView, against, words};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::mark;
use crate::service::grants::{self, GrantView};
use crate::service::guards::GuardView;
use crate::service::redemptions::{self, RedemptionView};
use crate::service::retention;
use crate::tenant::Tenant;

/// Notifications of a campaign that are told of, the oldest.
const NOTIFICATIONS_MAX: u32 = 20;
/// Grants and redemptions of the customer that are looked through.
const ROWS_MAX: u32 = 1_000;

/// What the database has of the campaign itself.
struct Facts {
    campaign: Campaign,
    imports: Vec<Import>,
    notifications: Vec<Notification>,
    denial: Option<String>,
    guard: Option<GuardView>,
}

/// Whose rows are looked at, and for what.
struct About<'a> {
    campaign: &'a Campaign,
    imports: &'a [Import],
    customer: &'a str,
    offer: &'a Offer,
}

/// The story of one campaign.
pub(super) fn of_campaign(
    app: &App,
    tenant: &Arc<Tenant>,
    customer: &str,
    campaign: i64,
    offer: &Offer,
) -> Result<Vec<StepView>> {
    let no = tenant.no();
    let Facts {
        campaign,
        imports,
        notifications,
        denial,
        guard,
    } = app.store.read(|tx| facts(tx, no, customer, campaign))?;
    let grants = granted(app, tenant, customer, &campaign, offer)?;
    let mut story = vec![words::heard(&campaign)];
    story.extend(notifications.iter().map(words::notified));
    story.extend(words::terms(tenant, &campaign));
    story.extend(against::guarded(&campaign, guard.as_ref()));
    if retention::has_left(app, no, campaign.no)? {
        story.push(words::archived(&campaign));
    } else if campaign.kind.as_deref() != Some("triggered") {
        let rows = Runs::group_of(
            &app.store,
            no,
            campaign.no,
            Pages::All,
            &fold_customer(customer),
        )?;
        let is_granted = !grants.is_empty() || denial.is_some();
        let about = About {
            campaign: &campaign,
            imports: &imports,
            customer,
            offer,
        };
        story.extend(listed(&about, &rows, is_granted));
    }
    story.extend(denial.map(|reason| words::denied(&campaign, &reason)));
    let grants = grants.iter();
    story.extend(grants.map(|grant| words::granted(tenant, &campaign, grant)));
    story.extend(words::stopped(&campaign));
    for redemption in redeemed(app, tenant, customer, &campaign, offer)? {
        story.extend(words::redeemed(&campaign, &redemption));
    }
    Ok(story)
}

fn facts(
    tx: &mut Tx<'_>,
    tenant: i64,
    customer: &str,
    campaign: i64,
) -> std::result::Result<Facts, Error> {
    let found = tx.campaign_by_no(tenant, campaign)?;
    let campaign = found.ok_or_else(|| StoreError::Corrupt("an offer of no campaign".into()))?;
    let filter = InboxFilter {
        campaign: Some(&campaign.id),
        ..InboxFilter::default()
    };
    let notifications = tx.notifications(tenant, filter, "", NOTIFICATIONS_MAX)?;
    let denial = tx.denial(tenant, campaign.no, customer)?;
    let guard = tx.guard(tenant, campaign.no)?;
    Ok(Facts {
        guard: guard.map(GuardView::try_from).transpose()?,
        imports: tx.imports(tenant, campaign.no)?,
        notifications,
        denial: denial.map(|denial| denial.reason),
        campaign,
    })
}

/// What Optimove's lists say of the customer, and what came of it where no grant did.
fn listed(about: &About<'_>, rows: &Group, is_settled: bool) -> Vec<StepView> {
    let About {
        campaign,
        customer,
        offer,
        ..
    } = about;
    let mut steps = Vec::new();
    if about.imports.iter().any(|import| import.state != "done") {
        steps.push(words::unread(campaign, about.imports));
    }
    let own = || {
        let entries = rows.entries.iter();
        entries.filter(|entry| rows.customer(entry) == *customer)
    };
    if own().next().is_none() {
        let other = rows.entries.first().map(|entry| rows.customer(entry));
        steps.push(words::not_listed(campaign, other));
        return steps;
    }
    // What is held whole, whatever its codes are, has no offer.
    let is_meant = |entry: &&GroupEntry| match entry.offer {
        0 => entry.mark != mark::NO_CODE,
        no => no == offer.no,
    };
    let with_code: Vec<_> = own().filter(is_meant).collect();
    if with_code.is_empty() {
        steps.push(words::other_codes(campaign));
    }
    for entry in with_code {
        steps.push(words::listed(campaign, entry.page, entry.row));
        steps.extend(match (mark::disposition(entry.mark), &offer.hold_reason) {
            (Disposition::Held(reason), _) => Some(words::held(campaign, reason.as_str())),
            (Disposition::Refused(reason), _) => Some(words::refused(campaign, reason.as_str())),
            (Disposition::Grant, Some(reason)) => Some(words::held(campaign, reason)),
            (Disposition::Grant, None) if is_settled => None,
            (Disposition::Grant, None) if entry.page > campaign.merged_through => {
                Some(words::not_merged(campaign))
            }
            (Disposition::Grant, None) => Some(words::lost(campaign)),
            (Disposition::NoCode | Disposition::Repeat, _) => None,
        });
    }
    steps
}

fn granted(
    app: &App,
    tenant: &Arc<Tenant>,
    customer: &str,
    campaign: &Campaign,
    offer: &Offer,
) -> Result<Vec<GrantView>> {
    let found = grants::of_customer(app, tenant, customer, None, None, ROWS_MAX)?;
    let is_meant =
        |grant: &GrantView| grant.campaign_id == campaign.id && is_code(&grant.promo_code, offer);
    let views = found.into_iter().map(|(_, grant)| grant);
    Ok(views.filter(is_meant).collect())
}

fn redeemed(
    app: &App,
    tenant: &Arc<Tenant>,
    customer: &str,
    campaign: &Campaign,
    offer: &Offer,
) -> Result<Vec<RedemptionView>> {
    let found = redemptions::list(app, tenant, Some(customer), "", ROWS_MAX)?;
    let is_meant = |redemption: &RedemptionView| {
        redemption.campaign_id == campaign.id && is_code(&redemption.promo_code, offer)
    };
    Ok(found.into_iter().filter(is_meant).collect())
}

fn is_code(code: &str, offer: &Offer) -> bool {
    fold_code(code) == offer.code_fold
}
