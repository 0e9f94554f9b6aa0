//! The page that says which tests show what becomes of which fault.

use std::path::{Path, PathBuf};

/// All Rust files under a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The tests of a file: all of it under `tests`, elsewhere what is only built for tests.
fn tests_in(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("a source");
    if file.components().any(|part| part.as_os_str() == "tests") {
        return text;
    }
    let tests = text.split_once("#[cfg(test)]");
    tests.map_or(String::new(), |(_, tests)| tests.to_owned())
}

/// What stands between backticks and may be the name of a test.
fn names(page: &str) -> Vec<&str> {
    let is_name = |text: &&str| {
        let is_word =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        text.chars().all(is_word) && text.contains('_')
    };
    page.split('`').skip(1).step_by(2).filter(is_name).collect()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/faults.md")).expect("the page");
    let names = names(&page);
    assert!(names.len() > 100, "{} names", names.len());
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    let tests: String = files.iter().map(|file| tests_in(file)).collect();
    let is_missing = |name: &&&str| !tests.contains(&format!("fn {name}("));
    let missing: Vec<_> = names.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "no tests have these names: {missing:?}");
}
