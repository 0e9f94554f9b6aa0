//! Counters derived again: what is sure, and how much beside it would be right as well.

use std::collections::BTreeMap;

/// Counters by name, each a sure count and some room above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counters: BTreeMap<String, (u64, u64)>,
}

impl Tally {
    /// Counts what is sure.
    pub(super) fn add(&mut self, counter: &str, n: u64) {
        self.change(counter, n, 0);
    }

    /// Makes room for what may have been counted.
    pub(super) fn allow(&mut self, counter: &str, n: u64) {
        self.change(counter, 0, n);
    }

    /// Adds all that another one counted.
    pub(super) fn add_all(&mut self, other: &Self) {
        for (counter, (sure, room)) in &other.counters {
            self.change(counter, *sure, *room);
        }
    }

    /// Whether a stored count agrees.
    pub(super) fn fits(&self, counter: &str, stored: i64) -> bool {
        let (sure, room) = self.get(counter);
        u64::try_from(stored).is_ok_and(|stored| (sure..=sure + room).contains(&stored))
    }

    /// In words.
    pub(super) fn range(&self, counter: &str) -> String {
        match self.get(counter) {
            (sure, 0) => sure.to_string(),
            (sure, room) => format!("{sure} to {}", sure + room),
        }
    }

    /// All names.
    pub(super) fn counters(&self) -> Vec<String> {
        self.counters.keys().cloned().collect()
    }

    fn get(&self, counter: &str) -> (u64, u64) {
        self.counters.get(counter).copied().unwrap_or_default()
    }

    fn change(&mut self, counter: &str, sure: u64, room: u64) {
        if sure == 0 && room == 0 {
            return;
        }
        if let Some(known) = self.counters.get_mut(counter) {
            known.0 += sure;
            known.1 += room;
        } else {
            self.counters.insert(counter.to_owned(), (sure, room));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_fits_between_what_is_sure_and_what_is_possible() {
        let mut tally = Tally::default();
        tally.add("rows", 3);
        tally.allow("rows", 2);
        let fits: Vec<bool> = [2, 3, 5, 6, -1].map(|n| tally.fits("rows", n)).to_vec();
        assert_eq!(fits, [false, true, true, false, false]);
        assert_eq!(tally.range("rows"), "3 to 5");
        assert!(tally.fits("pairs", 0));
        assert!(!tally.fits("pairs", 1));
    }
}
