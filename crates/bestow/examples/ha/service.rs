//! The service as a process of its own on the cluster.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};
use bestow::cli::call::Caller;
use http::Method;
use optimove_sandbox::Sandbox;
use serde_json::{Value, json};

const TOKEN: &str = "ha-admin-token-with-enough-characters";
/// Looks that fail in a row before the service is given up: it answers 503 while there is no primary.
const FAILURES_MAX: u32 = 6_000;

pub(crate) struct Service {
    child: Child,
    caller: Caller,
    home: tempfile::TempDir,
    listeners: OnceLock<Vec<optimove::wire::RegisteredListener>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        // Whether it went by itself is nobody's concern any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let mut child = command("serve", &home)?.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.context("the service does not start")?.parse()?;
        let caller = Caller::new(address, Some(TOKEN));
        Ok(Self {
            child,
            caller,
            home,
            listeners: OnceLock::new(),
        })
    }

    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Makes tenant `acme`, its codes and its listeners.
    pub(crate) async fn set_up(&self, sandbox: &Sandbox) -> anyhow::Result<()> {
        let tenant = json!({
            "id": "acme", "name": "Acme", "time_zone": "UTC",
            "optimove": {"base_url": sandbox.url(), "auth": {"api_key": "acme-admin-key"}},
            "scheduled_channels": [504], "conditional": true, "expiry": "duration",
        });
        self.caller.ok(Method::POST, "/v1/tenants", &tenant).await?;
        for code in ["FS20", "CB10"] {
            let put = json!({"name": code, "status": "active", "kind": "shared", "reward": {}});
            let path = format!("/v1/tenants/acme/promotions/{code}");
            self.caller.ok(Method::PUT, &path, &put).await?;
        }
        self.caller
            .ok(
                Method::POST,
                "/v1/tenants/acme/listeners/sync",
                &Value::Null,
            )
            .await?;
        let auth = optimove::client::Auth::ApiKey(optimove::Secret::new("acme-admin-key"));
        let client = optimove::Client::builder(&sandbox.url(), auth).build()?;
        let there = client.get_registered_event_listeners().await?;
        self.listeners.set(there).ok().context("set up twice")
    }

    /// Where an event is sent, event 13 that of channel 504.
    pub(crate) fn sender(&self, event: i64) -> anyhow::Result<(Caller, String)> {
        let mut listeners = self.listeners.get().into_iter().flatten();
        let found = listeners
            .find(|one| one.event_type == event && (event != 13 || one.channel_id == Some(504)));
        let url = found.context("no such listener")?.listener_url.expose();
        let at = url.find("/optimove/").context("the path of a listener")?;
        Ok((self.caller(), url[at..].to_owned()))
    }

    /// An event about a campaign, acknowledged.
    pub(crate) async fn tell(&self, event: i64, body: &Value) -> anyhow::Result<()> {
        let mut body = body.clone();
        body["EventTypeID"] = event.into();
        body["TimeStamp"] = "2026-03-04 09:05".into();
        let (caller, path) = self.sender(event)?;
        caller.ok(Method::POST, &path, &body).await.map(|_| ())
    }

    /// From now on notifications are kept, and not worked on.
    pub(crate) fn suspend(&self) -> anyhow::Result<()> {
        let suspended = command("tenant", &self.home)?
            .args(["suspend", "acme"])
            .output()?;
        ensure!(
            suspended.status.success(),
            "{}",
            String::from_utf8_lossy(&suspended.stderr)
        );
        Ok(())
    }

    /// Waits until what is known of a campaign is as `is_so` says.
    pub(crate) async fn wait_for(
        &self,
        campaign: u64,
        is_so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let path = format!("/v1/tenants/acme/campaigns/{campaign}");
        let mut failures = 0;
        let mut last = Value::Null;
        while failures < FAILURES_MAX {
            match self.caller.json(Method::GET, &path, &Value::Null).await {
                Ok((status, seen)) if status.is_success() => {
                    if is_so(&seen) {
                        return Ok(());
                    }
                    ensure!(seen["status"] != "failed", "{seen}");
                    (failures, last) = (0, seen);
                }
                Ok(_) | Err(_) => failures += 1,
            }
            tokio::time::sleep(crate::LOOK).await;
        }
        anyhow::bail!("the service does not come back; last seen: {last}")
    }

    /// All rows of a list.
    pub(crate) async fn rows(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{path}?limit=1000{cursor}");
            let mut page = self.caller.ok(Method::GET, &path, &Value::Null).await?;
            if let Value::Array(data) = page["data"].take() {
                rows.extend(data);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(rows),
            }
        }
    }

    /// Customer and code of every grant of a campaign.
    pub(crate) async fn ledger(&self, campaign: u64) -> anyhow::Result<Vec<(String, String)>> {
        let mut grants = Vec::new();
        let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants");
        let take = |line: &[u8]| {
            let grant: Value = serde_json::from_slice(line)?;
            let text = |name: &str| grant[name].as_str().unwrap_or_default().to_owned();
            grants.push((text("customer_id"), text("promo_code")));
            Ok(())
        };
        self.caller.lines(&path, take).await?;
        Ok(grants)
    }

    /// No invariant is broken.
    pub(crate) fn verify(&self) -> anyhow::Result<()> {
        let verified = command("verify", &self.home)?.output()?;
        ensure!(
            verified.status.success(),
            "{}",
            String::from_utf8_lossy(&verified.stdout)
        );
        Ok(())
    }
}

fn command(name: &str, home: &tempfile::TempDir) -> anyhow::Result<Command> {
    let named = |name| {
        std::env::var_os(name).with_context(|| format!("{name} is not set: use `cargo xtask ha`"))
    };
    let mut command = Command::new(PathBuf::from(named("BESTOW_HA_PROGRAM")?));
    command
        .arg(name)
        .current_dir(home.path())
        .env("BESTOW_DATABASE_URL", named("BESTOW_HA_DATABASE")?)
        .env("BESTOW_DATA_DIR", home.path())
        .env("BESTOW_LISTEN", "127.0.0.1:0")
        .env("BESTOW_ADMIN_TOKEN", TOKEN)
        .env("BESTOW_LOG", "off")
        .env("BESTOW_OPTIMOVE__PAGE_ROWS", "500")
        .env("BESTOW_OPTIMOVE__CALLS_MAX", "100000")
        .env("BESTOW_WORK__MERGE_GRANTS_MAX", "1000")
        .env("BESTOW_WORK__EMPTY_ANSWER_WAIT_MS", "1");
    Ok(command)
}
