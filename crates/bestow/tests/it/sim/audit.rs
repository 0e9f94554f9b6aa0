//! The auditor: what must be true of every history, worked out from the oracle and from plain reads alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bestow::clock::instant;
use bestow::service::verify;
use bestow::work;
use bestow_store::jobs::JobRow;
use http::Method;
use optimove_sandbox::Expected;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::lists::{granted, taken_back};
use super::model::{Dice, Kind, Op};
use super::run::Wrong;
use super::seen::{Met, Seen};
use super::stage::Stage;
use crate::support::Holdings;

/// Grants of a campaign whose windows are tried out.
const TRIED_MAX: usize = 4;

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
        let kind = stage.kind(*campaign);
        if stage.cancelled.contains_key(campaign) || kind == Kind::Triggered {
            continue;
        }
        if kind != Kind::Scheduled {
            let stands = stage.stands(*campaign).await?;
            if stands["status"] == "held" {
                return Ok(Some(format!("campaign {campaign} is held: {stands}")));
            }
        }
        let (status, view) = stage.get(&stage.campaign_path(*campaign)).await?;
        if status != 200 {
            return Ok(Some(format!("campaign {campaign} is unknown")));
        }
        if !view["revoked_at"].is_null() {
            continue;
        }
        if view["guard"]["state"] == "held" {
            return Ok(Some(format!("campaign {campaign} waits for somebody")));
        }
        if stage.may_be_listed(*campaign).await? {
            return Ok(Some(format!("campaign {campaign} may still be listed")));
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
    for campaign in 0..stage.history.world.campaigns.len() {
        let (_, view) = stage.get(&stage.campaign_path(campaign)).await?;
        let waits = !view["counts"]["held"]["no_free_code"].is_null();
        if waits
            && view["revoked_at"].is_null()
            && !matches!(stage.kind(campaign), Kind::Conditional { .. })
        {
            return Ok(Some(format!(
                "campaign {campaign} waits for codes: {}",
                view["counts"]
            )));
        }
    }
    Ok(None)
}

/// Whether a job is there whatever happens. What is to be delivered waits for windows to start and to end.
pub(crate) fn is_regular(job: &JobRow) -> bool {
    let others = [work::kind::ENDED, work::kind::DELIVER];
    work::kind::REGULAR.contains(&&*job.kind) || others.contains(&&*job.kind)
}

/// Checks everything, and gives a digest of the ledger and how much there was.
pub(crate) async fn audit(stage: &Stage<'_>) -> Result<(String, Met), Wrong> {
    let jobs = stage.jobs()?;
    if !jobs.iter().all(is_regular) {
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
    let (mut ledgers, mut live, mut met) = (Vec::new(), Vec::new(), Met::default());
    for campaign in 0..stage.history.world.campaigns.len() {
        let ledger = stage.ledger(campaign).await?;
        let audited = self::campaign(stage, campaign, &ledger, &mut met).await;
        let is_live = audited.map_err(|wrong| format!("campaign {campaign}: {wrong}"))?;
        let redeemable = ledger.iter().filter(|_| is_live);
        live.push(redeemable.cloned().collect::<Vec<_>>());
        ledgers.push(ledger);
    }
    for (campaign, live) in live.iter_mut().enumerate() {
        if let Kind::Conditional { .. } = stage.kind(campaign) {
            let sent = stage.expected(campaign)?;
            live.retain(|grant| sent.contains_key(&grant.holding().0));
        }
    }
    let asked: Vec<usize> = (0..live.len())
        .filter(|campaign| stage.kind(*campaign) != Kind::Scheduled)
        .collect();
    stage.within_limits(&live, &asked)?;
    met.codes += stage.pools(&ledgers).await?;
    met.redeemed += stage.audit_redemptions(&ledgers).await?;
    met.decided += stage.guards.decided;
    for tenant in 0..stage.history.world.tenants.len() {
        stage.synced(tenant).await?;
    }
    for (campaign, ledger) in ledgers.iter().enumerate() {
        windows(stage, campaign, ledger, &live).await?;
    }
    Ok((digest(&ledgers), met))
}

/// Checks one campaign. Whether anything of it can be redeemed at all.
async fn campaign(
    stage: &Stage<'_>,
    campaign: usize,
    ledger: &[Seen],
    met: &mut Met,
) -> Result<bool, Wrong> {
    let (status, view) = stage.get(&stage.campaign_path(campaign)).await?;
    if status == 404 && !ledger.is_empty() {
        return Err("it is unknown, and has grants".to_owned());
    }
    let is_stopped = stopped(stage, campaign, &view)?;
    met.revoked += u64::from(is_stopped);
    met.lifted += u64::from(view["cancellation"]["state"] == "contradicted");
    let plan = &stage.history.world.campaigns[campaign];
    let counts = if status == 404 {
        Counts::default()
    } else {
        counts(&view, ledger)?
    };
    match plan.kind {
        Kind::Scheduled if is_stopped => taken_back(stage, campaign, ledger)?,
        Kind::Scheduled if stage.is_by_the_list(campaign) => {
            let ended = stage.ended(campaign, ledger).await?;
            granted(stage, campaign, &ended, &counts).await?;
            met.ended += ledger.len() as u64;
        }
        Kind::Scheduled => {
            granted(stage, campaign, ledger, &counts).await?;
            met.listed += ledger.len() as u64;
        }
        Kind::Conditional { .. } => {
            met.approved += stage.approvals_seen(campaign);
            if !is_stopped {
                stage.cleared(campaign, ledger)?;
                stage.only_approved(campaign, &view, &counts).await?;
                met.cleared += stage.expected(campaign)?.len() as u64;
            }
        }
        Kind::Triggered => {
            let asked = stage.triggered(campaign, ledger, &counts)?;
            // What waited for a code when it was stopped waits for ever.
            if !is_stopped {
                stage.all_triggered(campaign, &asked, &counts)?;
            }
            met.triggered += ledger.len() as u64;
        }
    }
    Ok(!is_stopped)
}

/// Whether a campaign is taken back; it has to be where Optimove cancelled it, and may be where somebody said so and
/// Optimove could not tell.
fn stopped(stage: &Stage<'_>, campaign: usize, view: &Value) -> Result<bool, Wrong> {
    let (cancel, is_revoked) = (
        &view["cancellation"]["state"],
        !view["revoked_at"].is_null(),
    );
    let is_suspended = !view["suspended_at"].is_null();
    if let Some(before) = stage.cancelled.get(&campaign) {
        let is_known = view.is_object() && view["id"].is_string();
        let was_told = stage.processed.contains(&campaign);
        let waits = is_suspended && stage.tenant(campaign).unconfirmed == "suspend";
        if is_known && was_told && !is_revoked && !waits {
            return Err(format!(
                "it is cancelled ({} held before), and {view}",
                before.len()
            ));
        }
        return Ok(true);
    }
    if is_revoked || is_suspended {
        if is_revoked && stage.guards.refused.contains(&campaign) {
            return Ok(true);
        }
        if stage.slandered.contains(&campaign) && cancel == "unconfirmed" && is_revoked {
            return Ok(true);
        }
        return Err(format!("nobody cancelled it, and {view}"));
    }
    Ok(false)
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

/// Counts of a campaign, as the API tells them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: u64,
    pub(crate) rows_without_code: u64,
    pub(crate) pairs: u64,
    pub(crate) held: BTreeMap<String, u64>,
    pub(crate) refused: BTreeMap<String, u64>,
}

/// Reads the counts. They add up, and there are as many grants as were counted.
fn counts(view: &Value, ledger: &[Seen]) -> Result<Counts, Wrong> {
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

/// Tries the windows of some grants: no before the start, yes from the start on, yes before the end, no from then on.
async fn windows(
    stage: &Stage<'_>,
    campaign: usize,
    ledger: &[Seen],
    live: &[Vec<Seen>],
) -> Result<(), Wrong> {
    let dice = Dice::new(stage.history.seed ^ campaign as u64);
    let mut grants: Vec<_> = ledger.iter().collect();
    dice.shuffle(&mut grants);
    let tenant = stage.tenant_of(campaign);
    let path = format!("{}/exclusions?limit=1000", stage.tenant_path(tenant));
    let (_, excluded) = stage.get(&path).await?;
    let excluded = excluded["data"].as_array().cloned().unwrap_or_default();
    for grant in grants.into_iter().take(TRIED_MAX) {
        let is_excluded = excluded.iter().any(|one| {
            one["customer_id"] == grant.customer.as_str()
                && (one["promo_code"].is_null() || one["promo_code"] == grant.code.as_str())
        });
        let end = grant.ends_at.unwrap_or(grant.starts_at + 1);
        for at in [grant.starts_at - 1, grant.starts_at, end - 1, end] {
            let of_tenant = (0..live.len()).filter(|other| stage.tenant_of(*other) == tenant);
            let expected = of_tenant.flat_map(|other| &live[other]).any(|other| {
                (&other.customer, &other.code) == (&grant.customer, &grant.code)
                    && other.is_at(at)
                    && !other.is_redeemed
            });
            stage.clock.set(instant(at));
            let question = json!({ "customer_id": grant.customer, "promo_code": grant.code });
            let path = format!("{}/eligibility", stage.tenant_path(tenant));
            let answer = stage.api(Method::POST, &path, &question).await?;
            let expected = expected && !is_excluded;
            if answer["eligible"] != expected {
                let at = instant(at);
                return Err(format!(
                    "campaign {campaign}: {grant:?} at {at} should be {expected}, is {answer}"
                ));
            }
        }
    }
    Ok(())
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

fn digest(ledgers: &[Vec<Seen>]) -> String {
    let mut text = String::new();
    for (campaign, ledger) in ledgers.iter().enumerate() {
        for grant in ledger {
            let _ = writeln!(text, "{campaign} {:?}", grant.holding());
        }
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
