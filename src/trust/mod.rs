//! Whose word counts: keys that a verifier trusts, by the name a policy gives them.

#[cfg(feature = "notation")]
mod certificates;
#[cfg(not(feature = "notation"))]
#[path = "certificates_absent.rs"]
mod certificates;

pub use certificates::{CertificateTrust, Given, pem_of};
use serde::Serialize;

use crate::crypto::{PublicKey, Scheme};

/// What a key version may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// Signs and verifies; exactly one version of a key is active.
    Active,
    /// Replaced, still valid while users move on.
    Grace,
    /// Verifies what it signed before.
    VerifyOnly,
    /// Verifies nothing any more.
    Retired,
}

impl VersionState {
    /// Whether a signature by a version in this state is still believed.
    pub const fn verifies(self) -> bool {
        !matches!(self, Self::Retired)
    }

    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Grace => "grace",
            Self::VerifyOnly => "verify-only",
            Self::Retired => "retired",
        }
    }

    /// The state of that name, or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Grace, Self::VerifyOnly, Self::Retired]
            .into_iter()
            .find(|s| s.as_str() == name)
    }
}

/// One key version that a verifier trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The public key.
    pub public_key: PublicKey,
    /// The one scheme its signatures are checked under.
    pub scheme: Scheme,
    /// Identity of the key whose version this is: all versions of a key share
    /// it, and a threshold counts it once. Hex of the SHA-256 of the public key
    /// where nothing else is known.
    pub key_id: String,
    /// `kms://…`, a file name or another URI: what people call it.
    pub path: String,
    /// The version, from 1; `None` for a bare public key.
    pub version: Option<u32>,
    /// What the version may still do.
    pub state: VersionState,
}

impl TrustedKey {
    /// A bare public key, known by `path`.
    pub fn bare(public_key: PublicKey, path: impl Into<String>) -> Self {
        Self {
            scheme: public_key.default_scheme(),
            key_id: public_key.id().hex(),
            path: path.into(),
            version: None,
            state: VersionState::Active,
            public_key,
        }
    }
}

/// A name in a policy whose word counts, with all keys that speak for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name that the policy gives it.
    pub name: String,
    /// Its keys, all versions.
    pub keys: Vec<TrustedKey>,
    /// Whose certificates speak for it.
    pub certificates: Option<CertificateTrust>,
}
