//! The exclusion list.

use bestow::service::exclusions;
use serde_json::{Value, json};

use super::support::{ADMIN, Answer, Service};

const EXCLUSIONS: &str = "/v1/tenants/acme/exclusions";

#[tokio::test]
async fn customers_are_excluded_and_let_in_again() {
    let service = Service::start().await;
    let acme = service.app.tenant("acme").unwrap();
    let is_excluded = |id| exclusions::is_excluded(&service.app, &acme, id, "fs20").unwrap();
    let body = json!({"customer_ids": ["b", "a", "b", " c "], "reason": "self-excluded"});
    let added = service.call("POST", EXCLUSIONS, &body).await;
    assert_eq!(added.json(), json!({"added": 3, "known": 0, "refused": []}));
    let body = json!({"customer_ids": ["a", "d/é"], "reason": "fraud"});
    let added = service.call("POST", EXCLUSIONS, &body).await;
    assert_eq!(added.json(), json!({"added": 1, "known": 1, "refused": []}));
    assert!(is_excluded("a") && is_excluded("d/é"));
    assert!(!is_excluded("A"), "ids are exact");
    let blue = service.app.tenant("blue").unwrap();
    assert!(!exclusions::is_excluded(&service.app, &blue, "a", "fs20").unwrap());

    let (first, next) = service.get(&format!("{EXCLUSIONS}?limit=3")).await.list();
    let ids: Vec<_> = first.iter().map(|row| row["customer_id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(first[0]["reason"], "self-excluded");
    assert_eq!(first[0]["created_by"], "admin-token");
    let rest = format!("{EXCLUSIONS}?cursor={}", next.unwrap());
    let (rest, next) = service.get(&rest).await.list();
    assert_eq!((rest.len(), next), (1, None));

    let one = service
        .call("DELETE", &format!("{EXCLUSIONS}/d%2F%C3%A9"), &Value::Null)
        .await;
    assert_eq!(one.json(), json!({"removed": 1}));
    let body = json!({"customer_ids": ["a", "nobody"]});
    let two = service.call("DELETE", EXCLUSIONS, &body).await;
    assert_eq!(two.json(), json!({"removed": 1}));
    assert!(!is_excluded("a") && !is_excluded("d/é") && is_excluded("b"));

    let (record, _) = service
        .get("/v1/tenants/acme/audit?limit=1000")
        .await
        .list();
    let said: Vec<_> = record
        .iter()
        .filter(|row| row["object"] == "exclusions")
        .map(|row| (row["action"].as_str().unwrap(), row["detail"].clone()))
        .collect();
    assert_eq!(
        said,
        [
            (
                "customers.excluded",
                json!({"reason": "self-excluded", "added": 3, "known": 0})
            ),
            (
                "customers.excluded",
                json!({"reason": "fraud", "added": 1, "known": 1})
            ),
            ("customers.included", json!({"asked": 1, "removed": 1})),
            ("customers.included", json!({"asked": 2, "removed": 1})),
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_excluded_is_refused_whole() {
    let service = Service::start().await;
    let many: Vec<_> = (0..=10_000).map(|n| n.to_string()).collect();
    let refused = [
        (
            json!({"customer_ids": [], "reason": "x"}),
            "bad_customer_ids",
        ),
        (
            json!({"customer_ids": many, "reason": "x"}),
            "bad_customer_ids",
        ),
        (
            json!({"customer_ids": ["a", ""], "reason": "x"}),
            "bad_customer_id",
        ),
        (
            json!({"customer_ids": ["a", "b\u{7}"], "reason": "x"}),
            "bad_customer_id",
        ),
        (
            json!({"customer_ids": ["a"], "reason": "  "}),
            "reason_needed",
        ),
        (
            json!({"customer_ids": ["a"], "reason": "x\u{0}"}),
            "bad_reason",
        ),
        (
            json!({"customer_ids": ["a"], "reason": "x".repeat(501)}),
            "reason_too_long",
        ),
        (json!({"customer_ids": ["a"]}), "invalid_body"),
    ];
    for (body, code) in refused {
        let answer = service.call("POST", EXCLUSIONS, &body).await;
        assert_eq!(answer.problem(), (422, code.to_owned()));
    }
    let (none, _) = service.get(EXCLUSIONS).await.list();
    assert_eq!(none, Vec::<Value>::new());
    let most = json!({"customer_ids": many[1..], "reason": "x"});
    let added = service.call("POST", EXCLUSIONS, &most).await;
    assert_eq!(
        added.json(),
        json!({"added": 10_000, "known": 0, "refused": []})
    );
}

/// Sends a table, and answers with what came of it.
async fn send_table(service: &Service, path: &str, table: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: text/csv\r\nContent-Length: {}\r\n\r\n{table}",
        table.len()
    );
    service.send(head).await
}

#[tokio::test]
async fn a_table_excludes_its_customers_and_tells_its_bad_lines() {
    let service = Service::start().await;
    let table = "customer_id,promo_code,reason\r\na,,self-excluded\r\n,FS20,nobody\r\n'=b,FS20,\r\nc,\"x\u{7}\",\r\nd,,x\u{7}\r\n";
    for (added, known) in [(2, 0), (0, 2)] {
        let answer = send_table(&service, EXCLUSIONS, table).await.json();
        assert_eq!(
            (&answer["added"], &answer["known"]),
            (&json!(added), &json!(known))
        );
        let refused = answer["refused"].as_array().unwrap();
        let lines: Vec<_> = refused.iter().map(|one| one["line"].clone()).collect();
        assert_eq!(lines, [3, 5, 6]);
    }
    let (rows, _) = service.get(EXCLUSIONS).await.list();
    let said: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["customer_id"].clone(),
                row["promo_code"].clone(),
                row["reason"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!("=b"), json!("fs20"), json!("excluded by a file")),
        (json!("a"), Value::Null, json!("self-excluded")),
    ];
    assert_eq!(said, expected);
    for bad in ["", "customer\na\n", "customer_id\n\"a"] {
        let answer = send_table(&service, EXCLUSIONS, bad).await;
        assert_eq!(answer.problem(), (422, "bad_csv".to_owned()), "{bad:?}");
    }
}

#[tokio::test]
async fn the_catalogue_goes_out_as_a_table_and_comes_in_again() {
    let service = Service::start().await;
    let put = json!({
        "name": "=SUM(A1)", "status": "paused", "reward": {"type": "amount", "amount_minor": 500, "currency": "EUR"},
        "limits": {"per_customer": 2, "total": 9, "budget_minor": 900, "currency": "EUR"},
        "metadata": {"said": "a \"b\", c"}, "validity_days": 3,
    });
    service
        .call("PUT", "/v1/tenants/acme/promotions/FS20", &put)
        .await;
    let unique = json!({"name": "Own", "kind": "unique", "fallback_code": "WELCOME1"});
    service
        .call("PUT", "/v1/tenants/acme/promotions/own", &unique)
        .await;
    let export = async |tenant: &str| {
        let head = format!(
            "GET /v1/tenants/{tenant}/promotions HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {ADMIN}\r\nAccept: text/csv\r\n\r\n"
        );
        service.send(head).await.text().to_owned()
    };
    let table = export("acme").await;
    assert!(table.starts_with(
        "code,name,status,kind,reward,limits,metadata,validity_days,fallback_code\r\n"
    ));
    assert!(table.contains("\r\nFS20,'=SUM(A1),paused,"), "{table}");
    let import = |tenant: &str| format!("/v1/tenants/{tenant}/promotions/import");
    let report = send_table(&service, &import("acme"), &table).await.json();
    assert_eq!(
        report,
        json!({"created": 0, "changed": 0, "unchanged": 2, "refused": []})
    );
    let report = send_table(&service, &import("blue"), &table).await.json();
    assert_eq!(report["created"], 2);
    assert_eq!(export("blue").await, table);
    // A bad line is told by its number and changes nothing; the others count.
    let lines = "code,name,reward,limits\nA,First,,\nB,Second,{,\nC,Third,,\"{\"\"per_customer\"\":0}\"\nA,Again,{},\n";
    let report = send_table(&service, &import("acme"), lines).await.json();
    let refused = report["refused"].as_array().unwrap();
    let at: Vec<_> = refused.iter().map(|one| one["line"].clone()).collect();
    assert_eq!(
        (at, &report["created"], &report["changed"]),
        (vec![json!(3), json!(4)], &json!(1), &json!(1))
    );
    assert_eq!(
        service.get("/v1/tenants/acme/promotions/B").await.status,
        404
    );
}
