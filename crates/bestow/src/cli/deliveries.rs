//! `bestow deliveries`: batches of events on their way to destinations.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, note, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::deliveries::{self, DeliveryView, Filter};
use crate::tenant::Tenant;

/// Deliveries read at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Deliveries.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Deliveries {
    /// Lists deliveries; those that somebody has to look at unless a state is given.
    List {
        /// The tenant.
        tenant: String,
        /// Only to this destination.
        #[arg(long)]
        destination: Option<String>,
        /// `waiting`, `sending`, `delivered`, `unknown`, `dead` or `overtaken`.
        #[arg(long)]
        state: Option<String>,
    },
    /// Sends again, with the same id, what is unknown or was given up.
    Retry {
        /// The tenant.
        tenant: String,
        /// The delivery.
        #[arg(required_unless_present = "state")]
        delivery: Option<String>,
        /// Instead of one: all that are `unknown` or `dead`.
        #[arg(long, conflicts_with = "delivery")]
        state: Option<String>,
        /// Only to this destination.
        #[arg(long, requires = "state")]
        destination: Option<String>,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: &Deliveries) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Deliveries::List {
            tenant,
            destination,
            state,
        } => {
            let tenant = app.tenant(tenant)?;
            let states = state
                .as_deref()
                .map_or(vec!["unknown", "dead"], |one| vec![one]);
            let mut rows = Vec::new();
            for state in states {
                let found = all(&app, &tenant, destination.as_deref(), state)?;
                rows.extend(found.into_iter().map(row));
            }
            let head = [
                "DELIVERY",
                "DESTINATION",
                "STATE",
                "EVENTS",
                "TRIES",
                "PLANNED",
                "DETAIL",
            ];
            table(&head, &rows);
        }
        Deliveries::Retry {
            tenant,
            delivery: Some(id),
            ..
        } => {
            let tenant = app.tenant(tenant)?;
            json(&deliveries::retry(&app, &Actor::cli(), &tenant, id).await?)?;
        }
        Deliveries::Retry {
            tenant,
            state,
            destination,
            ..
        } => {
            let tenant = app.tenant(tenant)?;
            let state = state.as_deref().unwrap_or("dead");
            let found = all(&app, &tenant, destination.as_deref(), state)?;
            for delivery in &found {
                deliveries::retry(&app, &Actor::cli(), &tenant, &delivery.id).await?;
            }
            note(&format!("{} deliveries are sent again", found.len()));
        }
    }
    Ok(Outcome::Done)
}

fn all(
    app: &App,
    tenant: &Tenant,
    destination: Option<&str>,
    state: &str,
) -> anyhow::Result<Vec<DeliveryView>> {
    let filter = Filter {
        destination,
        state: Some(state),
    };
    let (mut found, mut after) = (Vec::new(), (0, 0));
    loop {
        let some = deliveries::list(app, tenant, filter, after, LISTED_AT_ONCE)?;
        let Some((last, _)) = some.last() else {
            return Ok(found);
        };
        after = *last;
        found.extend(some.into_iter().map(|(_, view)| view));
    }
}

fn row(view: DeliveryView) -> Vec<String> {
    vec![
        view.id,
        view.destination.unwrap_or_default(),
        view.state.to_owned(),
        view.events.to_string(),
        view.attempts.to_string(),
        view.planned_at.to_string(),
        view.detail.unwrap_or_default(),
    ]
}
