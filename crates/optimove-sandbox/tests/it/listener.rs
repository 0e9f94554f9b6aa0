//! A listener as a promotion system would run it: it records what is posted to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::world::World;

/// A notification as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Arrival {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What the listener does next; when nothing is planned it answers 200.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    Status(u16),
    /// 200 with that body.
    Body(&'static str),
    Silence,
}

/// What stands in the body of an answer that is not planned.
type Answering = fn(&Arrival) -> String;

pub(crate) struct Listener {
    url: String,
    plans: Arc<Mutex<VecDeque<Plan>>>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Listener {
    pub(crate) async fn start() -> Self {
        Self::answering(|_| String::new()).await
    }

    /// A listener that answers with what `answering` makes of an arrival.
    pub(crate) async fn answering(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, arrivals) = mpsc::unbounded_channel();
        let plans = Arc::new(Mutex::new(VecDeque::new()));
        let planned = plans.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone(), planned.clone(), answering));
            }
        });
        Self {
            url,
            plans,
            arrivals,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn plan(&self, plans: &[Plan]) {
        self.plans.lock().unwrap().extend(plans);
    }

    /// Registers the path for an event type, with a channel or for all.
    pub(crate) async fn register(&self, world: &World, path: &str, event: u64, channel: Value) {
        let url = format!("{}{path}", self.url);
        let body = json!({"EventTypeID": event, "ListenerURL": url, "ChannelID": channel});
        let answer = world.post("/General/RegisterEventListener", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The next notification, however long it takes.
    pub(crate) async fn next(&mut self) -> Arrival {
        self.arrivals.recv().await.unwrap()
    }

    pub(crate) async fn take(&mut self, count: usize) -> Vec<Arrival> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    /// Whether nothing more has arrived by now.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.arrivals.is_empty()
    }
}

async fn serve(
    stream: TcpStream,
    arrivals: mpsc::UnboundedSender<Arrival>,
    plans: Arc<Mutex<VecDeque<Plan>>>,
    answering: Answering,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        assert!(line.starts_with("POST "), "{line}");
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut arrival = Arrival {
            path,
            headers,
            body: String::new(),
        };
        let length = arrival.header("content-length")?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        arrival.body = String::from_utf8(body).ok()?;
        let plan = plans.lock().unwrap().pop_front();
        let answer = answering(&arrival);
        arrivals.send(arrival).ok()?;
        let (status, body) = match plan {
            None => (200, answer),
            Some(Plan::Status(status)) => (status, String::new()),
            Some(Plan::Body(body)) => (200, body.to_owned()),
            Some(Plan::Silence) => {
                // Reads until the sender gives up.
                stream.read_line(&mut String::new()).await.ok()?;
                return None;
            }
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Planned\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).await.ok()?;
    }
}
