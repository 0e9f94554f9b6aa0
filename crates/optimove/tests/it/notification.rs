//! Notifications that are odd, broken or hostile.

use optimove::read::{Codes, ReadError};
use optimove::wire::{GatewayRequest, Notification, TriggeredApproval};

fn parse(body: &str) -> Result<Notification, ReadError> {
    Notification::parse(body.as_bytes())
}

#[test]
fn what_is_no_object_is_refused() {
    for (body, expected) in [
        ("", ReadError::Empty),
        ("  \r\n ", ReadError::Empty),
        ("null", ReadError::Empty),
        ("<html></html>", ReadError::Html),
        (
            "[]",
            ReadError::WrongType {
                expected: "an object",
                found: "a list",
            },
        ),
        (
            "\"x\"",
            ReadError::WrongType {
                expected: "an object",
                found: "a string",
            },
        ),
        (
            "7",
            ReadError::WrongType {
                expected: "an object",
                found: "a number",
            },
        ),
    ] {
        assert_eq!(parse(body), Err(expected), "{body}");
    }
    for body in [
        "{",
        "{\"CampaignID\":5101",
        "{\"CampaignID\":5101}}",
        "nonsense",
        "{'a':1}",
    ] {
        assert!(
            matches!(parse(body), Err(ReadError::NotJson { .. })),
            "{body}"
        );
    }
    assert_eq!(
        Notification::parse(b"{\"a\":\"\xff\"}"),
        Err(ReadError::NotUtf8)
    );
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(Notification::parse(&utf16).is_err());
}

#[test]
fn a_mark_and_blanks_around_the_body_are_dropped() {
    let notification = parse("\u{feff}\n {\"campaignid\": \" 5101 \"} \t").unwrap();
    assert_eq!(notification.campaign_id.as_deref(), Some("5101"));
}

#[test]
fn doubles_count_once_if_they_read_the_same() {
    let body = r#"{"CampaignID":5101,"campaignId":"5101","CAMPAIGNID":null,"x":1,"x":2}"#;
    let notification = parse(body).unwrap();
    assert_eq!(notification.campaign_id.as_deref(), Some("5101"));
    assert_eq!(notification.attributes.len(), 2);

    let body = r#"{"CampaignID":5101,"campaignid":5102}"#;
    assert_eq!(
        parse(body),
        Err(ReadError::TwoValues {
            field: "CampaignID"
        })
    );
    let body = r#"{"isVisitor":true,"is_visitor":false}"#;
    assert_eq!(
        parse(body),
        Err(ReadError::TwoValues { field: "isVisitor" })
    );
    assert_eq!(
        parse(r#"{"is_visitor":"TRUE"}"#).unwrap().is_visitor,
        Some(true)
    );
}

#[test]
fn what_decides_must_be_readable() {
    for body in [
        r#"{"EventTypeID":"eleven"}"#,
        r#"{"EventTypeID":1e1}"#,
        r#"{"EventTypeID":{}}"#,
    ] {
        assert_eq!(
            parse(body),
            Err(ReadError::BadValue {
                field: "EventTypeID"
            }),
            "{body}"
        );
    }
    assert_eq!(
        parse(r#"{"isVisitor":"perhaps"}"#),
        Err(ReadError::BadValue { field: "isVisitor" })
    );
    let notification = parse(r#"{"CampaignID":{},"CustomerID":" ","promoCode":{"a":1}}"#).unwrap();
    assert_eq!(
        (notification.campaign_id, notification.customer_id),
        (None, None)
    );
    assert_eq!(
        notification.promo_codes,
        Codes::Unreadable("{\"a\":1}".into())
    );
}

#[test]
fn depth_and_size_are_limited_before_parsing() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(31), "]".repeat(31));
    assert!(parse(&deep).is_ok());
    let deeper = format!("{{\"a\":{}1{}}}", "[".repeat(32), "]".repeat(32));
    assert_eq!(parse(&deeper), Err(ReadError::TooDeep { depth_max: 32 }));
    let endless = "[".repeat(1_000_000);
    assert_eq!(parse(&endless), Err(ReadError::TooDeep { depth_max: 32 }));

    let with = |values: usize| format!("{{\"a\":[{}]}}", vec!["1"; values].join(","));
    // The object, the list, and what is in it.
    assert!(parse(&with(1_998)).is_ok());
    let too_many = ReadError::TooManyNodes { nodes_max: 2_000 };
    assert_eq!(parse(&with(1_999)), Err(too_many.clone()));
    assert_eq!(GatewayRequest::parse(with(1_999).as_bytes()), Err(too_many));
    // Signs within strings are not structure.
    assert!(parse(&format!("{{\"a\":\"{}\\\"[[[\"}}", "[,{".repeat(3_000))).is_ok());
}

#[test]
fn attributes_are_not_shown() {
    let body = r#"{"CampaignID":1,"FIRST_NAME":"canary","DecryptionKey":"canary"}"#;
    let shown = format!("{:?}", parse(body).unwrap());
    assert!(
        shown.contains("FIRST_NAME") && !shown.contains("canary"),
        "{shown}"
    );
}

#[test]
fn a_gateway_request_needs_user_campaign_and_action() {
    let whole = r#"{"User":{"USER_ID":" 7 "},"campaign":{"id":9,"action":{"id":24}}}"#;
    let request = GatewayRequest::parse(whole.as_bytes()).unwrap();
    assert_eq!(
        (request.user_id.as_str(), request.user_id_sent.as_str()),
        ("7", " 7 ")
    );
    for (broken, field) in [
        (r#"{"campaign":{"id":9,"action":{}}}"#, "user"),
        (r#"{"user":{"user_id":7}}"#, "campaign"),
        (r#"{"user":{"user_id":7},"campaign":{"id":9}}"#, "action"),
        (
            r#"{"user":{"user_id":" "},"campaign":{"id":9,"action":{}}}"#,
            "user_id",
        ),
        (
            r#"{"user":{"user_id":7},"campaign":{"id":1.5,"action":{}}}"#,
            "id",
        ),
    ] {
        let result = GatewayRequest::parse(broken.as_bytes());
        assert_eq!(result, Err(ReadError::Missing { field }), "{broken}");
    }
}

#[test]
fn an_approval_is_read_as_it_was_written() {
    let approval = TriggeredApproval {
        user_id: " 007 ".into(),
        campaign_id: "rt-812".into(),
        allowed: false,
    };
    let body = serde_json::to_vec(&approval).unwrap();
    assert_eq!(TriggeredApproval::read(&body).unwrap(), approval);
    for broken in [
        "{}",
        r#"{"user_id":"7","campaign_id":9}"#,
        r#"{"user_id":"7","allowed":true}"#,
    ] {
        assert!(
            TriggeredApproval::read(broken.as_bytes()).is_err(),
            "{broken}"
        );
    }
}
