//! Error bodies: four shapes of objects, plain text, and JSON inside a JSON string.

use crate::read::{Object, Raw, check_shape, read_list, read_object, trim_body};

/// How much of a body without a known shape is taken as its message.
const MESSAGE_BYTES_MAX: usize = 2_048;
/// How deep an error body may nest to be taken apart; deeper ones are taken as text.
const DEPTH_MAX: usize = 8;
/// How many values an error body may hold to be taken apart.
const NODES_MAX: usize = 200;

/// The message in an error body, whatever its shape; empty for an empty body.
pub fn error_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = trim_body(&text);
    let message = match serde_json::from_str::<String>(text) {
        // A string may hold JSON once more; deeper than that nobody was seen to go.
        Ok(inner) => from_object(&inner).unwrap_or(inner),
        Err(_) => from_object(text).unwrap_or_else(|| text.to_owned()),
    };
    cut(message)
}

fn from_object(text: &str) -> Option<String> {
    check_shape(text.as_bytes(), DEPTH_MAX, NODES_MAX).ok()?;
    let object = read_object(text).ok()?;
    if let Some(message) = flat(&object, "message") {
        return Some(message);
    }
    if let Some(title) = flat(&object, "title") {
        return Some(match flat(&object, "errors") {
            Some(errors) => format!("{title} {errors}"),
            None => title,
        });
    }
    // Names compare without letter case here as everywhere, so `Error` and `error` are one.
    flat(&object, "Errors").or_else(|| flat(&object, "Error"))
}

/// A field as one line of text; `None` where that is blank.
fn flat(object: &Object<'_>, name: &'static str) -> Option<String> {
    let text = object.field(name, flatten).ok()??;
    (!text.trim().is_empty()).then_some(text)
}

fn flatten(raw: Raw<'_>) -> String {
    if let Ok(elements) = read_list(raw.json()) {
        let texts: Vec<String> = elements.into_iter().map(flatten).collect();
        return texts.join("; ");
    }
    if let Ok(object) = read_object(raw.json()) {
        let texts: Vec<String> = object
            .others(&[])
            .map(|(name, raw)| format!("{name}: {}", flatten(raw)))
            .collect();
        return texts.join("; ");
    }
    raw.prose().into_owned()
}

fn cut(mut message: String) -> String {
    let mut end = MESSAGE_BYTES_MAX.min(message.len());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}
