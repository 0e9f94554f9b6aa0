//! The `bestow` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bestow::cli::run()
}
