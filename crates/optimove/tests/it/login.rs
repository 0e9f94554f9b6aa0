//! The session token: one login for all, renewed once when it runs out, never in a loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use optimove::Error;

use crate::server::{Reply, Request, Server, login, ok, once};

/// A server whose tokens are `token-1`, `token-2` ... of which only those from `valid` on count.
async fn server_with(valid: Arc<AtomicUsize>, expired: &'static str) -> (Server, Arc<AtomicUsize>) {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let server = Server::start(move |request| {
        if request.is_login() {
            return ok(format!(
                "\"token-{}\"",
                counted.fetch_add(1, Ordering::SeqCst) + 1
            ));
        }
        let number = request
            .header("authorization-token")
            .and_then(|token| token.strip_prefix("token-"))
            .and_then(|number| number.parse::<usize>().ok());
        match number {
            None => Reply::Full(401, "\"Unauthorized\"".into()),
            Some(number) if number < valid.load(Ordering::SeqCst) => {
                Reply::Full(403, expired.into())
            }
            Some(_) => ok("[]"),
        }
    })
    .await;
    (server, logins)
}

fn logins(server: &Server) -> Vec<Request> {
    server
        .seen()
        .into_iter()
        .filter(Request::is_login)
        .collect()
}

#[tokio::test]
async fn the_login_comes_first_and_carries_no_credential_header() {
    let (server, _) = server_with(Arc::default(), "").await;
    server
        .builder(login())
        .build()
        .unwrap()
        .get_promotions()
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("POST", "/current/general/Login")
    );
    assert_eq!(
        seen[0].body,
        "{\"UserName\":\"acme\",\"Password\":\"canary-password\"}"
    );
    assert_eq!(seen[0].header("authorization-token"), None);
    assert_eq!(seen[0].header("x-api-key"), None);
    assert_eq!(seen[1].header("authorization-token"), Some("token-1"));
    assert_eq!(seen[1].header("x-api-key"), None);
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_for_all_who_wait() {
    tokio::join!(
        renewed_once("Authorization-Token Expired"),
        renewed_once("Authorization-Token expired"),
        renewed_once("\"AUTHORIZATION-TOKEN EXPIRED\""),
    );
}

async fn renewed_once(expired: &'static str) {
    let valid = Arc::new(AtomicUsize::new(1));
    let (server, count) = server_with(Arc::clone(&valid), expired).await;
    let client = server.builder(login()).retry(once()).build().unwrap();
    client.get_promotions().await.unwrap();
    valid.store(2, Ordering::SeqCst);
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_promotions().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 2, "{expired}");
    let [first, second] = &logins(&server)[..] else {
        panic!("not two logins")
    };
    assert!(second.at - first.at >= Duration::from_secs(1), "{expired}");
}

#[tokio::test]
async fn a_token_that_is_expired_at_once_is_not_renewed_in_a_loop() {
    let valid = Arc::new(AtomicUsize::new(usize::MAX));
    let (server, count) = server_with(valid, "Authorization-Token Expired").await;
    let client = server.builder(login()).build().unwrap();
    let error = client.get_promotions().await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    assert_eq!((count.load(Ordering::SeqCst), server.seen().len()), (2, 4));
}

#[tokio::test]
async fn another_403_is_not_taken_for_expiry() {
    let server = Server::start(|request| {
        if request.is_login() {
            ok("token")
        } else {
            Reply::Full(403, "\"not permitted\"".into())
        }
    })
    .await;
    let error = server
        .builder(login())
        .build()
        .unwrap()
        .get_promotions()
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Forbidden { message } if message == "not permitted"));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refused_login_is_not_repeated() {
    for status in [401, 403, 500] {
        let server = Server::start(move |_| Reply::Full(status, "\"no\"".into())).await;
        let client = server.builder(login()).build().unwrap();
        for _ in 0..5 {
            let error = client.get_promotions().await.unwrap_err();
            let refused =
                matches!(error, Error::LoginRefused { status: reported, .. } if reported == status);
            assert!(refused && !error.is_retryable(), "{error}");
        }
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_token_that_the_server_forgot_is_dropped() {
    let server = Server::start(|request| match request.number {
        0 | 2 => ok("\"token\""),
        1 => Reply::Full(401, "\"Unauthorized\"".into()),
        _ => ok("[]"),
    })
    .await;
    let client = server.builder(login()).build().unwrap();
    assert!(matches!(
        client.get_promotions().await,
        Err(Error::Unauthorized { .. })
    ));
    client.get_promotions().await.unwrap();
    assert_eq!(logins(&server).len(), 2);
}
