//! The auditor: what must be true of every history, worked out from the oracle and from plain reads alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bestow::clock::instant;
use bestow::service::verify;
use bestow::work;
use http::Method;
use optimove::client::Auth;
use optimove::{Client, Secret};
use optimove_sandbox::Expected;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::model::{Dice, Known, Op};
use super::run::{Stage, Wrong};
use crate::support::Holdings;

/// Grants of a campaign whose windows are tried out.
const TRIED_MAX: usize = 4;
/// Rows of the longest list there is.
const ROWS_MAX: u32 = 100_000;

/// Who holds what, by the oracle.
pub(crate) fn holdings(expected: Expected) -> Holdings {
    let pairs = expected.map(|one| {
        let window = (
            one.starts_at.as_millisecond(),
            Some(one.ends_at.as_millisecond()),
        );
        ((one.customer_id, one.promo_code.to_lowercase()), window)
    });
    pairs.collect()
}

/// What keeps a history from being at its end, if anything does.
pub(crate) async fn at_rest(stage: &Stage<'_>) -> Result<Option<String>, Wrong> {
    for campaign in &stage.processed {
        if stage.cancelled.contains_key(campaign) {
            continue;
        }
        let (status, view) = stage.get(&stage.campaign_path(*campaign)).await?;
        if status != 200 {
            return Ok(Some(format!("campaign {campaign} is unknown")));
        }
        let imports = view["imports"].as_array().cloned().unwrap_or_default();
        let is_done = |channel: Option<u64>| {
            let of_channel = |import: &&Value| import["channel_id"].as_u64() == channel;
            imports
                .iter()
                .find(of_channel)
                .is_some_and(|import| import["state"] == "done")
        };
        let channels = channels_of(&stage.history.world.campaigns[*campaign].spec);
        let is_whole = is_done(None) || channels.iter().all(|channel| is_done(Some(*channel)));
        if !is_whole || imports.iter().any(|import| import["state"] != "done") {
            let error = &view["last_error"];
            return Ok(Some(format!(
                "campaign {campaign} stands at {imports:?}, {error}"
            )));
        }
    }
    Ok(None)
}

/// Checks everything, and gives a digest of the ledger.
pub(crate) async fn audit(stage: &Stage<'_>) -> Result<String, Wrong> {
    let jobs = stage.jobs()?;
    if jobs
        .iter()
        .any(|job| !work::kind::REGULAR.contains(&&*job.kind))
    {
        return Err(format!("work is left: {jobs:?}"));
    }
    let findings = verify::run(&stage.process().app).map_err(|e| e.to_string())?;
    if !findings.is_empty() {
        return Err(format!("verify finds {findings:?}"));
    }
    inbox(stage).await?;
    // What a running service does within a second of any commit.
    stage.process().app.facts_changed();
    plain_switches(stage)?;
    let mut ledgers = Vec::new();
    for campaign in 0..stage.history.world.campaigns.len() {
        let ledger = ledger(stage, campaign).await?;
        match stage.cancelled.get(&campaign) {
            Some(before) => taken_back(stage, campaign, &ledger, before).await,
            None => granted(stage, campaign, &ledger).await,
        }
        .map_err(|wrong| format!("campaign {campaign}: {wrong}"))?;
        ledgers.push(ledger);
    }
    for campaign in 0..ledgers.len() {
        windows(stage, campaign, &ledgers).await?;
    }
    Ok(digest(&ledgers))
}

/// Every notification was settled, and every arrival counted.
async fn inbox(stage: &Stage<'_>) -> Result<(), Wrong> {
    let mut arrivals = 0;
    for tenant in &stage.history.world.tenants {
        let path = format!("/v1/tenants/{}/notifications?limit=1000", tenant.id);
        let (_, page) = stage.get(&path).await?;
        for one in page["data"].as_array().into_iter().flatten() {
            if one["status"] == "waiting" {
                return Err(format!("a notification still waits: {one}"));
            }
            arrivals += one["arrivals"].as_u64().unwrap_or_default();
        }
    }
    let (sent, acknowledged) = (stage.sent, stage.acknowledged);
    // A commit whose outcome is unknown is done again, and may count its arrivals again.
    let may_fail = |op: &Op| matches!(op, Op::FailCommit { .. } | Op::Crash { .. });
    let is_counted = if stage.history.ops.iter().any(may_fail) {
        acknowledged <= arrivals
    } else {
        arrivals == sent && sent == acknowledged
    };
    if is_counted {
        Ok(())
    } else {
        Err(format!(
            "{sent} posts, {acknowledged} acknowledged, {arrivals} arrivals counted"
        ))
    }
}

/// The ledger of a campaign, read through the API.
async fn ledger(stage: &Stage<'_>, campaign: usize) -> Result<Holdings, Wrong> {
    let mut held = Holdings::new();
    let (status, _) = stage.get(&stage.campaign_path(campaign)).await?;
    if status == 404 {
        return Ok(held);
    }
    let path = format!("{}/grants", stage.campaign_path(campaign));
    let read = stage.process().api.lines(&path, |line| {
        let grant: Value = serde_json::from_slice(line)?;
        let text = |name: &str| grant[name].as_str().unwrap_or_default().to_owned();
        let ms = |name: &str| anyhow::Ok(text(name).parse::<jiff::Timestamp>()?.as_millisecond());
        let key = (text("customer_id"), text("promo_code").to_lowercase());
        let window = (ms("starts_at")?, Some(ms("ends_at")?));
        anyhow::ensure!(held.insert(key, window).is_none(), "granted twice: {grant}");
        Ok(())
    });
    read.await.map_err(|e| format!("{e:#}"))?;
    Ok(held)
}

/// The ledger of a campaign that ran is what the oracle says, and its counts add up.
async fn granted(stage: &Stage<'_>, campaign: usize, ledger: &Holdings) -> Result<(), Wrong> {
    let never = never_known(stage);
    let mut expected = stage.expected(campaign)?;
    expected.retain(|(_, code), _| !never.contains(code));
    let alike = same_grants(&expected, ledger)?;
    if !stage.processed.contains(&campaign) {
        return Ok(());
    }
    let counts = counts(stage, campaign, ledger).await?;
    // A released code does not release the pairs of an id that is nearly another customer's.
    let mut known_reasons = vec!["unknown_code", "near_equal_customer_id"];
    if alike {
        known_reasons.push("inactive_promotion");
    }
    if let Some(odd) = counts
        .held
        .keys()
        .find(|reason| !known_reasons.contains(&reason.as_str()))
    {
        return Err(format!("pairs are held as {odd}"));
    }
    if !counts.refused.is_empty() {
        return Err(format!("pairs are refused: {:?}", counts.refused));
    }
    if stage.history.has_plain_lists() {
        recount(stage, campaign, &counts, &never, alike).await?;
    }
    Ok(())
}

/// Whether some ids are nearly equal.
type Alike = bool;

/// Everybody holds exactly what the oracle says. Of ids that differ by letter case only, one is the customer and holds
/// all of its own; the others are held.
fn same_grants(expected: &Holdings, ledger: &Holdings) -> Result<Alike, Wrong> {
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

/// Counts of a campaign, as the API tells them.
struct Counts {
    rows: u64,
    rows_without_code: u64,
    pairs: u64,
    held: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
}

/// Reads the counts. They add up, and there are as many grants as were counted.
async fn counts(stage: &Stage<'_>, campaign: usize, ledger: &Holdings) -> Result<Counts, Wrong> {
    let (_, view) = stage.get(&stage.campaign_path(campaign)).await?;
    let counts = &view["counts"];
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    let map = |name: &str| -> BTreeMap<String, u64> {
        serde_json::from_value(counts[name].clone()).unwrap_or_default()
    };
    let (held, refused) = (map("held"), map("refused"));
    let decided = held.values().sum::<u64>() + refused.values().sum::<u64>();
    if number("pairs") != number("granted") + number("repeated") + decided {
        return Err(format!("the counts do not add up: {counts}"));
    }
    if number("granted") != ledger.len() as u64 {
        return Err(format!("{} grants, but {counts}", ledger.len()));
    }
    let (rows, rows_without_code) = (number("rows"), number("rows_without_code"));
    Ok(Counts {
        rows,
        rows_without_code,
        pairs: number("pairs"),
        held,
        refused,
    })
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
    let tenant = &stage.history.world.tenants[plan.tenant];
    let auth = Auth::ApiKey(Secret::new(format!("{}-admin-key", tenant.id)));
    let client = Client::builder(&stage.sandbox.url(), auth)
        .build()
        .map_err(|e| e.to_string())?;
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

/// A campaign that was cancelled holds nothing beyond what it once should have, and its counts add up.
async fn taken_back(
    stage: &Stage<'_>,
    campaign: usize,
    ledger: &Holdings,
    before: &Holdings,
) -> Result<(), Wrong> {
    if let Some((pair, window)) = ledger.iter().find(|(pair, _)| !before.contains_key(*pair)) {
        return Err(format!(
            "{pair:?} holds {window:?} of a cancelled campaign without reason"
        ));
    }
    let (status, view) = stage.get(&stage.campaign_path(campaign)).await?;
    if status == 404 {
        return Ok(());
    }
    counts(stage, campaign, ledger).await?;
    if stage.processed.contains(&campaign) && view["status"] != "revoked" {
        return Err(format!("it is cancelled, and {}", view["status"]));
    }
    Ok(())
}

/// Tries the windows of some grants: no before the start, yes from the start on, yes before the end, no from then on.
async fn windows(stage: &Stage<'_>, campaign: usize, ledgers: &[Holdings]) -> Result<(), Wrong> {
    let dice = Dice::new(stage.history.seed ^ campaign as u64);
    let mut grants: Vec<_> = ledgers[campaign].iter().collect();
    dice.shuffle(&mut grants);
    let world = &stage.history.world;
    let tenant = world.campaigns[campaign].tenant;
    for (pair, (start, end)) in grants.into_iter().take(TRIED_MAX) {
        let end = end.unwrap_or_default();
        for at in [start - 1, *start, end - 1, end] {
            let live = (0..ledgers.len()).filter(|other| {
                world.campaigns[*other].tenant == tenant && !stage.cancelled.contains_key(other)
            });
            let inside =
                |(start, end): &(i64, Option<i64>)| *start <= at && end.is_none_or(|end| at < end);
            let expected = live
                .filter_map(|other| ledgers[other].get(pair))
                .any(inside);
            stage.clock.set(instant(at));
            let question = json!({ "customer_id": pair.0, "promo_code": pair.1 });
            let path = format!("/v1/tenants/{}/eligibility", world.tenants[tenant].id);
            let answer = stage.api(Method::POST, &path, &question).await?;
            if answer["eligible"] != expected {
                let at = instant(at);
                return Err(format!(
                    "campaign {campaign}: {pair:?} at {at} should be {expected}, is {answer}"
                ));
            }
        }
    }
    Ok(())
}

fn never_known(stage: &Stage<'_>) -> BTreeSet<String> {
    let codes = stage.history.world.codes.iter();
    codes
        .filter(|code| code.known == Known::Never)
        .map(|code| code.code.to_lowercase())
        .collect()
}

fn channels_of(spec: &Value) -> BTreeSet<u64> {
    let actions = spec["actions"].as_array().into_iter().flatten();
    let channels = actions.flat_map(|action| action["channels"].as_array().into_iter().flatten());
    channels
        .filter_map(|channel| channel["id"].as_u64())
        .collect()
}

/// Lists as they are by default, for reading them plainly.
fn plain_switches(stage: &Stage<'_>) -> Result<(), Wrong> {
    let plain = json!({
        "promo-codes": null, "ids": null, "key-casing": null, "booleans": null,
        "schedule-field": null, "transfer": null, "optional-fields": null, "empty-result": null,
    });
    stage
        .sandbox
        .set_switches(&plain)
        .map_err(|e| e.to_string())
}

fn digest(ledgers: &[Holdings]) -> String {
    let mut text = String::new();
    for (campaign, ledger) in ledgers.iter().enumerate() {
        for ((customer, code), (start, end)) in ledger {
            let _ = writeln!(text, "{campaign} {customer:?} {code:?} {start} {end:?}");
        }
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
