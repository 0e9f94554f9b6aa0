//! A private PostgreSQL for the tests: on a socket in a temporary folder, gone when its starter is.

use std::env;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::disk;

/// The variable that names a server to the tests.
pub(crate) const URL_VARIABLE: &str = "BESTOW_TEST_POSTGRES_URL";
/// The variable that lets services of tests keep their facts on a server.
pub(crate) const SERVICE_VARIABLE: &str = "BESTOW_TEST_DATABASE";
/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Users that a server may run as where we are root, which it refuses to run as.
const USERS: &[&str] = &["postgres", "nobody"];
/// Another order of letters than by bytes shows statements that rely on the server's own.
const INITDB: &str = "--username=bestow --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --locale-provider=icu --icu-locale=en --no-sync --no-instructions";
/// Many tests at once have several connections each. The rest is as it comes, durable.
const SETTINGS: &str = "-c listen_addresses= -c max_connections=400";
/// Runs the server until our end of its input is closed, by us or by our death, then removes all.
const GUARDIAN: &str = r#"
    trap '' INT TERM HUP
    bin=$1 folder=$2
    shift 2
    "$bin/postgres" -D "$folder/data" -k "$folder" "$@" </dev/null >"$folder/log" 2>&1 &
    read -r _
    kill -QUIT $!
    wait $!
    cd / && rm -rf "$folder"
"#;
const START_WAIT: Duration = Duration::from_millis(50);
const START_TRIES_MAX: u32 = 600;

/// A running server. Dropping it stops it and removes its folder.
pub(crate) struct Server {
    url: String,
    guardian: Child,
}

impl Server {
    /// Starts one, installing the programs first where they are missing and may be installed. With a `library` that is
    /// loaded into it first.
    ///
    /// # Errors
    /// Where there are no programs, or the server does not start.
    pub(crate) fn start(library: Option<&Path>) -> anyhow::Result<Self> {
        let bin = programs()?;
        let owner = owner()?;
        let folder = env::temp_dir().join(format!("bestow-postgres-{}", std::process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        if let Some(owner) = &owner {
            chown(&folder, Some(owner.uid), Some(owner.gid))?;
        }
        let started = Self::start_in(&folder, &bin, owner.as_ref(), library);
        if started.is_err() {
            // What is left of it says nothing that the error does not.
            let _ = fs::remove_dir_all(&folder);
        }
        started
    }

    fn start_in(
        folder: &Path,
        bin: &Path,
        owner: Option<&Owner>,
        library: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let made = as_owner(&bin.join("initdb"), folder, owner)
            .arg("-D")
            .arg(folder.join("data"))
            .args(INITDB.split_whitespace())
            .output()
            .context("cannot start initdb")?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr).trim()
        );
        let guardian = as_owner(Path::new("/bin/sh"), folder, owner)
            .envs(library.map(|library| (disk::VARIABLE, library)))
            .args(["-c", GUARDIAN, "sh"])
            .arg(bin)
            .arg(folder)
            .args(SETTINGS.split_whitespace())
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start a shell")?;
        let this = Self {
            url: format!("postgres:///postgres?host={}&user=bestow", folder.display()),
            guardian,
        };
        for _ in 0..START_TRIES_MAX {
            let mut asked = Command::new(bin.join("pg_isready"));
            asked.arg("--quiet").arg("--host").arg(folder);
            if asked.status().context("cannot start pg_isready")?.success() {
                return Ok(this);
            }
            sleep(START_WAIT);
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        bail!("the server does not start:\n{log}")
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        // It ends by itself; when it cannot be waited for, it still does.
        let _ = self.guardian.wait();
    }
}

/// Whom the server runs as.
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn as_owner(program: &Path, folder: &Path, owner: Option<&Owner>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    if let Some(Owner { uid, gid }) = owner {
        command.uid(*uid).gid(*gid);
    }
    command
}

/// Another user where we are root.
pub(crate) fn owner() -> anyhow::Result<Option<Owner>> {
    if !is_root()? {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("cannot read the list of users")?;
    USERS
        .iter()
        .find_map(|name| user(&users, name))
        .map(Some)
        .context("a server does not run as root, and there is no other user to run it as")
}

fn is_root() -> anyhow::Result<bool> {
    let asked = Command::new("id").arg("-u").output().context("no `id`")?;
    Ok(asked.stdout.trim_ascii() == b"0")
}

/// A user of the list of users.
fn user(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        Some(Owner {
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    })
}

/// The folder of the programs of the newest version there is.
pub(crate) fn programs() -> anyhow::Result<PathBuf> {
    if let Some(bin) = installed() {
        return Ok(bin);
    }
    install("postgresql")?;
    installed().context(
        "PostgreSQL is missing: install it (Debian: `apt-get install postgresql`); \
         the tests start a private server of their own",
    )
}

/// Installs one of Debian's packages, where we may.
pub(crate) fn install(package: &str) -> anyhow::Result<()> {
    if is_root()? {
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--yes", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive");
        let status = install.status().context("cannot start apt-get")?;
        ensure!(status.success(), "apt-get ended with {status}");
    }
    Ok(())
}

fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path(),
            ))
        })
        .max();
    let debian = newest.map(|(_, folder)| folder.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    debian
        .into_iter()
        .chain(env::split_paths(&path))
        .find(|bin| {
            ["initdb", "postgres", "pg_isready"]
                .iter()
                .all(|name| bin.join(name).exists())
        })
}

#[cfg(test)]
mod tests {
    use super::user;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104::/:\n";
        let found = user(users, "postgres").expect("it is there");
        assert_eq!((found.uid, found.gid), (101, 104));
        assert!(user(users, "nobody").is_none());
    }
}
