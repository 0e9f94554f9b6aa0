//! `/v1/tenants/{tenant}/campaigns`: what became of each.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::body::{Ignored, Json, JsonOrNothing};
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::campaigns::{self, CampaignView, StopReason};
use crate::service::guards::{self, Decision};

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

/// Reads and weighs a campaign, and grants nothing of it until somebody approves: what it would give, and what would be
/// held or refused, is in `guard` once it is read.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/campaigns/{id}/dry-run", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = CampaignView),
        (status = 409, description = "`already_granted`, `revoked`, `not_listed`.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn dry_run(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    _: Ignored,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(
        guards::dry_run(&shared.app, &actor, &tenant, &id).await?,
    ))
}

/// Lets a campaign go on that waits for a second person, with the figures that are in view.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/campaigns/{id}/approve", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = Decision,
    responses(
        (status = 200, body = CampaignView),
        (status = 409, description = "`nothing_waits`; `same_person`: whoever set the bounds, wrote a promotion of it \
            or asked for the dry run.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn approve(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    Json(decision): Json<Decision>,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(
        guards::approve(&shared.app, &actor, &tenant, &id, decision).await?,
    ))
}

/// Refuses a campaign that waits for a second person: nothing of it is ever granted.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/campaigns/{id}/refuse", tag = "campaigns",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = Decision,
    responses(
        (status = 200, body = CampaignView),
        (status = 409, description = "`nothing_waits`.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn refuse(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    Json(decision): Json<Decision>,
) -> Result<Answer<CampaignView>, Problem> {
    Ok(Answer(
        guards::refuse(&shared.app, &actor, &tenant, &id, decision).await?,
    ))
}
