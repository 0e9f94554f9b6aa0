//! Reads lists of flat objects row by row, borrowing each value from the body.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::read::{Raw, ReadError, expect, trim_body};

/// The raw values of one row, in the order of [`Row::NAMES`].
pub(super) type Slots<'a> = [Option<Raw<'a>>; SLOTS];
/// The most fields that a row has.
pub(super) const SLOTS: usize = 8;

/// A row that is made from its raw values.
pub(super) trait Row<'a>: PartialEq + Sized {
    /// The documented names in their documented order; empty where there is none.
    const NAMES: [&'static str; SLOTS];

    /// Interprets the values; one that cannot be read is absent.
    fn from_slots(slots: &Slots<'a>) -> Self;
}

/// Reads a list of rows from its first sign to its last.
pub(super) fn read_rows<'a, R: Row<'a>>(
    body: &'a str,
    take: impl FnMut(R),
) -> Result<usize, ReadError> {
    let text = match expect(trim_body(body), b'[', "a list") {
        Err(ReadError::Empty) => return Ok(0),
        text => text?,
    };
    let mut two_values = None;
    let rows = Rows {
        take,
        two_values: &mut two_values,
        row: PhantomData,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let result = json
        .deserialize_seq(rows)
        .and_then(|rows| json.end().map(|()| rows));
    match (result, two_values) {
        (_, Some(field)) => Err(ReadError::TwoValues { field }),
        (Err(error), None) => Err(ReadError::from_json(&error, "a list of objects")),
        (Ok(rows), None) => Ok(rows),
    }
}

struct Rows<'f, R, F> {
    take: F,
    /// Set when a field came twice with different values, since serde's errors are only text.
    two_values: &'f mut Option<&'static str>,
    row: PhantomData<R>,
}

impl<'a, R: Row<'a>, F: FnMut(R)> Visitor<'a> for Rows<'_, R, F> {
    type Value = usize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<usize, A::Error> {
        let mut rows = 0;
        while let Some(row) = seq.next_element_seed(One::<R>::new(self.two_values))? {
            (self.take)(row);
            rows += 1;
        }
        Ok(rows)
    }
}

struct One<'f, R> {
    two_values: &'f mut Option<&'static str>,
    row: PhantomData<R>,
}

impl<'f, R> One<'f, R> {
    fn new(two_values: &'f mut Option<&'static str>) -> Self {
        Self {
            two_values,
            row: PhantomData,
        }
    }
}

impl<'a, R: Row<'a>> DeserializeSeed<'a> for One<'_, R> {
    type Value = R;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<R, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a, R: Row<'a>> Visitor<'a> for One<'_, R> {
    type Value = R;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<R, A::Error> {
        let mut slots: Slots<'a> = [None; SLOTS];
        let mut likely = 0;
        while let Some(slot) = map.next_key_seed(Slot {
            names: &R::NAMES,
            likely,
        })? {
            let Some(slot) = slot else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            likely = (slot + 1) % SLOTS;
            let raw = Raw::new(map.next_value::<&'a RawValue>()?);
            if raw.is_null() {
                continue;
            }
            if slots[slot].is_some_and(|first| !read_alike::<R>(slot, first, raw)) {
                *self.two_values = Some(R::NAMES[slot]);
                return Err(serde::de::Error::custom("two values for one field"));
            }
            slots[slot] = Some(raw);
        }
        Ok(R::from_slots(&slots))
    }
}

/// Whether two values of one field give the same row.
fn read_alike<'a, R: Row<'a>>(slot: usize, first: Raw<'a>, second: Raw<'a>) -> bool {
    let only = |raw| {
        let mut slots: Slots<'a> = [None; SLOTS];
        slots[slot] = Some(raw);
        R::from_slots(&slots)
    };
    first == second || only(first) == only(second)
}

/// Finds the slot of a property name; `None` for a name that is not ours.
struct Slot<'n> {
    names: &'n [&'static str; SLOTS],
    /// Tried first: servers send the fields in the documented order, row after row.
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Slot<'_> {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a property name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        if self.names[self.likely] == name && !name.is_empty() {
            return Ok(Some(self.likely));
        }
        let own = |own: &&str| !own.is_empty() && own.eq_ignore_ascii_case(name);
        Ok(self.names.iter().position(own))
    }
}
