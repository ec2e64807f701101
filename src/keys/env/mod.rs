//! `env://NAME`: a key in an environment variable, as cosign has it: PEM, or
//! cosign's encrypted private key, whose password is in `COSIGN_PASSWORD`.

#[cfg(feature = "sign")]
mod provider;

#[cfg(test)]
#[cfg(feature = "sign")]
mod tests;

use super::{BoxFuture, KeyFault, KeyReader, file};
use crate::environment::Environment;
use crate::limits;
use crate::reference::KeyRef;
use crate::secret::Secret;
use crate::trust::TrustedKey;

const PROVIDER: &str = "env";

/// Keys in environment variables, each named by its variable.
pub(super) struct EnvKeys {
    environment: Environment,
}

impl EnvKeys {
    pub(super) fn new(environment: &Environment) -> Self {
        Self {
            environment: environment.clone(),
        }
    }

    /// The variable's text, and what the key is called.
    fn text(&self, key: &KeyRef) -> Result<(String, Secret), KeyFault> {
        let shown = key.to_string();
        let name = variable(key)?;
        let text = self
            .environment
            .get(name)
            .ok_or_else(|| KeyFault::NotConfigured {
                provider: PROVIDER,
                why: format!("environment variable {name} is not set, or to nothing"),
            })?;
        if text.len() as u64 > limits::KEY_FILE {
            return Err(KeyFault::BadFile {
                path: shown,
                why: format!("it is larger than {} bytes", limits::KEY_FILE),
            });
        }
        Ok((shown, Secret::from(text)))
    }
}

/// The name in `env://NAME` (POSIX, section 8.1: letters, digits and `_`).
fn variable(key: &KeyRef) -> Result<&str, KeyFault> {
    let uri = match key {
        KeyRef::Provider { scheme, uri } if scheme == "env" => uri,
        _ => return Err(KeyFault::NoProvider(key.to_string())),
    };
    let name = uri.split_once("://").map_or("", |(_, name)| name);
    let whole = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if name.is_empty() || !whole || name.as_bytes()[0].is_ascii_digit() {
        return Err(KeyFault::BadUri {
            uri: key.to_string(),
            why: "write it env://NAME, with the name of an environment variable".to_owned(),
        });
    }
    Ok(name)
}

impl KeyReader for EnvKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == "env")
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move {
            let (shown, pem) = self.text(key)?;
            Ok(vec![file::public_of(&shown, &pem)?])
        })
    }
}
