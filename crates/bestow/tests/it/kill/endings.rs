//! The daily list is read while the service is killed: each grant that it names ends once, and no other.

use bestow::random::Random;
use serde_json::{Value, json};

use super::{Home, Listeners, kill_at_random, ledger, set_up_with, silent_sandbox, verify};

const CUSTOMERS: u64 = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_days_list_survives_kills_at_random_moments() {
    let random = Random::seeded(152);
    let home = Home::new();
    let sandbox = silent_sandbox(8).await;
    let mut service = super::Service::start(&home);
    let rule = json!({"expiry": "ended_by_date", "scheduled_channels": [504]});
    set_up_with(&service, &sandbox, &rule).await;
    let listeners = Listeners::register(&service, &sandbox).await;
    let mut campaigns = Vec::new();
    // The list of today is a day early: it names the first campaign and not the second.
    for (place, days) in [1, 5].into_iter().enumerate() {
        let spec = json!({
            "tenant": "acme", "kind": "scheduled", "duration": days, "lead_time": 0,
            "audience": {"count": CUSTOMERS, "prefix": format!("E{place}-")},
            "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
        });
        let campaign = sandbox.add_campaign(spec).expect("a campaign");
        sandbox.process(campaign).expect("it runs");
        listeners
            .tell(&service, 13, campaign, &json!({"ChannelID": 504}))
            .await;
        campaigns.push(campaign);
    }
    service = kill_at_random(service, &home, &random, 0, async |service| {
        let mut done = true;
        for campaign in &campaigns {
            done &= service.campaign(*campaign).await["status"] == "running";
        }
        done
    })
    .await;
    sandbox
        .set_switches(&json!({"ended-offset-days": -1}))
        .expect("a switch");
    let path = listeners.path(3);
    let day_over = json!({"EventTypeID": 3, "TimeStamp": "2026-03-04 09:05"});
    service.ok(http::Method::POST, &path, &day_over).await;
    service = kill_at_random(service, &home, &random, 14, async |service| {
        service.campaign(campaigns[0]).await["status"] == "ended"
    })
    .await;
    let (mut ended, mut open) = (0, 0);
    for (campaign, is_over) in campaigns.into_iter().zip([true, false]) {
        for grant in ledger(&service, campaign).await {
            assert_eq!(grant.ends_with(" -"), !is_over, "{grant}");
            if is_over { ended += 1 } else { open += 1 }
        }
    }
    assert_eq!((ended, open), (CUSTOMERS, CUSTOMERS));
    assert_eq!(
        service.rows("/v1/tenants/acme/findings").await,
        [Value::Null; 0]
    );
    verify(service, &home);
    sandbox.stop().await;
}
