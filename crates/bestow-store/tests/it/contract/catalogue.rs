//! Promotions, and what of the campaigns depends on them.

use bestow_store::campaigns::SuspendedBy;
use bestow_store::promotions::Promotion;

use crate::support::{Fresh, NOW_MS, TENANT};

pub(crate) fn promotion(code: &str) -> Promotion {
    Promotion {
        code_fold: code.to_lowercase(),
        code: code.into(),
        name: "Free shipping".into(),
        status: "active".into(),
        kind: "shared".into(),
        reward: "{}".into(),
        limits: "{}".into(),
        metadata: "{}".into(),
        version: 0,
        created_at: 0,
        updated_at: 0,
        synced_name: None,
        fallback_code: None,
        validity_days: None,
        resumes_as: None,
        stop_reason: None,
    }
}

async fn put(fresh: &Fresh, new: Promotion) -> Promotion {
    fresh.tx(move |tx| tx.put_promotion(TENANT, &new)).await
}

pub(crate) async fn first_spelling_stays(fresh: Fresh) {
    let first = put(&fresh, promotion("FS20")).await;
    assert_eq!(
        (first.version, first.created_at, first.updated_at),
        (1, NOW_MS, NOW_MS)
    );
    fresh.db.clock.advance(1_000);
    let changed = Promotion {
        name: "Free shipping over 20".into(),
        status: "paused".into(),
        kind: "unique".into(),
        reward: r#"{"r":1}"#.into(),
        limits: r#"{"l":1}"#.into(),
        metadata: r#"{"m":1}"#.into(),
        ..promotion("Fs20")
    };
    let second = put(&fresh, changed.clone()).await;
    let expected = Promotion {
        code: "FS20".into(),
        version: 2,
        created_at: NOW_MS,
        updated_at: NOW_MS + 1_000,
        ..changed
    };
    assert_eq!(second, expected);
    assert_eq!(
        fresh.read(|tx| tx.promotion(TENANT, "fs20")),
        Some(expected)
    );
    assert_eq!(fresh.read(|tx| tx.promotion(TENANT, "FS20")), None);
    assert_eq!(fresh.read(|tx| tx.promotion(2, "fs20")), None);
}

pub(crate) async fn pages_by_code(fresh: Fresh) {
    for code in ["C", "A", "B"] {
        put(&fresh, promotion(code)).await;
    }
    let page = |after: &'static str| {
        let found = fresh.read(|tx| tx.promotions(TENANT, after, 2));
        found.into_iter().map(|p| p.code).collect::<Vec<_>>()
    };
    assert_eq!(
        (page(""), page("b")),
        (vec!["A".into(), "B".into()], vec!["C".to_owned()])
    );
    let mut codes = fresh.read(|tx| tx.known_codes(TENANT));
    codes.sort();
    assert_eq!(codes, ["a", "b", "c"]);
    assert!(fresh.read(|tx| tx.known_codes(2)).is_empty());
}

pub(crate) async fn synced_name_survives_changes(fresh: Fresh) {
    put(&fresh, promotion("FS20")).await;
    fresh
        .tx(|tx| tx.set_synced_name(TENANT, "fs20", Some("Free")))
        .await;
    assert_eq!(
        put(&fresh, promotion("FS20")).await.synced_name.as_deref(),
        Some("Free")
    );
    fresh
        .tx(|tx| tx.set_synced_name(TENANT, "fs20", None))
        .await;
    assert_eq!(put(&fresh, promotion("FS20")).await.synced_name, None);
}

pub(crate) async fn unknown_codes_hold_their_campaigns(fresh: Fresh) {
    let (first, second, offer) = fresh
        .tx(|tx| {
            let unknown = Some("unknown_code");
            let (first, _) = tx.see_campaign(TENANT, "1", "scheduled", "sweep")?;
            let (second, _) = tx.see_campaign(TENANT, "2", "scheduled", "sweep")?;
            let offer = tx.offer_for(TENANT, first, "fs20", "FS20", unknown)?.no;
            tx.offer_for(TENANT, second, "fs20", "FS20", unknown)?;
            tx.offer_for(TENANT, second, "other", "OTHER", unknown)?;
            Ok((first, second, offer))
        })
        .await;
    let holding = || {
        let mut found = fresh.read(|tx| tx.campaigns_holding(TENANT, "fs20"));
        found.sort_unstable();
        found
    };
    assert_eq!(holding(), [first, second]);
    fresh.tx(move |tx| tx.let_offer_grant(TENANT, offer)).await;
    assert_eq!(holding(), [second]);
}

pub(crate) async fn added_there_comes_and_goes(fresh: Fresh) {
    for code in ["A", "B"] {
        put(&fresh, promotion(code)).await;
    }
    fresh
        .tx(|tx| {
            tx.set_synced_name(TENANT, "a", Some("Theirs"))?;
            tx.promotion_added_there(TENANT, "a")
        })
        .await;
    let there = || fresh.read(|tx| tx.codes_added_there(TENANT));
    assert_eq!(there(), ["a"]);
    // Whether it arrived is not known, and it stays ours whatever becomes of the promotion.
    assert_eq!(put(&fresh, promotion("A")).await.synced_name, None);
    assert_eq!(there(), ["a"]);
    assert!(fresh.read(|tx| tx.codes_added_there(2)).is_empty());
    fresh
        .tx(|tx| {
            tx.set_synced_name(TENANT, "a", Some("Ours"))?;
            tx.promotion_not_there(TENANT, "a")
        })
        .await;
    assert!(there().is_empty());
    assert_eq!(put(&fresh, promotion("A")).await.synced_name, None);
}

pub(crate) async fn unread_campaigns(fresh: Fresh) {
    fresh
        .tx(|tx| {
            let mut see = |id: &str, kind: &str| tx.see_campaign(TENANT, id, kind, "sweep");
            see("announced", "scheduled")?;
            see("by trigger", "triggered")?;
            let (wanted, _) = see("wanted", "scheduled")?;
            let (stopped, _) = see("stopped", "scheduled")?;
            let (revoked, _) = see("revoked", "scheduled")?;
            tx.want_import(TENANT, wanted, 504)?;
            tx.suspend_campaign(TENANT, stopped, SuspendedBy::Cancel, "cancelled")?;
            tx.revoke_campaign(TENANT, revoked, "cancelled")
        })
        .await;
    assert_eq!(
        fresh.read(|tx| tx.campaigns_unread(TENANT, 10)),
        ["announced", "wanted"]
    );
    assert_eq!(
        fresh.read(|tx| tx.campaigns_unread(TENANT, 1)),
        ["announced"]
    );
    fresh.plant("UPDATE import SET state = 'done'");
    assert_eq!(
        fresh.read(|tx| tx.campaigns_unread(TENANT, 10)),
        ["announced"]
    );
    fresh.plant("UPDATE import SET state = 'held'");
    assert_eq!(fresh.read(|tx| tx.campaigns_unread(TENANT, 10)).len(), 2);
}
