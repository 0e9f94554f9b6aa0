//! Moving house under a running service, and backups beside one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::tempdir;

use crate::home::Home;

use super::commands::add_acme;
use super::{Ended, Running, command, run};

/// A move that says what it waits for.
struct Moving {
    child: Child,
    err: BufReader<ChildStderr>,
}

impl Moving {
    fn start(home: &Home, to: &str) -> Self {
        let mut child = command(home)
            .args(["move", "--to", to])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let err = child.stderr.take().expect("piped");
        Self {
            child,
            err: BufReader::new(err),
        }
    }

    fn until(&mut self, says: &str) {
        let mut line = String::new();
        while !line.contains(says) {
            line.clear();
            let read = self.err.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended without a word of {says:?}");
        }
    }

    fn end(self) -> Ended {
        let Self { child, mut err } = self;
        let mut ended = Ended::of(child.wait_with_output().expect("it ends"));
        std::io::Read::read_to_string(&mut err, &mut ended.err).expect("text");
        ended
    }
}

/// A command of the same deployment whose database is at `url`.
fn at<'c>(command: &'c mut Command, url: &str) -> &'c mut Command {
    command.env("BESTOW_DATABASE_URL", url)
}

fn file_in(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("moved.db").display())
}

fn new_token(home: &Home, name: &str) {
    run(
        home,
        &["token", "create", "--name", name, "--role", "viewer"],
    )
    .done();
}

#[test]
fn moved_while_it_serves_though_killed_on_the_way() {
    let home = Home::new();
    let service = Running::start(command(&home).arg("serve"));
    add_acme(&home);
    let folder = tempdir().unwrap();
    let to = file_in(folder.path());

    let mut killed = Moving::start(&home, &to);
    killed.until("stop the service now");
    killed.child.kill().expect("kill -9");
    assert_eq!(killed.end().code, None);
    let half = at(command(&home).arg("serve"), &to).output().unwrap();
    Ended::of(half).failed(&["unfinished copy"]);

    new_token(&home, "behind-the-first-pass");
    let mut moving = Moving::start(&home, &to);
    moving.until("stop the service now");
    new_token(&home, "behind-the-second");
    service.signal("TERM");
    assert_eq!(service.end(), Some(0));
    let moved = moving.end().done();
    assert!(moved.out.contains("api_token 2 "), "{moved:?}");
    assert!(moved.out.contains("tenant 1 "), "{moved:?}");
    assert!(moved.err.contains("verify: 0 violations"), "{moved:?}");

    let service = Running::start(at(command(&home).arg("serve"), &to));
    let tokens = at(command(&home).args(["token", "list"]), &to).output();
    let tokens = Ended::of(tokens.unwrap()).done().out;
    assert!(tokens.contains("behind-the-first-pass"), "{tokens}");
    assert!(tokens.contains("behind-the-second"), "{tokens}");
    drop(service);

    for refused in [&["serve"][..], &["move", "--to", &to], &["token", "list"]] {
        run(&home, refused).failed(&["was moved to", "--take-back"]);
    }
    run(&home, &["move", "--take-back"]).done();
    run(&home, &["token", "list"]).done();
    run(&home, &["move", "--to", &to]).failed(&["holds something already"]);
}

#[test]
fn backed_up_beside_a_service_and_restored() {
    let home = Home::new();
    let service = Running::start(command(&home).arg("serve"));
    add_acme(&home);
    let folder = tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let name = file.display().to_string();
    let made = run(&home, &["backup", "--to", &name]).done();
    new_token(&home, "later");
    drop(service);

    let to = file_in(folder.path());
    let restore = || {
        let mut restore = command(&home);
        at(&mut restore, &to).args(["restore", "--from", &name]);
        Ended::of(restore.output().expect("it runs"))
    };
    let restored = restore().done();
    assert_eq!(restored.out, made.out, "the same rows");
    let tenants = at(command(&home).args(["tenant", "list"]), &to).output();
    assert!(Ended::of(tenants.unwrap()).done().out.contains("acme"));
    restore().failed(&["holds something already"]);

    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let other = tempdir().unwrap();
    let refused = at(
        command(&home).args(["restore", "--from", &name]),
        &file_in(other.path()),
    )
    .output();
    assert_eq!(Ended::of(refused.unwrap()).code, Some(1));
    run(&home, &["backup", "--to", "/nowhere/at/all/backup.db"]).failed(&["there is no folder"]);
}
