//! `/v1/events`: what happens, while it happens, as server-sent events. A courtesy: the truth is in
//! the lists.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Line, KeepAlive};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::actor::Actor;
use crate::error::Result;
use crate::events::Event;
use crate::http::door::{Asker, bearer};
use crate::http::page::Query;
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::tokens;

/// A line is sent at least so often, so that what lies between keeps the connection open.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only of this tenant.
    tenant: Option<String>,
}

/// Progress and changes of state of the tenants that the token may see. `missed` says that the
/// reader was too slow.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(Which),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn stream(
    State(shared): State<Shared>,
    _: Asker,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Line, Infallible>>>, Problem> {
    let token = bearer(&headers)
        .ok_or_else(Problem::unauthorized)?
        .to_owned();
    let watch = Watch {
        events: shared.app.events.subscribe(),
        shared,
        token,
        only: which.tenant,
    };
    let lines = stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok(line), watch))
    });
    Ok(Sse::new(lines).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)))
}

struct Watch {
    events: Receiver<Event>,
    shared: Shared,
    token: String,
    only: Option<String>,
}

impl Watch {
    /// The next line; `None` when the service stops or the token is no longer accepted.
    async fn next(&mut self) -> Option<Line> {
        loop {
            let stop = self.shared.stop.clone();
            let received = tokio::select! {
                received = self.events.recv() => received,
                () = stop.cancelled() => return None,
            };
            // Asked each time: a stream lives long, and a token may be revoked meanwhile.
            let actor = tokens::authenticate(&self.shared.app, &self.token)?;
            match received {
                Ok(event) if self.is_for(&actor, &event) => {
                    return Line::default().json_data(&event).ok();
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    return Some(Line::default().event("missed").data("{}"));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn is_for(&self, actor: &Actor, event: &Event) -> bool {
        let is_named = self
            .only
            .as_deref()
            .is_none_or(|only| only == event.tenant());
        let may_see = actor.tenant.is_none_or(|own| {
            let snapshot = self.shared.app.directory.snapshot();
            snapshot
                .tenant(event.tenant())
                .is_some_and(|tenant| tenant.no() == own)
        });
        is_named && may_see
    }
}
