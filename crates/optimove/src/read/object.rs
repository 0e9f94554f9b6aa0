//! Lists and objects whose values are still raw; property names compare without letter case.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Raw, ReadError, is_html, trim_body};

/// One JSON object with its fields in the order sent, doubles included.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Object<'a> {
    /// The reading of a field, whatever the letter case of its name; `None` if absent or `null`.
    ///
    /// A field that comes twice counts once if both values read the same; otherwise the body is
    /// broken.
    pub fn field<T: PartialEq>(
        &self,
        name: &'static str,
        read: impl Fn(Raw<'a>) -> T,
    ) -> Result<Option<T>, ReadError> {
        let mut found = None;
        for (_, raw) in self
            .fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        {
            if raw.is_null() {
                continue;
            }
            let value = read(*raw);
            if found.as_ref().is_some_and(|first| *first != value) {
                return Err(ReadError::TwoValues { field: name });
            }
            found = Some(value);
        }
        Ok(found)
    }

    /// Text for people; see [`Raw::prose`].
    pub fn prose(&self, name: &'static str) -> Result<Option<String>, ReadError> {
        self.field(name, |raw| raw.prose().into_owned())
    }

    /// An identifier; `None` also where the value is unusable as one.
    pub fn id(&self, name: &'static str) -> Result<Option<String>, ReadError> {
        Ok(self
            .field(name, |raw| raw.id().map(Cow::into_owned))?
            .flatten())
    }

    /// An identifier without which the object says nothing.
    pub fn required_id(&self, name: &'static str) -> Result<String, ReadError> {
        self.id(name)?.ok_or(ReadError::Missing { field: name })
    }

    /// A whole number; `None` also where the value is none.
    pub fn integer(&self, name: &'static str) -> Result<Option<i64>, ReadError> {
        Ok(self.field(name, Raw::integer)?.flatten())
    }

    /// A flag; `None` also where the value is none.
    pub fn boolean(&self, name: &'static str) -> Result<Option<bool>, ReadError> {
        Ok(self.field(name, Raw::boolean)?.flatten())
    }

    /// The fields that none of `names` stands for, in their order.
    pub fn others(&self, names: &[&str]) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.fields
            .iter()
            .filter(|(key, _)| !names.iter().any(|name| key.eq_ignore_ascii_case(name)))
            .map(|(key, raw)| (key.as_ref(), *raw))
    }
}

/// Reads a JSON object. An empty body and `null` are [`ReadError::Empty`].
pub fn read_object(text: &str) -> Result<Object<'_>, ReadError> {
    let text = expect(text, b'{', "an object")?;
    let Fields(fields) =
        serde_json::from_str(text).map_err(|error| ReadError::from_json(&error, "an object"))?;
    Ok(Object { fields })
}

/// Reads a JSON list into its raw elements. An empty body and `null` are [`ReadError::Empty`].
pub fn read_list(text: &str) -> Result<Vec<Raw<'_>>, ReadError> {
    let text = expect(text, b'[', "a list")?;
    let values: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| ReadError::from_json(&error, "a list"))?;
    Ok(values.into_iter().map(Raw::new).collect())
}

/// The trimmed text, if its first sign opens what is expected.
pub(crate) fn expect<'a>(
    text: &'a str,
    open: u8,
    expected: &'static str,
) -> Result<&'a str, ReadError> {
    let text = trim_body(text);
    match text.as_bytes().first() {
        None => Err(ReadError::Empty),
        Some(byte) if *byte == open => Ok(text),
        Some(_) if text == "null" => Err(ReadError::Empty),
        Some(_) if is_html(text) => Err(ReadError::Html),
        Some(_) => {
            let raw: &RawValue = serde_json::from_str(text)
                .map_err(|error| ReadError::from_json(&error, expected))?;
            Err(ReadError::WrongType {
                expected,
                found: Raw::new(raw).kind(),
            })
        }
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, Raw::new(map.next_value()?)));
        }
        Ok(Fields(fields))
    }
}

/// A property name, borrowed unless it is written with escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a property name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}
