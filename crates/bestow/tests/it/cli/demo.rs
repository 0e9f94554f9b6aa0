use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::{Ended, command};
use crate::home;

/// How many customers the demo has, unless 20,000.
const CUSTOMERS: &str = "BESTOW_TEST_DEMO_CUSTOMERS";

/// A demo that ends by itself.
fn play(dir: &TempDir, args: &[&str]) -> Ended {
    let output = command(dir.path())
        .arg("demo")
        .args(args)
        .args(on_server())
        .output();
    Ended::of(output.expect("it runs"))
}

/// On the server that services of tests are kept on, if there is one.
fn on_server() -> Vec<String> {
    home::server().map_or_else(Vec::new, |url| vec!["--database".to_owned(), url])
}

#[test]
fn the_demo_ends_well_and_says_so_in_its_last_line() {
    let dir = tempdir().unwrap();
    let customers = std::env::var(CUSTOMERS).unwrap_or_else(|_| "20000".to_owned());
    let ended = play(&dir, &["--customers", &customers, "--once", "--json"]).done();
    let last = ended.out.lines().last().expect("a last line");
    let summary: Value = serde_json::from_str(last).expect("a JSON object");
    assert_eq!(summary["verified"], true, "{ended:?}");
    let counts = &summary["counts"];
    let number = |value: &Value| value.as_u64().expect("a number");
    assert_eq!(
        number(&counts["pairs"]),
        number(&counts["granted"]) + number(&counts["repeated"])
    );
    assert_eq!(summary["expected"], counts["granted"]);
    assert!(number(&counts["granted"]) > customers.parse().expect("a number"));
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
}

#[test]
fn a_demo_that_stays_up_is_ended_by_ctrl_c_and_leaves_nothing() {
    let dir = tempdir().unwrap();
    let mut child = command(dir.path())
        .args(["demo", "--customers", "200"])
        .args(on_server())
        .env("TMPDIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let told = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut lines = Vec::new();
    for line in told.map_while(Result::ok) {
        let stays = line.contains("stays up");
        lines.push(line);
        if stays {
            break;
        }
    }
    let last = lines.last().map_or("", String::as_str);
    assert!(
        last.contains("stays up") && last.contains("http://127.0.0.1:"),
        "{lines:?}"
    );
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "INT", &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_demo_for_one_customer_holds_too() {
    let dir = tempdir().unwrap();
    let ended = play(&dir, &["--customers", "1", "--once", "--json"]);
    let summary: Value = serde_json::from_str(ended.out.lines().last().expect("a line")).unwrap();
    assert_eq!(summary["missing"], 0);
    assert_eq!(summary["unexpected"], 0);
}
