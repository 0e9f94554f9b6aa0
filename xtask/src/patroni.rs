//! Three nodes of PostgreSQL under Patroni, with etcd to agree on who leads: all on the loopback, in one temporary
//! folder, gone when their starter is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::postgres::{self, Owner};

const NODES: usize = 3;
const LOOK_WAIT: Duration = Duration::from_millis(250);
/// A node that was away copies what it missed; the first one makes its database.
const LOOKS_MAX: u32 = 480;
/// Ends what is left of the cluster once our end of its input is closed, by us or by our death, and removes all.
const GUARDIAN: &str = r#"
    trap '' INT TERM HUP
    folder=$1
    read -r _
    for pid in "$folder"/*.pid; do kill -KILL "$(cat "$pid")"; done
    for pid in "$folder"/*/postmaster.pid; do kill -QUIT "$(head -1 "$pid")"; done
    sleep 1
    cd / && rm -rf "$folder"
"#;
/// The shortest times that Patroni takes: a primary that is silent for 20 seconds is followed by another.
const RULES: &str = "{ttl: 20, loop_wait: 2, retry_timeout: 5, synchronous_mode: true, \
    postgresql: {use_pg_rewind: true, parameters: {wal_log_hints: 'on', max_connections: 100}}}";

/// A running cluster. Dropping it stops it and removes its folder.
pub(crate) struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    owner: Option<Owner>,
    etcd: u16,
    nodes: Vec<Node>,
    daemons: Vec<Child>,
    guardian: Child,
}

struct Node {
    name: String,
    postgres: u16,
    patroni: u16,
    child: Option<Child>,
}

impl Cluster {
    /// Starts one and waits until all three nodes are there.
    ///
    /// # Errors
    /// Where a program is missing or does not start.
    pub(crate) fn start() -> anyhow::Result<Self> {
        for program in ["patroni", "etcd"] {
            let found = Command::new(program).arg("--version").output();
            ensure!(
                found.is_ok_and(|found| found.status.success()),
                "`{program}` is missing: on Debian, `apt-get install patroni etcd-server postgresql`"
            );
        }
        let bin = postgres::programs()?;
        let owner = postgres::owner()?;
        let folder = std::env::temp_dir().join(format!("bestow-ha-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        if let Some(owner) = &owner {
            chown(&folder, Some(owner.uid), Some(owner.gid))?;
        }
        let guardian = postgres::as_owner(Path::new("/bin/sh"), &folder, owner.as_ref())
            .args(["-c", GUARDIAN, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let ports = free_ports(2 + 2 * NODES)?;
        let nodes = ports[2..].chunks(2).enumerate().map(|(place, ports)| Node {
            name: format!("node{}", place + 1),
            postgres: ports[0],
            patroni: ports[1],
            child: None,
        });
        let nodes = nodes.collect();
        let mut this = Self {
            folder,
            bin,
            owner,
            etcd: ports[0],
            nodes,
            daemons: Vec::new(),
            guardian,
        };
        this.start_etcd(ports[1])?;
        this.make_whole()?;
        Ok(this)
    }

    /// The address of whichever node takes writes.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.postgres))
            .collect();
        format!(
            "postgres://bestow@{}/postgres?target_session_attrs=read-write",
            hosts.join(",")
        )
    }

    /// Kills the primary as a machine dies: its keeper and all of its processes, without a word. Gives its name.
    ///
    /// # Errors
    /// Where there is no primary.
    pub(crate) fn kill_primary(&mut self) -> anyhow::Result<String> {
        let folder = self.folder.clone();
        let node = self.nodes.iter_mut().find(|node| node.is("primary"));
        let node = node.context("there is no primary")?;
        let pid = fs::read_to_string(folder.join(&node.name).join("postmaster.pid"))?;
        let pid = pid
            .lines()
            .next()
            .context("its process has a number")?
            .to_owned();
        if let Some(mut keeper) = node.child.take() {
            keeper.kill()?;
            keeper.wait()?;
        }
        let children = children_of(&pid)?;
        let killed = Command::new("kill").arg("-KILL").arg(&pid).status()?;
        ensure!(killed.success(), "the primary could not be killed");
        // Those that have noticed are gone already.
        Command::new("kill")
            .arg("-KILL")
            .args(children)
            .stderr(Stdio::null())
            .status()?;
        Ok(node.name.clone())
    }

    /// Starts nodes that are not there, and waits until there are a primary and two that follow, one of them in step.
    ///
    /// # Errors
    /// Where that does not come to be.
    pub(crate) fn make_whole(&mut self) -> anyhow::Result<()> {
        for place in 0..self.nodes.len() {
            if self.nodes[place].child.is_none() {
                let child = self.start_node(&self.nodes[place])?;
                self.nodes[place].child = Some(child);
            }
        }
        for _ in 0..LOOKS_MAX {
            let count = |what| self.nodes.iter().filter(|node| node.is(what)).count();
            if count("primary") == 1 && count("replica") == NODES - 1 && count("synchronous") == 1 {
                return Ok(());
            }
            sleep(LOOK_WAIT);
        }
        bail!(
            "the cluster is not whole; its logs are in {}",
            self.folder.display()
        )
    }

    fn start_etcd(&mut self, peers: u16) -> anyhow::Result<()> {
        let (client, peers) = (
            format!("http://127.0.0.1:{}", self.etcd),
            format!("http://127.0.0.1:{peers}"),
        );
        let mut etcd = self.daemon(Path::new("etcd"), "etcd")?;
        etcd.args(["--name", "etcd", "--data-dir"])
            .arg(self.folder.join("etcd"));
        etcd.args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ]);
        etcd.args([
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
        ]);
        etcd.args(["--initial-cluster", &format!("etcd={peers}")]);
        let child = etcd.spawn().context("cannot start etcd")?;
        self.note("etcd", &child)?;
        self.daemons.push(child);
        for _ in 0..LOOKS_MAX {
            if asked(self.etcd, "/health") == Some(200) {
                return Ok(());
            }
            sleep(LOOK_WAIT);
        }
        bail!("etcd does not start: see {}", self.folder.display())
    }

    fn start_node(&self, node: &Node) -> anyhow::Result<Child> {
        let file = self.folder.join(format!("{}.yml", node.name));
        fs::write(&file, self.settings(node))?;
        let mut patroni = self.daemon(Path::new("patroni"), &node.name)?;
        let child = patroni.arg(&file).spawn().context("cannot start patroni")?;
        self.note(&node.name, &child)?;
        Ok(child)
    }

    fn settings(&self, node: &Node) -> String {
        let Node {
            name,
            postgres,
            patroni,
            ..
        } = node;
        let (etcd, bin) = (self.etcd, self.bin.display());
        let data = self.folder.join(name);
        let (data, sockets) = (data.display(), self.folder.display());
        format!(
            "scope: bestow
name: {name}
restapi: {{listen: '127.0.0.1:{patroni}', connect_address: '127.0.0.1:{patroni}'}}
etcd3: {{host: '127.0.0.1:{etcd}'}}
bootstrap:
  dcs: {RULES}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, {{auth: trust}}, data-checksums]
postgresql:
  listen: '127.0.0.1:{postgres}'
  connect_address: '127.0.0.1:{postgres}'
  data_dir: '{data}'
  bin_dir: '{bin}'
  authentication: {{superuser: {{username: bestow}}, replication: {{username: bestow}}, rewind: {{username: bestow}}}}
  pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust']
  parameters: {{unix_socket_directories: '{sockets}'}}
"
        )
    }

    /// A program with a log of its own, in a group of its own, so that what is typed at us does not reach it.
    fn daemon(&self, program: &Path, name: &str) -> anyhow::Result<Command> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("{name}.log")))?;
        let mut command = postgres::as_owner(program, &self.folder, self.owner.as_ref());
        // Passwords of connections, of which there are none, are kept at home.
        command.env("HOME", &self.folder);
        command
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        Ok(command)
    }

    /// For the guardian.
    fn note(&self, name: &str, child: &Child) -> anyhow::Result<()> {
        let file = self.folder.join(format!("{name}.pid"));
        Ok(fs::write(file, child.id().to_string())?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        // It ends by itself; when it cannot be waited for, it still does.
        let _ = self.guardian.wait();
        for child in self
            .nodes
            .iter_mut()
            .filter_map(|node| node.child.as_mut())
            .chain(&mut self.daemons)
        {
            let _ = child.wait();
        }
    }
}

impl Node {
    /// What its keeper says of it: primary, replica or synchronous.
    fn is(&self, what: &str) -> bool {
        self.child.is_some() && asked(self.patroni, &format!("/{what}")) == Some(200)
    }
}

/// The status of an answer over HTTP.
fn asked(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    // Whatever came before the end will do.
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1)?.parse().ok()
}

fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    // All are held until all are known, so that none comes twice.
    let held: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    held.iter()
        .map(|one| Ok(one.local_addr()?.port()))
        .collect()
}

/// Processes that a process started.
fn children_of(parent: &str) -> anyhow::Result<Vec<String>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // Whoever ended meanwhile has no children of interest.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // Behind the name, which may hold anything: state, then parent.
        let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
        if behind.split(' ').nth(1) == Some(parent) {
            children.extend(entry.file_name().into_string());
        }
    }
    Ok(children)
}
