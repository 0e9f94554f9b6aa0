//! `/v1/tenants/{tenant}/listeners`: where Optimove sends its notifications.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::door::InTenant;
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::listeners::{self, SyncReport};

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
