//! Taking secrets: from a file, from standard input, from the environment; never from the command
//! line, which others on the machine can read.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};
use clap::Args;

use crate::service::tenants::{AuthForm, SecretText};

/// Bytes of a secret.
const SECRET_BYTES_MAX: u64 = 8_192;

/// A credential for Optimove.
#[derive(Debug, Clone, Args)]
pub(super) struct Credential {
    /// File that holds the API key, `-` for standard input; else `BESTOW_OPTIMOVE_API_KEY` is
    /// taken.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "password_file"])]
    api_key_file: Option<String>,
    /// User name of the older way to log in.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// File that holds its password, `-` for standard input.
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<String>,
}

impl Credential {
    /// The credential that was given, in whichever way; `None` where none was.
    pub(super) fn take(&self) -> anyhow::Result<Option<AuthForm>> {
        if let Some(file) = &self.api_key_file {
            let api_key = Some(SecretText::new(read(file)?));
            return Ok(Some(AuthForm {
                api_key,
                ..AuthForm::default()
            }));
        }
        if let (Some(username), Some(file)) = (&self.username, &self.password_file) {
            let (username, password) = (Some(username.clone()), Some(SecretText::new(read(file)?)));
            return Ok(Some(AuthForm {
                username,
                password,
                api_key: None,
            }));
        }
        let from_environment = std::env::var("BESTOW_OPTIMOVE_API_KEY").ok();
        Ok(from_environment.filter(|key| !key.is_empty()).map(|key| {
            let api_key = Some(SecretText::new(key));
            AuthForm {
                api_key,
                ..AuthForm::default()
            }
        }))
    }
}

/// A secret without the line end that editors and `echo` leave behind it.
pub(super) fn read(file: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin()
            .take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)
            .context("reading standard input")?;
    } else {
        let opened = std::fs::File::open(Path::new(file));
        let opened = opened.with_context(|| format!("the secret's file {file} cannot be read"))?;
        opened
            .take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)
            .with_context(|| format!("the secret's file {file} cannot be read"))?;
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    ensure!(
        !secret.is_empty(),
        "there is no secret in {file}: put it there, in one line"
    );
    Ok(secret.to_owned())
}
