//! Tolerant readers: what odd input from Optimove means.
//!
//! Optimove's documents, its old libraries and what its servers were seen to send disagree about
//! letter case, quotes around numbers, lists and times. The readers here give every observed
//! variant the same reading, and refuse the whole body when it is not what was asked for: a JSON
//! string, a page of HTML or a cut answer is never taken for an empty list.
//!
//! Values stay raw text until somebody asks for a type, so the digits of an id are those that were
//! sent, whatever their number.

mod codes;
mod object;
mod time;
mod value;

pub use codes::Codes;
pub(crate) use object::expect;
pub use object::{Object, read_list, read_object};
pub use time::WireTime;
pub use value::{DAYS_MAX, Days, Raw};

/// Why a body, or one value that decides about the whole body, cannot be read.
///
/// The texts name fields and positions, never content, so they can be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// A page of HTML, as a filter in front of the service may send.
    #[error("the body is HTML")]
    Html,
    /// Not JSON, or JSON that ends too early.
    #[error("the body is not JSON at line {line}, column {column}")]
    NotJson {
        /// Line of the first fault, counted from 1.
        line: usize,
        /// Column of the first fault, counted from 1.
        column: usize,
    },
    /// No body at all, where one is needed.
    #[error("the body is empty")]
    Empty,
    /// Valid JSON of another type than the call promises.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What the call promises.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// One field came twice in one object, with two different values.
    #[error("two values for {field}")]
    TwoValues {
        /// The field's documented name.
        field: &'static str,
    },
    /// A field without which the body says nothing is absent.
    #[error("{field} is missing")]
    Missing {
        /// The field's documented name.
        field: &'static str,
    },
    /// A field that decides about the whole body has an unusable value.
    #[error("{field} has an unusable value")]
    BadValue {
        /// The field's documented name.
        field: &'static str,
    },
    /// Containers nest deeper than allowed.
    #[error("nested deeper than {depth_max} levels")]
    TooDeep {
        /// The limit that was passed.
        depth_max: usize,
    },
    /// The body holds more values than allowed.
    #[error("more than {nodes_max} values")]
    TooManyNodes {
        /// The limit that was passed.
        nodes_max: usize,
    },
    /// A text that is no date and no time.
    #[error("not a date or a time")]
    BadTime,
}

impl ReadError {
    /// A fault that `serde_json` found, without its text: that may quote the body.
    pub(crate) fn from_json(error: &serde_json::Error, expected: &'static str) -> Self {
        if error.is_data() {
            return Self::WrongType {
                expected,
                found: "another type",
            };
        }
        Self::NotJson {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// The body as text, without a byte order mark and without white space around it.
pub(crate) fn body_text(body: &[u8]) -> Result<&str, ReadError> {
    let text = std::str::from_utf8(body).map_err(|_| ReadError::NotUtf8)?;
    Ok(trim_body(text))
}

/// Drops a byte order mark and the white space around a body.
pub(crate) fn trim_body(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim()
}

/// Whether a trimmed body looks like HTML: no JSON value starts with this sign.
pub(crate) fn is_html(text: &str) -> bool {
    text.starts_with('<')
}

/// Refuses bodies that nest too deep or hold too many values, before anything parses them.
///
/// Counts signs outside strings, so it is exact on valid JSON except that an empty container
/// counts twice, and harmless on anything else.
pub fn check_shape(body: &[u8], depth_max: usize, nodes_max: usize) -> Result<(), ReadError> {
    let (mut depth, mut nodes) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                nodes += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            _ => {}
        }
        if depth > depth_max {
            return Err(ReadError::TooDeep { depth_max });
        }
        if nodes > nodes_max {
            return Err(ReadError::TooManyNodes { nodes_max });
        }
    }
    Ok(())
}
