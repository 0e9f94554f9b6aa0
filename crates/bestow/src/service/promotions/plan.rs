//! What has to be written to Optimove's list so that it follows the catalogue. Pure.

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
    /// `in_use`, `refused_by_optimove`, `not_taken`, `still_there`.
    pub reason: String,
    /// In words.
    pub detail: String,
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
    /// Codes (folded) that we once added and that somebody deleted since; we are done with them.
    pub(crate) gone: Vec<String>,
}

impl Plan {
    /// Whether both sides are equal already.
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.rename.is_empty() && self.delete.is_empty()
    }
}

/// Compares the catalogue with Optimove's list, without letter case.
///
/// A promotion that is active or paused is to be there under our name. An archived one is deleted
/// there if it was us who added it and no window of a grant for it is open or to come (`in_use`,
/// folded). Drafts and codes that are not ours are nobody's business here.
pub(crate) fn plan(
    ours: &[Promotion],
    theirs: &[wire::Promotion],
    in_use: &HashSet<String>,
) -> Plan {
    let theirs: HashMap<String, &wire::Promotion> = theirs
        .iter()
        .map(|theirs| (fold_code(&theirs.code).into_owned(), theirs))
        .collect();
    let mut plan = Plan::default();
    for our in ours {
        let their = theirs.get(&our.code_fold);
        match (our.status.as_str(), their) {
            ("active" | "paused", None) => plan.add.push(entry(&our.code, &our.name)),
            ("active" | "paused", Some(their)) if their.name.trim() != our.name => {
                plan.rename.push(entry(&their.code, &our.name));
            }
            ("archived", Some(their)) if our.synced_name.is_some() => {
                if in_use.contains(&our.code_fold) {
                    plan.refused.push(RefusedCode {
                        code: our.code.clone(),
                        reason: "in_use".to_owned(),
                        detail: "a grant for it runs or is to come; it is deleted by a later sync"
                            .to_owned(),
                    });
                } else {
                    plan.delete.push(their.code.clone());
                }
            }
            ("archived", None) if our.synced_name.is_some() => {
                plan.gone.push(our.code_fold.clone());
            }
            _ => {}
        }
    }
    plan
}

fn entry(code: &str, name: &str) -> wire::Promotion {
    wire::Promotion {
        code: code.to_owned(),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(code: &str, name: &str, status: &str, synced: Option<&str>) -> Promotion {
        Promotion {
            code_fold: code.to_lowercase(),
            code: code.to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            kind: "shared".to_owned(),
            reward: String::new(),
            limits: String::new(),
            metadata: String::new(),
            version: 1,
            created_at: 0,
            updated_at: 0,
            fallback_code: None,
            synced_name: synced.map(str::to_owned),
            validity_days: None,
        }
    }

    fn planned(ours: &[Promotion], theirs: &[(&str, &str)], in_use: &[&str]) -> Plan {
        let theirs: Vec<_> = theirs
            .iter()
            .map(|(code, name)| entry(code, name))
            .collect();
        plan(
            ours,
            &theirs,
            &in_use.iter().map(|code| (*code).to_owned()).collect(),
        )
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_named_otherwise_is_renamed() {
        let ours = [
            ours("FS20", "20 spins", "active", None),
            ours("CB10", "Cashback", "paused", Some("Cash")),
            ours("SAME", "Same", "active", Some("Same")),
        ];
        let plan = planned(&ours, &[("cb10", "Cash"), ("Same", "Same")], &[]);
        assert_eq!(plan.add, [entry("FS20", "20 spins")]);
        assert_eq!(
            plan.rename,
            [entry("cb10", "Cashback")],
            "in the spelling that is there"
        );
        assert_eq!(plan.delete, [""; 0]);
    }

    #[test]
    fn only_what_we_added_and_nobody_needs_is_deleted() {
        let ours = [
            ours("OURS", "x", "archived", Some("x")),
            ours("USED", "x", "archived", Some("x")),
            ours("THEIRS", "x", "archived", None),
            ours("GONE", "x", "archived", Some("x")),
        ];
        let there = [
            ("OURS", "x"),
            ("USED", "x"),
            ("THEIRS", "x"),
            ("FOREIGN", "y"),
        ];
        let plan = planned(&ours, &there, &["used"]);
        assert_eq!(plan.delete, ["OURS"]);
        assert_eq!(plan.refused.len(), 1);
        assert_eq!(
            (
                plan.refused[0].code.as_str(),
                plan.refused[0].reason.as_str()
            ),
            ("USED", "in_use")
        );
        assert_eq!(plan.gone, ["gone"]);
    }

    #[test]
    fn drafts_stay_here() {
        let plan = planned(&[ours("NEW", "x", "draft", None)], &[], &[]);
        assert_eq!(plan, Plan::default());
    }
}
