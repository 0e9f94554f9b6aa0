//! Every body under `golden/` has the reading that the contract gives it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use optimove::read::{Codes, Days, ReadError, WireTime, read_list, read_object};
use optimove::wire::{
    Answer, CampaignDetails, ExecutedCampaign, ExecutionChannel, GatewayRegistration, GatewayReply,
    GatewayRequest, Login, Notification, Page, PromoCodeRow, Promotion, PromotionCode,
    PromotionStatusReport, RegisterEventListener, RegisteredListener, UnregisterEventListener,
    error_message, read_campaign_ids, read_deleted_codes, read_token,
};
use serde::Serialize;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let mut body = std::fs::read(folder().join(name)).unwrap();
    // A JSON file ends in a newline that is not part of the body.
    if Path::new(name).extension().is_some_and(|end| end == "json") && body.last() == Some(&b'\n') {
        body.pop();
    }
    body
}

/// Writing gives the body again, apart from white space.
fn assert_writes(value: &impl Serialize, name: &str) {
    let written: serde_json::Value =
        serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&golden(name)).unwrap();
    assert_eq!(written, expected, "{name}");
}

/// Customer and codes of each row, the codes split on commas as the catalogue has none with one.
fn pairs(name: &str) -> Vec<(String, Vec<String>)> {
    let mut pairs = Vec::new();
    let page = Page::parse(golden(name)).unwrap();
    page.for_each(|row| {
        let customer = row.customer_id.clone().unwrap().into_owned();
        let split = |text: &str| -> Vec<String> {
            text.split(',').map(|code| code.trim().to_owned()).collect()
        };
        pairs.push((customer, row.promo_code.texts().flat_map(split).collect()));
    })
    .unwrap();
    assert_eq!(pairs.len(), page.len());
    pairs
}

fn owned(rows: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let own = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
    rows.iter()
        .map(|(customer, codes)| ((*customer).to_owned(), own(codes)))
        .collect()
}

#[test]
fn every_file_is_read_by_a_test() {
    let here = include_str!("golden.rs");
    let mut unread = BTreeSet::new();
    for area in ["requests", "responses", "notifications", "gateway"] {
        for entry in std::fs::read_dir(folder().join(area)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let name = format!("{area}/{file}");
            // Nearby this line there is no name, so each one found stands in a test.
            if !here.contains(&format!("\"{name}\"")) {
                unread.insert(name);
            }
        }
    }
    assert_eq!(unread, BTreeSet::new());
}

#[test]
fn login_requests() {
    for name in ["requests/login.json", "requests/login.other-spelling.json"] {
        let login = Login::read(&golden(name)).unwrap();
        assert_eq!(
            (login.user_name.as_str(), login.password.expose()),
            ("acme", "acme-password")
        );
        assert_writes(&login, "requests/login.json");
    }
}

#[test]
fn request_lines() {
    let body = golden("requests/request-lines.json");
    let lines = read_list(std::str::from_utf8(&body).unwrap()).unwrap();
    assert_eq!(lines.len(), 17);
    for line in lines {
        let line = read_object(line.json()).unwrap();
        assert!(line.required_id("method").is_ok() && line.required_id("target").is_ok());
        assert!(matches!(
            line.integer("status").unwrap(),
            Some(200 | 400 | 401 | 405)
        ));
    }
}

#[test]
fn catalogue_requests() {
    let promotions = Promotion::read_list(&golden("requests/add-promotions.json")).unwrap();
    let codes: Vec<&str> = promotions
        .iter()
        .map(|promotion| promotion.code.as_str())
        .collect();
    assert_eq!(codes, ["FS20", "CB10", "ÉTÉ10"]);
    assert_eq!(promotions[2].name, "Été: 10 €");
    assert_writes(&promotions, "requests/add-promotions.json");

    let name = "requests/add-promotions.numeric-code.json";
    assert_eq!(Promotion::read_list(&golden(name)).unwrap()[0].code, "2025");

    let name = "requests/delete-promotions.json";
    let codes = read_deleted_codes(&golden(name)).unwrap();
    assert_eq!(codes, ["CB10", "never-existed"]);
    let entries: Vec<_> = codes.iter().map(|code| PromotionCode { code }).collect();
    assert_writes(&entries, name);
}

#[test]
fn listener_requests() {
    let name = "requests/register-event-listener.json";
    let listener = RegisterEventListener::read(&golden(name)).unwrap();
    assert_eq!((listener.event_type, listener.channel_id), (13, Some(504)));
    assert_writes(&listener, name);

    let name = "requests/register-event-listener.event5-with-channel.json";
    let listener = RegisterEventListener::read(&golden(name)).unwrap();
    assert_eq!((listener.event_type, listener.channel_id), (5, Some(504)));
    assert_writes(&listener, name);

    let name = "requests/register-event-listener.percent-encoded.json";
    let listener = RegisterEventListener::read(&golden(name)).unwrap();
    let url = "https://promo.example.test/optimove/listener/example-secret-4?brand=blue&country=pt";
    assert_eq!(listener.listener_url.expose(), url);
    assert_eq!((listener.event_type, listener.channel_id), (4, None));

    let name = "requests/unregister-event-listener.json";
    let listener = UnregisterEventListener::read(&golden(name)).unwrap();
    assert_eq!((listener.event_type, listener.channel_id), (13, None));
    assert_writes(&listener, name);
}

#[test]
fn status_reports() {
    let name = "requests/update-customer-promotion-status.json";
    let report = PromotionStatusReport::read(&golden(name)).unwrap();
    let decisions: Vec<_> = report
        .decisions
        .iter()
        .map(|entry| (entry.customer_id.as_str(), entry.approved))
        .collect();
    assert_eq!(
        decisions,
        [("P-20031", true), ("P-20044", false), ("00731", true)]
    );
    assert_eq!(report.time_stamp.as_deref(), Some("2025-03-04 09:20:00"));
    assert_writes(&report, name);

    let name = "requests/update-customer-promotion-status.observed.json";
    let report = PromotionStatusReport::read(&golden(name)).unwrap();
    assert_eq!(
        (report.time_stamp, report.campaign_id.as_str()),
        (None, "5102")
    );
    assert_eq!(report.decisions[0].customer_id, "P-20044");
}

#[test]
fn campaign_details() {
    let name = "responses/campaign-details.documented.json";
    let details = CampaignDetails::read(&golden(name)).unwrap();
    assert_eq!(
        (details.duration, details.lead_time),
        (Days::Whole(7), Days::Whole(3))
    );
    assert_eq!(
        (details.is_multi_channel, details.is_recurrence),
        (Some(false), Some(true))
    );
    assert_eq!((details.channels, details.campaign_id), (vec![], None));
    assert_eq!(details.status.as_deref(), Some("Successful"));

    let name = "responses/campaign-details.observed.json";
    let details = CampaignDetails::read(&golden(name)).unwrap();
    assert_eq!(
        (details.duration, details.lead_time),
        (Days::Whole(7), Days::Whole(0))
    );
    assert_eq!(
        (details.is_multi_channel, details.is_recurrence),
        (Some(true), Some(false))
    );
    let channels: Vec<_> = details.channels.iter().map(|channel| channel.id).collect();
    assert_eq!(channels, [Some(504), Some(505)]);
    assert_eq!(
        (details.test_group_size, details.control_group_size),
        (Some(1800), Some(200))
    );
    assert_eq!(
        (details.status, details.tags),
        (None, vec!["reload".into(), "spring".into()])
    );
}

#[test]
fn executed_campaigns() {
    let name = "responses/executed-campaign-details.json";
    let campaigns = ExecutedCampaign::read_list(&golden(name)).unwrap();
    let facts: Vec<_> = campaigns
        .iter()
        .map(|row| {
            (
                row.campaign_id.as_str(),
                row.details.status.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(facts, [("5101", "Successful"), ("5104", "Failed")]);
    assert_eq!(
        campaigns[1].details.error.as_deref(),
        Some("template missing")
    );

    for name in [
        "responses/executed-campaigns-by-channel.documented.json",
        "responses/executed-campaigns-by-channel.observed.json",
    ] {
        assert_eq!(read_campaign_ids(&golden(name)).unwrap(), ["5101", "5102"]);
    }
    for name in [
        "responses/execution-channels.documented.json",
        "responses/execution-channels.observed.json",
    ] {
        let channels = ExecutionChannel::read_list(&golden(name)).unwrap();
        let ids: Vec<_> = channels.iter().map(|channel| channel.channel_id).collect();
        assert_eq!(ids, [15, 504, 505]);
    }
}

#[test]
fn promo_codes_by_campaign() {
    let name = "responses/promo-codes-by-campaign.json";
    let rows = PromoCodeRow::read_list(&golden(name)).unwrap();
    let facts: Vec<_> = rows
        .into_iter()
        .map(|row| (row.action_id, row.promo_code))
        .collect();
    let one = |code: &'static str| Codes::One(code.into());
    let expected = [
        (Some(24), one("FS20")),
        (Some(24), one("CB10")),
        (Some(65), Codes::None),
    ];
    assert_eq!(facts, expected);
}

#[test]
fn execution_details() {
    let name = "responses/execution-details.page.json";
    let expected: &[(&str, &[&str])] = &[
        ("P-20031", &["FS20", "CB10"]),
        ("00731", &["FS20"]),
        ("731", &["FS20"]),
        ("P-20044", &[]),
        ("Ødegård-9", &["ÉTÉ10"]),
        ("C234638", &["CB10", "FS20"]),
        ("9007199254740993", &["FS20"]),
    ];
    assert_eq!(pairs(name), owned(expected));
    let rows = Page::parse(golden(name)).unwrap().rows().unwrap();
    assert!(rows.iter().all(|row| row.channel_id == Some(504)));
    assert_eq!(
        (rows[2].action_id, rows[2].template_id.as_deref()),
        (Some(24), Some("520"))
    );
    assert_eq!(
        rows[5].schedule_time.as_deref(),
        Some("2025-03-04 16:00:00")
    );
    assert_eq!(rows[4].template_name.as_deref(), Some("Été FR"));

    let expected: &[(&str, &[&str])] = &[("P-20031", &["FS20", "CB10"]), ("P-20050", &["FS20"])];
    assert_eq!(
        pairs("responses/execution-details.second-channel.json"),
        owned(expected)
    );

    let name = "responses/execution-details.observed.json";
    let expected: &[(&str, &[&str])] = &[("P-20031", &["FS20", "CB10"]), ("A1342", &["CB10"])];
    assert_eq!(pairs(name), owned(expected));
    let rows = Page::parse(golden(name)).unwrap().rows().unwrap();
    assert_eq!(
        (rows[0].action_id, rows[0].template_id.as_deref()),
        (None, Some("520"))
    );
}

#[test]
fn processed_and_cancelled_customers() {
    let expected: &[(&str, &[&str])] = &[
        ("P-20031", &["FS20"]),
        ("P-20044", &["FS20", "CB10"]),
        ("00731", &[]),
    ];
    assert_eq!(
        pairs("responses/processed-campaign-customers.json"),
        owned(expected)
    );
    assert_eq!(
        pairs("responses/cancelled-customers.documented.json"),
        owned(&expected[..2])
    );
    assert_eq!(
        pairs("responses/cancelled-customers.observed.json"),
        owned(expected)
    );

    let name = "responses/cancelled-customers.malformed.json";
    let refused = Page::parse(golden(name)).unwrap_err();
    assert!(
        matches!(refused.source, ReadError::NotJson { line: 3, .. }),
        "{refused:?}"
    );
}

#[test]
fn ended_actions() {
    let page = Page::parse(golden("responses/ended-by-date.json")).unwrap();
    let mut ended = Vec::new();
    page.for_each_ended(|row| {
        let date = WireTime::parse(row.date.as_deref().unwrap()).unwrap();
        ended.push((
            row.customer_id.unwrap().into_owned(),
            row.action_id.unwrap(),
            row.channel_id.unwrap(),
            date,
            row.duration,
        ));
    })
    .unwrap();
    let day = |day| WireTime::Local(jiff::civil::date(2025, 3, day).at(0, 0, 0, 0));
    let expected = [
        ("P-20031".to_owned(), 24, 504, day(4), Days::Whole(7)),
        ("P-20031".to_owned(), 24, 505, day(4), Days::Whole(7)),
        ("00731".to_owned(), 30, 504, day(10), Days::Whole(1)),
    ];
    assert_eq!(ended, expected);
}

#[test]
fn catalogue_and_listeners() {
    let promotions = Promotion::read_list(&golden("responses/promotions.json")).unwrap();
    let codes: Vec<_> = promotions
        .iter()
        .map(|promotion| promotion.code.as_str())
        .collect();
    assert_eq!(codes, ["FS20", "CB10", "2025", "ÉTÉ10"]);

    let name = "responses/registered-event-listeners.json";
    let listeners = RegisteredListener::read_list(&golden(name)).unwrap();
    let facts: Vec<_> = listeners
        .iter()
        .map(|row| (row.event_type, row.channel_id))
        .collect();
    assert_eq!(facts, [(13, Some(504)), (13, Some(505)), (5, None)]);
}

#[test]
fn tokens_and_errors() {
    let token = read_token(&golden("responses/login-token.json")).unwrap();
    assert!(token.expose().starts_with("eyJhbGci") && token.expose().ends_with("c2FtcGxlLXRhZw"));

    let number = "A number is needed for CampaignID.";
    for (name, message) in [
        ("responses/error.json-string.json", "Unauthorized"),
        (
            "responses/error.plain-text.malformed.txt",
            "CampaignID is missing or not a number",
        ),
        (
            "responses/error.token-expired.malformed.txt",
            "Authorization-Token Expired",
        ),
        (
            "responses/error.problem.json",
            "Some parameters are not valid. CampaignID: A number is needed.",
        ),
        ("responses/error.errors-object.json", number),
        ("responses/error.double-encoded.json", number),
        (
            "responses/error.rate-limit.json",
            "The limit of this API group is used up, try again later.",
        ),
    ] {
        assert_eq!(error_message(&golden(name)), message, "{name}");
    }
    // With a success status the same bodies are errors too, never lists without rows.
    for name in [
        "responses/error.json-string.json",
        "responses/void.response-code.json",
    ] {
        assert!(Page::parse(golden(name)).is_err(), "{name}");
        assert!(Promotion::read_list(&golden(name)).is_err(), "{name}");
    }
}

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

#[test]
fn gateway() {
    let name = "gateway/register.json";
    let registration = GatewayRegistration::read(&golden(name)).unwrap();
    assert_writes(&registration, name);

    let request = GatewayRequest::parse(&golden("gateway/request.json")).unwrap();
    assert_eq!(
        (request.user_id.as_str(), request.is_visitor),
        ("P-20031", false)
    );
    assert_eq!(
        (request.campaign_id.as_str(), request.series_id.as_deref()),
        ("90121", Some("812"))
    );
    assert_eq!(
        (request.action_id, request.action_name.as_deref()),
        (Some(24), Some("Reload"))
    );
    assert_eq!(request.promo_codes, Codes::One("FS20".into()));
    assert_eq!(
        (request.channels[0].id, request.channels[0].templates.len()),
        (Some(15), 1)
    );
    assert_writes(
        &request.reply(Answer::Allowed),
        "gateway/reply.allowed.json",
    );

    let request = GatewayRequest::parse(&golden("gateway/request.string-ids.json")).unwrap();
    assert_eq!(
        (request.user_id.as_str(), request.campaign_id.as_str()),
        ("00731", "rt-812")
    );
    assert_eq!(request.promo_codes, Codes::None);
    assert_eq!(request.channels[0].brand_id.as_deref(), Some("blue"));
    assert!(request.channels[0].templates.is_empty());

    let request = GatewayRequest::parse(&golden("gateway/request.visitor.json")).unwrap();
    assert!(request.is_visitor && request.channels.is_empty());
    assert_writes(&request.reply(Answer::Denied), "gateway/reply.denied.json");
    for (name, allowed) in [
        ("gateway/reply.allowed.json", true),
        ("gateway/reply.denied.json", false),
    ] {
        assert_eq!(GatewayReply::read(&golden(name)).unwrap().allowed, allowed);
    }
}
