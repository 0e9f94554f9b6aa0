//! What a person stopped, as whoever grants sees it.

use bestow_store::campaigns::SuspendedBy;
use bestow_store::promotions::Promotion;
use bestow_store::stops::Stop;

use super::catalogue::promotion;
use super::tenants::ACME;
use crate::support::{Fresh, TENANT};

pub(crate) async fn each_stops_by_itself(fresh: Fresh) {
    let (granting, holding) = fresh
        .tx(|tx| {
            tx.insert_tenant(&ACME)?;
            for code in ["FS20", "CB10"] {
                tx.put_promotion(TENANT, &promotion(code))?;
            }
            let (granting, _) = tx.see_campaign(TENANT, "1", "scheduled", "sweep")?;
            tx.offer_for(TENANT, granting, "fs20", "FS20", None)?;
            let (holding, _) = tx.see_campaign(TENANT, "2", "scheduled", "sweep")?;
            tx.offer_for(TENANT, holding, "cb10", "CB10", None)?;
            tx.offer_for(TENANT, holding, "fs20", "FS20", Some("promotion_stopped"))?;
            Ok((granting, holding))
        })
        .await;
    let stops = |fresh: &Fresh| {
        fresh.read(|tx| Ok([tx.stop_of(TENANT, granting)?, tx.stop_of(TENANT, holding)?]))
    };
    assert_eq!(stops(&fresh), [None, None]);
    let put = |status: &str, resumes_as: Option<&str>| Promotion {
        status: status.into(),
        resumes_as: resumes_as.map(str::to_owned),
        ..promotion("FS20")
    };
    let stopped = put("stopped", Some("active"));
    fresh.tx(move |tx| tx.put_promotion(TENANT, &stopped)).await;
    // What is held for it already is not granted, and the other code is.
    assert_eq!(stops(&fresh), [Some(Stop::Promotion), None]);
    let going = put("active", None);
    fresh.tx(move |tx| tx.put_promotion(TENANT, &going)).await;
    for (by, stop) in [
        (SuspendedBy::Cancel, None),
        (SuspendedBy::Operator, Some(Stop::Campaign)),
    ] {
        fresh
            .tx(move |tx| tx.suspend_campaign(TENANT, holding, by, "why"))
            .await;
        assert_eq!(stops(&fresh), [None, stop]);
    }
    // Of one that is taken back nothing waits any more.
    fresh
        .tx(move |tx| tx.revoke_campaign(TENANT, holding, "why"))
        .await;
    assert_eq!(stops(&fresh), [None, None]);
    fresh
        .tx(|tx| tx.set_tenant_suspended(TENANT, Some(1)))
        .await;
    assert_eq!(stops(&fresh), [Some(Stop::Tenant); 2]);
}
