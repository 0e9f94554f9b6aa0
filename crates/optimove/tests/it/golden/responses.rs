//! What Optimove answers.

use optimove::read::{Codes, Days, ReadError, WireTime};
use optimove::wire::{
    CampaignDetails, ExecutedCampaign, ExecutionChannel, Page, PromoCodeRow, Promotion,
    RegisteredListener, error_message, read_campaign_ids, read_token,
};

use super::{golden, owned, pairs};

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
