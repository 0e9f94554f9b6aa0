use serde_json::Value;
use tempfile::tempdir;

use super::run;

#[test]
fn the_demo_ends_well_and_says_so_in_its_last_line() {
    let dir = tempdir().unwrap();
    let ended = run(
        dir.path(),
        &["demo", "--customers", "3000", "--once", "--json"],
    )
    .done();
    let last = ended.out.lines().last().expect("a last line");
    let summary: Value = serde_json::from_str(last).expect("a JSON object");
    assert_eq!(summary["verified"], true, "{ended:?}");
    let counts = &summary["counts"];
    let number = |value: &Value| value.as_u64().expect("a number");
    assert_eq!(
        number(&counts["pairs"]),
        number(&counts["granted"]) + number(&counts["repeated"])
    );
    assert_eq!(summary["expected"], counts["granted"]);
    assert!(number(&counts["granted"]) > 2_000);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
}

#[test]
fn a_demo_for_one_customer_holds_too() {
    let dir = tempdir().unwrap();
    let ended = run(
        dir.path(),
        &["demo", "--customers", "1", "--once", "--json"],
    );
    let summary: Value = serde_json::from_str(ended.out.lines().last().expect("a line")).unwrap();
    assert_eq!(summary["missing"], 0);
    assert_eq!(summary["unexpected"], 0);
}
