//! The `bestow` command.

use std::process::ExitCode;

/// Threads allocate side by side here, at every request and every row; the system's allocator makes them wait.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bestow::cli::run()
}
