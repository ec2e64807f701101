//! A key as the transit engine shows it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::PROVIDER;
use super::name::Name;
use super::refusal::{Refusal, derived};
use crate::crypto::{KeyKind, PublicKey, PublicParts, Scheme};
use crate::custody::KeyState;
use crate::keys::known::{Known, KnownVersion};
use crate::keys::{Described, DescribedVersion, KeyFault, Warning};
use crate::time::Timestamp;
use crate::trust::VersionState;

/// The answer about a key.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) data: Key,
    pub(super) warnings: Option<Vec<String>>,
}

/// `GET transit/keys/NAME`.
#[derive(Deserialize)]
pub(super) struct Key {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    derived: bool,
    #[serde(default)]
    soft_deleted: bool,
    supports_signing: bool,
    #[serde(default)]
    supports_encryption: bool,
    #[serde(default)]
    exportable: bool,
    #[serde(default)]
    allow_plaintext_backup: bool,
    #[serde(default)]
    deletion_allowed: bool,
    pub(super) latest_version: u32,
    #[serde(default)]
    pub(super) min_decryption_version: u32,
    #[serde(default)]
    pub(super) min_encryption_version: u32,
    /// Not there for keys that make codes alone.
    #[serde(default)]
    keys: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    public_key: String,
    creation_time: Option<Timestamp>,
}

/// A signing key, its versions newest first, never none.
pub(super) struct Shown {
    pub(super) state: KeyState,
    pub(super) versions: Vec<ShownVersion>,
}

pub(super) struct ShownVersion {
    pub(super) version: u32,
    pub(super) public_key: PublicKey,
    pub(super) scheme: Scheme,
    created: Option<Timestamp>,
}

impl Key {
    /// What may become of the key, as it is set up.
    pub(super) fn outlook(&self) -> Vec<Warning> {
        let mut told = Vec::new();
        if self.exportable || self.allow_plaintext_backup {
            let by = match self.exportable {
                true => "exportable",
                false => "allow_plaintext_backup",
            };
            told.push(Warning {
                code: "key-extractable",
                text: format!("its private key may leave the server ({by} is set)"),
            });
        }
        if self.deletion_allowed {
            told.push(Warning {
                code: "deletion-allowed",
                text: "it may be deleted for good at any time (deletion_allowed is set)".to_owned(),
            });
        }
        told
    }

    /// The versions that still verify; `rsa` is the scheme of RSA keys.
    ///
    /// # Errors
    /// `WrongUsage` and `WrongAlgorithm` for a key that is none to sign with
    /// here.
    pub(super) fn shown(&self, name: &Name, rsa: Option<Scheme>) -> Result<Shown, KeyFault> {
        if !self.supports_signing {
            return Err(KeyFault::WrongUsage {
                key: name.shown.clone(),
                usage: if self.supports_encryption {
                    format!("encryption ({})", self.kind)
                } else {
                    self.kind.clone()
                },
            });
        }
        if self.derived {
            return Err(derived(name));
        }
        let mut versions = Vec::new();
        for (number, version) in &self.keys {
            let number: u32 = number
                .parse()
                .map_err(|_| Refusal::garbled("a version is no number"))?;
            if number < self.min_decryption_version {
                continue;
            }
            versions.push(self.version(name, rsa, number, version)?);
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        let newest = versions.first().map(|version| version.version);
        if newest != Some(self.latest_version) {
            return Err(Refusal::garbled(
                "the latest version is not among those shown",
            ));
        }
        Ok(Shown {
            state: if self.soft_deleted {
                KeyState::Disabled
            } else {
                KeyState::Enabled
            },
            versions,
        })
    }

    fn version(
        &self,
        name: &Name,
        rsa: Option<Scheme>,
        version: u32,
        shown: &Value,
    ) -> Result<ShownVersion, KeyFault> {
        let wrong = |why: String| KeyFault::WrongAlgorithm {
            key: name.shown.clone(),
            why,
        };
        let read = Version::deserialize(shown)
            .map_err(|_| wrong(format!("{} keys show no public key", self.kind)))?;
        let public_key =
            public_key(&read.public_key).map_err(|e| wrong(format!("a {} key: {e}", self.kind)))?;
        let scheme = scheme(&public_key, name.rsa.or(rsa));
        Ok(ShownVersion {
            version,
            public_key,
            scheme,
            created: read.creation_time,
        })
    }
}

/// PEM, or for Ed25519 the bare 32 bytes in base64.
fn public_key(text: &str) -> Result<PublicKey, crate::crypto::KeyError> {
    let bare = STANDARD.decode(text.trim()).ok();
    match bare.and_then(|raw| PublicParts::Ed25519(&raw).spki_der()) {
        Some(der) => PublicKey::from_spki_der(&der),
        None => PublicKey::from_pem(text.as_bytes()),
    }
}

/// The scheme of a key: RSA keys have the one that was stated.
pub(super) fn scheme(public_key: &PublicKey, rsa: Option<Scheme>) -> Scheme {
    match (public_key.kind(), rsa) {
        (KeyKind::Rsa { .. }, Some(scheme)) => scheme,
        _ => public_key.default_scheme(),
    }
}

impl Shown {
    /// For the notes of known keys. One that is disabled verifies nothing for
    /// those who may not ask; others ask anew, for it may be enabled again.
    pub(super) fn known(&self, id: String, now: Timestamp) -> Known {
        let disabled = self.state == KeyState::Disabled;
        let versions = self.versions.iter().enumerate();
        Known {
            at: match disabled {
                true => Timestamp::from_secs(0),
                false => now,
            },
            id,
            versions: versions
                .map(|(place, version)| KnownVersion {
                    version: Some(version.version),
                    name: None,
                    public_key: version.public_key.to_pem(),
                    scheme: version.scheme.to_string(),
                    state: match disabled {
                        true => VersionState::Retired.as_str().to_owned(),
                        false => state(place).as_str().to_owned(),
                    },
                })
                .collect(),
        }
    }

    /// For people, versions from the oldest.
    pub(super) fn described(&self, id: String, path: String) -> Result<Described, KeyFault> {
        let none = || Refusal::garbled("a key without versions");
        let newest = self.versions.first().ok_or_else(none)?;
        let versions = self.versions.iter().enumerate();
        let mut versions: Vec<_> = versions
            .map(|(place, version)| DescribedVersion {
                version: Some(version.version),
                state: state(place),
                grace_until: None,
                created: version.created,
                public_key: version.public_key.clone(),
            })
            .collect();
        versions.reverse();
        Ok(Described {
            id,
            path,
            provider: PROVIDER,
            purpose: None,
            state: self.state,
            scheme: newest.scheme,
            aliases: Vec::new(),
            created: versions
                .first()
                .filter(|first| first.version == Some(1))
                .and_then(|first| first.created),
            versions,
            generation: None,
        })
    }
}

/// The newest signs; what was before it verifies.
const fn state(place: usize) -> VersionState {
    match place {
        0 => VersionState::Active,
        _ => VersionState::VerifyOnly,
    }
}
