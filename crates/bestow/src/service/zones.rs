//! Windows to come, after a government moved its clocks: a program with newer zone data reckons them again from the
//! wall-clock times they were made from. What has started stays where it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bestow_core::announce::Span;
use bestow_core::{Walls, Window, ZONE_DATA};
use bestow_store::campaigns::{Walls as KeptWalls, WindowSpec};
use bestow_store::jobs::Job;
use bestow_store::windows::{MovedWindow, WindowToCome};
use bestow_store::{Error as StoreError, Tx};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::actor::WORKER;
use crate::app::App;
use crate::error::Result;
use crate::service::audit::Object;
use crate::service::grants::window_of;
use crate::tenant::Tenant;
use crate::work::kind;
use crate::work::run::Ended;

/// Windows read at once.
const WINDOWS_MAX: u32 = 1_000;

/// A window that other instants are reckoned for.
type Moved = (WindowToCome, MovedWindow);

fn read(walls: KeptWalls) -> Walls {
    let wall = |ms: i64| {
        let as_if_utc = Timestamp::from_millisecond(ms).ok();
        as_if_utc.map(|instant| TimeZone::UTC.to_datetime(instant))
    };
    Walls {
        starts: walls.starts.and_then(wall),
        ends: walls.ends.and_then(wall),
    }
}

/// Wants the windows of tenants that stand by older zone data to be reckoned again.
///
/// # Errors
/// The store's.
pub(crate) async fn want(app: &App) -> Result<()> {
    let snapshot = app.directory.snapshot();
    let mut behind: Vec<i64> = snapshot
        .tenants()
        .filter(|tenant| *tenant.row.zone_data < *ZONE_DATA)
        .map(|tenant| tenant.no())
        .collect();
    if behind.is_empty() {
        return Ok(());
    }
    let missing = app.store.peek(|tx| tx.tenants_without_job(kind::ZONES))?;
    behind.retain(|tenant| missing.contains(tenant));
    if behind.is_empty() {
        return Ok(());
    }
    app.tx("want_zones", move |tx| {
        let now = tx.now_ms();
        behind
            .iter()
            .try_for_each(|tenant| tx.want_job(*tenant, kind::ZONES, "", now))
    })
    .await
}

/// Moves a tenant's windows to come, campaign by campaign, and writes down which zone data they stand by.
///
/// # Errors
/// The store's; whoever runs it again goes on with the campaigns that are left.
pub async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    let tenant = app.tenant_by_no(job.tenant)?;
    let mut windows = 0;
    for (campaign, moved) in to_move(app, &tenant)? {
        if stop.is_cancelled() {
            return Ok(Ended::Stopped);
        }
        windows += moved.len();
        announce(app, &tenant, campaign, &moved).await?;
        move_windows(app, &tenant, campaign, moved).await?;
    }
    app.tx("adopt_zone_data", move |tx| {
        tx.set_zone_data(tenant.no(), ZONE_DATA)?;
        let detail = json!({
            "zone_data": {"before": tenant.row.zone_data, "after": ZONE_DATA},
            "windows": windows,
        });
        let object = Object::Tenant(tenant.id());
        object.record(tx, tenant.no(), WORKER, "tenant.zone_data_adopted", &detail)
    })
    .await?;
    app.directory_changed()?;
    app.facts_changed();
    Ok(Ended::Done)
}

/// The windows that newer zone data gives other instants, by campaign.
fn to_move(app: &App, tenant: &Tenant) -> Result<BTreeMap<i64, Vec<Moved>>> {
    let (mut found, mut after) = (BTreeMap::<i64, Vec<Moved>>::new(), 0);
    loop {
        let page = app
            .store
            .peek(|tx| tx.windows_to_come(tenant.no(), after, WINDOWS_MAX))?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = last.no;
        for window in page {
            if let Some(moved) = reckon(tenant, &window) {
                let of_campaign = found.entry(window.campaign).or_default();
                of_campaign.push((window, moved));
            }
        }
    }
}

/// `None` where it stays as it is, or newer data leaves nothing of it: then what was promised stays.
fn reckon(tenant: &Tenant, window: &WindowToCome) -> Option<MovedWindow> {
    let WindowSpec { walls, .. } = window.spec;
    let before = window_of(window.spec);
    let after = read(walls).reckon(before, &tenant.zone).ok()?;
    let Window { starts_at, ends_at } = after;
    (after != before).then(|| MovedWindow {
        no: window.no,
        starts_at: starts_at.as_millisecond(),
        ends_at: ends_at.map(Timestamp::as_millisecond),
    })
}

/// Tells those who hear of grants when the windows will start and end. Done before they are moved: told twice, the
/// later word replaces the earlier one; moved and not told, it would be lost.
async fn announce(app: &App, tenant: &Arc<Tenant>, campaign: i64, moved: &[Moved]) -> Result<()> {
    let no = tenant.no();
    let through = app.store.peek(|tx| {
        if tx.is_heard(no)? {
            tx.last_block(no)
        } else {
            Ok(0)
        }
    })?;
    let spans: HashMap<u32, (Span, Span)> = moved
        .iter()
        .map(|(before, after)| {
            let before = Span::new(before.spec.starts_at, before.spec.ends_at, None);
            (
                after.no,
                (before, Span::new(after.starts_at, after.ends_at, None)),
            )
        })
        .collect();
    let spans = Arc::new(spans);
    let mut from = 1;
    while let Some(block) = app
        .store
        .peek(|tx| tx.next_block_of(no, campaign, from, through))?
    {
        let spans = Arc::clone(&spans);
        app.bulk("announce_moved_windows", move |tx| {
            tx.note_moved_windows(no, block, &spans)
        })
        .await?;
        from = block + 1;
    }
    Ok(())
}

async fn move_windows(
    app: &App,
    tenant: &Arc<Tenant>,
    campaign: i64,
    moved: Vec<Moved>,
) -> Result<()> {
    let tenant = Arc::clone(tenant);
    app.tx("move_windows", move |tx| {
        let windows: Vec<MovedWindow> = moved.iter().map(|(_, after)| *after).collect();
        tx.move_windows(tenant.no(), campaign, &windows)?;
        record(tx, &tenant, campaign, &moved)
    })
    .await?;
    app.facts_changed();
    Ok(())
}

fn record(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    campaign: i64,
    moved: &[Moved],
) -> std::result::Result<(), StoreError> {
    let known = tx.campaign_by_no(tenant.no(), campaign)?;
    let known = known.ok_or_else(|| StoreError::Corrupt("a window of no campaign".into()))?;
    let instant = |ms: i64| {
        Timestamp::from_millisecond(ms)
            .ok()
            .map(|at| at.to_string())
    };
    let windows: Vec<_> = moved
        .iter()
        .map(|(before, after)| {
            json!({
                "no": after.no,
                "before": [instant(before.spec.starts_at), before.spec.ends_at.and_then(instant)],
                "after": [instant(after.starts_at), after.ends_at.and_then(instant)],
            })
        })
        .collect();
    let detail = json!({
        "zone_data": {"before": tenant.row.zone_data, "after": ZONE_DATA},
        "windows": windows,
    });
    let object = Object::Campaign(&known.id);
    object.record(tx, tenant.no(), WORKER, "campaign.windows_moved", &detail)
}
