//! Catalogue sync: read Optimove's list, plan, write in chunks, read again to be sure.

use std::collections::{HashMap, HashSet};

use bestow_core::id::fold_code;
use bestow_store::audit::AuditEntry;
use bestow_store::promotions::Promotion;
use optimove::limits::PROMOTIONS_MAX;
use optimove::rate::Priority;
use optimove::{Client, Error as CallError, wire};
use serde::Serialize;
use utoipa::ToSchema;

use super::plan::{Plan, RefusedCode, plan};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// Promotions read from the store at once.
const READ_AT_ONCE: u32 = 1_000;

/// What a sync did. Answer of `POST …/promotions/sync`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueReport {
    /// New in Optimove's list.
    pub added: Vec<String>,
    /// Under our name now.
    pub renamed: Vec<String>,
    /// Taken out of Optimove's list.
    pub deleted: Vec<String>,
    /// Not written, each with its reason.
    pub refused: Vec<RefusedCode>,
}

/// How Optimove's list differs from the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Codes that Optimove's list lacks.
    pub missing: Vec<String>,
    /// Codes that are there under another name.
    pub named_otherwise: Vec<String>,
    /// Codes that are over here and still there.
    pub left_over: Vec<String>,
}

/// Makes Optimove's list follow the catalogue: adds, renames, then deletes, 100 at a time. A chunk
/// that Optimove refuses is halved until the entry that it does not take stands alone; the others
/// go through. Codes that are not ours are never deleted, nor one that a grant still needs.
///
/// # Errors
/// [`Error::Conflict`] for a suspended tenant; Optimove's. What was written before an error
/// stays; the next sync goes on from whatever is there.
pub async fn sync(app: &App, actor: &Actor, tenant: &Tenant) -> Result<CatalogueReport> {
    if tenant.is_suspended() {
        let message = "the tenant is suspended: resume it first";
        return Err(Error::conflict("tenant_suspended", message));
    }
    let client = client(app, tenant)?;
    let plan = read_plan(app, tenant, &client).await?;
    forget(app, tenant, plan.gone.clone()).await?;
    let mut report = CatalogueReport {
        refused: plan.refused.clone(),
        ..CatalogueReport::default()
    };
    if plan.is_empty() {
        return Ok(report);
    }
    intend(app, tenant, &plan.add).await?;
    let mut refused = HashMap::new();
    let writes: Vec<wire::Promotion> = plan.add.iter().chain(&plan.rename).cloned().collect();
    write(&client, &writes, Entries::Add, &mut refused).await?;
    let deletes: Vec<wire::Promotion> = plan
        .delete
        .iter()
        .map(|code| wire::Promotion {
            code: code.clone(),
            name: String::new(),
        })
        .collect();
    write(&client, &deletes, Entries::Delete, &mut refused).await?;
    let there = client.get_promotions().await?;
    report_on(&plan, &there, &refused, &mut report);
    settle(app, actor, tenant, &plan, &report).await?;
    Ok(report)
}

/// Compares without writing anything.
///
/// # Errors
/// Optimove's.
pub async fn drift(app: &App, tenant: &Tenant) -> Result<Drift> {
    let plan = read_plan(app, tenant, &client(app, tenant)?).await?;
    let codes = |entries: &[wire::Promotion]| entries.iter().map(|e| e.code.clone()).collect();
    Ok(Drift {
        missing: codes(&plan.add),
        named_otherwise: codes(&plan.rename),
        left_over: plan.delete,
    })
}

fn client(app: &App, tenant: &Tenant) -> Result<Client> {
    Ok(app
        .clients
        .for_tenant(tenant, &app.keys)?
        .with_priority(Priority::Catalogue))
}

async fn read_plan(app: &App, tenant: &Tenant, client: &Client) -> Result<Plan> {
    let there = client.get_promotions().await?;
    let (ours, in_use) = read_ours(app, tenant)?;
    Ok(plan(&ours, &there, &in_use))
}

fn read_ours(app: &App, tenant: &Tenant) -> Result<(Vec<Promotion>, HashSet<String>)> {
    app.store.read(|tx| {
        let mut ours: Vec<Promotion> = Vec::new();
        loop {
            let after = ours
                .last()
                .map_or(String::new(), |last| last.code_fold.clone());
            let some = tx.promotions(tenant.no(), &after, READ_AT_ONCE)?;
            if some.is_empty() {
                let now = tx.now_ms();
                return Ok((
                    ours,
                    tx.codes_in_use(tenant.no(), now)?.into_iter().collect(),
                ));
            }
            ours.extend(some);
        }
    })
}

/// Remembers, before the first call, which codes it is us who add: an answer that is lost loses
/// nothing then.
async fn intend(app: &App, tenant: &Tenant, add: &[wire::Promotion]) -> Result<()> {
    let (no, add) = (tenant.no(), add.to_vec());
    app.store
        .tx("intend_promotions", move |tx| {
            add.iter().try_for_each(|entry| {
                tx.set_synced_name(no, &fold_code(&entry.code), Some(&entry.name))
            })
        })
        .await
        .map_err(|error: bestow_store::Error| error.into())
}

async fn forget(app: &App, tenant: &Tenant, folds: Vec<String>) -> Result<()> {
    if folds.is_empty() {
        return Ok(());
    }
    let no = tenant.no();
    app.store
        .tx("forget_promotions", move |tx| {
            folds
                .iter()
                .try_for_each(|fold| tx.set_synced_name(no, fold, None))
        })
        .await
        .map_err(|error: bestow_store::Error| error.into())
}

/// What a list of entries is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entries {
    /// To be added or renamed.
    Add,
    /// To be deleted.
    Delete,
}

/// Writes entries in chunks; those that Optimove does not take are noted with its words.
async fn write(
    client: &Client,
    entries: &[wire::Promotion],
    what: Entries,
    refused: &mut HashMap<String, String>,
) -> Result<()> {
    let mut waiting: Vec<&[wire::Promotion]> = entries.chunks(PROMOTIONS_MAX).rev().collect();
    while let Some(chunk) = waiting.pop() {
        let sent = match what {
            Entries::Add => client.add_promotions(chunk).await,
            Entries::Delete => {
                let codes: Vec<&str> = chunk.iter().map(|entry| entry.code.as_str()).collect();
                client.delete_promotions(&codes).await
            }
        };
        match (sent, chunk) {
            (Ok(()), _) => {}
            (Err(CallError::BadRequest { message }), [only]) => {
                refused.insert(fold_code(&only.code).into_owned(), message);
            }
            (Err(CallError::BadRequest { .. }), _) => {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                waiting.push(second);
                waiting.push(first);
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    Ok(())
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

/// Remembers what is ours in Optimove's list, and records what was done.
async fn settle(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    plan: &Plan,
    report: &CatalogueReport,
) -> Result<()> {
    let folds = |codes: &[String]| -> Vec<String> {
        codes
            .iter()
            .map(|code| fold_code(code).into_owned())
            .collect()
    };
    let added: HashSet<String> = folds(&report.added).into_iter().collect();
    let adding: Vec<String> = plan.add.iter().map(|entry| entry.code.clone()).collect();
    let mut not_ours = folds(&report.deleted);
    not_ours.extend(
        folds(&adding)
            .into_iter()
            .filter(|fold| !added.contains(fold)),
    );
    let detail =
        serde_json::to_string(report).map_err(|e| Error::invalid("bad_report", e.to_string()))?;
    let (no, id, actor) = (tenant.no(), tenant.id().to_owned(), actor.id.clone());
    app.store
        .tx("settle_catalogue", move |tx| {
            for fold in &not_ours {
                tx.set_synced_name(no, fold, None)?;
            }
            tx.audit(&AuditEntry {
                tenant: no,
                actor: &actor,
                action: "promotions.synced",
                object: &format!("tenant/{id}"),
                detail: &detail,
                correlation: None,
            })
        })
        .await
        .map_err(|error: bestow_store::Error| error.into())
}
