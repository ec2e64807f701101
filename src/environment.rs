//! The process's environment, read once, and where secrets come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::limits;
use crate::secret::Secret;

/// The environment as it was when the process started.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the process's environment; variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// The same without one variable.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut rest = self.clone();
        rest.0.remove(name);
        rest
    }

    /// The variables with a name that is `wanted`: what a program that is
    /// started gets to see.
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let seen = self.0.iter().filter(|(name, _)| wanted(name));
        seen.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// A variable that is set, also to nothing.
    pub fn get_even_empty(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|v| !v.is_empty()).cloned()
    }
}

impl std::fmt::Debug for Environment {
    // Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        )
    }
}

/// Where a secret is found. A secret itself never stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// In a file; one line end at its end is not part of it.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

impl SecretSource {
    /// The same, with a relative file taken from `base`.
    #[must_use]
    pub fn placed_in(self, base: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(base.join(path)),
            Self::Env(_) => self,
        }
    }

    /// Fetches the secret.
    ///
    /// # Errors
    /// Where the file cannot be read or the variable is not set; the message never holds the secret.
    pub fn fetch(&self, environment: &Environment) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => {
                let mut bytes = durable::read(path, limits::PASSPHRASE)
                    .map_err(|e| SecretError::Unreadable(e.to_string()))?;
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                }
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
                Ok(Secret::new(bytes))
            }
            Self::Env(name) => environment
                .get(name)
                .map(Secret::from)
                .ok_or_else(|| SecretError::NoVariable(name.clone())),
        }
    }
}

/// Why a secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A file could not be read.
    #[error("cannot read the file: {0}")]
    Unreadable(String),
    /// A variable is not set.
    #[error("environment variable {0} is not set")]
    NoVariable(String),
}
