//! How the notes of a block are packed.
//!
//! A note is: bytes shared with the customer before, bytes that follow, those bytes, offer, length of the occurrence, its
//! bytes, window, code, what is told, start and end of the span; all numbers as variable-length integers, signed ones
//! folded, and instants as the difference to the note before.

use bestow_core::GivenCode;
use bestow_core::announce::{Span, Tells};

use crate::Error;
use crate::announcements::Note;

pub(crate) fn pack(notes: &[&Note]) -> Vec<u8> {
    let mut body = Vec::with_capacity(notes.len() * 16);
    let (mut customer, mut start, mut end) = (&[][..], 0_i64, 0_i64);
    for note in notes {
        let bytes = note.customer.as_bytes();
        let shared = customer.iter().zip(bytes).take_while(|(a, b)| a == b);
        let shared = shared.count();
        put(&mut body, shared as u64);
        put_bytes(&mut body, &bytes[shared..]);
        put(&mut body, note.offer.into());
        put_bytes(&mut body, note.occurrence.as_bytes());
        put(&mut body, note.window.into());
        put_signed(&mut body, note.code.number());
        body.push(note.tells.bits() | u8::from(note.span.ends_at.is_some()) << 7);
        put_signed(&mut body, note.span.starts_at.wrapping_sub(start));
        start = note.span.starts_at;
        if let Some(at) = note.span.ends_at {
            put_signed(&mut body, at.wrapping_sub(end));
            end = at;
        }
        customer = bytes;
    }
    body
}

pub(crate) fn unpack(body: &[u8]) -> Result<Vec<Note>, Error> {
    let (mut reader, mut notes) = (Reader(body), Vec::new());
    let (mut customer, mut start, mut end) = (Vec::new(), 0_i64, 0_i64);
    while !reader.0.is_empty() {
        let shared = reader.number()? as usize;
        if shared > customer.len() {
            return Err(cut());
        }
        customer.truncate(shared);
        customer.extend_from_slice(reader.bytes()?);
        let offer = reader.number()? as u32;
        let occurrence = text(reader.bytes()?)?;
        let window = reader.number()? as u32;
        let code = GivenCode::from_number(reader.signed()?);
        let flags = reader.byte()?;
        start = start.wrapping_add(reader.signed()?);
        let ends_at = if flags & 0x80 == 0 {
            None
        } else {
            end = end.wrapping_add(reader.signed()?);
            Some(end)
        };
        notes.push(Note {
            customer: text(&customer)?,
            offer,
            occurrence,
            window,
            span: Span {
                starts_at: start,
                ends_at,
            },
            code,
            tells: Tells::from_bits(flags & 0x7f),
        });
    }
    Ok(notes)
}

fn put(body: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
}

fn put_signed(body: &mut Vec<u8>, value: i64) {
    put(body, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    put(body, bytes.len() as u64);
    body.extend_from_slice(bytes);
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.0.split_first().ok_or_else(cut)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(cut())
    }

    fn signed(&mut self) -> Result<i64, Error> {
        let folded = self.number()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    fn bytes(&mut self) -> Result<&'b [u8], Error> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(bytes)
    }
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    Ok(std::str::from_utf8(bytes).map_err(|_| cut())?.to_owned())
}

fn cut() -> Error {
    Error::Corrupt("a block of grants to be announced cannot be read".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_note() -> impl Strategy<Value = Note> {
        let span = (any::<i64>(), any::<Option<i64>>());
        let named = ("[a-z0-9é]{0,12}", any::<u32>(), "[a-z]{0,4}", any::<u32>());
        (named, span, -1_i64..=i64::from(u32::MAX), 0_u8..8).prop_map(
            |(named, span, code, tells)| {
                let (customer, offer, occurrence, window) = named;
                Note {
                    customer,
                    offer,
                    occurrence,
                    window,
                    span: Span {
                        starts_at: span.0,
                        ends_at: span.1,
                    },
                    code: GivenCode::from_number(code),
                    tells: Tells::from_bits(tells),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_back(notes in prop::collection::vec(any_note(), 0..40)) {
            let packed = pack(&notes.iter().collect::<Vec<_>>());
            prop_assert_eq!(unpack(&packed).unwrap(), notes);
        }

        #[test]
        fn a_cut_block_is_an_error_or_shorter(notes in prop::collection::vec(any_note(), 1..10), at in any::<prop::sample::Index>()) {
            let packed = pack(&notes.iter().collect::<Vec<_>>());
            let cut = &packed[..at.index(packed.len())];
            if let Ok(read) = unpack(cut) {
                prop_assert!(read.len() < notes.len());
            }
        }
    }
}
