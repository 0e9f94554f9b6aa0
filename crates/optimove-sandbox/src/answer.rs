//! Answers of the API side: what a function gives, and the bytes that the switches make of it.

use bytes::Bytes;
use http::{Response, StatusCode, header};

use crate::body::Body;
use crate::switch::{EmptyResult, ErrorBody, Switches, Transfer, VoidBody};
use crate::write;

/// What a function gives back.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A list: its JSON and how many rows it has.
    Rows(Vec<u8>, usize),
    /// An object or a string as JSON.
    Json(Vec<u8>),
    /// Done, nothing to say.
    Void,
}

/// Why a function refuses.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Status and message; the body follows the switch `error-body`.
    Status(StatusCode, String),
    /// The rate limit: always the documented object. Seconds to wait, if they are to be said.
    TooManyRequests(Option<u64>),
    /// A session token that has run out: its own text, as JSON or not.
    TokenExpired(&'static str),
}

impl Refusal {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::Status(StatusCode::BAD_REQUEST, message.into())
    }

    /// A refusal whose message is the name of its status.
    pub(crate) fn plain(status: StatusCode) -> Self {
        Self::Status(
            status,
            status.canonical_reason().unwrap_or("Error").to_owned(),
        )
    }
}

/// An answer ready to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    content_type: Option<&'static str>,
    retry_after_seconds: Option<u64>,
    pub(crate) body: Bytes,
}

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

impl Answer {
    pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, Some(JSON), body)
    }

    pub(crate) fn html(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, Some(HTML), body)
    }

    fn new(status: StatusCode, content_type: Option<&'static str>, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            retry_after_seconds: None,
            body: body.into(),
        }
    }

    /// The answer to an API call under the given switches.
    pub(crate) fn of(result: Result<Reply, Refusal>, switches: &Switches) -> Self {
        match result {
            Ok(Reply::Rows(_, 0)) => Self::empty_list(switches),
            Ok(Reply::Rows(json, _) | Reply::Json(json)) => Self::json(StatusCode::OK, json),
            Ok(Reply::Void) => match switches.void_body {
                VoidBody::Empty => Self::new(StatusCode::OK, None, ""),
                VoidBody::ResponseCode => Self::json(StatusCode::OK, r#"{"ResponseCode":200}"#),
                VoidBody::JsonTrue => Self::json(StatusCode::OK, "true"),
            },
            Err(Refusal::Status(status, message)) => Self::error(status, &message, switches),
            Err(Refusal::TooManyRequests(wait)) => {
                let body = concat!(
                    r#"{"status":429,"error":"Too Many Requests","#,
                    r#""message":"The limit of this API group is used up, try again later."}"#
                );
                let answer = Self::json(StatusCode::TOO_MANY_REQUESTS, body);
                Self {
                    retry_after_seconds: wait,
                    ..answer
                }
            }
            Err(Refusal::TokenExpired(text)) => {
                let content_type = if text.starts_with('"') { JSON } else { TEXT };
                Self::new(StatusCode::FORBIDDEN, Some(content_type), text)
            }
        }
    }

    fn empty_list(switches: &Switches) -> Self {
        match switches.empty_result {
            EmptyResult::Array => Self::json(StatusCode::OK, "[]"),
            EmptyResult::NoContent => Self::new(StatusCode::NO_CONTENT, None, ""),
            EmptyResult::NotFound => Self::error(StatusCode::NOT_FOUND, "Not Found", switches),
            EmptyResult::EmptyBody => Self::new(StatusCode::OK, None, ""),
        }
    }

    fn error(status: StatusCode, message: &str, switches: &Switches) -> Self {
        let quoted = |text: &str| {
            let mut json = Vec::new();
            write::text(&mut json, text);
            String::from_utf8_lossy(&json).into_owned()
        };
        let text = quoted(message);
        let body = match switches.error_body {
            ErrorBody::Plain => return Self::new(status, Some(TEXT), message.to_owned()),
            ErrorBody::JsonString => text,
            ErrorBody::Problem => format!(
                concat!(
                    r#"{{"type":"about:blank","title":{},"status":{},"#,
                    r#""errors":{{"request":[{}]}}}}"#
                ),
                quoted(status.canonical_reason().unwrap_or("Error")),
                status.as_u16(),
                text,
            ),
            ErrorBody::ErrorsObject => format!(r#"{{"Errors":[{text}]}}"#),
            ErrorBody::ErrorObject => format!(r#"{{"Error":{text}}}"#),
            ErrorBody::DoubleEncoded => quoted(&format!(r#"{{"Error":{text}}}"#)),
        };
        Self::json(status, body)
    }

    /// The HTTP answer, whole.
    pub(crate) fn into_response(self, transfer: Transfer) -> Response<Body> {
        let body = match transfer {
            Transfer::ContentLength => Body::full(self.body.clone()),
            Transfer::Chunked => Body::chunked(self.body.clone()),
        };
        self.with_body(body)
    }

    /// The HTTP answer with status 200, cut in the middle of its body.
    pub(crate) fn into_cut_response(self, transfer: Transfer) -> Response<Body> {
        let body = Body::cut(&self.body, transfer);
        Self {
            status: StatusCode::OK,
            ..self
        }
        .with_body(body)
    }

    fn with_body(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(
                header::CONTENT_TYPE,
                http::HeaderValue::from_static(content_type),
            );
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
