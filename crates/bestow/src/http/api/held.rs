//! `/v1/tenants/{tenant}/held`: what waits for a person.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;

use crate::error::Result;
use crate::http::body::JsonOrNothing;
use crate::http::door::InTenant;
use crate::http::page::{List, Query, Wanted};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::held::{self, Filter, HeldView, Release, Released};

/// What to look at.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only what is held for this reason.
    reason: Option<String>,
    /// Only of this campaign.
    campaign_id: Option<String>,
    /// Rows of the page: 1 to 1,000; 100 unless said otherwise.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Held pairs, by campaign and reason.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/held", tag = "held", params(("tenant" = String, Path), Which),
    responses((status = 200, body = List<HeldView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<Which>,
) -> Result<Answer<List<HeldView>>, Problem> {
    let wanted = Wanted::new("held", which.limit, which.cursor.as_deref())?;
    let after = wanted.after(|key| {
        let (campaign, reason) = key.split_once('\n')?;
        Some((campaign.parse().ok()?, reason.to_owned()))
    })?;
    let filter = Filter::new(which.reason.as_deref(), which.campaign_id.as_deref())?;
    let after = after.unwrap_or_default();
    let found = held::list(&shared.app, &tenant, &filter, after, wanted.one_more())?;
    let keyed = found
        .into_iter()
        .map(|((no, reason), view)| (format!("{no}\n{reason}"), view));
    Ok(Answer(wanted.page(keyed.collect())))
}

/// Runs held pairs again, through the same door: those whose code the catalogue knows by now are
/// granted.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/held/release", tag = "held",
    params(("tenant" = String, Path)), request_body = Option<Release>,
    responses((status = 200, body = Released), (status = "default", body = Document)),
)]
pub(crate) async fn release(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    JsonOrNothing(wanted): JsonOrNothing<Release>,
) -> Result<Answer<Released>, Problem> {
    Ok(Answer(
        held::release(&shared.app, &actor, &tenant, wanted).await?,
    ))
}
