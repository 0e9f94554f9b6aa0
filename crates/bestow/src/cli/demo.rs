//! `bestow demo`: the whole story on loopback, checked grant by grant against what the stand-in says should be.
//!
//! Everything is asked for over HTTP, as a user would; nothing is looked up behind the service's back.

mod check;
mod stage;

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use self::check::{Checked, Sampled};
use self::stage::{SERIES, Stage};

/// Customers from which on larger pages keep the reading within Optimove's calls for about a minute.
const LARGE_AUDIENCE: u64 = 300_000;
/// How often the progress is asked for.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// A plain line of progress is printed once in so many looks, where there is no terminal.
const LOOKS_PER_LINE: u32 = 10;

/// What `bestow demo` takes.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Customers of the campaign.
    #[arg(long, default_value_t = 100_000)]
    pub customers: u64,
    /// Exit at the end instead of staying up; 0 only if every check held.
    #[arg(long)]
    pub once: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
struct Summary {
    /// Whether every check held.
    verified: bool,
    customers: u64,
    campaign_id: String,
    counts: Value,
    /// Grants that should be there.
    expected: u64,
    /// Grants that are there, each once.
    granted: u64,
    missing: u64,
    unexpected: u64,
    different_window: u64,
    /// Eligibility questions, and those whose answer was not as it should be.
    questions: u64,
    wrong_answers: u64,
    /// What `bestow verify` found.
    violations: usize,
    /// Calls that the stand-in counted, by function.
    calls: Value,
    import_seconds: f64,
    grants_per_second: f64,
    /// Where the service listens.
    address: String,
}

/// Runs the demo. True where every check held.
///
/// # Errors
/// Where something cannot be started or gives no answer.
pub async fn run(demo: &Demo) -> anyhow::Result<bool> {
    let page_rows = if demo.customers > LARGE_AUDIENCE { 50_000 } else { 10_000 };
    let stage = Stage::set(page_rows).await?;
    say(&format!("Bestow listens on http://{}, the stand-in for Optimove on {}.",
        stage.service.address(), stage.sandbox_url()));
    say("Registering listeners, syncing promotions, planning a campaign.");
    stage.connect().await?;
    let campaign = stage.plan(demo.customers).await?;
    say(&format!("Campaign {campaign}: {} customers, two channels, three actions, a control group.", demo.customers));
    let start = super::bench::now();
    stage.process(&campaign).await?;
    let view = watch(&stage, &campaign, demo.customers).await?;
    let took = start.elapsed();
    say("Comparing every grant with the oracle.");
    let checked = check::grants(&stage, &campaign).await?;
    let sampled = check::eligibility(&stage, &checked).await?;
    let violations = stage.verify()?;
    let summary = summarise(demo, &stage, &campaign, &view, &checked, &sampled, violations, took).await?;
    print_table(&summary);
    if demo.json {
        line(&serde_json::to_string(&summary)?);
    }
    if !demo.once {
        say(&format!(
            "The API stays up at http://{} (token {}). Ctrl-C ends it.",
            summary.address,
            stage.token()
        ));
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    }
    stage.stop().await;
    Ok(summary.verified)
}

/// Shows how far the import is until it has come to an end.
async fn watch(stage: &Stage, campaign: &str, customers: u64) -> anyhow::Result<Value> {
    let path = format!("/v1/tenants/{SERIES}/campaigns/{campaign}");
    let bar = progress_bar(customers);
    let mut looks = 0;
    loop {
        let (status, view) = stage.service.json(Method::GET, &path, &Value::Null).await?;
        let read = stage.rows_read();
        let granted = view["counts"]["granted"].as_u64().unwrap_or_default();
        bar.set_position(stage.customers_merged().max(read / 2).min(customers));
        bar.set_message(format!("{read} rows read, {granted} grants"));
        if bar.is_hidden() && looks % LOOKS_PER_LINE == 0 {
            say(&format!("{read} rows read, {granted} grants"));
        }
        looks += 1;
        let state = view["status"].as_str().unwrap_or("announced");
        let over = !matches!(state, "announced" | "importing") && stage.imports_ended() >= 2;
        if status.is_success() && over {
            bar.finish_and_clear();
            return Ok(view);
        }
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
}

fn progress_bar(customers: u64) -> ProgressBar {
    let bar = ProgressBar::new(customers);
    let style = "{bar:32} {percent:>3}% {msg} {elapsed_precise}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

#[expect(clippy::too_many_arguments, reason = "one line of a summary each")]
async fn summarise(
    demo: &Demo,
    stage: &Stage,
    campaign: &str,
    view: &Value,
    checked: &Checked,
    sampled: &Sampled,
    violations: usize,
    took: Duration,
) -> anyhow::Result<Summary> {
    let counts = view["counts"].clone();
    let adds_up = adds_up(&counts) && counts["granted"].as_u64() == Some(checked.granted);
    let same = checked.missing + checked.unexpected + checked.different_window == 0;
    let requests = stage.sandbox.ok(Method::GET, "/_sandbox/requests?tenant=acme", &Value::Null).await?;
    Ok(Summary {
        verified: adds_up && same && sampled.wrong == 0 && violations == 0 && checked.granted > 0,
        customers: demo.customers,
        campaign_id: campaign.to_owned(),
        counts,
        expected: checked.expected,
        granted: checked.granted,
        missing: checked.missing,
        unexpected: checked.unexpected,
        different_window: checked.different_window,
        questions: sampled.questions,
        wrong_answers: sampled.wrong,
        violations,
        calls: requests["by_function"].clone(),
        import_seconds: took.as_secs_f64(),
        grants_per_second: checked.granted as f64 / took.as_secs_f64(),
        address: stage.service.address().to_string(),
    })
}

/// Pairs are granted, repeated, held or refused, and nothing else.
fn adds_up(counts: &Value) -> bool {
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    number("pairs") == number("granted") + number("repeated") + sum(counts, "held") + sum(counts, "refused")
}

fn sum(counts: &Value, name: &str) -> u64 {
    let reasons = counts[name].as_object();
    reasons.map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum())
}

fn print_table(summary: &Summary) {
    let number = |name: &str| summary.counts[name].as_u64().unwrap_or_default();
    let held = sum(&summary.counts, "held");
    let refused = sum(&summary.counts, "refused");
    let rows = [
        ("rows received", number("rows")),
        ("  of them without a code", number("rows_without_code")),
        ("pairs of customer and code", number("pairs")),
        ("  granted", number("granted")),
        ("  repeated (other channel)", number("repeated")),
        ("  held", held),
        ("  refused", refused),
        ("grants that the oracle expects", summary.expected),
        ("  missing here", summary.missing),
        ("  not expected", summary.unexpected),
        ("  with another window", summary.different_window),
        ("eligibility questions", summary.questions),
        ("  answered wrongly", summary.wrong_answers),
        ("invariants broken", summary.violations as u64),
    ];
    say("");
    for (name, value) in rows {
        say(&format!("{name:<34}{value:>12}"));
    }
    say(&format!(
        "{} calls to Optimove, {:.1} s from notification to last grant, {:.0} grants/s",
        summary.calls.as_object().map_or(0, |calls| calls.values().filter_map(Value::as_u64).sum::<u64>()),
        summary.import_seconds,
        summary.grants_per_second
    ));
    say(if summary.verified { "Every check held." } else { "NOT every check held." });
}

/// For whoever watches: on standard error, so that standard output is the answer alone.
#[expect(clippy::print_stderr, reason = "a demo tells what it does")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]
fn line(text: &str) {
    println!("{text}");
}

/// The body of the campaign that the demo plans.
fn campaign(customers: u64) -> Value {
    let both = json!([{"id": 504, "template_id": 520}, {"id": 505, "template_id": 620}]);
    json!({
        "tenant": "acme", "kind": "scheduled", "control_share": 0.1, "lead_time": 2, "duration": 7,
        "audience": {"count": customers, "prefix": "P-"}, "notes": "demo", "tags": ["demo"],
        "actions": [
            {"id": 24, "name": "Free spins and cashback", "share": 0.5, "promo_codes": ["FS20", "CB10"], "channels": both},
            {"id": 25, "name": "Reload", "share": 0.3, "promo_codes": ["RELOAD50"],
             "channels": [{"id": 504, "template_id": 521}]},
            {"id": 65, "name": "News only", "share": 0.2, "promo_codes": [],
             "channels": [{"id": 504, "template_id": 522}]},
        ],
    })
}
