//! `bestow serve`: listener, API and workers, in one process or in several.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use bestow_store::{Migrate, Sharing, Store};
use clap::Args;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::open::{Settings, check_key, log_to_stderr};
use crate::app::App;
use crate::clock::Clock;
use crate::http::Server;
use crate::random::Random;
use crate::roles::{NodeRole, NodeRoles};
use crate::threads;
use crate::work::Workers;
use crate::work::run::release_of_the_gone;

/// What `bestow serve` takes beside the settings.
#[derive(Debug, Clone, Args)]
pub(super) struct Serve {
    /// What this process does: listener, api, worker, with commas between them. All of it unless said otherwise.
    #[arg(long)]
    roles: Option<NodeRoles>,
    /// Let `PUT /v1/clock` move the clock. For tests only.
    #[arg(long)]
    test_clock: bool,
}

/// Serves until told to stop, on threads of its own. The first signal lets running requests and pages end, the second
/// ends at once.
pub(super) fn run(settings: &Settings, serve: &Serve) -> anyhow::Result<Outcome> {
    let (answering, working) = (threads::answering()?, threads::working()?);
    let served = working.block_on(until_told(settings, serve, answering.handle()));
    answering.shutdown_background();
    working.shutdown_background();
    served
}

async fn until_told(
    settings: &Settings,
    serve: &Serve,
    answering: &Handle,
) -> anyhow::Result<Outcome> {
    let mut config = settings.load()?;
    if let Some(roles) = &serve.roles {
        config.roles = roles.clone();
    }
    log_to_stderr(&config.log)?;
    let mut signals = Signals::listen()?;
    let clock = if serve.test_clock {
        Clock::adjustable()
    } else {
        Clock::system()
    };
    let listen = config.listen;
    // Before anything is looked at or migrated: another service may be using it.
    std::fs::create_dir_all(&config.data_dir).with_context(|| {
        let dir = config.data_dir.display();
        format!("the data directory {dir} cannot be made")
    })?;
    let lock = Store::claim(&config.database_url(), Sharing::Beside)?;
    check_key(&config)?;
    // Opening sets what durability needs and reads it back; a setting that did not take refuses to
    // start.
    let app = App::open(config, clock, Random::system()?, Migrate::Apply)?;
    app.store.hold(&lock);
    let released = release_leases(&app).await?;
    let server = answering
        .spawn(Server::bind(Arc::clone(&app), listen))
        .await??;
    announce(&format!("listening on http://{}", server.address()))?;
    tracing::info!(
        http.address = %server.address(),
        public.url = app.public_url.get(),
        database.path = app.store.place(),
        jobs.released = released,
        clock.test = serve.test_clock,
        "started"
    );
    let stop = CancellationToken::new();
    let works = app.config.roles.has(NodeRole::Worker);
    let workers = works.then(|| Workers::start(&app));
    let watching = answering.spawn(Arc::clone(&app).watch_changes(stop.clone()));
    let serving = answering.spawn(server.run(stop.clone()));
    signals.next().await;
    tracing::info!("stopping: running requests and pages may end");
    stop.cancel();
    let drained = async {
        if let Some(workers) = workers {
            workers.stop().await;
        }
        serving.await.context("the server")?;
        watching.await.context("watching for changes")
    };
    tokio::select! {
        ended = drained => ended?,
        () = signals.next() => tracing::warn!("stopped at once"),
    }
    Ok(Outcome::Done)
}

/// Nobody else serves from a file, so whoever held a job of it before is gone. Of a server the database knows who is.
async fn release_leases(app: &App) -> anyhow::Result<usize> {
    if app.store.node()?.is_some() {
        return Ok(release_of_the_gone(app).await?);
    }
    let released = app.tx("release_all_leases", |tx| tx.release_all_leases());
    Ok(released.await?)
}

/// The one line on standard output that says where it listens; scripts wait for it.
fn announce(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("standard output")
}

/// SIGTERM and SIGINT alike.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
