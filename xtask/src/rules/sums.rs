//! A figure that follows from others has to follow from them still, when one of them is measured anew.
//!
//! In [`DOCUMENT`], a row whose second cell is a number gives the name in its first cell a value; a row whose second
//! cell is a sum in backquotes says in its third what comes of it, rounded. A row may do both.

use std::collections::BTreeMap;

use crate::repository::File;

const DOCUMENT: &str = "docs/scaling.md";
/// How far a rounded figure may be from what is worked out.
const ROUNDED: f64 = 0.03;
const WORDS: [(&str, f64); 4] = [
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
    ("%", 0.01),
];

/// Every figure that does not follow, one sentence each.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let document = files.iter().find(|file| file.path == DOCUMENT);
    document.map(|file| look(&file.text)).unwrap_or_default()
}

fn look(text: &str) -> Vec<String> {
    let mut known = BTreeMap::new();
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let &["", name, second, third, ..] = &*cells else {
            continue;
        };
        let mut wrong = |why: String| found.push(format!("{DOCUMENT}:{}: {why}", index + 1));
        let value = match (quoted(second), number(second)) {
            (Some(sum), _) => match (work_out(sum, &known), number(third)) {
                (Ok(value), Some(told)) => {
                    if (value - told).abs() > ROUNDED * value.abs() {
                        wrong(format!("{sum} is {value:.3}, not {third}"));
                    }
                    value
                }
                (Ok(value), None) => {
                    wrong(format!("{sum} is {value:.3}: say so"));
                    continue;
                }
                (Err(why), _) => {
                    wrong(format!("{sum}: {why}"));
                    continue;
                }
            },
            (None, Some(value)) => value,
            (None, None) => continue,
        };
        if let Some(name) = quoted(name)
            && known.insert(name, value).is_some()
        {
            wrong(format!("{name} has a value already"));
        }
    }
    found
}

/// What stands in backquotes, if that is all there is.
fn quoted(cell: &str) -> Option<&str> {
    let inside = cell.strip_prefix('`')?.strip_suffix('`')?;
    (!inside.contains('`')).then_some(inside)
}

/// The number that a cell begins with: `1,600,000`, `3.2 billion`, `40 %`.
fn number(cell: &str) -> Option<f64> {
    let mut words = cell.split(' ');
    let digits = words.next()?.replace(',', "");
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let word = words.next();
    let times = WORDS.iter().find(|(name, _)| Some(*name) == word);
    Some(digits.parse::<f64>().ok()? * times.map_or(1.0, |(_, times)| *times))
}

/// Sums of `+ - * /`, brackets, numbers and names.
fn work_out(sum: &str, known: &BTreeMap<&str, f64>) -> Result<f64, String> {
    let mut reader = Reader { rest: sum, known };
    let value = reader.sum()?;
    if reader.rest.trim_start().is_empty() {
        Ok(value)
    } else {
        Err(format!("`{}` is not understood", reader.rest))
    }
}

struct Reader<'s> {
    rest: &'s str,
    known: &'s BTreeMap<&'s str, f64>,
}

impl Reader<'_> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.takes('+') {
                value += self.product()?;
            } else if self.takes('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.term()?;
        loop {
            if self.takes('*') {
                value *= self.term()?;
            } else if self.takes('/') {
                value /= self.term()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn term(&mut self) -> Result<f64, String> {
        if self.takes('(') {
            let value = self.sum()?;
            return if self.takes(')') {
                Ok(value)
            } else {
                Err("a bracket stays open".into())
            };
        }
        self.rest = self.rest.trim_start();
        let is_end = |letter: char| !letter.is_alphanumeric() && !"_.,".contains(letter);
        let (word, rest) = self
            .rest
            .split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        self.rest = rest;
        let Some(value) = number(word) else {
            let value = self.known.get(word).copied();
            return value.ok_or_else(|| format!("`{word}` has no value"));
        };
        let behind = self.rest.trim_start();
        let times = WORDS
            .iter()
            .find_map(|(name, times)| Some((behind.strip_prefix(name)?, times)));
        Ok(times.map_or(value, |(rest, times)| {
            self.rest = rest;
            value * times
        }))
    }

    fn takes(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::look;

    const GOOD: &str = "
| what | figure | from |
|---|---|---|
| `disk` | 2,000 billion | a disk |
| `row` | 75 | bytes |
| `share` | 60 % | used |
| `rows` | `disk * share / row` | 16 billion rows | more words |
| a day | `(rows + 1) / 2 - 1 billion / 1 billion` | 8 billion |
| words | only | here |
";

    #[test]
    fn figures_that_follow_are_good() {
        assert_eq!(look(GOOD), [""; 0]);
    }

    #[test]
    fn figures_that_do_not_follow_are_told() {
        for (good, bad, says) in [
            (
                "16 billion",
                "17 billion",
                "docs/scaling.md:7: disk * share / row is 16000000000",
            ),
            ("| 75 |", "| 80 |", "not 16 billion rows"),
            ("`row`", "`line`", "`row` has no value"),
            ("/ 2 - 1", "/ 2) - 1", "is not understood"),
            ("(rows + 1)", "(rows + 1", "a bracket stays open"),
            ("8 billion", "much", "say so"),
            ("`share`", "`row`", "row has a value already"),
        ] {
            let found = look(&GOOD.replace(good, bad));
            assert!(
                found.iter().any(|one| one.contains(says)),
                "{says}: {found:?}"
            );
        }
    }
}
