//! What of a trigger reaches the disk, and what never does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{counts, grants, tell, trigger, triggered};
use crate::faults::inbox;

#[tokio::test]
async fn what_is_no_trigger_is_held_and_nothing_of_it_is_kept() {
    let world = triggered(&json!({})).await;
    let secret = "Ada-Lovelace-1815";
    let at = "2027-03-25 05:00:00";
    let bodies = [
        (json!([secret]), "unreadable_body"),
        (
            trigger(
                "P-1",
                at,
                &json!({"customerid": "P-2", "FIRST_NAME": secret}),
            ),
            "unreadable_body",
        ),
        (
            trigger("P-1", at, &json!({"eventTypeID": 13, "FIRST_NAME": secret})),
            "event_type_mismatch",
        ),
        (
            trigger(
                "P-1",
                at,
                &json!({"campaignID": null, "FIRST_NAME": secret}),
            ),
            "no_campaign_id",
        ),
        (
            trigger(" ", at, &json!({"FIRST_NAME": secret})),
            "bad_customer_id",
        ),
        (
            trigger("P-1", at, &json!({"channelID": secret})),
            "unreadable_body",
        ),
    ];
    for (body, reason) in bodies {
        world.app.clock.advance(1);
        tell(&world, &body).await;
        let before = inbox(&world).await;
        let last = before.last().expect("it is there");
        assert_eq!(
            (&last["status"], &last["reason"]),
            (&json!("held"), &json!(reason))
        );
        // Played again it is held for the same reason.
        let path = format!(
            "/v1/tenants/acme/notifications/{}/replay",
            last["id"].as_str().unwrap()
        );
        world.post(&path, &Value::Null).await;
        world.settle().await;
        assert_eq!(before.last(), inbox(&world).await.last());
    }
    assert!(!world.home.holds(secret));
    assert_eq!(counts(&world, "rt-812"), BTreeMap::new());
}

#[tokio::test]
async fn only_fields_on_the_list_reach_the_disk() {
    let keep = json!({"triggered": {"keep_fields": ["Event_Device_Type", "loyalty", "CITY"]}});
    let world = triggered(&keep).await;
    let attributes = json!({
        "FIRST_NAME": "Ada-Lovelace-1815", "event_device_type": "mobile-phone-9",
        "notes": "{\"duration\":7,\"for\":\"Ada-from-notes\"}",
        "eventParameters": {"loyalty": 9_007_199_254_740_993_u64, "iban": "PT50-secret"},
        "PersonalizationTags": {"city": "Sintra-42", "email": "ada@example.test"},
        "someObject": {"city": "Porto-43"},
    });
    tell(&world, &trigger("P-1", "2027-03-25 05:00:00", &attributes)).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    for dropped in [
        "Ada-Lovelace-1815",
        "Ada-from-notes",
        "PT50-secret",
        "ada@example.test",
        "Porto-43",
    ] {
        assert!(!world.home.holds(dropped), "{dropped}");
    }
    for kept in ["mobile-phone-9", "9007199254740993", "Sintra-42"] {
        assert!(world.home.holds(kept), "{kept}");
    }
}
