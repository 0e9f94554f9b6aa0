//! Paged lists over HTTP: read to the end, believed only with proof, resumable.

use optimove::page::Paging;
use optimove::{Client, Error};

use crate::server::{Reply, Server, ok};

/// A list of this many rows, in pages that the server makes no larger than `cap`.
fn paged(total: usize, cap: usize) -> impl Fn(&str) -> String {
    move |target| {
        let number = |name: &str| -> usize {
            let rest = target.split_once(name).unwrap().1;
            rest.split('&').next().unwrap().parse().unwrap()
        };
        let skip = number("$skip=");
        let end = (skip + number("$top=").min(cap)).min(total);
        let rows: Vec<_> = (skip..end)
            .map(|row| format!("{{\"CustomerID\":{row}}}"))
            .collect();
        format!("[{}]", rows.join(","))
    }
}

async fn customers(client: &Client, paging: Paging) -> Result<Vec<String>, Error> {
    let mut pages = client.execution_pages("5101", Some(504), paging);
    let mut ids = vec![];
    while let Some(page) = pages.next().await? {
        page.for_each(|row| ids.push(row.customer_id.unwrap().into_owned()))
            .unwrap();
    }
    Ok(ids)
}

#[tokio::test]
async fn pages_are_read_to_the_end() {
    let answer = paged(25, 4);
    let server = Server::start(move |request| ok(answer(&request.target))).await;
    let expected: Vec<String> = (0..25).map(|row| row.to_string()).collect();
    assert_eq!(
        customers(&server.client(), Paging::new(10)).await.unwrap(),
        expected
    );
    assert_eq!(
        customers(&server.client(), Paging::resume(10, 20))
            .await
            .unwrap(),
        expected[20..]
    );
}

/// The four forms of "no rows", each on the first page and after a full one, are believed only when
/// they are repeated.
#[tokio::test]
async fn an_empty_page_in_the_middle_is_not_the_end() {
    for (status, empty) in [
        (200, "[]"),
        (200, ""),
        (200, "null"),
        (204, ""),
        (404, ""),
        (404, "\"Not Found\""),
    ] {
        let answer = paged(25, 10);
        let server = Server::start(move |request| match request.number {
            0 | 2 => Reply::Full(status, empty.into()),
            _ => ok(answer(&request.target)),
        })
        .await;
        let ids = customers(&server.client(), Paging::new(10)).await.unwrap();
        assert_eq!(ids.len(), 25, "{status} {empty:?}");
        let skips: Vec<String> = server
            .targets()
            .iter()
            .map(|target| target.rsplit('=').next().unwrap().to_owned())
            .collect();
        assert_eq!(
            skips,
            ["0", "0", "10", "10", "20", "25"],
            "{status} {empty:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_ignores_skip_is_found_out() {
    let server = Server::start(|_| ok("[{\"CustomerID\":1},{\"CustomerID\":2}]")).await;
    let error = customers(&server.client(), Paging::new(2))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoProgress { skip: 2 }), "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_page_that_failed_can_be_asked_for_again() {
    let answer = paged(3, 2);
    let server = Server::start(move |request| match request.number {
        1 => Reply::Full(400, "\"not now\"".into()),
        _ => ok(answer(&request.target)),
    })
    .await;
    let mut pages = server
        .client()
        .execution_pages("5101", None, Paging::new(2));
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 2);
    assert!(pages.next().await.is_err());
    assert_eq!(pages.paging().skip(), 2);
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
    assert!(pages.next().await.unwrap().is_none());
    assert!(pages.next().await.unwrap().is_none());
}
