//! Codes out of a file as it comes, one a line, whatever its size: memory is one line.

use bestow_core::UniqueCode;

use crate::formula;

/// Bytes of a line; a longer one is no code, and is passed over without being kept.
const LINE_BYTES_MAX: usize = 1_024;
/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// A first line that names the column.
const HEAD: &str = "code";

/// Why a line was not taken, as reports name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Longer than any code.
    TooLong,
    /// Something else than letters, digits and separators.
    BadCharacter,
    /// Bytes that are no text.
    NotUtf8,
    /// Separators alone.
    Empty,
}

impl Fault {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::BadCharacter => "bad_character",
            Self::NotUtf8 => "not_utf8",
            Self::Empty => "empty",
        }
    }
}

/// A line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1, blank lines and the head line included.
    pub(super) number: u64,
    pub(super) code: Result<UniqueCode, Fault>,
}

/// Splits what comes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    /// The line under way is too long to be kept.
    is_overlong: bool,
    number: u64,
}

impl Lines {
    /// Takes the next piece up to the end of a line and gives that line, if it says something. What is left of the
    /// piece is to be taken next; `None` once it is used up.
    pub(super) fn take<'p>(&mut self, piece: &'p [u8]) -> Option<(Option<Line>, &'p [u8])> {
        let Some(end) = piece.iter().position(|byte| *byte == b'\n') else {
            self.keep(piece);
            return None;
        };
        self.keep(&piece[..end]);
        Some((self.end_line(), &piece[end + 1..]))
    }

    /// The last line, where the file does not end with a line's end.
    pub(super) fn end(&mut self) -> Option<Line> {
        self.end_line()
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.rest.len() + piece.len() > LINE_BYTES_MAX {
            self.is_overlong = true;
            self.rest.clear();
        }
        if !self.is_overlong {
            self.rest.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self) -> Option<Line> {
        self.number += 1;
        let line = std::mem::take(&mut self.rest);
        let code = if std::mem::take(&mut self.is_overlong) {
            Err(Fault::TooLong)
        } else {
            match std::str::from_utf8(self.without_mark(&line)) {
                Ok(text) => self.code(text)?,
                Err(_) => Err(Fault::NotUtf8),
            }
        };
        Some(Line {
            number: self.number,
            code,
        })
    }

    fn without_mark<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        let mark = (self.number == 1).then(|| line.strip_prefix(BYTE_ORDER_MARK));
        mark.flatten().unwrap_or(line)
    }

    /// The code of a line; `None` where it says nothing.
    fn code(&self, text: &str) -> Option<Result<UniqueCode, Fault>> {
        use bestow_core::pool::UniqueCodeFault as F;
        let text = text.trim();
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let text = inner.unwrap_or(text);
        if text.is_empty() || (self.number == 1 && text.trim().eq_ignore_ascii_case(HEAD)) {
            return None;
        }
        Some(
            UniqueCode::parse(formula::unguarded(text)).map_err(|fault| match fault {
                F::Empty => Fault::Empty,
                F::TooLong => Fault::TooLong,
                F::BadCharacter => Fault::BadCharacter,
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes and faults of a file that comes in pieces of this size.
    fn read(file: &[u8], piece_bytes: usize) -> Vec<(u64, String)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut note = |line: Option<Line>| {
            found.extend(line.map(|line| {
                let said = match line.code {
                    Ok(code) => code.as_str().to_owned(),
                    Err(fault) => format!("!{}", fault.as_str()),
                };
                (line.number, said)
            }));
        };
        for piece in file.chunks(piece_bytes) {
            let mut piece = piece;
            while let Some((line, rest)) = lines.take(piece) {
                note(line);
                piece = rest;
            }
        }
        note(lines.end());
        found
    }

    #[test]
    fn a_file_reads_alike_whatever_pieces_it_comes_in() {
        let long = "x".repeat(5_000);
        let file = format!(
            "\u{feff}Code\r\nA-1\r\n\r\n\"b2\"\n  c3  \nd,4\n{long}\n---\n\"\"\n'-e5\n\"'-f6\"\n'g7\nlast"
        );
        let expected: Vec<(u64, String)> = [
            (2, "A-1"),
            (4, "b2"),
            (5, "c3"),
            (6, "!bad_character"),
            (7, "!too_long"),
            (8, "!empty"),
            (10, "-e5"),
            (11, "-f6"),
            (12, "!bad_character"),
            (13, "last"),
        ]
        .map(|(number, said)| (number, said.to_owned()))
        .into();
        for piece_bytes in [1, 2, 3, 7, 100, 100_000] {
            assert_eq!(
                read(file.as_bytes(), piece_bytes),
                expected,
                "{piece_bytes}"
            );
        }
    }

    #[test]
    fn only_the_first_line_can_be_a_head() {
        let said = |file: &[u8]| {
            read(file, 4)
                .into_iter()
                .map(|(_, said)| said)
                .collect::<Vec<_>>()
        };
        assert_eq!(said(b"\"CODE\"\ncode\n"), ["code"]);
        assert_eq!(said(b"a\n\xff\xfe\nb"), ["a", "!not_utf8", "b"]);
        assert_eq!(said(b""), [""; 0]);
    }
}
