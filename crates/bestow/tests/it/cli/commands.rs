use std::process::Stdio;

use serde_json::Value;
use tempfile::tempdir;

use super::{Ended, command, run, run_with_input};

/// Adds tenant `acme`, whose Optimove nobody listens for.
pub(super) fn add_acme(dir: &(impl super::Place + ?Sized)) {
    let args = [
        "tenant",
        "add",
        "acme",
        "--time-zone",
        "Europe/Lisbon",
        "--base-url",
        "http://127.0.0.1:9",
        "--api-key-file",
        "-",
        "--scheduled-channels",
        "504,505",
    ];
    run_with_input(dir, &args, "the-key\n").done();
}

#[test]
fn bad_usage_is_two() {
    let dir = tempdir().unwrap();
    for args in [
        &["nonsense"][..],
        &[],
        &["tenant"],
        &["tenant", "add"],
        &["tenant", "show"],
        &["token", "create", "--name", "x", "--role", "king"],
        &["sandbox", "--listen", "nowhere"],
        &["demo", "--customers", "many"],
        &["verify", "--fast"],
        &["codes", "import"],
        &["migrate", "--engine", "oracle"],
        &["migrate", "--engine", "citus", "--pieces", "0"],
        &["migrate", "--print"],
    ] {
        let ended = run(dir.path(), args);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.out, "", "{args:?}");
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn statements_that_spread_the_tables_are_printed() {
    let dir = tempdir().unwrap();
    for (engine, says) in [
        (
            "partitions",
            "PARTITION OF grants FOR VALUES WITH (MODULUS 7, REMAINDER 6);",
        ),
        (
            "citus",
            "SELECT create_distributed_table('grants', 'customer', ",
        ),
        ("yugabyte", "SPLIT INTO 7 TABLETS;"),
        ("cockroach", "USING HASH WITH (bucket_count = 7);"),
    ] {
        let args = ["migrate", "--engine", engine, "--pieces", "7", "--print"];
        let printed = run(dir.path(), &args).done().out;
        assert!(printed.contains(says), "{printed}");
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
    let refused = run(dir.path(), &["migrate", "--engine", "partitions"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("SQLite is one file"), "{refused:?}");
}

#[test]
fn a_reader_that_has_seen_enough_may_go() {
    let dir = tempdir().unwrap();
    // The description is far larger than a pipe holds, so that the command meets the closed end.
    let mut child = command(dir.path())
        .arg("openapi")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
}

#[test]
fn help_and_version_are_answers() {
    let dir = tempdir().unwrap();
    let help = run(dir.path(), &["--help"]).done().out;
    for command in [
        "serve",
        "sandbox",
        "demo",
        "tenant",
        "token",
        "listeners",
        "promotions",
        "codes",
        "campaign",
        "migrate",
        "move",
        "backup",
        "restore",
        "verify",
        "doctor",
        "bench",
    ] {
        assert!(help.contains(command), "{command}");
    }
    assert!(!help.contains("openapi"));
    assert!(
        run(dir.path(), &["--version"])
            .done()
            .out
            .starts_with("bestow ")
    );
}

#[test]
fn what_needs_a_database_says_where_it_looked_and_makes_none() {
    let dir = tempdir().unwrap();
    for args in [
        &["verify"][..],
        &["tenant", "list"],
        &["token", "list"],
        &["listeners", "show", "acme"],
        &["promotions", "sync", "acme"],
        &["campaign", "list", "acme"],
    ] {
        run(dir.path(), args).failed(&["there is no database at", "bestow.db", "BESTOW_DATA_DIR"]);
    }
    let doctor = run(dir.path(), &["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let dir = tempdir().unwrap();
    run(dir.path(), &["--config", "missing.toml", "verify"])
        .failed(&["missing.toml", "cannot be read"]);
    std::fs::write(dir.path().join("bestow.toml"), "lisen = \"127.0.0.1:0\"").unwrap();
    run(dir.path(), &["verify"]).failed(&["settings are not valid", "lisen"]);
    std::fs::write(dir.path().join("bestow.toml"), "database_url = \"mysql:x\"").unwrap();
    run(dir.path(), &["migrate"]).failed(&["is not a database address"]);
}

#[test]
fn a_tenant_is_added_shown_suspended_and_resumed() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    let list = run(dir.path(), &["tenant", "list"]).done().out;
    assert!(list.contains("acme") && list.contains("504,505"), "{list}");
    let show = run(dir.path(), &["tenant", "show", "acme"]).done().out;
    let view: Value = serde_json::from_str(&show).unwrap();
    assert_eq!(
        (&view["id"], &view["status"]),
        (&"acme".into(), &"active".into())
    );
    assert!(!show.contains("the-key"));
    assert!(
        run(dir.path(), &["tenant", "suspend", "acme"])
            .done()
            .out
            .contains("suspended")
    );
    assert!(
        run(dir.path(), &["tenant", "resume", "acme"])
            .done()
            .out
            .contains("active")
    );
    run(dir.path(), &["tenant", "show", "other"]).failed(&["no such tenant", "bestow tenant list"]);
}

#[test]
fn secrets_come_from_files_standard_input_or_the_environment() {
    let dir = tempdir().unwrap();
    let add = [
        "tenant",
        "add",
        "acme",
        "--time-zone",
        "UTC",
        "--base-url",
        "http://127.0.0.1:9",
    ];
    run(dir.path(), &add).failed(&["a credential is needed", "--api-key-file"]);
    let with = |more: &[&str]| run(dir.path(), &[&add[..], more].concat());
    with(&["--api-key-file", "missing"]).failed(&["missing cannot be read"]);
    std::fs::write(dir.path().join("key"), "\n").unwrap();
    with(&["--api-key-file", "key"]).failed(&["no secret in key"]);
    assert_eq!(with(&["--username", "u"]).code, Some(2));
    std::fs::write(dir.path().join("password"), "s3cret\r\n").unwrap();
    with(&["--username", "u", "--password-file", "password"]).done();
    // The same again from the environment differs in the credential only.
    let again = command(dir.path())
        .args(add)
        .env("BESTOW_OPTIMOVE_API_KEY", "k")
        .output()
        .unwrap();
    Ended::of(again).failed(&["with another auth"]);
    run(dir.path(), &["tenant", "rotate", "acme"]).failed(&["nothing to replace"]);
    run_with_input(
        dir.path(),
        &["tenant", "rotate", "acme", "--api-key-file", "-"],
        "new-key\n",
    )
    .done();
    let view = run(dir.path(), &["tenant", "show", "acme"]).done().out;
    assert!(view.contains("api_key"), "{view}");
}

#[test]
fn a_token_is_printed_once_and_can_be_revoked() {
    let dir = tempdir().unwrap();
    let made = run(
        dir.path(),
        &["token", "create", "--name", "shop", "--role", "viewer"],
    )
    .done();
    let token = made.out.trim();
    assert!(token.starts_with("bst_"), "{made:?}");
    assert_eq!(made.out.lines().count(), 1, "scripts read it");
    let id = token.split('_').nth(1).unwrap();
    let list = run(dir.path(), &["token", "list"]).done().out;
    assert!(
        list.contains(id) && list.contains("valid") && !list.contains(token),
        "{list}"
    );
    run(dir.path(), &["token", "revoke", id]).done();
    assert!(
        run(dir.path(), &["token", "list"])
            .done()
            .out
            .contains("revoked")
    );
    run(dir.path(), &["token", "revoke", id]).failed(&["no such token"]);
    let bound = [
        "token", "create", "--name", "x", "--role", "viewer", "--tenant", "nobody",
    ];
    run(dir.path(), &bound).failed(&["no such tenant"]);
}

#[test]
fn promotions_are_imported_from_a_file_and_listed() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    let import = ["promotions", "import", "acme", "-"];
    let ended = run_with_input(
        dir.path(),
        &import,
        "code,name\nFS20,20 spins\nCB10,Cashback\n",
    )
    .done();
    assert!(ended.err.contains("2 created"), "{ended:?}");
    let ended = run_with_input(dir.path(), &import, "code,name\nFS20,20 spins\n\"A,B\",x\n");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("line 3") && ended.err.contains("1 unchanged"),
        "{ended:?}"
    );
    let list = run(dir.path(), &["promotions", "list", "acme"]).done().out;
    assert_eq!(list.lines().count(), 3, "{list}");
    run(dir.path(), &["promotions", "sync", "acme"]).failed(&["Optimove"]);
}

#[test]
fn a_campaign_that_is_not_there_is_not_found() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    assert_eq!(
        run(dir.path(), &["campaign", "list", "acme"])
            .done()
            .out
            .lines()
            .count(),
        1
    );
    run(dir.path(), &["campaign", "show", "acme", "5101"]).failed(&["no such campaign"]);
    run(dir.path(), &["campaign", "resume", "acme", "5101"]).failed(&["no such campaign"]);
    run(dir.path(), &["campaign", "revoke", "acme", "5101"]).failed(&["no such campaign"]);
}

#[test]
fn migrate_and_verify_hold_for_a_fresh_database() {
    let dir = tempdir().unwrap();
    run(dir.path(), &["migrate"]).done();
    run(dir.path(), &["migrate"]).done();
    let verify = run(dir.path(), &["verify"]).done();
    assert_eq!(
        (verify.out.as_str(), verify.err.trim()),
        ("", "every invariant holds")
    );
}

#[test]
fn a_database_without_its_key_is_refused() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    std::fs::remove_file(dir.path().join("bestow.key")).unwrap();
    for args in [&["tenant", "list"][..], &["serve"], &["migrate"]] {
        run(dir.path(), args).failed(&["bestow.key is missing", "restore it"]);
    }
    let doctor = run(dir.path(), &["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor.out.contains("restore it from your backup"),
        "{doctor:?}"
    );
    assert!(
        !dir.path().join("bestow.key").exists(),
        "no other key was made"
    );
}

#[test]
fn doctor_names_what_is_wrong_with_its_fix() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    let doctor = run(dir.path(), &["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(doctor.out.contains("error: tenant acme"), "{doctor:?}");
    assert!(doctor.out.contains("base URL"), "{doctor:?}");
}

#[test]
fn the_description_of_the_api_is_printed() {
    let dir = tempdir().unwrap();
    let out = run(dir.path(), &["openapi"]).done().out;
    let document: Value = serde_json::from_str(&out).unwrap();
    assert!(document["paths"]["/v1/tenants"].is_object());
}

#[test]
fn unique_codes_are_loaded_from_a_file_and_made() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    let file = dir.path().join("promotions.csv");
    std::fs::write(
        &file,
        "code,name,kind\nFS20,Free shipping,\nGIFT,Gift,unique\n",
    )
    .unwrap();
    let file = file.display().to_string();
    run(dir.path(), &["promotions", "import", "acme", &file]).done();
    run(dir.path(), &["codes", "generate", "acme", "FS20", "5"]).failed(&["unique"]);

    let show = |code| run(dir.path(), &["codes", "show", "acme", code]);
    show("NONE").failed(&["promotion"]);
    let load = |input| run_with_input(dir.path(), &["codes", "import", "acme", "GIFT", "-"], input);
    let loaded = load("A1\nB2\nB-2\n").done();
    assert_eq!(loaded.err.trim(), "2 loaded, 1 duplicates, 0 rejected");
    let rejected = load("A1\nno,code\nC3\n");
    assert_eq!(rejected.code, Some(1));
    let words = "line 2: bad_character\n1 loaded, 1 duplicates, 1 rejected";
    assert_eq!(rejected.err.trim(), words);
    let made = run(dir.path(), &["codes", "generate", "acme", "gift", "5"]).done();
    assert_eq!(made.err.trim(), "5 codes loaded");
    let shown: Value = serde_json::from_str(&show("GIFT").done().out).unwrap();
    assert_eq!((&shown["loaded"], &shown["free"]), (&8.into(), &8.into()));
    run(dir.path(), &["codes", "export", "acme", "5101"]).failed(&["campaign"]);
    run(dir.path(), &["verify"]).done();
}

#[test]
fn what_waits_and_what_differs_is_listed_and_settled() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    for list in ["held", "findings"] {
        let ended = run(dir.path(), &[list, "list", "acme"]).done();
        assert_eq!(ended.out.lines().count(), 1, "a head: {ended:?}");
    }
    let released = run(dir.path(), &["held", "release", "acme"]).done().out;
    let released: Value = serde_json::from_str(&released).unwrap();
    assert_eq!(released["campaigns"], Value::Array(Vec::new()));
    run(dir.path(), &["held", "list", "acme", "--reason", "mood"]).failed(&["reason"]);
    let settle = ["findings", "settle", "acme", "drift", "x", "--reason", "ok"];
    run(dir.path(), &settle).failed(&["no such finding"]);
    let asked = run(dir.path(), &["eligibility", "acme", "C1", "FS20"]).done();
    let answer: Value = serde_json::from_str(&asked.out).unwrap();
    assert_eq!(
        (&answer["eligible"], &answer["reason"]),
        (&Value::Bool(false), &Value::from("unknown_promotion"))
    );
}

#[test]
fn a_tenant_is_changed_by_what_an_object_names() {
    let dir = tempdir().unwrap();
    add_acme(dir.path());
    let change = ["tenant", "change", "acme", "-"];
    let object = r#"{"codes_at_once_max": 2, "guards": {"campaign_customers_max": 1000}}"#;
    let changed = run_with_input(dir.path(), &change, object).done();
    let changed: Value = serde_json::from_str(&changed.out).unwrap();
    assert_eq!(changed["codes_at_once_max"], 2);
    assert_eq!(changed["guards"]["campaign_customers_max"], 1_000);
    assert_eq!(changed["time_zone"], "Europe/Lisbon", "the rest stays");
    run_with_input(dir.path(), &change, r#"{"colour": 1}"#)
        .failed(&["no change of a tenant", "colour"]);
    let trail = run(dir.path(), &["audit", "list", "acme"]).done().out;
    let trail: Vec<Value> = trail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let actions: Vec<_> = trail.iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["tenant.created", "tenant.changed"]);
    let cause = trail[1]["correlation"].as_str().unwrap();
    let of_cause = ["audit", "list", "acme", "--correlation", cause];
    let found = run(dir.path(), &of_cause).done().out;
    assert_eq!(found.lines().count(), 1);
    assert!(found.contains("tenant.changed"), "{found}");
}
