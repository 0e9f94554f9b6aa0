//! Campaigns: seen once, read in versions, stopped by one row.

use bestow_core::CampaignKind;
use bestow_store::campaigns::{Campaign, NewDetails, SuspendedBy};

use crate::support::{Fresh, NOW_MS, TENANT};

async fn seen(fresh: &Fresh, id: &'static str) -> i64 {
    let (no, _) = fresh
        .tx(move |tx| tx.see_campaign(TENANT, id, "scheduled", "notification"))
        .await;
    no
}

fn kept(fresh: &Fresh, no: i64) -> Campaign {
    fresh
        .read(|tx| tx.campaign_by_no(TENANT, no))
        .expect("it is there")
}

pub(crate) async fn seen_twice_is_one(fresh: Fresh) {
    let first = fresh
        .tx(|tx| tx.see_campaign(TENANT, "5101", "scheduled", "notification"))
        .await;
    fresh.db.clock.advance(1_000);
    let again = fresh
        .tx(|tx| tx.see_campaign(TENANT, "5101", "conditional", "sweep"))
        .await;
    assert_eq!((first, again), ((1, true), (1, false)));
    let campaign = fresh
        .read(|tx| tx.campaign(TENANT, "5101"))
        .expect("it is there");
    assert_eq!(
        (campaign.kind.as_deref(), &*campaign.seen_by),
        (Some("scheduled"), "notification")
    );
    assert_eq!(campaign.first_seen_at, NOW_MS);
    assert_eq!(campaign, kept(&fresh, 1));
    assert_eq!(fresh.read(|tx| tx.campaign(TENANT, "5102")), None);
    assert_eq!(fresh.read(|tx| tx.campaign_by_no(TENANT, 2)), None);
}

pub(crate) async fn first_kind_stays(fresh: Fresh) {
    let (first, again) = fresh
        .tx(|tx| {
            let first = tx.see_cancelled(TENANT, "5101")?;
            Ok((first, tx.see_cancelled(TENANT, "5101")?))
        })
        .await;
    assert_eq!((first, again), ((1, true), (1, false)));
    assert_eq!(kept(&fresh, 1).kind, None);
    assert!(!kept(&fresh, 1).is(CampaignKind::Scheduled));
    for kind in ["conditional", "scheduled"] {
        let seen = fresh
            .tx(move |tx| tx.see_campaign(TENANT, "5101", kind, "sweep"))
            .await;
        assert_eq!(seen, (1, false));
        assert!(kept(&fresh, 1).is(CampaignKind::Conditional));
    }
    let cancelled = fresh.tx(|tx| tx.see_cancelled(TENANT, "5101")).await;
    assert_eq!(cancelled, (1, false));
    assert!(kept(&fresh, 1).is(CampaignKind::Conditional));
    assert_eq!(kept(&fresh, 1).seen_by, "notification");
}

pub(crate) async fn numbers_are_per_tenant(fresh: Fresh) {
    let numbers = fresh
        .tx(|tx| {
            let mut see = |tenant, id| tx.see_campaign(tenant, id, "scheduled", "sweep");
            Ok([
                see(1, "a")?.0,
                see(1, "b")?.0,
                see(2, "b")?.0,
                see(2, "a")?.0,
            ])
        })
        .await;
    assert_eq!(numbers, [1, 2, 1, 2]);
}

pub(crate) async fn details_have_versions(fresh: Fresh) {
    let no = seen(&fresh, "5101").await;
    assert_eq!(kept(&fresh, no).details_version, 0);
    let details = |document: &str, duration_days| NewDetails {
        duration_days,
        lead_time_days: Some(2),
        duration_source: "campaign".into(),
        expected_size: Some(100),
        channels: Some("[504]".into()),
        document: document.into(),
    };
    let mut versions = Vec::new();
    for new in [
        details("one", Some(7)),
        details("one", Some(8)),
        details("two", None),
        details("one", Some(9)),
    ] {
        fresh.tx(move |tx| tx.put_details(TENANT, no, &new)).await;
        let campaign = kept(&fresh, no);
        versions.push((campaign.details_version, campaign.duration_days));
    }
    assert_eq!(
        versions,
        [(1, Some(7)), (1, Some(8)), (2, None), (3, Some(9))]
    );
    assert_eq!(fresh.ask("SELECT COUNT(*) FROM campaign_details"), 3);
    let campaign = kept(&fresh, no);
    assert_eq!(
        (campaign.lead_time_days, campaign.expected_size),
        (Some(2), Some(100))
    );
    assert_eq!(campaign.details_channels.as_deref(), Some("[504]"));
    assert_eq!(campaign.duration_source.as_deref(), Some("campaign"));
}

pub(crate) async fn errors_are_noted(fresh: Fresh) {
    let no = seen(&fresh, "5101").await;
    fresh
        .tx(move |tx| tx.set_campaign_error(TENANT, no, Some("403 from Optimove")))
        .await;
    assert_eq!(
        kept(&fresh, no).last_error.as_deref(),
        Some("403 from Optimove")
    );
    fresh
        .tx(move |tx| {
            tx.approve_size(TENANT, no)?;
            tx.set_campaign_error(TENANT, no, None)
        })
        .await;
    let campaign = kept(&fresh, no);
    assert_eq!(
        (campaign.last_error, campaign.size_approved_at),
        (None, Some(NOW_MS))
    );
}

pub(crate) async fn suspension_can_be_lifted(fresh: Fresh) {
    let no = seen(&fresh, "5101").await;
    let other = seen(&fresh, "5102").await;
    assert!(
        fresh
            .tx(move |tx| tx.suspend_campaign(TENANT, no, SuspendedBy::Cancel, "event 4"))
            .await
    );
    fresh.db.clock.advance(1_000);
    assert!(
        !fresh
            .tx(move |tx| tx.suspend_campaign(TENANT, no, SuspendedBy::Cancel, "again"))
            .await
    );
    let campaign = kept(&fresh, no);
    assert_eq!(
        (campaign.suspended_at, campaign.stop_reason.as_deref()),
        (Some(NOW_MS), Some("event 4"))
    );
    assert_eq!(kept(&fresh, other).suspended_at, None);
    let lifted = fresh
        .tx(move |tx| {
            Ok([
                tx.lift_suspension(TENANT, no)?,
                tx.lift_suspension(TENANT, no)?,
            ])
        })
        .await;
    assert_eq!(lifted, [true, false]);
    let campaign = kept(&fresh, no);
    assert_eq!((campaign.suspended_at, campaign.stop_reason), (None, None));
}

pub(crate) async fn revocation_is_final(fresh: Fresh) {
    let no = seen(&fresh, "5101").await;
    let changed = fresh
        .tx(move |tx| {
            Ok([
                tx.suspend_campaign(TENANT, no, SuspendedBy::Cancel, "event 4")?,
                tx.revoke_campaign(TENANT, no, "confirmed")?,
                tx.revoke_campaign(TENANT, no, "again")?,
                tx.suspend_campaign(TENANT, no, SuspendedBy::Cancel, "late")?,
                tx.lift_suspension(TENANT, no)?,
            ])
        })
        .await;
    assert_eq!(changed, [true, true, false, false, false]);
    let campaign = kept(&fresh, no);
    assert_eq!(
        (campaign.suspended_at, campaign.revoked_at),
        (Some(NOW_MS), Some(NOW_MS))
    );
    assert_eq!(campaign.stop_reason.as_deref(), Some("confirmed"));
}

pub(crate) async fn counters_add_up(fresh: Fresh) {
    let no = seen(&fresh, "5101").await;
    let other = seen(&fresh, "5102").await;
    let counts = |tenant, campaign, counts: &'static [(&'static str, i64)]| {
        let counts: Vec<_> = counts
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect();
        fresh.tx(move |tx| tx.add_counts(tenant, campaign, &counts))
    };
    counts(
        TENANT,
        no,
        &[("pairs", 5), ("granted", 3), ("refused:x", 0)],
    )
    .await;
    counts(TENANT, no, &[("pairs", 2), ("granted", -1)]).await;
    counts(TENANT, other, &[("pairs", 9)]).await;
    counts(2, no, &[("pairs", 9)]).await;
    let kept = fresh.read(|tx| tx.counts(TENANT, no));
    assert_eq!(kept, [("granted".to_owned(), 2), ("pairs".to_owned(), 7)]);
}

pub(crate) async fn pages_by_number(fresh: Fresh) {
    for id in ["9", "5", "7"] {
        seen(&fresh, id).await;
    }
    let page = |after| {
        let found = fresh.read(|tx| tx.campaigns(TENANT, after, 2));
        found.into_iter().map(|c| c.id).collect::<Vec<_>>()
    };
    assert_eq!(
        (page(0), page(2)),
        (vec!["9".into(), "5".into()], vec!["7".to_owned()])
    );
}
