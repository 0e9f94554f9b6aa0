//! The demo's checks: every grant against the oracle, and some customers' eligibility before, in and after its window.

use std::collections::HashMap;

use anyhow::Context;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::stage::{SERIES, Stage};

/// Customers whose eligibility is asked for at each moment.
const SAMPLED: usize = 25;

/// What the comparison gave.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) expected: u64,
    pub(super) granted: u64,
    pub(super) missing: u64,
    pub(super) unexpected: u64,
    pub(super) different_window: u64,
    sample: Vec<Sample>,
}

/// What the questions gave.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    pub(super) questions: u64,
    pub(super) wrong: u64,
}

#[derive(Debug)]
struct Sample {
    customer: String,
    code: String,
    starts_at: String,
    ends_at: String,
}

/// A line of the oracle or of the export, as far as it is compared.
#[derive(Deserialize)]
struct Line<'a> {
    customer_id: String,
    promo_code: String,
    starts_at: &'a str,
    ends_at: Option<&'a str>,
}

/// Compares the campaign's grants with the oracle, each pair and its window.
pub(super) async fn grants(stage: &Stage, campaign: &str) -> anyhow::Result<Checked> {
    let mut checked = Checked::default();
    let mut windows: Vec<(String, String)> = Vec::new();
    let mut expected: HashMap<(String, String), u32> = HashMap::new();
    let oracle = format!("/_sandbox/campaigns/{campaign}/expected?tenant=acme");
    stage
        .sandbox
        .lines(&oracle, |line| {
            let line: Line<'_> = serde_json::from_slice(line).context("a line of the oracle")?;
            let window = (line.starts_at.to_owned(), line.ends_at.unwrap_or("-").to_owned());
            let place = windows.iter().position(|known| *known == window).unwrap_or_else(|| {
                windows.push(window.clone());
                windows.len() - 1
            });
            checked.expected += 1;
            if checked.sample.len() < SAMPLED && checked.expected % 97 == 1 {
                let (starts_at, ends_at) = window;
                let (customer, code) = (line.customer_id.clone(), line.promo_code.clone());
                checked.sample.push(Sample { customer, code, starts_at, ends_at });
            }
            expected.insert((line.customer_id, line.promo_code), place as u32);
            Ok(())
        })
        .await?;
    let export = format!("/v1/tenants/{SERIES}/campaigns/{campaign}/grants");
    stage
        .service
        .lines(&export, |line| {
            let line: Line<'_> = serde_json::from_slice(line).context("a line of the export")?;
            checked.granted += 1;
            // A second grant of the same pair finds its place empty: it is unexpected.
            match expected.remove(&(line.customer_id, line.promo_code)) {
                None => checked.unexpected += 1,
                Some(place) => {
                    let (starts_at, ends_at) = &windows[place as usize];
                    if (line.starts_at, line.ends_at.unwrap_or("-")) != (starts_at, ends_at) {
                        checked.different_window += 1;
                    }
                }
            }
            Ok(())
        })
        .await?;
    checked.missing = expected.len() as u64;
    Ok(checked)
}

/// Asks, through the API, at the edges of the window and as time passes.
pub(super) async fn eligibility(stage: &Stage, checked: &Checked) -> anyhow::Result<Sampled> {
    let mut sampled = Sampled::default();
    let Some(first) = checked.sample.first() else { return Ok(sampled) };
    let same: Vec<&Sample> = checked
        .sample
        .iter()
        .filter(|one| (&one.starts_at, &one.ends_at) == (&first.starts_at, &first.ends_at))
        .collect();
    ask(stage, &mut sampled, &same, Some("not_started")).await?;
    stage.travel(&first.starts_at).await?;
    ask(stage, &mut sampled, &same, None).await?;
    let stranger = Sample {
        customer: "nobody-by-this-name".to_owned(),
        code: first.code.clone(),
        starts_at: String::new(),
        ends_at: String::new(),
    };
    ask(stage, &mut sampled, &[&stranger], Some("no_grant")).await?;
    stage.travel(&first.ends_at).await?;
    ask(stage, &mut sampled, &same, Some("expired")).await?;
    Ok(sampled)
}

async fn ask(
    stage: &Stage,
    sampled: &mut Sampled,
    samples: &[&Sample],
    reason: Option<&str>,
) -> anyhow::Result<()> {
    for sample in samples {
        let question = json!({"customer_id": sample.customer, "promo_code": sample.code});
        let path = format!("/v1/tenants/{SERIES}/eligibility");
        let answer = stage.service.ok(Method::POST, &path, &question).await?;
        sampled.questions += 1;
        let right = answer["eligible"] == reason.is_none() && answer["reason"].as_str() == reason;
        sampled.wrong += u64::from(!right);
    }
    Ok(())
}
