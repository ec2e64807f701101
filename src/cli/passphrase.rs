//! Where passphrases come from: a file, the environment, a person at a terminal.

use std::io::IsTerminal;
use std::path::PathBuf;

use super::Context;
use crate::config::{Config, Environment, SecretSource};
use crate::ops::Failure;
use crate::ops::keyring::{Locked, Unlock, UnlockError};
use crate::secret::Secret;

/// Passphrases for keystores and key files.
///
/// The first source that was given holds: `--passphrase-file`, then
/// `OBREIA_PASSPHRASE` (for a key file `COSIGN_PASSWORD`, for a token
/// `PKCS11_PIN` or `COSIGN_PKCS11_PIN`), then the configuration, then a prompt
/// on a terminal.
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

    /// For a passphrase that replaces the one in `OBREIA_PASSPHRASE`, which is
    /// therefore not looked at.
    pub(super) fn for_new(file: Option<PathBuf>, config: &Config, context: &Context) -> Self {
        Self {
            environment: context.environment.without("OBREIA_PASSPHRASE"),
            ..Self::new(file, config, context)
        }
    }

    /// A passphrase to be set: from the same sources, but typed twice.
    pub(super) fn chosen(&self, what: &Locked) -> Result<Secret, Failure> {
        let secret = match self.given(what)? {
            Some(secret) => secret,
            None => {
                let first = prompt(what, "New passphrase")?;
                let again = prompt(what, "The same again")?;
                if first.expose() != again.expose() {
                    return Err(UnlockError::Mismatch.into());
                }
                first
            }
        };
        if secret.is_empty() {
            return Err(UnlockError::Empty.into());
        }
        Ok(secret)
    }

    /// The passphrase where nobody needs to be asked.
    pub(super) fn given(&self, what: &Locked) -> Result<Option<Secret>, UnlockError> {
        if let Some(file) = &self.file {
            return self.fetch(&SecretSource::File(file.clone())).map(Some);
        }
        match what {
            Locked::Keystore(_) => {
                if let Some(value) = self.environment.get("OBREIA_PASSPHRASE") {
                    return Ok(Some(Secret::from(value)));
                }
                match &self.configured {
                    Some(source) => self.fetch(source).map(Some),
                    None => Ok(None),
                }
            }
            // Set to nothing is a password too: cosign makes such keys.
            Locked::KeyFile(_) => Ok(self
                .environment
                .get_even_empty("COSIGN_PASSWORD")
                .or_else(|| self.environment.get("OBREIA_PASSPHRASE"))
                .map(Secret::from)),
            Locked::Token { configured, .. } => {
                let set = ["PKCS11_PIN", "COSIGN_PKCS11_PIN"]
                    .into_iter()
                    .find_map(|name| self.environment.get(name));
                match (set, configured) {
                    (Some(pin), _) => Ok(Some(Secret::from(pin))),
                    (None, Some(source)) => self.fetch(source).map(Some),
                    (None, None) => Ok(None),
                }
            }
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
        match self.given(what)? {
            Some(secret) => Ok(secret),
            None => match what {
                Locked::Token { .. } => prompt(what, "PIN"),
                Locked::Keystore(_) | Locked::KeyFile(_) => prompt(what, "Passphrase"),
            },
        }
    }
}

fn prompt(what: &Locked, asking: &str) -> Result<Secret, UnlockError> {
    if !std::io::stdin().is_terminal() {
        return Err(UnlockError::NotGiven);
    }
    let place = match what {
        Locked::Keystore(place) => format!("keystore {place}"),
        Locked::KeyFile(place) => format!("key file {place}"),
        Locked::Token { token, .. } => format!("token {token}"),
    };
    let typed = rpassword::prompt_password(format!("{asking} of {place}: ")).map_err(|e| {
        UnlockError::Unreadable {
            from: "the terminal".to_owned(),
            cause: e.to_string(),
        }
    })?;
    let secret = Secret::from(typed);
    if secret.is_empty() && matches!(what, Locked::Keystore(_)) {
        return Err(UnlockError::Empty);
    }
    Ok(secret)
}
