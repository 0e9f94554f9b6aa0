//! What was decided about a pair when it landed, as the one byte that is kept with it.

use bestow_core::import::Disposition;
use bestow_core::{HoldReason, RefuseReason};

/// To be granted when its turn in the merge comes.
pub const GRANT: u8 = 0;
/// A row without a code; no pair.
pub const NO_CODE: u8 = 1;

/// Numbers are kept in the database: they are never changed, only added.
const TABLE: &[(u8, Disposition)] = &[
    (GRANT, Disposition::Grant),
    (NO_CODE, Disposition::NoCode),
    (2, Disposition::Refused(RefuseReason::ControlGroup)),
    (3, Disposition::Held(HoldReason::BadCode)),
    (4, Disposition::Held(HoldReason::TooManyCodes)),
    (5, Disposition::Held(HoldReason::BadScheduleTime)),
    (6, Disposition::Refused(RefuseReason::Excluded)),
];

/// The byte of a decision made at landing. What is only decided in the merge lands as [`GRANT`].
pub fn of(disposition: Disposition) -> u8 {
    TABLE
        .iter()
        .find(|(_, known)| *known == disposition)
        .map_or(GRANT, |(mark, _)| *mark)
}

/// The decision behind a byte; an unknown one (from a newer program) is held as a bad code.
pub fn disposition(mark: u8) -> Disposition {
    TABLE.iter().find(|(known, _)| *known == mark).map_or(
        Disposition::Held(HoldReason::BadCode),
        |(_, disposition)| *disposition,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back_as_what_it_was_written_for() {
        for (mark, decided) in TABLE {
            assert_eq!(of(*decided), *mark);
            assert_eq!(disposition(*mark), *decided);
        }
    }
}
