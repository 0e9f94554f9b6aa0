//! Grants of one customer and of one campaign.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::error::Result;
use crate::http::door::InTenant;
use crate::http::export::{self, Format};
use crate::http::page::{List, PageQuery, Query, Segment, Wanted};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::campaigns;
use crate::service::grants::{self, CampaignGrants, CampaignPlace, CustomerPlace, GrantView};
use crate::service::retention;

/// Which grants of a customer.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfCustomer {
    /// Only those with this status now.
    status: Option<String>,
    /// Rows of the page: 1 to 1,000; 100 unless said otherwise.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The grants of one customer.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/customers/{customer}/grants", tag = "grants",
    params(("tenant" = String, Path), ("customer" = String, Path), OfCustomer),
    responses((status = 200, body = List<GrantView>), (status = "default", body = Document)),
)]
pub(crate) async fn of_customer(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(customer): Segment,
    Query(which): Query<OfCustomer>,
) -> Result<Answer<List<GrantView>>, Problem> {
    shared.rates.customer(tenant.no(), &customer)?;
    let wanted = Wanted::new("customer_grants", which.limit, which.cursor.as_deref())?;
    let after = wanted.after(customer_place)?;
    let (status, limit) = (which.status.as_deref(), wanted.one_more());
    let found = grants::of_customer(&shared.app, &tenant, &customer, status, after, limit)?;
    let keyed = found
        .into_iter()
        .map(|(CustomerPlace { offer, occurrence }, view)| {
            (format!("{offer}\n{occurrence}"), view)
        });
    Ok(Answer(wanted.page(keyed.collect())))
}

fn customer_place(key: &str) -> Option<CustomerPlace> {
    let (offer, occurrence) = key.split_once('\n')?;
    Some(CustomerPlace {
        offer: offer.parse().ok()?,
        occurrence: occurrence.to_owned(),
    })
}

/// The grants of one campaign in the order of customers; with `Accept: application/x-ndjson` or
/// `text/csv` all of them as a stream.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/campaigns/{id}/grants", tag = "grants",
    params(("tenant" = String, Path), ("id" = String, Path), PageQuery),
    responses(
        (status = 200, content(
            (List<GrantView> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn of_campaign(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(id): Segment,
    Query(which): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = which.of("campaign_grants")?;
    let after = wanted.after(campaign_place)?;
    // Answers 404 and 410 before anything is streamed.
    campaigns::get(&shared.app, &tenant, &id)?;
    let (app, id) = (Arc::clone(&shared.app), grants::campaign_id(&id)?);
    retention::still_listed(&app, &tenant, id.as_str())?;
    let walk = move || CampaignGrants::open(&app, &tenant, &id, after);
    if let Some(format) = Format::asked_for(&headers) {
        return export::answer(&shared, format, walk);
    }
    let limit = wanted.one_more() as usize;
    let read = tokio::task::spawn_blocking(move || {
        let (mut walk, mut rows) = (walk()?, Vec::new());
        while rows.len() < limit {
            let Some((place, view)) = walk.next_grant()? else {
                break;
            };
            let CampaignPlace {
                before,
                customer,
                offer,
            } = place;
            rows.push((format!("{before}\n{customer}\n{offer}"), view));
        }
        Ok::<_, crate::Error>(rows)
    });
    let rows = read.await.map_err(|error| Problem::internal(&error))??;
    Ok(Answer(wanted.page(rows)).into_response())
}

fn campaign_place(key: &str) -> Option<CampaignPlace> {
    let mut parts = key.split('\n');
    let (before, customer, offer) = (parts.next()?, parts.next()?, parts.next()?);
    Some(CampaignPlace {
        before: before.to_owned(),
        customer: customer.to_owned(),
        offer: offer.parse().ok()?,
    })
}
