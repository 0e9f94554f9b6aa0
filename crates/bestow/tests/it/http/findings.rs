//! Findings: listed until the difference is gone, or until a person has dealt with it.

use serde_json::{Value, json};

use super::support::Service;

const FINDINGS: &str = "/v1/tenants/acme/findings";

async fn find(service: &Service, kind: &'static str, object: &'static str) {
    let tenant = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| tx.find(tenant, kind, object, "2 rows differ"))
        .await;
}

async fn open(service: &Service) -> Vec<String> {
    let (rows, _) = service.get(FINDINGS).await.list();
    let name = |row: &Value| format!("{} {}", row["kind"], row["object"]).replace('"', "");
    rows.iter().map(name).collect()
}

#[tokio::test]
async fn a_person_settles_what_they_have_dealt_with() {
    let service = Service::start().await;
    find(&service, "cancelled_list_differs", "campaign/1").await;
    find(&service, "cancelled_list_differs", "campaign/2").await;
    let settle = format!("{FINDINGS}/settle");
    let of_one = json!({
        "kind": "cancelled_list_differs", "object": "campaign/1", "reason": " asked the marketers ",
    });
    let answer = service.call("POST", &settle, &of_one).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"settled": true}))
    );
    assert_eq!(open(&service).await, ["cancelled_list_differs campaign/2"]);
    let again = service.call("POST", &settle, &of_one).await;
    assert_eq!(
        (again.status, again.json()),
        (200, json!({"settled": false}))
    );

    let (record, _) = service
        .get("/v1/tenants/acme/audit?limit=1000")
        .await
        .list();
    let settled: Vec<_> = record
        .iter()
        .filter(|row| row["action"] == "finding.settled")
        .map(|row| {
            (
                row["object"].clone(),
                row["actor"].clone(),
                row["detail"].clone(),
            )
        })
        .collect();
    let detail = json!({"reason": "asked the marketers", "was": "2 rows differ"});
    let object = json!("finding/cancelled_list_differs/campaign/1");
    assert_eq!(settled, [(object, json!("admin-token"), detail)]);

    // Seen again, it is open again.
    find(&service, "cancelled_list_differs", "campaign/1").await;
    assert_eq!(open(&service).await.len(), 2);
}

#[tokio::test]
async fn what_is_not_there_or_has_no_reason_is_not_settled() {
    let service = Service::start().await;
    find(&service, "codes_low", "promotion/gift").await;
    let settle = format!("{FINDINGS}/settle");
    let body = |kind: &str, object: &str, reason: &str| json!({"kind": kind, "object": object, "reason": reason});
    for (kind, object) in [
        ("codes_low", "promotion/other"),
        ("other", "promotion/gift"),
    ] {
        let answer = service
            .call("POST", &settle, &body(kind, object, "x"))
            .await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    }
    let refused = [
        ("", "reason_needed"),
        ("  ", "reason_needed"),
        (&"x".repeat(501), "reason_too_long"),
        ("two\nlines", "bad_reason"),
    ];
    for (reason, code) in refused {
        let body = body("codes_low", "promotion/gift", reason);
        let answer = service.call("POST", &settle, &body).await;
        assert_eq!(answer.problem(), (422, code.to_owned()));
    }
    let elsewhere = "/v1/tenants/blue/findings/settle";
    let answer = service
        .call("POST", elsewhere, &body("codes_low", "promotion/gift", "x"))
        .await;
    assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    assert_eq!(open(&service).await, ["codes_low promotion/gift"]);
}
