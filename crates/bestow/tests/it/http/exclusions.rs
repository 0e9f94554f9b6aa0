//! The exclusion list.

use bestow::service::exclusions;
use serde_json::{Value, json};

use super::support::Service;

const EXCLUSIONS: &str = "/v1/tenants/acme/exclusions";

#[tokio::test]
async fn customers_are_excluded_and_let_in_again() {
    let service = Service::start().await;
    let acme = service.app.tenant("acme").unwrap();
    let is_excluded = |id| exclusions::is_excluded(&service.app, &acme, id).unwrap();
    let body = json!({"customer_ids": ["b", "a", "b", " c "], "reason": "self-excluded"});
    let added = service.call("POST", EXCLUSIONS, &body).await;
    assert_eq!(added.json(), json!({"added": 3, "known": 0}));
    let body = json!({"customer_ids": ["a", "d/é"], "reason": "fraud"});
    let added = service.call("POST", EXCLUSIONS, &body).await;
    assert_eq!(added.json(), json!({"added": 1, "known": 1}));
    assert!(is_excluded("a") && is_excluded("d/é"));
    assert!(!is_excluded("A"), "ids are exact");
    let blue = service.app.tenant("blue").unwrap();
    assert!(!exclusions::is_excluded(&service.app, &blue, "a").unwrap());

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
        (json!({"customer_ids": ["a"], "reason": "  "}), "bad_reason"),
        (
            json!({"customer_ids": ["a"], "reason": "x".repeat(201)}),
            "bad_reason",
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
    assert_eq!(added.json(), json!({"added": 10_000, "known": 0}));
}
