//! `bestow token`: API tokens with roles.

use clap::{Args, Subcommand, ValueEnum};

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{line, note, table};
use crate::actor::Actor;
use crate::service::tokens::{self, DAYS_DEFAULT, NewToken};

/// API tokens.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Token {
    /// Makes a token and prints it; it is not kept and cannot be shown again.
    Create(Create),
    /// Lists tokens, without their secrets.
    List,
    /// Refuses a token from now on.
    Revoke {
        /// The token's id, as `bestow token list` shows it.
        id: String,
    },
}

/// A token to be made.
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// What it is for.
    #[arg(long)]
    name: String,
    /// What it may do.
    #[arg(long, value_enum)]
    role: Role,
    /// The one tenant it may see; all of them unless given.
    #[arg(long)]
    tenant: Option<String>,
    /// Days until it expires, 365 at most.
    #[arg(long, default_value_t = DAYS_DEFAULT)]
    days: u32,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Viewer,
    Operator,
    Approver,
    Admin,
    Auditor,
}

impl From<Role> for crate::actor::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Approver => Self::Approver,
            Role::Admin => Self::Admin,
            Role::Auditor => Self::Auditor,
        }
    }
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Token) -> anyhow::Result<Outcome> {
    let app = match &command {
        Token::Create(_) => settings.open(Database::OrNew)?,
        Token::List | Token::Revoke { .. } => settings.open(Database::Existing)?,
    };
    match command {
        Token::Create(Create {
            name,
            role,
            tenant,
            days,
        }) => {
            let role = crate::actor::Role::from(role).as_str().to_owned();
            let new = NewToken {
                name,
                role,
                tenant,
                days: Some(days),
            };
            let made = tokens::create(&app, &Actor::cli(), new).await?;
            line(&made.token);
            note(&format!(
                "token {} is valid until {}; it is not shown again",
                made.id, made.expires_at
            ));
        }
        Token::List => {
            let row = |view: tokens::TokenView| {
                let tenant = view.tenant.unwrap_or_else(|| "(all)".to_owned());
                vec![
                    view.id,
                    view.status,
                    view.role,
                    tenant,
                    view.expires_at.to_string(),
                    view.name,
                ]
            };
            let rows: Vec<Vec<String>> = tokens::list(&app)?.into_iter().map(row).collect();
            table(
                &["TOKEN", "STATUS", "ROLE", "TENANT", "EXPIRES", "NAME"],
                &rows,
            );
        }
        Token::Revoke { id } => {
            tokens::revoke(&app, &Actor::cli(), &id).await?;
            note(&format!("token {id} is refused from now on"));
        }
    }
    Ok(Outcome::Done)
}
