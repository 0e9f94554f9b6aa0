//! How values go to PostgreSQL and come back: whole numbers, text and bytes, whatever it calls them.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::Value;

type Outcome<T> = Result<T, Box<dyn Error + Sync + Send>>;

/// A value that PostgreSQL would want to have in another shape.
#[derive(Debug, thiserror::Error)]
enum Misfit {
    #[error("{0} was given where {1} is needed")]
    Kind(&'static str, Type),
    #[error("text that holds the character NUL cannot be kept")]
    Nul,
    #[error("{0} is no whole number of 64 bits")]
    Number(Type),
}

impl ToSql for Value<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Outcome<IsNull> {
        let misfit = |kind| Err(Misfit::Kind(kind, wanted.clone()).into());
        match (self, wanted) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(n), &Type::INT8) => n.to_sql(wanted, out),
            (Self::Int(n), &Type::INT4) => i32::try_from(*n)?.to_sql(wanted, out),
            (Self::Int(_), _) => misfit("a whole number"),
            (Self::Text(text), _) if text.contains('\0') => Err(Misfit::Nul.into()),
            (Self::Text(text), &Type::TEXT) => text.to_sql(wanted, out),
            (Self::Text(_), _) => misfit("text"),
            (Self::Blob(bytes), &Type::BYTEA) => bytes.to_sql(wanted, out),
            (Self::Blob(_), _) => misfit("bytes"),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// One column of many rows, to be sent as an array.
#[derive(Debug)]
pub(crate) struct Column<'a, const N: usize> {
    pub(crate) rows: &'a [[Value<'a>; N]],
    pub(crate) at: usize,
}

impl<const N: usize> ToSql for Column<'_, N> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Outcome<IsNull> {
        let values: Vec<_> = self.rows.iter().map(|row| row[self.at]).collect();
        values.to_sql(wanted, out)
    }

    fn accepts(wanted: &Type) -> bool {
        Vec::<Value<'_>>::accepts(wanted)
    }

    to_sql_checked!();
}

/// A whole number, by whatever name PostgreSQL counts: a sum of BIGINT is a NUMERIC, a comparison a BOOL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) i64);

impl<'a> FromSql<'a> for Whole {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Outcome<Self> {
        let found = match *kind {
            Type::INT8 => i64::from_sql(kind, raw)?,
            Type::INT4 => i32::from_sql(kind, raw)?.into(),
            Type::BOOL => bool::from_sql(kind, raw)?.into(),
            _ => numeric(raw).ok_or_else(|| Misfit::Number(kind.clone()))?,
        };
        Ok(Self(found))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::BOOL, Type::NUMERIC].contains(kind)
    }
}

/// Reads a NUMERIC as it is sent: how many digits to the base 10,000, the weight of the first, sign, decimals, digits.
fn numeric(raw: &[u8]) -> Option<i64> {
    const BASE: i128 = 10_000;
    const POSITIVE: i16 = 0;
    const NEGATIVE: i16 = 0x4000;
    let (head, digits) = raw.split_at_checked(8)?;
    let word = |bytes: &[u8]| i16::from_be_bytes([bytes[0], bytes[1]]);
    let (count, weight, sign) = (word(&head[0..]), word(&head[2..]), word(&head[4..]));
    let mut whole = 0_i128;
    for (place, digit) in digits.chunks_exact(2).take(count as usize).enumerate() {
        let power = i32::from(weight) - place as i32;
        let digit = i128::from(word(digit));
        if power < 0 && digit != 0 {
            return None;
        }
        let unit = BASE.checked_pow(u32::try_from(power.max(0)).ok()?)?;
        whole = whole.checked_add(digit.checked_mul(unit)?)?;
    }
    match sign {
        POSITIVE => i64::try_from(whole).ok(),
        NEGATIVE => i64::try_from(-whole).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::numeric;

    fn sent(weight: i16, sign: i16, digits: &[i16]) -> Vec<u8> {
        [digits.len() as i16, weight, sign, 0]
            .iter()
            .chain(digits)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    }

    #[test]
    fn whole_numerics_are_read() {
        let read = |weight, sign, digits: &[i16]| numeric(&sent(weight, sign, digits));
        assert_eq!(read(0, 0, &[]), Some(0));
        assert_eq!(read(0, 0, &[42]), Some(42));
        assert_eq!(read(1, 0, &[3]), Some(30_000));
        assert_eq!(read(1, 0x4000, &[1, 2345]), Some(-12_345));
        let max = read(4, 0, &[922, 3372, 368, 5477, 5807]);
        assert_eq!(max, Some(i64::MAX));
    }

    #[test]
    fn others_are_refused() {
        // Half, infinity, beyond 64 bits, not a number, cut off.
        assert_eq!(numeric(&sent(-1, 0, &[5000])), None);
        assert_eq!(numeric(&sent(0, 0xD000_u16 as i16, &[])), None);
        assert_eq!(numeric(&sent(4, 0, &[922, 3372, 368, 5477, 5808])), None);
        assert_eq!(numeric(&sent(0, 0xC000_u16 as i16, &[])), None);
        assert_eq!(numeric(&[0, 1]), None);
    }
}
