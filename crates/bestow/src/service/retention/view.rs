//! Archives as the outside sees them.

use bestow_store::archives::Archive;
use serde::Serialize;

use super::layout::files_of;
use crate::app::App;
use crate::error::Result;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// An archive: grants that have left the ledger for files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ArchiveView {
    /// Counted per tenant, in the order in which they were begun.
    pub archive: i64,
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// `YYYY-MM` in UTC: what was triggered in it; null: all of the campaign.
    pub month: Option<String>,
    /// `writing`, `dropping` (the files are whole) or `dropped`.
    pub state: String,
    /// Where its files are, beneath the folder of all archives.
    pub folder: String,
    /// What is in them; empty while they are written.
    pub files: Vec<FileView>,
    /// Grants in the files.
    pub grants: u64,
    /// Of them, those that have left the ledger so far. Used ones stay.
    pub dropped: u64,
    /// When the campaign was closed for it.
    pub begun_at: Instant,
    /// When the files had been read again.
    pub written_at: Option<Instant>,
    /// When nothing was left to drop.
    pub dropped_at: Option<Instant>,
}

/// A file of an archive, in Parquet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FileView {
    /// Its name in the folder.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// SHA-256 over the values of all rows, whatever the file's make, in hexadecimal digits.
    pub values_sha256: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Archives behind a number, in the order of numbers.
///
/// # Errors
/// The store's.
pub fn list(app: &App, tenant: &Tenant, after: i64, limit: u32) -> Result<Vec<ArchiveView>> {
    let found = app
        .store
        .peek(|tx| tx.archives(tenant.no(), after, limit))?;
    Ok(found.into_iter().map(ArchiveView::from).collect())
}

impl From<Archive> for ArchiveView {
    fn from(archive: Archive) -> Self {
        let files = files_of(&archive.month).iter();
        let files = files
            .zip(archive.tallies.lines())
            .filter_map(|(file, line)| {
                let mut words = line.strip_prefix(file.name)?.split_whitespace();
                Some(FileView {
                    name: format!("{}.parquet", file.name),
                    rows: words.next()?.parse().ok()?,
                    values_sha256: words.next()?.to_owned(),
                    sha256: words.next()?.to_owned(),
                })
            });
        Self {
            files: files.collect(),
            archive: archive.no,
            campaign_id: archive.campaign_id,
            month: (!archive.month.is_empty()).then_some(archive.month),
            state: archive.state,
            folder: archive.place,
            grants: archive.grants,
            dropped: archive.dropped,
            begun_at: Instant(archive.begun_at),
            written_at: archive.written_at.map(Instant),
            dropped_at: archive.dropped_at.map(Instant),
        }
    }
}
