//! `bestow sandbox`: the stand-in for Optimove, alone.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use optimove_sandbox::{ClockMode, Config, Sandbox as World};
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;

/// What `bestow sandbox` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Sandbox {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Decides everything that is drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Let the clock be set.
    #[arg(long)]
    test_clock: bool,
    /// The control API then serves whoever sends this as a bearer token, instead of this machine
    /// only.
    #[arg(
        long,
        env = "BESTOW_SANDBOX_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    control_token: Option<String>,
}

/// Plays Optimove until Ctrl-C.
pub(super) async fn run(sandbox: &Sandbox) -> anyhow::Result<Outcome> {
    // Listened for before anybody is told the address: whoever reads it may send the signal at once.
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be received")?;
    let world = World::start(Config {
        listen: sandbox.listen,
        seed: sandbox.seed,
        clock: if sandbox.test_clock {
            ClockMode::Test
        } else {
            ClockMode::System
        },
        control_token: sandbox.control_token.clone(),
    })
    .await?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on {}", world.url())
            .and_then(|()| out.flush())
            .context("standard output")?;
    }
    interrupt.recv().await;
    world.stop().await;
    Ok(Outcome::Done)
}
