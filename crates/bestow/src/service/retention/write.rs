//! Writing the files of an archive, and reading them again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bestow_store::archive_file::{self, Cell, Layout, Writer};
use bestow_store::archives::Archive;
use bestow_store::campaigns::WindowSpec;
use bestow_store::endings::GrantEnd;
use bestow_store::grants::LedgerRow;
use bestow_store::holders::{HolderGroup, Holders};
use bestow_store::runs::{Group, GroupEntry, Pages, Runs};
use bestow_store::{Error, Store};

use super::layout::{GRANTS, ROWS, files_of};
use super::month;

/// Denials read at once.
const DENIALS_AT_ONCE: u32 = 1_000;

/// What is written, and where to.
pub(super) struct Source {
    pub(super) store: Store,
    pub(super) tenant: i64,
    pub(super) archive: Archive,
    pub(super) folder: PathBuf,
    /// What has not ended by then is not ready.
    pub(super) cutoff_ms: i64,
    /// Tells apart those who may write at the same time.
    pub(super) mark: String,
}

/// What came of it.
pub(super) enum Written {
    /// The files are there and were read again.
    Whole {
        /// Grants in them.
        grants: u64,
        /// Of the files, a line each.
        tallies: String,
    },
    /// Not all of it may leave; why, where a person has to look.
    NotReady(Option<String>),
}

/// What the rows of a campaign refer to.
pub(super) struct Terms {
    offers: HashMap<u32, String>,
    windows: HashMap<u32, WindowSpec>,
}

/// Writes the files, or finds that the campaign is not ready.
pub(super) fn files(source: &Source) -> Result<Written, Error> {
    make_folder(&source.folder)?;
    let files = files_of(&source.archive.month);
    let mut writers = Vec::with_capacity(files.len());
    for layout in files {
        writers.push(Writer::create(*layout, &source.folder, &source.mark)?);
    }
    let [grants, second, third] = &mut writers[..] else {
        return Err(Error::Corrupt("an archive has three files".into()));
    };
    let found = if source.archive.month.is_empty() {
        campaign(source, grants, second, third)?
    } else {
        month::write(source, grants, second, third)?
    };
    let grants = match found {
        Ok(grants) => grants,
        Err(why) => return Ok(Written::NotReady(why)),
    };
    let mut tallies = Vec::with_capacity(files.len());
    for writer in writers {
        tallies.push(writer.finish()?.to_string());
    }
    let tallies = tallies.join("\n");
    check(files, &source.folder, &tallies)?;
    Ok(Written::Whole { grants, tallies })
}

/// Refuses files that are not what was written.
pub(super) fn check(files: &[Layout], folder: &Path, told: &str) -> Result<(), Error> {
    let mut lines = told.lines();
    files
        .iter()
        .try_for_each(|layout| archive_file::check(*layout, folder, lines.next().unwrap_or("")))
}

/// How many grants were written, or why the campaign is not ready.
type Found = Result<u64, Option<String>>;

fn campaign(
    source: &Source,
    grants: &mut Writer,
    rows: &mut Writer,
    denials: &mut Writer,
) -> Result<Found, Error> {
    let (store, tenant, no) = (&source.store, source.tenant, source.archive.campaign);
    let terms = Terms::read(source)?;
    let (granted, listed) = store.read(|tx| {
        let counts = tx.counts(tenant, no)?;
        let granted = counts.into_iter().find(|(name, _)| name == "granted");
        let ended = tx.listed_ends(tenant, no, 0)?.ended;
        Ok::<_, Error>((granted.map_or(0, |(_, n)| n), ended))
    })?;
    let runs = Runs::over(store, tenant, no, Pages::All, None)?;
    let mut holders = Holders::over(store, tenant, runs, |_| true);
    let mut found = HolderGroup::default();
    let mut written = 0;
    while holders.next_group(&mut found)? {
        for entry in &found.group.entries {
            rows.push(terms.row(&found.group, entry))?;
        }
        for (customer, held) in found.holders() {
            let ends = match listed {
                0 => Vec::new(),
                _ => store.peek(|tx| tx.grant_ends(tenant, customer))?,
            };
            for row in held.iter().filter(|row| terms.is_of(row)) {
                if !terms.has_ended(row, &ends, source.cutoff_ms) {
                    return Ok(Err(None));
                }
                grants.push(terms.grant(customer, row, &ends))?;
                written += 1;
            }
        }
    }
    write_denials(source, denials)?;
    if i64::try_from(written) != Ok(granted) {
        let why = format!("{granted} counted as granted, {written} found by its rows");
        return Ok(Err(Some(why)));
    }
    Ok(Ok(written))
}

fn write_denials(source: &Source, file: &mut Writer) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let found = source.store.peek(|tx| {
            tx.denials_behind(
                source.tenant,
                source.archive.campaign,
                &after,
                DENIALS_AT_ONCE,
            )
        })?;
        let Some((last, ..)) = found.last() else {
            return Ok(());
        };
        after.clone_from(last);
        for (customer, round, reason, pairs) in found {
            file.push(vec![
                Cell::Text(customer),
                Cell::Int(round),
                Cell::Text(reason),
                Cell::Int(pairs),
            ])?;
        }
    }
}

impl Terms {
    pub(super) fn read(source: &Source) -> Result<Self, Error> {
        let (tenant, no) = (source.tenant, source.archive.campaign);
        source.store.read(|tx| {
            let offers = tx.offers(tenant, no)?.into_iter();
            Ok(Self {
                offers: offers.map(|offer| (offer.no, offer.code)).collect(),
                windows: tx.windows(tenant, no)?.into_iter().collect(),
            })
        })
    }

    /// Whether it is a grant of the campaign.
    pub(super) fn is_of(&self, row: &LedgerRow) -> bool {
        self.offers.contains_key(&row.offer)
    }

    /// Whether a grant has ended by an instant, by its window or by a daily list.
    pub(super) fn has_ended(&self, row: &LedgerRow, ends: &[GrantEnd], by_ms: i64) -> bool {
        let window = self.windows.get(&row.window).and_then(|spec| spec.ends_at);
        let listed = end_of(row, ends);
        window.into_iter().chain(listed).any(|end| end <= by_ms)
    }

    /// A row of [`GRANTS`].
    pub(super) fn grant(&self, customer: &str, row: &LedgerRow, ends: &[GrantEnd]) -> Vec<Cell> {
        let window = self.windows.get(&row.window);
        let cells = vec![
            Cell::Text(customer.to_owned()),
            text(self.offers.get(&row.offer)),
            Cell::Text(row.occurrence.clone()),
            int(window.map(|spec| spec.starts_at)),
            int(window.and_then(|spec| spec.ends_at)),
            int(end_of(row, ends)),
            int(window.map(|spec| spec.action)),
            int(window.map(|spec| spec.channel)),
            Cell::Int(row.page.into()),
            Cell::Int(row.code.number()),
            Cell::Int(row.used.redeemed.into()),
            Cell::Int(row.offer.into()),
            Cell::Int(row.window.into()),
        ];
        debug_assert_eq!(cells.len(), GRANTS.columns.len());
        cells
    }

    /// A row of [`ROWS`].
    fn row(&self, group: &Group, entry: &GroupEntry) -> Vec<Cell> {
        let cells = vec![
            Cell::Text(group.customer(entry).to_owned()),
            Cell::Int(entry.page.into()),
            Cell::Int(entry.row.into()),
            text(self.offers.get(&entry.offer)),
            Cell::Int(entry.offer.into()),
            Cell::Int(entry.window.into()),
            Cell::Int(entry.mark.into()),
        ];
        debug_assert_eq!(cells.len(), ROWS.columns.len());
        cells
    }
}

fn end_of(row: &LedgerRow, ends: &[GrantEnd]) -> Option<i64> {
    let its = |end: &&GrantEnd| (end.offer, &end.occurrence) == (row.offer, &row.occurrence);
    ends.iter().find(its).map(|end| end.ended_at)
}

fn int(n: Option<i64>) -> Cell {
    n.map_or(Cell::Null, Cell::Int)
}

fn text(text: Option<&String>) -> Cell {
    text.map_or(Cell::Null, |text| Cell::Text(text.clone()))
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|e| {
        Error::Unavailable(format!(
            "the archive folder {} cannot be made: {e}",
            folder.display()
        ))
    })
}
