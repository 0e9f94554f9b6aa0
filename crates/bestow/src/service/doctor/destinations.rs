//! How a tenant's destinations fare.

use super::{Finding, OVERDUE_MS};
use crate::app::App;
use crate::error::Result;
use crate::service::destinations::{self, DESTINATIONS_MAX, DestinationView};
use crate::tenant::Tenant;

/// Destinations that fail, that lack what nobody sends them again, or that hear late.
pub(super) fn destinations(app: &App, about: &str, tenant: &Tenant) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for destination in destinations::list(app, tenant, "", DESTINATIONS_MAX)? {
        let about = format!("{about}, destination {}", destination.id);
        findings.extend(failing(&about, &destination));
        findings.extend(given_up(&about, tenant, &destination));
        if let Some(oldest) = destinations::oldest_untold_at(app, tenant, &destination.id)? {
            findings.extend(late(&about, app.clock.now_ms() - oldest));
        }
    }
    Ok(findings)
}

fn failing(about: &str, destination: &DestinationView) -> Option<Finding> {
    let trouble = destination.trouble.as_ref()?;
    let fix = "mend it; what waits for it is sent by itself";
    Some(if destination.status == "resting" {
        let what = format!("it rests after failing several times in a row: {trouble}");
        Finding::error(about, what, fix)
    } else {
        Finding::warning(about, format!("its newest try failed: {trouble}"), fix)
    })
}

fn given_up(about: &str, tenant: &Tenant, destination: &DestinationView) -> Option<Finding> {
    let DestinationView { unknown, dead, .. } = destination;
    if unknown + dead == 0 {
        return None;
    }
    let what = format!("{unknown} deliveries may have been applied or not, {dead} were given up");
    let fix = format!(
        "look at them with `bestow deliveries list {0}`, send again what is lacking with `bestow deliveries retry {0}`",
        tenant.id()
    );
    Some(Finding::warning(about, what, fix))
}

fn late(about: &str, late_ms: i64) -> Option<Finding> {
    if late_ms <= OVERDUE_MS {
        return None;
    }
    let what = format!(
        "it has not heard yet of what was noted {} minutes ago",
        late_ms / 60_000
    );
    let fix =
        "see that `bestow serve` runs, that the destination is not paused, and that it keeps up";
    Some(Finding::warning(about, what, fix))
}
