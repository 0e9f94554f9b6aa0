//! `cargo xtask`: the one test command and the project's other chores.
//!
//! Reader's order: [`gate`] is `cargo xtask test`, [`chores`] the other commands; both start
//! children through [`cargo`] and read their summaries with [`totals`]. The project's own rules
//! are in [`rules`] and [`tidy`], which look at the files that [`repository`] found, Rust ones
//! through [`source`].

mod api;
mod cargo;
mod chores;
mod disk;
mod fuzz;
mod gate;
mod ha;
mod patroni;
mod postgres;
mod repository;
mod rules;
mod source;
mod tidy;
mod totals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::api::Effort;
use crate::chores::Seeds;

/// The project's chores. `test` is all that must pass before a change lands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every check and every test; ends with one line `N passed, M failed`.
    Test,
    /// Plays simulated histories, one per seed.
    Sim {
        /// Half-open range of seeds, for example `0..1000`.
        #[arg(long, value_name = "A..B")]
        seeds: Seeds,
    },
    /// Lets three processes on one database suffer rounds of pauses, kills and cut connections.
    Nodes {
        /// How many rounds.
        #[arg(long, default_value_t = 1_000)]
        rounds: u32,
        /// Measure instead what two of them do beside what one does, each on a processor of its own.
        #[arg(long, conflicts_with = "rounds")]
        bench: bool,
    },
    /// Starts a private PostgreSQL, prints its address and keeps it until the input ends.
    Postgres,
    /// Kills the primary of three PostgreSQL nodes, again and again, while the service works on them.
    Ha,
    /// Migrates a PostgreSQL that is being served from, and tells how long anybody waited.
    Migrations {
        /// How many grants there are.
        #[arg(long, default_value_t = 10_000_000)]
        rows: u64,
    },
    /// Asks the service whatever docs/openapi.json allows, and much that it does not.
    FuzzApi {
        /// Requests made up for each operation.
        #[arg(long, default_value_t = 500)]
        examples: u32,
        /// Where they begin.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How long it asks at most, with a token and once more without.
        #[arg(long, default_value_t = 3_600)]
        seconds: u32,
    },
    /// Lets the fuzz targets look for inputs that a parser does not survive.
    Fuzz {
        /// How long each target runs.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Writes docs/openapi.json from the routes of the binary.
    Openapi,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Test => gate::test(),
        Command::Sim { seeds } => chores::sim(&seeds),
        Command::Nodes { bench: true, .. } => chores::nodes_bench(),
        Command::Nodes { rounds, .. } => chores::nodes(rounds),
        Command::Postgres => chores::postgres(),
        Command::Ha => ha::ha(),
        Command::Migrations { rows } => chores::migrations(rows),
        Command::FuzzApi {
            examples,
            seed,
            seconds: seconds_max,
        } => chores::fuzz_api(Effort {
            examples,
            seed,
            seconds_max,
        }),
        Command::Fuzz { seconds } => chores::fuzz(seconds),
        Command::Openapi => chores::openapi(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
