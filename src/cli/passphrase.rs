//! Where passphrases come from: a file, the environment, a person at a terminal.

use std::io::IsTerminal;
use std::path::PathBuf;

use super::Context;
use crate::config::{Config, Environment, SecretSource};
use crate::keys::{Locked, Unlock, UnlockError};
use crate::secret::Secret;

/// Passphrases for keystores and key files.
///
/// The first source that was given holds: `--passphrase-file`, then
/// `OBREIA_PASSPHRASE` (for a key file `COSIGN_PASSWORD`), then the
/// configuration, then a prompt on a terminal.
#[derive(Debug)]
pub(super) struct Passphrases {
    file: Option<PathBuf>,
    configured: Option<SecretSource>,
    environment: Environment,
}

impl Passphrases {
    pub(super) fn new(file: Option<PathBuf>, config: &Config, context: &Context) -> Self {
        Self {
            file,
            configured: config.keystore.passphrase.clone(),
            environment: context.environment.clone(),
        }
    }

    fn fetch(&self, source: &SecretSource) -> Result<Secret, UnlockError> {
        source
            .fetch(&self.environment)
            .map_err(|e| UnlockError::Unreadable {
                from: match source {
                    SecretSource::File(path) => path.display().to_string(),
                    SecretSource::Env(name) => format!("environment variable {name}"),
                },
                cause: e.to_string(),
            })
    }
}

impl Unlock for Passphrases {
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError> {
        if let Some(file) = &self.file {
            return self.fetch(&SecretSource::File(file.clone()));
        }
        let variables: &[&str] = match what {
            Locked::Keystore(_) => &["OBREIA_PASSPHRASE"],
            Locked::KeyFile(_) => &["COSIGN_PASSWORD", "OBREIA_PASSPHRASE"],
        };
        for name in variables {
            if let Some(value) = self.environment.get(name) {
                return Ok(Secret::from(value));
            }
        }
        if let (Locked::Keystore(_), Some(source)) = (what, &self.configured) {
            return self.fetch(source);
        }
        prompt(what)
    }
}

fn prompt(what: &Locked) -> Result<Secret, UnlockError> {
    if !std::io::stdin().is_terminal() {
        return Err(UnlockError::NotGiven);
    }
    let what = match what {
        Locked::Keystore(place) => format!("keystore {place}"),
        Locked::KeyFile(place) => format!("key file {place}"),
    };
    let typed = rpassword::prompt_password(format!("Passphrase of {what}: ")).map_err(|e| {
        UnlockError::Unreadable {
            from: "the terminal".to_owned(),
            cause: e.to_string(),
        }
    })?;
    let secret = Secret::from(typed);
    if secret.is_empty() {
        return Err(UnlockError::Empty);
    }
    Ok(secret)
}
