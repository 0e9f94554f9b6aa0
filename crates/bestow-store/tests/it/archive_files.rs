//! Files of archives: read as they were written, found by their customer, and refused once a byte is another.

use std::path::Path;

use bestow_store::Error;
use bestow_store::archive_file::{self, Cell, Column, FileTally, Layout, Writer};

const LAYOUT: Layout = Layout {
    name: "people",
    columns: &[
        Column::text("customer"),
        Column::int("n"),
        Column::instant("at"),
    ],
};
/// More than two groups.
const ROWS: i64 = 70_000;

fn row(n: i64) -> Vec<Cell> {
    let customer = match n % 1_000 {
        999 => Cell::Null,
        _ => Cell::Text(format!("kunde-ü-{:06}", n / 2)),
    };
    let at = match n % 3 {
        0 => Cell::Null,
        _ => Cell::Int(1_800_000_000_000 + n),
    };
    vec![customer, Cell::Int(i64::MIN + n), at]
}

fn write(folder: &Path, rows: i64) -> FileTally {
    let mut writer = Writer::create(LAYOUT, folder, "1").expect("begun");
    for n in 0..rows {
        writer.push(row(n)).expect("written");
    }
    writer.finish().expect("finished")
}

#[test]
fn read_as_it_was_written() {
    let dir = tempfile::tempdir().expect("a folder");
    for rows in [0, 1, ROWS] {
        let written = write(dir.path(), rows);
        assert_eq!(written.values.rows, rows.unsigned_abs());
        archive_file::check(LAYOUT, dir.path(), &written.to_string()).expect("as it was written");
    }
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("a file").file_name())
        .collect();
    assert_eq!(names, ["people.parquet"], "no half of a file is left");
}

#[test]
fn unfinished_it_has_no_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(LAYOUT, dir.path(), "1").expect("begun");
    writer.push(row(1)).expect("written");
    drop(writer);
    let missing = archive_file::check(LAYOUT, dir.path(), "");
    assert!(matches!(missing, Err(Error::Unavailable(_))), "{missing:?}");
    assert_eq!(write(dir.path(), 5).values.rows, 5);
}

#[test]
fn found_by_its_customer() {
    let dir = tempfile::tempdir().expect("a folder");
    let told = write(dir.path(), ROWS).to_string();
    let find = |text: &str| archive_file::find(LAYOUT, dir.path(), &told, (0, text)).expect("read");
    for n in [0, 2, 32_766, 32_768, 65_534, ROWS - 4] {
        assert_eq!(find(&format!("kunde-ü-{:06}", n / 2)), [row(n), row(n + 1)]);
    }
    for nobody in ["", "a", "kunde", "kunde-ü-0000001", "z"] {
        assert!(find(nobody).is_empty(), "{nobody}");
    }
}

#[test]
fn a_long_customer_is_found_behind_cut_bounds() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(LAYOUT, dir.path(), "1").expect("begun");
    let long = |end: &str| format!("{}{end}", "ÿ".repeat(200));
    for end in ["a", "b"] {
        let cells = vec![Cell::Text(long(end)), Cell::Null, Cell::Null];
        writer.push(cells).expect("written");
    }
    let told = writer.finish().expect("finished").to_string();
    for (end, count) in [("a", 1), ("b", 1), ("c", 0)] {
        let found = archive_file::find(LAYOUT, dir.path(), &told, (0, &long(end))).expect("read");
        assert_eq!(found.len(), count, "{end}");
    }
}

#[test]
fn every_changed_byte_is_seen() {
    let dir = tempfile::tempdir().expect("a folder");
    let told = write(dir.path(), 40).to_string();
    let path = LAYOUT.path(dir.path());
    let whole = std::fs::read(&path).expect("the file");
    let is_refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).expect("written");
        let checked = archive_file::check(LAYOUT, dir.path(), &told);
        assert!(
            matches!(checked, Err(Error::Differs(_))),
            "{what}: {checked:?}"
        );
        let found = archive_file::find(LAYOUT, dir.path(), &told, (0, "kunde-ü-000000"));
        assert!(matches!(found, Err(Error::Differs(_))), "{what}: {found:?}");
    };
    for place in 0..whole.len() {
        let mut broken = whole.clone();
        broken[place] ^= 1;
        is_refused(&broken, &format!("byte {place}"));
    }
    for length in [0, 4, whole.len() / 2, whole.len() - 1] {
        is_refused(&whole[..length], &format!("cut to {length}"));
    }
    std::fs::write(&path, &whole).expect("written");
    archive_file::check(LAYOUT, dir.path(), &told).expect("as it was written");
    let other = told.replacen("40", "41", 1);
    let checked = archive_file::check(LAYOUT, dir.path(), &other);
    assert!(matches!(checked, Err(Error::Differs(_))), "{checked:?}");
}
