//! What Optimove tells.

use optimove::read::WireTime;
use optimove::wire::Notification;

use super::golden;

#[test]
fn scheduled_notifications() {
    for (name, event, campaign, channel) in [
        ("notifications/event-1.json", 1, Some("5101"), None),
        ("notifications/event-2.json", 2, None, None),
        ("notifications/event-3.json", 3, None, None),
        ("notifications/event-4.json", 4, Some("5103"), None),
        ("notifications/event-5.json", 5, Some("5102"), None),
        ("notifications/event-13.json", 13, Some("5101"), Some("504")),
        (
            "notifications/event-13.second-channel.json",
            13,
            Some("5101"),
            Some("505"),
        ),
        ("notifications/event-14.json", 14, Some("5101"), Some("504")),
    ] {
        let notification = Notification::parse(&golden(name)).unwrap();
        assert_eq!(notification.event_type, Some(event), "{name}");
        assert_eq!(notification.campaign_id.as_deref(), campaign, "{name}");
        assert_eq!(notification.channel_id.as_deref(), channel, "{name}");
        assert!(
            WireTime::parse(&notification.time_stamp.unwrap()).is_ok(),
            "{name}"
        );
    }
    let hold = Notification::parse(&golden("notifications/event-5.json")).unwrap();
    let deadline = WireTime::parse(&hold.clearance_required_by.unwrap()).unwrap();
    assert_eq!(
        deadline,
        WireTime::Local(jiff::civil::date(2025, 3, 4).at(9, 30, 0, 0))
    );
}

#[test]
fn triggered_notifications() {
    for (name, customer, campaign, codes, notes) in [
        (
            "notifications/event-11.camel.json",
            "P-20031",
            "rt-812",
            &["FS20", "CB10"][..],
            Some("{\"duration\":7}"),
        ),
        (
            "notifications/event-11.pascal.json",
            "P-20044",
            "rt-812",
            &["FS20"],
            Some(""),
        ),
        (
            "notifications/event-11.csv-promo.json",
            "00731",
            "90121",
            &["FS20,CB10"],
            Some("reload for regulars"),
        ),
        (
            "notifications/event-11.json-array-in-string.json",
            "C234638",
            "90121",
            &["FS20", "CB10"],
            None,
        ),
    ] {
        let notification = Notification::parse(&golden(name)).unwrap();
        assert_eq!(notification.event_type, Some(11), "{name}");
        assert_eq!(
            notification.customer_id.as_deref(),
            Some(customer),
            "{name}"
        );
        assert_eq!(
            notification.campaign_id.as_deref(),
            Some(campaign),
            "{name}"
        );
        assert_eq!(notification.template_id.as_deref(), Some("31"), "{name}");
        assert_eq!(
            notification.promo_codes.texts().collect::<Vec<_>>(),
            codes,
            "{name}"
        );
        assert_eq!(notification.notes.as_deref(), notes, "{name}");
        assert_eq!(notification.is_visitor, None, "{name}");
    }
    let camel = Notification::parse(&golden("notifications/event-11.camel.json")).unwrap();
    let attributes: Vec<_> = camel
        .attributes
        .iter()
        .map(|attribute| (attribute.name.as_str(), attribute.json.as_str()))
        .collect();
    let expected = [
        ("event_deposit_amount", "50"),
        ("event_device_type", "\"mobile\""),
        ("FIRST_NAME", "\"Ada\""),
    ];
    assert_eq!(attributes, expected);
}
