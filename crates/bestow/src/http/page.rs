//! What comes in the address: the pieces of a path, and how much of a list is wanted.

use axum::extract::{FromRequestParts, Query as AxumQuery, RawPathParams};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;

/// Rows of a page when nothing else is asked for.
const LIMIT_DEFAULT: u32 = 100;
/// Rows of a page.
const LIMIT_MAX: u32 = 1_000;

/// Which page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Rows of the page: 1 to 1,000; 100 unless said otherwise.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    /// The page of the list of this name.
    pub(crate) fn of(&self, list: &'static str) -> Result<Wanted, Problem> {
        Wanted::new(list, self.limit, self.cursor.as_deref())
    }
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct List<T> {
    /// The rows.
    pub(crate) data: Vec<T>,
    /// To be sent as `cursor` for the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// Which page of which list is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    list: &'static str,
    limit: usize,
    after: Option<String>,
}

impl Wanted {
    /// Reads `limit` and `cursor` for the list of this name. A cursor of another list is refused.
    pub(crate) fn new(
        list: &'static str,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("`limit` must be 1 to {LIMIT_MAX}.");
            return Err(Problem::unprocessable("bad_limit", detail));
        }
        let after = cursor
            .map(|cursor| key_in(list, cursor).ok_or_else(bad_cursor))
            .transpose()?;
        Ok(Self {
            list,
            limit: limit as usize,
            after,
        })
    }

    /// Rows to look for: one more than the page takes, to know whether another page follows.
    pub(crate) fn one_more(&self) -> u32 {
        self.limit as u32 + 1
    }

    /// Behind which key the page begins, as it was put into the cursor.
    pub(crate) fn after<T>(
        &self,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.after
            .as_deref()
            .map(|key| read(key).ok_or_else(bad_cursor))
            .transpose()
    }

    /// As [`Wanted::after`], where the key is a text; empty at the beginning of the list.
    pub(crate) fn after_text(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// The page out of the rows that were found, whose keys are made from them.
    pub(crate) fn page_by<K: ToString, T>(&self, found: Vec<T>, key: impl Fn(&T) -> K) -> List<T> {
        self.page(found.into_iter().map(|row| (key(&row), row)).collect())
    }

    /// The page out of the rows that were found, each with its key.
    pub(crate) fn page<K: ToString, T>(&self, mut found: Vec<(K, T)>) -> List<T> {
        let is_last = found.len() <= self.limit;
        found.truncate(self.limit);
        let key = found
            .last()
            .filter(|_| !is_last)
            .map(|(key, _)| key.to_string());
        let next_cursor = key.map(|key| URL_SAFE_NO_PAD.encode(format!("{}\n{key}", self.list)));
        List {
            data: found.into_iter().map(|(_, row)| row).collect(),
            next_cursor,
        }
    }
}

fn key_in(list: &str, cursor: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix(list)?
        .strip_prefix('\n')
        .map(str::to_owned)
}

fn bad_cursor() -> Problem {
    let detail = "`cursor` is not one that this list gave out.";
    Problem::bad_request("bad_cursor", detail)
}

/// What stands behind the question mark. A name that the route does not know is refused.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = AxumQuery::try_from_uri(&parts.uri);
        read.map(|AxumQuery(query)| Self(query)).map_err(|error| {
            let detail = format!("The query is not acceptable: {}.", error.body_text());
            Problem::unprocessable("bad_query", detail)
        })
    }
}

/// The last piece of the path that varies, decoded.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| bad_path())?;
        let last = params
            .iter()
            .last()
            .map(|(_, value)| Self(value.to_owned()));
        last.ok_or_else(|| Problem::internal("a route without a varying piece asks for it"))
    }
}

/// The last two pieces of the path that vary, decoded.
pub(crate) struct TwoSegments(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for TwoSegments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| bad_path())?;
        let values: Vec<&str> = params.iter().map(|(_, value)| value).collect();
        match values[..] {
            [.., first, second] => Ok(Self(first.to_owned(), second.to_owned())),
            _ => Err(Problem::internal(
                "a route without two varying pieces asks for them",
            )),
        }
    }
}

pub(crate) fn bad_path() -> Problem {
    Problem::bad_request("bad_path", "The path is not percent-encoded UTF-8.")
}

/// Whether each `%` of a path is followed by two hexadecimal digits.
pub(crate) fn is_well_encoded(path: &str) -> bool {
    let mut rest = path.as_bytes();
    while let Some(place) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(place + 1..place + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[place + 3..],
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_needs_two_digits() {
        assert!(is_well_encoded("/a%2Fb%20c"));
        for bad in ["/%", "/%2", "/%zz", "/a%2Fb%", "/%%20"] {
            assert!(!is_well_encoded(bad), "{bad}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let wanted = Wanted::new("campaigns", Some(1), None).unwrap();
        let list = wanted.page(vec![(7, "a"), (8, "b")]);
        let cursor = list.next_cursor.unwrap();
        let next = Wanted::new("campaigns", None, Some(&cursor)).unwrap();
        assert_eq!(next.after(|key| key.parse::<i64>().ok()).unwrap(), Some(7));
        assert_eq!(
            Wanted::new("audit", None, Some(&cursor)).unwrap_err().code,
            "bad_cursor"
        );
        assert!(wanted.page(vec![(7, "a")]).next_cursor.is_none());
    }
}
