//! What keys are to be had from where. The tree of this module mirrors
//! `[keys]` in the configuration and the folders of the providers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;

/// What a keyring is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder that `obreia init` made: `keystore.db` and the audit
    /// log lie in it. Without one there are key files and other providers'
    /// keys alone, and what they sign is not recorded.
    pub state: Option<PathBuf>,
    /// How long a provider may take for one signature.
    pub deadline: Duration,
    /// No network connection may be opened.
    pub offline: bool,
    /// The process's environment: where providers' own tools look for
    /// addresses and credentials.
    pub environment: Environment,
    /// `[keys]`
    pub keys: Keys,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state: None,
            deadline: Duration::from_secs(30),
            offline: false,
            environment: Environment::default(),
            keys: Keys::default(),
        }
    }
}

/// `[keys]`: the providers, and which names are theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {}

impl Keys {
    /// The same, with relative files taken from `base`.
    #[must_use]
    pub fn from_folder(self, _base: &Path) -> Self {
        self
    }
}
