//! TLS by libpq's words, through a door in front of the server of the tests, which listens on a socket of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bestow_store::testing::HandClock;
use bestow_store::{Connections, Error, Migrate, Options, Store};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{Fresh, NOW_MS, postgres, server};

/// What a client sends first to ask for TLS.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The host that the door has a certificate of.
const HOST: &str = "localhost";

/// A door for TLS.
struct Door {
    port: u16,
    root: PathBuf,
    _dir: tempfile::TempDir,
}

impl Door {
    async fn open() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("root.pem");
        let (acceptor, pem) = certified();
        std::fs::write(&root, pem).expect("written");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, acceptor.clone()));
            }
        });
        Self {
            port,
            root,
            _dir: dir,
        }
    }

    /// Opens the store of `fresh` through this door.
    async fn enter(&self, host: &str, fresh: &Fresh, words: &str) -> Result<Store, Error> {
        let url = fresh.db.url();
        let (start, _) = url.split_once('?').expect("an address with its socket");
        let database = start.rsplit('/').next().expect("a database");
        let port = self.port;
        let url = format!("postgres://bestow@{host}:{port}/{database}?{words}");
        let options = Options {
            clock: HandClock::at(NOW_MS).clock(),
            migrate: Migrate::Refuse,
            connections: Connections::default(),
        };
        let opened = tokio::task::spawn_blocking(move || Store::open(&url, &options));
        opened.await.expect("no panic")
    }
}

/// A certificate of the host, and the root that signed it, as PEM.
fn certified() -> (TlsAcceptor, String) {
    let mut root = CertificateParams::new(Vec::new()).expect("a root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = CertifiedIssuer::self_signed(root, key).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let host = CertificateParams::new(vec![HOST.to_owned()]).expect("a host");
    let host = host.signed_by(&key, &root).expect("signed");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![host.der().clone()], key)
        .expect("a certificate with its key");
    (TlsAcceptor::from(Arc::new(config)), root.pem())
}

/// Passes one connection on to the server, if it asks for TLS and goes through with it.
async fn pass(mut stream: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<()> {
    let mut first = [0; 8];
    stream.read_exact(&mut first).await?;
    if first != ASKS_FOR_TLS {
        // Whoever comes without is not let in.
        return Ok(());
    }
    stream.write_all(b"S").await?;
    let mut stream = acceptor.accept(stream).await?;
    let url = server();
    let socket = url
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("host="))
        .expect("the server of the tests listens on a socket");
    let mut server = UnixStream::connect(Path::new(socket).join(".s.PGSQL.5432")).await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

fn has_schema(entered: &Result<Store, Error>) -> bool {
    match entered {
        Ok(store) => store
            .read(|tx| tx.grants_total())
            .is_ok_and(|total| total == 0),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_trusted_follows_the_words() {
    let fresh = postgres();
    let door = Door::open().await;
    let root = format!("sslrootcert={}", door.root.display());
    let full = format!("sslmode=verify-full&{root}");
    let signed = format!("sslmode=verify-ca&{root}");
    for (host, words) in [
        (HOST, &*full),
        (HOST, &*signed),
        (HOST, "sslmode=require"),
        (HOST, ""),
        // The certificate is of another host, and still of the root.
        ("127.0.0.1", &*signed),
        ("127.0.0.1", "sslmode=prefer"),
    ] {
        let entered = door.enter(host, &fresh, words).await;
        assert!(has_schema(&entered), "{host} {words}: {entered:?}");
    }
    let stranger = Door::open().await;
    let strange = format!("sslrootcert={}", stranger.root.display());
    for (host, words) in [
        ("127.0.0.1", full.clone()),
        // Nobody whom the system trusts signed it.
        (HOST, "sslmode=verify-full".into()),
        (HOST, format!("sslmode=verify-full&{strange}")),
        (HOST, format!("sslmode=verify-ca&{strange}")),
        (HOST, format!("sslmode=require&{strange}")),
        (HOST, "sslmode=disable".into()),
    ] {
        let entered = door.enter(host, &fresh, &words).await;
        assert!(!has_schema(&entered), "{host} {words}: {entered:?}");
    }
}

#[tokio::test]
async fn words_that_mean_nothing_are_refused() {
    let fresh = postgres();
    let door = Door::open().await;
    for words in [
        "sslmode=verify-some",
        "sslmode=verify-full&sslrootcert=/nowhere/root.pem",
    ] {
        let entered = door.enter(HOST, &fresh, words).await;
        assert!(matches!(entered, Err(Error::BadUrl(_))), "{entered:?}");
    }
}
