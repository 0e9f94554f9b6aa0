//! Scheduled campaigns: the ledger is what the oracle says, and the counts are what a count by hand comes to.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::Counts;
use super::model::Known;
use super::run::Wrong;
use super::seen::Seen;
use super::stage::Stage;
use crate::support::Holdings;

/// Rows of the longest list there is.
const ROWS_MAX: u32 = 100_000;

/// The ledger of a campaign that ran is what the oracle says, and its counts add up.
pub(super) async fn granted(
    stage: &Stage<'_>,
    campaign: usize,
    ledger: &[Seen],
    counts: &Counts,
) -> Result<(), Wrong> {
    let never = never_known(stage);
    let mut expected = stage.expected(campaign)?;
    expected.retain(|(_, code), _| !never.contains(code));
    let ledger: Holdings = ledger.iter().map(Seen::holding).collect();
    let excluded = ever_excluded(stage, campaign);
    let alike = same_grants(&expected, &ledger, &excluded)?;
    if !stage.processed.contains(&campaign) {
        return Ok(());
    }
    // A released code does not release the pairs of an id that is nearly another customer's.
    let mut known_reasons = vec!["unknown_code", "near_equal_customer_id"];
    if alike {
        known_reasons.extend(["inactive_promotion", "promotion_stopped"]);
    }
    if let Some(odd) = counts
        .held
        .keys()
        .find(|reason| !known_reasons.contains(&reason.as_str()))
    {
        return Err(format!("pairs are held as {odd}"));
    }
    let is_excluded = |reason: &String| reason == "excluded" && !excluded.is_empty();
    if !counts.refused.keys().all(is_excluded) {
        return Err(format!("pairs are refused: {:?}", counts.refused));
    }
    // Whoever is excluded between two readings of a list may count in both.
    let is_read_once = !stage.guards.seen_first.contains(&campaign);
    if stage.history.has_plain_lists() && counts.refused.is_empty() && is_read_once {
        recount(stage, campaign, counts, &never, alike).await?;
    }
    Ok(())
}

/// Whether some ids are nearly equal.
type Alike = bool;

/// Everybody holds exactly what the oracle says. Of ids that differ by letter case only, one is the customer and holds
/// all of its own; the others are held. Whoever was excluded at some time may hold less.
fn same_grants(
    expected: &Holdings,
    ledger: &Holdings,
    excluded: &BTreeSet<String>,
) -> Result<Alike, Wrong> {
    type Customers<'a> = BTreeMap<&'a str, BTreeMap<&'a str, (i64, Option<i64>)>>;
    fn by_fold(of: &Holdings) -> BTreeMap<String, Customers<'_>> {
        let mut folds: BTreeMap<String, Customers<'_>> = BTreeMap::new();
        for ((customer, code), window) in of {
            let customers = folds.entry(customer.to_lowercase()).or_default();
            customers.entry(customer).or_default().insert(code, *window);
        }
        folds
    }
    let (expected, ledger) = (by_fold(expected), by_fold(ledger));
    if let Some(extra) = ledger.keys().find(|fold| !expected.contains_key(*fold)) {
        return Err(format!(
            "{extra} holds {:?}, and should hold nothing",
            ledger[extra]
        ));
    }
    for (fold, wanted) in &expected {
        if excluded.contains(fold) {
            let is_wanted = |(customer, code): (&str, &str)| {
                let codes = wanted.get(customer);
                codes.is_some_and(|codes| codes.contains_key(code))
            };
            let held = ledger.get(fold).into_iter().flatten();
            let mut pairs =
                held.flat_map(|(customer, codes)| codes.keys().map(move |code| (*customer, *code)));
            if !pairs.all(is_wanted) {
                return Err(format!("{fold} holds more than {wanted:?}"));
            }
            continue;
        }
        let Some(held) = ledger.get(fold) else {
            return Err(format!("{fold} holds nothing, and should hold {wanted:?}"));
        };
        let is_own = |(customer, codes)| wanted.get(customer) == Some(codes);
        if held.len() != 1 || !held.iter().all(is_own) {
            return Err(format!("{fold} holds {held:?}, and should hold {wanted:?}"));
        }
    }
    Ok(expected.values().any(|customers| customers.len() > 1))
}

/// Reads the lists once more, plainly, and counts by hand.
async fn recount(
    stage: &Stage<'_>,
    campaign: usize,
    counts: &Counts,
    never: &BTreeSet<String>,
    alike: Alike,
) -> Result<(), Wrong> {
    let plan = &stage.history.world.campaigns[campaign];
    let client = stage.client(plan.tenant)?;
    let page = client
        .execution_page(&plan.id.to_string(), None, ROWS_MAX, 0)
        .await;
    let page = page.map_err(|e| e.to_string())?;
    let (mut rows, mut rows_without_code, mut pairs, mut unknown) = (0, 0, 0, 0);
    let read = page.for_each(|row| {
        let texts = row.promo_code.texts().flat_map(|text| text.split(','));
        let codes: BTreeSet<String> = texts
            .map(|code| code.trim().to_lowercase())
            .filter(|code| !code.is_empty())
            .collect();
        rows += 1;
        rows_without_code += u64::from(codes.is_empty());
        pairs += codes.len() as u64;
        unknown += codes.intersection(never).count() as u64;
    });
    read.map_err(|e| e.to_string())?;
    let told = (counts.rows, counts.rows_without_code, counts.pairs);
    if told != (rows, rows_without_code, pairs) {
        return Err(format!(
            "rows, rows without code, pairs: {told:?} counted, {rows}, {rows_without_code}, {pairs} there are"
        ));
    }
    let held = counts.held.get("unknown_code").copied().unwrap_or_default();
    if held < unknown || (held > unknown && !alike) {
        return Err(format!(
            "{held} pairs are held as unknown, {unknown} there are"
        ));
    }
    Ok(())
}

/// A campaign that was taken back holds nothing beyond what it once should have.
pub(super) fn taken_back(stage: &Stage<'_>, campaign: usize, ledger: &[Seen]) -> Result<(), Wrong> {
    let before = match stage.cancelled.get(&campaign) {
        Some(before) => before,
        None => &stage.expected(campaign)?,
    };
    let extra = ledger
        .iter()
        .find(|grant| !before.contains_key(&grant.holding().0));
    match extra {
        Some(grant) => Err(format!(
            "{grant:?} of a cancelled campaign is there without reason"
        )),
        None => Ok(()),
    }
}

/// The ids, without letter case, of everybody who was excluded at some time.
fn ever_excluded(stage: &Stage<'_>, campaign: usize) -> BTreeSet<String> {
    let tenant = stage.history.world.campaigns[campaign].tenant;
    let excluded = stage.excluded.iter();
    excluded
        .filter(|(of, _)| *of == tenant)
        .map(|(_, customer)| customer.to_lowercase())
        .collect()
}

fn never_known(stage: &Stage<'_>) -> BTreeSet<String> {
    let codes = stage.history.world.codes.iter();
    codes
        .filter(|code| code.known == Known::Never)
        .map(|code| code.code.to_lowercase())
        .collect()
}
