//! Unique codes: redeemed however they are typed, by nobody else, and not to be guessed.

use serde_json::{Value, json};

use super::{assert_verified, put_promotion, redeem};
use crate::http::support::{ADMIN, Answer, Service};

/// A service in which the customers have unique codes of GIFT, of which there are two; the third has the fallback.
async fn service() -> (Service, Vec<String>) {
    let service = Service::start().await;
    let put = json!({"name": "Gift", "kind": "unique", "fallback_code": "Every-One"});
    put_promotion(&service, "GIFT", &put).await;
    let file = "aB-1\nCD_2\n";
    let head = format!(
        "POST /v1/tenants/acme/promotions/GIFT/codes HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Authorization: Bearer {ADMIN}\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n{file}",
        file.len()
    );
    assert_eq!(service.send(head).await.status, 200);
    let customers = ["C-1", "C-2", "C-3"];
    service.campaign("12345", &customers, &["GIFT"], 0).await;
    let mut codes = Vec::new();
    for customer in customers {
        let path = format!("/v1/tenants/acme/customers/{customer}/grants");
        let grant = service.get(&path).await.list().0.remove(0);
        codes.push(grant["unique_code"].as_str().unwrap().to_owned());
    }
    (service, codes)
}

async fn typed(service: &Service, key: &str, customer: &str, code: &str) -> Answer {
    redeem(
        service,
        key,
        &json!({"customer_id": customer, "unique_code": code}),
    )
    .await
}

#[tokio::test]
async fn a_code_is_its_owners_however_it_is_typed() {
    let (service, codes) = service().await;
    assert_eq!(codes[2], "Every-One");
    for (customer, code) in ["C-1", "C-2", "C-3"].into_iter().zip(&codes) {
        let typed_so = format!(" {}\u{200b} ", code.to_lowercase().replace(['-', '_'], " "));
        let answer = typed(&service, customer, customer, &typed_so).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        assert_eq!(
            (&made["promo_code"], &made["unique_code"]),
            (&json!("GIFT"), &json!(code))
        );
        let again = typed(&service, &format!("{customer}-2"), customer, code).await;
        assert_eq!(again.problem(), (409, "already_redeemed".to_owned()));
    }
    assert_verified(&service);
}

#[tokio::test]
async fn somebody_elses_code_looks_like_nobodys() {
    let (service, codes) = service().await;
    let fallback_is_not_theirs = ("C-1", codes[2].as_str());
    for (key, (customer, code)) in [
        ("C-2", codes[0].as_str()),
        ("C-1", "NOBODY-HAS-THIS"),
        fallback_is_not_theirs,
        ("nobody", codes[0].as_str()),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = typed(&service, &key.to_string(), customer, code).await;
        assert_eq!(
            answer.problem(),
            (409, "no_grant".to_owned()),
            "{customer} {code}"
        );
    }
    let bad = typed(&service, "bad", "C-1", "A€1").await;
    assert_eq!(bad.problem(), (422, "bad_unique_code".to_owned()));
}

#[tokio::test]
async fn guessing_is_stopped_and_the_code_itself_has_to_wait_with_it() {
    let (service, codes) = service().await;
    for guess in 0..10 {
        let answer = typed(&service, &format!("g{guess}"), "C-1", &format!("X{guess}")).await;
        assert_eq!(answer.status, 409);
    }
    let stopped = typed(&service, "k1", "C-1", &codes[0]).await;
    assert_eq!(stopped.problem(), (429, "too_many_attempts".to_owned()));
    assert_eq!(stopped.header("retry-after"), Some("600"));
    // Others, and the promotion's own code, which cannot be guessed into anything, go on.
    assert_eq!(typed(&service, "k2", "C-2", &codes[1]).await.status, 201);
    service.app.clock.advance(600_000);
    assert_eq!(typed(&service, "k1", "C-1", &codes[0]).await.status, 201);
    assert_verified(&service);
}

#[tokio::test]
async fn an_address_that_guesses_for_many_is_stopped() {
    let (service, codes) = service().await;
    let body = |customer: &str, code: &str| -> Value {
        json!({"customer_id": customer, "unique_code": code, "client_address": "192.0.2.7"})
    };
    for guess in 0..60 {
        let body = body(&format!("G-{guess}"), &format!("X{guess}"));
        assert_eq!(
            redeem(&service, &format!("g{guess}"), &body).await.status,
            409
        );
    }
    let stopped = redeem(&service, "k1", &body("C-1", &codes[0])).await;
    assert_eq!(stopped.problem(), (429, "too_many_attempts".to_owned()));
    assert_eq!(stopped.header("retry-after"), Some("60"));
    assert_eq!(typed(&service, "k2", "C-1", &codes[0]).await.status, 201);
}
