//! What the tests share: a sandbox, a bare HTTP caller, and campaigns in one line.

use std::net::SocketAddr;

use optimove_sandbox::{ClockMode, Config, Sandbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The header that lets a call through.
pub(crate) const KEY: &str = "X-API-KEY: acme-admin-key";

/// An HTTP answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json().as_array().unwrap().clone()
    }
}

/// A sandbox with a clock that can be set and without a rate limit.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
}

impl World {
    pub(crate) async fn start() -> Self {
        let world = Self::with_seed(7).await;
        world.set(&json!({"rate-limit-requests": 0}));
        world
    }

    pub(crate) async fn with_seed(seed: u64) -> Self {
        let config = Config {
            seed,
            clock: ClockMode::Test,
            ..Config::default()
        };
        Self {
            sandbox: Sandbox::start(config).await.unwrap(),
        }
    }

    pub(crate) fn set(&self, switches: &Value) {
        self.sandbox.set_switches(switches).unwrap();
    }

    /// Sends a request and reads until the server closes; none if nothing came.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Option<Answer> {
        send(self.sandbox.address(), method, target, headers, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[KEY], b"").await.unwrap()
    }

    pub(crate) async fn post(&self, target: &str, body: Value) -> Answer {
        let headers = [KEY, "Content-Type: application/json"];
        self.send("POST", target, &headers, body.to_string().as_bytes())
            .await
            .unwrap()
    }

    /// Calls the control API; gives the status and the body.
    pub(crate) async fn control(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let target = format!("/_sandbox{path}");
        let answer = self
            .send(method, &target, &[], body.as_bytes())
            .await
            .unwrap();
        (answer.status, answer.json())
    }

    /// Calls the control API, which has to agree.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.control(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Moves the tenant to another time zone.
    pub(crate) async fn zone(&self, zone: &str) {
        let change = json!({ "time_zone": zone });
        self.ok("PUT", "/tenants/acme", change).await;
    }

    /// Sets the clock.
    pub(crate) fn at(&self, now: &str) {
        self.sandbox.set_now(now.parse().unwrap()).unwrap();
    }

    pub(crate) fn advance(&self, seconds: i64) {
        let span = jiff::SignedDuration::from_secs(seconds);
        self.sandbox.advance(span).unwrap();
    }

    /// Reports customers of a campaign as approved or denied; gives the status.
    pub(crate) async fn report(&self, id: u64, customers: &[(&str, bool)]) -> u16 {
        let entries = customers.iter();
        let entries: Vec<Value> = entries
            .map(|(customer, status)| json!({"CustomerID": customer, "Status": status}))
            .collect();
        let body = json!({"CampaignID": id, "PromosUpdated": entries});
        let target = "/Integrations/UpdateCustomerPromotionStatus";
        self.post(target, body).await.status
    }

    /// The notifications of the log, of one event type.
    pub(crate) async fn told(&self, event: u64) -> Vec<Value> {
        let log = self.ok("GET", "/notifications", Value::Null).await;
        let log = log["data"].as_array().unwrap().iter();
        let of_type = log.filter(|one| one["event_type"] == event);
        let bodies =
            of_type.map(|one| serde_json::from_str(one["body"].as_str().unwrap()).unwrap());
        bodies.collect()
    }

    /// Plans and executes a campaign of `count` customers with one action and one code.
    pub(crate) fn executed(&self, id: u64, count: u64) -> u64 {
        self.executed_spec(simple(id, count))
    }

    pub(crate) fn executed_spec(&self, spec: Value) -> u64 {
        let id = self.sandbox.add_campaign(spec).unwrap();
        self.sandbox.process(id).unwrap();
        id
    }

    /// All rows of a campaign on a channel, read in pages of `top`.
    pub(crate) async fn read_all(&self, id: u64, channel: u64, top: u64) -> Vec<Value> {
        let mut rows = Vec::new();
        loop {
            let skip = rows.len();
            let page = self
                .get(&page_target(id, channel, top, skip as u64))
                .await
                .rows();
            if page.is_empty() {
                return rows;
            }
            assert!(page.len() as u64 <= top);
            rows.extend(page);
        }
    }
}

pub(crate) fn page_target(id: u64, channel: u64, top: u64, skip: u64) -> String {
    format!(
        "/current/customers/GetCustomerExecutionDetailsByCampaign\
         ?CampaignID={id}&ChannelID={channel}&$top={top}&$skip={skip}"
    )
}

pub(crate) fn simple(id: u64, count: u64) -> Value {
    json!({
        "tenant": "acme", "id": id, "duration": 7, "lead_time": 0,
        "audience": {"count": count, "prefix": "P-"},
        "actions": [{"id": 24, "name": "Reload", "promo_codes": ["FS20"],
                     "channels": [{"id": 504, "template_id": 520}]}],
    })
}

/// The values of one field over all rows.
pub(crate) fn column<'a>(rows: &'a [Value], name: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[name].as_str().unwrap()).collect()
}

pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n");
    let length = format!("Content-Length: {}", body.len());
    for header in headers.iter().copied().chain([length.as_str(), ""]) {
        request.push_str(header);
        request.push_str("\r\n");
    }
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    // A connection broken on purpose may end with an error; what came before counts.
    let _ = stream.read_to_end(&mut answer).await;
    Answer::parse(&answer)
}
