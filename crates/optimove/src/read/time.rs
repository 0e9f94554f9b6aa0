//! Dates and times in the forms that Optimove's documents and servers use.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use super::ReadError;

/// A time from the wire: an instant if an offset came with it, else a time of the tenant's zone.
///
/// What a local time means on the nights when clocks change is the reader's decision, since it
/// depends on whether the time starts or ends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireTime {
    /// Without `Z` or offset: a wall-clock time in the tenant's zone.
    Local(DateTime),
    /// With `Z` or an offset: one instant.
    Instant(Timestamp),
}

impl WireTime {
    /// Reads `YYYY-MM-DD`, or that followed by a blank or a `T` and `HH:mm[:ss[.fff]]`, then perhaps
    /// `Z` or an offset. A bare date is midnight. Up to nine digits of a second are kept.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        scan(text.trim()).ok_or(ReadError::BadTime)
    }
}

fn scan(text: &str) -> Option<WireTime> {
    let mut scanner = Scanner {
        rest: text.as_bytes(),
    };
    let date = scanner.date()?;
    if scanner.rest.is_empty() {
        return Some(WireTime::Local(date.to_datetime(Time::midnight())));
    }
    scanner.any(b"Tt ")?;
    let local = date.to_datetime(scanner.time()?);
    let offset = scanner.offset()?;
    if !scanner.rest.is_empty() {
        return None;
    }
    match offset {
        None => Some(WireTime::Local(local)),
        Some(offset) => offset.to_timestamp(local).ok().map(WireTime::Instant),
    }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    fn date(&mut self) -> Option<Date> {
        let year = self.digits(4)?;
        self.any(b"-")?;
        let month = self.digits(2)?;
        self.any(b"-")?;
        let day = self.digits(2)?;
        Date::new(year as i16, month as i8, day as i8).ok()
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.digits(2)?;
        self.any(b":")?;
        let minute = self.digits(2)?;
        let (mut second, mut nanos) = (0, 0);
        if self.any(b":").is_some() {
            second = self.digits(2)?;
            if self.any(b".").is_some() {
                nanos = self.fraction()?;
            }
        }
        Time::new(hour as i8, minute as i8, second as i8, nanos).ok()
    }

    /// One to nine digits after the point, as nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=9).contains(&count) {
            return None;
        }
        let value = self.digits(count)?;
        i32::try_from(value * 10_i64.pow(9 - count as u32)).ok()
    }

    /// `Z`, `+HH`, `+HHmm` or `+HH:mm`; the outer `None` is a fault, the inner one no offset.
    #[expect(
        clippy::option_option,
        reason = "absent and faulty differ, and both are common"
    )]
    fn offset(&mut self) -> Option<Option<Offset>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        if self.any(b"Zz").is_some() {
            return Some(Some(Offset::UTC));
        }
        let sign = if self.any(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.digits(2)?;
        let minutes = if self.rest.is_empty() {
            0
        } else {
            let _ = self.any(b":");
            self.digits(2)?
        };
        if minutes > 59 {
            return None;
        }
        let seconds = sign * (hours * 3_600 + minutes * 60);
        Offset::from_seconds(seconds as i32).ok().map(Some)
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
        }
        self.rest = rest;
        Some(value)
    }

    fn any(&mut self, signs: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        signs.contains(first).then(|| {
            self.rest = rest;
            *first
        })
    }
}
