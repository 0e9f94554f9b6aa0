//! Pages of customers: complete or refused, faults stay in their row.

use optimove::read::{Codes, ReadError};
use optimove::wire::{OwnedRow, Page};
use proptest::prelude::*;

fn rows(body: &str) -> Vec<OwnedRow> {
    Page::parse(body.as_bytes().to_vec())
        .unwrap()
        .rows()
        .unwrap()
}

fn refused(body: &str) -> ReadError {
    Page::parse(body.as_bytes().to_vec()).unwrap_err().source
}

#[test]
fn faults_stay_in_their_row() {
    let body = r#"[
        {"PromoCode":"A"}, {"CustomerID":null}, {"CustomerID":" "}, {"CustomerID":true},
        {"CustomerID":1.5}, {"CustomerID":["x"]}, {"CustomerID":"\ud800"}, {"CustomerID":"a\u0000"},
        {"CustomerID":"good","ActionID":"x","ChannelID":{},"PromoCode":{},"Unknown":{"a":[1,{}]}}
    ]"#;
    let rows = rows(body);
    assert_eq!(rows.len(), 9);
    assert!(rows[..8].iter().all(|row| row.customer_id.is_none()));
    let good = &rows[8];
    assert_eq!(good.customer_id.as_deref(), Some("good"));
    assert_eq!((good.action_id, good.channel_id), (None, None));
    assert_eq!(good.promo_code, Codes::Unreadable("{}".into()));
}

#[test]
fn bytes_that_are_no_utf8_spoil_their_row_only() {
    let body = b"[{\"CustomerID\":\"a\xff\",\"PromoCode\":\"FS20\"},\
        {\"CustomerID\":\"b\",\"PromoCode\":\"F\xffS\"},{\"CustomerID\":\"c\"}]";
    let rows = Page::parse(body.to_vec()).unwrap().rows().unwrap();
    assert_eq!(rows[0].customer_id, None);
    assert_eq!(rows[0].promo_code, Codes::One("FS20".into()));
    assert!(matches!(rows[1].promo_code, Codes::Unreadable(_)));
    assert_eq!(rows[2].customer_id.as_deref(), Some("c"));
    // Where all bytes are right, the same sign is like any other.
    let page = Page::parse("[{\"CustomerID\":\"a\u{fffd}\"}]".into()).unwrap();
    assert_eq!(
        page.rows().unwrap()[0].customer_id.as_deref(),
        Some("a\u{fffd}")
    );
}

#[test]
fn names_in_any_case_and_order() {
    let body = r#"[{"promocode":"FS20","SCHEDULEDTIME":"2025-03-04 10:00","ChannelId":"504",
        "customerID":7,"actionId":"1","TemplateNAME":"n","templateid":"t1"}]"#;
    let row = rows(body).remove(0);
    assert_eq!(row.customer_id.as_deref(), Some("7"));
    assert_eq!((row.action_id, row.channel_id), (Some(1), Some(504)));
    assert_eq!(
        (row.template_id.as_deref(), row.template_name.as_deref()),
        (Some("t1"), Some("n"))
    );
    assert_eq!(row.schedule_time.as_deref(), Some("2025-03-04 10:00"));
    assert_eq!(row.promo_code, Codes::One("FS20".into()));
}

#[test]
fn schedule_time_wins_where_both_hold_a_value() {
    for (body, expected) in [
        (r#"[{"ScheduledTime":"b","ScheduleTime":"a"}]"#, Some("a")),
        (r#"[{"ScheduleTime":null,"ScheduledTime":"b"}]"#, Some("b")),
        (r#"[{"ScheduleTime":" ","ScheduledTime":"b"}]"#, Some("b")),
        (r#"[{"ScheduleTime":"a"}]"#, Some("a")),
        (r"[{}]", None),
    ] {
        assert_eq!(rows(body)[0].schedule_time.as_deref(), expected, "{body}");
    }
}

#[test]
fn two_values_break_the_page_and_equal_ones_do_not() {
    let body =
        r#"[{"CustomerID":7,"customerid":"7","CUSTOMERID":null,"ActionID":24,"actionid":"24"}]"#;
    let row = rows(body).remove(0);
    assert_eq!(
        (row.customer_id.as_deref(), row.action_id),
        (Some("7"), Some(24))
    );
    let body = r#"[{"CustomerID":"a"},{"CustomerID":"a","customerId":"b"}]"#;
    assert_eq!(
        refused(body),
        ReadError::TwoValues {
            field: "CustomerID"
        }
    );
    let body = r#"[{"x":1,"x":2,"CustomerID":"a"}]"#;
    assert_eq!(rows(body)[0].customer_id.as_deref(), Some("a"));
}

#[test]
fn other_answers_are_refused_whole() {
    let wrong = |found| ReadError::WrongType {
        expected: "a list",
        found,
    };
    for (body, expected) in [
        ("\"Unauthorized\"", wrong("a string")),
        ("\"[]\"", wrong("a string")),
        ("{\"status\":429}", wrong("an object")),
        ("true", wrong("a boolean")),
        ("0", wrong("a number")),
        ("<!DOCTYPE html>", ReadError::Html),
    ] {
        assert_eq!(refused(body), expected, "{body}");
    }
    for body in ["[1]", "[null]", "[\"a\"]", "[[]]", "[{},\"a\"]"] {
        assert!(
            matches!(refused(body), ReadError::WrongType { .. }),
            "{body}"
        );
    }
    for body in [
        "[",
        "[{}",
        "[{},",
        "[{},]",
        "[{}]]",
        "[{}] x",
        "[{“CustomerID”:1}]",
        "Not Found",
    ] {
        assert!(matches!(refused(body), ReadError::NotJson { .. }), "{body}");
    }
}

#[test]
fn pages_without_rows() {
    for body in ["", " ", "\u{feff}", "null", "[]", "\r\n[ ]\r\n"] {
        let page = Page::parse(body.as_bytes().to_vec()).unwrap();
        assert!(
            page.is_empty() && page.rows().unwrap().is_empty(),
            "{body:?}"
        );
    }
    assert!(Page::empty().is_empty());
}

#[test]
fn a_digest_tells_pages_apart() {
    let digest = |body: &str| Page::parse(body.as_bytes().to_vec()).unwrap().digest();
    assert_eq!(
        digest(r#"[{"CustomerID":1}]"#),
        digest(r#"[{"CustomerID":1}]"#)
    );
    assert_ne!(
        digest(r#"[{"CustomerID":1}]"#),
        digest(r#"[{"CustomerID":2}]"#)
    );
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name = prop_oneof![
            Just("CustomerID".to_owned()),
            Just("promocode".to_owned()),
            Just("ScheduleTime".to_owned()),
            "[a-zA-Z]{1,12}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The rows of a list of objects are counted; any other JSON is refused, and so is every
    /// beginning of it.
    #[test]
    fn complete_or_refused(values in prop::collection::vec(json(), 0..6), cut: usize) {
        let text = serde_json::to_string(&values).unwrap();
        let doubles = |value: &serde_json::Value| {
            let names = value.as_object().map(|fields| fields.keys().map(|key| key.to_lowercase()));
            let mut names: Vec<String> = names.into_iter().flatten().collect();
            let all = names.len();
            names.sort();
            names.dedup();
            names.len() < all
        };
        prop_assume!(!values.iter().any(doubles));
        let page = Page::parse(text.clone().into_bytes());
        if values.iter().all(serde_json::Value::is_object) {
            prop_assert_eq!(page.unwrap().len(), values.len());
        } else {
            prop_assert!(page.is_err());
        }
        let cut = 1 + cut % text.len();
        if cut < text.len() {
            prop_assert!(Page::parse(text.as_bytes()[..cut].to_vec()).is_err());
        }
    }
}
