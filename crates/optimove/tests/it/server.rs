//! A small HTTP server whose answers are written by hand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use optimove::Client;
use optimove::client::{Auth, ClientBuilder, Limits};
use optimove::rate::{BudgetConfig, CallBudget};
use optimove::retry::RetryPolicy;
use optimove::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) at: Instant,
    /// How many requests came before it.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_login(&self) -> bool {
        self.target.to_lowercase().ends_with("/general/login")
    }
}

/// What the server does with a request.
pub(crate) enum Reply {
    /// A whole answer with its length.
    Full(u16, String),
    /// An answer with one more header line.
    With(u16, &'static str, String),
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, then nothing more while the client stays.
    BytesThenSilence(Vec<u8>),
    /// A promising start, then one byte at a time without end.
    Drip,
    /// The connection is closed without an answer.
    Lost,
}

pub(crate) fn ok(body: impl Into<String>) -> Reply {
    Reply::Full(200, body.into())
}

#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::new(Mutex::new(vec![])),
        };
        let seen = Arc::clone(&server.seen);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    // A client that hangs up early is part of many tests.
                    let _ = serve(stream, &seen, answer.as_ref()).await;
                });
            }
        });
        server
    }

    /// Answers the requests in turn; the last answer stays.
    pub(crate) async fn in_turn(replies: Vec<Box<dyn Fn() -> Reply + Send + Sync>>) -> Self {
        Self::start(move |request| replies[request.number.min(replies.len() - 1)]()).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .map(|request| request.target)
            .collect()
    }

    /// A builder with short waits, and with a budget that hardly makes anybody wait.
    pub(crate) fn builder(&self, auth: Auth) -> ClientBuilder {
        let config = BudgetConfig {
            calls_max: 1_000,
            window: Duration::from_millis(5),
        };
        Client::builder(&self.url(), auth)
            .retry(quick())
            .empty_page_wait(Duration::ZERO)
            .budget(Arc::new(CallBudget::new(config)))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder(key()).build().unwrap()
    }
}

pub(crate) fn key() -> Auth {
    Auth::ApiKey(Secret::new("canary-key"))
}

pub(crate) fn login() -> Auth {
    Auth::Login {
        user_name: "acme".into(),
        password: Secret::new("canary-password"),
    }
}

pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy {
        attempts_max: 3,
        wait_first: Duration::from_millis(1),
        rate_limited_wait_first: Duration::from_millis(1),
        wait_max: Duration::from_millis(2),
        hint_max: Duration::from_secs(1),
    }
}

pub(crate) fn once() -> RetryPolicy {
    RetryPolicy {
        attempts_max: 1,
        ..quick()
    }
}

pub(crate) fn short_limits() -> Limits {
    Limits {
        throughput_grace: Duration::from_millis(20),
        ..Limits::default()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(impl Fn(&Request) -> Reply + ?Sized),
) -> std::io::Result<()> {
    while let Some(mut request) = read(&mut stream).await? {
        {
            let mut seen = seen.lock().unwrap();
            request.number = seen.len();
            seen.push(request.clone());
        }
        let (status, header, body) = match answer(&request) {
            Reply::Full(status, body) => (status, "x-none: 0", body),
            Reply::With(status, header, body) => (status, header, body),
            Reply::Bytes(bytes) => return stream.write_all(&bytes).await,
            Reply::BytesThenSilence(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.read(&mut [0]).await.map(drop);
            }
            Reply::Drip => return drip(stream).await,
            Reply::Lost => return Ok(()),
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\n{header}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
    }
    Ok(())
}

/// One byte of a list every few milliseconds, until the client has enough.
async fn drip(mut stream: TcpStream) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n[")
        .await?;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    loop {
        beat.tick().await;
        stream.write_all(b" ").await?;
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (
        first.next().unwrap().to_owned(),
        first.next().unwrap().to_owned(),
    );
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).unwrap();
    Ok(Some(Request {
        method,
        target,
        headers,
        body,
        at: Instant::now(),
        number: 0,
    }))
}
