//! `bestow demo`: the whole story on loopback, checked grant by grant against what the stand-in
//! says should be.
//!
//! Everything is asked for over HTTP, as a user would; only `verify` looks at the database, as the
//! command does.

mod act;
mod cancelled;
mod check;
mod conditional;
mod stage;
mod summary;
mod triggered;

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use self::act::Act;
use self::stage::{CHANNELS, Stage, TENANT};
use self::summary::Summary;
use super::bench::now;
use super::output::{line, note};

/// Customers from which on larger pages keep the reading within Optimove's calls for about a
/// minute.
const LARGE_AUDIENCE: u64 = 300_000;
/// Rows asked for in one page of a small and of a large audience.
const PAGE_ROWS: (u32, u32) = (10_000, 50_000);
/// How often the progress is asked for.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// A plain line of progress is printed once in so many looks, where there is no terminal.
const LOOKS_PER_LINE: u32 = 20;
/// Looks without any progress after which something is wrong: two minutes.
const STALLED_LOOKS_MAX: u32 = 1_200;

/// What `bestow demo` takes.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Customers of the campaign.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub customers: u64,
    /// Play on this PostgreSQL server instead of SQLite, in a database that is gone at the end.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Exit at the end instead of staying up; 0 only if every check held.
    #[arg(long)]
    pub once: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Customers of a smaller campaign: a part of those of the large one, within these bounds.
const SMALLER: (u64, u64, u64) = (10, 20, 10_000);
/// Customers who meet a trigger, at most: each is told of one by one.
const TRIGGERED_MAX: u64 = 300;

/// How long the parts took.
#[derive(Debug, Clone, Copy)]
struct Durations {
    /// From the campaign's execution to the last grant.
    import: Duration,
    /// The smaller campaigns, with their own checks.
    others: Duration,
    /// Comparing, asking and verifying.
    check: Duration,
}

/// Runs the demo. True where every check held.
///
/// # Errors
/// Where something cannot be started or gives no answer.
pub async fn run(demo: &Demo) -> anyhow::Result<bool> {
    let (small, large) = PAGE_ROWS;
    let page_rows = if demo.customers > LARGE_AUDIENCE {
        large
    } else {
        small
    };
    let stage = Stage::set(page_rows, demo.database.as_deref()).await?;
    let told = tell(demo, &stage).await;
    match told {
        Ok(summary) if !demo.once => {
            // Listened for before anybody is told that it is waited for.
            let mut interrupt = signal(SignalKind::interrupt()).context("waiting for Ctrl-C")?;
            note(&format!(
                "The API stays up at http://{} (token {}), \
                 the stand-in for Optimove at {}. Ctrl-C ends both.",
                stage.service.address(),
                stage.token(),
                stage.sandbox_url()
            ));
            interrupt.recv().await;
            stage.stop().await;
            Ok(summary.verified)
        }
        told => {
            stage.stop().await;
            told.map(|summary| summary.verified)
        }
    }
}

/// The story, and what came of it.
async fn tell(demo: &Demo, stage: &Stage) -> anyhow::Result<Summary> {
    note(&format!(
        "Bestow listens on http://{}, the stand-in for Optimove on {}.",
        stage.service.address(),
        stage.sandbox_url()
    ));
    note("Adding a client, registering its listeners, bringing its promotions to Optimove.");
    let smaller = smaller(demo.customers);
    stage.connect(conditional::limit(smaller)).await?;
    let campaign = stage.plan(&campaign(demo.customers)).await?;
    note(&format!(
        "Campaign {campaign}: {} customers, a tenth of them a control group, \
         three actions, two channels.",
        demo.customers
    ));
    let begun = now();
    stage.process(&campaign).await?;
    let view = watch(stage, &campaign, demo.customers).await?;
    let imported = now();
    let acts = play_others(stage, smaller).await?;
    let played = now();
    note("Comparing every grant with what the stand-in says should be.");
    let compared = check::grants(stage, &campaign, demo.customers).await?;
    let asked = check::eligibility(stage, &compared).await?;
    let broken = stage.verify().await?;
    let took = Durations {
        import: imported - begun,
        others: played - imported,
        check: played.elapsed(),
    };
    let calls = stage
        .sandbox
        .ok(Method::GET, "/_sandbox/requests?tenant=acme", &Value::Null)
        .await?;
    let told = summary::Told {
        view: &view,
        calls: &calls,
        compared: &compared,
        asked: &asked,
        broken,
        acts: &acts,
    };
    let summary = Summary::new(
        demo.customers,
        &campaign,
        told,
        took,
        stage.service.address(),
    );
    for text in summary.table() {
        line(&text);
    }
    if demo.json {
        line(&serde_json::to_string(&summary)?);
    }
    Ok(summary)
}

/// Customers of each smaller campaign.
fn smaller(customers: u64) -> u64 {
    let (part, low, high) = SMALLER;
    (customers / part).clamp(low, high)
}

/// Plays the smaller campaigns, one of each other kind.
async fn play_others(stage: &Stage, customers: u64) -> anyhow::Result<Vec<Act>> {
    let triggered = customers.min(TRIGGERED_MAX);
    note(&format!(
        "A campaign of {customers} customers is granted, then cancelled at Optimove."
    ));
    let cancelled = cancelled::play(stage, customers).await?;
    note(&format!(
        "A conditional campaign of {customers} customers: some are excluded, and the promotion is \
         not enough for all."
    ));
    let conditional = conditional::play(stage, customers).await?;
    note(&format!(
        "{triggered} customers meet a trigger, each gets a unique code; as many again are asked \
         for at the gateway first."
    ));
    let met = triggered::play(stage, triggered).await?;
    let asked = triggered::play_asked(stage, triggered).await?;
    Ok(vec![cancelled, conditional, met, asked])
}

/// Shows how far the import is until it has come to an end; gives the campaign as it is then.
async fn watch(stage: &Stage, campaign: &str, customers: u64) -> anyhow::Result<Value> {
    let path = format!("/v1/tenants/{TENANT}/campaigns/{campaign}");
    let bar = progress_bar(customers);
    let (mut looks, mut stalled, mut before) = (0, 0, None);
    loop {
        let (status, view) = stage.service.json(Method::GET, &path, &Value::Null).await?;
        let (read, merged) = (stage.rows_read(), stage.customers_merged());
        let granted = view["counts"]["granted"].as_u64().unwrap_or_default();
        let text = format!("{read} rows read, {granted} grants");
        bar.set_position(merged.min(customers));
        bar.set_message(text.clone());
        if bar.is_hidden() && looks % LOOKS_PER_LINE == 0 {
            note(&text);
        }
        if status.is_success() && is_over(&view) {
            bar.finish_and_clear();
            return Ok(view);
        }
        looks += 1;
        stalled = if before.replace((read, merged)) == Some((read, merged)) {
            stalled + 1
        } else {
            0
        };
        if stalled > STALLED_LOOKS_MAX {
            bail!(
                "the import of campaign {campaign} stands still: {}",
                view["last_error"]
            );
        }
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
}

/// Whether each channel's list is read to its end and granted, or held.
fn is_over(view: &Value) -> bool {
    let imports = view["imports"].as_array().map_or(&[][..], Vec::as_slice);
    let has_ended = |channel: &i64| {
        imports.iter().any(|import| {
            import["channel_id"] == *channel
                && matches!(import["state"].as_str(), Some("done" | "held"))
        })
    };
    CHANNELS.iter().all(has_ended)
}

fn progress_bar(customers: u64) -> ProgressBar {
    let bar = ProgressBar::new(customers);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:32} {percent:>3}% {msg} {elapsed_precise}")
    {
        bar.set_style(style);
    }
    bar
}

/// The body of the campaign that the demo plans.
fn campaign(customers: u64) -> Value {
    let both = json!([{"id": 504, "template_id": 520}, {"id": 505, "template_id": 620}]);
    json!({
        "tenant": TENANT, "kind": "scheduled", "control_share": 0.1, "lead_time": 2, "duration": 7,
        "audience": {"count": customers, "prefix": check::PREFIX},
        "notes": "demo", "tags": ["demo"],
        "actions": [
            {"id": 24, "name": "Free spins and cashback", "share": 0.5,
             "promo_codes": ["FS20", "CB10"], "channels": both},
            {"id": 25, "name": "Reload", "share": 0.3, "promo_codes": ["RELOAD50"],
             "channels": [{"id": 504, "template_id": 521}]},
            {"id": 65, "name": "News only", "share": 0.2, "promo_codes": [],
             "channels": [{"id": 504, "template_id": 522}]},
        ],
    })
}
