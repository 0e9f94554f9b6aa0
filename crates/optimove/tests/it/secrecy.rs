//! Credentials go only where they are safe, and nothing shows them.

use optimove::client::{Auth, PlainHttp};
use optimove::secret::Secret;
use optimove::{Client, Error};

use crate::client::listener;
use crate::server::{Reply, Server, key, login, ok, once};

#[test]
fn credentials_go_only_where_they_are_safe() {
    let build = |url: &str| Client::builder(url, key()).build();
    for url in [
        "http://127.0.0.1:9",
        "http://localhost",
        "http://[::1]:9/",
        "https://api5.test",
    ] {
        assert!(build(url).is_ok(), "{url}");
    }
    for url in [
        "http://api5.optimove.net",
        "http://127.0.0.1.example.test",
        "http://localhost.example.test",
        "https://user:canary@api5.optimove.net",
        "https://api5.optimove.net/?key=canary",
        "ftp://api5.optimove.net",
        "api5.optimove.net",
        "",
    ] {
        let error = build(url).unwrap_err();
        assert!(matches!(error, Error::Setup { .. }), "{url}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let anywhere = Client::builder("http://sandbox.test", key()).plain_http(PlainHttp::Anywhere);
    assert!(anywhere.build().is_ok());
    let broken = Client::builder(
        "https://api5.test",
        Auth::ApiKey(Secret::new("canary\r\nx: y")),
    );
    let error = broken.build().unwrap_err();
    assert!(!error.to_string().contains("canary"), "{error}");
}

/// Whatever is shown of clients, requests and errors, no secret is in it.
#[tokio::test]
async fn nothing_shows_a_secret() {
    let urls = "https://promo.example.test/optimove/listener/canary-secret \
        https%3A%2F%2Fpromo.example.test%2Fcanary-secret HTTPS://x.test/canary";
    let mut shown = vec![format!("{:?}", listener()), format!("{:?}", login())];
    for status in [400, 401, 403, 404, 405, 500, 200] {
        for (auth, secrets) in [
            (key(), "canary-key"),
            (login(), "canary-password canary-token"),
        ] {
            let echo = format!("\"no: {secrets} {urls}\"");
            let server = Server::start(move |request| {
                if request.is_login() {
                    return ok("\"canary-token\"");
                }
                Reply::Full(status, echo.clone())
            })
            .await;
            let builder = server.builder(auth).retry(once());
            shown.push(format!("{builder:?}"));
            let client = builder.build().unwrap();
            let error = client
                .register_event_listener(&listener())
                .await
                .unwrap_err();
            shown.push(format!("{error} {error:?} {client:?}"));
            if let Err(error) = client.get_promotions().await {
                shown.push(format!("{error} {error:?}"));
            }
        }
    }
    // A login that is refused, or answers with something that is no token.
    let refused = "\"wrong: canary-password\"";
    for (status, body) in [
        (401, refused),
        (500, refused),
        (200, "{\"token\":\"canary-token\"}"),
    ] {
        let server = Server::start(move |_| Reply::Full(status, body.into())).await;
        let client = server.builder(login()).retry(once()).build().unwrap();
        let error = client.get_promotions().await.unwrap_err();
        shown.push(format!("{error} {error:?} {client:?}"));
    }
    // A connection that nobody takes.
    let client = Client::builder("http://127.0.0.1:1", key())
        .retry(once())
        .build()
        .unwrap();
    let error = client
        .register_event_listener(&listener())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Transport { .. }));
    shown.push(format!("{error} {error:?}"));
    for text in shown {
        assert!(!text.contains("canary"), "{text}");
    }
}
