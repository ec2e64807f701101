use google_cloud_kms_v1::model::CryptoKeyVersion;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState as State;

use super::look_up::{LookUp, created, number};
use super::uri::Name;
use super::{GcpKeys, PROVIDER, algorithm, fault};
use crate::custody::KeyState;
use crate::keys::{BoxFuture, DescribeKey, Described, DescribedVersion, KeyFault};
use crate::reference::KeyRef;
use crate::trust::VersionState;

impl DescribeKey for GcpKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let service = self.service()?;
            self.look_up(&service).described(&name).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async {
            Err(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "listed over all projects",
            })
        })
    }
}

impl LookUp<'_> {
    /// The key or version, whatever its state. Google shows no public key of a
    /// version that is not enabled: it is told of where it was seen before.
    pub(super) async fn described(&self, name: &Name) -> Result<Described, KeyFault> {
        let listed = match name.version {
            Some(version) => vec![self.service.version(name, version).await?],
            None => self.service.versions(name, "").await?,
        };
        let mut numbered: Vec<(u32, CryptoKeyVersion)> = Vec::new();
        for version in listed {
            numbered.push((number(name, &version)?, version));
        }
        numbered.sort_unstable_by_key(|(number, _)| *number);
        let enabled = |(_, version): &&(u32, CryptoKeyVersion)| version.state == State::Enabled;
        // The newest that is enabled is the key's own; else the newest there is.
        let newest = numbered.iter().rfind(enabled).or(numbered.last());
        let Some((newest, kept)) = newest else {
            return Err(KeyFault::NoSuchKey(name.asked().to_string()));
        };
        let shown = name.asked().to_string();
        let state = match kept.state {
            State::Enabled => KeyState::Enabled,
            _ if numbered.iter().any(|(_, v)| v.state == State::Disabled) => KeyState::Disabled,
            _ => {
                let why = fault::of_state(&kept.state, &name.whole().to_string(), *newest);
                return Err(why.unwrap_or(KeyFault::NoSuchKey(shown)));
            }
        };
        let scheme = algorithm::scheme(&kept.algorithm, &shown)?;
        let mut versions = Vec::new();
        for (number, version) in &numbered {
            let remembered = self.remembered(name, *number);
            let seen = match (&version.state, remembered) {
                (State::Enabled, Some(seen)) if number != newest => Some(seen),
                (State::Enabled, _) => match self.one(name, *number).await {
                    // Nothing here could have been signed with it.
                    Err(KeyFault::WrongAlgorithm { .. }) if number != newest => None,
                    seen => Some(seen?),
                },
                (_, remembered) => remembered,
            };
            versions.extend(seen.map(|seen| DescribedVersion {
                version: Some(*number),
                state: match version.state {
                    State::Enabled if number == newest => VersionState::Active,
                    State::Enabled => VersionState::VerifyOnly,
                    _ => VersionState::Retired,
                },
                grace_until: None,
                created: created(version),
                public_key: seen.public_key,
            }));
        }
        Ok(Described {
            id: name.key.clone(),
            path: name.whole().to_string(),
            provider: PROVIDER,
            purpose: None,
            state,
            scheme,
            aliases: Vec::new(),
            created: numbered.first().and_then(|(_, oldest)| created(oldest)),
            versions,
            generation: None,
        })
    }
}
