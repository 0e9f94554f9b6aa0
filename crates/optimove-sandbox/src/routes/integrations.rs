//! Group `integrations`: the promotion catalogue.

use serde_json::Value;

use super::{Call, get};
use crate::answer::{Refusal, Reply};
use crate::switch::BatchBadEntry;
use crate::write::{List, Style};

/// Most promotions in one call.
const BATCH_ENTRIES_MAX: usize = 100;

/// `AddPromotions`: a known code gets the new name.
pub(super) fn add_promotions(call: &Call) -> Result<Reply, Refusal> {
    let promotions = batch(call, |entry| Some((code(entry)?, name(entry)?)))?;
    call.shared.with_tenant(call.tenant, |tenant| {
        for (code, name) in promotions {
            tenant.catalogue.add(&code, name);
        }
        Ok(Reply::Void)
    })
}

/// `DeletePromotions`: an unknown code is no error; campaigns keep theirs.
pub(super) fn delete_promotions(call: &Call) -> Result<Reply, Refusal> {
    let codes = batch(call, code)?;
    call.shared.with_tenant(call.tenant, |tenant| {
        for code in codes {
            tenant.catalogue.remove(&code);
        }
        Ok(Reply::Void)
    })
}

/// `GetPromotions`: all of them, not paged.
pub(super) fn promotions(call: &Call) -> Result<Reply, Refusal> {
    let mut list = List::new(Style::from(call.switches));
    call.shared.with_tenant(call.tenant, |tenant| {
        for promotion in tenant.catalogue.iter() {
            list.row(|row| {
                row.text("PromoCode", &promotion.code);
                row.text("PromotionName", &promotion.name);
            });
        }
        Ok(())
    })?;
    let (json, rows) = list.finish();
    Ok(Reply::Rows(json, rows))
}

/// Reads a list body; the switch says what one bad entry does to the rest.
fn batch<T>(call: &Call, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, Refusal> {
    let Ok(Value::Array(entries)) = serde_json::from_slice(call.body) else {
        return Err(Refusal::bad_request("The body is not a JSON array."));
    };
    if entries.len() > BATCH_ENTRIES_MAX {
        return Err(Refusal::bad_request(format!(
            "At most {BATCH_ENTRIES_MAX} entries are allowed in one call."
        )));
    }
    let read_all = entries.iter().enumerate().map(|(index, entry)| {
        let bad = || Refusal::bad_request(format!("Entry {index} is not valid."));
        read(entry).ok_or_else(bad)
    });
    match call.switches.batch_bad_entry {
        BatchBadEntry::RefuseAll => read_all.collect(),
        BatchBadEntry::Skip => Ok(read_all.flatten().collect()),
    }
}

/// A promo code: text, or a number that becomes text.
fn code(entry: &Value) -> Option<String> {
    let code = match get(entry.as_object()?, "PromoCode")? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!code.is_empty()).then_some(code)
}

fn name(entry: &Value) -> Option<String> {
    let name = get(entry.as_object()?, "PromotionName")?.as_str()?;
    (!name.trim().is_empty()).then(|| name.to_owned())
}
