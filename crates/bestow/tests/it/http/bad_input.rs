//! Bad input of every kind gets a typed 4xx, stores nothing, and the service answers the next
//! request as before.

use serde_json::{Value, json};

use super::support::{ADMIN, Service, tenant};

const ELIGIBILITY: &str = "/v1/tenants/acme/eligibility";

/// A request with a JSON body that is sent as it is.
fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Authorization: Bearer {ADMIN}\r\n{headers}\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const JSON: &str = "Content-Type: application/json\r\n";

async fn refuses(service: &Service, request: &[u8], status: u16, code: &str) {
    let before = service.everything();
    let answer = service.send(request).await;
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    assert_eq!(answer.problem(), (status, code.to_owned()), "{shown}");
    assert!(
        answer
            .header("x-request-id")
            .is_some_and(|id| id.starts_with("req_"))
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(service.everything(), before, "{shown}");
    assert_eq!(service.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn bodies() {
    let service = Service::start().await;
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let good = br#"{"customer_id":"a","promo_code":"FS20"}"#;
    let table: &[(&str, &[u8], u16, &str)] = &[
        (JSON, b"", 400, "bad_json"),
        (JSON, b"{", 400, "bad_json"),
        (
            JSON,
            br#"{"customer_id":"a","promo_code":"b"} trailing"#,
            400,
            "bad_json",
        ),
        (JSON, b"\xff\xfe", 400, "bad_json"),
        (
            JSON,
            b"{\"customer_id\":\"\xff\",\"promo_code\":\"x\"}",
            400,
            "bad_json",
        ),
        (JSON, &deep, 400, "json_too_deep"),
        (JSON, b"[]", 422, "invalid_body"),
        (JSON, b"null", 422, "invalid_body"),
        (
            JSON,
            br#"{"customer_id":7,"promo_code":"FS20"}"#,
            422,
            "invalid_body",
        ),
        (JSON, br#"{"customer_id":"a"}"#, 422, "invalid_body"),
        (
            JSON,
            br#"{"customer_id":"a","promo_code":"b","extra":1}"#,
            422,
            "invalid_body",
        ),
        (
            JSON,
            br#"{"customer_id":"a","customer_id":"b","promo_code":"c"}"#,
            422,
            "invalid_body",
        ),
        (
            JSON,
            br#"{"customer_id":"a\u0000b","promo_code":"FS20"}"#,
            422,
            "bad_customer_id",
        ),
        (
            JSON,
            br#"{"customer_id":"   ","promo_code":"FS20"}"#,
            422,
            "bad_customer_id",
        ),
        (
            JSON,
            br#"{"customer_id":"a","promo_code":"\u0000"}"#,
            422,
            "bad_promo_code",
        ),
        (
            JSON,
            br#"{"customer_id":"a","promo_code":" "}"#,
            422,
            "bad_promo_code",
        ),
        ("", good, 415, "not_json"),
        ("Content-Type: text/plain\r\n", good, 415, "not_json"),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            good,
            415,
            "not_json",
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            good,
            415,
            "encoded_body",
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            good,
            415,
            "encoded_body",
        ),
    ];
    for (headers, body, status, code) in table {
        refuses(&service, &post(ELIGIBILITY, headers, body), *status, code).await;
    }
}

#[tokio::test]
async fn long_ids() {
    let service = Service::start().await;
    let long = "x".repeat(10_000);
    for (customer, code, refusal) in [
        (long.as_str(), "FS20", "bad_customer_id"),
        ("a", long.as_str(), "bad_promo_code"),
    ] {
        let body = json!({"customer_id": customer, "promo_code": code}).to_string();
        refuses(
            &service,
            &post(ELIGIBILITY, JSON, body.as_bytes()),
            422,
            refusal,
        )
        .await;
    }
    let table = [
        (format!("/v1/tenants/{long}"), 404, "not_found"),
        (
            format!("/v1/tenants/acme/customers/{long}/grants"),
            422,
            "bad_customer_id",
        ),
        (
            format!("/v1/tenants/acme/campaigns/{long}"),
            422,
            "bad_campaign_id",
        ),
        (
            format!("/v1/tenants/acme/notifications/{long}"),
            404,
            "not_found",
        ),
        (
            format!("/v1/tenants/acme/promotions/{long}"),
            404,
            "not_found",
        ),
        (format!("/v1/{long}"), 404, "not_found"),
    ];
    for (path, status, code) in table {
        refuses(&service, &get(&path), status, code).await;
    }
}

fn get(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Authorization: Bearer {ADMIN}\r\n\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn paths_and_queries() {
    let service = Service::start().await;
    let table = [
        ("/v1/tenants/nobody", 404, "not_found"),
        ("/v1/tenants/ACME", 404, "not_found"),
        ("/v1/tenants/acme/customers/%/grants", 400, "bad_path"),
        ("/v1/tenants/acme/customers/%2/grants", 400, "bad_path"),
        ("/v1/tenants/acme/customers/%zz/grants", 400, "bad_path"),
        ("/v1/tenants/acme/customers/%ff/grants", 400, "bad_path"),
        (
            "/v1/tenants/acme/customers/a%00b/grants",
            422,
            "bad_customer_id",
        ),
        (
            "/v1/tenants/acme/customers/%20/grants",
            422,
            "bad_customer_id",
        ),
        (
            "/v1/tenants/acme/customers/a/grants?status=lost",
            422,
            "bad_status",
        ),
        ("/v1/tenants/acme/campaigns/%00", 422, "bad_campaign_id"),
        ("/v1/tenants/acme/campaigns/404", 404, "not_found"),
        ("/v1/tenants/acme/campaigns/404/grants", 404, "not_found"),
        ("/v1/tenants/acme/campaigns?limit=0", 422, "bad_limit"),
        ("/v1/tenants/acme/campaigns?limit=1001", 422, "bad_limit"),
        ("/v1/tenants/acme/campaigns?limit=-1", 422, "bad_query"),
        ("/v1/tenants/acme/campaigns?limit=many", 422, "bad_query"),
        (
            "/v1/tenants/acme/campaigns?limit=1&limit=2",
            422,
            "bad_query",
        ),
        ("/v1/tenants/acme/campaigns?page=2", 422, "bad_query"),
        ("/v1/tenants/acme/campaigns?cursor=", 400, "bad_cursor"),
        (
            "/v1/tenants/acme/campaigns?cursor=%21%21",
            400,
            "bad_cursor",
        ),
        (
            "/v1/tenants/acme/campaigns?cursor=Y2FtcGFpZ25zCm5v",
            400,
            "bad_cursor",
        ),
        (
            "/v1/tenants/acme/audit?cursor=Y2FtcGFpZ25zCjE",
            400,
            "bad_cursor",
        ),
        ("/v1/tenants/acme/held?reason=whim", 422, "bad_reason"),
        ("/v1/tenants/acme/held?campaign_id=404", 404, "not_found"),
        (
            "/v1/tenants/acme/notifications?status=lost",
            422,
            "bad_status",
        ),
        (
            "/v1/tenants/acme/notifications/ntf_nothing",
            404,
            "not_found",
        ),
        ("/v1/nothing", 404, "not_found"),
        ("/v1/", 404, "not_found"),
        ("/v1/tenants/acme/", 404, "not_found"),
        ("/v1/tenants//campaigns", 404, "not_found"),
    ];
    for (path, status, code) in table {
        refuses(&service, &get(path), status, code).await;
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_says_which_it_takes() {
    let service = Service::start().await;
    let answer = service.call("DELETE", ELIGIBILITY, &Value::Null).await;
    assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = service.call("POST", "/v1/tenants/acme", &Value::Null).await;
    let allow = answer.header("allow").unwrap();
    for method in ["GET", "HEAD", "PATCH", "DELETE"] {
        assert!(allow.contains(method), "{allow}");
    }
}

#[tokio::test]
async fn an_announced_gigabyte_is_refused_without_reading_it() {
    let service = Service::start().await;
    let request = format!(
        "POST {ELIGIBILITY} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN}\r\n{JSON}\
         Content-Length: 1073741824\r\n\r\n"
    );
    // Nothing of the body is sent, and the answer comes all the same.
    refuses(&service, request.as_bytes(), 413, "body_too_large").await;
}

#[tokio::test]
async fn a_body_without_announced_length_ends_at_the_limit() {
    let service = Service::start_with(|config| config.http.api_body_bytes_max = 1_000).await;
    let mut request = format!(
        "POST {ELIGIBILITY} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN}\r\n{JSON}\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let piece = format!("64\r\n{}\r\n", " ".repeat(100));
    request.push_str(&piece.repeat(11));
    refuses(&service, request.as_bytes(), 413, "body_too_large").await;
    let around = r#"{"customer_id":"a","promo_code":""}"#.len();
    let exact = json!({"customer_id": "a", "promo_code": "x".repeat(1_000 - around)}).to_string();
    assert_eq!(exact.len(), 1_000);
    refuses(
        &service,
        &post(ELIGIBILITY, JSON, exact.as_bytes()),
        422,
        "bad_promo_code",
    )
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_body() {
    let service = Service::start_with(|config| config.http.body_seconds_max = 1).await;
    let request = format!(
        "POST {ELIGIBILITY} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN}\r\n{JSON}\
         Content-Length: 100\r\n\r\n{{\"customer_id\""
    );
    refuses(&service, request.as_bytes(), 408, "slow_body").await;
}

#[tokio::test]
async fn tenants_with_values_that_cannot_be_meant() {
    let service = Service::start().await;
    let table = [
        ("id", json!("Has Blanks"), "bad_tenant_id"),
        ("id", json!("x".repeat(10_000)), "bad_tenant_id"),
        ("name", json!("nul\u{0}"), "bad_name"),
        ("time_zone", json!("Mars/Olympus"), "bad_time_zone"),
        (
            "optimove",
            json!({"base_url": "http://10.0.0.1", "auth": {"api_key": "k"}}),
            "bad_base_url",
        ),
        (
            "optimove",
            json!({"base_url": "https://a.example", "auth": {}}),
            "bad_auth",
        ),
        ("scheduled_channels", json!([-1]), "bad_channels"),
        ("duration_days_default", json!(65_000), "bad_duration"),
        ("conditional", json!("yes"), "invalid_body"),
        ("expiry", json!("never"), "invalid_body"),
        ("owner", json!("me"), "invalid_body"),
    ];
    for (field, value, code) in table {
        let mut body = tenant("cyan");
        body[field] = value;
        let request = post("/v1/tenants", JSON, body.to_string().as_bytes());
        refuses(&service, &request, 422, code).await;
    }
}
