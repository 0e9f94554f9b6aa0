//! The codes of a trigger.

use std::collections::HashSet;

use bestow_core::code::{RowCodes, codes_in_row};
use bestow_core::id::fold_code;
use bestow_store::{Error as StoreError, Tx};

use crate::tenant::Tenant;

/// Reads the codes of a trigger or a question. A text with commas that the catalogue knows as a
/// whole is one code.
///
/// # Errors
/// The store's.
pub(crate) fn read(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    texts: &[String],
) -> Result<RowCodes, StoreError> {
    let mut known = HashSet::new();
    for text in texts.iter().filter(|text| text.contains(',')) {
        let fold = fold_code(text).into_owned();
        if tx.promotion(tenant.no(), &fold)?.is_some() {
            known.insert(fold);
        }
    }
    Ok(codes_in_row(
        texts.iter().map(String::as_str),
        |fold| known.contains(fold),
        tenant.settings.codes_per_row_max,
    ))
}
