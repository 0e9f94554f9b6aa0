//! The deployment's keys: what they seal, and the secrets derived from them.
//!
//! 256-bit keys live outside the database, in a file of the data directory. From them come the sealing of stored
//! credentials, the hashes kept in place of secrets, and the secrets in the listeners' addresses, so the database holds
//! none of these. A new file has one key for everything; once the sealing key was changed, each line says what its key
//! is for (docs/decisions/0264).

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::random::Random;
use crate::service::audit::chain::Signer;

/// Bytes of a sealed value before its ciphertext.
const NONCE_BYTES: usize = 24;

/// What a key is.
type Key = [u8; 32];

/// Which file was read: its number and when it was written. Every change makes another file.
type Version = Option<(u64, SystemTime)>;

/// The keys of a file at one moment.
#[derive(Clone, PartialEq, Eq)]
struct Ring {
    /// Seals, and opens.
    seal: Key,
    /// Opens; it is to seal next.
    next: Option<Key>,
    /// Open what was sealed with them.
    open: Vec<Key>,
    /// Makes hashes and the listeners' secrets. It never changes: what was made of it cannot be made anew.
    hash: Key,
}

/// The deployment's keys. Never printed.
#[derive(Clone)]
pub struct Keys {
    hash: Key,
    ring: Arc<RwLock<(Ring, Version)>>,
    path: Option<PathBuf>,
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
    #[error(
        "the key file {0} does not hold keys of 32 bytes in base64: restore it from your backup"
    )]
    NotAKey(String),
    /// A sealed value was made with another key, for another place, or was changed.
    #[error(
        "a stored secret cannot be opened with this deployment's key: \
             restore the key file that belongs to this database"
    )]
    Unsealable,
    /// There is no key to change to.
    #[error("no key is prepared: run `bestow key prepare` first")]
    NotPrepared,
}

impl Ring {
    fn of_one(key: Key) -> Self {
        Self {
            seal: key,
            next: None,
            open: Vec::new(),
            hash: key,
        }
    }

    /// Reads a file: one key for everything, or lines of a word and a key.
    fn parse(text: &str) -> Option<Self> {
        let key = |text: &str| URL_SAFE_NO_PAD.decode(text.trim()).ok()?.try_into().ok();
        if let Some(key) = key(text) {
            return Some(Self::of_one(key));
        }
        let (mut seal, mut next, mut open, mut hash) = (None, None, Vec::new(), None);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (word, text) = line.trim().split_once(' ')?;
            let key = key(text)?;
            match word {
                "seal" if seal.is_none() => seal = Some(key),
                "next" if next.is_none() => next = Some(key),
                "hash" if hash.is_none() => hash = Some(key),
                "open" => open.push(key),
                _ => return None,
            }
        }
        Some(Self {
            seal: seal?,
            next,
            open,
            hash: hash?,
        })
    }

    fn write(&self) -> String {
        let line = |word: &str, key: &Key| format!("{word} {}\n", URL_SAFE_NO_PAD.encode(key));
        let open: String = self.open.iter().map(|key| line("open", key)).collect();
        let next = self.next.as_ref().map(|key| line("next", key));
        line("seal", &self.seal) + &next.unwrap_or_default() + &open + &line("hash", &self.hash)
    }
}

impl Keys {
    /// One key for everything, in no file.
    pub fn new(master: [u8; 32]) -> Self {
        Self::of(Ring::of_one(master), None, None)
    }

    fn of(ring: Ring, path: Option<PathBuf>, written: Version) -> Self {
        Self {
            hash: ring.hash,
            ring: Arc::new(RwLock::new((ring, written))),
            path,
        }
    }

    /// Reads the key file, or makes one that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError::File`] and [`KeyError::NotAKey`].
    pub fn load_or_create(path: &Path, random: &Random) -> Result<Self, KeyError> {
        if !path.exists() {
            let key = URL_SAFE_NO_PAD.encode(random.bytes::<32>());
            let made = write_private(path, &format!("{key}\n"));
            made.map_err(|source| file_error(path, source))?;
        }
        let (ring, written) = read(path)?;
        Ok(Self::of(ring, Some(path.to_owned()), written))
    }

    /// The keys as the file has them by now: a file that was changed beside us is read again.
    fn ring(&self) -> Result<Ring, KeyError> {
        // Replaced as a whole.
        let held = |keys: &RwLock<(Ring, Version)>| {
            keys.read().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let (ring, written) = held(&self.ring);
        let Some(path) = &self.path else {
            return Ok(ring);
        };
        let there = version(path);
        if there.is_some() && there != written {
            let (ring, written) = read(path)?;
            let mut held = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            *held = (ring.clone(), written);
            return Ok(ring);
        }
        Ok(ring)
    }

    /// Adds a key that only opens yet, so that the file can be brought to every machine before anything is sealed with
    /// it. One that is there already stays.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::NotAKey`].
    pub fn prepare(&self, random: &Random) -> Result<(), KeyError> {
        let new = random.bytes();
        self.change(|ring| ring.next = ring.next.or(Some(new)))
    }

    /// Seals with the key that was prepared from now on; what the one before sealed still opens. Done once, it stays
    /// done.
    ///
    /// # Errors
    /// As [`Keys::prepare`]'s; [`KeyError::NotPrepared`].
    pub fn promote(&self) -> Result<(), KeyError> {
        let ring = self.ring()?;
        match ring.next {
            Some(next) => self.change(|ring| {
                ring.open.insert(0, ring.seal);
                (ring.seal, ring.next) = (next, None);
            }),
            None if ring.open.is_empty() => Err(KeyError::NotPrepared),
            None => Ok(()),
        }
    }

    /// Forgets the keys that only open.
    ///
    /// # Errors
    /// As [`Keys::prepare`]'s.
    pub fn drop_old(&self) -> Result<(), KeyError> {
        self.change(|ring| ring.open.clear())
    }

    fn change(&self, change: impl FnOnce(&mut Ring)) -> Result<(), KeyError> {
        let mut ring = self.ring()?;
        change(&mut ring);
        if let Some(path) = &self.path {
            let beside = path.with_extension("new");
            let _ = std::fs::remove_file(&beside);
            write_private(&beside, &ring.write())
                .and_then(|()| std::fs::rename(&beside, path))
                .map_err(|source| file_error(path, source))?;
        }
        let mut held = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        // The next look reads the file that was just written.
        *held = (ring, None);
        Ok(())
    }

    /// Seals anew what was sealed with an older key; `None` where the newest sealed it.
    ///
    /// # Errors
    /// [`KeyError::Unsealable`], where no key opens it; those of the file.
    pub fn reseal(
        &self,
        place: &str,
        sealed: &[u8],
        random: &Random,
    ) -> Result<Option<Vec<u8>>, KeyError> {
        if open_with(&self.ring()?.seal, place, sealed).is_ok() {
            return Ok(None);
        }
        let secret = self.open(place, sealed)?;
        Ok(Some(self.seal(place, &secret, random)))
    }

    /// Seals a secret for one place (for example `tenant/acme/credential`): it opens nowhere else.
    pub fn seal(&self, place: &str, secret: &[u8], random: &Random) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let payload = Payload {
            msg: secret,
            aad: place.as_bytes(),
        };
        // A file that cannot be read at the moment leaves the keys as they were, and those still open what they seal.
        let seal = self
            .ring()
            .map_or_else(|_| self.held().seal, |ring| ring.seal);
        let sealed = cipher(&seal)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a short secret is within the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    fn held(&self) -> Ring {
        let held = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        held.0.clone()
    }

    /// Opens what was sealed for this place. The file is only looked at where the keys at hand do not open it.
    ///
    /// # Errors
    /// [`KeyError::Unsealable`]; those of the file.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let any_of = |ring: &Ring| {
            let mut keys = std::iter::once(&ring.seal)
                .chain(&ring.next)
                .chain(&ring.open);
            keys.find_map(|key| open_with(key, place, sealed).ok())
        };
        if let Some(secret) = any_of(&self.held()) {
            return Ok(secret);
        }
        any_of(&self.ring()?).ok_or(KeyError::Unsealable)
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

    /// Signs the checkpoints of audit records. Its key stays as long as that of the hashes.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(self.derive("audit/sign"))
    }

    fn derive(&self, label: &str) -> Key {
        derive(&self.hash, label)
    }
}

fn open_with(key: &Key, place: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(KeyError::Unsealable)?;
    let payload = Payload {
        msg: body,
        aad: place.as_bytes(),
    };
    cipher(key)
        .decrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| KeyError::Unsealable)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&derive(key, "seal").into())
}

fn derive(key: &Key, label: &str) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(label.as_bytes());
    mac.finalize().into_bytes().into()
}

fn file_error(path: &Path, source: std::io::Error) -> KeyError {
    let path = path.display().to_string();
    KeyError::File { path, source }
}

fn version(path: &Path) -> Version {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.modified().ok()?))
}

/// The keys of a file, and which it was: asked for first, so that a later change is seen.
fn read(path: &Path) -> Result<(Ring, Version), KeyError> {
    let written = version(path);
    let text = std::fs::read_to_string(path).map_err(|source| file_error(path, source))?;
    let ring = Ring::parse(&text).ok_or_else(|| KeyError::NotAKey(path.display().to_string()))?;
    Ok((ring, written))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
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
    fn keys_are_changed_while_others_use_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, random) = (dir.path().join("bestow.key"), Random::seeded(1));
        let here = Keys::load_or_create(&path, &random).unwrap();
        let there = Keys::load_or_create(&path, &random).unwrap();
        let hash = here.hash("secret");
        let old = here.seal("place", b"one", &random);
        assert!(matches!(here.promote(), Err(KeyError::NotPrepared)));
        here.prepare(&random).unwrap();
        let prepared = here.seal("place", b"two", &random);
        assert_eq!(here.reseal("place", &old, &random).unwrap(), None);
        here.promote().unwrap();
        let new = here.seal("place", b"three", &random);
        for (sealed, secret) in [(&old, "one"), (&prepared, "two"), (&new, "three")] {
            for keys in [&here, &there] {
                assert_eq!(keys.open("place", sealed).unwrap(), secret.as_bytes());
            }
        }
        // Whoever only hears of it from the file seals with the new one.
        let theirs = there.seal("place", b"four", &random);
        assert_eq!(here.reseal("place", &theirs, &random).unwrap(), None);
        let anew = here.reseal("place", &old, &random).unwrap().unwrap();
        here.drop_old().unwrap();
        assert_eq!(here.open("place", &anew).unwrap(), b"one");
        assert_eq!(there.reseal("place", &anew, &random).unwrap(), None);
        assert!(matches!(
            here.open("place", &old),
            Err(KeyError::Unsealable)
        ));
        assert_eq!((here.hash("secret"), there.hash("secret")), (hash, hash));
        let again = Keys::load_or_create(&path, &random).unwrap();
        assert_eq!(again.open("place", &anew).unwrap(), b"one");
        assert_eq!(
            again.listener_secret("acme", 13, 1),
            here.listener_secret("acme", 13, 1)
        );
    }

    #[test]
    fn a_file_that_says_something_else_is_refused() {
        let key = URL_SAFE_NO_PAD.encode([7; 32]);
        for wrong in [
            String::new(),
            format!("seal {key}"),
            format!("hash {key}\nopen {key}"),
            format!("seal {key}\nseal {key}\nhash {key}"),
            format!("seal {key}\nhash {key}\nshut {key}"),
            "seal a\nhash b".to_owned(),
        ] {
            assert!(Ring::parse(&wrong).is_none(), "{wrong:?}");
        }
        let ring = Ring::parse(&format!("\nhash {key}\nseal {key}\n")).unwrap();
        assert!(Ring::parse(&ring.write()) == Some(ring));
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
