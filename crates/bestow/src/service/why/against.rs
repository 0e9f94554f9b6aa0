//! What people and bounds say against a code: exclusions, stops, codes in use, campaigns that wait for a second person.

use std::collections::BTreeMap;

use bestow_store::campaigns::Campaign;
use bestow_store::exclusions::Exclusion;

use super::StepView;
use super::words::step;
use crate::app::App;
use crate::error::Result;
use crate::service::guards::{BeyondView, FiguresView, GuardView};
use crate::service::redemptions::in_use;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// What keeps a customer from a code (folded), whichever campaign gave it.
pub(super) fn everything(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    code_fold: &str,
) -> Result<Vec<StepView>> {
    let no = tenant.no();
    let read = |tx: &mut bestow_store::Tx<'_>| {
        Ok::<_, bestow_store::Error>((
            tx.exclusions_of(no, customer)?,
            tx.promotion(no, code_fold)?,
        ))
    };
    let (exclusions, promotion) = app.store.read(read)?;
    let is_meant = |one: &&Exclusion| one.code_fold.is_empty() || one.code_fold == code_fold;
    let mut story: Vec<_> = exclusions.iter().filter(is_meant).map(excluded).collect();
    let stop = promotion.filter(|promotion| promotion.resumes_as.is_some());
    story.extend(stop.map(|promotion| {
        let reason = promotion.stop_reason.unwrap_or_default();
        let text = format!(
            "A person stopped the promotion: {reason}. Nothing of it is granted or redeemed until it goes on."
        );
        of_no_campaign(None, "stopped", text)
    }));
    Ok(story)
}

/// Codes of a customer that are in use at once, where the tenant bounds their number.
pub(super) fn stacking(app: &App, tenant: &Tenant, customer: &str) -> Result<Option<StepView>> {
    let Some(max) = tenant.settings.codes_at_once_max else {
        return Ok(None);
    };
    let codes = app.store.read(|tx| {
        let mut codes = Vec::new();
        for row in in_use(tx, tenant, customer)? {
            codes.extend(tx.offer_facts(tenant.no(), row.offer)?);
        }
        Ok::<_, crate::Error>(codes)
    })?;
    let names: Vec<_> = codes.iter().map(|facts| facts.code_fold.as_str()).collect();
    let text = format!(
        "Of at most {max} codes in use at once the customer uses {}: {}.",
        names.len(),
        names.join(", ")
    );
    let is_told = !names.is_empty();
    Ok(is_told.then(|| of_no_campaign(None, "in_use", text)))
}

/// What was found of a campaign before anything of it was granted, and what somebody decided.
pub(super) fn guarded(campaign: &Campaign, guard: Option<&GuardView>) -> Vec<StepView> {
    let Some(guard) = guard else {
        return Vec::new();
    };
    let at = |at: Option<Instant>| at.map(|at| at.0);
    let figures = guard.figures.as_ref().map(|figures| {
        let text = format!(
            "Before it was granted it was weighed: {}.",
            in_view(figures)
        );
        step(campaign, at(guard.weighed_at), "weighed", text)
    });
    let (by, reason) = (
        guard.decided_by.as_deref().unwrap_or("somebody"),
        guard.reason.as_deref().unwrap_or_default(),
    );
    let decision = match guard.state.as_str() {
        "held" => {
            let beyond: Vec<_> = guard.beyond.iter().map(bound).collect();
            let text = format!("It waits for a second person: {}.", beyond.join("; "));
            Some(step(campaign, None, "waits", text))
        }
        "approved" => {
            let text = format!("{by} approved it: {reason}.");
            Some(step(campaign, at(guard.decided_at), "approved", text))
        }
        // What follows is told as a revocation.
        _ => None,
    };
    figures.into_iter().chain(decision).collect()
}

fn in_view(figures: &FiguresView) -> String {
    let FiguresView {
        customers,
        grants,
        liability_minor,
        grants_of_unknown_cost: unknown,
        ..
    } = figures;
    let costs = costs(liability_minor);
    let unknown = match unknown {
        0 => String::new(),
        number => format!(", and {number} grants of which nobody knows what they cost"),
    };
    format!("{customers} customers, {grants} grants{costs}{unknown}")
}

fn costs(liability_minor: &BTreeMap<String, i64>) -> String {
    let each = liability_minor.iter();
    let each =
        each.map(|(currency, amount)| format!(", at most {amount} minor units of {currency}"));
    each.collect()
}

fn bound(beyond: &BeyondView) -> String {
    let what = match beyond.bound.as_str() {
        "dry_run" => "somebody wants to see it first",
        "customers" => "too many customers",
        "growth" => "far more customers than in earlier runs",
        "liability" | "promotion_liability" => "it may cost too much",
        "liability_unknown" => "nobody knows what it costs",
        "promotion_grants" => "too many grants",
        other => other,
    };
    let of = beyond.promo_code.as_deref();
    let of = of.map_or(String::new(), |code| format!(" of {code}"));
    let figures = match (beyond.figure, beyond.max) {
        (Some(figure), Some(max)) => format!(" ({figure}, at most {max})"),
        _ => String::new(),
    };
    format!("{what}{of}{figures}")
}

fn excluded(exclusion: &Exclusion) -> StepView {
    let from = match exclusion.code_fold.as_str() {
        "" => "everything",
        _ => "this promotion",
    };
    let text = format!(
        "The customer is excluded from {from}, so nothing is granted and nothing can be redeemed: {}.",
        exclusion.reason
    );
    of_no_campaign(Some(exclusion.created_at), "excluded", text)
}

fn of_no_campaign(at: Option<i64>, what: &'static str, text: String) -> StepView {
    StepView {
        at: at.map(Instant),
        campaign_id: None,
        what,
        text,
    }
}
