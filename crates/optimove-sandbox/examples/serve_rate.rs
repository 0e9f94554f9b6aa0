//! How many customer rows a second the sandbox serves, against what a server that only copies
//! prepared bytes does in the same run.
//!
//! ```text
//! cargo run --release -p optimove-sandbox --example serve_rate [-- SECONDS]
//! ```
//!
//! The sandbox and the raw server run on a thread each; the reader, bare HTTP over a socket, on a
//! third. So the figures are rows per second and core.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use optimove_sandbox::{Config, Sandbox};
use serde_json::json;

/// Rows in a page.
const PAGE_ROWS: u64 = 10_000;
/// Customers in the campaign.
const AUDIENCE: u64 = 10_000_000;

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(3, |text| text.parse().expect("whole seconds"));
    let time = Duration::from_secs(seconds);
    let address = start_sandbox();
    let sample = page(&mut connect(address), 0);
    let raw_address = start_raw(sample.clone());
    // Alternating, so that a change in the machine's load hits both alike.
    let (mut ours, mut raw) = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        raw = raw.max(rate(raw_address, time / 3));
        ours = ours.max(rate(address, time / 3));
    }
    report(&sample, ours, raw);
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the program is for"
)]
fn report(sample: &[u8], ours: f64, raw: f64) {
    println!("page: {PAGE_ROWS} rows, {} bytes", sample.len());
    println!("sandbox: {:.2} million rows/s", ours / 1e6);
    println!(
        "raw copy of the same bytes: {:.2} million rows/s",
        raw / 1e6
    );
    println!("ratio: {:.2}", ours / raw);
}

/// A sandbox on a thread of its own, with one executed campaign.
fn start_sandbox() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let sandbox = Sandbox::start(Config::default())
                .await
                .expect("a free port");
            sandbox
                .set_switches(&json!({"rate-limit-requests": 0}))
                .expect("a known switch");
            let spec = json!({
                "tenant": "acme", "id": 5101, "control_share": 0.1,
                "audience": {"count": AUDIENCE, "prefix": "P-"},
                "actions": [
                    {"id": 24, "share": 0.6, "promo_codes": ["FS20", "CB10"],
                     "channels": [{"id": 504, "template_id": 520}]},
                    {"id": 65, "share": 0.4, "promo_codes": ["FS20"],
                     "channels": [{"id": 504, "template_id": 521}]},
                ],
            });
            sandbox.add_campaign(spec).expect("a sound campaign");
            sandbox.process(5101).expect("a draft");
            sender
                .send(sandbox.address())
                .expect("the main thread waits");
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().expect("the sandbox starts")
}

/// A server that answers every request with the same bytes.
fn start_raw(body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer_all(stream, &body).ok();
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut request = [0; 4_096];
    loop {
        let mut read = 0;
        while !request[..read].ends_with(b"\r\n\r\n") {
            match stream.read(&mut request[read..])? {
                0 => return Ok(()),
                more => read += more,
            }
        }
        // A copy, as each page of the sandbox is a buffer of its own.
        let answer = [head.as_bytes(), body].concat();
        stream.write_all(&answer)?;
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a listening server");
    stream.set_nodelay(true).expect("a connected socket");
    stream
}

/// Rows a second, page after page over one connection.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement needs the real time"
)]
fn rate(address: SocketAddr, time: Duration) -> f64 {
    let mut stream = connect(address);
    let started = Instant::now();
    let mut rows = 0;
    while started.elapsed() < time {
        let body = page(&mut stream, rows % (AUDIENCE / 2));
        assert!(body.ends_with(b"}]"), "a whole page");
        rows += PAGE_ROWS;
    }
    rows as f64 / started.elapsed().as_secs_f64()
}

/// One page of rows, read by content length.
fn page(stream: &mut TcpStream, skip: u64) -> Vec<u8> {
    let request = format!(
        "GET /current/customers/GetCustomerExecutionDetailsByCampaign?CampaignID=5101\
         &ChannelID=504&$top={PAGE_ROWS}&$skip={skip} HTTP/1.1\r\n\
         Host: sandbox\r\nX-API-KEY: acme-admin-key\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .expect("an open connection");
    let mut answer = vec![0; 64 * 1_024];
    let mut read = 0;
    let (head, length) = loop {
        read += stream
            .read(&mut answer[read..])
            .expect("an open connection");
        if let Some(end) = answer[..read]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            break (end + 4, content_length(&answer[..end]));
        }
    };
    let already = read - head;
    let mut body = answer[head..read].to_vec();
    body.resize(length, 0);
    stream
        .read_exact(&mut body[already..])
        .expect("a whole answer");
    body
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).expect("a head in ASCII");
    let mut lengths = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().ok())?
    });
    lengths.next().expect("an answer with a length")
}
