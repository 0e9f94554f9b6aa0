//! A conditional campaign, looked at again from what is stored: its rounds add up, and whoever was decided has grants
//! or a denial.

use bestow_store::Error as StoreError;
use bestow_store::campaigns::Campaign;
use bestow_store::clearance::Round;
use bestow_store::verify::Violation;

use super::walk::{Listed, Walker};
use crate::app::App;
use crate::error::Result;
use crate::service::audit::Object;

/// Customers walked at once.
const AT_ONCE: usize = 10_000;
/// Violations told of one round.
const TOLD_MAX: usize = 100;

/// Checks the rounds of a campaign; `None` where it has none.
pub(crate) fn check(app: &App, tenant: i64, campaign: &Campaign) -> Result<Option<Vec<Violation>>> {
    let rounds = app.store.peek(|tx| tx.rounds(tenant, campaign.no))?;
    if rounds.is_empty() {
        return Ok(None);
    }
    let mut violations = Vec::new();
    for round in &rounds {
        let object = Object::Round(&campaign.id, round.no).to_string();
        violations.extend(figures(round).map(|detail| Violation {
            rule: "round_adds_up",
            object: object.clone(),
            detail,
        }));
        let undecided = undecided(app, tenant, campaign.no, round)?;
        violations.extend(undecided.into_iter().map(|customer| Violation {
            rule: "cleared_has_grant",
            object: format!("customer {customer}"),
            detail: format!("decided by {object}, with neither a grant nor a denial"),
        }));
    }
    Ok(Some(violations))
}

fn figures(round: &Round) -> Option<String> {
    let Round {
        customers,
        approved,
        denied,
        reported,
        ..
    } = round;
    let adds_up = *customers == approved + denied && reported <= approved;
    let is_behind =
        round.reported_through <= round.sent_through && round.sent_through <= round.decided_through;
    if adds_up && is_behind {
        return None;
    }
    let (decided, sent) = (&round.decided_through, &round.sent_through);
    Some(format!(
        "{customers} customers, {approved} approved, {denied} denied, {reported} reported; decided through \
         {decided:?}, sent through {sent:?}, reported through {:?}",
        round.reported_through
    ))
}

/// Customers behind the cursor of whom nothing is durable.
fn undecided(app: &App, tenant: i64, campaign: i64, round: &Round) -> Result<Vec<String>> {
    let Some(through) = round.decided_through.as_deref() else {
        return Ok(Vec::new());
    };
    let mut walker = Walker::open(&app.store, tenant, campaign, round.no, None)?;
    let mut undecided = Vec::new();
    while let Some((_, listed)) = walker.chunk(AT_ONCE, Some(through))? {
        for one in listed {
            if undecided.len() < TOLD_MAX && !is_durable(app, tenant, campaign, &one)? {
                undecided.push(one.customer);
            }
        }
    }
    Ok(undecided)
}

/// Whether a customer is denied or granted. All codes are granted in one transaction or none, and one whom an earlier
/// round approved may lack codes that came too late, so one grant says it of all.
fn is_durable(app: &App, tenant: i64, campaign: i64, listed: &Listed) -> Result<bool> {
    let found = app.store.read(|tx| {
        if tx.denial(tenant, campaign, &listed.customer)?.is_some() {
            return Ok::<_, StoreError>(true);
        }
        let rows = tx.ledger_rows(tenant, &listed.customer)?;
        let granted = listed
            .pairs
            .iter()
            .filter(|pair| rows.iter().any(|row| row.offer == pair.offer));
        Ok(listed.pairs.is_empty() || granted.count() > 0)
    })?;
    Ok(found)
}
