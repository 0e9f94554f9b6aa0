//! The description of the API is that of the routes, and the committed one is that of the code.

use std::collections::BTreeSet;
use std::path::Path;

use bestow::http::openapi;
use bestow::http::routes::{Access, table};
use serde_json::Value;

#[test]
fn the_committed_description_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = std::fs::read_to_string(&path).expect("docs/openapi.json is there");
    let generated = openapi::document();
    assert!(
        committed == generated,
        "write it again: bestow openapi > docs/openapi.json"
    );
}

#[test]
fn every_route_is_described_with_its_rights_and_nothing_else_is() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    let (mut described, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let needs_token = operation["security"].is_array();
            assert!(
                names.insert(operation["operationId"].to_string()),
                "{operation}"
            );
            described.insert((path.clone(), method.to_uppercase(), needs_token));
        }
    }
    let mut routes: BTreeSet<_> = table()
        .into_iter()
        .map(|route| {
            let needs_token = route.access != Access::Public;
            (route.path.to_owned(), route.method.to_string(), needs_token)
        })
        .collect();
    // Not in the table: they answer every method, since they must not be told from an address that
    // is not there.
    for door in ["gateway", "listener"] {
        let path = format!("/optimove/{door}/{{secret}}");
        routes.insert((path, "POST".to_owned(), false));
    }
    assert_eq!(described, routes);
}
