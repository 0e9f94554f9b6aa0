//! Just enough of Rust's grammar to tell code from comments and literals.

use std::ops::Range;

/// A Rust file taken apart.
pub(crate) struct Source {
    /// The code with every comment and literal blanked: same length, same line breaks.
    pub(crate) code: String,
    /// The string literals in order, as written between the quotes, escapes not resolved.
    pub(crate) literals: Vec<Literal>,
}

/// One string literal.
pub(crate) struct Literal {
    /// Line of its first quote, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    /// Line of the word `fn`, from 1.
    pub(crate) line: usize,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn scan(text: &str) -> Self {
        let mut code = String::with_capacity(text.len());
        let mut literals = Vec::new();
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let span = foreign(text, at);
            if span.whole.is_empty() {
                code.push(first);
                at += first.len_utf8();
                continue;
            }
            if let Some(inner) = span.literal {
                let line = line_of(text, at);
                literals.push(Literal {
                    line,
                    text: text[inner].to_owned(),
                });
            }
            let blanked = text[span.whole.clone()].bytes();
            code.extend(blanked.map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            at = span.whole.end;
        }
        Self { code, literals }
    }

    /// The words, paths' double colons and single signs of the code, each with its line.
    pub(crate) fn tokens(&self) -> Vec<(usize, &str)> {
        let mut tokens = Vec::new();
        for (index, line) in self.code.lines().enumerate() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let length = if is_word(first) {
                    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
                } else if rest.starts_with("::") {
                    2
                } else {
                    first.len_utf8()
                };
                tokens.push((index + 1, &rest[..length]));
                rest = rest[length..].trim_start();
            }
        }
        tokens
    }

    /// Every function that has a body, in order of appearance.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        let tokens = self.tokens();
        let mut functions = Vec::new();
        for (index, &(line, word)) in tokens.iter().enumerate() {
            let Some(&(_, name)) = tokens.get(index + 1) else {
                break;
            };
            if word != "fn" || !name.starts_with(is_word) {
                continue;
            }
            if let Some(end) = body_end(&tokens[index + 2..]) {
                functions.push(Function {
                    name,
                    line,
                    lines: end - line + 1,
                });
            }
        }
        functions
    }
}

/// The line of the brace that closes the body of the function whose name precedes `tokens`;
/// `None` where a semicolon stands for the body.
fn body_end(tokens: &[(usize, &str)]) -> Option<usize> {
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    for &(line, token) in tokens {
        match token {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            ";" if brackets == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return Some(line);
                }
            }
            _ => {}
        }
    }
    None
}

/// A stretch of text that is not code; empty where code stands.
struct Span {
    whole: Range<usize>,
    literal: Option<Range<usize>>,
}

/// The comment or literal that starts at `at`.
fn foreign(text: &str, at: usize) -> Span {
    let rest = &text[at..];
    let comment = |length| Span {
        whole: at..at + length,
        literal: None,
    };
    if rest.starts_with("//") {
        return comment(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return comment(block_comment_length(rest));
    }
    if rest.starts_with('\'') {
        return comment(char_literal_length(rest));
    }
    if text[..at].ends_with(is_word) {
        return comment(0);
    }
    string_literal(text, at).unwrap_or_else(|| comment(0))
}

fn block_comment_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Length of the character literal at the start of `rest`; 0 for a lifetime or a label.
fn char_literal_length(rest: &str) -> usize {
    let mut inner = rest[1..].char_indices();
    match inner.next() {
        Some((_, '\\')) => {
            inner.next();
            inner
                .find(|&(_, c)| c == '\'')
                .map_or(0, |(index, _)| index + 2)
        }
        Some((_, c)) if rest[1 + c.len_utf8()..].starts_with('\'') => c.len_utf8() + 2,
        _ => 0,
    }
}

/// The string literal that starts at `at` with its prefix (`b`, `c`, `r`, `br`, `cr`), if any.
fn string_literal(text: &str, at: usize) -> Option<Span> {
    let rest = text[at..].strip_prefix(['b', 'c']).unwrap_or(&text[at..]);
    if let Some(raw) = rest.strip_prefix('r') {
        let quoted = raw.trim_start_matches('#');
        let closing = format!("\"{}", "#".repeat(raw.len() - quoted.len()));
        let inner = text.len() - quoted.strip_prefix('"')?.len();
        let length = text[inner..].find(&closing).unwrap_or(text.len() - inner);
        let end = (inner + length + closing.len()).min(text.len());
        return Some(Span {
            whole: at..end,
            literal: Some(inner..inner + length),
        });
    }
    let inner = text.len() - rest.strip_prefix('"')?.len();
    let mut escaped = false;
    for (index, c) in text[inner..].char_indices() {
        match c {
            '"' if !escaped => {
                let end = inner + index;
                return Some(Span {
                    whole: at..end + 1,
                    literal: Some(inner..end),
                });
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(Span {
        whole: at..text.len(),
        literal: Some(inner..text.len()),
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::{Function, Source};

    fn literals(text: &str) -> Vec<(usize, String)> {
        let source = Source::scan(text);
        assert_eq!(
            source.code.len(),
            text.len(),
            "blanking keeps every position"
        );
        source
            .literals
            .into_iter()
            .map(|literal| (literal.line, literal.text))
            .collect()
    }

    #[test]
    fn every_kind_of_string_literal_is_found() {
        let text = "let a = \"one \\\" two\";\nlet b = r#\"three \" four\"#;\n\
                    f(b\"five\", br\"six\", c\"se\\\\\", \"\");";
        let expected = [
            (1, "one \\\" two"),
            (2, "three \" four"),
            (3, "five"),
            (3, "six"),
            (3, "se\\\\"),
            (3, ""),
        ];
        assert_eq!(
            literals(text),
            expected.map(|(line, text)| (line, text.to_owned()))
        );
    }

    #[test]
    fn comments_characters_lifetimes_and_raw_identifiers_hold_no_literal() {
        let text = "// \"a\"\n/* \"b\" /* \"c\" */ \"d\" */ fn f<'a>(x: &'a str) -> char \
                    { let r#type = '\"'; let y = '\\''; 'l: loop { break 'l; } 'é' }\"end\"";
        assert_eq!(literals(text), [(2, "end".to_owned())]);
    }

    #[test]
    fn an_open_literal_or_comment_ends_with_the_file() {
        assert_eq!(literals("x(\"open"), [(1, "open".to_owned())]);
        assert_eq!(literals("r##\"open\"#"), [(1, "open\"#".to_owned())]);
        assert_eq!(literals("/* /* open */ \"x\""), []);
    }

    #[test]
    fn functions_are_measured_from_the_word_to_the_closing_brace() {
        let text = "trait T { fn absent(x: [u8; 2]) -> u8; }\n\
                    const fn one(f: fn(u8) -> u8) -> u8 { f(1) }\n\
                    fn outer(\n    x: &str,\n) -> [u8; 2] {\n    \
                    let s = \"} fn no() {\"; // }\n    fn inner() {\n    }\n    [1, 2]\n}\n";
        let expected = [
            Function {
                name: "one",
                line: 2,
                lines: 1,
            },
            Function {
                name: "outer",
                line: 3,
                lines: 8,
            },
            Function {
                name: "inner",
                line: 7,
                lines: 2,
            },
        ];
        assert_eq!(Source::scan(text).functions(), expected);
    }
}
