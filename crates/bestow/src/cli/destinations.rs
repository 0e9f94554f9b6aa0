//! `bestow destinations`: the operator's systems that hear of grants.

use clap::{Args, Subcommand};

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, table};
use super::secret;
use crate::actor::Actor;
use crate::app::App;
use crate::service::destinations::{self, DestinationPatch, NewDestination};
use crate::tenant::Tenant;

/// Destinations listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Destinations.
#[derive(Debug, Subcommand)]
pub(super) enum Destinations {
    /// Lists destinations with how they fare.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Shows one destination.
    Show(Named),
    /// Makes a destination and shows the secret that deliveries are signed with, this once.
    Add(Add),
    /// What is to be told waits until it is resumed.
    Pause(Named),
    /// Lets a paused destination go on, and one that rests at once.
    Resume(Named),
    /// Makes another secret and shows it; deliveries are signed with it and with the ones before.
    Rotate {
        #[command(flatten)]
        named: Named,
        /// Instead: from now on sign with the newest secret only.
        #[arg(long)]
        drop_old: bool,
    },
    /// Ends a destination: nothing more is delivered to it.
    Remove(Named),
}

/// Which one.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The tenant.
    tenant: String,
    /// The destination.
    destination: String,
}

/// What it is.
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    named: Named,
    /// Where events are delivered to.
    #[arg(long)]
    url: String,
    /// `http` or `jetstream`.
    #[arg(long, default_value = "http")]
    kind: String,
    /// `honoured` or `ignored`: what it does with the keys of deliveries.
    #[arg(long)]
    keys: Option<String>,
    /// Events of one delivery, at most.
    #[arg(long)]
    batch_events_max: Option<u32>,
    /// Deliveries under way at the same time, at most.
    #[arg(long)]
    concurrency: Option<u32>,
    /// Events sent in a second, at most.
    #[arg(long)]
    events_per_second: Option<u32>,
    /// Of a `jetstream`: what its subjects begin with.
    #[arg(long)]
    subject_prefix: Option<String>,
    /// Of a `jetstream`: a file with the token that its server asks for, `-` for standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Destinations) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Destinations::List { tenant } => list(&app, app.tenant(&tenant)?.as_ref())?,
        Destinations::Show(named) => {
            let tenant = app.tenant(&named.tenant)?;
            json(&destinations::get(&app, &tenant, &named.destination)?)?;
        }
        Destinations::Add(add) => json(&create(&app, add).await?)?,
        Destinations::Pause(named) => change(&app, &named, paused(true)).await?,
        Destinations::Resume(named) => change(&app, &named, paused(false)).await?,
        Destinations::Rotate { named, drop_old } => {
            let patch = DestinationPatch {
                new_secret: Some(!drop_old),
                drop_old_secrets: Some(drop_old),
                ..DestinationPatch::default()
            };
            change(&app, &named, patch).await?;
        }
        Destinations::Remove(named) => {
            let tenant = app.tenant(&named.tenant)?;
            destinations::end(&app, &Actor::cli(), &tenant, &named.destination).await?;
        }
    }
    Ok(Outcome::Done)
}

fn paused(paused: bool) -> DestinationPatch {
    DestinationPatch {
        paused: Some(paused),
        ..DestinationPatch::default()
    }
}

async fn create(app: &App, add: Add) -> anyhow::Result<destinations::DestinationMade> {
    let tenant = app.tenant(&add.named.tenant)?;
    let new = NewDestination {
        id: add.named.destination,
        kind: add.kind,
        url: add.url,
        keys: add.keys,
        batch_events_max: add.batch_events_max,
        concurrency: add.concurrency,
        events_per_second: add.events_per_second,
        subject_prefix: add.subject_prefix,
        secret: None,
        token: add.token_file.map(|file| secret::read(&file)).transpose()?,
    };
    Ok(destinations::create(app, &Actor::cli(), &tenant, new).await?)
}

async fn change(app: &App, named: &Named, patch: DestinationPatch) -> anyhow::Result<()> {
    let tenant = app.tenant(&named.tenant)?;
    let (actor, id) = (Actor::cli(), &named.destination);
    json(&destinations::update(app, &actor, &tenant, id, patch).await?)
}

fn list(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = destinations::list(app, tenant, "", LISTED_AT_ONCE)?
        .into_iter()
        .map(|view| {
            vec![
                view.id,
                view.kind,
                view.status.to_owned(),
                view.events_behind.to_string(),
                view.waiting.to_string(),
                view.unknown.to_string(),
                view.dead.to_string(),
                view.trouble.unwrap_or_default(),
            ]
        })
        .collect();
    let head = [
        "DESTINATION",
        "KIND",
        "STATUS",
        "BEHIND",
        "WAITING",
        "UNKNOWN",
        "DEAD",
        "TROUBLE",
    ];
    table(&head, &rows);
    Ok(())
}
