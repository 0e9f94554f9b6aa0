//! Some of the rows of a list, found by their place among the chosen ones.
//!
//! One bit for each row, and the count of chosen rows before each block: ten million rows take a
//! little more than a megabyte, and a page deep inside costs what the first one does.

/// Words of 64 rows in one block.
const BLOCK_WORDS: usize = 8;

/// Rows chosen out of a list.
#[derive(Debug)]
pub(crate) struct Selection {
    words: Vec<u64>,
    /// Chosen rows before each block.
    before: Vec<u64>,
    len: u64,
}

impl Selection {
    /// Chooses among `rows` rows.
    pub(crate) fn new(rows: u64, mut chosen: impl FnMut(u64) -> bool) -> Self {
        let mut words = vec![0_u64; rows.div_ceil(64) as usize];
        for row in (0..rows).filter(|row| chosen(*row)) {
            words[(row / 64) as usize] |= 1 << (row % 64);
        }
        let mut len = 0;
        let before = words.chunks(BLOCK_WORDS).map(|block| {
            let first = len;
            len += block
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum::<u64>();
            first
        });
        let before = before.collect();
        Self { words, before, len }
    }

    /// How many rows are chosen.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The row that is chosen as number `nth`, counted from 0; `nth` must be below the length.
    pub(crate) fn at(&self, nth: u64) -> u64 {
        debug_assert!(nth < self.len, "{nth} is outside 0..{}", self.len);
        let block = self.before.partition_point(|before| *before <= nth) - 1;
        let mut left = nth - self.before[block];
        let mut word = block * BLOCK_WORDS;
        while left >= u64::from(self.words[word].count_ones()) {
            left -= u64::from(self.words[word].count_ones());
            word += 1;
        }
        let mut bits = self.words[word];
        for _ in 0..left {
            bits &= bits - 1;
        }
        word as u64 * 64 + u64::from(bits.trailing_zeros())
    }

    /// The chosen row after `row`, if there is one.
    pub(crate) fn after(&self, row: u64) -> Option<u64> {
        let next = row + 1;
        let mut word = (next / 64) as usize;
        let mut bits = self.words.get(word)? & (u64::MAX << (next % 64));
        while bits == 0 {
            word += 1;
            bits = *self.words.get(word)?;
        }
        Some(word as u64 * 64 + u64::from(bits.trailing_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::within_percent;

    #[test]
    fn each_chosen_row_is_found_by_its_place_and_from_the_one_before() {
        for (rows, percent) in [
            (0, 50),
            (1, 100),
            (64, 100),
            (65, 0),
            (5_000, 3),
            (5_000, 90),
        ] {
            let chosen = |row: u64| within_percent(&[row], percent);
            let selection = Selection::new(rows, chosen);
            let wanted: Vec<u64> = (0..rows).filter(|row| chosen(*row)).collect();
            let found: Vec<u64> = (0..selection.len()).map(|nth| selection.at(nth)).collect();
            assert_eq!(found, wanted, "{rows} rows, {percent} percent");
            for pair in wanted.windows(2) {
                assert_eq!(selection.after(pair[0]), Some(pair[1]));
            }
            if let Some(last) = wanted.last() {
                assert_eq!(selection.after(*last), None);
            }
        }
    }
}
