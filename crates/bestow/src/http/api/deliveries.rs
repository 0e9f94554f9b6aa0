//! `/v1/tenants/{tenant}/deliveries`: batches of events on their way.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;

use crate::error::Result;
use crate::http::body::Ignored;
use crate::http::door::InTenant;
use crate::http::page::{List, Query, Segment, Wanted};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::deliveries::{self, DeliveryPlace, DeliveryView, Filter};

/// Which deliveries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only to this destination.
    destination: Option<String>,
    /// Only `waiting`, `sending`, `delivered`, `unknown`, `dead` or `overtaken` ones.
    state: Option<String>,
    /// Rows of the page: 1 to 1,000; 100 unless said otherwise.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Deliveries, by destination and in the order in which they were planned.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/deliveries", tag = "destinations",
    params(("tenant" = String, Path), Which),
    responses((status = 200, body = List<DeliveryView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<Which>,
) -> Result<Answer<List<DeliveryView>>, Problem> {
    let wanted = Wanted::new("deliveries", which.limit, which.cursor.as_deref())?;
    let filter = Filter {
        destination: which.destination.as_deref(),
        state: which.state.as_deref(),
    };
    let after = wanted.after(place)?.unwrap_or_default();
    let found = deliveries::list(&shared.app, &tenant, filter, after, wanted.one_more())?;
    let rows = found
        .into_iter()
        .map(|((destination, no), view)| (format!("{destination}.{no}"), view));
    Ok(Answer(wanted.page(rows.collect())))
}

fn place(key: &str) -> Option<DeliveryPlace> {
    let (destination, no) = key.split_once('.')?;
    Some((destination.parse().ok()?, no.parse().ok()?))
}

/// Has a delivery sent again that is `unknown` or `dead`, with the same id.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/deliveries/{id}/retry", tag = "destinations",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = DeliveryView),
        (status = 409, description = "`not_given_up` or `destination_ended`.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn retry(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    _: Ignored,
) -> Result<Answer<DeliveryView>, Problem> {
    let again = deliveries::retry(&shared.app, &actor, &tenant, &id).await?;
    Ok(Answer(again))
}
