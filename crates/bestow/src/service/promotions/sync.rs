//! Catalogue sync: read Optimove's list, plan, write in chunks, read again to be sure.

use std::collections::{HashMap, HashSet};

use bestow_core::id::fold_code;
use bestow_store::promotions::Promotion;
use optimove::rate::Priority;
use optimove::{Client, Error as CallError, wire};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::drift;
use super::plan::{ChangedThere, Deletions, Known, Plan, RefusedCode, plan as compare};
use super::write::write_all;
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::ended;
use crate::tenant::Tenant;

/// Promotions read from the store at once.
const READ_AT_ONCE: u32 = 1_000;
/// Campaigns without known codes that Optimove is asked about, at most, before a code is deleted.
const UNREAD_ASKED_MAX: u32 = 50;
/// Codes of others that a report names, at most.
const FOREIGN_NAMED_MAX: usize = 100;

/// How to sync. Body of `POST …/promotions/sync`; without one everything is as by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SyncWish {
    /// Only tell what would be written.
    pub dry_run: bool,
    /// Delete archived codes of ours although a campaign uses them or somebody renamed them there.
    pub force: bool,
}

/// What a sync did, or would do. Answer of `POST …/promotions/sync`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueReport {
    /// Nothing was written: the lists tell what would be.
    pub dry_run: bool,
    /// New in Optimove's list.
    pub added: Vec<String>,
    /// Under our name now.
    pub renamed: Vec<String>,
    /// Taken out of Optimove's list.
    pub deleted: Vec<String>,
    /// Not written, each with its reason.
    pub refused: Vec<RefusedCode>,
    /// What somebody changed there by hand, with the names that were overwritten.
    pub changed_there: Vec<ChangedThere>,
    /// Codes there that Bestow did not add, which it leaves alone.
    pub foreign: Foreign,
}

/// Codes of others in Optimove's list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Foreign {
    /// How many there are.
    pub count: usize,
    /// The first hundred.
    pub codes: Vec<String>,
}

impl CatalogueReport {
    /// What is known before anything is written.
    fn before(plan: &Plan) -> Self {
        Self {
            refused: plan.refused.clone(),
            changed_there: plan.changed_there.clone(),
            foreign: Foreign {
                count: plan.foreign.len(),
                codes: plan
                    .foreign
                    .iter()
                    .take(FOREIGN_NAMED_MAX)
                    .cloned()
                    .collect(),
            },
            ..Self::default()
        }
    }

    fn planned(plan: &Plan) -> Self {
        Self {
            dry_run: true,
            added: codes(&plan.add),
            renamed: codes(&plan.rename),
            deleted: plan.delete.clone(),
            ..Self::before(plan)
        }
    }
}

pub(super) fn codes(entries: &[wire::Promotion]) -> Vec<String> {
    entries.iter().map(|entry| entry.code.clone()).collect()
}

/// Makes Optimove's list follow the catalogue, as by default; see [`sync_with`].
///
/// # Errors
/// As [`sync_with`].
pub async fn sync(app: &App, actor: &Actor, tenant: &Tenant) -> Result<CatalogueReport> {
    sync_with(app, actor, tenant, &SyncWish::default()).await
}

/// Makes Optimove's list follow the catalogue: adds, renames, then deletes, 100 at a time. A chunk
/// that Optimove refuses is halved until the entry that it does not take stands alone; the others
/// go through. What somebody changed there by hand is overwritten and told. Codes that are not ours
/// are never deleted, nor, unless forced, one that a campaign still needs.
///
/// # Errors
/// [`Error::Conflict`] for a suspended tenant; Optimove's. What was written before an error
/// stays; the next sync goes on from whatever is there.
pub async fn sync_with(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    wish: &SyncWish,
) -> Result<CatalogueReport> {
    if tenant.is_suspended() {
        let message = "the tenant is suspended: resume it first";
        return Err(Error::conflict("tenant_suspended", message));
    }
    let deletions = if wish.force {
        Deletions::Forced
    } else {
        Deletions::Unused
    };
    let client = app.client(tenant, Priority::Catalogue)?;
    let (plan, known) = read_plan(app, tenant, &client, &deletions).await?;
    if wish.dry_run {
        return Ok(CatalogueReport::planned(&plan));
    }
    note_seen(app, tenant, &plan).await?;
    let mut report = CatalogueReport::before(&plan);
    if plan.is_empty() {
        drift::record(app, tenant, &plan.into()).await?;
        return Ok(report);
    }
    intend(app, tenant, &plan.add).await?;
    let mut refused = HashMap::new();
    let written = write_all(&client, &plan, &mut refused).await;
    // Whether or not an answer was lost: the list says what took effect.
    let there = match (client.get_promotions().await, &written) {
        (Ok(there), _) => there,
        (Err(_), Err(_)) => return written.map(|()| report),
        (Err(error), Ok(())) => return Err(error.into()),
    };
    report_on(&plan, &there, &refused, &mut report);
    let answers = match written {
        Ok(()) => Answers::All,
        Err(_) => Answers::SomeMissing,
    };
    settle(app, actor, tenant, &plan, &report, answers).await?;
    let now = read_ours(app, tenant)?;
    let known = Known {
        added_there: now.known.added_there,
        ..known
    };
    let left = compare(&now.promotions, &there, &known, &Deletions::Unused);
    drift::record(app, tenant, &left.into()).await?;
    written.map(|()| report)
}

/// Reads both lists and compares them. Before a code is deleted, campaigns that are to come are
/// asked after, since only Optimove knows their codes.
pub(super) async fn read_plan(
    app: &App,
    tenant: &Tenant,
    client: &Client,
    deletions: &Deletions,
) -> Result<(Plan, Known)> {
    let there = client.get_promotions().await?;
    let Ours {
        promotions,
        mut known,
        unread,
    } = read_ours(app, tenant)?;
    let first = compare(&promotions, &there, &known, deletions);
    if first.delete.is_empty() || unread.is_empty() || *deletions == Deletions::Forced {
        return Ok((first, known));
    }
    ask_unread(client, &unread, &mut known).await?;
    Ok((compare(&promotions, &there, &known, deletions), known))
}

/// Adds the codes of campaigns that are not read yet to those in use. A campaign of which Optimove tells nothing may
/// use any code.
async fn ask_unread(client: &Client, unread: &[String], known: &mut Known) -> Result<()> {
    let asked = unread.len().min(UNREAD_ASKED_MAX as usize);
    known.unread = unread.get(asked).cloned();
    for campaign in &unread[..asked] {
        let rows = match client.get_promo_codes_by_campaign(campaign).await {
            Err(CallError::UnknownCampaign | CallError::NotFound { .. }) => Vec::new(),
            rows => rows?,
        };
        if rows.is_empty() {
            known.unread = Some(campaign.clone());
        }
        let codes = rows.iter().flat_map(|row| row.promo_code.texts());
        known
            .in_use
            .extend(codes.map(|code| fold_code(code).into_owned()));
    }
    Ok(())
}

/// Our side.
struct Ours {
    promotions: Vec<Promotion>,
    known: Known,
    /// Campaigns whose codes are not known here.
    unread: Vec<String>,
}

fn read_ours(app: &App, tenant: &Tenant) -> Result<Ours> {
    let no = tenant.no();
    app.store.read(|tx| {
        let mut promotions: Vec<Promotion> = Vec::new();
        loop {
            let after = promotions
                .last()
                .map_or(String::new(), |last| last.code_fold.clone());
            let some = tx.promotions(no, &after, READ_AT_ONCE)?;
            if some.is_empty() {
                break;
            }
            promotions.extend(some);
        }
        Ok(Ours {
            promotions,
            known: Known {
                added_there: tx.codes_added_there(no)?.into_iter().collect(),
                in_use: ended::codes_in_use(tx, tenant, ended::patience(app))?,
                unread: None,
            },
            unread: tx.campaigns_unread(no, UNREAD_ASKED_MAX + 1)?,
        })
    })
}

/// Notes what the comparison alone taught: on which names both sides agree, and which codes of ours
/// somebody took out for good.
async fn note_seen(app: &App, tenant: &Tenant, plan: &Plan) -> Result<()> {
    if plan.gone.is_empty() && plan.agreed.is_empty() {
        return Ok(());
    }
    let (no, gone, agreed) = (tenant.no(), plan.gone.clone(), plan.agreed.clone());
    app.tx("note_catalogue_seen", move |tx| {
        for fold in &gone {
            tx.promotion_not_there(no, fold)?;
        }
        agreed
            .iter()
            .try_for_each(|(fold, name)| tx.set_synced_name(no, fold, Some(name)))
    })
    .await
}

/// Remembers, before the first call, which codes it is us who add: an answer that is lost loses
/// nothing then.
async fn intend(app: &App, tenant: &Tenant, add: &[wire::Promotion]) -> Result<()> {
    let (no, add) = (tenant.no(), add.to_vec());
    app.tx("intend_promotions", move |tx| {
        add.iter()
            .try_for_each(|entry| tx.promotion_added_there(no, &fold_code(&entry.code)))
    })
    .await
}

/// What was planned, compared with what is there now.
fn report_on(
    plan: &Plan,
    there: &[wire::Promotion],
    refused: &HashMap<String, String>,
    report: &mut CatalogueReport,
) {
    let names: HashMap<String, &str> = there
        .iter()
        .map(|entry| (fold_code(&entry.code).into_owned(), entry.name.trim()))
        .collect();
    let mut refuse = |code: &str, reason: &str, detail: &str| {
        let fold = fold_code(code);
        let (reason, detail) = match refused.get(fold.as_ref()) {
            Some(words) => ("refused_by_optimove", words.as_str()),
            None => (reason, detail),
        };
        report.refused.push(RefusedCode {
            code: code.to_owned(),
            reason: reason.to_owned(),
            detail: detail.to_owned(),
        });
    };
    let is_there = |entry: &wire::Promotion| {
        names.get(fold_code(&entry.code).as_ref()) == Some(&entry.name.as_str())
    };
    for (entries, done) in [
        (&plan.add, &mut report.added),
        (&plan.rename, &mut report.renamed),
    ] {
        for entry in entries {
            if is_there(entry) {
                done.push(entry.code.clone());
            } else {
                refuse(
                    &entry.code,
                    "not_taken",
                    "Optimove took it and does not show it: sync again",
                );
            }
        }
    }
    for code in &plan.delete {
        if names.contains_key(fold_code(code).as_ref()) {
            refuse(
                code,
                "still_there",
                "Optimove deleted it and still shows it: sync again",
            );
        } else {
            report.deleted.push(code.clone());
        }
    }
}

/// Whether Optimove answered each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// What is not there by now was not taken.
    All,
    /// What is not there by now may still arrive.
    SomeMissing,
}

/// Remembers what is ours in Optimove's list and under which name, and records what was done.
async fn settle(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    plan: &Plan,
    report: &CatalogueReport,
    answers: Answers,
) -> Result<()> {
    let fold = |code: &String| fold_code(code).into_owned();
    let written: HashSet<String> = report
        .added
        .iter()
        .chain(&report.renamed)
        .map(fold)
        .collect();
    let names = plan.add.iter().chain(&plan.rename);
    let names = names.map(|entry| (fold(&entry.code), entry.name.clone()));
    let agreed: Vec<_> = names.filter(|(code, _)| written.contains(code)).collect();
    let mut not_ours: Vec<String> = report.deleted.iter().map(fold).collect();
    if answers == Answers::All {
        let adding = plan.add.iter().map(|entry| fold(&entry.code));
        not_ours.extend(adding.filter(|code| !written.contains(code)));
    }
    // What is not ours stands in the report, and would be the same in every record.
    let recorded = CatalogueReport {
        foreign: Foreign::default(),
        ..report.clone()
    };
    let detail = serde_json::to_string(&recorded)
        .map_err(|e| Error::invalid("bad_report", e.to_string()))?;
    let (no, id, actor) = (tenant.no(), tenant.id().to_owned(), actor.id.clone());
    app.tx("settle_catalogue", move |tx| {
        for (fold, name) in &agreed {
            tx.set_synced_name(no, fold, Some(name))?;
        }
        for fold in &not_ours {
            tx.promotion_not_there(no, fold)?;
        }
        Object::Tenant(&id).record(tx, no, &actor, "promotions.synced", &detail)
    })
    .await
}
