//! One delivery: what became of a try, when the next one is, and when it is given up; how long a destination that fails
//! is left alone; and which deliveries must wait for which, so that each grant's events arrive in their order.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::name::named_enum;

/// Failures in a row after which a destination is left alone for a while.
pub const FAILURES_MAX: u64 = 5;

named_enum! {
    /// What a destination does with the keys of what it is sent.
    "use of keys" Keys {
        /// It applies each key once, however often it comes: what is in doubt is sent again.
        Honoured = "honoured",
        /// It ignores them: what may have been applied is never sent again by itself.
        Ignored = "ignored",
    }
}

named_enum! {
    /// Where a delivery stands.
    "delivery state" DeliveryState {
        /// To be sent, for the first time or again.
        Waiting = "waiting",
        /// On its way, to a destination that ignores keys.
        Sending = "sending",
        /// Taken.
        Delivered = "delivered",
        /// It may have been applied or not, and cannot be sent again without risk. Somebody has to look.
        Unknown = "unknown",
        /// Given up without having been applied.
        Dead = "dead",
        /// Sent again by hand when everything in it was over.
        Overtaken = "overtaken",
    }
}

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tried {
    /// The destination took it.
    Accepted,
    /// It will never take it.
    Refused,
    /// It did not look at it; milliseconds after which it wants it again, where it says so.
    Busy(Option<i64>),
    /// It failed in the middle, so part of it may have been applied.
    Failed,
    /// Not a byte of it left.
    NotSent,
    /// It left, and no answer came back.
    Lost,
}

impl Tried {
    /// What an HTTP status says of a delivery.
    ///
    /// Only 2xx is success: redirects are not followed, and what else a body may say is not read.
    pub const fn from_status(status: u16, retry_after_ms: Option<i64>) -> Self {
        match status {
            200..=299 => Self::Accepted,
            408 | 409 | 425 | 429 | 503 => Self::Busy(retry_after_ms),
            500..=599 => Self::Failed,
            _ => Self::Refused,
        }
    }

    /// Whether the delivery may have been applied, or a part of it.
    pub const fn is_in_doubt(self) -> bool {
        matches!(self, Self::Failed | Self::Lost)
    }

    /// Whether it says that the destination is not well, rather than that it does not like this delivery.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Accepted | Self::Refused)
    }
}

/// How a delivery is tried again. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retry {
    /// Wait after the first try; it doubles with each further one.
    pub first_ms: i64,
    /// The wait never grows beyond this.
    pub most_ms: i64,
    /// Since its first try, after which it is given up.
    pub give_up_ms: i64,
}

/// The tries of a delivery so far, the newest included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tries {
    /// How many.
    pub count: u64,
    /// Milliseconds; the first of them.
    pub first_at: i64,
    /// One before the newest may have been applied.
    pub was_in_doubt: bool,
}

/// What follows from a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// It is settled.
    Settled(DeliveryState),
    /// It is tried again at an instant in milliseconds.
    Again(i64),
}

/// What follows from a try at `now`. `spread` is any number; waits differ by it.
pub fn next(keys: Keys, tried: Tried, so_far: Tries, retry: Retry, now: i64, spread: u64) -> Next {
    let in_doubt = so_far.was_in_doubt || tried.is_in_doubt();
    let given_up = if in_doubt {
        DeliveryState::Unknown
    } else {
        DeliveryState::Dead
    };
    let wanted_after = match (keys, tried) {
        (_, Tried::Accepted) => return Next::Settled(DeliveryState::Delivered),
        (_, Tried::Refused) => return Next::Settled(given_up),
        (Keys::Ignored, Tried::Failed | Tried::Lost) => {
            return Next::Settled(DeliveryState::Unknown);
        }
        (_, Tried::Busy(after)) => after.unwrap_or_default(),
        (_, Tried::Failed | Tried::Lost | Tried::NotSent) => 0,
    };
    let at = now.saturating_add(wait_ms(retry, so_far.count, spread).max(wanted_after));
    if at > so_far.first_at.saturating_add(retry.give_up_ms) {
        Next::Settled(given_up)
    } else {
        Next::Again(at)
    }
}

/// A wait that doubles from try to try, half of it left to chance; at least a millisecond.
pub fn wait_ms(retry: Retry, tries: u64, spread: u64) -> i64 {
    let doublings = u32::try_from(tries.saturating_sub(1).min(40)).unwrap_or(40);
    let doubled = retry.first_ms.saturating_mul(1_i64 << doublings);
    let wait = doubled.min(retry.most_ms).max(1);
    let chance = i64::try_from(spread % (wait as u64 / 2 + 1)).unwrap_or_default();
    (wait - wait / 2)
        .saturating_add(chance)
        .min(retry.most_ms.max(1))
}

/// How long a destination is left alone after so many failures in a row; `None`: not at all.
pub fn rest_ms(failures: u64, retry: Retry, spread: u64) -> Option<i64> {
    let beyond = failures.checked_sub(FAILURES_MAX)?;
    Some(wait_ms(retry, beyond + 1, spread))
}

/// Deliveries on their way, in the order in which they were planned. One that shares a grant with an earlier one waits
/// until that is settled; all others go past each other.
#[derive(Debug)]
pub struct Order<K> {
    /// Who is to be told of a grant next, and after that.
    queues: HashMap<K, VecDeque<u64>>,
    /// What each delivery is about, and how many of its grants it is not the next for.
    open: HashMap<u64, (Vec<K>, usize)>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            open: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Order<K> {
    /// Adds a delivery behind those that are there; grants may be named more than once.
    pub fn push(&mut self, delivery: u64, grants: impl IntoIterator<Item = K>) {
        let mut own = Vec::new();
        let mut behind = 0;
        for grant in grants {
            let queue = self.queues.entry(grant).or_default();
            if queue.back() == Some(&delivery) {
                continue;
            }
            behind += usize::from(!queue.is_empty());
            queue.push_back(delivery);
            own.push(grant);
        }
        self.open.insert(delivery, (own, behind));
    }

    /// Whether a delivery is among them.
    pub fn contains(&self, delivery: u64) -> bool {
        self.open.contains_key(&delivery)
    }

    /// Whether a delivery waits for no other.
    pub fn is_free(&self, delivery: u64) -> bool {
        matches!(self.open.get(&delivery), Some((_, 0)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a delivery out, and tells which ones wait for none any more because of it.
    pub fn settle(&mut self, delivery: u64) -> Vec<u64> {
        let Some((grants, _)) = self.open.remove(&delivery) else {
            return Vec::new();
        };
        let mut freed = Vec::new();
        for grant in grants {
            let Some(queue) = self.queues.get_mut(&grant) else {
                continue;
            };
            let was_first = queue.front() == Some(&delivery);
            queue.retain(|other| *other != delivery);
            let first = queue.front().copied();
            match first {
                None => drop(self.queues.remove(&grant)),
                Some(first) if was_first => {
                    if let Some((_, behind)) = self.open.get_mut(&first) {
                        *behind -= 1;
                        if *behind == 0 {
                            freed.push(first);
                        }
                    }
                }
                Some(_) => {}
            }
        }
        freed
    }
}
