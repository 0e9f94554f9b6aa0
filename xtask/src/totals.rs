//! Sums the summary lines that test binaries print.

use std::fmt;

/// How many tests passed, failed and were ignored, over any number of test binaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Totals {
    /// Adds the counts of `line` if it is the summary of one test binary, else leaves all as it is.
    pub(crate) fn add_line(&mut self, line: &str) {
        if let Some(one) = Self::parse(line) {
            self.add(one);
        }
    }

    /// Adds further counts.
    pub(crate) fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.ignored += more.ignored;
    }

    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`; any other line is `None`.
    fn parse(line: &str) -> Option<Self> {
        let (_verdict, counts) = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?;
        let mut totals = Self::default();
        for count in counts.split(';') {
            let Some((number, noun)) = count.trim().split_once(' ') else {
                continue;
            };
            match noun {
                "passed" => totals.passed = number.parse().ok()?,
                "failed" => totals.failed = number.parse().ok()?,
                "ignored" => totals.ignored = number.parse().ok()?,
                _ => {}
            }
        }
        Some(totals)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    fn totals_of(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.add_line(line));
        totals
    }

    #[test]
    fn the_summaries_of_all_binaries_are_summed() {
        let output = "\
running 2 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
     Running tests/it/main.rs
test result: FAILED. 40 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 2.10s
";
        assert_eq!(
            totals_of(output),
            Totals {
                passed: 42,
                failed: 3,
                ignored: 1
            }
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        let output = "test passed ... ok\n3 passed; 1 failed\ntest result: unreadable\n";
        assert_eq!(totals_of(output), Totals::default());
    }

    #[test]
    fn the_total_is_one_plain_line() {
        let totals = Totals {
            passed: 7,
            failed: 1,
            ignored: 2,
        };
        assert_eq!(totals.to_string(), "7 passed, 1 failed");
    }
}
