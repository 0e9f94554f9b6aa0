//! Lists page by page: the same rows, in the same order, none skipped and none doubled.

use serde_json::{Value, json};

use super::support::{Service, tenant};

/// Walks through a list in pages of this many rows.
async fn walk(service: &Service, path: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut address = format!("{path}{sign}limit={limit}");
        if let Some(cursor) = &cursor {
            address = format!("{address}&cursor={cursor}");
        }
        let (page, next) = service.get(&address).await.list();
        assert!(page.len() <= limit);
        assert!(
            next.is_none() || page.len() == limit,
            "a page before the last is full"
        );
        rows.extend(page);
        match next {
            Some(next) => cursor = Some(next),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_give_the_whole_list() {
    let service = Service::start().await;
    for code in ["A1", "b2", "C3", "d4", "E5"] {
        service.promotion(code, "active").await;
    }
    // Ids that differ in letter case only stand side by side and are one group of the walk.
    let customers = ["abc", "ABC", "Abc", "x", "y", "é", "=1"];
    for id in ["30", "20", "10", "40", "50"] {
        service
            .campaign(id, &customers, &["A1", "C3", "UNKNOWN", "OTHER"], 0)
            .await;
    }
    for id in ["cyan", "dune"] {
        assert_eq!(
            service
                .call("POST", "/v1/tenants", &tenant(id))
                .await
                .status,
            201
        );
    }
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| {
            for object in ["1", "2", "3", "4"] {
                tx.find(no, "drift", object, "differs")?;
            }
            Ok(())
        })
        .await;
    let table = [
        ("/v1/tenants", 4),
        ("/v1/tenants/acme/promotions", 5),
        ("/v1/tenants/acme/campaigns", 5),
        ("/v1/tenants/acme/campaigns/10/grants", 14),
        ("/v1/tenants/acme/customers/abc/grants", 10),
        ("/v1/tenants/acme/customers/abc/grants?status=active", 10),
        ("/v1/tenants/acme/held", 5),
        (
            "/v1/tenants/acme/held?reason=unknown_code&campaign_id=20",
            1,
        ),
        ("/v1/tenants/acme/findings", 4),
        ("/v1/tenants/blue/findings", 0),
    ];
    for (path, count) in table {
        let whole = walk(&service, path, 1_000).await;
        assert_eq!(whole.len(), count, "{path}");
        for limit in [1, 2, 3, 4, 5] {
            assert_eq!(
                walk(&service, path, limit).await,
                whole,
                "{path} by {limit}"
            );
        }
    }
    let record = walk(&service, "/v1/tenants/acme/audit", 1_000).await;
    assert_eq!(walk(&service, "/v1/tenants/acme/audit", 3).await, record);
    let places: Vec<u64> = record
        .iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(places, (1..=record.len() as u64).collect::<Vec<_>>());
    assert!(
        record.iter().all(|row| row["detail"].is_object()),
        "{record:?}"
    );
}

#[tokio::test]
async fn a_page_has_a_hundred_rows_unless_said_otherwise() {
    let service = Service::start().await;
    service.promotion("A1", "active").await;
    let customers: Vec<String> = (0..150).map(|n| format!("C{n:03}")).collect();
    let customers: Vec<&str> = customers.iter().map(String::as_str).collect();
    service.campaign("1", &customers, &["A1"], 0).await;
    let path = "/v1/tenants/acme/campaigns/1/grants";
    let (rows, next) = service.get(path).await.list();
    assert_eq!((rows.len(), next.is_some()), (100, true));
    let rest = service
        .get(&format!("{path}?cursor={}", next.unwrap()))
        .await
        .list();
    assert_eq!((rest.0.len(), rest.1), (50, None));
    assert_eq!(rest.0[0]["customer_id"], "C100");
}

#[tokio::test]
async fn rows_added_meanwhile_are_neither_skipped_nor_doubled() {
    let service = Service::start().await;
    for code in ["B", "D"] {
        service.promotion(code, "active").await;
    }
    let path = "/v1/tenants/acme/promotions";
    let (first, next) = service.get(&format!("{path}?limit=1")).await.list();
    assert_eq!(first[0]["code"], "B");
    for code in ["A", "C"] {
        service.promotion(code, "active").await;
    }
    let (rest, _) = service
        .get(&format!("{path}?cursor={}", next.unwrap()))
        .await
        .list();
    let codes: Vec<&Value> = rest.iter().map(|row| &row["code"]).collect();
    assert_eq!(codes, [&json!("C"), &json!("D")]);
}
