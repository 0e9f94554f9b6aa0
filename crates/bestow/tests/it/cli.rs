//! The command line, as processes of their own: exit codes, messages, and what each command does to
//! a database.

mod commands;
mod demo;
mod house;
mod serving;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::home::Home;

/// What a command works on: a folder with a database file, or whatever a home is.
trait Place {
    fn folder(&self) -> &Path;
    fn environment(&self) -> Vec<(&'static str, String)>;
}

impl Place for Path {
    fn folder(&self) -> &Path {
        self
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("BESTOW_DATA_DIR", self.display().to_string())]
    }
}

impl Place for Home {
    fn folder(&self) -> &Path {
        self.path()
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment().into_iter().collect()
    }
}

/// A command on the database of `place`, without anything of the environment that tests run in.
fn command(place: &(impl Place + ?Sized)) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bestow"));
    command
        .current_dir(place.folder())
        .env_clear()
        .envs(place.environment())
        .env("BESTOW_LISTEN", "127.0.0.1:0")
        .env("BESTOW_LOG", "error");
    command
}

/// Runs it to its end.
fn run(place: &(impl Place + ?Sized), args: &[&str]) -> Ended {
    Ended::of(command(place).args(args).output().expect("it runs"))
}

/// Runs it with something on standard input.
fn run_with_input(place: &(impl Place + ?Sized), args: &[&str], input: &str) -> Ended {
    let mut child = command(place)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    // A command that ends without reading its input closes the pipe; its answer says why.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ended::of(child.wait_with_output().expect("it ends"))
}

/// What a command left behind.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// It was done.
    fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It failed, with one line that says all of these.
    fn failed(self, says: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.err.trim().lines().count(), 1, "{self:?}");
        for words in says {
            assert!(self.err.contains(words), "{words} is not in {self:?}");
        }
    }
}

/// A command that goes on until it is told to stop; killed when dropped.
struct Running {
    child: Child,
    /// Where it listens.
    address: String,
    _out: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.expect("the promised line").to_owned();
        Self {
            child,
            address,
            _out: out,
        }
    }

    /// Sends a signal by its name.
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end.
    fn end(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
