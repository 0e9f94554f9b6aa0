//! A plain HTTP load: many connections, one request in flight on each, written and read by hand so that the server
//! and not the load is what is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of one answer, at most.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// Latencies are kept up to this many microseconds.
pub(super) const LATENCY_US_MAX: u64 = 60_000_000;

/// What a load is made of.
pub(super) struct Load {
    /// Where to.
    pub(super) address: SocketAddr,
    /// Connections, each with one request in flight.
    pub(super) connections: usize,
    /// How long requests are sent.
    pub(super) span: Duration,
    /// The status that counts as an answer.
    pub(super) status: u16,
    /// What the body of a right answer begins with.
    pub(super) begins: &'static [u8],
    /// What it ends with.
    pub(super) ends: &'static [u8],
}

/// What came of a load.
#[derive(Debug)]
pub(super) struct Measured {
    /// Answers with the right status.
    pub(super) answers: u64,
    /// Answers with another one.
    pub(super) invalid: u64,
    /// From the first request to the last answer.
    pub(super) took: Duration,
    /// Microseconds.
    pub(super) latency: Histogram<u64>,
}

impl Measured {
    /// Right answers per second.
    pub(super) fn rate(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }

    /// A latency in milliseconds.
    pub(super) fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

impl Load {
    /// Sends what `request` writes for each number, one after the other on each connection.
    pub(super) async fn run(
        &self,
        request: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> anyhow::Result<Measured> {
        self.run_paced(None, request).await
    }

    /// The same at a rate of so many requests per second, whatever the answers take: the latency of a request is
    /// counted from when it should have been sent.
    pub(super) async fn run_at(
        &self,
        rate: f64,
        request: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> anyhow::Result<Measured> {
        let between = Duration::from_secs_f64(1.0 / rate.max(1.0));
        self.run_paced(Some(between), request).await
    }

    async fn run_paced(
        &self,
        between: Option<Duration>,
        request: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> anyhow::Result<Measured> {
        let request = Arc::new(request);
        let (numbers, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let start = now();
        let mut clients = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let stream = TcpStream::connect(self.address)
                .await
                .context("connecting")?;
            stream.set_nodelay(true)?;
            let client = Client {
                stream,
                status: self.status,
                begins: self.begins,
                ends: self.ends,
                buffer: Vec::new(),
                pace: between.map(|between| (start, between)),
            };
            let (request, numbers, stop) = (
                Arc::clone(&request),
                Arc::clone(&numbers),
                Arc::clone(&stop),
            );
            clients.push(tokio::spawn(client.run(request, numbers, stop)));
        }
        tokio::time::sleep(self.span).await;
        stop.store(true, Ordering::Relaxed);
        let mut all = Measured {
            answers: 0,
            invalid: 0,
            took: Duration::ZERO,
            latency: Histogram::new_with_max(LATENCY_US_MAX, 3)?,
        };
        for client in clients {
            let (answers, invalid, latency) = client.await??;
            all.answers += answers;
            all.invalid += invalid;
            all.latency.add(latency)?;
        }
        all.took = start.elapsed();
        Ok(all)
    }
}

struct Client {
    stream: TcpStream,
    status: u16,
    begins: &'static [u8],
    ends: &'static [u8],
    buffer: Vec<u8>,
    /// When the first request is due, and how far apart they are.
    pace: Option<(Instant, Duration)>,
}

impl Client {
    async fn run(
        mut self,
        request: Arc<impl Fn(u64, &mut Vec<u8>)>,
        numbers: Arc<AtomicU64>,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<(u64, u64, Histogram<u64>)> {
        let mut latency = Histogram::new_with_max(LATENCY_US_MAX, 3)?;
        let (mut answers, mut invalid) = (0, 0);
        let mut out = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            out.clear();
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            request(number, &mut out);
            let sent = match self.pace {
                Some((first, between)) => {
                    let due = first + between.mul_f64(number as f64);
                    tokio::time::sleep_until(due.into()).await;
                    due
                }
                None => now(),
            };
            self.stream.write_all(&out).await?;
            let status = self.answer().await?;
            latency.saturating_record(sent.elapsed().as_micros() as u64);
            if status == Some(self.status) {
                answers += 1;
            } else {
                invalid += 1;
            }
        }
        Ok((answers, invalid, latency))
    }

    /// Reads one whole answer and gives its status, if its body begins as it should.
    async fn answer(&mut self) -> anyhow::Result<Option<u16>> {
        self.buffer.clear();
        loop {
            if let Some((status, body, end)) = head(&self.buffer)
                && self.buffer.len() >= end
            {
                let body = &self.buffer[body..end];
                let is_right = body.starts_with(self.begins) && body.ends_with(self.ends);
                return Ok(is_right.then_some(status));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                bail!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
            }
        }
    }
}

/// Status of an answer whose head is complete, where its body starts and where it ends.
pub(super) fn head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let body = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse::<usize>().ok())
        .unwrap_or(0);
    Some((status, end, end + body))
}

/// Appends a POST request with a JSON body.
pub(super) fn post(out: &mut Vec<u8>, path: &str, token: Option<&str>, body: &str) {
    post_with(out, path, token, "", body);
}

/// The same with further lines of its head.
pub(super) fn post_with(
    out: &mut Vec<u8>,
    path: &str,
    token: Option<&str>,
    lines: &str,
    body: &str,
) {
    use std::io::Write;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lines}{}Content-Length: {}\r\n\r\n{body}",
        authorization.unwrap_or_default(),
        body.len()
    );
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
