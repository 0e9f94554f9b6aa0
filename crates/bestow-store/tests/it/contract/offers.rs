//! Offers and windows: numbers that make the ledger's rows narrow.

use bestow_store::Error;
use bestow_store::campaigns::{HeldOffer, WindowSpec};

use crate::contract::catalogue::promotion;
use crate::support::{Fresh, NOW_MS, TENANT, WINDOW, at_once};

async fn campaign(fresh: &Fresh, tenant: i64, id: &'static str) -> i64 {
    let (no, _) = fresh
        .tx(move |tx| tx.see_campaign(tenant, id, "scheduled", "sweep"))
        .await;
    no
}

pub(crate) async fn offer_is_made_once(fresh: Fresh) {
    let no = campaign(&fresh, TENANT, "5101").await;
    let (first, again) = fresh
        .tx(move |tx| {
            let first = tx.offer_for(TENANT, no, "fs20", "FS20", None)?;
            Ok((first, tx.offer_for(TENANT, no, "fs20", "fs20", None)?))
        })
        .await;
    assert_eq!(first, again);
    assert_eq!(
        (first.no, &*first.code_fold, &*first.code),
        (1, "fs20", "FS20")
    );
    assert_eq!(fresh.read(|tx| tx.offers(TENANT, no)), [first]);
}

pub(crate) async fn the_newest_campaigns_of_a_code_come_first(fresh: Fresh) {
    let first = campaign(&fresh, TENANT, "5101").await;
    let second = campaign(&fresh, TENANT, "5102").await;
    let theirs = campaign(&fresh, 2, "5101").await;
    fresh
        .tx(move |tx| {
            for (tenant, campaign, code) in [
                (TENANT, first, "fs20"),
                (TENANT, second, "fs20"),
                (TENANT, second, "cb10"),
                (2, theirs, "fs20"),
            ] {
                tx.offer_for(tenant, campaign, code, code, None)?;
            }
            Ok(())
        })
        .await;
    let of = |code: &'static str, limit| {
        let found = fresh.read(|tx| tx.offers_of_code(TENANT, code, limit));
        found
            .into_iter()
            .map(|(campaign, _)| campaign)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("fs20", 9), [second, first]);
    assert_eq!(of("fs20", 1), [second]);
    assert_eq!(of("nobody", 9), []);
}

pub(crate) async fn offer_numbers_run_through_a_tenant(fresh: Fresh) {
    let first = campaign(&fresh, TENANT, "5101").await;
    let second = campaign(&fresh, TENANT, "5102").await;
    let theirs = campaign(&fresh, 2, "5101").await;
    let numbers = fresh
        .tx(move |tx| {
            let mut offer = |tenant, campaign, code| {
                tx.offer_for(tenant, campaign, code, code, None)
                    .map(|offer| offer.no)
            };
            Ok([
                offer(TENANT, first, "a")?,
                offer(TENANT, second, "a")?,
                offer(2, theirs, "a")?,
                offer(TENANT, first, "b")?,
            ])
        })
        .await;
    assert_eq!(numbers, [1, 2, 1, 3]);
    let facts = fresh
        .read(|tx| tx.offer_facts(TENANT, 2))
        .expect("it is there");
    assert_eq!((facts.campaign, &*facts.code_fold), (second, "a"));
    assert_eq!(fresh.read(|tx| tx.offer_facts(2, 2)), None);
}

pub(crate) async fn offer_holds_until_let(fresh: Fresh) {
    let no = campaign(&fresh, TENANT, "5101").await;
    let held = fresh
        .tx(move |tx| {
            let mut offer = |code, reason| {
                let made = tx.offer_for(TENANT, no, code, code, reason)?;
                Ok::<_, Error>(made.hold_reason)
            };
            // The first reason stays, until the offer is let grant.
            let made = [
                offer("draft", Some("not_active"))?,
                offer("unknown", Some("unknown_code"))?,
                offer("good", None)?,
                offer("draft", None)?,
            ];
            tx.put_promotion(TENANT, &promotion("DRAFT"))?;
            tx.put_promotion(TENANT, &promotion("GOOD"))?;
            tx.put_promotion(2, &promotion("UNKNOWN"))?;
            Ok(made)
        })
        .await;
    let reason = |text: &str| Some(text.to_owned());
    assert_eq!(
        held,
        [
            reason("not_active"),
            reason("unknown_code"),
            None,
            reason("not_active")
        ]
    );
    let known = || fresh.read(|tx| tx.held_offers(TENANT, no));
    let draft = HeldOffer {
        no: 1,
        hold_reason: "not_active".into(),
        promotion_status: "active".into(),
    };
    assert_eq!(known(), [draft]);
    fresh.tx(|tx| tx.let_offer_grant(TENANT, 1)).await;
    assert_eq!(known(), []);
    let offers = fresh.read(|tx| tx.offers(TENANT, no));
    let held: Vec<_> = offers.into_iter().map(|offer| offer.hold_reason).collect();
    assert_eq!(held, [None, reason("unknown_code"), None]);
}

pub(crate) async fn window_is_made_once(fresh: Fresh) {
    let no = campaign(&fresh, TENANT, "5101").await;
    let other = campaign(&fresh, TENANT, "5102").await;
    let endless = WindowSpec {
        ends_at: None,
        ..WINDOW
    };
    let (numbers, specs) = fresh
        .tx(move |tx| {
            let mut window = |campaign, spec| tx.window_for(TENANT, campaign, &spec);
            let numbers = [
                window(no, WINDOW)?,
                window(no, endless)?,
                window(no, WINDOW)?,
                window(no, endless)?,
                window(
                    no,
                    WindowSpec {
                        action: 25,
                        ..WINDOW
                    },
                )?,
                window(
                    no,
                    WindowSpec {
                        channel: 0,
                        ..WINDOW
                    },
                )?,
                window(other, WINDOW)?,
            ];
            Ok((numbers, tx.windows(TENANT, no)?))
        })
        .await;
    assert_eq!(numbers, [1, 2, 1, 2, 3, 4, 5]);
    assert_eq!(specs[..2], [(1, WINDOW), (2, endless)]);
    assert_eq!(fresh.read(|tx| tx.window_facts(TENANT, 2)), Some(endless));
    assert_eq!(fresh.read(|tx| tx.window_facts(2, 2)), None);
}

pub(crate) async fn windows_end_never_moves_back(fresh: Fresh) {
    let no = campaign(&fresh, TENANT, "5101").await;
    let ends = [Some(NOW_MS + 2), Some(NOW_MS + 1), None, Some(NOW_MS + 3)];
    let mut latest = Vec::new();
    for ends_at in ends {
        latest.push(
            fresh
                .tx(move |tx| {
                    tx.window_for(TENANT, no, &WindowSpec { ends_at, ..WINDOW })?;
                    Ok(tx
                        .campaign_by_no(TENANT, no)?
                        .and_then(|c| c.windows_end_at))
                })
                .await,
        );
    }
    let endless = Some(i64::MAX);
    assert_eq!(
        latest,
        [Some(NOW_MS + 2), Some(NOW_MS + 2), endless, endless]
    );
}

pub(crate) async fn numbers_have_no_gap_under_contention(fresh: Fresh) {
    let no = campaign(&fresh, TENANT, "5101").await;
    let store = fresh.store().clone();
    // Each code and window is asked for four times.
    let mut numbers = at_once(64, |place| {
        let store = store.clone();
        Box::pin(async move {
            let (code, starts_at) = (format!("code{}", place / 4), NOW_MS - (place / 4) as i64);
            store
                .tx::<_, Error, _>("number", move |tx| {
                    let spec = WindowSpec {
                        starts_at,
                        ..WINDOW
                    };
                    let window = tx.window_for(TENANT, no, &spec)?;
                    Ok((tx.offer_for(TENANT, no, &code, &code, None)?.no, window))
                })
                .await
                .expect("numbered")
        })
    })
    .await;
    numbers.sort_unstable();
    numbers.dedup();
    let (mut offers, mut windows): (Vec<_>, Vec<_>) = numbers.into_iter().unzip();
    offers.sort_unstable();
    windows.sort_unstable();
    let dense: Vec<u32> = (1..=16).collect();
    assert_eq!((offers, windows), (dense.clone(), dense));
}
