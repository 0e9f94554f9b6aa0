//! Settings of a deployment: the file, then the environment, then flags.
//!
//! `config.default.toml` is embedded, holds every setting with its default and its meaning, and is the reference.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bestow_core::delivery::Retry;
use serde::Deserialize;

use crate::roles::NodeRoles;
use crate::service::notifications::seconds_ms;

/// The commented default file.
pub const DEFAULT_FILE: &str = include_str!("config.default.toml");

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How Optimove reaches this service; listeners are registered below it. Empty: `http://` and the listening
    /// address, which only serves a stand-in on the same machine.
    pub public_url: String,
    /// `sqlite:PATH`, where a path that is not absolute is below the data directory, or
    /// `postgres://USER@HOST/DATABASE`.
    pub database_url: String,
    /// Where the database and the key file are kept.
    pub data_dir: PathBuf,
    /// Where the files of archives are kept; below the data directory where it is not absolute.
    pub archive_dir: PathBuf,
    /// What this process does.
    pub roles: NodeRoles,
    /// Accepted as a token of role admin while not empty.
    pub admin_token: AdminToken,
    /// What is logged, in the syntax of `tracing-subscriber`'s filters.
    pub log: String,
    /// Connections to a database with a server.
    pub postgres: PostgresPool,
    /// Limits of the HTTP server.
    pub http: HttpLimits,
    /// How often somebody may ask.
    pub rates: RateLimits,
    /// How work is paced.
    pub work: WorkPace,
    /// How Optimove is called.
    pub optimove: OptimoveLimits,
    /// How destinations are delivered to.
    pub delivery: DeliveryPace,
}

/// A token from the environment or file; never printed.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct AdminToken(pub String);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() {
            "AdminToken(none)"
        } else {
            "AdminToken(***)"
        })
    }
}

/// Connections of this process to PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresPool {
    /// That write; the first takes work that takes turns, the others all the rest.
    pub writers: u32,
    /// That read, at most.
    pub readers: u32,
}

/// Limits of the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpLimits {
    /// Names that requests may be sent to, with commas between them, beside the public URL's, `localhost` and addresses.
    pub hosts: String,
    /// Networks of proxies whose `X-Forwarded-For` is believed, with commas between them.
    pub trusted_proxies: String,
    /// Open connections, at most.
    pub connections_max: usize,
    /// Open connections of one address that is no trusted proxy, at most.
    pub connections_per_address_max: usize,
    /// Time a client has to send a request's head.
    pub head_seconds_max: u64,
    /// Time a client has to send a request's body.
    pub body_seconds_max: u64,
    /// Time that the gateway has to decide; after it the answer is no.
    pub gateway_ms_max: u64,
    /// Bytes of a JSON request to the API.
    pub api_body_bytes_max: usize,
    /// Bytes of a notification.
    pub notification_body_bytes_max: usize,
    /// Time for which addresses of listeners are still accepted once newer ones are registered.
    pub old_listener_seconds: u64,
    /// Time that running requests have when the service stops.
    pub drain_seconds_max: u64,
}

/// How often somebody may ask, counted by each process; 0 is without limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Requests with one token.
    pub token_per_second: u32,
    /// So many of them at once.
    pub token_burst: u32,
    /// Requests about one customer.
    pub customer_per_second: u32,
    /// So many of them at once.
    pub customer_burst: u32,
    /// Events at the address with one secret.
    pub listener_per_second: u32,
    /// So many of them at once.
    pub listener_burst: u32,
    /// Requests without a valid token from one address.
    pub refusals_per_minute: u32,
}

impl RateLimits {
    /// No limits.
    pub(crate) fn none() -> Self {
        Self {
            token_per_second: 0,
            token_burst: 0,
            customer_per_second: 0,
            customer_burst: 0,
            listener_per_second: 0,
            listener_burst: 0,
            refusals_per_minute: 0,
        }
    }
}

/// How work is paced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkPace {
    /// Jobs done at the same time, as long as no other tenant has to wait.
    pub jobs_max: usize,
    /// Jobs done at the same time when it takes that many for each tenant to have one.
    pub jobs_most: usize,
    /// How long a worker may go without a sign of life before its job is given to another.
    pub lease_seconds: u64,
    /// How often the inbox and the jobs are looked at when nothing wakes the workers.
    pub poll_ms: u64,
    /// How often the audit records that were written meanwhile are sealed.
    pub seal_seconds: u64,
    /// Pages of a long list that are read as one part, where several processes share the reading; 0: none is shared.
    pub range_pages_max: u64,
    /// Grants written in one transaction of a merge.
    pub merge_grants_max: usize,
    /// How often Optimove's lists of executed campaigns are looked at.
    pub sweep_seconds: u64,
    /// How often Optimove's list of codes is compared with the catalogue.
    pub catalogue_seconds: u64,
    /// Seconds between two looks for what has ended longer ago than its tenant's retention.
    pub retention_seconds: u64,
    /// How many days back a sweep looks.
    pub sweep_days: u16,
    /// How long event 1 waits for the event 13 of each channel before the channels are read without it.
    pub event_1_grace_seconds: u64,
    /// How often today's list of ended actions is read, for tenants whose grants end by it.
    pub ended_seconds: u64,
    /// How long to wait before Optimove is asked once more about a cancel that it does not confirm.
    pub cancel_again_seconds: u64,
    /// How long before its deadline the approvals of a clearance round are to be done.
    pub clearance_margin_seconds: u64,
    /// How long after its deadline whoever a clearance round cleared should have been sent to.
    pub clearance_executed_seconds: u64,
    /// How long a campaign that Optimove says it does not know is asked for again before it is held.
    pub unknown_campaign_seconds: u64,
    /// How long to wait before an empty answer is asked for again, and believed.
    pub empty_answer_wait_ms: u64,
    /// First wait after a failed try; it doubles with every further one.
    pub retry_ms: u64,
    /// The wait never grows beyond this.
    pub retry_max_seconds: u64,
    /// Tries after which an answer that cannot be understood holds the import.
    pub malformed_tries_max: u64,
}

/// How Optimove is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimoveLimits {
    /// Calls started within any window, at most, per credential. Optimove refuses the 51st in 10 seconds.
    pub calls_max: u32,
    /// The window.
    pub calls_window_ms: u64,
    /// Rows asked for in one page.
    pub page_rows: u32,
    /// Time to connect.
    pub connect_ms_max: u64,
    /// Time of one call in all.
    pub call_ms_max: u64,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
    /// Slowest acceptable answer, after the first seconds.
    pub answer_bytes_per_second_min: u64,
    /// Tries of one call before the job waits.
    pub tries_max: u32,
    /// First wait between tries of one call.
    pub retry_ms: u64,
    /// Whether plain http is allowed to hosts other than this machine.
    pub allow_plain_http: bool,
}

/// How destinations are delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryPace {
    /// Networks inside that destinations may be in, with commas between them.
    pub allow_networks: String,
    /// Servers of NATS that destinations may use, with commas between them.
    pub jetstream_servers: String,
    /// Whether plain http is allowed to any destination.
    pub allow_plain_http: bool,
    /// Time to connect.
    pub connect_ms_max: u64,
    /// Time of one try in all.
    pub answer_ms_max: u64,
    /// First wait before a delivery is tried again; it doubles with every further one.
    pub retry_ms: u64,
    /// The wait never grows beyond this.
    pub retry_max_seconds: u64,
    /// Time since its first try after which a delivery is given up.
    pub give_up_seconds: u64,
    /// How long a destination is left alone after five failures in a row; it doubles with every further one.
    pub rest_ms: u64,
    /// It is never left alone for longer.
    pub rest_max_seconds: u64,
}

impl DeliveryPace {
    /// How a delivery is tried again.
    pub(crate) fn retry(&self) -> Retry {
        Retry {
            first_ms: i64::try_from(self.retry_ms).unwrap_or(i64::MAX),
            most_ms: seconds_ms(self.retry_max_seconds),
            give_up_ms: seconds_ms(self.give_up_seconds),
        }
    }

    /// How a destination that fails is left alone.
    pub(crate) fn rest(&self) -> Retry {
        Retry {
            first_ms: i64::try_from(self.rest_ms).unwrap_or(i64::MAX),
            most_ms: seconds_ms(self.rest_max_seconds),
            give_up_ms: 0,
        }
    }
}

/// What can be wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A setting is unknown or has a wrong value.
    #[error("the settings are not valid: {0}")]
    Invalid(String),
}

impl Config {
    /// Reads the defaults, then the file (`bestow.toml` in the working folder where `None`, if it is there), then
    /// `BESTOW_*` from `environment`: `BESTOW_LISTEN` sets `listen`, `BESTOW_HTTP__CONNECTIONS_MAX` sets
    /// `http.connections_max`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table: toml::Table = parse(DEFAULT_FILE, "the embedded defaults")?;
        let chosen = file.map(Path::to_path_buf).or_else(|| {
            let usual = PathBuf::from("bestow.toml");
            usual.exists().then_some(usual)
        });
        if let Some(path) = chosen {
            let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::File {
                path: path.display().to_string(),
                source,
            })?;
            merge(&mut table, parse(&text, &path.display().to_string())?);
        }
        for (name, value) in environment {
            if let Some(path) = name.strip_prefix("BESTOW_") {
                set_from_environment(&mut table, path, &value)?;
            }
        }
        toml::Value::Table(table)
            .try_into()
            .map_err(|e: toml::de::Error| ConfigError::Invalid(e.message().to_owned()))
    }

    /// The database's address with its path made absolute below the data directory.
    pub fn database_url(&self) -> String {
        match self.database_url.strip_prefix("sqlite:") {
            Some(path) if Path::new(path).is_relative() => {
                format!("sqlite:{}", self.data_dir.join(path).display())
            }
            _ => self.database_url.clone(),
        }
    }

    /// The folder of all archives.
    pub fn archive_dir(&self) -> PathBuf {
        self.data_dir.join(&self.archive_dir)
    }

    /// The file of the deployment's key.
    pub fn key_file(&self) -> PathBuf {
        self.data_dir.join("bestow.key")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::load_defaults().expect("the embedded defaults are valid; a test reads them")
    }
}

impl Config {
    fn load_defaults() -> Result<Self, ConfigError> {
        let table = parse(DEFAULT_FILE, "the embedded defaults")?;
        toml::Value::Table(table)
            .try_into()
            .map_err(|e: toml::de::Error| ConfigError::Invalid(e.message().to_owned()))
    }
}

fn parse(text: &str, from: &str) -> Result<toml::Table, ConfigError> {
    text.parse()
        .map_err(|e: toml::de::Error| ConfigError::Invalid(format!("{from}: {}", e.message())))
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// A variable takes the type that its setting has in the defaults. Variables that name no setting are somebody
/// else's (tests and tools use the prefix too) and are left alone.
fn set_from_environment(
    table: &mut toml::Table,
    name: &str,
    value: &str,
) -> Result<(), ConfigError> {
    let lower = name.to_lowercase();
    let (table, key) = match lower.split_once("__") {
        Some((section, key)) => match table.get_mut(section) {
            Some(toml::Value::Table(inner)) => (inner, key.to_owned()),
            _ => return Ok(()),
        },
        None => (table, lower),
    };
    let wrong = |kind| ConfigError::Invalid(format!("BESTOW_{name} must be {kind}"));
    let parsed = match table.get(&key) {
        Some(toml::Value::String(_)) => toml::Value::String(value.to_owned()),
        Some(toml::Value::Integer(_)) => {
            toml::Value::Integer(value.parse().map_err(|_| wrong("a whole number"))?)
        }
        Some(toml::Value::Boolean(_)) => {
            toml::Value::Boolean(value.parse().map_err(|_| wrong("true or false"))?)
        }
        _ => return Ok(()),
    };
    table.insert(key, parsed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_the_environment_wins() {
        let none: [(String, String); 0] = [];
        assert_eq!(Config::load(None, none).unwrap(), Config::default());
        let env = [
            ("BESTOW_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("BESTOW_HTTP__CONNECTIONS_MAX".to_owned(), "7".to_owned()),
            ("BESTOW_SOMETHING_ELSE".to_owned(), "x".to_owned()),
        ];
        let config = Config::load(None, env).unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.http.connections_max, 7);
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_type_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bestow.toml");
        std::fs::write(&path, "lisen = \"127.0.0.1:1\"").unwrap();
        let none: [(String, String); 0] = [];
        assert!(Config::load(Some(&path), none).is_err());
        let env = [("BESTOW_WORK__JOBS_MAX".to_owned(), "many".to_owned())];
        assert!(Config::load(None, env).is_err());
    }
}
