//! `bestow bench retention`: ended campaigns leave the ledger while redemptions of one that runs go on, one after the
//! other; against the same redemptions before. And what a look-up costs without history, with it, and once it has left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bestow_store::Error as StoreError;
use bestow_store::archives::Archive;
use hdrhistogram::Histogram;
use http::StatusCode;
use jiff::ToSpan;
use serde_json::json;

use super::eligibility::fill;
use super::gateway::import_of;
use super::ledger::look_up;
use super::load::{LATENCY_US_MAX, now};
use super::rig::{Rig, SHARED_CODE, runtime};
use super::{Report, Shape};
use crate::actor::Actor;
use crate::clock::instant;
use crate::memory;
use crate::service::idempotency::IdempotencyKey;
use crate::service::{redemptions, tenants};
use crate::work::{Workers, kind};

/// Campaigns that have ended, over the same customers.
const PAST: u64 = 9;
/// Days that the campaign lasts which still runs when the others have left.
const LONG_DAYS: u32 = 60;
/// Redemptions between two looks at whether it is over.
const REDEMPTIONS_PER_LOOK: u64 = 64;
/// How far the clock is moved: behind the end of the others and a day's retention.
const LATER_HOURS: i64 = 20 * 24;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let runtime = runtime("service", 3)?;
    let rig = Rig::new(shape)?;
    let customers = (shape.customers / (PAST + 1)).max(1);
    let (sandbox, _) = runtime.block_on(fill(&rig, customers))?;
    let everybody = 0..customers;
    let alone = runtime.block_on(look_up(&rig, everybody.clone(), 1))?;
    for place in 1..=PAST {
        let days = if place == PAST { LONG_DAYS } else { 7 };
        let id = runtime.block_on(sandbox.campaign_lasting(customers, SHARED_CODE, days))?;
        runtime.block_on(import_of(&rig.app, &id))?;
    }
    drop(sandbox);
    let grants = usize::try_from(PAST + 1)?;
    let with_history = runtime.block_on(look_up(&rig, everybody.clone(), grants))?;
    runtime.block_on(let_time_pass(&rig))?;
    let span = Duration::from_secs(shape.seconds);
    let idle = runtime.block_on(redeem(&rig, 1, |started| started.elapsed() >= span))?;
    let first = idle.count + 1;
    let (beside, took) = runtime.block_on(leave(&rig, first))?;
    let after = runtime.block_on(look_up(&rig, beside.count + first..customers, 1))?;
    let archives = archives(&rig)?;
    let dropped: u64 = archives.iter().map(|archive| archive.dropped).sum();
    ensure!(
        archives.len() as u64 == PAST && dropped == PAST * customers,
        "{dropped} grants have left"
    );
    let mut more = serde_json::Map::new();
    more.insert("grants".into(), json!(customers * (PAST + 1)));
    more.insert("left".into(), json!(dropped));
    let rate = (dropped as f64 / took.as_secs_f64()).round();
    more.insert("left_per_second".into(), json!(rate));
    more.insert("idle_p50_ms".into(), json!(idle.ms(0.5)));
    more.insert("idle_p99_ms".into(), json!(idle.ms(0.99)));
    for (name, latency) in [
        ("alone", &alone),
        ("with_history", &with_history),
        ("after", &after),
    ] {
        let p50 = latency.value_at_quantile(0.5) as f64 / 1_000.0;
        more.insert(format!("look_up_{name}_p50_us"), json!(p50));
    }
    Ok(Report {
        bench: "retention",
        unit: "redemptions",
        ours: beside.rate(),
        raw: idle.rate(),
        ratio: beside.rate() / idle.rate(),
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: beside.ms(0.5),
        p99_ms: beside.ms(0.99),
        p999_ms: beside.ms(0.999),
        max_ms: beside.ms(1.0),
        invalid: 0,
        more,
    })
}

/// Redemptions one after the other.
struct Redeemed {
    count: u64,
    span: Duration,
    /// Of each, in microseconds.
    latency: Histogram<u64>,
}

impl Redeemed {
    fn rate(&self) -> f64 {
        self.count as f64 / self.span.as_secs_f64()
    }

    fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// Redeems the code for one customer after the other, from this one on.
async fn redeem(
    rig: &Rig,
    first: u64,
    is_over: impl Fn(Instant) -> bool,
) -> anyhow::Result<Redeemed> {
    let (acme, actor) = (rig.app.tenant("acme")?, Actor::cli());
    let mut latency = Histogram::new_with_max(LATENCY_US_MAX, 3)?;
    let (started, mut count) = (now(), 0);
    // Looked at now and then, so that looking is no part of what is measured.
    while count % REDEMPTIONS_PER_LOOK != 0 || !is_over(started) {
        let customer = format!("C{}", first + count);
        let request = json!({"customer_id": customer, "promo_code": SHARED_CODE});
        let request = serde_json::from_value(request)?;
        let key = IdempotencyKey::parse(&format!("bench-{customer}"))?;
        let asked = now();
        let answer = redemptions::redeem(&rig.app, &actor, &acme, &key, &request).await?;
        ensure!(
            answer.status == StatusCode::CREATED,
            "{customer} may not redeem: use more --customers"
        );
        latency.saturating_record(asked.elapsed().as_micros() as u64);
        count += 1;
    }
    Ok(Redeemed {
        count,
        span: started.elapsed(),
        latency,
    })
}

/// Gives the tenant a retention that the campaigns but one have outlived.
async fn let_time_pass(rig: &Rig) -> anyhow::Result<()> {
    let patch = serde_json::from_value(json!({"retention_days": 1}))?;
    tenants::update(&rig.app, &Actor::cli(), "acme", patch).await?;
    let later = instant(rig.app.clock.now_ms()).checked_add(LATER_HOURS.hours())?;
    ensure!(
        rig.app.clock.set(later),
        "the clock of a bench can be moved"
    );
    Ok(())
}

/// Redeems while what has ended leaves. How long that took, too.
async fn leave(rig: &Rig, first: u64) -> anyhow::Result<(Redeemed, Duration)> {
    let no = rig.app.tenant("acme")?.no();
    rig.app
        .tx("bench_retention", move |tx| {
            let now = tx.now_ms();
            tx.want_job(no, kind::RETENTION, "", now)
        })
        .await?;
    let started = now();
    let workers = Workers::start(&Arc::clone(&rig.app));
    let redeemed = redeem(rig, first, |_| {
        let left = archives(rig).unwrap_or_default();
        left.iter()
            .filter(|archive| archive.state == "dropped")
            .count() as u64
            == PAST
    })
    .await?;
    let took = started.elapsed();
    workers.stop().await;
    Ok((redeemed, took))
}

fn archives(rig: &Rig) -> anyhow::Result<Vec<Archive>> {
    let no = rig.app.tenant("acme")?.no();
    let limit = u32::try_from(PAST)?;
    Ok(rig
        .app
        .store
        .peek::<_, StoreError>(|tx| tx.archives(no, 0, limit))?)
}
