//! Values that several answers share.

use serde::{Serialize, Serializer};

use crate::clock;

/// An instant as answers carry it: RFC 3339 in UTC, `2027-03-25T06:00:00Z`. Holds milliseconds
/// since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2027-03-25T06:00:00Z"))]
pub struct Instant(pub i64);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Written::new(self.0) {
            Some(written) => serializer.serialize_str(written.as_str()),
            None => serializer.collect_str(&clock::instant(self.0)),
        }
    }
}

impl std::fmt::Display for Instant {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Written::new(self.0) {
            Some(written) => out.write_str(written.as_str()),
            None => clock::instant(self.0).fmt(out),
        }
    }
}

const DAY_MS: i64 = 86_400_000;
/// Days from the first of March of the year 0 to the first of January 1970.
const DAYS_BEFORE_1970: i64 = 719_468;
/// Days of 400 years, after which the calendar repeats itself.
const ERA_DAYS: i64 = 146_097;

/// An instant in letters, written without a formatter: an answer about a grant has three of them.
struct Written {
    letters: [u8; 24],
    length: usize,
}

impl Written {
    /// `None` outside of the years 1 to 9998: near the ends of time, what cannot be an instant becomes the last one.
    fn new(ms: i64) -> Option<Self> {
        let (day, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let (year, month, day) = date(day)?;
        let mut letters = *b"0000-00-00T00:00:00.000Z";
        digits(&mut letters[..4], year);
        digits(&mut letters[5..7], month);
        digits(&mut letters[8..10], day);
        digits(&mut letters[11..13], in_day / 3_600_000);
        digits(&mut letters[14..16], in_day / 60_000 % 60);
        digits(&mut letters[17..19], in_day / 1_000 % 60);
        digits(&mut letters[20..23], in_day % 1_000);
        // Parts of a second are told only as far as they are not zero.
        let mut length = 23;
        while letters[length - 1] == b'0' && length > 20 {
            length -= 1;
        }
        if length == 20 {
            length = 19;
        }
        letters[length] = b'Z';
        Some(Self {
            letters,
            length: length + 1,
        })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters[..self.length]).expect("digits and signs are ASCII")
    }
}

/// Year, month and day of a day counted from 1970, by years that begin in March, so that the day that only some of
/// them have is their last.
fn date(day: i64) -> Option<(i64, i64, i64)> {
    let day = day.checked_add(DAYS_BEFORE_1970)?;
    let (era, day) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + i64::from(month <= 2);
    (1..=9_998).contains(&year).then_some((year, month, day))
}

/// Writes a number into all of `place`, with zeros in front.
fn digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_as_jiff(ms: i64) {
        let expected = clock::instant(ms).to_string();
        assert_eq!(Instant(ms).to_string(), expected, "{ms}");
        assert_eq!(
            serde_json::to_string(&Instant(ms)).unwrap(),
            format!("\"{expected}\"")
        );
    }

    #[test]
    fn every_day_of_eight_hundred_years_is_written_as_jiff_writes_it() {
        for day in -150_000..150_000 {
            assert_as_jiff(day * DAY_MS + day.rem_euclid(DAY_MS));
        }
    }

    #[test]
    fn edges_are_written_as_jiff_writes_them() {
        let (begins_1, begins_9999) = (-62_135_596_800_000, 253_370_764_800_000);
        let latest = jiff::Timestamp::MAX.as_millisecond();
        for edge in [0, begins_1, begins_9999, latest, i64::MIN, i64::MAX] {
            for ms in [-1_000, -999, -1, 0, 1, 10, 100, 120, 1_000] {
                assert_as_jiff(edge.saturating_add(ms));
            }
        }
    }

    proptest! {
        #[test]
        fn any_instant_is_written_as_jiff_writes_it(ms in -400_000_000_000_000_i64..400_000_000_000_000) {
            assert_as_jiff(ms);
        }
    }
}
