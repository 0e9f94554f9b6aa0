//! Schemathesis asks the real service whatever docs/openapi.json allows and much that it does not.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::cargo::{cargo, clean, succeed};
use crate::ha::target_folder;

/// What is installed, from the index of Python packages.
const PACKAGE: &str = "schemathesis==4.32.5";
const TOKEN: &str = "schema-admin-token-of-a-test";
/// Calls to Optimove in its window: more than are ever made.
const CALLS_MAX: &str = "100000";
/// What an answer is held to. Everything else it may say is free.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance";
/// Ids that are there, so that not every request is about nothing; the stream of events never ends.
const SETTINGS: &str = r#"
[parameters]
"path.tenant" = "acme"
"path.code" = ["FS20", "FS21", "a b"]
"path.customer" = ["a", "b c", "x/y"]

[[operations]]
include-path = "/v1/events"
enabled = false

[[operations]]
include-name = "DELETE /v1/tenants/{tenant}"
parameters = { "path.tenant" = "gone" }
"#;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Requests made up for each operation, beside those that are always asked.
    pub(crate) examples: u32,
    /// Where they begin.
    pub(crate) seed: u64,
    /// Seconds after which no more are made up.
    pub(crate) seconds_max: u32,
}

/// Asks with the admin's token and without any.
///
/// # Errors
/// Where an answer is not as described, or something does not start.
pub(crate) fn fuzz(root: &Path, effort: Effort) -> anyhow::Result<()> {
    let schemathesis = install(root)?;
    // As it is built for the tests, which may have been done already.
    succeed(cargo(
        root,
        "test --locked --workspace --all-features --no-run",
    ))?;
    let folder = std::env::temp_dir().join(format!("bestow-api-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let asked = ask_all(root, &schemathesis, &folder, effort);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    asked
}

fn ask_all(root: &Path, schemathesis: &Path, folder: &Path, effort: Effort) -> anyhow::Result<()> {
    let sandbox = Process::start(root, folder, "sandbox --listen 127.0.0.1:0")?;
    let service = Process::start(root, folder, "serve")?;
    stage(&service, &sandbox)?;
    let settings = folder.join("schemathesis.toml");
    fs::write(&settings, SETTINGS)?;
    let ask = |token: Option<&str>| {
        let mut command = Command::new(schemathesis);
        command
            .arg("--config-file")
            .arg(&settings)
            .arg("run")
            .arg(root.join("docs/openapi.json"))
            .args(["--url", &service.url, "--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing", "--no-color"])
            .args(["--request-timeout", "30", "--generation-database", "none"])
            .args(["--max-examples", &effort.examples.to_string()])
            .args(["--seed", &effort.seed.to_string()])
            .args(["--max-time", &effort.seconds_max.to_string()])
            .current_dir(folder);
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        succeed(command)
    };
    ask(Some(TOKEN)).context("with a token")?;
    ask(None).context("without a token")
}

/// A tenant of the sandbox's, and a promotion. The stand-in takes as many calls as the service may make: that it was
/// asked too often is no fault of an answer.
fn stage(service: &Process, sandbox: &Process) -> anyhow::Result<()> {
    let unlimited = format!(r#"{{"rate-limit-requests":{CALLS_MAX}}}"#);
    sandbox.send("PUT", "/_sandbox/switches", &unlimited)?;
    let tenant = format!(
        r#"{{"id":"acme","name":"Acme","time_zone":"UTC","optimove":{{"base_url":"{}","auth":{{"api_key":"acme-admin-key"}}}},
        "scheduled_channels":[504],"triggered_channels":[15],"conditional":true,"expiry":"duration"}}"#,
        sandbox.url
    );
    service.send("POST", "/v1/tenants", &tenant)?;
    let promotion = r#"{"name":"FS20","status":"active","kind":"shared","reward":{}}"#;
    service.send("PUT", "/v1/tenants/acme/promotions/FS20", promotion)
}

/// Installs Schemathesis beside what cargo builds, once.
fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = target_folder(root).join(PACKAGE.replace("==", "-"));
    let (program, done) = (folder.join("bin/st"), folder.join("installed"));
    if done.exists() {
        return Ok(program);
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    succeed(venv).context("`python3 -m venv` (on Debian: apt-get install python3-venv)")?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", PACKAGE]);
    succeed(pip).context("installing Schemathesis")?;
    fs::write(done, "")?;
    Ok(program)
}

/// A `bestow` that listens. Dropping it ends it.
struct Process {
    child: Child,
    url: String,
    /// Kept open: a process that cannot write its output ends.
    _out: BufReader<ChildStdout>,
}

impl Process {
    fn start(root: &Path, folder: &Path, arguments: &str) -> anyhow::Result<Self> {
        let mut child = clean(target_folder(root).join("debug/bestow"))
            .args(arguments.split_whitespace())
            .env("BESTOW_DATA_DIR", folder)
            .env("BESTOW_LISTEN", "127.0.0.1:0")
            .env("BESTOW_ADMIN_TOKEN", TOKEN)
            .env("BESTOW_LOG", "error")
            // Every answer is to be seen, not the one that there were too many.
            .env("BESTOW_RATES__REFUSALS_PER_MINUTE", "0")
            .env("BESTOW_RATES__CUSTOMER_PER_SECOND", "0")
            .env("BESTOW_OPTIMOVE__CALLS_MAX", CALLS_MAX)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `bestow`")?;
        let mut out = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ");
        let url = url.with_context(|| format!("`bestow {arguments}` did not listen"))?;
        Ok(Self {
            url: url.to_owned(),
            child,
            _out: out,
        })
    }

    /// Sends one request, which must succeed.
    fn send(&self, method: &str, path: &str, body: &str) -> anyhow::Result<()> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(
            answer.starts_with("HTTP/1.1 20"),
            "{method} {path}: {answer}"
        );
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
