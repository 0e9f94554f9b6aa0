//! Reading the ledger.

use bestow_core::GivenCode;
use bestow_store::campaigns::SuspendedBy;
use bestow_store::grants::{Clearing, Grant, LedgerRow, Used};
use bestow_store::merge::{MergeChunk, NewGrant};

use crate::support::{CHANNEL, Fresh, NOW_MS, Reading, TENANT, WINDOW, reading};

/// One customer who has `offers` offers of one campaign, numbered in order of the codes a, b, c …
async fn with_offers(fresh: &Fresh, customer: &'static str, offers: u32) -> Vec<u32> {
    let reading = reading(fresh, "5101").await;
    let no = reading.campaign;
    let numbers = fresh
        .tx(move |tx| {
            (0..offers)
                .map(|n| {
                    let code = format!("code{n}");
                    tx.offer_for(TENANT, no, &code, &code.to_uppercase(), None)
                        .map(|offer| offer.no)
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await;
    let mut chunk = reading.chunk(&[customer]);
    let first = chunk.grants.remove(0);
    chunk.grants = numbers
        .iter()
        .map(|&offer| NewGrant { offer, ..first })
        .collect();
    chunk.counts = vec![("pairs".into(), i64::from(offers))];
    reading.merge(fresh, chunk).await;
    numbers
}

fn offers(grants: &[Grant]) -> Vec<u32> {
    grants.iter().map(|grant| grant.offer).collect()
}

pub(crate) async fn pages_by_offer(fresh: Fresh) {
    let numbers = with_offers(&fresh, "anna", 5).await;
    let page = |after: u32, occurrence: &'static str, limit| {
        let after = i64::from(after);
        let read = fresh.read(|tx| tx.customer_grants(TENANT, "anna", after, occurrence, limit));
        offers(&read)
    };
    assert_eq!(page(0, "", 2), numbers[..2]);
    assert_eq!(page(numbers[1], "", 9), numbers[2..]);
    assert!(page(numbers[4], "", 9).is_empty());
    // Occurrences of one offer stand one behind the other.
    let triggered = format!(
        "INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page)
         SELECT tenant, customer, offer, 'o1', window_no, page FROM grants WHERE offer = {}",
        numbers[1]
    );
    fresh.plant(&triggered);
    assert_eq!(page(numbers[1], "", 2), numbers[1..3]);
    assert_eq!(page(numbers[1], "o1", 2), numbers[2..4]);
    assert!(
        fresh
            .read(|tx| tx.customer_grants(TENANT, "bob", 0, "", 9))
            .is_empty()
    );
}

pub(crate) async fn code_is_looked_up(fresh: Fresh) {
    let numbers = with_offers(&fresh, "anna", 3).await;
    let second = reading(&fresh, "5102").await;
    let no = second.campaign;
    let same_code = fresh
        .tx(move |tx| tx.offer_for(TENANT, no, "code1", "Code1", None))
        .await;
    let mut chunk = second.chunk(&["anna"]);
    chunk.grants[0].offer = same_code.no;
    second.merge(&fresh, chunk).await;
    let found = |customer, code: &'static str| {
        let mut found = fresh.read(|tx| tx.grants_for_code(TENANT, customer, code));
        found.sort_by_key(|grant| grant.offer);
        found
            .into_iter()
            .map(|g| (g.offer, g.campaign, g.code))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("anna", "code1"),
        [
            (numbers[1], "5101".into(), "CODE1".into()),
            (same_code.no, "5102".into(), "Code1".into())
        ]
    );
    assert!(found("anna", "CODE1").is_empty());
    assert!(found("anna", "code9").is_empty());
    assert!(found("bob", "code1").is_empty());
}

pub(crate) async fn grant_tells_its_facts(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    fresh.db.clock.advance(1_000);
    reading.land(&fresh, &reading.page(0, &["anna"])).await;
    fresh.db.clock.advance(1_000);
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    let no = reading.campaign;
    fresh
        .tx(move |tx| tx.suspend_campaign(TENANT, no, SuspendedBy::Cancel, "event 4"))
        .await;
    fresh.db.clock.advance(1_000);
    fresh
        .tx(move |tx| tx.revoke_campaign(TENANT, no, "event 4"))
        .await;
    let grant = Grant {
        offer: reading.offer,
        occurrence: String::new(),
        code: "FS20".into(),
        campaign: "5101".into(),
        campaign_kind: "scheduled".into(),
        campaign_suspended_at: Some(NOW_MS + 2_000),
        campaign_revoked_at: Some(NOW_MS + 3_000),
        starts_at: WINDOW.starts_at,
        ends_at: WINDOW.ends_at,
        action: WINDOW.action,
        channel: CHANNEL,
        created_at: NOW_MS + 1_000,
        given: GivenCode::Shared,
        clearance: Clearing::NotNeeded,
        used: Used::default(),
    };
    let found = fresh.read(|tx| tx.grant(TENANT, "anna", reading.offer));
    assert_eq!(found.as_ref(), Some(&grant));
    let landed_at = |page| fresh.read(|tx| tx.page_landed_at(TENANT, no, page));
    assert_eq!((landed_at(1), landed_at(2)), (Some(grant.created_at), None));
    assert_eq!(
        fresh.read(|tx| tx.grants_for_code(TENANT, "anna", "fs20")),
        std::slice::from_ref(&grant)
    );
    assert_eq!(
        fresh.read(|tx| tx.customer_grants(TENANT, "anna", 0, "", 9)),
        [grant]
    );
    assert_eq!(fresh.read(|tx| tx.grant(TENANT, "anna", 99)), None);
}

pub(crate) async fn letter_case_is_kept(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading
        .merge(&fresh, reading.chunk(&["ANNA", "Anna", "anna"]))
        .await;
    let row = LedgerRow {
        offer: reading.offer,
        occurrence: String::new(),
        window: reading.window,
        page: 1,
        code: GivenCode::Shared,
        used: Used::default(),
    };
    for customer in ["anna", "Anna", "ANNA"] {
        assert_eq!(
            fresh.read(|tx| tx.ledger_rows(TENANT, customer)),
            std::slice::from_ref(&row)
        );
    }
    assert!(fresh.read(|tx| tx.ledger_rows(TENANT, "aNNa")).is_empty());
    assert_eq!(fresh.count(reading.campaign, "granted"), 3);
}

pub(crate) async fn tenants_do_not_mix(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    // The other tenant has the same campaign, offer and window numbers, and a ledger of its own.
    let theirs = fresh
        .tx(|tx| {
            let (campaign, _) = tx.see_campaign(2, "5101", "scheduled", "sweep")?;
            tx.want_job(2, "import", "5101", 0)?;
            let job = tx.claim_job(1_000)?.expect("due");
            let offer = tx.offer_for(2, campaign, "fs20", "THEIRS", None)?.no;
            let window = tx.window_for(2, campaign, &WINDOW)?;
            Ok(Reading {
                job,
                campaign,
                offer,
                window,
            })
        })
        .await;
    assert_eq!(
        (theirs.campaign, theirs.offer),
        (reading.campaign, reading.offer)
    );
    assert!(fresh.read(|tx| tx.ledger_rows(2, "anna")).is_empty());
    let chunk: MergeChunk = theirs.chunk(&["anna", "bob"]);
    theirs.merge(&fresh, chunk).await;
    let code = |tenant| {
        fresh.read(|tx| tx.grants_for_code(tenant, "anna", "fs20"))[0]
            .code
            .clone()
    };
    assert_eq!((code(TENANT), code(2)), ("FS20".into(), "THEIRS".into()));
    assert!(fresh.read(|tx| tx.ledger_rows(TENANT, "bob")).is_empty());
    assert_eq!(fresh.count(reading.campaign, "granted"), 1);
}
