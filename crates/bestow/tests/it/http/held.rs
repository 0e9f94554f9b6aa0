//! What waits for a person, and releasing it.

use bestow::work;
use serde_json::{Value, json};

use super::support::Service;

const HELD: &str = "/v1/tenants/acme/held";

#[tokio::test]
async fn pairs_of_an_unknown_code_are_granted_once_it_is_known() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service
        .campaign("1", &["a", "b"], &["FS20", "NEW", "OTHER"], 0)
        .await;
    let (held, _) = service.get(HELD).await.list();
    let expected = json!({
        "campaign_id": "1", "reason": "unknown_code", "pairs": 4, "promo_codes": ["NEW", "OTHER"],
        "examples": [],
    });
    assert_eq!(held, [expected]);
    let release = format!("{HELD}/release");
    let nothing = service.call("POST", &release, &Value::Null).await;
    assert_eq!(nothing.json(), json!({"campaigns": []}));

    service.promotion("NEW", "active").await;
    let none = service
        .call("POST", &release, &json!({"reason": "no_duration"}))
        .await;
    assert_eq!(none.json(), json!({"campaigns": []}));
    let released = service
        .call("POST", &release, &json!({"campaign_id": "1"}))
        .await;
    assert_eq!(released.json(), json!({"campaigns": ["1"]}));
    while work::step(&service.app).await.unwrap() {}

    let (held, _) = service.get(HELD).await.list();
    assert_eq!(
        (&held[0]["pairs"], &held[0]["promo_codes"]),
        (&json!(2), &json!(["OTHER"]))
    );
    let ask = json!({"customer_id": "b", "promo_code": "new"});
    let answer = service
        .call("POST", "/v1/tenants/acme/eligibility", &ask)
        .await;
    assert_eq!(answer.json()["eligible"], true);
    let (record, _) = service
        .get("/v1/tenants/acme/audit?limit=1000")
        .await
        .list();
    assert!(record.iter().any(|row| row["action"] == "held.released"));
}

#[tokio::test]
async fn rows_that_name_nobody_are_shown_by_example() {
    let service = Service::start().await;
    service.campaign("1", &["a"], &["UNKNOWN"], 0).await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| {
            use bestow_store::imports::{HeldRow, LandingPage};
            tx.want_job(no, "import", "1", 0)?;
            let job = tx.claim_job(60_000)?.expect("the job is due");
            tx.begin_pass(&job, 1, 504, 1, 1_000)?;
            let held = (0..12).map(|row| HeldRow {
                row,
                reason: "bad_customer_id".to_owned(),
                pairs: 1,
                extract: format!("row {row}"),
            });
            let page = LandingPage {
                channel: 504,
                pass: 1,
                skip: 0,
                rows: 12,
                rows_without_code: 0,
                pairs: 12,
                customers: 0,
                digest: vec![],
                blocks: vec![],
                held: held.collect(),
            };
            tx.land_page(&job, 1, &page, 60_000)
        })
        .await;
    let (held, _) = service
        .get(&format!("{HELD}?reason=bad_customer_id"))
        .await
        .list();
    assert_eq!((held.len(), &held[0]["pairs"]), (1, &json!(12)));
    let examples = held[0]["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 10);
    assert_eq!(
        examples[0],
        json!({"page": 2, "row": 0, "extract": "row 0"})
    );
    let all = service.get(HELD).await.list().0;
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn nothing_is_held_of_another_tenant() {
    let service = Service::start().await;
    service.campaign("1", &["a"], &["UNKNOWN"], 0).await;
    assert!(
        service
            .get("/v1/tenants/blue/held")
            .await
            .list()
            .0
            .is_empty()
    );
    let path = "/v1/tenants/blue/held?campaign_id=1";
    assert_eq!(
        service.get(path).await.problem(),
        (404, "not_found".to_owned())
    );
    let released = service
        .call("POST", "/v1/tenants/blue/held/release", &json!({}))
        .await;
    assert_eq!(released.json(), json!({"campaigns": []}));
    let wrong = service
        .call(
            "POST",
            &format!("{HELD}/release"),
            &json!({"reason": "whim"}),
        )
        .await;
    assert_eq!(wrong.problem(), (422, "bad_reason".to_owned()));
}
