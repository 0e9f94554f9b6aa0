//! Whether archives are what they were written as.

use bestow_store::archives::Archive;
use bestow_store::verify::Violation;

use super::layout::files_of;
use super::write;
use crate::app::App;
use crate::error::Result;

/// Archives read from the store at once.
const ARCHIVES_AT_ONCE: u32 = 500;

/// Archives of a tenant whose files are not there, or hold something else than they were written with. Reads all of them.
///
/// # Errors
/// The store's.
pub(crate) fn check(app: &App, tenant: i64) -> Result<Vec<Violation>> {
    let (mut violations, mut after) = (Vec::new(), 0);
    loop {
        let archives = app
            .store
            .peek(|tx| tx.archives(tenant, after, ARCHIVES_AT_ONCE))?;
        let Some(last) = archives.last() else {
            return Ok(violations);
        };
        after = last.no;
        let written = archives.iter().filter(|archive| archive.state != "writing");
        violations.extend(written.filter_map(|archive| violation(app, archive)));
    }
}

fn violation(app: &App, archive: &Archive) -> Option<Violation> {
    let folder = app.config.archive_dir().join(&archive.place);
    let read = write::check(files_of(&archive.month), &folder, &archive.tallies);
    let detail = match read {
        Err(error) => error.to_string(),
        Ok(()) if archive.state == "dropped" && archive.dropped > archive.grants => format!(
            "{} grants have left, {} are in its files",
            archive.dropped, archive.grants
        ),
        Ok(()) => return None,
    };
    Some(Violation {
        rule: "archive_is_whole",
        object: format!("archive {}", archive.no),
        detail,
    })
}
