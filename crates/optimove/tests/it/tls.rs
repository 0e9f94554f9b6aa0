//! Certificates are checked: nothing is said to a server that cannot show who it is.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use optimove::{Client, Error};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::server::{key, once};

/// The port of a server with a certificate for `localhost` that nobody signed, made for this test;
/// the handle gives what the server could read of the first connection.
fn self_signed() -> (u16, JoinHandle<Vec<u8>>) {
    let certificate = include_bytes!("../tls/certificate.pem");
    let private_key = include_bytes!("../tls/key.pem");
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let private_key = PrivateKeyDer::from_pem_slice(private_key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || read_first(&listener, config);
    (port, std::thread::spawn(serve))
}

fn read_first(listener: &TcpListener, config: ServerConfig) -> Vec<u8> {
    let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
    let mut stream: TcpStream = listener.accept().unwrap().0;
    let mut read = vec![];
    // Ends with an error when the client breaks off the handshake.
    let _ = Stream::new(&mut connection, &mut stream).read_to_end(&mut read);
    read
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_refused() {
    let (port, server) = self_signed();
    let url = format!("https://localhost:{port}");
    let client = Client::builder(&url, key()).retry(once()).build().unwrap();
    let error = client.get_promotions().await.unwrap_err();
    assert!(
        matches!(&error, Error::Transport { detail } if detail.contains("ertificate")),
        "{error}"
    );
    let read = tokio::task::spawn_blocking(|| server.join().unwrap())
        .await
        .unwrap();
    assert_eq!(read, b"");
}
