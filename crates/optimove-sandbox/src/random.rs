//! Everything drawn at random comes from the seed: the same seed and the same requests give the
//! same world.

/// Mixes a number so that near inputs give far outputs (the finaliser of `SplitMix64`).
pub(crate) const fn mix(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One key out of several parts, in their order.
pub(crate) fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |key, part| mix(key ^ mix(*part)))
}

/// A key from text, for what is known by name.
pub(crate) fn text_key(text: &str) -> u64 {
    text.bytes()
        .fold(0x5eed, |key, byte| mix(key ^ u64::from(byte)))
}

/// Whether the draw named by `parts` falls within `percent` of a hundred.
pub(crate) fn within_percent(parts: &[u64], percent: i64) -> bool {
    let drawn = key(parts) % 100;
    u64::try_from(percent).is_ok_and(|percent| drawn < percent)
}

/// Letters and digits drawn from `parts`, `length` of them.
pub(crate) fn letters(parts: &[u64], length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let base = key(parts);
    (0..length as u64)
        .map(|place| ALPHABET[(mix(base ^ mix(place)) % 32) as usize] as char)
        .collect()
}

/// A shuffle of `0..len` that needs no memory: each place is computed on its own.
///
/// Three rounds of odd multiplication, shift and addition permute the next power of two; a value
/// outside `0..len` is put through again, fewer than twice on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    len: u64,
    mask: u64,
    shift: u32,
    factors: [u64; ROUNDS],
    /// What undoes the factors.
    inverses: [u64; ROUNDS],
    offsets: [u64; ROUNDS],
}

const ROUNDS: usize = 3;

impl Permutation {
    pub(crate) fn new(seed: u64, len: u64) -> Self {
        let bits = 64 - len.saturating_sub(1).leading_zeros();
        let draw = |round: usize, kind: u64| key(&[seed, round as u64, kind]);
        let factors = std::array::from_fn(|round| draw(round, 1) | 1);
        Self {
            len,
            mask: if bits == 64 {
                u64::MAX
            } else {
                (1 << bits) - 1
            },
            shift: (bits / 2).max(1),
            factors,
            inverses: factors.map(inverse),
            offsets: std::array::from_fn(|round| draw(round, 2)),
        }
    }

    /// Where `place` goes. `place` must be below the length.
    pub(crate) fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.len, "{place} is outside 0..{}", self.len);
        let mut x = place;
        loop {
            for round in 0..ROUNDS {
                x = x.wrapping_mul(self.factors[round]) & self.mask;
                x ^= x >> self.shift;
                x = x.wrapping_add(self.offsets[round]) & self.mask;
            }
            if x < self.len {
                return x;
            }
        }
    }

    /// The place that goes to `target`, which must be below the length.
    pub(crate) fn place_of(&self, target: u64) -> u64 {
        debug_assert!(target < self.len, "{target} is outside 0..{}", self.len);
        let mut x = target;
        loop {
            for round in (0..ROUNDS).rev() {
                x = x.wrapping_sub(self.offsets[round]) & self.mask;
                x = self.unshifted(x);
                x = x.wrapping_mul(self.inverses[round]) & self.mask;
            }
            if x < self.len {
                return x;
            }
        }
    }

    /// The number that, with itself shifted added bit by bit, gives `mixed`.
    fn unshifted(&self, mixed: u64) -> u64 {
        let mut x = mixed;
        let mut known = self.shift;
        // Each turn makes as many more bits right, from the top down.
        while known < u64::BITS - self.mask.leading_zeros() {
            x = mixed ^ (x >> self.shift);
            known += self.shift;
        }
        x
    }
}

/// The number that, multiplied with an odd one, gives 1; each step doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut right_bits = 3;
    while right_bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        right_bits *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_taken_once_at_any_length() {
        for len in [1, 2, 3, 4, 5, 63, 64, 65, 1_000, 4_096, 10_007] {
            for seed in 0..4 {
                let shuffle = Permutation::new(seed, len);
                let mut seen = vec![false; len as usize];
                for place in 0..len {
                    let target = shuffle.at(place) as usize;
                    assert!(
                        !std::mem::replace(&mut seen[target], true),
                        "{target} twice"
                    );
                    assert_eq!(shuffle.place_of(target as u64), place);
                }
            }
        }
    }

    #[test]
    fn the_order_depends_on_the_seed_and_is_not_sorted() {
        let order = |seed| {
            let shuffle = Permutation::new(seed, 1_000);
            (0..1_000)
                .map(|place| shuffle.at(place))
                .collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
        assert_eq!(order(1), order(1));
        let rising = order(1).windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!(
            (400..600).contains(&rising),
            "{rising} of 999 neighbours rise"
        );
    }

    #[test]
    fn percent_draws_come_out_near_their_percentage() {
        let drawn = (0..10_000).filter(|n| within_percent(&[7, *n], 30)).count();
        assert!((2_800..3_200).contains(&drawn), "{drawn}");
        assert!((0..1_000).all(|n| within_percent(&[n], 100) && !within_percent(&[n], 0)));
    }
}
