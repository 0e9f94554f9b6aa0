//! The files of the repository, found by walking it: no version control is needed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Folders that hold nothing of ours. Other folders whose name starts with a dot are skipped too,
/// except those in [`HIDDEN_OURS`].
const FOLDERS_SKIPPED: &[&str] = &["target", "node_modules"];
const HIDDEN_OURS: &[&str] = &[".cargo", ".ci"];

/// One file.
pub(crate) struct File {
    /// Path from the repository's root, parts joined by `/`.
    pub(crate) path: String,
    /// What it holds. Bytes that are not UTF-8 are replaced.
    pub(crate) text: String,
}

impl File {
    /// Whether the name ends in this extension, written without its dot.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|own| own == extension)
    }
}

/// The repository's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one level below the root")
        .to_owned()
}

/// Every file of the repository, ordered by path.
///
/// # Errors
/// When a folder or file cannot be read.
pub(crate) fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && is_ours(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(read(root, &entry.path())?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_ours(folder: &str) -> bool {
    !FOLDERS_SKIPPED.contains(&folder)
        && (!folder.starts_with('.') || HIDDEN_OURS.contains(&folder))
}

fn read(root: &Path, path: &Path) -> anyhow::Result<File> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let inside = path
        .strip_prefix(root)
        .expect("the walk starts at the root");
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    Ok(File {
        path: parts.join("/"),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{files, is_ours, root};

    #[test]
    fn the_walk_finds_sources_documents_and_settings() {
        let files = files(&root()).unwrap();
        for path in [
            ".ci/run",
            "Cargo.toml",
            "LICENSE",
            "xtask/src/repository.rs",
        ] {
            assert!(
                files.iter().any(|file| file.path == path),
                "{path} was not found"
            );
        }
        assert!(files.iter().all(|file| !file.path.starts_with(".git/")));
    }

    #[test]
    fn built_and_foreign_folders_are_left_out() {
        assert!(!is_ours("target") && !is_ours("node_modules") && !is_ours(".git"));
        assert!(is_ours("crates") && is_ours(".ci"));
    }
}
