//! Writing to Optimove's list of codes, in chunks; what it does not take is found by halves.

use std::collections::HashMap;

use bestow_core::id::fold_code;
use optimove::limits::PROMOTIONS_MAX;
use optimove::{Client, Error as CallError, wire};

use super::plan::Plan;
use crate::error::Result;

/// What a list of entries is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entries {
    /// To be added or renamed.
    Add,
    /// To be deleted.
    Delete,
}

/// Writes all of a plan. Entries that are refused are noted, with Optimove's words by code.
pub(super) async fn write_all(
    client: &Client,
    plan: &Plan,
    refused: &mut HashMap<String, String>,
) -> Result<()> {
    let writes: Vec<wire::Promotion> = plan.add.iter().chain(&plan.rename).cloned().collect();
    write(client, &writes, Entries::Add, refused).await?;
    let nameless = |code: &String| wire::Promotion {
        code: code.clone(),
        name: String::new(),
    };
    let deletes: Vec<wire::Promotion> = plan.delete.iter().map(nameless).collect();
    write(client, &deletes, Entries::Delete, refused).await
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
