use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::passphrase::Passphrases;
use super::signing::SigningKey;
use super::{Context, Output, block_on};
use crate::config::Config;
use crate::ops::keyring::Locked;
use crate::ops::{Exit, Failure, init};

/// `obreia init DIR`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia init .\n  \
obreia init /srv/signing --passphrase-file /run/secrets/passphrase\n\n\
The passphrase comes from --passphrase-file, OBREIA_PASSPHRASE, or a prompt; never from the\n\
command line. Without it the keys are lost: keep it where the keystore is not.")]
pub struct Arguments {
    /// Folder that receives obreia.toml, state/ and policies/; made if it is not there
    dir: PathBuf,
    /// File that holds the new keystore's passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Arguments {
    /// Makes it.
    ///
    /// # Errors
    /// Where something is in the way, or no passphrase was given.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        // No configuration is read: this makes one.
        let passphrases = Passphrases::new(self.passphrase_file, &Config::default(), context);
        let made = block_on(init::init(
            &self.dir,
            |state| passphrases.chosen(&Locked::Keystore(state.display().to_string())),
            &SigningKey::caller(),
        ))??;
        if output.is_json() {
            output.json(&json!({"schema": "obreia.init/v1", "made": made}))?;
        }
        let state = made.state.display();
        output.info(&match &made.policy {
            Some(policy) => format!(
                "made {}, {state} and {}",
                made.config.display(),
                policy.display()
            ),
            None => format!("made {state}, as {} has it", made.config.display()),
        })?;
        output.info("next: obreia key create kms://model-sign/dev --alias model-sign")?;
        Ok(Exit::Done)
    }
}
