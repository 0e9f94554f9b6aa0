//! `bestow key`: changing the key that seals credentials and secrets, beside a running service.

use anyhow::ensure;
use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::note;
use crate::actor::Actor;
use crate::service::keys;

/// The key that seals what the database may not hold as it is.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Key {
    /// Adds a new key to the key file. Nothing is sealed with it yet: bring the file to every machine now.
    Prepare,
    /// Seals with the prepared key from now on, and seals anew what there is. Run it again if it was interrupted.
    Rotate,
    /// Forgets the older keys, once nothing is left that they sealed.
    Drop,
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: &Key) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Key::Prepare => {
            app.keys.prepare(&app.random)?;
            note(
                "a key is prepared: bring the key file to every machine, then run `bestow key rotate`",
            );
        }
        Key::Rotate => {
            app.keys.promote()?;
            let done = keys::reseal(&app, &Actor::cli()).await?;
            note(&format!(
                "{} secrets of {} tenants were sealed anew: bring the key file to every machine, then run \
                 `bestow key drop`",
                done.secrets, done.tenants
            ));
        }
        Key::Drop => {
            let left = keys::reseal(&app, &Actor::cli()).await?;
            ensure!(
                left.secrets == 0,
                "{} secrets were still sealed with an older key and are sealed anew: bring the key file to every \
                 machine, then run `bestow key drop` again",
                left.secrets
            );
            app.keys.drop_old()?;
            note("the older keys are forgotten: backups made before need the older key file");
        }
    }
    Ok(Outcome::Done)
}
