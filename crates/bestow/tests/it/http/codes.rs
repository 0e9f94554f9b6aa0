//! Unique codes over HTTP: files of any size, random ones, figures, and what is refused.

use serde_json::{Value, json};

use super::support::{ADMIN, Answer, Service};

const CODES: &str = "/v1/tenants/acme/promotions/GIFT/codes";

/// A service whose GIFT gives unique codes.
async fn service() -> Service {
    service_with(30).await
}

async fn service_with(body_seconds_max: u64) -> Service {
    let service = Service::start_with(|config| {
        config.http.body_seconds_max = body_seconds_max;
        // What is streamed has no limit of size.
        config.http.api_body_bytes_max = 1_000;
    })
    .await;
    let put = json!({"name": "Gift", "kind": "unique"});
    let answer = service
        .call("PUT", "/v1/tenants/acme/promotions/GIFT", &put)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    service
}

fn head(headers: &str) -> String {
    format!(
        "POST {CODES} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Authorization: Bearer {ADMIN}\r\nContent-Type: text/csv\r\n{headers}\r\n"
    )
}

async fn upload(service: &Service, file: &str) -> Answer {
    let head = head(&format!("Content-Length: {}\r\n", file.len()));
    service.send(format!("{head}{file}")).await
}

fn figures(loaded: u64, free: u64, void: u64) -> Value {
    json!({"loaded": loaded, "assigned": 0, "free": free, "void": void, "fallbacks": 0})
}

#[tokio::test]
async fn a_file_is_loaded_with_its_repeats_and_rejects_told() {
    let service = service().await;
    let file = "\u{feff}code\r\nA-1\r\na1\r\n\r\n\"B2\"\r\nno,code\r\n----\r\nC3";
    let answer = upload(&service, file).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = json!({
        "loaded": 3, "duplicates": 1, "rejected": 2,
        "rejects": [{"line": 6, "reason": "bad_character"}, {"line": 7, "reason": "empty"}],
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(service.get(CODES).await.json(), figures(3, 3, 0));
    let again = upload(&service, file).await.json();
    assert_eq!(
        (&again["loaded"], &again["duplicates"]),
        (&json!(0), &json!(4))
    );
}

#[tokio::test]
async fn a_file_beyond_every_limit_of_size_is_streamed() {
    let service = service().await;
    let file = lines(0..20_000, |n| format!("CODE-{n:08}"));
    assert_eq!(upload(&service, &file).await.json()["loaded"], 20_000);
    let rejects = "!\n".repeat(150);
    let answer = upload(&service, &rejects).await.json();
    assert_eq!(answer["rejected"], 150);
    assert_eq!(answer["rejects"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn an_upload_that_breaks_off_keeps_whole_chunks_and_no_half_code() {
    let service = service().await;
    let file = lines(0..3_000, |n| format!("CODE-{n:08}"));
    // Announced whole, ended in the middle of a code.
    let head_of_all = head("Transfer-Encoding: chunked\r\n");
    let cut = &file[..file.len() - 4];
    let broken = format!("{head_of_all}{:x}\r\n{cut}\r\nnonsense\r\n", cut.len());
    let answer = service.send(broken).await;
    assert_eq!(answer.problem(), (400, "broken_body".to_owned()));
    assert_eq!(service.get(CODES).await.json(), figures(2_000, 2_000, 0));
    let answer = upload(&service, &file).await.json();
    assert_eq!(
        (&answer["loaded"], &answer["duplicates"]),
        (&json!(1_000), &json!(2_000))
    );
}

#[tokio::test]
async fn an_upload_that_stands_still_is_given_up() {
    let service = service_with(1).await;
    let request = format!("{}A1\nB2\n", head("Content-Length: 100\r\n"));
    let answer = service.send(request).await;
    assert_eq!(answer.problem(), (408, "slow_body".to_owned()));
    assert_eq!(service.get(CODES).await.json(), figures(0, 0, 0));
}

#[tokio::test]
async fn random_codes_are_made_and_single_ones_taken_out() {
    let service = service().await;
    let answer = service.call("POST", CODES, &json!({"generate": 10})).await;
    let expected = json!({"loaded": 10, "duplicates": 0, "rejected": 0, "rejects": []});
    assert_eq!((answer.status, answer.json()), (200, expected));
    for body in [json!({"generate": 0}), json!({"generate": 10_000_001})] {
        let answer = service.call("POST", CODES, &body).await;
        assert_eq!(answer.problem(), (422, "bad_count".to_owned()));
    }
    upload(&service, "Gift 1\n").await;
    let path = format!("{CODES}/gift%201");
    let answer = service.call("DELETE", &path, &Value::Null).await;
    assert_eq!((answer.status, answer.json()), (200, figures(11, 10, 1)));
    for unknown in ["gift2", "%21"] {
        let answer = service
            .call("DELETE", &format!("{CODES}/{unknown}"), &Value::Null)
            .await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_number_that_is_sent_again_with_its_key_makes_no_more_codes() {
    let service = service().await;
    let ask = |number: u64, keys: &str| {
        let body = json!({ "generate": number }).to_string();
        let head = head(&format!("{keys}Content-Length: {}\r\n", body.len()));
        service.send(head.replace("text/csv", "application/json") + &body)
    };
    let key = "Idempotency-Key: 7f3c-spring\r\n";
    let first = ask(10, key).await;
    assert_eq!((first.status, &first.json()["loaded"]), (200, &json!(10)));
    let again = ask(10, key).await;
    assert_eq!((again.status, again.text()), (200, first.text()));
    assert_eq!(service.get(CODES).await.json(), figures(10, 10, 0));
    let (other, bad) = ("idempotency_key_reused", "bad_idempotency_key");
    let refused = [
        (11, key.to_owned(), other),
        (10, "Idempotency-Key: \r\n".to_owned(), bad),
        (10, "Idempotency-Key: a b\r\n".to_owned(), bad),
        (10, "Idempotency-Key: \u{fc}\r\n".to_owned(), bad),
        (10, format!("{key}{key}"), bad),
        (10, format!("Idempotency-Key: {}\r\n", "k".repeat(256)), bad),
    ];
    for (number, keys, code) in refused {
        let answer = ask(number, &keys).await;
        assert_eq!(answer.problem(), (422, code.to_owned()), "{keys}");
    }
    assert_eq!(service.get(CODES).await.json(), figures(10, 10, 0));
    // Without a key each request is another.
    ask(10, "").await;
    assert_eq!(service.get(CODES).await.json(), figures(20, 20, 0));
}

#[tokio::test]
async fn what_is_neither_file_nor_number_is_refused() {
    let service = service().await;
    let answer = service
        .send(head("").replace("text/csv", "text/html"))
        .await;
    assert_eq!(answer.problem(), (415, "not_json".to_owned()));
    let encoded = head("Content-Encoding: gzip\r\nContent-Length: 0\r\n");
    assert_eq!(
        service.send(encoded).await.problem(),
        (415, "encoded_body".to_owned())
    );
    service.promotion("FS20", "active").await;
    for (path, expected) in [
        (
            "/v1/tenants/acme/promotions/FS20/codes",
            (409, "not_unique"),
        ),
        ("/v1/tenants/acme/promotions/NONE/codes", (404, "not_found")),
    ] {
        let (status, code) = service.get(path).await.problem();
        assert_eq!((status, &*code), expected);
        let (status, code) = service
            .call("POST", path, &json!({"generate": 1}))
            .await
            .problem();
        assert_eq!((status, &*code), expected);
    }
}

#[tokio::test]
async fn the_export_is_a_table_or_lines_with_exact_keys() {
    let service = service().await;
    upload(&service, "K1\nK2\nK3\n").await;
    service.promotion("FS20", "active").await;
    service
        .campaign("1", &["a", "=b", "c,d"], &["GIFT", "FS20"], 0)
        .await;
    let ask = |accept: &str| {
        let request = format!(
            "GET /v1/tenants/acme/campaigns/1/codes HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {ADMIN}\r\n{accept}\r\n"
        );
        service.send(request)
    };
    let lines = ask("").await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let mut keys: Vec<String> = lines
        .text()
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            assert_eq!(row["promo_code"], "GIFT");
            assert_eq!(row["expiry_date"], "2027-04-04");
            row["user_campaignid"].as_str().unwrap().to_owned()
        })
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, ["=b_1", "a_1", "c,d_1"]);
    let table = ask("Accept: text/csv\r\n").await;
    let mut rows: Vec<&str> = table.text().lines().collect();
    assert_eq!(
        rows.remove(0),
        "user_campaignid,promo_code,promocode,expiry_date"
    );
    rows.sort_unstable();
    let starts: Vec<&str> = rows
        .iter()
        .map(|row| row.split("_1").next().unwrap())
        .collect();
    assert_eq!(starts, ["\"c,d", "=b", "a"]);
    let unknown = service.get("/v1/tenants/acme/campaigns/404/codes").await;
    assert_eq!(unknown.problem(), (404, "not_found".to_owned()));
}

/// Lines of a table whose cells need no quotes, without the names of the columns.
fn cells(table: &Answer) -> Vec<Vec<String>> {
    let lines = table.text().lines().skip(1);
    let split = |line: &str| line.split(',').map(str::to_owned).collect();
    lines.map(split).collect()
}

#[tokio::test]
async fn codes_and_keys_come_back_as_they_were_loaded() {
    let service = service().await;
    let put = json!({"name": "Other", "kind": "unique"});
    service
        .call("PUT", "/v1/tenants/blue/promotions/GIFT", &put)
        .await;
    let loaded = ["-A1", "--B2", "_c-3", "D 4", "e5", "-F-6"];
    upload(&service, &loaded.join("\n")).await;
    let customers = ["=b", "+1", "-7", "@x", "'=y", "''-z"];
    service.campaign("-1", &customers, &["GIFT"], 0).await;
    let ask = |what: &str| {
        let request = format!(
            "GET /v1/tenants/acme/campaigns/-1/{what} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {ADMIN}\r\nAccept: text/csv\r\n\r\n"
        );
        service.send(request)
    };
    let mut expected: Vec<String> = customers.iter().map(|id| format!("{id}_-1")).collect();
    expected.sort_unstable();
    let rows = cells(&ask("codes").await);
    let mut keys: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys, expected,
        "the data connection looks customers up by it"
    );
    let mut codes: Vec<String> = rows.iter().map(|row| row[2].clone()).collect();
    codes.sort_unstable();
    let mut all = loaded.map(str::to_owned);
    all.sort_unstable();
    assert_eq!(codes, all);

    // A person's table is guarded; what is copied out of it into another pool is what it was.
    let rows = cells(&ask("grants").await);
    let copied: Vec<String> = rows.iter().map(|row| row[3].clone()).collect();
    assert!(copied.contains(&"'-A1".to_owned()), "{copied:?}");
    let file = copied.join("\n");
    let elsewhere =
        head(&format!("Content-Length: {}\r\n", file.len())).replace("/acme/", "/blue/");
    let report = service.send(format!("{elsewhere}{file}")).await.json();
    assert_eq!(
        (&report["loaded"], &report["rejected"]),
        (&json!(6), &json!(0))
    );
    service
        .plant(|tx| {
            let spelled = |code: &str| tx.find_code(2, code).map(|found| found.map(|one| one.code));
            let spellings: Result<Vec<_>, _> = ["A1", "B2", "C3", "D4", "E5", "F6"]
                .map(spelled)
                .into_iter()
                .collect();
            let spellings: Vec<_> = spellings?.into_iter().flatten().collect();
            assert_eq!(spellings, ["-A1", "--B2", "_c-3", "D 4", "e5", "-F-6"]);
            Ok(())
        })
        .await;
}

/// A file with a line for each number.
fn lines(numbers: std::ops::Range<u64>, line: impl Fn(u64) -> String) -> String {
    let mut file = String::new();
    for number in numbers {
        file.push_str(&line(number));
        file.push('\n');
    }
    file
}
