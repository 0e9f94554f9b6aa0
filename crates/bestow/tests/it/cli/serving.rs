use bestow::cli::call::Caller;
use http::Method;
use serde_json::{Value, json};

use crate::home::Home;

use super::{Running, command, run, run_with_input};

const TOKEN: &str = "cli-test-token-with-enough-characters";
/// Looks at a condition that has to come true within a second or so.
const LOOKS_MAX: u32 = 200_000;
/// Commands that are run until something that takes a second or so is there.
const COMMANDS_MAX: u32 = 2_000;

fn serve(dir: &Home) -> Running {
    Running::start(command(dir).arg("serve").env("BESTOW_ADMIN_TOKEN", TOKEN))
}

fn caller(running: &Running, token: &str) -> Caller {
    Caller::new(running.address.parse().expect("an address"), Some(token))
}

#[tokio::test]
async fn a_second_service_on_the_same_database_is_refused() {
    let dir = Home::new();
    let first = serve(&dir);
    if crate::home::server().is_some() {
        // A server may be shared; what several do there has tests of its own.
        let second = serve(&dir);
        second.signal("TERM");
        assert_eq!(second.end(), Some(0));
    } else {
        run(&dir, &["serve"]).failed(&["another Bestow is already running", "stop it first"]);
    }
    let (status, _) = caller(&first, TOKEN)
        .json(Method::GET, "/healthz", &Value::Null)
        .await
        .unwrap();
    assert_eq!(status, 200);
}

#[test]
fn a_signal_ends_it_well_and_the_database_can_be_served_again() {
    let dir = Home::new();
    for signal in ["TERM", "INT"] {
        let running = serve(&dir);
        running.signal(signal);
        assert_eq!(running.end(), Some(0), "{signal}");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let dir = Home::new();
    let first = serve(&dir);
    let other = Home::new();
    let second = command(&other)
        .arg("serve")
        .env("BESTOW_LISTEN", &first.address)
        .output();
    super::Ended::of(second.unwrap()).failed(&[&first.address]);
}

#[tokio::test]
async fn what_a_command_changes_is_noticed_by_a_running_service() {
    let dir = Home::new();
    let running = serve(&dir);
    let made = run(&dir, &["token", "create", "--name", "x", "--role", "admin"]).done();
    let caller = caller(&running, made.out.trim());
    let add = [
        "tenant",
        "add",
        "acme",
        "--time-zone",
        "UTC",
        "--base-url",
        "http://127.0.0.1:9",
        "--api-key-file",
        "-",
    ];
    run_with_input(&dir, &add, "key\n").done();
    for _ in 0..LOOKS_MAX {
        let (status, view) = caller
            .json(Method::GET, "/v1/tenants/acme", &Value::Null)
            .await
            .unwrap();
        if status == 200 {
            assert_eq!(view["id"], "acme");
            let path = "/v1/tenants/acme/audit";
            let audit = caller.json(Method::GET, path, &Value::Null).await.unwrap();
            let cause = audit.1["data"][0]["correlation"].as_str();
            assert!(
                cause.is_some_and(|id| id.starts_with("cmd_")),
                "the record names the command: {audit:?}"
            );
            return;
        }
    }
    panic!("the service does not notice");
}

#[tokio::test]
async fn the_clock_is_movable_only_when_asked_for() {
    let dir = Home::new();
    let body = json!({"now": "2027-03-25T06:00:00Z"});
    let plain = serve(&dir);
    let answer = caller(&plain, TOKEN)
        .json(Method::PUT, "/v1/clock", &body)
        .await
        .unwrap();
    assert_eq!(answer.0, 404);
    plain.signal("TERM");
    plain.end();
    let mut command = command(&dir);
    let movable = Running::start(
        command
            .args(["serve", "--test-clock"])
            .env("BESTOW_ADMIN_TOKEN", TOKEN),
    );
    let answer = caller(&movable, TOKEN)
        .json(Method::PUT, "/v1/clock", &body)
        .await
        .unwrap();
    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn the_sandbox_plays_alone() {
    let dir = Home::new();
    let args = [
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--seed",
        "7",
        "--test-clock",
    ];
    let running = Running::start(command(&dir).args(args));
    let control = Caller::new(running.address.parse().unwrap(), None);
    let clock = json!({"now": "2027-03-25T06:00:00Z"});
    control
        .ok(Method::PUT, "/_sandbox/clock", &clock)
        .await
        .unwrap();
    running.signal("INT");
    assert_eq!(running.end(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_lost_key_is_replaced_as_the_handbook_says() {
    let (dir, fresh, world) = (Home::new(), Home::new(), Home::new());
    let mut sandbox = command(&world);
    let sandbox = Running::start(sandbox.args(["sandbox", "--listen", "127.0.0.1:0"]));
    let base_url = format!("http://{}", sandbox.address);
    let add = [
        "tenant",
        "add",
        "acme",
        "--time-zone",
        "Europe/Lisbon",
        "--base-url",
        &base_url,
        "--api-key-file",
        "-",
        "--scheduled-channels",
        "504",
    ];
    run_with_input(&dir, &add, "acme-admin-key\n").done();
    let with_url = |args: &[&str]| {
        let url = "http://127.0.0.1:8080";
        let output = command(&dir)
            .args(args)
            .env("BESTOW_PUBLIC_URL", url)
            .output();
        super::Ended::of(output.expect("it runs"))
    };
    with_url(&["listeners", "sync", "acme"]).done();

    run(&fresh, &["migrate"]).done();
    std::fs::rename(
        fresh.path().join("bestow.key"),
        dir.path().join("bestow.key"),
    )
    .unwrap();
    with_url(&["listeners", "show", "acme"]).failed(&["cannot be opened", "key file"]);
    run_with_input(
        &dir,
        &["tenant", "rotate", "acme", "--api-key-file", "-"],
        "acme-admin-key",
    )
    .done();
    with_url(&["tenant", "rotate", "acme", "--listeners"]).done();

    let doctor = with_url(&["doctor"]);
    assert_eq!(
        (doctor.code, doctor.out.as_str()),
        (Some(0), ""),
        "{doctor:?}"
    );
}

#[tokio::test]
async fn a_whole_deployment_by_commands() {
    let dir = Home::new();
    let world = Home::new();
    let sandbox = Running::start(command(&world).args(["sandbox", "--listen", "127.0.0.1:0"]));
    let running = serve(&dir);
    let base_url = format!("http://{}", sandbox.address);
    let add = [
        "tenant",
        "add",
        "acme",
        "--time-zone",
        "Europe/Lisbon",
        "--base-url",
        &base_url,
        "--api-key-file",
        "-",
        "--scheduled-channels",
        "504",
    ];
    run_with_input(&dir, &add, "acme-admin-key\n").done();
    run_with_input(
        &dir,
        &["promotions", "import", "acme", "-"],
        "code,name\nFS20,Spins\n",
    )
    .done();
    run(&dir, &["promotions", "sync", "acme"]).done();
    let public_url = format!("http://{}", running.address);
    let with_url = |args: &[&str]| {
        let output = command(&dir)
            .args(args)
            .env("BESTOW_PUBLIC_URL", &public_url)
            .output();
        super::Ended::of(output.expect("it runs"))
    };
    assert_eq!(with_url(&["listeners", "show", "acme"]).code, Some(1));
    with_url(&["listeners", "sync", "acme"]).done();
    with_url(&["listeners", "show", "acme"]).done();
    let doctor = with_url(&["doctor"]);
    assert_eq!(
        (doctor.code, doctor.out.as_str()),
        (Some(0), ""),
        "{doctor:?}"
    );
    run(&dir, &["listeners", "sync", "acme"]).failed(&["BESTOW_PUBLIC_URL"]);
}

#[test]
fn checkpoints_that_were_kept_are_compared_with_the_records() {
    let dir = Home::new();
    let running = Running::start(
        command(&dir)
            .arg("serve")
            .env("BESTOW_WORK__SEAL_SECONDS", "1"),
    );
    run(
        &dir,
        &["token", "create", "--name", "x", "--role", "viewer"],
    )
    .done();
    let mut kept = String::new();
    for _ in 0..COMMANDS_MAX {
        kept = run(&dir, &["audit", "checkpoints"]).done().out;
        if !kept.is_empty() {
            break;
        }
    }
    for line in kept.lines() {
        let checkpoint: Value = serde_json::from_str(line).expect("a line is one object");
        assert_eq!(checkpoint["tenant"], Value::Null, "of the deployment");
    }
    assert!(!kept.is_empty(), "nothing was sealed");
    running.signal("TERM");
    running.end();
    let file = dir.path().join("checkpoints.ndjson");
    std::fs::write(&file, &kept).unwrap();
    let file = file.display().to_string();
    run(&dir, &["verify", "--checkpoints", &file]).done();
    std::fs::write(&file, kept.replace("\"seq\":1", "\"seq\":2")).unwrap();
    let found = run(&dir, &["verify", "--checkpoints", &file]);
    assert_eq!(found.code, Some(1));
    assert!(found.out.contains("audit_is_what_was_signed"), "{found:?}");
}
