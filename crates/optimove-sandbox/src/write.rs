//! Strict JSON writing, straight into a byte buffer.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::id::CampaignId;
use crate::switch::{Booleans, Ids, KeyCasing, OptionalFields, Switches, TimeFormat};

/// How names and values look in list and object answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    casing: KeyCasing,
    ids: Ids,
    booleans: Booleans,
    optional: OptionalFields,
    time: TimeFormat,
}

impl From<&Switches> for Style {
    fn from(switches: &Switches) -> Self {
        Self {
            casing: switches.key_casing,
            ids: switches.ids,
            booleans: switches.booleans,
            optional: switches.optional_fields,
            time: switches.time_format,
        }
    }
}

impl Style {
    /// A name as the documentation spells it, in the chosen casing.
    fn cased(self, name: &str) -> Cow<'_, str> {
        match self.casing {
            KeyCasing::Documented | KeyCasing::Live => Cow::Borrowed(name),
            KeyCasing::Lower => Cow::Owned(name.to_ascii_lowercase()),
            KeyCasing::Camel => {
                let mut name = name.to_owned();
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                Cow::Owned(name)
            }
        }
    }

    /// A customer ID: text, but for the switch that sends digits as a number.
    pub(crate) fn customer_id(self, out: &mut Vec<u8>, id: &str) {
        let bare = self.ids == Ids::Number
            && !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && (id == "0" || !id.starts_with('0'));
        if bare {
            out.extend_from_slice(id.as_bytes());
        } else {
            text(out, id);
        }
    }
}

/// A list of objects being written.
#[derive(Debug)]
pub(crate) struct List {
    style: Style,
    json: Vec<u8>,
    rows: usize,
}

impl List {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            style,
            json: b"[".to_vec(),
            rows: 0,
        }
    }

    /// Adds one object with the fields that `fill` writes.
    pub(crate) fn row(&mut self, fill: impl FnOnce(&mut Object)) {
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.rows += 1;
        let mut object = Object::open(&mut self.json, self.style);
        fill(&mut object);
        object.close();
    }

    /// The whole list and how many rows it has.
    pub(crate) fn finish(mut self) -> (Vec<u8>, usize) {
        self.json.push(b']');
        (self.json, self.rows)
    }
}

/// An object being written.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    style: Style,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>, style: Style) -> Self {
        out.push(b'{');
        Self {
            out,
            style,
            empty: true,
        }
    }

    /// Goes on with an object of which fields are already written.
    pub(crate) fn resume(out: &'a mut Vec<u8>, style: Style) -> Self {
        Self {
            out,
            style,
            empty: false,
        }
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    /// Writes a name; exactly one value has to follow in the returned buffer.
    pub(crate) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        text(self.out, &self.style.cased(name));
        self.out.push(b':');
        self.out
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        text(self.name(name), value);
    }

    pub(crate) fn integer(&mut self, name: &str, value: u64) {
        number(self.name(name), value);
    }

    /// An identifier that the documentation shows as a number.
    pub(crate) fn id(&mut self, name: &str, value: u64) {
        let quoted = self.style.ids == Ids::Text;
        let out = self.name(name);
        if quoted {
            text(out, &value.to_string());
        } else {
            number(out, value);
        }
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        let word = if value { "true" } else { "false" };
        match self.style.booleans {
            Booleans::Json => self.name(name).extend_from_slice(word.as_bytes()),
            Booleans::Text => self.text(name, word),
        }
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.name(name).extend_from_slice(b"null");
    }

    /// A time in the tenant's zone, in the chosen format.
    pub(crate) fn time(&mut self, name: &str, instant: Timestamp, zone: &TimeZone) {
        self.text(name, &time_text(instant, zone, self.style.time));
    }

    /// An identifier that the documentation shows as text.
    pub(crate) fn text_id(&mut self, name: &str, value: u64) {
        let bare = self.style.ids == Ids::Number;
        let out = self.name(name);
        if bare {
            number(out, value);
        } else {
            text(out, &value.to_string());
        }
    }

    /// A field that some source of the contract lacks: the switch decides whether it comes.
    pub(crate) fn optional(&mut self, name: &str, write: impl FnOnce(&mut Self, &str)) {
        match self.style.optional {
            OptionalFields::Present => write(self, name),
            OptionalFields::NullValue => self.null(name),
            OptionalFields::Absent => {}
        }
    }

    /// A list of objects.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object, T),
    ) {
        let style = self.style;
        let out = self.name(name);
        out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let mut object = Object::open(out, style);
            fill(&mut object, item);
            object.close();
        }
        out.push(b']');
    }
}

/// A time as local text of a zone, in the chosen format.
pub(crate) fn time_text(instant: Timestamp, zone: &TimeZone, format: TimeFormat) -> String {
    let value = instant.to_zoned(zone.clone());
    let format = match format {
        TimeFormat::Space => "%Y-%m-%d %H:%M:%S",
        TimeFormat::Minutes => "%Y-%m-%d %H:%M",
        TimeFormat::Iso => "%Y-%m-%dT%H:%M:%S",
        TimeFormat::IsoOffset => "%Y-%m-%dT%H:%M:%S%:z",
    };
    value.strftime(format).to_string()
}

/// The id of a campaign: a number, or text.
pub(crate) fn campaign_id(out: &mut Vec<u8>, id: &CampaignId) {
    match id {
        CampaignId::Number(value) => number(out, *value),
        CampaignId::Text(value) => text(out, value),
    }
}

/// A JSON string.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut copied = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => {
                out.extend_from_slice(&bytes[copied..index]);
                copied = index + 1;
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        out.extend_from_slice(escape);
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// A list of JSON strings.
pub(crate) fn texts<S: AsRef<str>>(out: &mut Vec<u8>, values: &[S]) {
    out.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(out, value.as_ref());
    }
    out.push(b']');
}

/// A whole number in decimal digits.
pub(crate) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_numbers_are_what_a_json_reader_expects() {
        let odd = "a\"b\\c\n\r\t\u{1}\u{1f}é€\u{10348}/";
        let mut out = Vec::new();
        text(&mut out, odd);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), odd);
        for value in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
