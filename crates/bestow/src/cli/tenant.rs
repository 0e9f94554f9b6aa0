//! `bestow tenant`: Optimove clients and their credentials.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, note, numbers, read_text, table};
use super::secret::Credential;
use crate::actor::Actor;
use crate::app::App;
use crate::service::listeners::{self, Rotation};
use crate::service::tenants::{
    self, ExpiryRule, NewTenant, OptimoveAccess, OptimovePatch, Suspension, TenantPatch,
    TenantView, UnconfirmedRule,
};
use crate::tenant::CatalogueSync;

/// Tenants listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Optimove clients.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Tenant {
    /// Adds a client.
    Add(Box<Add>),
    /// Lists clients.
    List,
    /// Shows one client, without its credential.
    Show {
        /// The tenant.
        tenant: String,
    },
    /// Changes what a JSON object names, the one that `PATCH /v1/tenants/{tenant}` takes: bounds of campaigns (`guards`), codes
    /// that a customer may use at once, the schema of rewards, and all the rest. What it does not name stays.
    Change {
        /// The tenant.
        tenant: String,
        /// The file with the object, `-` for standard input.
        file: PathBuf,
    },
    /// Replaces the credential, the listeners' addresses, or both.
    Rotate(Rotate),
    /// Lets work rest; nothing is redeemable, notifications are kept.
    Suspend {
        /// The tenant.
        tenant: String,
    },
    /// Lets work go on.
    Resume {
        /// The tenant.
        tenant: String,
    },
}

/// A client to be added.
#[derive(Debug, Clone, Args)]
pub(super) struct Add {
    /// Short name in addresses and log lines; it never changes.
    tenant: String,
    /// Name for people; the short one unless given.
    #[arg(long)]
    name: Option<String>,
    /// IANA name of the zone that Optimove's schedule times are meant in, such as Europe/Vienna.
    #[arg(long, value_name = "ZONE")]
    time_zone: String,
    /// The client's Optimove environment.
    #[arg(long, value_name = "URL")]
    base_url: String,
    #[command(flatten)]
    credential: Credential,
    /// Execution channels whose scheduled campaigns are imported, with commas.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    scheduled_channels: Vec<i64>,
    /// Real-time channels, with commas.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    triggered_channels: Vec<i64>,
    /// Conditional campaigns are used.
    #[arg(long)]
    conditional: bool,
    /// What ends a grant.
    #[arg(long, value_enum, default_value_t = Expiry::Duration)]
    expiry: Expiry,
    /// What is done with a cancelled campaign where Optimove cannot tell.
    #[arg(long, value_enum, default_value_t = Unconfirmed::Revoke)]
    cancel_unconfirmed: Unconfirmed,
    /// Days a promotion lasts where its campaign tells no usable duration.
    #[arg(long, value_name = "DAYS")]
    duration_days_default: Option<u16>,
    /// Days that ended grants stay in the ledger before they leave for an archive; for ever without it.
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u16>,
}

/// What ends a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Expiry {
    Duration,
    EndedByDate,
    Both,
}

/// What is done with a cancelled campaign where Optimove cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Unconfirmed {
    Revoke,
    Suspend,
}

/// What is to be replaced.
#[derive(Debug, Clone, Args)]
pub(super) struct Rotate {
    /// The tenant.
    tenant: String,
    #[command(flatten)]
    credential: Credential,
    /// New secret addresses, registered at Optimove; the old ones are accepted for
    /// another week.
    #[arg(long)]
    listeners: bool,
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Tenant) -> anyhow::Result<Outcome> {
    let actor = Actor::cli();
    match command {
        Tenant::Add(add) => {
            let new = add.read()?;
            let app = settings.open(Database::OrNew)?;
            json(&tenants::create(&app, &actor, new).await?)?;
        }
        Tenant::List => list(settings.open(Database::Existing)?.as_ref())?,
        Tenant::Show { tenant } => {
            json(&tenants::get(
                settings.open(Database::Existing)?.as_ref(),
                &tenant,
            )?)?;
        }
        Tenant::Change { tenant, file } => {
            let patch: TenantPatch = serde_json::from_str(&read_text(&file)?)
                .with_context(|| format!("{} holds no change of a tenant", file.display()))?;
            let app = settings.open(Database::Existing)?;
            json(&tenants::update(&app, &actor, &tenant, patch).await?)?;
        }
        Tenant::Rotate(rotate) => run_rotate(settings, &rotate).await?,
        Tenant::Suspend { tenant } => {
            let app = settings.open(Database::Existing)?;
            json(&tenants::set_suspended(&app, &actor, &tenant, Suspension::Suspend).await?)?;
        }
        Tenant::Resume { tenant } => {
            let app = settings.open(Database::Existing)?;
            json(&tenants::set_suspended(&app, &actor, &tenant, Suspension::Resume).await?)?;
        }
    }
    Ok(Outcome::Done)
}

impl Add {
    fn read(self) -> anyhow::Result<NewTenant> {
        let Some(auth) = self.credential.take()? else {
            bail!(
                "a credential is needed: give --api-key-file, or --username and --password-file, \
                 or set BESTOW_OPTIMOVE_API_KEY"
            );
        };
        Ok(NewTenant {
            name: self.name.unwrap_or_else(|| self.tenant.clone()),
            id: self.tenant,
            time_zone: self.time_zone,
            optimove: OptimoveAccess {
                base_url: self.base_url,
                auth,
            },
            scheduled_channels: self.scheduled_channels,
            triggered_channels: self.triggered_channels,
            conditional: self.conditional,
            expiry: match self.expiry {
                Expiry::Duration => ExpiryRule::Duration,
                Expiry::EndedByDate => ExpiryRule::EndedByDate,
                Expiry::Both => ExpiryRule::Both,
            },
            cancel_unconfirmed: match self.cancel_unconfirmed {
                Unconfirmed::Revoke => UnconfirmedRule::Revoke,
                Unconfirmed::Suspend => UnconfirmedRule::Suspend,
            },
            duration_days_default: self.duration_days_default,
            codes_per_row_max: None,
            page_rows: None,
            catalogue_sync: CatalogueSync::default(),
            triggered: crate::tenant::Triggered::default(),
            gateway: crate::tenant::Gateway::default(),
            approval: None,
            retention_days: self.retention_days,
            guards: crate::tenant::Guards::default(),
            reward_schema: None,
            codes_at_once_max: None,
        })
    }
}

async fn run_rotate(settings: &Settings, rotate: &Rotate) -> anyhow::Result<()> {
    let auth = rotate.credential.take()?;
    if auth.is_none() && !rotate.listeners {
        bail!("nothing to replace: give a credential with --api-key-file, or --listeners");
    }
    let app = settings.open(Database::Existing)?;
    let actor = Actor::cli();
    if let Some(auth) = auth {
        let optimove = Some(OptimovePatch {
            base_url: None,
            auth: Some(auth),
        });
        let patch = TenantPatch {
            optimove,
            ..TenantPatch::default()
        };
        tenants::update(&app, &actor, &rotate.tenant, patch).await?;
        note("the credential is replaced");
    }
    if rotate.listeners {
        let tenant = app.tenant(&rotate.tenant)?;
        let report = listeners::rotate(&app, &actor, &tenant, &Rotation::default()).await?;
        note(&format!(
            "{} listeners have a new address",
            report.registered.len()
        ));
    }
    json(&tenants::get(&app, &rotate.tenant)?)
}

fn list(app: &App) -> anyhow::Result<()> {
    let mut views: Vec<TenantView> = Vec::new();
    loop {
        let after = views.last().map_or("", |last| &last.id);
        let some = tenants::list(app, after, LISTED_AT_ONCE)?;
        if some.is_empty() {
            break;
        }
        views.extend(some);
    }
    if views.is_empty() {
        note("there is no tenant yet: `bestow tenant add` makes one");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = views.into_iter().map(row).collect();
    table(
        &["TENANT", "STATUS", "ZONE", "CHANNELS", "OPTIMOVE", "NAME"],
        &rows,
    );
    Ok(())
}

fn row(view: TenantView) -> Vec<String> {
    let mut channels = view.scheduled_channels;
    channels.extend(view.triggered_channels);
    vec![
        view.id,
        view.status,
        view.time_zone,
        numbers(&channels),
        view.optimove.base_url,
        view.name,
    ]
}
