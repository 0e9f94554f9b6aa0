//! `/v1/tenants/{tenant}/campaigns`: what became of each.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::body::{Ignored, JsonOrNothing};
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::campaigns::{self, CampaignView, StopReason};

/// The campaigns, in the order they were first heard of.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/campaigns", tag = "campaigns",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<CampaignView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<CampaignView>>, Problem> {
    let wanted = which.of("campaigns")?;
    let after = wanted.after(|key| key.parse().ok())?.unwrap_or_default();
    let found = campaigns::list(&shared.app, &tenant, after, wanted.one_more())?;
    Ok(Answer(wanted.page(found)))
}

/// One campaign with its counts and how far it is read.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/campaigns/{id}", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = CampaignView), (status = "default", body = Document)),
)]
pub(crate) async fn get(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(id): Segment,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(campaigns::get(&shared.app, &tenant, &id)?))
}

/// Suspends a campaign until a person lets it go on: nothing of it can be redeemed meanwhile.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/campaigns/{id}/suspend", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)),
    request_body = Option<StopReason>,
    responses(
        (status = 200, body = CampaignView),
        (status = 409, description = "`revoked`: that is final.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn suspend(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    JsonOrNothing(stop): JsonOrNothing<StopReason>,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(
        campaigns::suspend(&shared.app, &actor, &tenant, &id, stop).await?,
    ))
}

/// Lets a campaign go on: held imports continue (an odd size is approved by this), a suspension is
/// lifted.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/campaigns/{id}/resume", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = CampaignView),
        (status = 409, description = "`revoked`: that is final.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn resume(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    _: Ignored,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(
        campaigns::resume(&shared.app, &actor, &tenant, &id).await?,
    ))
}

/// Takes a campaign back for good: none of its grants can be redeemed from then on.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/campaigns/{id}/revoke", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)),
    request_body = Option<StopReason>,
    responses((status = 200, body = CampaignView), (status = "default", body = Document)),
)]
pub(crate) async fn revoke(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    JsonOrNothing(stop): JsonOrNothing<StopReason>,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(
        campaigns::revoke(&shared.app, &actor, &tenant, &id, stop).await?,
    ))
}
