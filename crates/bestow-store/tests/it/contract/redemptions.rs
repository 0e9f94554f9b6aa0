//! Redemptions, pledges and answers: written once, counted alike, found again.

use bestow_store::Error;
use bestow_store::grants::Used;
use bestow_store::promotions::Promotion;
use bestow_store::redemptions::{GrantKey, NewAnswer, PromotionUse, Taking, UseChange};

use crate::support::{Fresh, NOW_MS, TENANT, reading};

fn taking(id: &str, customer: &str, amount_minor: i64) -> Taking {
    Taking {
        id: id.into(),
        grant: GrantKey {
            customer: customer.into(),
            offer: 1,
            occurrence: String::new(),
        },
        code_fold: "fs20".into(),
        version: 1,
        amount_minor,
        currency: Some("EUR".into()),
        day: Some("2027-03-25".into()),
        reference: None,
        actor: "cli".into(),
    }
}

const REDEEMED: Used = Used {
    redeemed: 1,
    is_spent: true,
    pledged_until: None,
};

const ONE: UseChange = UseChange {
    used: 1,
    spent_minor: 500,
    pledged: 0,
};

/// A ledger in which P-1 and P-2 have grants.
async fn granted(fresh: &Fresh) {
    let reading = reading(fresh, "5101").await;
    let page = reading.page(0, &["P-1", "P-2"]);
    reading.land(fresh, &page).await;
    reading.merge(fresh, reading.chunk(&["P-1", "P-2"])).await;
}

/// Redeems the grant of a customer, with all that is counted of it.
async fn redeem(fresh: &Fresh, id: &'static str, customer: &'static str) {
    fresh
        .tx(move |tx| {
            let new = taking(id, customer, 500);
            tx.add_redemption(TENANT, &new)?;
            tx.use_grant(TENANT, &new.grant, REDEEMED)?;
            tx.use_promotion(TENANT, "fs20", "", ONE)?;
            for period in ["D2027-03-25", "W2027-03-22", "M2027-03-01"] {
                let spent = UseChange { used: 0, ..ONE };
                tx.use_promotion(TENANT, "fs20", period, spent)?;
            }
            Ok(())
        })
        .await;
}

fn used(fresh: &Fresh, customer: &str) -> Used {
    let rows = fresh.read(|tx| tx.ledger_rows(TENANT, customer));
    rows[0].used
}

fn rules(fresh: &Fresh) -> Vec<&'static str> {
    let broken = fresh.read(|tx| tx.verify_redemptions(TENANT));
    broken.into_iter().map(|violation| violation.rule).collect()
}

pub(crate) async fn answers_are_kept_once_per_key(fresh: Fresh) {
    let keep = |id: &'static str, actor: &'static str, key: &'static str| {
        fresh.try_tx(move |tx| {
            let new = NewAnswer {
                id,
                actor,
                key,
                request: &[7; 32],
                status: 409,
                body: b"{\"code\":\"expired\"}",
            };
            tx.keep_answer(TENANT, &new)
        })
    };
    keep("01", "cli", "k1").await.expect("kept");
    keep("02", "tok", "k1").await.expect("another's key");
    assert!(matches!(
        keep("03", "cli", "k1").await,
        Err(Error::Refused { .. })
    ));
    let kept = fresh.read(|tx| tx.kept_answer(TENANT, "cli", "k1"));
    let kept = kept.expect("it is there");
    assert_eq!((kept.status, kept.request), (409, vec![7; 32]));
    assert_eq!(kept.body, b"{\"code\":\"expired\"}");
    assert!(
        fresh
            .read(|tx| tx.kept_answer(TENANT + 1, "cli", "k1"))
            .is_none()
    );
    keep("04", "cli", "k4").await.expect("kept");
    assert_eq!(fresh.tx(|tx| tx.drop_answers(TENANT, "04", 1)).await, 1);
    assert!(
        fresh
            .read(|tx| tx.kept_answer(TENANT, "cli", "k1"))
            .is_none()
    );
    assert_eq!(fresh.tx(|tx| tx.drop_answers(TENANT, "04", 9)).await, 1);
    assert_eq!(fresh.tx(|tx| tx.drop_answers(TENANT, "04", 9)).await, 0);
    assert!(
        fresh
            .read(|tx| tx.kept_answer(TENANT, "cli", "k4"))
            .is_some()
    );
}

pub(crate) async fn redemption_is_found_and_undone_once(fresh: Fresh) {
    granted(&fresh).await;
    assert_eq!(used(&fresh, "P-1"), Used::default());
    redeem(&fresh, "01", "P-1").await;
    redeem(&fresh, "02", "P-2").await;
    assert_eq!(used(&fresh, "P-1"), REDEEMED);
    let grant = fresh.read(|tx| tx.grant_of(TENANT, "P-1", 1, ""));
    assert_eq!(grant.expect("it is there").used, REDEEMED);
    let found = fresh.read(|tx| tx.redemption(TENANT, "01")).expect("there");
    assert_eq!(
        (found.taking, found.redeemed_at),
        (taking("01", "P-1", 500), NOW_MS)
    );
    let ids = |after: &str, customer: Option<&str>| -> Vec<String> {
        let found = fresh.read(|tx| match customer {
            None => tx.redemptions(TENANT, after, 9),
            Some(customer) => tx.redemptions_of(TENANT, customer, after, 9),
        });
        found.into_iter().map(|one| one.taking.id).collect()
    };
    assert_eq!(ids("", None), ["01", "02"]);
    assert_eq!(ids("01", None), ["02"]);
    assert_eq!(ids("", Some("P-2")), ["02"]);
    assert_eq!(ids("02", Some("P-2")), [""; 0]);
    let key = taking("", "P-1", 0).grant;
    assert_eq!(fresh.read(|tx| tx.taken_of_grant(TENANT, &key)), 500);
    fresh.db.clock.advance(1_000);
    for is_new in [true, false] {
        let undone = fresh.tx(|tx| tx.reverse_redemption(TENANT, "01", Some("typo"), "cli"));
        assert_eq!(undone.await, is_new);
    }
    let found = fresh.read(|tx| tx.redemption(TENANT, "01")).expect("there");
    assert_eq!(found.reversed_at, Some(NOW_MS + 1_000));
    assert_eq!(fresh.read(|tx| tx.taken_of_grant(TENANT, &key)), 0);
}

pub(crate) async fn unknown_grant_cannot_be_used(fresh: Fresh) {
    granted(&fresh).await;
    let key = taking("", "nobody", 0).grant;
    let used = fresh
        .try_tx(move |tx| tx.use_grant(TENANT, &key, REDEEMED))
        .await;
    assert!(matches!(used, Err(Error::Corrupt(_))));
}

pub(crate) async fn grant_is_in_one_cart_at_a_time(fresh: Fresh) {
    granted(&fresh).await;
    let pledge = |id: &'static str| {
        fresh.try_tx(move |tx| tx.add_pledge(TENANT, &taking(id, "P-1", 5), NOW_MS + 1_000))
    };
    pledge("01").await.expect("set aside");
    assert!(matches!(pledge("02").await, Err(Error::Refused { .. })));
    let key = taking("", "P-1", 0).grant;
    let open = fresh.read(|tx| tx.open_pledge(TENANT, &key)).expect("open");
    assert_eq!(open.taking, taking("01", "P-1", 5));
    assert!(open.is_open(NOW_MS + 999) && !open.is_open(NOW_MS + 1_000));
    let lapsed = || fresh.read(|tx| tx.lapsed_pledges(TENANT, "fs20")).len();
    assert_eq!(lapsed(), 0);
    fresh.db.clock.advance(1_000);
    assert_eq!(lapsed(), 1);
    for is_new in [true, false] {
        let ended = fresh.tx(|tx| tx.end_pledge(TENANT, "01", "lapsed"));
        assert_eq!(ended.await, is_new);
    }
    assert_eq!(lapsed(), 0);
    assert!(fresh.read(|tx| tx.open_pledge(TENANT, &key)).is_none());
    let found = fresh.read(|tx| tx.pledge(TENANT, "01")).expect("kept");
    assert_eq!(found.state, "lapsed");
    pledge("02").await.expect("free again");
}

pub(crate) async fn terms_of_a_redemption_are_read_at_once(fresh: Fresh) {
    let terms = |customer: &str| fresh.read(|tx| tx.redemption_terms(TENANT, customer, "fs20"));
    assert!(terms("P-1").is_none());
    let new = Promotion {
        code_fold: "fs20".into(),
        code: "FS20".into(),
        name: "20 spins".into(),
        status: "active".into(),
        kind: "shared".into(),
        reward: "{}".into(),
        limits: "{\"total\":3}".into(),
        metadata: "{}".into(),
        version: 0,
        created_at: 0,
        updated_at: 0,
        synced_name: None,
        fallback_code: None,
        validity_days: None,
        resumes_as: None,
        stop_reason: None,
    };
    fresh
        .tx(move |tx| {
            let put = tx.put_promotion(TENANT, &new)?;
            tx.add_promotion_version(TENANT, &put, "{\"reward\":{}}", "cli")?;
            tx.use_promotion(TENANT, "fs20", "", ONE)?;
            tx.use_promotion(TENANT, "fs20", "", ONE)?;
            tx.exclude(TENANT, &["P-2".into()], "", "asked", "cli")
        })
        .await;
    let found = terms("P-1").expect("there");
    assert_eq!(
        (found.code.as_str(), found.version, found.is_excluded),
        ("FS20", 1, false)
    );
    assert_eq!(found.limits, "{\"total\":3}");
    let expected = PromotionUse {
        used: 2,
        spent_minor: 1_000,
        pledged: 0,
    };
    assert_eq!(found.used, expected);
    assert!(terms("P-2").expect("there").is_excluded);
    let versions = fresh.read(|tx| tx.promotion_versions(TENANT, "fs20"));
    assert_eq!(
        (versions.len(), versions[0].version, versions[0].made_at),
        (1, 1, NOW_MS)
    );
    let document = fresh.read(|tx| tx.promotion_document(TENANT, "fs20", 1));
    assert_eq!(document.as_deref(), Some("{\"reward\":{}}"));
}

pub(crate) async fn uses_must_add_up(fresh: Fresh) {
    granted(&fresh).await;
    redeem(&fresh, "01", "P-1").await;
    assert_eq!(rules(&fresh), [""; 0]);
    let days = fresh.read(|tx| tx.spent_by_day(TENANT));
    assert_eq!((days.len(), days[0].spent_minor), (1, 500));
    assert_eq!(fresh.read(|tx| tx.spent_in_periods(TENANT)).len(), 3);
    for (plant, mend, rule) in [
        (
            "UPDATE grants SET redeemed = 2 WHERE customer = 'P-1'",
            "UPDATE grants SET redeemed = 1 WHERE customer = 'P-1'",
            "redemptions_add_up",
        ),
        (
            "UPDATE grants SET spent = 1 WHERE customer = 'P-2'",
            "UPDATE grants SET spent = NULL WHERE customer = 'P-2'",
            "redemptions_add_up",
        ),
        (
            "UPDATE promotion_use SET spent_minor = 499 WHERE period = ''",
            "UPDATE promotion_use SET spent_minor = 500 WHERE period = ''",
            "use_adds_up",
        ),
        (
            "UPDATE promotion_use SET used = 0 WHERE period = ''",
            "UPDATE promotion_use SET used = 1 WHERE period = ''",
            "use_adds_up",
        ),
        (
            "INSERT INTO reversal (tenant, id, actor, reversed_at) VALUES (1, '09', 'cli', 1)",
            "DELETE FROM reversal",
            "reversal_refers",
        ),
        (
            "INSERT INTO kept_answer (tenant, id, actor, key, request, status, body)
             SELECT 1, '09', 'cli', 'k', secret_hash, 201, secret_hash FROM listener",
            "DELETE FROM kept_answer",
            "answers_stand",
        ),
    ] {
        if plant.contains("FROM listener") {
            let hash = fresh.tx(|tx| tx.insert_listener(TENANT, 13, 1, &[7; 32]));
            hash.await;
        }
        fresh.plant(plant);
        assert_eq!(rules(&fresh), [rule], "{plant}");
        fresh.plant(mend);
    }
    fresh
        .tx(|tx| tx.add_pledge(TENANT, &taking("02", "P-2", 0), NOW_MS + 1))
        .await;
    assert_eq!(rules(&fresh), ["pledges_agree", "use_adds_up"]);
    fresh.plant("UPDATE pledge SET state = 'confirmed'");
    assert_eq!(rules(&fresh), ["pledges_agree"]);
}
