//! The ledger as anybody can read it, and how much of what a history had.

use std::collections::BTreeSet;

use serde_json::Value;

use super::model::Kind;
use super::run::Wrong;
use super::stage::Stage;

/// A grant as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) customer: String,
    /// Folded.
    pub(crate) code: String,
    /// In milliseconds.
    pub(crate) starts_at: i64,
    pub(crate) ends_at: Option<i64>,
    pub(crate) status: String,
    pub(crate) unique_code: Option<String>,
    /// Whether it was redeemed.
    pub(crate) is_redeemed: bool,
}

impl Seen {
    fn read(line: &[u8]) -> anyhow::Result<(String, Self)> {
        let grant: Value = serde_json::from_slice(line)?;
        let text = |name: &str| grant[name].as_str().unwrap_or_default().to_owned();
        let ms = |name: &str| anyhow::Ok(text(name).parse::<jiff::Timestamp>()?.as_millisecond());
        let ends_at = match grant["ends_at"] {
            Value::Null => None,
            _ => Some(ms("ends_at")?),
        };
        let seen = Self {
            id: text("id"),
            customer: text("customer_id"),
            code: text("promo_code").to_lowercase(),
            starts_at: ms("starts_at")?,
            ends_at,
            status: text("status"),
            unique_code: grant["unique_code"].as_str().map(str::to_owned),
            is_redeemed: grant["redeemed_count"] != 0,
        };
        Ok((text("id"), seen))
    }

    /// Who has what, from when to when.
    pub(crate) fn holding(&self) -> ((String, String), (i64, Option<i64>)) {
        let pair = (self.customer.clone(), self.code.clone());
        (pair, (self.starts_at, self.ends_at))
    }

    pub(super) fn is_at(&self, ms: i64) -> bool {
        self.starts_at <= ms && self.ends_at.is_none_or(|end| ms < end)
    }
}

/// How much of what a history had.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met {
    /// Grants of campaigns whose customers came in lists.
    pub(crate) listed: u64,
    /// Customers who were approved at Optimove.
    pub(crate) approved: u64,
    /// Grants that were sent after an approval.
    pub(crate) cleared: u64,
    /// Grants of triggers.
    pub(crate) triggered: u64,
    /// Campaigns that were taken back.
    pub(crate) revoked: u64,
    /// Grants of campaigns that ended by the daily list.
    pub(crate) ended: u64,
    /// Unique codes that were given.
    pub(crate) codes: u64,
    /// Campaigns that somebody wrongly said were cancelled, and that went on.
    pub(crate) lifted: u64,
    /// Grants that were redeemed.
    pub(crate) redeemed: u64,
    /// Campaigns that waited, and that a second person let go on or refused.
    pub(crate) decided: u64,
    /// Events that took effect at a system of the operator's.
    pub(crate) told: u64,
    /// Events of which nobody can tell whether they did.
    pub(crate) in_doubt: u64,
}

impl Met {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            listed: self.listed + other.listed,
            approved: self.approved + other.approved,
            cleared: self.cleared + other.cleared,
            triggered: self.triggered + other.triggered,
            revoked: self.revoked + other.revoked,
            ended: self.ended + other.ended,
            codes: self.codes + other.codes,
            lifted: self.lifted + other.lifted,
            redeemed: self.redeemed + other.redeemed,
            decided: self.decided + other.decided,
            told: self.told + other.told,
            in_doubt: self.in_doubt + other.in_doubt,
        }
    }
}

impl Stage<'_> {
    /// The ledger of a campaign, read through the API.
    pub(super) async fn ledger(&self, campaign: usize) -> Result<Vec<Seen>, Wrong> {
        let (mut held, mut ids) = (Vec::new(), BTreeSet::new());
        let (status, _) = self.get(&self.campaign_path(campaign)).await?;
        if status == 404 {
            return Ok(held);
        }
        let path = format!("{}/grants", self.campaign_path(campaign));
        let read = self.process().api.lines(&path, |line| {
            let (id, grant) = Seen::read(line)?;
            anyhow::ensure!(ids.insert(id), "granted twice: {grant:?}");
            held.push(grant);
            Ok(())
        });
        read.await.map_err(|e| format!("{e:#}"))?;
        held.sort_by_key(Seen::holding);
        if self.kind(campaign) != Kind::Triggered {
            let twice = held
                .windows(2)
                .find(|two| two[0].holding().0 == two[1].holding().0);
            if let Some(twice) = twice {
                return Err(format!("granted twice: {twice:?}"));
            }
        }
        Ok(held)
    }
}
