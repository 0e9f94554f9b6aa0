//! A process that serves, to be stopped, killed and started again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use bestow::cli::call::Caller;
use http::Method;
use serde_json::Value;

use crate::home::Home;

pub(crate) const TOKEN: &str = "nodes-test-token-with-enough-characters";

/// One of several. Killed without a warning when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) caller: Caller,
}

impl Node {
    /// Starts one whose leases last a second, with these settings beside.
    pub(crate) fn start(home: &Home, more: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bestow"))
            .arg("serve")
            .current_dir(home.path())
            .envs(home.environment())
            .env("BESTOW_LISTEN", "127.0.0.1:0")
            .env("BESTOW_ADMIN_TOKEN", TOKEN)
            .env("BESTOW_LOG", "off")
            .env("BESTOW_WORK__LEASE_SECONDS", "1")
            .env("BESTOW_WORK__POLL_MS", "100")
            .env("BESTOW_WORK__RETRY_MS", "20")
            .env("BESTOW_WORK__RETRY_MAX_SECONDS", "1")
            .env("BESTOW_WORK__EMPTY_ANSWER_WAIT_MS", "1")
            .env("BESTOW_WORK__SWEEP_SECONDS", "1000000")
            .env("BESTOW_WORK__CATALOGUE_SECONDS", "1000000")
            .env("BESTOW_OPTIMOVE__RETRY_MS", "20")
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
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

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let answer = self.caller.json(method, path, body).await.ok();
        answer.map(|(status, body)| (status.as_u16(), body))
    }

    /// A request that has to succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.call(method.clone(), path, body).await;
        match answer {
            Some((200..300, answer)) => answer,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, &Value::Null).await
    }

    /// One of its numbers; `None` where it does not answer.
    pub(crate) async fn number(&self, name: &str) -> Option<u64> {
        let mut found = None;
        let told = self.caller.lines("/metrics", |line| {
            let text = std::str::from_utf8(line)?;
            let number = text.strip_prefix(name).map(str::trim);
            found = found.or(number.and_then(|number| number.parse().ok()));
            Ok(())
        });
        told.await.ok()?;
        found
    }

    /// Writes of this process that were refused, since others had its jobs; `None` where it does not answer.
    pub(crate) async fn stale_writes(&self) -> Option<u64> {
        self.number("bestow_stale_writes_refused_total").await
    }

    /// `STOP` and `CONT`: it stands still in the middle of whatever it does, and goes on as if nothing had happened.
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
    pub(crate) fn end(mut self) {
        self.signal("TERM");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
