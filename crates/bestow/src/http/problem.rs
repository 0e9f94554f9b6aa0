//! Answers that are not 2xx: problem documents (RFC 9457). The one place that gives errors their
//! status.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bestow_store::Error as StoreError;

use crate::error::Error;
pub(crate) use crate::problem::Document;

/// Characters of somebody else's words that are passed on.
const DETAIL_CHARS_MAX: usize = 400;
/// The header that says when to come again.
const RETRY_AFTER: &str = "retry-after";
/// When to come again while the store is not available.
const RETRY_AFTER_SECONDS: &str = "1";

/// A refusal or failure on its way out. The door writes it, since it knows the request's id.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    detail: Cow<'static, str>,
    /// One more header, with its value.
    header: Option<(&'static str, Cow<'static, str>)>,
    /// What happened, for the log only.
    pub(crate) cause: Option<String>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            header: None,
            cause: None,
        }
    }

    /// Nothing is there, for all that the asker may know.
    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this address.",
        )
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "A valid token is needed: Authorization: Bearer TOKEN.";
        let mut this = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        this.header = Some(("www-authenticate", "Bearer".into()));
        this
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The token's role does not allow this.",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This address does not take this method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(crate) fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// Not now: the same request may succeed in a moment.
    pub(crate) fn unavailable(code: &'static str, detail: &'static str) -> Self {
        let mut this = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        this.header = Some((RETRY_AFTER, RETRY_AFTER_SECONDS.into()));
        this
    }

    /// Not so often: the same request may succeed after a while.
    pub(crate) fn too_many(code: &'static str, detail: &'static str, wait: Duration) -> Self {
        let mut this = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        this.header = Some((RETRY_AFTER, seconds.to_string().into()));
        this
    }

    /// Our fault. The cause goes to the log; the asker gets a reference to it.
    pub(crate) fn internal(cause: &(impl ToString + ?Sized)) -> Self {
        let detail =
            "Something went wrong here. Report the reference to whoever runs this service.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", detail).because(cause)
    }

    /// With what happened, for the log only.
    pub(crate) fn because(self, cause: &(impl ToString + ?Sized)) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..self
        }
    }

    /// The answer itself.
    pub(crate) fn write(self, reference: &str) -> Response {
        let reference = self.status.is_server_error().then_some(reference);
        let document = Document::new(&self.status, self.code, &self.detail, reference);
        let body = document.to_bytes();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        if let Some((name, Ok(value))) = self.header.map(|(name, value)| (name, value.parse())) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// An empty answer that carries the problem to the door.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                format!("There is no such {what}."),
            ),
            Error::Invalid { code, message } => Self::unprocessable(code, message),
            Error::Conflict { code, message } => Self::new(StatusCode::CONFLICT, code, message),
            Error::Gone { code, message } => Self::new(StatusCode::GONE, code, message),
            Error::TooMany {
                code,
                message,
                retry_after_seconds,
            } => {
                let mut this = Self::new(StatusCode::TOO_MANY_REQUESTS, code, message);
                this.header = Some((RETRY_AFTER, retry_after_seconds.to_string().into()));
                this
            }
            Error::Optimove(error) => optimove(&error),
            Error::Store(error) => store(&error),
            Error::Key(error) => Self::internal(&error),
        }
    }
}

fn store(error: &StoreError) -> Problem {
    let problem = match error {
        StoreError::Unavailable(_) => Problem::unavailable(
            "store_unavailable",
            "The database cannot be used at the moment; nothing was changed.",
        ),
        StoreError::OutcomeUnknown => Problem::unavailable(
            "outcome_unknown",
            "It is not known whether the change was made: repeat the request.",
        ),
        other => return Problem::internal(other),
    };
    problem.because(error)
}

fn optimove(error: &optimove::Error) -> Problem {
    use optimove::Error as E;
    let code = match error {
        E::Unauthorized { .. } | E::Forbidden { .. } | E::LoginRefused { .. } => {
            "optimove_refuses_credential"
        }
        E::Transport { .. } | E::TimedOut { .. } | E::TooSlow { .. } => "optimove_unreachable",
        E::RateLimited { .. } => "optimove_busy",
        _ => "optimove_failed",
    };
    let told: String = error.to_string().chars().take(DETAIL_CHARS_MAX).collect();
    let detail = format!("Optimove was asked and did not help: {told}");
    Problem::new(StatusCode::BAD_GATEWAY, code, detail).because(&told)
}
