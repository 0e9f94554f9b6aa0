//! The ledger's own checks: silent on a good one, and each sees the damage it is there for.

use bestow_store::verify::Violation;

use crate::support::{Fresh, TENANT, reading};

/// A campaign read, merged and audited as it should be, and another one that nothing came of.
async fn good(fresh: &Fresh) {
    let reading = reading(fresh, "5101").await;
    reading
        .land(fresh, &reading.page(0, &["anna", "bob"]))
        .await;
    reading
        .land(fresh, &reading.page(2, &["bob", "cleo"]))
        .await;
    let mut chunk = reading.chunk(&["anna", "bob", "cleo"]);
    chunk.counts = [
        ("rows", 4),
        ("pairs", 6),
        ("repeated", 1),
        ("held:unknown_code", 1),
        ("refused:paused", 1),
    ]
    .map(|(name, n)| (name.to_owned(), n))
    .into();
    reading.merge(fresh, chunk).await;
    fresh
        .tx(|tx| {
            tx.see_campaign(TENANT, "5102", "scheduled", "sweep")
                .map(|_| ())
        })
        .await;
}

fn violations(fresh: &Fresh) -> Vec<Violation> {
    fresh.read(|tx| {
        let mut found = tx.verify_counts(TENANT)?;
        found.extend(tx.verify_references(TENANT)?);
        found.extend(tx.verify_pages(TENANT)?);
        found.extend(tx.verify_audit(TENANT)?);
        Ok(found)
    })
}

/// Damages a good ledger and expects these rules to speak up, and no other.
async fn expect(fresh: &Fresh, damage: &[&str], rules: &[&str]) {
    good(fresh).await;
    assert_eq!(violations(fresh), []);
    for sql in damage {
        fresh.plant(sql);
    }
    let found = violations(fresh);
    assert_eq!(
        found.iter().map(|v| v.rule).collect::<Vec<_>>(),
        rules,
        "{found:?}"
    );
    assert!(fresh.read(|tx| tx.verify_counts(2)).is_empty());
}

pub(crate) async fn good_ledger_is_silent(fresh: Fresh) {
    assert_eq!(violations(&fresh), []);
    good(&fresh).await;
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn counts_must_add_up(fresh: Fresh) {
    let damage = "UPDATE campaign_count SET n = n + 1 WHERE counter = 'pairs'";
    expect(&fresh, &[damage], &["counts_add_up"]).await;
    let object = &violations(&fresh)[0].object;
    assert_eq!(object, "campaign 5101");
}

pub(crate) async fn granted_must_be_in_the_ledger(fresh: Fresh) {
    let damage = "DELETE FROM grants WHERE customer = 'bob'";
    expect(&fresh, &[damage], &["granted_is_in_ledger"]).await;
}

pub(crate) async fn grants_must_refer(fresh: Fresh) {
    let damage = [
        "UPDATE grants SET window_no = 99 WHERE customer = 'anna'",
        "INSERT INTO eligibility_window (tenant, no, campaign, starts_at, ends_at, action, channel)
         VALUES (1, 7, 2, 0, 1, 0, 0)",
        "UPDATE grants SET window_no = 7 WHERE customer = 'cleo'",
    ];
    expect(&fresh, &damage, &["grant_refers", "grant_refers"]).await;
    fresh.plant("UPDATE grants SET offer = 99 WHERE customer = 'bob'");
    let found = fresh.read(|tx| tx.verify_references(TENANT));
    let customers: Vec<_> = found.iter().map(|v| &*v.object).collect();
    assert_eq!(
        customers,
        ["customer anna", "customer bob", "customer cleo"]
    );
}

pub(crate) async fn rows_must_have_landed(fresh: Fresh) {
    let damage = "DELETE FROM landed_page WHERE page = 2";
    expect(&fresh, &[damage], &["rows_have_landed"]).await;
}

pub(crate) async fn audit_must_have_no_gap(fresh: Fresh) {
    let damage = "DELETE FROM audit WHERE seq = 1";
    expect(&fresh, &[damage], &["audit_has_no_gap"]).await;
}
