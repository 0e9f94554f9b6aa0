//! `/v1/tenants/{tenant}/listeners`: where Optimove sends its notifications.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::body::JsonOrNothing;
use crate::http::door::InTenant;
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::listeners::{self, Rotation, SyncReport};

/// Registers, moves and removes listeners at Optimove until they are as wanted. Listeners of others
/// stay.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/listeners/sync", tag = "tenants",
    params(("tenant" = String, Path)),
    responses((status = 200, body = SyncReport), (status = "default", body = Document)),
)]
pub(crate) async fn sync(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
) -> Result<Answer<SyncReport>, Problem> {
    Ok(Answer(listeners::sync(&shared.app, &actor, &tenant).await?))
}

/// Gives the listeners new secret addresses and registers them at Optimove. The old ones are
/// accepted for another while, so that nothing on its way is lost.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/listeners/rotate", tag = "tenants",
    params(("tenant" = String, Path)), request_body = Option<Rotation>,
    responses((status = 200, body = SyncReport), (status = "default", body = Document)),
)]
pub(crate) async fn rotate(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    JsonOrNothing(rotation): JsonOrNothing<Rotation>,
) -> Result<Answer<SyncReport>, Problem> {
    let rotated = listeners::rotate(&shared.app, &actor, &tenant, &rotation).await?;
    Ok(Answer(rotated))
}
