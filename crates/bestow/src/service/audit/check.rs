//! Whether the audit records are what was signed.

use std::collections::VecDeque;
use std::iter;

use bestow_store::audit::{AuditRecord, Checkpoint};
use bestow_store::verify::Violation;
use bestow_store::{Error as StoreError, Tx};

use super::chain;
use super::view::KeptCheckpoint;
use crate::app::App;
use crate::error::Result;

/// Rows read at once.
const ROWS_AT_ONCE: u32 = 2_000;

/// Follows the records of a tenant, 0 for the deployment itself, past the checkpoints in the database and past those
/// that were kept elsewhere.
///
/// # Errors
/// The store's.
pub(crate) fn check(app: &App, tenant: i64, kept: &[KeptCheckpoint]) -> Result<Vec<Violation>> {
    let key = app.keys.signer().public();
    let elsewhere = kept.iter().filter(|kept| kept.tenant == tenant);
    let elsewhere = elsewhere.map(|kept| kept.checkpoint.clone()).collect();
    let stored = rows(
        app,
        |tx, after| tx.checkpoints(tenant, after, ROWS_AT_ONCE),
        |one| one.seq,
    );
    let records = rows(
        app,
        |tx, after| tx.audit_records(tenant, after, ROWS_AT_ONCE),
        |one: &AuditRecord| one.seq,
    );
    Ok(chain::check(
        tenant,
        &key,
        merged(stored, elsewhere),
        records,
    )?)
}

type Read<T> = std::result::Result<T, StoreError>;

/// Rows in the order of `seq`, some at a time. Ends at an error.
fn rows<T>(
    app: &App,
    mut read: impl FnMut(&mut Tx<'_>, i64) -> Read<Vec<T>>,
    seq: impl Fn(&T) -> u64,
) -> impl Iterator<Item = Read<T>> {
    let (mut some, mut after, mut is_over) = (VecDeque::new(), 0, false);
    iter::from_fn(move || {
        if some.is_empty() && !is_over {
            match app.store.peek(|tx| read(tx, after)) {
                Ok(found) => some = found.into(),
                Err(error) => {
                    is_over = true;
                    return Some(Err(error));
                }
            }
        }
        let next = some.pop_front();
        match &next {
            Some(row) => after = seq(row) as i64,
            None => is_over = true,
        }
        next.map(Ok)
    })
}

/// Checkpoints of two places in one order.
fn merged(
    stored: impl Iterator<Item = Read<Checkpoint>>,
    mut elsewhere: Vec<Checkpoint>,
) -> impl Iterator<Item = Read<Checkpoint>> {
    elsewhere.sort_by_key(|checkpoint| checkpoint.seq);
    let (mut stored, mut elsewhere) = (stored.peekable(), elsewhere.into_iter().peekable());
    iter::from_fn(move || {
        let first = match (elsewhere.peek(), stored.peek()) {
            (Some(one), Some(Ok(other))) => one.seq <= other.seq,
            (one, None) => one.is_some(),
            _ => false,
        };
        if first {
            elsewhere.next().map(Ok)
        } else {
            stored.next()
        }
    })
}
