//! The tolerant readers: times, ids, numbers, flags, codes.

use jiff::civil::date;
use optimove::read::{Codes, Days, Raw, ReadError, WireTime, read_list, read_object};
use optimove::wire::{Promotion, read_token};
use proptest::prelude::*;

/// The one value of a list, to be read.
fn raw(list: &str) -> Raw<'_> {
    read_list(list).unwrap()[0]
}

fn id(json: &str) -> Option<String> {
    raw(&format!("[{json}]"))
        .id()
        .map(std::borrow::Cow::into_owned)
}

fn codes(json: &str) -> Codes<'static> {
    raw(&format!("[{json}]")).codes().into_owned()
}

#[test]
fn times_in_every_form() {
    let day = date(2025, 3, 4);
    let local = |hour, minute, second, nanos| WireTime::Local(day.at(hour, minute, second, nanos));
    let instant = |text: &str| WireTime::Instant(text.parse().unwrap());
    for (text, expected) in [
        ("2025-03-04", local(0, 0, 0, 0)),
        ("2025-03-04 10:05", local(10, 5, 0, 0)),
        ("2025-03-04 10:05:06", local(10, 5, 6, 0)),
        (" 2025-03-04T10:05:06 ", local(10, 5, 6, 0)),
        ("2025-03-04T10:05:06.789", local(10, 5, 6, 789_000_000)),
        (
            "2025-03-04 10:05:06.123456789",
            local(10, 5, 6, 123_456_789),
        ),
        ("2025-03-04T10:05Z", instant("2025-03-04T10:05:00Z")),
        ("2025-03-04 10:05:06z", instant("2025-03-04T10:05:06Z")),
        ("2025-03-04T10:05:06+00:00", instant("2025-03-04T10:05:06Z")),
        (
            "2025-03-04T10:05:06.5-03:30",
            instant("2025-03-04T13:35:06.5Z"),
        ),
        ("2025-03-04T10:05:06+0100", instant("2025-03-04T09:05:06Z")),
        ("2025-03-04T10:05:06+14", instant("2025-03-03T20:05:06Z")),
    ] {
        assert_eq!(WireTime::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_time() {
    for text in [
        "",
        " ",
        "2025",
        "2025-3-4",
        "2025-02-30",
        "04/03/2025",
        "2025-03-04 25:00",
        "2025-03-04 10",
        "2025-03-04 10:5",
        "2025-03-04 10:05:60",
        "2025-03-04 10:05:06.",
        "2025-03-04 10:05:06.1234567890",
        "2025-03-04 10:05 +01:00",
        "2025-03-04T10:05+1",
        "2025-03-04T10:05+01:99",
        "2025-03-04T10:05Z x",
        "2025-03-04x10:05",
        "2025-03-04Z",
        "2025-03-04T10:05+99:00",
        "٢٠٢٥-03-04",
        "-2025-03-04",
        "9999-12-31T23:59-23:00",
    ] {
        assert_eq!(WireTime::parse(text), Err(ReadError::BadTime), "{text}");
    }
}

#[test]
fn ids_keep_their_digits() {
    for (json, expected) in [
        ("\"P-20031\"", Some("P-20031")),
        ("\"00731\"", Some("00731")),
        ("731", Some("731")),
        ("-5", Some("-5")),
        ("9007199254740993", Some("9007199254740993")),
        (
            "123456789012345678901234567890",
            Some("123456789012345678901234567890"),
        ),
        ("\" C1 \"", Some("C1")),
        ("\"1e3\"", Some("1e3")),
        ("\"NaN\"", Some("NaN")),
        ("\"a b\"", Some("a b")),
        ("\"\\u00d8\\ud83d\\ude00\"", Some("Ø😀")),
        ("\"\"", None),
        ("\" \\t \"", None),
        ("null", None),
        ("true", None),
        ("1.0", None),
        ("1e3", None),
        ("[]", None),
        ("{}", None),
        ("\"\\ud800\"", None),
        ("\"a\\u0000b\"", None),
    ] {
        assert_eq!(id(json).as_deref(), expected, "{json}");
    }
}

#[test]
fn numbers_flags_and_days() {
    for (json, expected) in [
        ("7", Some(7)),
        ("\"7\"", Some(7)),
        ("\" 07 \"", Some(7)),
        ("-1", Some(-1)),
        ("7.0", None),
        ("\"7d\"", None),
        ("\"\"", None),
        ("99999999999999999999", None),
        ("true", None),
    ] {
        assert_eq!(raw(&format!("[{json}]")).integer(), expected, "{json}");
    }
    for (json, expected) in [
        ("true", Some(true)),
        ("\"False\"", Some(false)),
        ("\" TRUE \"", Some(true)),
        ("\"yes\"", None),
        ("1", None),
        ("null", None),
    ] {
        assert_eq!(raw(&format!("[{json}]")).boolean(), expected, "{json}");
    }
    let absurd = |text: &str| Days::Absurd(text.to_owned());
    for (json, expected) in [
        ("0", Days::Whole(0)),
        ("\"7\"", Days::Whole(7)),
        ("36500", Days::Whole(36_500)),
        ("36501", absurd("36501")),
        ("-1", absurd("-1")),
        ("1e9", absurd("1e9")),
        ("7.5", absurd("7.5")),
        ("\"soon\"", absurd("soon")),
        ("99999999999999999999999", absurd("99999999999999999999999")),
        ("[7]", absurd("[7]")),
        ("null", Days::Missing),
        ("\" \"", Days::Missing),
    ] {
        assert_eq!(raw(&format!("[{json}]")).days(), expected, "{json}");
    }
}

#[test]
fn code_lists_in_every_form() {
    let one = |text: &'static str| Codes::One(text.into());
    let many =
        |texts: &[&'static str]| Codes::Many(texts.iter().map(|text| (*text).into()).collect());
    for (json, expected) in [
        ("null", Codes::None),
        ("\"\"", Codes::None),
        ("\"  \"", Codes::None),
        ("[]", Codes::None),
        ("[null,\"\",\" \"]", Codes::None),
        ("\"FS20\"", one("FS20")),
        ("\" FS20,CB10 \"", one("FS20,CB10")),
        ("2025", one("2025")),
        ("20.50", one("20.50")),
        ("[\"FS20\"]", one("FS20")),
        ("[\"FS20\",null,\" CB10 \",7]", many(&["FS20", "CB10", "7"])),
        ("\"[\\\"FS20\\\",\\\"CB10\\\"]\"", many(&["FS20", "CB10"])),
        ("\" [\\\"FS20\\\"] \"", one("FS20")),
        ("\"[\"", one("[")),
        ("\"[10% off]\"", one("[10% off]")),
        ("\"caf\\u00e9\"", one("café")),
        ("{\"a\":1}", Codes::Unreadable("{\"a\":1}".into())),
        ("true", Codes::Unreadable("true".into())),
        ("[[\"FS20\"]]", Codes::Unreadable("[[\"FS20\"]]".into())),
        (
            "[\"FS20\",false]",
            Codes::Unreadable("[\"FS20\",false]".into()),
        ),
        ("\"\\udfff\"", Codes::Unreadable("\"\\udfff\"".into())),
    ] {
        assert_eq!(codes(json), expected, "{json}");
    }
}

#[test]
fn lists_without_rows() {
    for body in [
        "",
        "  ",
        "\u{feff}",
        "null",
        " null ",
        "[]",
        "\u{feff}[ ]\r\n",
    ] {
        assert_eq!(
            Promotion::read_list(body.as_bytes()),
            Ok(vec![]),
            "{body:?}"
        );
    }
    for body in [
        "{}",
        "\"\"",
        "\"Not Found\"",
        "true",
        "0",
        "<p>",
        "[",
        "[}",
        "[{}",
        "[1]",
        "[[]]",
    ] {
        assert!(Promotion::read_list(body.as_bytes()).is_err(), "{body:?}");
    }
}

#[test]
fn names_compare_without_case_and_null_is_absent() {
    let object =
        read_object(r#"{"CHANNELId":5,"channelid":"5","Nam\u0065":"n","x":null}"#).unwrap();
    assert_eq!(object.integer("ChannelID"), Ok(Some(5)));
    assert_eq!(object.prose("name"), Ok(Some("n".into())));
    assert_eq!(object.prose("X"), Ok(None));
    let object = read_object(r#"{"a":1,"A":2}"#).unwrap();
    assert_eq!(
        object.integer("a"),
        Err(ReadError::TwoValues { field: "a" })
    );
}

#[test]
fn tokens_with_and_without_quotes() {
    for body in [
        "\"a.b.c\"",
        "a.b.c",
        " \"a.b.c\"\r\n",
        "\u{feff}a.b.c\n",
        "\" a.b.c \"",
    ] {
        assert_eq!(
            read_token(body.as_bytes()).unwrap().expose(),
            "a.b.c",
            "{body:?}"
        );
    }
    for body in [
        "",
        "\"\"",
        "<html>",
        "{\"token\":\"a\"}",
        "[\"a\"]",
        "not a token",
        "\"a\nb\"",
    ] {
        assert!(read_token(body.as_bytes()).is_err(), "{body:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_id_as_it_is(text in "\\PC{1,40}") {
        let json = serde_json::to_string(&text).unwrap();
        let trimmed = text.trim();
        let expected = (!trimmed.is_empty()).then(|| trimmed.to_owned());
        prop_assert_eq!(id(&json), expected);
    }

    #[test]
    fn any_digits_are_an_id_as_they_are(digits in "-?[1-9][0-9]{0,60}") {
        prop_assert_eq!(id(&digits), Some(digits.clone()));
        prop_assert_eq!(id(&format!("\"{digits}\"")), Some(digits));
    }

    #[test]
    fn a_list_of_codes_reads_alike_in_both_forms(
        texts in prop::collection::vec("[ A-Za-z0-9é,\"\\\\]{0,8}", 0..6)
    ) {
        let list = serde_json::to_string(&texts).unwrap();
        let quoted = serde_json::to_string(&list).unwrap();
        let expected: Vec<&str> =
            texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        for form in [codes(&list), codes(&quoted)] {
            prop_assert_eq!(form.texts().collect::<Vec<_>>(), expected.clone());
        }
    }

    #[test]
    fn times_survive_writing(seconds in 0_i64..4_000_000_000, minutes in -840_i32..=840) {
        let instant = jiff::Timestamp::from_second(seconds).unwrap();
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
        let local = offset.to_datetime(instant);
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        let text = format!("{local}{sign}{hours:02}:{rest:02}");
        prop_assert_eq!(WireTime::parse(&text), Ok(WireTime::Instant(instant)));
        prop_assert_eq!(WireTime::parse(&local.to_string()), Ok(WireTime::Local(local)));
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
        let _ = optimove::wire::Notification::parse(&bytes);
        let _ = optimove::wire::GatewayRequest::parse(&bytes);
        let _ = optimove::wire::Page::parse(bytes.clone());
        let _ = optimove::wire::error_message(&bytes);
        let _ = WireTime::parse(&text);
        let _ = read_token(text.as_bytes());
    }
}
