//! Answers that are slow, silent, too large, elsewhere or unreadable.

use std::time::Duration;

use optimove::Error;
use optimove::client::Limits;
use optimove::read::ReadError;

use crate::server::{Reply, Server, key, ok, once, short_limits};

#[tokio::test]
async fn a_dripping_answer_is_cut_off() {
    let server = Server::start(|_| Reply::Drip).await;
    let client = server
        .builder(key())
        .retry(once())
        .limits(short_limits())
        .build()
        .unwrap();
    let error = client.get_promotions().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooSlow {
                bytes_per_s_min: 1_024
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn silence_in_the_body_and_before_it_is_cut_off() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[".to_vec();
    let server = Server::start(move |_| Reply::BytesThenSilence(begun.clone())).await;
    let client = server
        .builder(key())
        .retry(once())
        .limits(short_limits())
        .build()
        .unwrap();
    let error = client.get_promotions().await.unwrap_err();
    assert!(matches!(error, Error::TooSlow { .. }), "{error}");

    let server = Server::start(|_| Reply::BytesThenSilence(vec![])).await;
    let limit = Duration::from_millis(30);
    let limits = Limits {
        total_timeout: limit,
        ..Limits::default()
    };
    let client = server
        .builder(key())
        .retry(once())
        .limits(limits)
        .build()
        .unwrap();
    let error = client.get_promotions().await.unwrap_err();
    assert!(
        matches!(error, Error::TimedOut { limit: reported } if reported == limit),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_once() {
    let limits = Limits {
        body_bytes_max: 100,
        ..Limits::default()
    };
    for chunked in [false, true] {
        let server = Server::start(move |_| {
            if !chunked {
                return ok(" ".repeat(101));
            }
            let part = format!("32\r\n{}\r\n", " ".repeat(50));
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            Reply::Bytes(format!("{head}{}0\r\n\r\n", part.repeat(3)).into_bytes())
        })
        .await;
        let client = server.builder(key()).limits(limits).build().unwrap();
        let error = client.get_promotions().await.unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { bytes_max: 100 }),
            "{error}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_| ok("[]")).await;
    let header: &'static str = format!("location: {}/x", elsewhere.url()).leak();
    let server = Server::start(move |_| Reply::With(302, header, String::new())).await;
    let error = server.client().get_promotions().await.unwrap_err();
    assert!(
        matches!(error, Error::Refused { status: 302, .. }),
        "{error}"
    );
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_by_digest_and_shape() {
    let server = Server::start(|_| ok("[{\"CustomerID\":\"Ada-7\"")).await;
    let client = server.builder(key()).retry(once()).build().unwrap();
    let Error::Malformed {
        source,
        digest,
        extract,
    } = client
        .execution_page("5101", None, 10, 0)
        .await
        .unwrap_err()
    else {
        panic!("not malformed")
    };
    assert!(matches!(source, ReadError::NotJson { .. }));
    assert_eq!(
        (digest.len(), extract.as_str()),
        (16, "[{\"xxxxxxxxxx\":\"xxx-9\"")
    );
}
