//! Deliveries to streams of NATS, on servers of Debian's.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use crate::support::World;

/// Looks for a server's address before it is not going to come up.
const LOOKS_MAX: u32 = 1_200;
const LOOK: Duration = Duration::from_millis(50);
const TOKEN: &str = "a-token-for-the-stream";

/// A server, killed when dropped.
struct Node {
    child: Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// One of a cluster where that is given: its own port for the others, and all of theirs.
    async fn start(name: &str, cluster: Option<(u16, &[u16])>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = dir.path().display();
        let mut config = format!(
            "server_name: {name}\nhost: 127.0.0.1\nport: -1\nports_file_dir: \"{store}\"\n\
             authorization {{ token: \"{TOKEN}\" }}\njetstream {{ store_dir: \"{store}\" }}\n"
        );
        if let Some((own, all)) = cluster {
            let routes: Vec<_> = all
                .iter()
                .map(|port| format!("\"nats-route://127.0.0.1:{port}\""))
                .collect();
            let routes = routes.join(", ");
            let cluster = format!(
                "cluster {{ name: bestow, host: 127.0.0.1, port: {own}, routes: [{routes}] }}\n"
            );
            config.push_str(&cluster);
        }
        let file = dir.path().join("nats.conf");
        std::fs::write(&file, config).expect("a file");
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is there: `cargo xtask test` installs it (Debian: `apt-get install nats-server`)");
        let ports = ports(dir.path(), child.id()).await;
        let url = ports["nats"][0].as_str().expect("an address").to_owned();
        Self {
            url,
            child,
            _dir: dir,
        }
    }

    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }
}

/// Ports that nobody has: the nodes of a cluster have to know each other's before they start.
fn free_ports() -> [u16; 3] {
    let bound = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    bound.map(|one| one.local_addr().expect("an address").port())
}

/// What a server wrote down of where it listens.
async fn ports(dir: &Path, id: u32) -> Value {
    let path = dir.join(format!("nats-server_{id}.ports"));
    for _ in 0..LOOKS_MAX {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if let Ok(ports) = serde_json::from_str(&text) {
            return ports;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("nats-server does not start");
}

/// A stream that takes all events of `acme`, made once the cluster can.
async fn stream(urls: &str, replicas: usize) -> stream::Stream {
    for _ in 0..LOOKS_MAX {
        let options = async_nats::ConnectOptions::with_token(TOKEN.to_owned());
        let servers: Vec<async_nats::ServerAddr> = urls
            .split(',')
            .map(|one| one.parse().expect("an address"))
            .collect();
        if let Ok(client) = options.connect(servers).await {
            let config = stream::Config {
                name: "GRANTS".into(),
                subjects: vec!["bestow.acme.>".into()],
                num_replicas: replicas,
                ..stream::Config::default()
            };
            if let Ok(stream) = jetstream::new(client).create_stream(config).await {
                return stream;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("no stream can be made");
}

async fn delivering(servers: &str) -> World {
    let named = servers.to_owned();
    let world = World::with(move |config| {
        config.delivery.jetstream_servers = named;
        config.delivery.retry_ms = 1;
        config.delivery.rest_ms = 1;
        config.delivery.answer_ms_max = 2_000;
    })
    .await;
    world.connect(&json!({})).await;
    let body = json!({
        "id": "stream", "kind": "jetstream", "url": servers, "token": TOKEN, "batch_events_max": 50,
    });
    world.of_acme(Method::POST, "destinations", &body).await;
    world
}

/// A reader of a stream, made once the cluster can.
async fn consumer(stream: &stream::Stream) -> jetstream::consumer::PullConsumer {
    for _ in 0..LOOKS_MAX {
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            ..pull::Config::default()
        };
        if let Ok(consumer) = stream.create_consumer(config).await {
            return consumer;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("no consumer can be made");
}

/// Every message of a stream: its subjects, and how often each id is in it.
async fn messages(
    stream: &stream::Stream,
    count: u64,
) -> (HashMap<String, u64>, HashMap<String, u64>) {
    let consumer = consumer(stream).await;
    let mut found = consumer.stream().messages().await.expect("messages");
    let (mut subjects, mut ids) = (HashMap::new(), HashMap::new());
    for _ in 0..count {
        let message = found.next().await.expect("another").expect("a message");
        *subjects.entry(message.subject.to_string()).or_default() += 1;
        let event: Value = serde_json::from_slice(&message.payload).expect("JSON");
        let id = event["id"].as_str().expect("a text").to_owned();
        let key = message
            .headers
            .as_ref()
            .and_then(|all| all.get("Nats-Msg-Id"));
        assert_eq!(key.map(|key| key.as_str()), Some(&*id));
        *ids.entry(id).or_default() += 1;
    }
    (subjects, ids)
}

async fn held(stream: &mut stream::Stream) -> u64 {
    stream.info().await.expect("the stream").state.messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_gets_each_event_as_a_message() {
    let node = Node::start("alone", None).await;
    let mut stream = stream(&node.url, 1).await;
    let world = delivering(&node.url).await;
    world.run(200, &json!({})).await;
    world.travel("2027-03-28T12:00:00Z").await;
    world.settle().await;
    assert_eq!(held(&mut stream).await, 400);
    let (subjects, ids) = messages(&stream, 400).await;
    let expected = [
        ("bestow.acme.grant.activated", 200),
        ("bestow.acme.grant.created", 200),
    ];
    let expected: HashMap<_, _> = expected.map(|(subject, n)| (subject.to_owned(), n)).into();
    assert_eq!(subjects, expected);
    assert!(ids.values().all(|times| *times == 1));
    // A server that nobody named is not called.
    let body = json!({"id": "other", "kind": "jetstream", "url": "nats://10.0.0.1:4222"});
    let refused = world.refused(Method::POST, "destinations", &body).await;
    assert_eq!(refused, (422, "bad_url".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_takes_waits_for_its_stream() {
    let node = Node::start("alone", None).await;
    let world = delivering(&node.url).await;
    let campaign = world.plan(10, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    world.delivered().await;
    world.work().await;
    let waiting = world.deliveries("waiting").await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let mut stream = stream(&node.url, 1).await;
    world.settle().await;
    assert_eq!(held(&mut stream).await, 10);
    assert_eq!(world.deliveries("waiting").await, [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_node_loses_and_doubles_no_event() {
    let ports = free_ports();
    let mut first = Node::start("one", Some((ports[0], &ports))).await;
    let second = Node::start("two", Some((ports[1], &ports))).await;
    let third = Node::start("three", Some((ports[2], &ports))).await;
    let servers = [&first, &second, &third]
        .map(|node| node.url.clone())
        .join(",");
    drop(stream(&servers, 3).await);
    let world = delivering(&servers).await;
    let killed = tokio::spawn({
        let looked = stream(&servers, 3).await;
        async move {
            let mut looked = looked;
            while held(&mut looked).await < 500 {
                tokio::task::yield_now().await;
            }
            first.kill();
        }
    });
    let campaign = world.plan(2_000, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    world.delivered().await;
    while !killed.is_finished() {
        world.work().await;
        let later = world.app.clock.now_ms() + 1_000;
        world
            .travel(&bestow::clock::instant(later).to_string())
            .await;
    }
    killed.await.expect("the node was killed on the way");
    // The others choose a leader first, which takes them as long as it takes.
    let left = [&second, &third].map(|node| node.url.clone()).join(",");
    let mut stream = stream(&left, 3).await;
    world.settle().await;
    assert_eq!(world.deliveries("unknown").await, [Value::Null; 0]);
    assert_eq!(world.deliveries("dead").await, [Value::Null; 0]);
    assert_eq!(world.deliveries("waiting").await, [Value::Null; 0]);
    assert_eq!(held(&mut stream).await, 2_000);
    let (_, ids) = messages(&stream, 2_000).await;
    assert_eq!(ids.len(), 2_000);
}
