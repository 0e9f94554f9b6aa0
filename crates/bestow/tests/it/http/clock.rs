//! The clock that tests move, and the machine's, which is not believed when it jumps.

use std::sync::atomic::{AtomicI64, Ordering};

use bestow::clock::{Clock, Reading};
use bestow::config::Config;
use serde_json::{Value, json};

use super::support::Service;

#[tokio::test]
async fn the_clock_is_read_set_and_moved() {
    let service = Service::start().await;
    assert_eq!(
        service.get("/v1/clock").await.json(),
        json!({"now": "2027-03-25T06:00:00Z"})
    );
    let set = json!({"now": "2026-12-31T23:59:59+01:00"});
    let answer = service.call("PUT", "/v1/clock", &set).await;
    assert_eq!(answer.json(), json!({"now": "2026-12-31T22:59:59Z"}));
    for (seconds, now) in [
        (3_600, "2026-12-31T23:59:59Z"),
        (-1, "2026-12-31T23:59:58Z"),
    ] {
        let body = json!({"seconds": seconds});
        let answer = service.call("POST", "/v1/clock/advance", &body).await;
        assert_eq!(answer.json(), json!({ "now": now }));
    }
    assert_eq!(service.app.clock.now().to_string(), "2026-12-31T23:59:58Z");
}

#[tokio::test]
async fn absurd_instants_are_refused() {
    let service = Service::start().await;
    for now in [
        "",
        "soon",
        "2027-02-30T00:00:00Z",
        "2027-03-25T06:00:00",
        "9999-12-31T00:00:00Z",
        "-000001-01-01T00:00:00Z",
    ] {
        let answer = service
            .call("PUT", "/v1/clock", &json!({ "now": now }))
            .await;
        assert_eq!(answer.problem(), (422, "bad_instant".to_owned()), "{now}");
    }
    for seconds in [i64::MAX, i64::MIN, 10_000_000_000_000] {
        let body = json!({"seconds": seconds});
        let answer = service.call("POST", "/v1/clock/advance", &body).await;
        assert_eq!(
            answer.problem(),
            (422, "bad_instant".to_owned()),
            "{seconds}"
        );
    }
    assert_eq!(service.app.clock.now().to_string(), "2027-03-25T06:00:00Z");
}

#[tokio::test]
async fn a_clock_that_cannot_be_moved_has_no_address() {
    let service = Service::start_on(Clock::system(), |_| {}).await;
    for (method, path) in [("GET", ""), ("PUT", ""), ("POST", "/advance")] {
        let answer = service
            .call(method, &format!("/v1/clock{path}"), &Value::Null)
            .await;
        assert_eq!(
            answer.problem(),
            (404, "not_found".to_owned()),
            "{method} {path}"
        );
    }
}

static WALL_MS: AtomicI64 = AtomicI64::new(1_806_300_000_000);

fn machine() -> Reading {
    Reading {
        wall_ms: WALL_MS.load(Ordering::SeqCst),
        steady_ms: 7_000,
    }
}

#[tokio::test]
async fn d5_a_clock_that_jumps_a_year_ahead_changes_nothing_until_it_is_confirmed() {
    // In a file: where a server keeps the facts, its clock counts and not the machine's.
    let in_a_file = |config: &mut Config| config.database_url = Config::default().database_url;
    let service = Service::start_on(Clock::of_machine(machine), in_a_file).await;
    service.promotion("FS20", "active").await;
    service.campaign("12345", &["C-1"], &["FS20"], 0).await;
    let reason = async || {
        let question = json!({"customer_id": "C-1", "promo_code": "FS20"});
        let path = "/v1/tenants/acme/eligibility";
        service.call("POST", path, &question).await.json()["reason"].clone()
    };
    let doubted = async || {
        let numbers = service.get("/metrics").await;
        let line = numbers
            .text()
            .lines()
            .find(|line| line.starts_with("bestow_clock_doubted "));
        line.expect("it is told").to_owned()
    };
    assert_eq!(reason().await, Value::Null);
    assert_eq!(doubted().await, "bestow_clock_doubted 0");
    WALL_MS.fetch_add(365 * 86_400_000, Ordering::SeqCst);
    assert_eq!(reason().await, Value::Null);
    assert_eq!(doubted().await, "bestow_clock_doubted 1");
    let answer = service
        .call("POST", "/v1/clock/confirm", &Value::Null)
        .await;
    assert_eq!(answer.json(), json!({"now": "2028-03-28T06:00:00Z"}));
    assert_eq!(reason().await, "expired");
    assert_eq!(doubted().await, "bestow_clock_doubted 0");
}
