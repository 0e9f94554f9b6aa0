//! The grants of a campaign as a stream.

use serde_json::Value;

use super::support::{ADMIN, Answer, Service};

async fn export(service: &Service, campaign: &str, accept: &str) -> Answer {
    let request = format!(
        "GET /v1/tenants/acme/campaigns/{campaign}/grants HTTP/1.1\r\n\
         Host: test\r\nConnection: close\r\n\
         Authorization: Bearer {ADMIN}\r\nAccept: {accept}\r\n\r\n"
    );
    service.send(request).await
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const ODD: [&str; 9] = [
    "=1+1", "+2", "-3", "@x", "a,b", "q\"uote", "007", "Ümläut", "a/b 7",
];

#[tokio::test]
async fn the_lines_are_the_rows_of_the_list_with_exact_ids() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &ODD, &["FS20"], 0).await;
    let lines = lines(&export(&service, "1", "application/x-ndjson").await);
    let (rows, _) = service
        .get("/v1/tenants/acme/campaigns/1/grants")
        .await
        .list();
    assert_eq!(lines, rows);
    let mut ids: Vec<&str> = lines
        .iter()
        .map(|line| line["customer_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut expected = ODD;
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_table_for_spreadsheets_holds_no_formula() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &ODD, &["FS20"], 0).await;
    let answer = export(&service, "1", "text/csv").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    let mut lines = answer.text().split_terminator("\r\n");
    let columns = "id,customer_id,promo_code,unique_code,campaign_id,action_id,channel_id,\
                   source,status,\
                   starts_at,ends_at,redeemed_count,created_at";
    assert_eq!(lines.next(), Some(columns));
    let mut cells: Vec<String> = lines
        .map(|line| {
            let (_, rest) = line.split_once(',').unwrap();
            let end = ",FS20,,1,24,504,scheduled,active,2027-03-25T06:00:00Z,\
                       2027-04-04T06:00:00Z,0,\
                       2027-03-25T06:00:00Z";
            rest.strip_suffix(end).unwrap().to_owned()
        })
        .collect();
    cells.sort_unstable();
    let mut expected = [
        "'=1+1",
        "'+2",
        "'-3",
        "'@x",
        "\"a,b\"",
        "\"q\"\"uote\"",
        "007",
        "Ümläut",
        "a/b 7",
    ];
    expected.sort_unstable();
    assert_eq!(cells, expected);
}

#[tokio::test]
async fn a_large_export_comes_whole_and_in_order() {
    let service = Service::start().await;
    for code in ["FS20", "CB10"] {
        service.promotion(code, "active").await;
    }
    let customers: Vec<String> = (0..3_000).map(|n| format!("C{n:05}")).collect();
    let customers: Vec<&str> = customers.iter().map(String::as_str).collect();
    service
        .campaign("1", &customers, &["FS20", "CB10", "UNKNOWN"], 0)
        .await;
    let lines = lines(&export(&service, "1", "application/x-ndjson;q=0.9").await);
    let ids: Vec<&str> = lines
        .iter()
        .map(|line| line["customer_id"].as_str().unwrap())
        .collect();
    let expected: Vec<&str> = customers.iter().flat_map(|id| [*id; 2]).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_campaign_without_grants_or_without_existence() {
    let service = Service::start().await;
    service.campaign("1", &["a"], &["UNKNOWN"], 0).await;
    assert!(lines(&export(&service, "1", "application/x-ndjson").await).is_empty());
    let missing = export(&service, "2", "application/x-ndjson").await;
    assert_eq!(missing.problem(), (404, "not_found".to_owned()));
}
