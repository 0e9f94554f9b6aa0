//! The client against answers that say no, or say nothing.

use crate::client::{listener, text};
use crate::server::{Reply, Server, key, ok, once};
use optimove::Error;
use std::time::Duration;

/// What each answer means to a list, to campaign details and to a write.
#[tokio::test]
async fn status_first_body_second() {
    fn name(error: &Error) -> &'static str {
        match error {
            Error::Unauthorized { .. } => "unauthorized",
            Error::Forbidden { .. } => "forbidden",
            Error::UnknownCampaign => "unknown campaign",
            Error::NotFound { .. } => "not found",
            Error::BadRequest { .. } => "bad request",
            Error::Refused { .. } => "refused",
            Error::RateLimited { .. } => "rate limited",
            Error::Server { .. } => "server",
            Error::Malformed { .. } => "malformed",
            Error::OtherCampaign => "other campaign",
            _ => "another error",
        }
    }
    let object = "{\"message\":\"no\"}";
    for (status, body, list, details, write) in [
        (200, "[]", "ok", "malformed", "ok"),
        (200, "", "ok", "unknown campaign", "ok"),
        (200, "null", "ok", "unknown campaign", "ok"),
        (204, "", "ok", "unknown campaign", "ok"),
        (200, "true", "malformed", "malformed", "ok"),
        (200, "{\"ResponseCode\":200}", "malformed", "ok", "ok"),
        (
            200,
            "{\"ResponseCode\":500}",
            "malformed",
            "ok",
            "malformed",
        ),
        (202, "accepted", "malformed", "malformed", "ok"),
        (
            200,
            "\"Internal Server Error\"",
            "malformed",
            "malformed",
            "malformed",
        ),
        (200, "<html>", "malformed", "malformed", "malformed"),
        (
            200,
            "{\"CampaignID\":\"5102\"}",
            "malformed",
            "other campaign",
            "ok",
        ),
        (200, "{\"campaignid\":5101}", "malformed", "ok", "ok"),
        (404, "", "ok", "unknown campaign", "not found"),
        (404, "Not Found", "ok", "unknown campaign", "not found"),
        (404, "\"Not Found\"", "ok", "unknown campaign", "not found"),
        (404, object, "not found", "unknown campaign", "not found"),
        (404, "<html>", "malformed", "malformed", "not found"),
        (400, object, "bad request", "bad request", "bad request"),
        (
            401,
            "\"Unauthorized\"",
            "unauthorized",
            "unauthorized",
            "unauthorized",
        ),
        (
            403,
            "\"Authorization-Token expired\"",
            "forbidden",
            "forbidden",
            "forbidden",
        ),
        (405, "[]", "refused", "refused", "refused"),
        (429, object, "rate limited", "rate limited", "rate limited"),
        (500, "[]", "server", "server", "server"),
        (503, "", "server", "server", "server"),
    ] {
        let server = Server::start(move |_| Reply::Full(status, body.into())).await;
        let client = server.builder(key()).retry(once()).build().unwrap();
        let name = |error: Option<Error>| error.as_ref().map_or("ok", name);
        let got = [
            name(client.get_promotions().await.err()),
            name(client.get_campaign_details("5101").await.err()),
            name(client.delete_promotions(&["FS20"]).await.err()),
        ];
        assert_eq!(got, [list, details, write], "{status} {body}");
    }
}

#[tokio::test]
async fn failures_that_pass_are_repeated() {
    type Make = fn() -> Reply;
    let failures: [Make; 8] = [
        || Reply::Full(500, String::new()),
        || Reply::Full(503, "\"Internal Server Error\"".into()),
        || Reply::Full(429, text("responses/error.rate-limit.json")),
        || Reply::Lost,
        || Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n[{\"PromoCode\":".to_vec()),
        || ok("[{\"PromoCode\":\"FS20\"},"),
        || ok("<html><body>blocked</body></html>"),
        || ok("\"Internal Server Error\""),
    ];
    for (index, failure) in failures.into_iter().enumerate() {
        let good: Make = || ok(text("responses/promotions.json"));
        let server =
            Server::in_turn(vec![Box::new(failure), Box::new(failure), Box::new(good)]).await;
        assert_eq!(
            server.client().get_promotions().await.unwrap().len(),
            4,
            "failure {index}"
        );
        assert_eq!(server.seen().len(), 3, "failure {index}");
    }
}

#[tokio::test]
async fn failures_that_stay_are_reported_after_the_last_attempt() {
    let server = Server::start(|_| Reply::Full(500, "\"broken\"".into())).await;
    let error = server.client().get_promotions().await.unwrap_err();
    assert!(matches!(&error, Error::Server { status: 500, message } if message == "broken"));
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(|_| Reply::Full(400, "\"no\"".into())).await;
    assert!(server.client().get_promotions().await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_lost_reply_to_a_write_is_repeated_with_the_same_bytes() {
    let server = Server::in_turn(vec![Box::new(|| Reply::Lost), Box::new(|| ok(""))]).await;
    server
        .client()
        .register_event_listener(&listener())
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (&seen[0].body, &seen[0].method),
        (&seen[1].body, &seen[1].method)
    );
}

#[tokio::test]
async fn a_wait_longer_than_the_policy_allows_is_the_callers() {
    let server = Server::start(|_| Reply::With(429, "Retry-After: 900", String::new())).await;
    let error = server.client().get_promotions().await.unwrap_err();
    let expected = Some(Duration::from_mins(15));
    assert!(matches!(error, Error::RateLimited { retry_after } if retry_after == expected));
    assert_eq!(server.seen().len(), 1);
}
