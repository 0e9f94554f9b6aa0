//! The one place that makes randomness, and the ids made from it.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// A source of random bytes: the system's, or one number's for tests.
#[derive(Debug, Clone)]
pub struct Random(Arc<Mutex<ChaCha20Rng>>);

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for randomness"
    )]
    pub fn system() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        Ok(Self(Arc::new(Mutex::new(ChaCha20Rng::from_seed(seed)))))
    }

    /// The same bytes for the same number. For tests and simulation only.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(&mut bytes);
        bytes
    }

    /// A random number.
    pub fn number(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A new id: 48 bits of time, then 80 random bits, as 26 characters that sort by time.
    pub fn id(&self, now_ms: i64) -> String {
        let mut bytes = [0_u8; 16];
        bytes[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&self.bytes::<10>());
        base32(u128::from_be_bytes(bytes))
    }
}

/// Digits and letters without look-alikes, in the order of their values.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn base32(value: u128) -> String {
    let mut letters = [0; 26];
    for (place, letter) in letters.iter_mut().rev().enumerate() {
        *letter = ALPHABET[(value >> (place * 5)) as usize & 31];
    }
    let letters = str::from_utf8(&letters).expect("digits and letters are ASCII");
    letters.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let random = Random::seeded(1);
        let ids: Vec<String> = (0..100)
            .map(|ms| random.id(1_700_000_000_000 + ms))
            .collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == 26));
    }
}
