use std::fmt;

use serde::Serialize;

use super::Purpose;
use crate::trust::VersionState;

/// What is known of a key version, without any of its material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's id: a UUID, or hex of the SHA-256 of the public key where
    /// the key has no other identity.
    pub id: String,
    /// `kms://…`, or the file's path.
    pub path: String,
    /// The version, from 1; `None` where the provider has none.
    pub version: Option<u32>,
    /// What the key is for; `None` for a key file, which does not say.
    pub purpose: Option<Purpose>,
    /// Whether the key may be used at all.
    pub state: KeyState,
    /// What this version may do.
    pub version_state: VersionState,
    /// The provider that holds the material.
    pub provider: &'static str,
}

impl fmt::Display for KeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match self.version {
            Some(version) => write!(f, "?version={version}"),
            None => Ok(()),
        }
    }
}

/// Whether a key may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// As its versions allow.
    Enabled,
    /// Not at all, until it is enabled again; not even to verify.
    Disabled,
}

impl KeyState {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// The state of that name, or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled]
            .into_iter()
            .find(|s| s.as_str() == name)
    }
}
