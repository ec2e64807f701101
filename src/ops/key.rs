//! Keys as people and programs see them.

use serde::Serialize;

use super::Failure;
use crate::crypto::PublicKey;
use crate::custody::KeyState;
use crate::keys::{Described, KeyFault, Keyring};
use crate::reference::{KeyPath, KeyRef};
use crate::time::Timestamp;
use crate::trust::VersionState;

/// A key: `key` in `obreia.key/v1`, an entry of `obreia.keys/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// UUID.
    pub id: String,
    /// `kms://…`.
    pub path: String,
    /// What it is for.
    pub purpose: String,
    /// Whether it may be used.
    pub state: KeyState,
    /// The scheme its versions sign under.
    pub scheme: String,
    /// Other names: `kms://…`.
    pub aliases: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Its versions, from 1.
    pub versions: Vec<VersionView>,
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// From 1.
    pub version: u32,
    /// What it may do now.
    pub state: VersionState,
    /// When its grace ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// Family and size of the key.
    pub kind: String,
    /// SHA-256 of the DER `SubjectPublicKeyInfo`, hex.
    pub fingerprint: String,
    /// PEM.
    pub public_key: String,
}

impl From<&Described> for KeyView {
    fn from(key: &Described) -> Self {
        Self {
            id: key.id.clone(),
            path: format!("kms://{}", key.path),
            purpose: key.purpose.to_string(),
            state: key.state,
            scheme: key.scheme.to_string(),
            aliases: key.aliases.iter().map(|a| format!("kms://{a}")).collect(),
            created: key.created,
            versions: key
                .versions
                .iter()
                .map(|version| VersionView {
                    version: version.version,
                    state: version.state,
                    grace_until: version.grace_until,
                    created: version.created,
                    kind: version.public_key.kind().to_string(),
                    fingerprint: version.public_key.id().hex(),
                    public_key: version.public_key.to_pem(),
                })
                .collect(),
        }
    }
}

/// Reads the name of a key in the keystore; `version` tells whether one may be named.
///
/// # Errors
/// Usage, for anything that is not `kms://…`.
pub fn path(text: &str, version: bool) -> Result<(KeyPath, Option<u32>), Failure> {
    match KeyRef::parse(text)? {
        KeyRef::Kms {
            path,
            version: named,
        } if version || named.is_none() => Ok((path, named)),
        KeyRef::Kms { .. } => Err(wrong(
            text,
            "this concerns the whole key, without ?version=",
        )),
        KeyRef::File(_) | KeyRef::Provider { .. } => Err(wrong(
            text,
            "keys in the keystore are named kms://purpose/environment/…",
        )),
    }
}

fn wrong(key: &str, why: &str) -> Failure {
    KeyFault::BadRequest {
        key: key.to_owned(),
        why: why.to_owned(),
    }
    .into()
}

/// The public key of a key file, or of the active or the named version of a
/// key in the keystore; one that is disabled or retired shows it too.
///
/// # Errors
/// Where there is no such key.
pub async fn public(keyring: &Keyring, key: &KeyRef) -> Result<PublicKey, Failure> {
    let KeyRef::Kms { path, version } = key else {
        let mut trusted = keyring.trusted(key).await?;
        return Ok(trusted.swap_remove(0).public_key);
    };
    let described = keyring.describe(path).await?;
    let found = described.versions.iter().find(|found| match version {
        Some(version) => found.version == *version,
        None => found.state == VersionState::Active,
    });
    match found {
        Some(found) => Ok(found.public_key.clone()),
        None => Err(KeyFault::NoSuchVersion {
            key: format!("kms://{}", described.path),
            version: version.unwrap_or_default(),
        }
        .into()),
    }
}
