use std::collections::HashSet;

use bestow_core::notification::{NotificationKey, Trigger, trigger_material};
use bestow_core::{CampaignId, ChannelId, CustomerId, Occurrence};
use proptest::prelude::*;

use crate::at;

fn campaign(text: &str) -> CampaignId {
    CampaignId::parse(text).expect("a campaign id")
}

#[test]
fn keys_by_example() {
    let deadline = at("2025-03-04T09:30:00Z");
    let channel = |id: Option<i64>| NotificationKey::ChannelExecuted {
        campaign: campaign("5101"),
        channel: id.map(ChannelId),
    };
    let stamp = || "2025-03-04 09:40".to_owned();
    let keys = [
        (
            NotificationKey::Executed {
                campaign: campaign("5101"),
            },
            "1:5101",
        ),
        (
            NotificationKey::CampaignsProcessed {
                time_stamp: stamp(),
            },
            "2:2025-03-04 09:40",
        ),
        (
            NotificationKey::DayComplete {
                time_stamp: stamp(),
            },
            "3:2025-03-04 09:40",
        ),
        (
            NotificationKey::Cancelled {
                campaign: campaign("5101"),
            },
            "4:5101",
        ),
        (
            NotificationKey::ClearanceAsked {
                campaign: campaign("5102"),
                deadline,
            },
            "5:2025-03-04T09:30:00Z:5102",
        ),
        (
            NotificationKey::Triggered {
                occurrence: Occurrence::parse("0af3").expect("a digest"),
            },
            "11:0af3",
        ),
        (channel(Some(504)), "13:504:5101"),
        (channel(None), "13:*:5101"),
        (
            NotificationKey::Unreadable {
                digest: "00ff".to_owned(),
            },
            "?:00ff",
        ),
    ];
    for (key, text) in &keys {
        assert_eq!(key.to_string(), *text);
    }
    let distinct: HashSet<_> = keys.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(distinct.len(), keys.len());
}

#[test]
fn spellings_of_one_thing_are_one_key() {
    let executed = |text: &str| NotificationKey::Executed {
        campaign: campaign(text),
    };
    assert_eq!(executed("05101").to_string(), executed("5101").to_string());
    assert_eq!(executed("RT-812"), executed("rt-812"));
    let asked = |deadline: &str| NotificationKey::ClearanceAsked {
        campaign: campaign("5102"),
        deadline: at(deadline),
    };
    assert_eq!(
        asked("2025-03-04T10:30:00+01:00"),
        asked("2025-03-04T09:30:00Z")
    );
    assert_ne!(asked("2025-03-04T09:31:00Z"), asked("2025-03-04T09:30:00Z"));
}

#[test]
fn triggers_differ_by_each_of_their_parts() {
    let (customer, other) = ("P-1", "P-2");
    let material = |customer: &str, id: &str, template: Option<&str>, time_stamp: &str| {
        trigger_material(Trigger {
            customer: &CustomerId::parse(customer).expect("a customer id"),
            campaign: &campaign(id),
            template,
            time_stamp,
        })
    };
    let all = [
        material(customer, "rt-1", Some("31"), "10:00"),
        material(other, "rt-1", Some("31"), "10:00"),
        material(customer, "rt-2", Some("31"), "10:00"),
        material(customer, "rt-1", Some("32"), "10:00"),
        material(customer, "rt-1", None, "10:00"),
        material(customer, "rt-1", Some("31"), "10:01"),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all[0], material(" P-1 ", "RT-1", Some("31"), " 10:00 "));
    assert_eq!(all[0], b"3:P-1;4:rt-1;2:31;5:10:00;");
    assert_eq!(all[4], b"3:P-1;4:rt-1;-;5:10:00;");
}

/// Customer, campaign, template and time stamp, made of few and awkward letters.
type Texts = (String, String, Option<String>, String);

fn any_trigger() -> impl Strategy<Value = Texts> {
    let template = prop::option::of("[ab1:;-]{0,4}");
    ("[ab1:;-]{1,4}", "[ab1:;-]{1,4}", template, "[ab1:;-]{0,4}")
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn different_keys_have_different_texts(
        one in ("[0-9a-c:*]{1,6}", prop::option::of(0_i64..20)),
        other in ("[0-9a-c:*]{1,6}", prop::option::of(0_i64..20)),
        kinds in (0_u8..3, 0_u8..3),
    ) {
        let key = |kind: u8, id: &str, channel: Option<i64>| match kind {
            0 => NotificationKey::Executed { campaign: campaign(id) },
            1 => NotificationKey::Cancelled { campaign: campaign(id) },
            _ => NotificationKey::ChannelExecuted {
                campaign: campaign(id),
                channel: channel.map(ChannelId),
            },
        };
        let (one, other) = (key(kinds.0, &one.0, one.1), key(kinds.1, &other.0, other.1));
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
    }

    #[test]
    fn no_two_triggers_share_their_material(
        one in any_trigger(),
        other in any_trigger(),
    ) {
        let parts = |(customer, id, template, stamp): &Texts| {
            let customer = CustomerId::parse(customer).expect("a customer id");
            let campaign = campaign(id);
            let trigger = Trigger {
                customer: &customer,
                campaign: &campaign,
                template: template.as_deref(),
                time_stamp: stamp,
            };
            let material = trigger_material(trigger);
            (material, (customer, campaign, template.clone(), stamp.trim().to_owned()))
        };
        let ((one, one_parts), (other, other_parts)) = (parts(&one), parts(&other));
        prop_assert_eq!(one == other, one_parts == other_parts);
    }
}
