//! How fast the sandbox is: customer rows a second of each list, against what a server that only
//! copies prepared bytes does in the same run; the time of a call that reports ten thousand
//! customers; triggers a second.
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

use optimove_sandbox::{ClockMode, Config, Sandbox};
use serde_json::{Value, json};

/// Rows in a page.
const PAGE_ROWS: u64 = 10_000;
/// Customers in each campaign.
const AUDIENCE: u64 = 10_000_000;
/// Triggers sent.
const TRIGGERS: u64 = 50_000;

/// Lists that are read, by name and request.
const LISTS: [(&str, &str); 6] = [
    (
        "sent",
        "GetCustomerExecutionDetailsByCampaign?CampaignID=5101&ChannelID=504",
    ),
    (
        "sent to the approved",
        "GetCustomerExecutionDetailsByCampaign?CampaignID=5102",
    ),
    (
        "to approve",
        "GetProcessedCampaignCustomers?CampaignID=5102",
    ),
    ("ended", "GetCustomersActionEndedByDate?Date=2027-03-08"),
    ("targeted", "GetCurrentlyTargetedCustomers?"),
    ("cancelled", "GetCanceledCampaignCustomers?CampaignID=5103"),
];

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(3, |text| text.parse().expect("whole seconds"));
    let time = Duration::from_secs(seconds);
    let address = start_sandbox();
    play(address);
    for (name, list) in LISTS {
        measure(address, name, list, time);
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the program is for"
)]
fn measure(address: SocketAddr, name: &str, list: &str, time: Duration) {
    let sample = page(&mut connect(address), list, 0);
    let raw_address = start_raw(sample.clone());
    // Alternating, so that a change in the machine's load hits both alike.
    let (mut ours, mut raw) = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        raw = raw.max(rate(raw_address, list, time / 3));
        ours = ours.max(rate(address, list, time / 3));
    }
    println!(
        "{name}: {:.2} million rows/s, {} bytes a row; raw copy {:.2}, ratio {:.2}",
        ours / 1e6,
        sample.len() as u64 / PAGE_ROWS,
        raw / 1e6,
        ours / raw
    );
}

/// A sandbox on a thread of its own.
fn start_sandbox() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let sandbox = Sandbox::start(Config {
                clock: ClockMode::Test,
                ..Config::default()
            });
            let sandbox = sandbox.await.expect("a free port");
            sender
                .send(sandbox.address())
                .expect("the main thread waits");
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().expect("the sandbox starts")
}

/// An executed campaign, an approved one, a cancelled one, and triggers.
fn play(address: SocketAddr) {
    let mut stream = connect(address);
    let mut control = |method: &str, path: &str, body: &Value| {
        call(
            &mut stream,
            method,
            &format!("/_sandbox/{path}"),
            &body.to_string(),
        );
    };
    control("PUT", "switches", &json!({"rate-limit-requests": 0}));
    control("PUT", "clock", &json!({"now": "2027-03-01T06:00:00Z"}));
    for id in [5101, 5102, 5103] {
        control("POST", "campaigns", &campaign(id));
    }
    let hold = json!({"clearance_in_seconds": 3_600});
    control("POST", "campaigns/5102/process", &hold);
    report(address);
    // The first connection may have been closed while nothing came over it.
    let mut stream = connect(address);
    let mut control = |method: &str, path: &str, body: &Value| {
        call(
            &mut stream,
            method,
            &format!("/_sandbox/{path}"),
            &body.to_string(),
        );
    };
    for id in [5101, 5103] {
        control("POST", &format!("campaigns/{id}/process"), &json!({}));
    }
    control("POST", "campaigns/5103/cancel", &json!({}));
    control("POST", "clock/advance", &json!({"seconds": 3_600}));
    trigger(address);
}

fn campaign(id: u64) -> Value {
    json!({
        "tenant": "acme", "id": id, "control_share": 0.1,
        "kind": if id == 5102 { "conditional" } else { "scheduled" },
        "audience": {"count": AUDIENCE, "prefix": "P-"},
        "actions": [
            {"id": 24, "share": 0.6, "promo_codes": ["FS20", "CB10"],
             "channels": [{"id": 504, "template_id": 520}]},
            {"id": 65, "share": 0.4, "promo_codes": ["FS20"],
             "channels": [{"id": 504, "template_id": 521}]},
        ],
    })
}

/// Approves two of three customers, ten thousand a call; says what a call takes.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement needs the real time"
)]
fn report(address: SocketAddr) {
    let mut stream = connect(address);
    let calls = AUDIENCE / PAGE_ROWS;
    let mut spent = Duration::ZERO;
    for number in 0..calls {
        let customers = number * PAGE_ROWS + 1..=(number + 1) * PAGE_ROWS;
        let entries =
            customers.map(|id| json!({"CustomerID": format!("P-{id}"), "Status": id % 3 != 0}));
        let body = json!({"CampaignID": 5102, "PromosUpdated": entries.collect::<Vec<_>>()});
        let body = body.to_string();
        let started = Instant::now();
        call(
            &mut stream,
            "POST",
            "/integrations/UpdateCustomerPromotionStatus",
            &body,
        );
        spent += started.elapsed();
    }
    println!(
        "reporting {PAGE_ROWS} customers: {:.2} ms a call",
        spent.as_secs_f64() * 1e3 / calls as f64
    );
}

/// Triggers one after the other over one connection; says how many a second.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement needs the real time"
)]
fn trigger(address: SocketAddr) {
    let url = format!("http://{}/", start_listener());
    let listener = json!({"EventTypeID": 11, "ChannelID": 15, "ListenerURL": url});
    let mut stream = connect(address);
    let register = "/general/RegisterEventListener";
    call(&mut stream, "POST", register, &listener.to_string());
    let campaign = json!({
        "tenant": "acme", "id": "rt-812", "kind": "triggered",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 15}]}],
    });
    call(
        &mut stream,
        "POST",
        "/_sandbox/campaigns",
        &campaign.to_string(),
    );
    let started = Instant::now();
    for number in 0..TRIGGERS {
        let trigger = json!({"campaign_id": "rt-812", "customer_id": format!("P-{number}")});
        call(
            &mut stream,
            "POST",
            "/_sandbox/triggers",
            &trigger.to_string(),
        );
    }
    let rate = TRIGGERS as f64 / started.elapsed().as_secs_f64();
    println!("triggers: {rate:.0} a second over one connection");
}

/// Sends a request and reads the answer, which has to be a success.
fn call(stream: &mut TcpStream, method: &str, target: &str, body: &str) {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: sandbox\r\nX-API-KEY: acme-admin-key\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .expect("an open connection");
    let (status, _) = read_answer(stream);
    assert!((200..300).contains(&status), "{method} {target}: {status}");
}

/// A listener that takes whatever is posted, each connection on a thread of its own.
fn start_listener() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || take_all(stream).ok());
        }
    });
    address
}

fn take_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // The bodies are small objects, so a request ends with a brace.
    while read_through(&mut stream, b"}")? {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
    Ok(())
}

/// Reads one request, known by its last bytes; false: the caller is gone.
fn read_through(stream: &mut TcpStream, end: &[u8]) -> std::io::Result<bool> {
    let (mut request, mut read) = ([0; 4_096], 0);
    while !request[..read].ends_with(end) {
        match stream.read(&mut request[read..])? {
            0 => return Ok(false),
            more => read += more,
        }
    }
    Ok(true)
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
    while read_through(&mut stream, b"\r\n\r\n")? {
        // A copy, as each page of the sandbox is a buffer of its own.
        let answer = [head.as_bytes(), body].concat();
        stream.write_all(&answer)?;
    }
    Ok(())
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
fn rate(address: SocketAddr, list: &str, time: Duration) -> f64 {
    let mut stream = connect(address);
    let started = Instant::now();
    let mut rows = 0;
    while started.elapsed() < time {
        let body = page(&mut stream, list, rows % (AUDIENCE / 2));
        assert!(body.ends_with(b"}]"), "a whole page");
        rows += PAGE_ROWS;
    }
    rows as f64 / started.elapsed().as_secs_f64()
}

/// One page of rows.
fn page(stream: &mut TcpStream, list: &str, skip: u64) -> Vec<u8> {
    let request = format!(
        "GET /current/customers/{list}&$top={PAGE_ROWS}&$skip={skip} HTTP/1.1\r\n\
         Host: sandbox\r\nX-API-KEY: acme-admin-key\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .expect("an open connection");
    read_answer(stream).1
}

/// The status and the body of an answer, read by content length.
fn read_answer(stream: &mut TcpStream) -> (u16, Vec<u8>) {
    let mut answer = vec![0; 64 * 1_024];
    let mut read = 0;
    let (head, length) = loop {
        let more = stream
            .read(&mut answer[read..])
            .expect("an open connection");
        assert!(more > 0, "an open connection");
        read += more;
        if let Some(end) = answer[..read]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            break (end + 4, content_length(&answer[..end]));
        }
    };
    let status = std::str::from_utf8(&answer[9..12]).ok();
    let status = status.and_then(|digits| digits.parse().ok());
    let already = read - head;
    let mut body = answer[head..read].to_vec();
    body.resize(length, 0);
    stream
        .read_exact(&mut body[already..])
        .expect("a whole answer");
    (status.expect("a status line"), body)
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
