//! Whether a list agrees with what the campaign says of its size, so that nothing of it can be missing.

use std::collections::BTreeSet;

use bestow_store::campaigns::Campaign;
use bestow_store::imports::Import;
use bestow_store::runs::{Group, Runs};
use bestow_store::{Error as StoreError, Store};

use super::Work;
use crate::error::{Error, Result};
use crate::service::merge::CampaignFacts;

/// The size the campaign tells, where the list has as many rows and as many customers: each customer has one row then,
/// and none is missing. Of any other list a row may be missing although its customer is known, from another row or
/// from another list.
pub(super) async fn told_size(
    work: &Work<'_>,
    campaign: &Campaign,
    import: &Import,
) -> Result<Option<u64>> {
    let Some(size) = campaign.expected_size else {
        return Ok(None);
    };
    if import.skip != size {
        return Ok(None);
    }
    let (store, tenant, no) = (work.app.store.clone(), work.job.tenant, campaign.no);
    let lists = super::lists(store.peek(|tx| tx.imports(tenant, no))?).len();
    let customers = if lists == 1 {
        campaign.customers.unwrap_or_default()
    } else {
        let (channel, to) = (import.channel, campaign.merged_through);
        tokio::task::spawn_blocking(move || customers_of(&store, tenant, no, channel, to))
            .await
            .map_err(|e| Error::Store(StoreError::Unavailable(format!("counting: {e}"))))??
    };
    Ok((customers == size).then_some(size))
}

/// Distinct customers in the landed pages of one channel, up to a page.
fn customers_of(
    store: &Store,
    tenant: i64,
    campaign: i64,
    channel: i64,
    to: u32,
) -> std::result::Result<u64, StoreError> {
    let facts = CampaignFacts::read(store, tenant, campaign)?;
    let mut runs = Runs::open(store, tenant, campaign, to, None)?;
    let (mut group, mut customers) = (Group::default(), 0);
    while runs.next_group(&mut group)? {
        let of_channel = group
            .entries
            .iter()
            .filter(|entry| facts.channel(entry) == channel);
        let distinct: BTreeSet<&str> = of_channel.map(|entry| group.customer(entry)).collect();
        customers += distinct.len() as u64;
    }
    Ok(customers)
}
