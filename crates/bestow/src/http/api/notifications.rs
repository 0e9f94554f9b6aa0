//! `/v1/tenants/{tenant}/notifications`: the inbox.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;

use crate::error::Result;
use crate::http::body::Ignored;
use crate::http::door::InTenant;
use crate::http::page::{List, Query, Segment, Wanted};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::inbox::{self, Filter, NotificationView, NotificationWithBody};

/// Which notifications.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only `waiting`, `done`, `superseded` or `held` ones.
    status: Option<String>,
    /// Only of this campaign.
    campaign_id: Option<String>,
    /// Rows of the page: 1 to 1,000; 100 unless said otherwise.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Notifications, oldest first.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/notifications", tag = "notifications",
    params(("tenant" = String, Path), Which),
    responses((status = 200, body = List<NotificationView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<Which>,
) -> Result<Answer<List<NotificationView>>, Problem> {
    let wanted = Wanted::new("notifications", which.limit, which.cursor.as_deref())?;
    let filter = Filter {
        status: which.status.as_deref(),
        campaign: which.campaign_id.as_deref(),
    };
    let after = wanted.after_text();
    let views = inbox::list(&shared.app, &tenant, filter, after, wanted.one_more())?;
    Ok(Answer(wanted.page_by(views, |view| view.id.clone())))
}

/// One notification, with the body as it first came.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/notifications/{id}", tag = "notifications",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = NotificationWithBody), (status = "default", body = Document)),
)]
pub(crate) async fn get(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(id): Segment,
) -> Result<Answer<NotificationWithBody>, Problem> {
    Ok(Answer(inbox::get(&shared.app, &tenant, &id)?))
}

/// Runs a notification again, whatever became of it before. What it asks for and is done stays
/// done.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/notifications/{id}/replay", tag = "notifications",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = NotificationWithBody), (status = "default", body = Document)),
)]
pub(crate) async fn replay(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    _: Ignored,
) -> Result<Answer<NotificationWithBody>, Problem> {
    Ok(Answer(
        inbox::replay(&shared.app, &actor, &tenant, &id).await?,
    ))
}
