//! TLS to the server, by libpq's words in the address: `sslmode` and `sslrootcert`.
//!
//! `prefer` and `require` encrypt and trust whoever answers, as libpq does: they keep out who listens, not who stands in
//! between. `verify-ca` asks for a certificate that the root signed, `verify-full` for one of the host that was meant.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

/// Where `sslrootcert` says that the system's roots are meant.
const SYSTEM: &str = "system";

/// How far a server is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Whoever answers.
    Anybody,
    /// Who has a certificate that the roots signed.
    Signed,
    /// Who has one for the host that was meant.
    Host,
}

/// Takes the words about TLS out of an address: the rest of it, as the driver reads it, and how to connect.
pub(crate) fn of_address(address: &str) -> Result<(String, MakeRustlsConnect), Error> {
    let bad = |what: String| Error::BadUrl(format!("postgres: {what}"));
    let (head, query) = address.split_once('?').unwrap_or((address, ""));
    let (mut mode, mut root) = ("prefer".to_owned(), None);
    let mut rest = format!("{head}?");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", word)) => mode = decoded(word),
            Some(("sslrootcert", file)) => root = Some(decoded(file)),
            _ => {
                rest.push_str(pair);
                rest.push('&');
            }
        }
    }
    let (word, trust) = match (mode.as_str(), &root) {
        ("disable", _) => ("disable", Trust::Anybody),
        ("prefer", _) => ("prefer", Trust::Anybody),
        ("require", None) => ("require", Trust::Anybody),
        ("require" | "verify-ca", _) => ("require", Trust::Signed),
        ("verify-full", _) => ("require", Trust::Host),
        _ => {
            let words = "disable, prefer, require, verify-ca and verify-full";
            return Err(bad(format!(
                "sslmode {mode} is not known; there are {words}"
            )));
        }
    };
    rest.push_str("sslmode=");
    rest.push_str(word);
    Ok((rest, connector(trust, root.as_deref()).map_err(bad)?))
}

/// What stands behind percent signs. A plus is one.
fn decoded(text: &str) -> String {
    let text = format!("={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn connector(trust: Trust, root: Option<&str>) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let config = match trust {
        Trust::Host => config.with_root_certificates(roots(root)?),
        Trust::Anybody | Trust::Signed => {
            let signed = match trust {
                Trust::Signed => Some(signed_by(roots(root)?, &provider)?),
                Trust::Anybody | Trust::Host => None,
            };
            let anyhost = AnyHost { signed, provider };
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(anyhost))
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn signed_by(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|e| e.to_string())
}

/// The roots in a file, or the system's.
fn roots(file: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match file.filter(|file| *file != SYSTEM) {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(file) => {
            let failed = |e: &dyn std::fmt::Display| format!("sslrootcert {file}: {e}");
            let found = CertificateDer::pem_file_iter(Path::new(file)).map_err(|e| failed(&e))?;
            for certificate in found {
                let certificate = certificate.map_err(|e| failed(&e))?;
                roots.add(certificate).map_err(|e| failed(&e))?;
            }
        }
    }
    if roots.is_empty() {
        return Err("there is no root certificate to check the server by".into());
    }
    Ok(roots)
}

/// Asks for no host: for a certificate of the roots, or for none in particular.
#[derive(Debug)]
struct AnyHost {
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(signed) = &self.signed else {
            return Ok(ServerCertVerified::assertion());
        };
        // Looked at last: one that is of another host only is of the roots.
        match signed.verify_server_cert(certificate, between, host, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
