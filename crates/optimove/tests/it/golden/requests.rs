//! What we send.

use optimove::read::{read_list, read_object};
use optimove::wire::{
    Login, Promotion, PromotionCode, PromotionStatusReport, RegisterEventListener,
    UnregisterEventListener, read_deleted_codes,
};

use super::{assert_writes, golden};

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
