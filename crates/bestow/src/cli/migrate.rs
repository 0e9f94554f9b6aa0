//! `bestow migrate`: brings the database to this program's schema, and spreads it over shards.

use bestow_store::Migrate as Migration;
use bestow_store::spread::{Engine, Spread};
use clap::Args;

use super::Outcome;
use super::open::{Settings, check_key, log_to_stderr};
use super::output::line;
use crate::app::App;
use crate::clock::Clock;
use crate::random::Random;

/// What `bestow migrate` takes beside the settings.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Migrate {
    /// Spread the tables by tenant, customer and campaign, too, in the words of this engine: partitions, citus,
    /// yugabyte or cockroach.
    #[arg(long)]
    engine: Option<Engine>,
    /// Shards of a table.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512),
        requires = "engine")]
    pieces: u16,
    /// Print the statements that spread the tables, and do nothing.
    #[arg(long, requires = "engine")]
    print: bool,
}

/// Applies what is missing; nothing, where nothing is missing.
pub(super) fn run(settings: &Settings, migrate: Migrate) -> anyhow::Result<Outcome> {
    let spread = migrate
        .engine
        .map(|engine| Spread::new(engine, migrate.pieces));
    let spread = spread.transpose().map_err(anyhow::Error::msg)?;
    if migrate.print {
        if let Some(spread) = spread {
            print(spread);
        }
        return Ok(Outcome::Done);
    }
    let config = settings.load()?;
    log_to_stderr("info")?;
    check_key(&config)?;
    let app = App::open(config, Clock::system(), Random::system()?, Migration::Apply)?;
    line(&format!("{} has this program's schema", app.store.place()));
    if let Some(spread) = spread {
        let tables = app.store.spread(spread)?;
        line(&format!("{tables} tables were spread"));
    }
    Ok(Outcome::Done)
}

fn print(spread: Spread) {
    for step in spread.steps() {
        line(&format!("-- {}", step.table));
        for statement in &step.statements {
            line(&format!("{statement};"));
        }
    }
}
