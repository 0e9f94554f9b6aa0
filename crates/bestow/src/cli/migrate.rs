//! `bestow migrate`: brings the database to this program's schema.

use bestow_store::Migrate;

use super::Outcome;
use super::open::{Settings, check_key, log_to_stderr};
use super::output::line;
use crate::app::App;
use crate::clock::Clock;
use crate::random::Random;

/// Applies what is missing; nothing, where nothing is missing.
pub(super) fn run(settings: &Settings) -> anyhow::Result<Outcome> {
    let config = settings.load()?;
    log_to_stderr("info")?;
    check_key(&config)?;
    let app = App::open(config, Clock::system(), Random::system()?, Migrate::Apply)?;
    line(&format!("{} has this program's schema", app.store.place()));
    Ok(Outcome::Done)
}
