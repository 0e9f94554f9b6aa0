//! A month of triggers: what is written of it, and how it goes.

use bestow_store::archive_file::{Cell, Writer};
use bestow_store::archived_triggers::LeavingTrigger;
use bestow_store::grants::LedgerRow;
use bestow_store::{Error, Store};

use super::write::{Source, Terms};

/// Triggers read at once.
pub(super) const TRIGGERS_AT_ONCE: u32 = 500;

/// Some triggers of an archive behind an occurrence, each with its grants.
pub(super) fn some(
    store: &Store,
    tenant: i64,
    (no, campaign, until_ms): (i64, i64, i64),
    after: &str,
) -> Result<Vec<(LeavingTrigger, Vec<LedgerRow>)>, Error> {
    let triggers = store.peek(|tx| {
        let from_ms = tx.triggers_archived_before(tenant, campaign, no)?;
        tx.leaving_triggers(
            tenant,
            campaign,
            (from_ms, until_ms),
            after,
            TRIGGERS_AT_ONCE,
        )
    })?;
    let customers: Vec<_> = triggers
        .iter()
        .map(|trigger| trigger.customer.as_str())
        .collect();
    let held = store.peek::<_, Error>(|tx| tx.ledger_rows_of(tenant, &customers))?;
    let with_grants = triggers.into_iter().zip(held).map(|(trigger, mut rows)| {
        rows.retain(|row| row.occurrence == trigger.occurrence);
        (trigger, rows)
    });
    Ok(with_grants.collect())
}

/// Writes the files of a month. How many grants, or that not all of them have ended.
pub(super) fn write(
    source: &Source,
    grants: &mut Writer,
    triggers: &mut Writer,
    pairs: &mut Writer,
) -> Result<Result<u64, Option<String>>, Error> {
    let (tenant, campaign) = (source.tenant, source.archive.campaign);
    let which = (source.archive.no, campaign, source.archive.until);
    let terms = Terms::read(source)?;
    let (mut written, mut after) = (0, String::new());
    loop {
        let found = some(&source.store, tenant, which, &after)?;
        let Some((last, _)) = found.last() else {
            return Ok(Ok(written));
        };
        after.clone_from(&last.occurrence);
        for (trigger, held) in found {
            for row in held.iter().filter(|row| terms.is_of(row)) {
                if !terms.has_ended(row, &[], source.cutoff_ms) {
                    return Ok(Err(None));
                }
                grants.push(terms.grant(&trigger.customer, row, &[]))?;
                written += 1;
            }
            let settled = source
                .store
                .peek(|tx| tx.trigger_pairs(tenant, campaign, &trigger.occurrence))?;
            for (code, outcome) in settled {
                pairs.push(vec![
                    Cell::Text(trigger.occurrence.clone()),
                    Cell::Text(code),
                    Cell::Text(outcome),
                ])?;
            }
            triggers.push(vec![
                Cell::Text(trigger.occurrence),
                Cell::Text(trigger.customer),
                Cell::Text(trigger.notification),
                Cell::Int(trigger.met_at),
                Cell::Int(trigger.taken_at),
                Cell::Int(trigger.reserved.into()),
                Cell::Text(trigger.kept),
            ])?;
        }
    }
}
