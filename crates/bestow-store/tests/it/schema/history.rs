//! What eligibility reads is found by keys alone, so what it costs does not grow with what is kept: not with grants of
//! other customers, not with campaigns, and not with archives, of which it reads nothing.

use super::{Listener, statements};

/// What eligibility, triggers and redemptions ask before they decide.
const LOOK_UPS: [&str; 6] = [
    "ledger_rows",
    "grants_for_code",
    "offer_facts",
    "window_facts",
    "grant_ends",
    "grants_of_campaign",
];

fn steps(listener: &Listener, sql: &str) -> Vec<String> {
    let mut explained = listener
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let rows = explained.raw_query().mapped(|row| row.get::<_, String>(3));
    rows.collect::<Result<_, _>>().expect("explained")
}

#[test]
fn eligibility_looks_up_and_never_scans() {
    let listener = Listener::new();
    let mut seen = 0;
    for statement in statements() {
        if !LOOK_UPS.contains(&statement.name.as_str()) {
            continue;
        }
        seen += 1;
        let name = &statement.name;
        let steps = steps(&listener, &statement.text.sql);
        let scans = steps
            .iter()
            .filter(|step| step.starts_with("SCAN") && !step.contains("CONSTANT ROW"));
        assert_eq!(scans.count(), 0, "{name}: {steps:?}");
        let searched: Vec<_> = steps
            .iter()
            .filter_map(|step| step.strip_prefix("SEARCH "))
            .collect();
        assert!(!searched.is_empty(), "{name}: {steps:?}");
        for step in &searched {
            assert!(
                step.contains("tenant=? AND "),
                "{name} is found by more than its tenant: {step}"
            );
        }
        let of_grants = searched
            .iter()
            .filter(|step| step.starts_with("g ") || step.starts_with("grants "));
        for step in of_grants {
            assert!(step.contains("tenant=? AND customer=?"), "{name}: {step}");
        }
        assert!(
            !statement.text.sql.contains("FROM archive "),
            "{name} asks archives"
        );
    }
    assert_eq!(seen, LOOK_UPS.len());
}
