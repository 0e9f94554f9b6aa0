//! Campaigns: their view, and what a person may do to one.

use bestow_store::campaigns::SuspendedBy;
use serde_json::{Value, json};

use super::support::{NOW, Service};

const PATH: &str = "/v1/tenants/acme/campaigns/1";

async fn record(service: &Service) -> Vec<String> {
    let (rows, _) = service
        .get("/v1/tenants/acme/audit?limit=1000")
        .await
        .list();
    let actions = rows.iter().filter(|row| row["object"] == "campaign/1");
    actions
        .map(|row| {
            format!(
                "{} {}",
                row["actor"].as_str().unwrap(),
                row["action"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn a_campaign_is_shown_with_counts_that_add_up() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service
        .campaign("1", &["a", "b", "c"], &["FS20", "UNKNOWN"], 0)
        .await;
    let view = service.get("/v1/tenants/acme/campaigns/0001").await.json();
    assert_eq!(view["id"], "1");
    assert_eq!(
        (&view["kind"], &view["status"]),
        (&json!("scheduled"), &json!("running"))
    );
    assert_eq!(view["channels"], json!([504]));
    assert_eq!(view["last_error"], Value::Null);
    let expected = json!({
        "rows": 3, "rows_without_code": 0, "pairs": 6, "granted": 3, "repeated": 0,
        "held": {"unknown_code": 3}, "refused": {},
    });
    assert_eq!(view["counts"], expected);
    let imports = json!([{
        "channel_id": 504, "state": "done", "hold_reason": null, "pass": 1, "rows_of_pass": 3,
        "rows": 3,
    }]);
    assert_eq!(view["imports"], imports);
    let (list, _) = service.get("/v1/tenants/acme/campaigns").await.list();
    assert_eq!(list, [view]);
    assert!(service.app.clock.advance(11 * 86_400_000));
    assert_eq!(service.get(PATH).await.json()["status"], "ended");
}

#[tokio::test]
async fn a_campaign_that_was_only_heard_of_is_announced() {
    let service = Service::start().await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| {
            let (campaign, _) = tx.see_campaign(no, "1", "scheduled", "sweep")?;
            tx.want_import(no, campaign, 504)
        })
        .await;
    assert_eq!(service.get(PATH).await.json()["status"], "announced");
}

#[tokio::test]
async fn revoking_is_final_and_repeating_it_changes_nothing() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &["a"], &["FS20"], 0).await;
    let body = json!({"reason": "wrong list"});
    for _ in 0..2 {
        let view = service
            .call("POST", &format!("{PATH}/revoke"), &body)
            .await
            .json();
        assert_eq!(
            (&view["status"], &view["stop_reason"]),
            (&json!("revoked"), &json!("wrong list"))
        );
        assert_eq!(record(&service).await, ["admin-token campaign.revoked"]);
    }
    let ask = json!({"customer_id": "a", "promo_code": "FS20"});
    let answer = service
        .call("POST", "/v1/tenants/acme/eligibility", &ask)
        .await;
    assert_eq!(answer.json()["reason"], "revoked");
    let resumed = service
        .call("POST", &format!("{PATH}/resume"), &Value::Null)
        .await;
    assert_eq!(resumed.problem(), (409, "revoked".to_owned()));
    let long = json!({"reason": "x".repeat(501)});
    let answer = service.call("POST", &format!("{PATH}/revoke"), &long).await;
    assert_eq!(answer.problem(), (422, "reason_too_long".to_owned()));
}

#[tokio::test]
async fn suspending_stops_and_resuming_lets_it_go_on() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &["a"], &["FS20"], 0).await;
    let ask = json!({"customer_id": "a", "promo_code": "FS20"});
    let reason = async || {
        let path = "/v1/tenants/acme/eligibility";
        service.call("POST", path, &ask).await.json()["reason"].clone()
    };
    assert_eq!(reason().await, Value::Null);
    let (suspend, why) = (format!("{PATH}/suspend"), json!({"reason": "under review"}));
    for _ in 0..2 {
        let view = service.call("POST", &suspend, &why).await.json();
        assert_eq!(
            (&view["status"], &view["stop_reason"], &view["suspended_at"]),
            (&json!("suspended"), &json!("under review"), &json!(NOW))
        );
        assert_eq!(view["cancellation"], Value::Null);
        assert_eq!(reason().await, "suspended");
        assert_eq!(record(&service).await, ["admin-token campaign.suspended"]);
    }
    let resume = format!("{PATH}/resume");
    let view = service.call("POST", &resume, &Value::Null).await.json();
    assert_eq!(
        (&view["status"], &view["suspended_at"]),
        (&json!("running"), &Value::Null)
    );
    assert_eq!(reason().await, Value::Null);
    let long = json!({"reason": "x".repeat(501)});
    let answer = service.call("POST", &suspend, &long).await;
    assert_eq!(answer.problem(), (422, "reason_too_long".to_owned()));
    service
        .call("POST", &format!("{PATH}/revoke"), &Value::Null)
        .await;
    let answer = service.call("POST", &suspend, &Value::Null).await;
    assert_eq!(answer.problem(), (409, "revoked".to_owned()));
}

#[tokio::test]
async fn resuming_lifts_a_suspension() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &["a"], &["FS20"], 0).await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| tx.suspend_campaign(no, 1, SuspendedBy::Cancel, "event 4"))
        .await;
    service.app.facts_changed();
    let view = service.get(PATH).await.json();
    assert_eq!(
        (&view["status"], &view["stop_reason"]),
        (&json!("suspended"), &json!("event 4"))
    );
    for _ in 0..2 {
        let view = service
            .call("POST", &format!("{PATH}/resume"), &Value::Null)
            .await
            .json();
        assert_eq!(
            (&view["status"], &view["stop_reason"]),
            (&json!("running"), &Value::Null)
        );
        assert_eq!(record(&service).await, ["admin-token campaign.resumed"]);
    }
}

#[tokio::test]
async fn resuming_approves_an_odd_size_and_wants_the_import() {
    let service = Service::start().await;
    service.campaign("1", &["a"], &["UNKNOWN"], 0).await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| tx.set_import_state(no, 1, 504, "held", Some("size_mismatch")))
        .await;
    assert_eq!(service.get(PATH).await.json()["status"], "failed");
    let view = service
        .call("POST", &format!("{PATH}/resume"), &Value::Null)
        .await
        .json();
    assert_eq!(view["imports"][0]["state"], "read");
    assert_eq!(view["imports"][0]["hold_reason"], Value::Null);
    let (campaign, jobs) = service
        .app
        .store
        .read(|tx| Ok::<_, bestow_store::Error>((tx.campaign(no, "1")?, tx.jobs()?)))
        .unwrap();
    assert_eq!(
        campaign.unwrap().size_approved_at,
        Some(service.app.clock.now_ms())
    );
    assert!(
        jobs.iter()
            .any(|job| job.kind == "import" && job.key == "1"),
        "{jobs:?}"
    );
}

#[tokio::test]
async fn what_is_not_there_cannot_be_resumed_or_revoked() {
    let service = Service::start().await;
    let before = service.everything();
    for verb in ["suspend", "resume", "revoke"] {
        let answer = service
            .call("POST", &format!("{PATH}/{verb}"), &Value::Null)
            .await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    }
    assert_eq!(service.everything(), before);
}
