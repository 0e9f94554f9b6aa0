//! Files of archives: rows in compressed Parquet, which any tool reads, with their number and a digest of them.
//!
//! A file appears under its name only once it is whole. One digest is of the values in it, in the words of a copy of the
//! database; another is of its bytes, which also hold what readers find values by.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::copy_end::Rows;
pub use crate::copy_table::Cell;
pub use crate::copy_tally::Tally;
use crate::copy_tally::{Counting, hex};

/// Rows of a group, at most: what is in memory at once, and what is read to find one customer.
const GROUP_ROWS_MAX: usize = 32_768;

/// Bytes of a file that are hashed at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// Milliseconds since 1970 UTC.
    Instant,
    /// Text.
    Text,
}

/// A column of a file. Any of its cells may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A kind of file: its name without the ending, and its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Also the name of its tally.
    pub name: &'static str,
    /// In their order.
    pub columns: &'static [Column],
}

/// Columns of one kind.
macro_rules! of_kind {
    ($($name:ident $kind:ident),+) => {$(
        /// A column of this kind.
        pub const fn $name(name: &'static str) -> Self {
            Self { name, kind: Kind::$kind }
        }
    )+};
}

impl Column {
    of_kind!(int Int, instant Instant, text Text);
}

impl Layout {
    /// Where the file is in its folder.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.parquet", self.name))
    }

    fn message(&self) -> String {
        let columns = self.columns.iter().map(|column| {
            let (kind, note) = match column.kind {
                Kind::Int => ("INT64", ""),
                Kind::Instant => ("INT64", " (TIMESTAMP(MILLIS,true))"),
                Kind::Text => ("BYTE_ARRAY", " (STRING)"),
            };
            format!("OPTIONAL {kind} {}{note};", column.name)
        });
        format!(
            "message {} {{ {} }}",
            self.name,
            columns.collect::<String>()
        )
    }
}

/// What a file holds, and the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTally {
    /// Rows and a digest of their values.
    pub values: Tally,
    /// SHA-256 of its bytes.
    pub bytes: [u8; 32],
}

impl Display for FileTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.values)?;
        hex(&self.bytes, f)
    }
}

/// A file in the making.
pub struct Writer {
    layout: Layout,
    file: SerializedFileWriter<File>,
    part: PathBuf,
    path: PathBuf,
    waiting: Rows,
    tally: Counting,
}

impl Writer {
    /// Begins a file in a folder that is there. `mark` tells apart those who may write it at the same time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the disk fails.
    pub fn create(layout: Layout, folder: &Path, mark: &str) -> Result<Self, Error> {
        let path = layout.path(folder);
        let part = folder.join(format!("{}.{mark}.part", layout.name));
        let failed = |e: &dyn Display| failed(&part, e);
        let schema = parse_message_type(&layout.message()).map_err(|e| failed(&e))?;
        let level = ZstdLevel::try_new(3).map_err(|e| failed(&e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .build();
        let file = File::create(&part).map_err(|e| failed(&e))?;
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
            .map_err(|e| failed(&e))?;
        Ok(Self {
            layout,
            file,
            part,
            path,
            waiting: Vec::new(),
            tally: Counting::default(),
        })
    }

    /// Adds a row, which has a cell for each column.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn push(&mut self, row: Vec<Cell>) -> Result<(), Error> {
        self.waiting.push(row);
        if self.waiting.len() == GROUP_ROWS_MAX {
            self.write_group()?;
        }
        Ok(())
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn finish(mut self) -> Result<FileTally, Error> {
        self.write_group()?;
        let Self {
            layout,
            file,
            part,
            path,
            tally,
            ..
        } = self;
        let failed = |e: &dyn Display| failed(&part, e);
        let file = file.into_inner().map_err(|e| failed(&e))?;
        file.sync_all().map_err(|e| failed(&e))?;
        std::fs::rename(&part, &path).map_err(|e| failed(&e))?;
        if let Some(folder) = path.parent() {
            let folder = File::open(folder).map_err(|e| failed(&e))?;
            folder.sync_all().map_err(|e| failed(&e))?;
        }
        Ok(FileTally {
            values: tally.named(layout.name),
            bytes: digest(&path)?,
        })
    }

    fn write_group(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let failed = |e: &dyn Display| failed(&self.part, e);
        let mut group = self.file.next_row_group().map_err(|e| failed(&e))?;
        for at in 0..self.layout.columns.len() {
            write_column(&mut group, &self.waiting, at).map_err(|e| failed(&e))?;
        }
        group.close().map_err(|e| failed(&e))?;
        self.tally.add(&self.waiting);
        self.waiting.clear();
        Ok(())
    }
}

fn write_column(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Vec<Cell>],
    at: usize,
) -> parquet::errors::Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Ok(());
    };
    let cells = || rows.iter().filter_map(|row| row.get(at));
    let levels: Vec<i16> = cells().map(|cell| i16::from(*cell != Cell::Null)).collect();
    let numbers: Vec<i64> = cells()
        .filter_map(|cell| match cell {
            Cell::Int(n) => Some(*n),
            _ => None,
        })
        .collect();
    if let parquet::column::writer::ColumnWriter::Int64ColumnWriter(_) = column.untyped() {
        column
            .typed::<Int64Type>()
            .write_batch(&numbers, Some(&levels), None)?;
    } else {
        let texts: Vec<ByteArray> = cells()
            .filter_map(|cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_str())),
                _ => None,
            })
            .collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&texts, Some(&levels), None)?;
    }
    column.close()
}

/// Refuses a file that is not as it was written: its bytes, and what they are read as.
///
/// # Errors
/// [`Error::Unavailable`] where it cannot be opened; [`Error::Differs`] where it is not what was `told` of it when it
/// was written.
pub fn check(layout: Layout, folder: &Path, told: &str) -> Result<(), Error> {
    let bytes = as_told(&layout, folder, told)?;
    let mut tally = Counting::default();
    let any_group = |_: &RowGroupMetaData| true;
    read(layout, folder, any_group, |rows| tally.add(&rows))?;
    let values = tally.named(layout.name);
    if (FileTally { values, bytes }).to_string() == told {
        Ok(())
    } else {
        Err(differs(&layout.path(folder)))
    }
}

/// Compares the bytes alone. Nothing else may read a file before: what reads Parquet trusts what the file says of itself.
fn as_told(layout: &Layout, folder: &Path, told: &str) -> Result<[u8; 32], Error> {
    let path = layout.path(folder);
    let found = digest(&path)?;
    let line = FileTally {
        values: Counting::default().named(layout.name),
        bytes: found,
    }
    .to_string();
    let last = |line: &str| line.rsplit(' ').next().map(str::to_owned);
    if last(&line) == last(told) {
        Ok(found)
    } else {
        Err(differs(&path))
    }
}

fn digest(path: &Path) -> Result<[u8; 32], Error> {
    let failed = |e| failed(path, &e);
    let mut file = File::open(path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece).map_err(failed)?;
        if count == 0 {
            return Ok(digest.finalize().into());
        }
        digest.update(&piece[..count]);
    }
}

/// The rows of a file whose cell in the text column `at` is `text`. Its bytes are compared first.
///
/// # Errors
/// As [`check`].
pub fn find(
    layout: Layout,
    folder: &Path,
    told: &str,
    (at, text): (usize, &str),
) -> Result<Vec<Vec<Cell>>, Error> {
    as_told(&layout, folder, told)?;
    let may_have = |group: &RowGroupMetaData| {
        let statistics = group.column(at).statistics();
        let bounds = statistics.and_then(|known| known.min_bytes_opt().zip(known.max_bytes_opt()));
        bounds.is_none_or(|(min, max)| {
            // Long values are cut: a bound that the text begins with says nothing about the rest.
            (min <= text.as_bytes()) && (text.as_bytes() <= max || text.as_bytes().starts_with(max))
        })
    };
    let mut found = Vec::new();
    read(layout, folder, may_have, |rows| {
        let wanted = |row: &Vec<Cell>| matches!(row.get(at), Some(Cell::Text(own)) if own == text);
        found.extend(rows.into_iter().filter(wanted));
    })?;
    Ok(found)
}

/// Reads groups of rows that are wanted.
fn read(
    layout: Layout,
    folder: &Path,
    is_wanted: impl Fn(&RowGroupMetaData) -> bool,
    mut each: impl FnMut(Rows),
) -> Result<(), Error> {
    let path = layout.path(folder);
    let file = File::open(&path).map_err(|e| failed(&path, &e))?;
    let differs = |_| differs(&path);
    let reader = SerializedFileReader::new(file).map_err(differs)?;
    for place in 0..reader.num_row_groups() {
        if is_wanted(reader.metadata().row_group(place)) {
            let group = reader.get_row_group(place).map_err(differs)?;
            let rows = read_group(&layout, &*group).map_err(differs)?;
            each(rows);
        }
    }
    Ok(())
}

fn read_group(layout: &Layout, group: &dyn RowGroupReader) -> parquet::errors::Result<Rows> {
    let count = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
    let mut rows = vec![Vec::with_capacity(layout.columns.len()); count];
    for (at, column) in layout.columns.iter().enumerate() {
        let mut levels = Vec::new();
        let cells: Vec<Cell> = match (column.kind, group.get_column_reader(at)?) {
            (Kind::Int | Kind::Instant, ColumnReader::Int64ColumnReader(mut column)) => {
                let mut values = Vec::new();
                column.read_records(count, Some(&mut levels), None, &mut values)?;
                values.into_iter().map(Cell::Int).collect()
            }
            (Kind::Text, ColumnReader::ByteArrayColumnReader(mut column)) => {
                let mut values = Vec::<ByteArray>::new();
                column.read_records(count, Some(&mut levels), None, &mut values)?;
                let texts = values
                    .iter()
                    .map(|value| value.as_utf8().map(str::to_owned));
                let texts: Vec<_> = texts.collect::<parquet::errors::Result<_>>()?;
                texts.into_iter().map(Cell::Text).collect()
            }
            _ => {
                let told = format!("column {} is of another kind", column.name);
                return Err(parquet::errors::ParquetError::General(told));
            }
        };
        let mut cells = cells.into_iter();
        for (place, row) in rows.iter_mut().enumerate() {
            let is_there = levels.get(place).is_some_and(|level| *level > 0);
            let cell = is_there.then(|| cells.next()).flatten();
            row.push(cell.unwrap_or(Cell::Null));
        }
    }
    Ok(rows)
}

fn differs(path: &Path) -> Error {
    Error::Differs(path.display().to_string())
}

fn failed(path: &Path, error: &dyn Display) -> Error {
    Error::Unavailable(format!("the archive file {}: {error}", path.display()))
}
