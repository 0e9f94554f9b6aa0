//! Unique codes: what one may look like, in which order a pool gives them, and when it runs low.

use std::collections::VecDeque;

use crate::text;

/// Characters of a unique code, separators not counted.
pub const CODE_CHARS_MAX: usize = 64;
/// Characters of a generated code: sixteen of five random bits each make eighty bits.
const GENERATED_CHARS: usize = 16;
/// Digits and letters without look-alikes: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Shares of a pool, in per cent, at which it is told to be low, the highest first; 0 is empty.
pub const LOW_PERCENTS: [u8; 3] = [20, 5, 0];

/// Why a text is no unique code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UniqueCodeFault {
    /// Nothing is left once blanks and separators are gone.
    #[error("a unique code may not be empty")]
    Empty,
    /// More than [`CODE_CHARS_MAX`] characters.
    #[error("a unique code has at most {CODE_CHARS_MAX} letters and digits")]
    TooLong,
    /// Anything but letters and digits of ASCII, blanks, `-` and `_`.
    #[error("a unique code is made of the letters A to Z, digits, hyphens and underscores")]
    BadCharacter,
}

/// A code that belongs to one customer.
///
/// It is shown as it was loaded and compared by its [`key`](Self::key), in which letter case, blanks, invisible
/// characters, hyphens and underscores make no difference: that is how people type. Look-alikes stay apart, since
/// somebody else's codes may differ in nothing else; generated codes have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueCode {
    key: Box<str>,
    /// Only where it differs from the key.
    spelling: Option<Box<str>>,
}

impl UniqueCode {
    /// Reads a code as it is loaded or typed.
    ///
    /// # Errors
    ///
    /// See [`UniqueCodeFault`].
    pub fn parse(text: &str) -> Result<Self, UniqueCodeFault> {
        let shown = text.trim();
        let mut key = String::with_capacity(shown.len().min(CODE_CHARS_MAX));
        for letter in shown.chars() {
            match letter {
                letter if letter.is_ascii_alphanumeric() => key.push(letter.to_ascii_uppercase()),
                ' ' | '-' | '_' => {}
                letter if text::is_invisible(letter) => {}
                _ => return Err(UniqueCodeFault::BadCharacter),
            }
            if key.len() > CODE_CHARS_MAX {
                return Err(UniqueCodeFault::TooLong);
            }
        }
        if key.is_empty() {
            return Err(UniqueCodeFault::Empty);
        }
        // Separators count a little: nobody shows a code that is mostly made of them.
        if text::is_longer_than(shown, 2 * CODE_CHARS_MAX) {
            return Err(UniqueCodeFault::TooLong);
        }
        let spelling = (key != shown).then(|| shown.into());
        Ok(Self {
            key: key.into(),
            spelling,
        })
    }

    /// A code of eighty random bits, which must come from the operating system's randomness.
    pub fn generate(random: [u8; 10]) -> Self {
        let bits = random
            .iter()
            .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let key: String = (0..GENERATED_CHARS)
            .map(|place| char::from(ALPHABET[(bits >> (place * 5)) as usize & 31]))
            .collect();
        Self {
            key: key.into(),
            spelling: None,
        }
    }

    /// As it is shown.
    pub fn as_str(&self) -> &str {
        self.spelling.as_deref().unwrap_or(&self.key)
    }

    /// As it is shown, where that is not just its key.
    pub fn spelling(&self) -> Option<&str> {
        self.spelling.as_deref()
    }

    /// What compares.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The code that a grant gave, by its number in the promotion's pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GivenCode {
    /// None: the promo code itself is what is typed.
    #[default]
    Shared,
    /// One of its own: its number, from 1.
    Own(u32),
    /// The promotion's fallback code, since the pool was empty.
    Fallback,
}

impl GivenCode {
    /// From the number that is kept with a grant.
    pub fn from_number(number: i64) -> Self {
        match u32::try_from(number) {
            Ok(0) => Self::Shared,
            Ok(own) => Self::Own(own),
            Err(_) => Self::Fallback,
        }
    }

    /// The number that is kept with a grant.
    pub fn number(self) -> i64 {
        match self {
            Self::Shared => 0,
            Self::Own(own) => own.into(),
            Self::Fallback => -1,
        }
    }
}

/// What happens once a pool is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenEmpty {
    /// Everybody gets the promotion's fallback code.
    GiveFallback,
    /// Pairs wait.
    Hold,
}

/// What a pool has left to give, in the order of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    next: u32,
    last: u32,
    /// Numbers from `next` on that are void, in order.
    void: VecDeque<u32>,
    when_empty: WhenEmpty,
}

impl Supply {
    /// Codes `next..=last`, those that are `void` (in order) left out.
    pub fn new(next: u32, last: u32, void: Vec<u32>, when_empty: WhenEmpty) -> Self {
        let mut supply = Self {
            next,
            last,
            void: void.into(),
            when_empty,
        };
        supply.pass_void();
        supply
    }

    /// What the next grant gives; `None`: it has to wait.
    pub fn peek(&self) -> Option<GivenCode> {
        match self.when_empty {
            _ if self.next <= self.last => Some(GivenCode::Own(self.next)),
            WhenEmpty::GiveFallback => Some(GivenCode::Fallback),
            WhenEmpty::Hold => None,
        }
    }

    /// The grant was made with what [`peek`](Self::peek) said.
    pub fn take(&mut self) {
        if self.next <= self.last {
            self.next += 1;
            self.pass_void();
        }
    }

    /// The number before which all are taken.
    pub fn next(&self) -> u32 {
        self.next
    }

    fn pass_void(&mut self) {
        while self.void.front() == Some(&self.next) {
            self.void.pop_front();
            self.next += 1;
        }
    }
}

/// The lowest of the marks 20 %, 5 % and 0 % that the free codes of a pool have come down to; `None` above all of
/// them.
pub fn low_percent(loaded: u64, free: u64) -> Option<u8> {
    let is_down_to =
        |percent: u8| u128::from(free) * 100 <= u128::from(loaded) * u128::from(percent);
    LOW_PERCENTS
        .into_iter()
        .rev()
        .find(|percent| is_down_to(*percent))
}
