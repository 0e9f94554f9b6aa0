//! How often somebody may ask: each token, each customer, each listener's secret, and each address without a token.
//!
//! Counted in memory, by each process for itself. A bucket is one instant (the generic cell rate algorithm): when the
//! bucket will be full again.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::RateLimits;
use crate::http::edge::neighbourhood;
use crate::http::problem::Problem;

/// Parts of the buckets, so that requests seldom wait for each other.
const SHARDS: usize = 16;
/// Buckets of one kind. Beyond it those that are full again are forgotten, and then all of them.
const BUCKETS_MAX: usize = 200_000;

/// The limits of all requests.
pub(crate) struct Rates {
    token: Buckets,
    customer: Buckets,
    listener: Buckets,
    refused: Buckets,
}

impl Rates {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        let second = Duration::from_secs(1);
        let minute = Duration::from_mins(1);
        Self {
            token: Buckets::new(limits.token_per_second, second, limits.token_burst),
            customer: Buckets::new(limits.customer_per_second, second, limits.customer_burst),
            listener: Buckets::new(limits.listener_per_second, second, limits.listener_burst),
            refused: Buckets::new(
                limits.refusals_per_minute,
                minute,
                limits.refusals_per_minute,
            ),
        }
    }

    /// One more request with this token.
    pub(crate) fn token(&self, id: &str) -> Result<(), Problem> {
        let taken = self.token.take(&id, Instant::now());
        taken.map_err(|wait| Problem::too_many("too_many_requests", TOKEN, wait))
    }

    /// One more request about this customer.
    pub(crate) fn customer(&self, tenant: i64, customer: &str) -> Result<(), Problem> {
        let taken = self.customer.take(&(tenant, customer), Instant::now());
        taken.map_err(|wait| Problem::too_many("too_many_of_customer", CUSTOMER, wait))
    }

    /// One more event at the address with this secret.
    pub(crate) fn listener(&self, hash: &[u8; 32]) -> Result<(), Problem> {
        let taken = self.listener.take(hash, Instant::now());
        taken.map_err(|wait| Problem::too_many("too_many_events", LISTENER, wait))
    }

    /// One more request from this address that shows no valid token.
    pub(crate) fn refused(&self, address: IpAddr) -> Result<(), Problem> {
        let taken = self.refused.take(&neighbourhood(address), Instant::now());
        taken.map_err(|wait| Problem::too_many("too_many_refusals", REFUSED, wait))
    }
}

const TOKEN: &str = "This token asks too often.";
const CUSTOMER: &str = "Too much is asked about this customer.";
const LISTENER: &str = "Too many events at this address: send it again.";
const REFUSED: &str = "Too many requests without a valid token from this address.";

/// Buckets of one kind, by the hash of whose they are; two that shared a hash would share a bucket.
struct Buckets {
    /// Time in which a bucket gains one; zero where there is no limit.
    interval: Duration,
    /// How far ahead of now a bucket's end may lie for one more to be taken.
    room: Duration,
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, Instant>>; SHARDS],
}

impl Buckets {
    fn new(count: u32, span: Duration, burst: u32) -> Self {
        let interval = span.checked_div(count).unwrap_or_default();
        Self {
            interval,
            room: interval.saturating_mul(burst.saturating_sub(1)),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Takes one out of a bucket.
    ///
    /// # Errors
    /// How long it takes until there is one.
    fn take(&self, whose: &impl Hash, now: Instant) -> Result<(), Duration> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let hash = self.hasher.hash_one(whose);
        let shard = &self.shards[hash as usize % SHARDS];
        // Whatever panicked meanwhile left whole instants behind.
        let mut full_at = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= BUCKETS_MAX / SHARDS && !full_at.contains_key(&hash) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= BUCKETS_MAX / SHARDS {
                full_at.clear();
            }
        }
        let at = full_at.entry(hash).or_insert(now);
        let begins = (*at).max(now);
        let wait = begins.duration_since(now).saturating_sub(self.room);
        if !wait.is_zero() {
            return Err(wait);
        }
        *at = begins + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_taken_at_once_and_comes_back_at_its_rate() {
        let (buckets, start) = (Buckets::new(2, SECOND, 3), Instant::now());
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", start), Ok(()));
        }
        assert_eq!(buckets.take(&"a", start), Err(SECOND / 2));
        assert_eq!(buckets.take(&"b", start), Ok(()), "another's bucket");
        // One that was refused took nothing.
        assert_eq!(buckets.take(&"a", start + SECOND / 2), Ok(()));
        assert_eq!(buckets.take(&"a", start + SECOND / 2), Err(SECOND / 2));
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", start + SECOND * 60), Ok(()));
        }
        assert!(buckets.take(&"a", start + SECOND * 60).is_err());
    }

    #[test]
    fn over_a_long_time_it_is_the_rate_and_one_burst() {
        let (buckets, start) = (Buckets::new(10, SECOND, 5), Instant::now());
        let asked = (0..60_000_u32).map(|ms| start + Duration::from_millis(ms.into()));
        let taken = asked.filter(|now| buckets.take(&"a", *now).is_ok()).count();
        assert_eq!(taken, 5 + 599);
    }

    #[test]
    fn nothing_is_counted_where_there_is_no_limit() {
        let (buckets, start) = (Buckets::new(0, SECOND, 0), Instant::now());
        for _ in 0..1_000 {
            assert_eq!(buckets.take(&"a", start), Ok(()));
        }
        assert!(
            buckets
                .shards
                .iter()
                .all(|shard| shard.lock().unwrap().is_empty())
        );
    }

    #[test]
    fn their_number_is_bounded_and_those_that_wait_are_kept_longest() {
        let (buckets, start) = (Buckets::new(1, SECOND, 1), Instant::now());
        let later = start + SECOND;
        assert_eq!(buckets.take(&"a", later), Ok(()));
        // Half of the room for those that are full again by then, and more than the other half for others.
        for number in 0..BUCKETS_MAX / 2 {
            assert_eq!(buckets.take(&number, start), Ok(()));
        }
        for number in 0..BUCKETS_MAX * 6 / 10 {
            assert_eq!(buckets.take(&(number, "again"), later), Ok(()));
        }
        let kept: usize = buckets
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum();
        assert!(kept <= BUCKETS_MAX, "{kept}");
        assert!(buckets.take(&"a", later).is_err());
    }
}
