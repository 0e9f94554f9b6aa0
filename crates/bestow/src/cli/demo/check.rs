//! The demo's checks: every grant against the oracle, and some customers' eligibility before, in
//! and after its window.

use std::collections::HashMap;

use anyhow::Context;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::stage::{CODES, Stage, TENANT};

/// What the customers' ids begin with; numbers from 1 follow.
pub(super) const PREFIX: &str = "P-";
/// Customers of each sort whose eligibility is asked for at each moment.
pub(super) const SAMPLED_MAX: usize = 25;
/// One in so many grants is looked at closer, so that the sample is not the beginning of the list.
const SAMPLED_ONE_IN: u64 = 97;

/// What the comparison gave.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) expected: u64,
    pub(super) granted: u64,
    pub(super) missing: u64,
    pub(super) unexpected: u64,
    pub(super) different_window: u64,
    sample: Vec<Sample>,
    /// Customers who get nothing: the control group, and those whose action carries no code.
    without: Vec<String>,
}

impl Compared {
    /// Some of the grants that should be there.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.sample
    }

    /// Whether both sides are the same.
    pub(super) fn is_equal(&self) -> bool {
        self.missing + self.unexpected + self.different_window == 0
    }
}

/// What the questions gave.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) questions: u64,
    pub(super) wrong: u64,
}

/// A grant that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) customer: String,
    code: String,
    window: Window,
}

/// Start and end as they are written; both sides write instants in one form.
type Window = (String, Option<String>);

/// A line of the oracle or of the export, as far as it is compared.
#[derive(Deserialize)]
struct Line {
    customer_id: String,
    promo_code: String,
    starts_at: String,
    ends_at: Option<String>,
}

/// Compares a campaign's grants with the oracle, and finds customers who get nothing.
pub(super) async fn grants(
    stage: &Stage,
    campaign: &str,
    customers: u64,
) -> anyhow::Result<Compared> {
    let (mut compared, expected) = expected(stage, campaign).await?;
    compared.without = without(&expected.places, customers);
    meet(stage, campaign, &mut compared, expected).await?;
    Ok(compared)
}

/// Compares a campaign's grants with the oracle, each pair and its window.
pub(super) async fn compare(stage: &Stage, campaign: &str) -> anyhow::Result<Compared> {
    let (mut compared, expected) = expected(stage, campaign).await?;
    meet(stage, campaign, &mut compared, expected).await?;
    Ok(compared)
}

/// Pairs that should be granted, each with the place of its window.
#[derive(Default)]
struct Expected {
    windows: Vec<Window>,
    places: HashMap<(String, String), usize>,
}

/// What the oracle says.
async fn expected(stage: &Stage, campaign: &str) -> anyhow::Result<(Compared, Expected)> {
    let mut compared = Compared::default();
    let Expected {
        mut windows,
        mut places,
    } = Expected::default();
    let oracle = format!("/_sandbox/campaigns/{campaign}/expected?tenant={TENANT}");
    let expect = |line: &[u8]| {
        let line: Line = serde_json::from_slice(line).context("a line of the oracle")?;
        let window = (line.starts_at, line.ends_at);
        let place = windows
            .iter()
            .position(|known| *known == window)
            .unwrap_or_else(|| {
                windows.push(window.clone());
                windows.len() - 1
            });
        compared.expected += 1;
        if compared.sample.len() < SAMPLED_MAX && compared.expected % SAMPLED_ONE_IN == 1 {
            let (customer, code) = (line.customer_id.clone(), line.promo_code.clone());
            compared.sample.push(Sample {
                customer,
                code,
                window,
            });
        }
        places.insert((line.customer_id, line.promo_code), place);
        Ok(())
    };
    stage.sandbox.lines(&oracle, expect).await?;
    Ok((compared, Expected { windows, places }))
}

/// Meets each grant that is there with what the oracle said.
async fn meet(
    stage: &Stage,
    campaign: &str,
    compared: &mut Compared,
    expected: Expected,
) -> anyhow::Result<()> {
    let Expected {
        windows,
        mut places,
    } = expected;
    let export = format!("/v1/tenants/{TENANT}/campaigns/{campaign}/grants");
    let meet = |line: &[u8]| {
        let line: Line = serde_json::from_slice(line).context("a line of the export")?;
        compared.granted += 1;
        // A second grant of the same pair finds its place empty: it is unexpected.
        match places.remove(&(line.customer_id, line.promo_code)) {
            None => compared.unexpected += 1,
            Some(place) if windows[place] != (line.starts_at, line.ends_at) => {
                compared.different_window += 1;
            }
            Some(_) => {}
        }
        Ok(())
    };
    stage.service.lines(&export, meet).await?;
    compared.missing = places.len() as u64;
    Ok(())
}

/// Some customers of the audience who are to get nothing.
fn without(expected: &HashMap<(String, String), usize>, customers: u64) -> Vec<String> {
    let gets_any = |customer: &String| {
        CODES
            .iter()
            .any(|code| expected.contains_key(&(customer.clone(), (*code).to_owned())))
    };
    (1..=customers)
        .map(|number| format!("{PREFIX}{number}"))
        .filter(|customer| !gets_any(customer))
        .take(SAMPLED_MAX)
        .collect()
}

/// Asks through the API: before the window, at its first instant, at its end. Both clocks move
/// along.
pub(super) async fn eligibility(stage: &Stage, compared: &Compared) -> anyhow::Result<Asked> {
    let mut asked = Asked::default();
    for customer in &compared.without {
        for code in CODES {
            ask(stage, &mut asked, customer, code, Some("no_grant")).await?;
        }
    }
    let Some(first) = compared.sample.first() else {
        return Ok(asked);
    };
    let same: Vec<&Sample> = compared
        .sample
        .iter()
        .filter(|one| one.window == first.window)
        .collect();
    let (starts_at, ends_at) = &first.window;
    let moments = [
        (None, Some("not_started")),
        (Some(starts_at), None),
        (ends_at.as_ref(), Some("expired")),
    ];
    for (moment, reason) in moments {
        if let Some(moment) = moment {
            stage.travel(moment).await?;
        }
        for sample in &same {
            ask(stage, &mut asked, &sample.customer, &sample.code, reason).await?;
        }
    }
    // Whoever stays to look around finds the grants active.
    stage.travel(starts_at).await?;
    Ok(asked)
}

async fn ask(
    stage: &Stage,
    asked: &mut Asked,
    customer: &str,
    code: &str,
    reason: Option<&str>,
) -> anyhow::Result<()> {
    let question = json!({"customer_id": customer, "promo_code": code});
    let path = format!("/v1/tenants/{TENANT}/eligibility");
    let answer = stage.service.ok(Method::POST, &path, &question).await?;
    asked.questions += 1;
    let is_right = answer["eligible"] == reason.is_none() && answer["reason"].as_str() == reason;
    asked.wrong += u64::from(!is_right);
    Ok(())
}
