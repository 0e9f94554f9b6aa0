//! Every body under `golden/` has the reading that the contract gives it.

mod gateway;
mod notifications;
mod requests;
mod responses;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use optimove::wire::Page;
use serde::Serialize;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let mut body = std::fs::read(folder().join(name)).unwrap();
    // A JSON file ends in a newline that is not part of the body.
    if Path::new(name).extension().is_some_and(|end| end == "json") && body.last() == Some(&b'\n') {
        body.pop();
    }
    body
}

/// Writing gives the body again, apart from white space.
fn assert_writes(value: &impl Serialize, name: &str) {
    let written: serde_json::Value =
        serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&golden(name)).unwrap();
    assert_eq!(written, expected, "{name}");
}

/// Customer and codes of each row, the codes split on commas as the catalogue has none with one.
fn pairs(name: &str) -> Vec<(String, Vec<String>)> {
    let mut pairs = Vec::new();
    let page = Page::parse(golden(name)).unwrap();
    page.for_each(|row| {
        let customer = row.customer_id.clone().unwrap().into_owned();
        let split = |text: &str| -> Vec<String> {
            text.split(',').map(|code| code.trim().to_owned()).collect()
        };
        pairs.push((customer, row.promo_code.texts().flat_map(split).collect()));
    })
    .unwrap();
    assert_eq!(pairs.len(), page.len());
    pairs
}

fn owned(rows: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let own = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
    rows.iter()
        .map(|(customer, codes)| ((*customer).to_owned(), own(codes)))
        .collect()
}

#[test]
fn every_file_is_read_by_a_test() {
    let areas = [
        ("requests", include_str!("golden/requests.rs")),
        ("responses", include_str!("golden/responses.rs")),
        ("notifications", include_str!("golden/notifications.rs")),
        ("gateway", include_str!("golden/gateway.rs")),
    ];
    let mut unread = BTreeSet::new();
    for (area, tests) in areas {
        for entry in std::fs::read_dir(folder().join(area)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let name = format!("{area}/{file}");
            if !tests.contains(&format!("\"{name}\"")) {
                unread.insert(name);
            }
        }
    }
    assert_eq!(unread, BTreeSet::new());
}
