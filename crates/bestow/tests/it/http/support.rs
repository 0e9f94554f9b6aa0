//! A service of its own for each test, facts planted in its store, and a client that sends exactly
//! what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;

use bestow::actor::{Actor, Role};
use bestow::app::App;
use bestow::clock::Clock;
use bestow::config::{AdminToken, Config};
use bestow::http::Server;
use bestow::random::Random;
use bestow::service::{promotions, tenants, tokens};
use bestow_core::id::fold_customer;
use bestow_store::block::{Entry, Landing};
use bestow_store::campaigns::WindowSpec;
use bestow_store::imports::LandingPage;
use bestow_store::merge::{MergeChunk, NewGrant, WindowRef};
use bestow_store::{Error as StoreError, Migrate, Tx};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::home::Home;

/// Where each test's clock stands.
pub(crate) const NOW: &str = "2027-03-25T06:00:00Z";
/// The admin token of each test's service.
pub(crate) const ADMIN: &str = "test-admin-token-with-enough-characters";
const DAY_MS: i64 = 86_400_000;
const LEASE_MS: i64 = 60_000;
const CHANNEL: i64 = 504;

/// A running service with a database of its own.
pub(crate) struct Service {
    pub(crate) app: Arc<App>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    _home: Home,
}

impl Service {
    /// With a clock that can be moved, and tenants `acme` and `blue`.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let at: Timestamp = NOW.parse().unwrap();
        Self::start_on(Clock::standing(at), change).await
    }

    /// On another clock.
    pub(crate) async fn start_on(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let home = Home::new();
        let mut config = home.config();
        config.admin_token = AdminToken(ADMIN.to_owned());
        change(&mut config);
        let app = App::open(config, clock, Random::seeded(7), Migrate::Apply).unwrap();
        let server = Server::bind(Arc::clone(&app), "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let running = tokio::spawn(server.run(stop.clone()));
        let this = Self {
            app,
            address,
            stop,
            running,
            _home: home,
        };
        for id in ["acme", "blue"] {
            this.make_tenant(id).await;
        }
        this
    }

    async fn make_tenant(&self, id: &str) {
        let new = serde_json::from_value(tenant(id)).unwrap();
        tenants::create(&self.app, &Actor::cli(), new)
            .await
            .unwrap();
    }

    /// A token of this role, bound to a tenant or to none.
    pub(crate) async fn token(&self, role: Role, tenant: Option<&str>) -> String {
        let new = json!({"name": "test", "role": role.as_str(), "tenant": tenant});
        let new = serde_json::from_value(new).unwrap();
        tokens::create(&self.app, &Actor::cli(), new)
            .await
            .unwrap()
            .token
    }

    /// Puts a promotion of `acme`.
    pub(crate) async fn promotion(&self, code: &str, status: &str) {
        let put = json!({"name": code, "status": status, "kind": "shared", "reward": {}});
        let put = serde_json::from_value(put).unwrap();
        let acme = self.app.tenant("acme").unwrap();
        promotions::put(&self.app, &Actor::cli(), &acme, code, put)
            .await
            .unwrap();
    }

    /// Runs a transaction that must succeed.
    pub(crate) async fn plant<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.app.tx("plant", work).await.unwrap()
    }

    /// Lands and merges a campaign of `acme` in which each of these customers gets each of the
    /// codes. Its windows start `starts_days` from now and last ten days.
    pub(crate) async fn campaign(
        &self,
        id: &str,
        customers: &[&str],
        codes: &[&str],
        starts_days: i64,
    ) {
        let tenant = self.app.tenant("acme").unwrap().no();
        let starts_at = self.app.clock.now_ms() + starts_days * DAY_MS;
        let planted = Planted {
            tenant,
            id: id.to_owned(),
            customers: customers
                .iter()
                .map(|&customer| customer.to_owned())
                .collect(),
            codes: codes.iter().map(|&code| code.to_owned()).collect(),
            window: WindowSpec {
                starts_at,
                ends_at: Some(starts_at + 10 * DAY_MS),
                action: 24,
                channel: CHANNEL,
                walls: bestow_store::campaigns::Walls {
                    starts: None,
                    ends: None,
                },
            },
        };
        self.plant(move |tx| planted.write(tx)).await;
        self.app.facts_changed();
    }

    /// Sends a request as the admin.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call_as(Some(ADMIN), method, path, body).await
    }

    /// A GET as the admin.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &Value::Null).await
    }

    /// Sends a request with a token, or without.
    pub(crate) async fn call_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let json = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{}{json}\
             Content-Length: {}\r\n\r\n",
            token.unwrap_or_default(),
            body.len()
        );
        self.send([head.as_bytes(), body.as_bytes()].concat()).await
    }

    /// Sends bytes as they are and reads the answer until the connection ends.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The service may have heard enough before the end.
        let _ = stream.write_all(bytes.as_ref()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Answer::read(&answer)
    }

    /// Everything that a request may change, to compare with later.
    pub(crate) fn everything(&self) -> Vec<String> {
        let peek = |tx: &mut Tx<'_>| {
            let mut all = vec![format!("{:?}", tx.tenants("", 1_000)?)];
            for tenant in tx.tenants("", 1_000)? {
                let no = tenant.no;
                all.push(format!("{:?}", tx.promotions(no, "", 1_000)?));
                all.push(format!("{:?}", tx.campaigns(no, 0, 1_000)?));
                all.push(format!("{:?}", tx.audit_records(no, 0, 1_000)?));
            }
            all.push(format!("{:?}{:?}", tx.inbox_size()?, tx.jobs()?));
            Ok::<_, StoreError>(all)
        };
        self.app.store.read(peek).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The body that makes a tenant.
pub(crate) fn tenant(id: &str) -> Value {
    json!({
        "id": id, "name": id, "time_zone": "UTC",
        "optimove": {"base_url": "http://127.0.0.1:1", "auth": {"api_key": "acme-admin-key"}},
        "scheduled_channels": [504, 505], "triggered_channels": [15], "conditional": true,
        "expiry": "duration",
    })
}

#[derive(Clone)]
struct Planted {
    tenant: i64,
    id: String,
    customers: Vec<String>,
    codes: Vec<String>,
    window: WindowSpec,
}

impl Planted {
    fn write(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let tenant = self.tenant;
        let (no, _) = tx.see_campaign(tenant, &self.id, "scheduled", "notification")?;
        tx.want_import(tenant, no, CHANNEL)?;
        tx.want_job(tenant, "import", &no.to_string(), 0)?;
        let job = tx.claim_job(LEASE_MS)?.expect("the job is due");
        tx.begin_pass(&job, no, CHANNEL, 1, 1_000)?;
        let mut offers = Vec::new();
        for code in &self.codes {
            let fold = code.to_lowercase();
            let known = tx.promotion(tenant, &fold)?.is_some();
            let hold = (!known).then_some("unknown_code");
            offers.push((tx.offer_for(tenant, no, &fold, code, hold)?.no, known));
        }
        let window = tx.window_for(tenant, no, &self.window)?;
        tx.land_page(&job, no, &self.page(&offers, window), LEASE_MS)?;
        tx.set_import_state(tenant, no, CHANNEL, "read", None)?;
        tx.begin_merge(&job, no, 1)?;
        tx.merge_chunk(&job, no, &self.chunk(&offers, window), LEASE_MS)?;
        tx.end_merge(&job, no)?;
        tx.set_import_state(tenant, no, CHANNEL, "done", None)?;
        tx.finish_job(&job, None)
    }

    fn page(&self, offers: &[(u32, bool)], window: u32) -> LandingPage {
        let mut landing = Landing::default();
        for (row, customer) in self.customers.iter().enumerate() {
            for &(offer, _) in offers {
                landing.push(Entry {
                    customer,
                    offer,
                    window,
                    mark: 0,
                    row: row as u32,
                });
            }
        }
        let rows = self.customers.len() as u64;
        let (pairs, (blocks, customers)) = (landing.len() as u64, landing.pack());
        LandingPage {
            channel: CHANNEL,
            pass: 1,
            skip: 0,
            rows,
            rows_without_code: 0,
            pairs,
            customers,
            digest: vec![7; 32],
            blocks,
            held: Vec::new(),
        }
    }

    fn chunk(&self, offers: &[(u32, bool)], window: u32) -> MergeChunk {
        let mut customers: Vec<_> = self.customers.clone();
        customers.sort_by_key(|customer| fold_customer(customer).into_owned());
        let held = offers.iter().filter(|(_, known)| !known).count() * customers.len();
        let mut chunk = MergeChunk {
            counts: vec![
                ("rows".into(), customers.len() as i64),
                ("pairs".into(), (customers.len() * offers.len()) as i64),
                ("held:unknown_code".into(), held as i64),
            ],
            customers: customers.len() as u64,
            ..MergeChunk::default()
        };
        for customer in &customers {
            let start = chunk.text.len() as u32;
            chunk.text.push_str(customer);
            let end = chunk.text.len() as u32;
            for &(offer, _) in offers.iter().filter(|(_, known)| *known) {
                let window = WindowRef::Known(window);
                chunk.grants.push(NewGrant {
                    start,
                    end,
                    offer,
                    window,
                    page: 1,
                });
            }
            chunk.last_fold = fold_customer(customer).into_owned();
        }
        chunk
    }
}

/// An answer, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// 0: the connection ended without one.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            return Self {
                status: 0,
                headers: vec![],
                body: vec![],
            };
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        let this = Self {
            status,
            headers: lines.map(header).collect(),
            body: vec![],
        };
        let body = &bytes[end + 4..];
        let body = match this.header("transfer-encoding") {
            Some("chunked") => unchunk(body),
            _ => body.to_vec(),
        };
        Self { body, ..this }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The status and, of a problem document, its code. Checks that the document is one.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert_eq!(document["type"], "about:blank");
        assert!(
            document["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        let has_reference = document["reference"].is_string();
        assert_eq!(has_reference, self.status >= 500, "{document}");
        (self.status, document["code"].as_str().unwrap().to_owned())
    }

    /// The rows of a list, and where it goes on.
    pub(crate) fn list(&self) -> (Vec<Value>, Option<String>) {
        assert_eq!(self.status, 200, "{}", self.text());
        let document = self.json();
        let next = document["next_cursor"].as_str().map(str::to_owned);
        (document["data"].as_array().unwrap().clone(), next)
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    body
}
