//! The deployment's key: what it seals, and the secrets derived from it.
//!
//! One 256-bit key lives outside the database, in a file of the data directory. From it come the sealing key of
//! stored credentials and the secrets in the listeners' addresses, so the database holds neither.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::random::Random;

/// Bytes of a sealed value before its ciphertext.
const NONCE_BYTES: usize = 24;

/// The deployment's key. Never printed.
#[derive(Clone)]
pub struct Keys {
    master: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// What can be wrong with the key or with what it sealed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read or written.
    #[error("the key file {path} cannot be used: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key file does not hold a key.
    #[error("the key file {0} does not hold 32 bytes in base64: restore it from your backup")]
    NotAKey(String),
    /// A sealed value was made with another key, for another place, or was changed.
    #[error(
        "a stored secret cannot be opened with this deployment's key: \
             restore the key file that belongs to this database"
    )]
    Unsealable,
}

impl Keys {
    /// From bytes.
    pub fn new(master: [u8; 32]) -> Self {
        Self { master }
    }

    /// Reads the key file, or makes one that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError::File`] and [`KeyError::NotAKey`].
    pub fn load_or_create(path: &Path, random: &Random) -> Result<Self, KeyError> {
        let file_error = |source| KeyError::File {
            path: path.display().to_string(),
            source,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok();
                let master = bytes.and_then(|bytes| bytes.try_into().ok());
                master
                    .map(Self::new)
                    .ok_or_else(|| KeyError::NotAKey(path.display().to_string()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let master = random.bytes();
                write_private(path, &URL_SAFE_NO_PAD.encode(master)).map_err(file_error)?;
                Ok(Self::new(master))
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// Seals a secret for one place (for example `tenant/acme/credential`): it opens nowhere else.
    pub fn seal(&self, place: &str, secret: &[u8], random: &Random) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let payload = Payload {
            msg: secret,
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a short secret is within the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`KeyError::Unsealable`].
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(KeyError::Unsealable)?;
        let payload = Payload {
            msg: body,
            aad: place.as_bytes(),
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| KeyError::Unsealable)
    }

    /// The secret in the address of one tenant's listener: 256 bits that only this key can make.
    pub fn listener_secret(&self, tenant: &str, event_type: i64, generation: i64) -> String {
        let secret = self.derive(&format!("listener/{tenant}/{event_type}/{generation}"));
        URL_SAFE_NO_PAD.encode(secret)
    }

    /// The hash that is kept and compared in place of a secret.
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        self.derive(&format!("hash/{secret}"))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derive("seal").into())
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.master).expect("HMAC takes a key of any length");
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_in_its_place() {
        let (keys, random) = (Keys::new([7; 32]), Random::seeded(1));
        let sealed = keys.seal("tenant/acme/credential", b"key", &random);
        assert_eq!(
            keys.open("tenant/acme/credential", &sealed).unwrap(),
            b"key"
        );
        assert!(keys.open("tenant/blue/credential", &sealed).is_err());
        assert!(
            Keys::new([8; 32])
                .open("tenant/acme/credential", &sealed)
                .is_err()
        );
        let mut changed = sealed.clone();
        changed[NONCE_BYTES] ^= 1;
        assert!(keys.open("tenant/acme/credential", &changed).is_err());
    }

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bestow.key");
        let random = Random::seeded(1);
        let made = Keys::load_or_create(&path, &random).unwrap();
        let read = Keys::load_or_create(&path, &random).unwrap();
        assert_eq!(
            made.listener_secret("acme", 13, 1),
            read.listener_secret("acme", 13, 1)
        );
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(
            Keys::load_or_create(&path, &random),
            Err(KeyError::NotAKey(_))
        ));
    }
}
