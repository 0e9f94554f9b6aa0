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

use super::model::{Dice, Kind, Known, Op};
use super::run::Wrong;
use super::stage::Stage;
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

/// A grant as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) customer: String,
    /// Folded.
    pub(crate) code: String,
    /// In milliseconds.
    pub(crate) starts_at: i64,
    pub(crate) ends_at: Option<i64>,
    pub(crate) status: String,
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
            customer: text("customer_id"),
            code: text("promo_code").to_lowercase(),
            starts_at: ms("starts_at")?,
            ends_at,
            status: text("status"),
        };
        Ok((text("id"), seen))
    }

    /// Who has what, from when to when.
    pub(crate) fn holding(&self) -> ((String, String), (i64, Option<i64>)) {
        let pair = (self.customer.clone(), self.code.clone());
        (pair, (self.starts_at, self.ends_at))
    }

    fn is_at(&self, ms: i64) -> bool {
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
    /// Campaigns that somebody wrongly said were cancelled, and that went on.
    pub(crate) lifted: u64,
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
            lifted: self.lifted + other.lifted,
        }
    }
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

/// Checks everything, and gives a digest of the ledger and how much there was.
pub(crate) async fn audit(stage: &Stage<'_>) -> Result<(String, Met), Wrong> {
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
            stage.triggered(campaign, ledger, &counts)?;
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

/// The ledger of a campaign that ran is what the oracle says, and its counts add up.
async fn granted(
    stage: &Stage<'_>,
    campaign: usize,
    ledger: &[Seen],
    counts: &Counts,
) -> Result<(), Wrong> {
    let never = never_known(stage);
    let mut expected = stage.expected(campaign)?;
    expected.retain(|(_, code), _| !never.contains(code));
    let ledger: Holdings = ledger.iter().map(Seen::holding).collect();
    let alike = same_grants(&expected, &ledger)?;
    if !stage.processed.contains(&campaign) {
        return Ok(());
    }
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
        recount(stage, campaign, counts, &never, alike).await?;
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
#[derive(Debug, Default)]
pub(crate) struct Counts {
    rows: u64,
    rows_without_code: u64,
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

/// A campaign that was taken back holds nothing beyond what it once should have.
fn taken_back(stage: &Stage<'_>, campaign: usize, ledger: &[Seen]) -> Result<(), Wrong> {
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
    for grant in grants.into_iter().take(TRIED_MAX) {
        let end = grant.ends_at.unwrap_or(grant.starts_at + 1);
        for at in [grant.starts_at - 1, grant.starts_at, end - 1, end] {
            let of_tenant = (0..live.len()).filter(|other| stage.tenant_of(*other) == tenant);
            let expected = of_tenant.flat_map(|other| &live[other]).any(|other| {
                (&other.customer, &other.code) == (&grant.customer, &grant.code) && other.is_at(at)
            });
            stage.clock.set(instant(at));
            let question = json!({ "customer_id": grant.customer, "promo_code": grant.code });
            let path = format!("{}/eligibility", stage.tenant_path(tenant));
            let answer = stage.api(Method::POST, &path, &question).await?;
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
