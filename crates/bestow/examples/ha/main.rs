//! Work on a PostgreSQL whose primary dies again and again: started by `cargo xtask ha`, which does the killing.
//!
//! A real service reads, merges, approves and takes notifications, while the primary is killed in the middle of each.
//! Then everything that was acknowledged is there, nothing is there twice, and nobody had to help.

mod flood;
mod probe;
mod service;

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::ToSpan as _;
use optimove_sandbox::{ClockMode, Config, Sandbox};
use serde_json::{Value, json};

use probe::Probe;
use service::Service;

/// Customers of each campaign that is imported.
const CUSTOMERS: u64 = 60_000;
/// Customers of the campaign that waits for approval.
const APPROVED: u64 = 20_000;
const HELD_SECONDS: u32 = 7_200;
/// Between two looks at how far the work is.
const LOOK: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let sandbox = silent_sandbox().await?;
    let service = Service::start()?;
    service.set_up(&sandbox).await?;
    tell("killed while         | longest without an answer | answered well meanwhile")?;
    import(&service, &sandbox, "pages land", |seen| {
        seen["imports"][0]["state"] == "reading"
    })
    .await?;
    import(&service, &sandbox, "grants are merged", |seen| {
        let granted = seen["counts"]["granted"].as_u64();
        granted.is_some_and(|granted| granted > 0)
    })
    .await?;
    clearance(&service, &sandbox).await?;
    let kept = flood::run(&service).await?;
    service.verify()?;
    tell(&format!(
        "{kept} acknowledged notifications are there once; every grant is; verify finds nothing"
    ))?;
    sandbox.stop().await;
    Ok(())
}

/// A stand-in that sends no notification by itself.
async fn silent_sandbox() -> anyhow::Result<Sandbox> {
    let config = Config {
        seed: 4,
        clock: ClockMode::System,
        ..Config::default()
    };
    let sandbox = Sandbox::start(config).await?;
    sandbox.set_switches(&json!({
        "rate-limit-requests": 0, "notify-drop": 100, "notify-retry-seconds": [], "latency-ms": 20,
    }))?;
    Ok(sandbox)
}

/// One campaign is imported; the primary dies as soon as `is_time` of it.
async fn import(
    service: &Service,
    sandbox: &Sandbox,
    when: &str,
    is_time: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let campaign = sandbox.add_campaign(json!({
        "tenant": "acme", "kind": "scheduled", "duration": 7, "lead_time": 0,
        "audience": {"count": CUSTOMERS, "prefix": format!("{}-", &when[..1])},
        "actions": [{"id": 24, "promo_codes": ["FS20", "CB10"], "channels": [{"id": 504}]}],
    }))?;
    sandbox.process(campaign)?;
    service
        .tell(13, &json!({"CampaignID": campaign, "ChannelID": 504}))
        .await?;
    service.wait_for(campaign, &is_time).await?;
    let probe = Probe::start(service);
    kill_primary().await?;
    service
        .wait_for(campaign, |seen| seen["status"] == "running")
        .await?;
    told(when, probe).await?;
    let expected: BTreeSet<_> = sandbox
        .expected(campaign)?
        .map(|one| (one.customer_id, one.promo_code))
        .collect();
    let held = service.ledger(campaign).await?;
    let distinct: BTreeSet<_> = held.iter().cloned().collect();
    ensure!(held.len() == distinct.len(), "something was granted twice");
    ensure!(
        distinct == expected,
        "{} grants instead of {}",
        distinct.len(),
        expected.len()
    );
    make_whole().await
}

/// A campaign waits for approval; the primary dies while customers are reported.
async fn clearance(service: &Service, sandbox: &Sandbox) -> anyhow::Result<()> {
    let campaign = sandbox.add_campaign(json!({
        "tenant": "acme", "kind": "conditional", "duration": 7, "lead_time": 0,
        "audience": {"count": APPROVED, "prefix": "H-"},
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    }))?;
    sandbox.hold(campaign, HELD_SECONDS)?;
    let deadline = sandbox.now() + i64::from(HELD_SECONDS - 60).seconds();
    let deadline = deadline.strftime("%Y-%m-%d %H:%M").to_string();
    service
        .tell(
            5,
            &json!({"CampaignID": campaign, "ClearanceRequiredBy": deadline}),
        )
        .await?;
    service
        .wait_for(campaign, |seen| {
            seen["rounds"][0]["reported"]
                .as_u64()
                .is_some_and(|n| n > 0)
        })
        .await?;
    let probe = Probe::start(service);
    kill_primary().await?;
    // Whoever Optimove was told yes about before the primary died has a grant on the next one.
    let told_yes = approved(sandbox, campaign)?;
    service
        .wait_for(campaign, |seen| seen["rounds"][0]["state"] == "closed")
        .await?;
    told("customers are approved", probe).await?;
    let held = service.ledger(campaign).await?;
    let granted: BTreeSet<_> = held.iter().map(|(customer, _)| customer.clone()).collect();
    ensure!(held.len() == granted.len(), "something was granted twice");
    ensure!(told_yes.is_subset(&granted), "approved and not granted");
    let all = approved(sandbox, campaign)?;
    ensure!(
        all.len() as u64 == APPROVED && all == granted,
        "{} approved, {} granted",
        all.len(),
        granted.len()
    );
    make_whole().await
}

fn approved(sandbox: &Sandbox, campaign: u64) -> anyhow::Result<BTreeSet<String>> {
    let told = sandbox.statuses(campaign)?;
    Ok(told
        .filter(|one| one.status == Some(true))
        .map(|one| one.customer_id)
        .collect())
}

/// Says what a kill cost.
async fn told(when: &str, probe: Probe) -> anyhow::Result<()> {
    let (longest, answered) = probe.end().await?;
    tell(&format!(
        "{when:<22} | {:>6.1} s | {answered}",
        longest.as_secs_f64()
    ))
}

/// Has the primary killed.
async fn kill_primary() -> anyhow::Result<()> {
    ask("kill the primary", "killed").await
}

/// Has the dead node started again, and waits until it follows.
async fn make_whole() -> anyhow::Result<()> {
    ask("wait for three nodes", "whole").await
}

async fn ask(wish: &'static str, answer: &'static str) -> anyhow::Result<()> {
    let asked = tokio::task::spawn_blocking(move || {
        tell(wish)?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        ensure!(
            line.starts_with(answer),
            "`{}` came after `{wish}`",
            line.trim()
        );
        Ok(())
    });
    asked.await.context("asking")?
}

fn tell(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
