//! What has to be written to Optimove's list so that it follows the catalogue. Pure.
//!
//! Three sides are compared: the name here, the name there, and the name on which both last agreed. The third
//! tells who changed it: without it every difference would look like a change of ours.

use std::collections::{HashMap, HashSet};

use bestow_core::id::fold_code;
use bestow_store::promotions::Promotion;
use optimove::wire;
use serde::Serialize;
use utoipa::ToSchema;

/// A code that was not written, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedCode {
    /// The code.
    pub code: String,
    /// `in_use`, `changed_there`, `refused_by_optimove`, `not_taken`, `still_there`.
    pub reason: String,
    /// In words.
    pub detail: String,
}

/// A code that somebody changed in Optimove by hand since both sides last agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedThere {
    /// The code.
    pub code: String,
    /// `added` (it was there before us, under another name), `renamed` or `deleted`.
    pub change: String,
    /// The name here, which a sync writes.
    pub ours: String,
    /// The name there, which a sync overwrites; `null`: it is not there any more.
    pub theirs: Option<String>,
    /// The name on which both sides last agreed; `null`: they never did.
    pub agreed: Option<String>,
}

/// What of our codes may not be deleted now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Deletions {
    /// A person said so: whatever is ours goes.
    Forced,
    /// Those that no campaign uses.
    #[default]
    Unused,
}

/// What is known of the codes here, beside the catalogue itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Codes (folded) that are in Optimove's list because we put them there.
    pub(crate) added_there: HashSet<String>,
    /// Codes (folded) of campaigns that run or are to come.
    pub(crate) in_use: HashSet<String>,
    /// A campaign that is to come and whose codes cannot be told: it may use any.
    pub(crate) unread: Option<String>,
}

/// Writes to be made, each in the order of codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Not in Optimove's list.
    pub(crate) add: Vec<wire::Promotion>,
    /// There under another name; in Optimove's own spelling of the code.
    pub(crate) rename: Vec<wire::Promotion>,
    /// Over here, ours there; in Optimove's own spelling.
    pub(crate) delete: Vec<String>,
    /// Not to be deleted now.
    pub(crate) refused: Vec<RefusedCode>,
    /// What somebody changed there; part of it is in the lists above, too.
    pub(crate) changed_there: Vec<ChangedThere>,
    /// Codes there that are none of our business, in the order of codes.
    pub(crate) foreign: Vec<String>,
    /// Codes (folded) that we once added and that somebody deleted since; we are done with them.
    pub(crate) gone: Vec<String>,
    /// Codes (folded) and names on which both sides agree, where that is news.
    pub(crate) agreed: Vec<(String, String)>,
}

impl Plan {
    /// Whether nothing is to be written to Optimove's list.
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.rename.is_empty() && self.delete.is_empty()
    }
}

/// Compares the catalogue with Optimove's list, without letter case.
///
/// A promotion that is active or paused is to be there under our name, whoever changed it there. One that is
/// archived, or a draft again, is deleted there if it was us who added it, nobody renamed it since, and no
/// campaign that runs or is to come uses it. All other codes are left alone.
pub(crate) fn plan(
    ours: &[Promotion],
    theirs: &[wire::Promotion],
    known: &Known,
    deletions: &Deletions,
) -> Plan {
    let mut there: HashMap<String, &wire::Promotion> = theirs
        .iter()
        .map(|theirs| (fold_code(&theirs.code).into_owned(), theirs))
        .collect();
    let mut plan = Plan::default();
    for our in ours {
        let their = there.get(&our.code_fold).copied();
        let is_ours = known.added_there.contains(&our.code_fold);
        match (our.put_status(), their) {
            ("active" | "paused", their) => {
                plan.follow(our, their, is_ours);
                there.remove(&our.code_fold);
            }
            (_, Some(their)) if is_ours => {
                plan.take_out(our, their, known, deletions);
                there.remove(&our.code_fold);
            }
            (_, None) if is_ours => plan.gone.push(our.code_fold.clone()),
            _ => {}
        }
    }
    plan.foreign = there
        .into_values()
        .map(|their| their.code.clone())
        .collect();
    plan.foreign.sort_unstable();
    plan
}

impl Plan {
    /// A promotion that is to be there under our name.
    fn follow(&mut self, our: &Promotion, their: Option<&wire::Promotion>, is_ours: bool) {
        let agreed = our.synced_name.as_deref();
        let Some(their) = their else {
            if agreed.is_some() {
                self.changed_there.push(changed(our, None, "deleted"));
            }
            self.add.push(entry(&our.code, &our.name));
            return;
        };
        let name = their.name.trim();
        if name == our.name {
            if agreed != Some(name) {
                self.agreed.push((our.code_fold.clone(), name.to_owned()));
            }
            return;
        }
        match agreed {
            Some(agreed) if agreed != name => {
                self.changed_there.push(changed(our, Some(name), "renamed"));
            }
            None if !is_ours => self.changed_there.push(changed(our, Some(name), "added")),
            _ => {}
        }
        self.rename.push(entry(&their.code, &our.name));
    }

    /// A code of ours that is not to be there any more.
    fn take_out(
        &mut self,
        our: &Promotion,
        their: &wire::Promotion,
        known: &Known,
        deletions: &Deletions,
    ) {
        let name = their.name.trim();
        let is_renamed = our
            .synced_name
            .as_deref()
            .is_some_and(|agreed| agreed != name);
        if is_renamed {
            self.changed_there.push(changed(our, Some(name), "renamed"));
        }
        let refused = match known {
            _ if *deletions == Deletions::Forced => None,
            known if known.in_use.contains(&our.code_fold) => Some((
                "in_use",
                "a campaign that runs or is to come uses it; a later sync deletes it".to_owned(),
            )),
            Known {
                unread: Some(campaign),
                ..
            } => Some((
                "in_use",
                format!("campaign {campaign} is to come, and may use it; a later sync deletes it"),
            )),
            _ if is_renamed => Some((
                "changed_there",
                "somebody renamed it in Optimove, so it may be needed there; force deletes it"
                    .to_owned(),
            )),
            _ => None,
        };
        match refused {
            None => self.delete.push(their.code.clone()),
            Some((reason, detail)) => self.refused.push(RefusedCode {
                code: our.code.clone(),
                reason: reason.to_owned(),
                detail,
            }),
        }
    }
}

fn changed(our: &Promotion, theirs: Option<&str>, change: &str) -> ChangedThere {
    ChangedThere {
        code: our.code.clone(),
        change: change.to_owned(),
        ours: our.name.clone(),
        theirs: theirs.map(str::to_owned),
        agreed: our.synced_name.clone(),
    }
}

fn entry(code: &str, name: &str) -> wire::Promotion {
    wire::Promotion {
        code: code.to_owned(),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
