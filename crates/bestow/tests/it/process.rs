//! The service as a process of its own, to be stopped, killed and started again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use bestow::cli::call::Caller;
use http::Method;
use serde_json::Value;

use crate::home::Home;

/// Every process here takes it for the administrator's.
pub(crate) const TOKEN: &str = "process-test-token-with-enough-characters";

/// The program, in this home.
pub(crate) fn bestow(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bestow"));
    command
        .current_dir(home.path())
        .envs(home.environment())
        .env("BESTOW_ADMIN_TOKEN", TOKEN);
    command
}

/// What a command says that has to succeed.
pub(crate) fn says(home: &Home, command: &[&str]) -> String {
    let ran = bestow(home).args(command).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{command:?}: {said}");
    said
}

/// Runs `bestow verify`, which has to find nothing.
pub(crate) fn verify(home: &Home) {
    says(home, &["verify"]);
}

/// One that serves. Killed without a warning when dropped.
pub(crate) struct Process {
    child: Child,
    /// Asks it with [`TOKEN`].
    pub(crate) caller: Caller,
}

impl Process {
    /// Starts one with these settings, and waits until it listens.
    pub(crate) fn start(home: &Home, settings: &[(&str, &str)]) -> Self {
        let mut child = bestow(home)
            .arg("serve")
            .env("BESTOW_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .expect("the promised line");
        let address = address.parse().expect("an address");
        Self {
            child,
            caller: Caller::new(address, Some(TOKEN)),
        }
    }

    /// Its answer; `None` where it gives none.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let answer = self.caller.json(method, path, body).await.ok();
        answer.map(|(status, body)| (status.as_u16(), body))
    }

    /// Its answer, whatever it says.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.try_call(method, path, body).await;
        answer.expect("the service answers")
    }

    /// The answer to a request that has to succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: &Value) -> Value {
        match self.try_call(method.clone(), path, body).await {
            Some((200..300, answer)) => answer,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    /// What is at a path.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, &Value::Null).await
    }

    /// All rows of a list.
    pub(crate) async fn rows(&self, path: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit=1000{cursor}")).await;
            rows.extend(page["data"].as_array().expect("a list").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// `STOP` and `CONT`: it stands still in the middle of whatever it does, and goes on as if nothing had happened.
    #[cfg(feature = "postgres-tests")]
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("signals can be sent");
        assert!(sent.success(), "{signal}");
    }

    /// SIGKILL: no handler, no flush, no goodbye.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM, and waits for its end.
    #[cfg(feature = "postgres-tests")]
    pub(crate) fn end(mut self) {
        self.signal("TERM");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
