use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::passphrase::Passphrases;
use super::signing::SigningKey;
use super::{Context, Output, block_on};
use crate::config::{Config, SecretSource};
use crate::ops::keyring::{Keyring, Locked};
use crate::ops::{Exit, Failure};

/// `obreia keystore`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy the keystore, sealed as it is, while it may be in use
    #[command(
        after_help = "Example:\n  obreia keystore backup /backup/keystore-2026-11-21.db\n\n\
The copy opens with the passphrase of the day it was made. Copy state/audit, audit.key and\n\
audit.head beside it."
    )]
    Backup {
        /// Where the copy goes
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Put a copy in the keystore's place, after verifying all of it
    #[command(
        after_help = "Examples:\n  obreia keystore restore /backup/keystore-2026-11-21.db\n  \
obreia keystore restore good.db --force\n\n\
What stood there before is kept beside it under another name."
    )]
    Restore {
        /// The copy
        file: PathBuf,
        /// Put it in the place of a keystore that is there
        #[arg(long)]
        force: bool,
        /// File that holds the copy's passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Change the passphrase
    #[command(after_help = "Examples:\n  obreia keystore passwd\n  \
obreia keystore passwd --passphrase-file old --new-passphrase-file new\n\n\
Copies made before still open with the old passphrase.")]
    Passwd {
        /// File that holds the present passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// File that holds the new passphrase (else OBREIA_NEW_PASSPHRASE, or a prompt)
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
}

impl Arguments {
    /// Does what the subcommand says.
    ///
    /// # Errors
    /// Where it was not done.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let config = context.config()?;
        let keyring = context.keyring_of(&config);
        let caller = SigningKey::caller();
        match self.command {
            Command::Backup { file, force } => {
                block_on(keyring.backup(&file, force, &caller))??;
                if output.is_json() {
                    output.json(&json!({"schema": "obreia.backup/v1", "file": file}))?;
                }
                output.info(&format!("copied to {}", file.display()))?;
            }
            Command::Restore {
                file,
                force,
                passphrase_file,
            } => {
                let passphrases = Passphrases::new(passphrase_file, &config, context);
                let restored = block_on(keyring.restore(&file, force, &passphrases, &caller))??;
                if output.is_json() {
                    output.json(&json!({
                        "schema": "obreia.restore/v1",
                        "file": file,
                        "keys": restored.keys,
                        "generation": restored.generation,
                        "kept": restored.kept,
                    }))?;
                }
                output.info(&format!("verified and restored {} keys", restored.keys))?;
                if let Some(kept) = restored.kept {
                    output.info(&format!("what stood there is now {}", kept.display()))?;
                }
            }
            Command::Passwd {
                passphrase_file,
                new_passphrase_file,
            } => {
                let old = Passphrases::new(passphrase_file, &config, context);
                passwd(&keyring, &old, new_passphrase_file, context)?;
                if output.is_json() {
                    output.json(&json!({"schema": "obreia.passwd/v1", "changed": true}))?;
                }
                output
                    .info("passphrase changed; copies made before still open with the old one")?;
            }
        }
        Ok(Exit::Done)
    }
}

fn passwd(
    keyring: &Keyring,
    old: &Passphrases,
    new: Option<PathBuf>,
    context: &Context,
) -> Result<(), Failure> {
    let variable = "OBREIA_NEW_PASSPHRASE";
    let mut source = Config::default();
    source.keystore.passphrase = context
        .environment
        .get(variable)
        .map(|_| SecretSource::Env(variable.to_owned()));
    let place = match &keyring.settings().state {
        Some(state) => state.display().to_string(),
        None => String::new(),
    };
    let new = Passphrases::for_new(new, &source, context).chosen(&Locked::Keystore(place))?;
    Ok(block_on(keyring.change_passphrase(
        old,
        &new,
        &SigningKey::caller(),
    ))??)
}
