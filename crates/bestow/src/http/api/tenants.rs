//! `/v1/tenants`: Optimove's clients and what is known of each.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;

use crate::error::Result;
use crate::http::body::{Ignored, Json, JsonOrNothing};
use crate::http::door::{Asker, InTenant};
use crate::http::page::{List, PageQuery, Query};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::campaigns::StopReason;
use crate::service::tenants::{self, NewTenant, Suspension, TenantPatch, TenantView};

/// Makes a tenant. Secrets are taken and never returned.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses(
        (status = 201, body = TenantView),
        (status = 409, description = "`exists` or `exists_with_different_…`.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn create(
    State(shared): State<Shared>,
    Asker(actor): Asker,
    Json(new): Json<NewTenant>,
) -> Result<(StatusCode, Answer<TenantView>), Problem> {
    let view = tenants::create(&shared.app, &actor, new).await?;
    Ok((StatusCode::CREATED, Answer(view)))
}

/// The tenants that the token may see, in the order of ids.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", params(PageQuery),
    responses((status = 200, body = List<TenantView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    Asker(actor): Asker,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<TenantView>>, Problem> {
    let wanted = which.of("tenants")?;
    let (app, after) = (&shared.app, wanted.after_text());
    let views = match actor.tenant {
        None => tenants::list(app, after, wanted.one_more())?,
        Some(no) => {
            let snapshot = app.directory.snapshot();
            let own = snapshot.tenant_by_no(no).filter(|_| after.is_empty());
            own.map(|tenant| TenantView::from(tenant.as_ref()))
                .into_iter()
                .collect()
        }
    };
    Ok(Answer(wanted.page_by(views, |view| view.id.clone())))
}

/// One tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path)),
    responses((status = 200, body = TenantView), (status = "default", body = Document)),
)]
pub(crate) async fn get(InTenant { tenant, .. }: InTenant) -> Answer<TenantView> {
    Answer(TenantView::from(tenant.as_ref()))
}

/// Changes what the body names; the rest stays.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path)),
    request_body = TenantPatch,
    responses((status = 200, body = TenantView), (status = "default", body = Document)),
)]
pub(crate) async fn update(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Json(patch): Json<TenantPatch>,
) -> Result<Answer<TenantView>, Problem> {
    Ok(Answer(
        tenants::update(&shared.app, &actor, tenant.id(), patch).await?,
    ))
}

/// Suspends a tenant at once: its work rests, nothing of it is promised or redeemed. The listener keeps storing.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/suspend", tag = "tenants", params(("tenant" = String, Path)),
    request_body = Option<StopReason>,
    responses((status = 200, body = TenantView), (status = "default", body = Document)),
)]
pub(crate) async fn suspend(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    JsonOrNothing(stop): JsonOrNothing<StopReason>,
) -> Result<Answer<TenantView>, Problem> {
    Ok(Answer(
        tenants::suspend(&shared.app, &actor, tenant.id(), stop).await?,
    ))
}

/// Lets a suspended tenant go on.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/resume", tag = "tenants", params(("tenant" = String, Path)),
    responses(
        (status = 200, body = TenantView),
        (status = 409, description = "`deleted`: it has no credential any more.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn resume(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    _: Ignored,
) -> Result<Answer<TenantView>, Problem> {
    let to = Suspension::Resume;
    Ok(Answer(
        tenants::set_suspended(&shared.app, &actor, tenant.id(), to).await?,
    ))
}

/// Ends a tenant: work stops for good and its credential is forgotten; its record stays.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path)),
    responses(
        (status = 204, description = "It is ended."),
        (status = 409, description = "`grants_live`: grants of it run.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn delete(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
) -> Result<StatusCode, Problem> {
    tenants::delete(&shared.app, &actor, tenant.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}
