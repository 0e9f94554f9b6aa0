//! The command line: one file per command, each of them thin.
//!
//! Commands work on the database itself, also beside a running `bestow serve`, which notices within a second. Exit
//! codes: 0 done, 1 failed, 2 bad usage. An error is one sentence on standard error that says what to do next.

mod archives;
mod audit;
pub mod bench;
pub mod call;
mod campaign;
mod codes;
mod deliveries;
pub mod demo;
mod destinations;
mod doctor;
mod eligibility;
mod exclusions;
mod findings;
mod held;
mod house;
mod key;
mod listeners;
mod migrate;
mod open;
mod output;
mod promotions;
mod redemptions;
mod sandbox;
mod secret;
mod serve;
mod tenant;
mod token;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use bestow_store::correlation;
use clap::{Parser, Subcommand};

use crate::cli::open::Settings;
use crate::cli::output::{line, tell_error};
use crate::memory;
use crate::random::Random;

/// A promotion system for Optimove campaigns.
#[derive(Debug, Parser)]
#[command(name = "bestow", version, about, disable_help_subcommand = true)]
struct Cli {
    /// The settings file; `bestow.toml` in the working folder unless given.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Listener, API and workers in one process.
    Serve(serve::Serve),
    /// A stand-in for Optimove, alone.
    Sandbox(sandbox::Sandbox),
    /// The whole story on this machine, checked grant by grant.
    Demo(demo::Demo),
    /// Optimove clients and their credentials.
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// API tokens with roles.
    #[command(subcommand)]
    Token(token::Token),
    /// The key that seals what the database may not hold as it is.
    #[command(subcommand)]
    Key(key::Key),
    /// Wanted against registered listeners.
    #[command(subcommand)]
    Listeners(listeners::Listeners),
    /// The catalogue, and its sync with Optimove.
    #[command(subcommand)]
    Promotions(promotions::Promotions),
    /// Pools of unique codes.
    #[command(subcommand)]
    Codes(codes::Codes),
    /// What happened to a campaign, with counts that add up.
    #[command(subcommand)]
    Campaign(campaign::Campaign),
    /// What waits for a person, and running it again.
    #[command(subcommand)]
    Held(held::Held),
    /// Differences between Bestow and Optimove.
    #[command(subcommand)]
    Findings(findings::Findings),
    /// Whether a customer may use a code now.
    Eligibility(eligibility::Eligibility),
    /// Customers who may get nothing now.
    #[command(subcommand)]
    Exclusions(exclusions::Exclusions),
    /// What was redeemed.
    #[command(subcommand)]
    Redemptions(redemptions::Redemptions),
    /// The operator's systems that hear of grants.
    #[command(subcommand)]
    Destinations(destinations::Destinations),
    /// Batches of events on their way to destinations.
    #[command(subcommand)]
    Deliveries(deliveries::Deliveries),
    /// Grants that have left the ledger for files.
    #[command(subcommand)]
    Archives(archives::Archives),
    /// Tells why a customer may use a code, or may not: what happened, line by line.
    Why(why::Why),
    /// Checks what a deployment needs; one line per finding with its fix.
    Doctor,
    /// Derives every invariant again from the database; one line per violation.
    Verify(verify::Verify),
    /// The audit records, and signed checkpoints of them.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Brings the database to this program's schema, and spreads it over shards.
    Migrate(migrate::Migrate),
    /// Copies the database into an empty one, of SQLite or PostgreSQL.
    Move(house::Move),
    /// Makes a backup, beside a running service too.
    Backup(house::Backup),
    /// Brings a backup back into an empty database.
    Restore(house::Restore),
    /// Measures one path beside the raw limit under it.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Prints the API's description.
    #[command(hide = true)]
    Openapi,
}

/// How a command ended, where it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Everything is as it should be.
    Done,
    /// It ran, and what it found or did is not as it should be.
    NotRight,
}

impl From<bool> for Outcome {
    fn from(is_right: bool) -> Self {
        if is_right { Self::Done } else { Self::NotRight }
    }
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    memory::keep_pages_small();
    if let Command::Bench(bench) = &cli.command {
        // Benches make runtimes of their own, one for each side.
        return exit(bench::run(bench).map(|()| Outcome::Done));
    }
    let settings = Settings { file: cli.config };
    if let Command::Serve(command) = &cli.command {
        return exit(serve::run(&settings, command));
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell_error(&anyhow::Error::new(error).context("the runtime cannot be started"));
            return ExitCode::FAILURE;
        }
    };
    let name = match Random::system() {
        Ok(random) => format!("cmd_{:016x}", random.number()),
        Err(error) => {
            tell_error(&anyhow::Error::new(error).context("the system gives no random numbers"));
            return ExitCode::FAILURE;
        }
    };
    let done = correlation::under(name, dispatch(settings, cli.command));
    exit(runtime.block_on(done))
}

fn exit(ended: anyhow::Result<Outcome>) -> ExitCode {
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::NotRight) => ExitCode::FAILURE,
        Err(error) => {
            tell_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(settings: Settings, command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Serve(command) => serve::run(&settings, &command),
        Command::Sandbox(command) => sandbox::run(&command).await,
        Command::Demo(command) => demo::run(&command).await.map(Outcome::from),
        Command::Tenant(command) => tenant::run(&settings, command).await,
        Command::Token(command) => token::run(&settings, command).await,
        Command::Key(command) => key::run(&settings, &command).await,
        Command::Listeners(command) => listeners::run(&settings, &command).await,
        Command::Promotions(command) => promotions::run(&settings, &command).await,
        Command::Codes(command) => codes::run(&settings, &command).await,
        Command::Campaign(command) => campaign::run(&settings, &command).await,
        Command::Held(command) => held::run(&settings, command).await,
        Command::Findings(command) => findings::run(&settings, command).await,
        Command::Eligibility(asked) => eligibility::run(&settings, asked).await,
        Command::Exclusions(command) => exclusions::run(&settings, command).await,
        Command::Redemptions(command) => redemptions::run(&settings, command).await,
        Command::Destinations(command) => destinations::run(&settings, command).await,
        Command::Deliveries(command) => deliveries::run(&settings, &command).await,
        Command::Archives(command) => archives::run(&settings, &command),
        Command::Why(why) => why::run(&settings, &why).await,
        Command::Doctor => doctor::run(&settings).await,
        Command::Verify(verify) => verify::run(&settings, &verify),
        Command::Audit(command) => audit::run(&settings, &command),
        Command::Migrate(command) => migrate::run(&settings, command),
        Command::Move(command) => house::run_move(&settings, &command).await,
        Command::Backup(command) => house::run_backup(&settings, &command),
        Command::Restore(command) => house::run_restore(&settings, &command),
        Command::Bench(command) => bench::run(&command).map(|()| Outcome::Done),
        Command::Openapi => {
            line(crate::http::openapi::document().trim_end());
            Ok(Outcome::Done)
        }
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
