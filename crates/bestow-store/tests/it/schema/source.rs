//! Finds the SQL in this crate's sources: string literals, joined where `concat!` joins them.

use std::collections::BTreeMap;
use std::path::Path;

/// A text in the sources that may be SQL.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) file: String,
    pub(crate) sql: String,
    /// How many values the `values!` behind it has, where that is its own.
    pub(crate) values: Option<usize>,
}

/// All texts of this crate's sources; those that are pieces of others are not told apart.
pub(crate) fn texts() -> Vec<Text> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("a file").path();
        assert!(
            path.is_file(),
            "{} is a folder: read it too",
            path.display()
        );
        let source = std::fs::read_to_string(&path).expect("text");
        let file = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        files.push((file, tokens(&source)));
    }
    // Pieces are used in other files, too.
    let mut pieces = BTreeMap::new();
    for (_, tokens) in &files {
        gather(tokens, &mut pieces);
    }
    files
        .iter()
        .flat_map(|(file, tokens)| of_file(file, tokens, &pieces))
        .collect()
}

/// The texts of macros, by name.
fn gather<'t>(tokens: &'t [Token], pieces: &mut BTreeMap<&'t str, String>) {
    for at in 0..tokens.len() {
        if let [Token::Word(word), Token::Sign('!'), Token::Word(name), ..] = &tokens[at..]
            && word == "macro_rules"
        {
            let end = closing(tokens, at + 3);
            let text = joined(&tokens[at + 3..end], pieces);
            pieces.insert(name, text);
        }
    }
}

fn of_file(file: &str, tokens: &[Token], pieces: &BTreeMap<&str, String>) -> Vec<Text> {
    let mut found: Vec<Text> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at..] {
            [Token::Word(word), Token::Sign('!'), Token::Word(_), ..] if word == "macro_rules" => {
                at = closing(tokens, at + 3);
            }
            [Token::Word(word), Token::Sign('!'), ..] if word == "concat" => {
                let end = closing(tokens, at + 2);
                found.push(text(
                    file,
                    joined(&tokens[at + 2..end], pieces),
                    &tokens[end..],
                ));
                at = end;
            }
            [Token::Text(sql), ..] => {
                found.push(text(file, sql.clone(), &tokens[at + 1..]));
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

fn text(file: &str, sql: String, behind: &[Token]) -> Text {
    Text {
        file: file.to_owned(),
        sql,
        values: values(behind),
    }
}

/// Counts the values of the `values!` behind a statement, if that comes before the end of the call.
fn values(behind: &[Token]) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, token) in behind.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Sign(';') if depth == 0 => return None,
            Token::Text(other) if other.starts_with("-- ") => return None,
            Token::Word(word) if word == "values" => {
                return Some(items(&behind[at + 2..closing(behind, at + 2)]));
            }
            _ => {}
        }
        if depth < -1 {
            return None;
        }
    }
    None
}

/// Items of a bracket that is given with its opening sign.
fn items(bracket: &[Token]) -> usize {
    let (mut depth, mut items, mut inside) = (0, 0, false);
    for token in bracket {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Sign(',') if depth == 1 => {
                inside = false;
                continue;
            }
            _ => {}
        }
        let opens = depth == 1 && matches!(token, Token::Sign('['));
        if !opens && !inside && depth >= 1 {
            inside = true;
            items += 1;
        }
    }
    items
}

fn joined(tokens: &[Token], pieces: &BTreeMap<&str, String>) -> String {
    tokens
        .iter()
        .filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            Token::Word(word) => pieces.get(word.as_str()).map(String::as_str),
            Token::Sign(_) => None,
        })
        .collect()
}

/// The place behind the bracket that opens at or behind `at`.
fn closing(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => {
                depth -= 1;
                if depth == 0 {
                    return place;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

#[derive(Debug)]
enum Token {
    Text(String),
    Word(String),
    Sign(char),
}

/// As much of Rust's grammar as it takes to tell text from the rest.
fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
        } else if let Some(behind) = rest.strip_prefix("r#\"") {
            let (text, behind) = behind.split_once("\"#").expect("a raw text ends");
            found.push(Token::Text(text.to_owned()));
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('"') {
            let (text, behind) = literal(behind);
            found.push(Token::Text(text));
            rest = behind;
        } else if first == '\'' {
            rest = behind_quote(rest);
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            found.push(Token::Word(word.to_owned()));
            rest = behind;
        } else {
            if !first.is_whitespace() {
                found.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// A text from behind its opening quote: what it says, and what comes behind it.
fn literal(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = source.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return (text, letters.as_str()),
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('\n') => letters = letters.as_str().trim_start().chars(),
                Some(other) => text.push(other),
                None => break,
            },
            letter => text.push(letter),
        }
    }
    panic!("a text does not end: {text}");
}

/// What comes behind a character literal, or behind the quote of a lifetime.
fn behind_quote(source: &str) -> &str {
    let behind = &source[1..];
    let skipped = if behind.starts_with('\\') {
        2
    } else {
        behind.chars().next().map_or(0, char::len_utf8)
    };
    match behind[skipped..].find('\'') {
        Some(0) => &behind[skipped + 1..],
        // '\u{200b}'
        Some(end) if behind.starts_with("\\u") => &behind[skipped + end + 1..],
        _ => behind,
    }
}
