use google_cloud_kms_v1::model::CryptoKeyVersion;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState as State;

use super::look_up::{LookUp, created, number};
use super::uri::{self, Name};
use super::{GcpKeys, PROVIDER, algorithm, fault};
use crate::custody::KeyState;
use crate::keys::{BoxFuture, DescribeKey, Described, DescribedVersion, KeyFault, Warning};
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
                what: "listed over all projects; name a key ring, as in gcpkms://projects/P/locations/L/keyRings/R",
            })
        })
    }

    /// `gcpkms://projects/P/locations/L/keyRings/R`. Keys that sign nothing
    /// here, and those of which no version can sign again, are left out.
    fn list_in<'a>(&'a self, place: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move {
            let Some(ring) = uri::ring_of(place)? else {
                return self.list().await;
            };
            let service = self.service()?;
            let look_up = self.look_up(&service);
            let mut found = Vec::new();
            for name in service.keys(&ring, &place.to_string()).await? {
                let described = match service.versions(&name, "").await {
                    Ok(listed) if !listed.iter().any(lives) => continue,
                    Ok(listed) => look_up.described_by(&name, listed).await,
                    Err(fault) => Err(fault),
                };
                match described {
                    Ok(described) => found.push(described),
                    // None to sign with, gone by now, or not for this caller.
                    Err(
                        KeyFault::WrongAlgorithm { .. }
                        | KeyFault::WrongUsage { .. }
                        | KeyFault::NoSuchKey(_)
                        | KeyFault::NoSuchVersion { .. }
                        | KeyFault::PendingDeletion(_)
                        | KeyFault::Refused { .. },
                    ) => {}
                    Err(fault) => return Err(fault),
                }
            }
            found.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(found)
        })
    }
}

/// Whether it signs, or can be enabled to.
fn lives(version: &CryptoKeyVersion) -> bool {
    matches!(version.state, State::Enabled | State::Disabled)
}

impl LookUp<'_> {
    /// The key or version, whatever its state. Google shows no public key of a
    /// version that is not enabled: it is told of where it was seen before.
    pub(super) async fn described(&self, name: &Name) -> Result<Described, KeyFault> {
        let listed = match name.version {
            Some(version) => vec![self.service.version(name, version).await?],
            None => self.service.versions(name, "").await?,
        };
        self.described_by(name, listed).await
    }

    /// `listed` are all versions, or the one that is named. What is seen is
    /// remembered.
    async fn described_by(
        &self,
        name: &Name,
        listed: Vec<CryptoKeyVersion>,
    ) -> Result<Described, KeyFault> {
        let mut numbered: Vec<(u32, CryptoKeyVersion)> = Vec::new();
        for version in listed {
            numbered.push((number(name, &version)?, version));
        }
        numbered.sort_unstable_by_key(|(number, _)| *number);
        let enabled = |(_, version): &&(u32, CryptoKeyVersion)| version.state == State::Enabled;
        for (number, _) in numbered.iter().filter(|version| !enabled(version)) {
            self.verifies_not(name, *number);
        }
        if name.version.is_none() && !numbered.iter().any(|version| enabled(&version)) {
            self.none_verifies(name);
        }
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
        let (mut versions, mut verify) = (Vec::new(), Vec::new());
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
            let Some(seen) = seen else { continue };
            versions.push(DescribedVersion {
                version: Some(*number),
                state: match version.state {
                    State::Enabled if number == newest => VersionState::Active,
                    State::Enabled => VersionState::VerifyOnly,
                    _ => VersionState::Retired,
                },
                grace_until: None,
                created: created(version),
                public_key: seen.public_key.clone(),
            });
            if version.state == State::Enabled {
                verify.insert(0, seen);
            }
        }
        if name.version.is_none() && !verify.is_empty() {
            self.learn(name, &name.whole(), &verify)?;
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

    /// What somebody who relies on the key should know. Google neither rotates
    /// keys that sign nor lets them expire.
    pub(super) async fn outlook(&self, name: &Name) -> Result<Vec<Warning>, KeyFault> {
        let (number, looked) = match name.version {
            Some(version) => (version, self.service.version(name, version).await?),
            None => self.enabled(name).await?.swap_remove(0),
        };
        if let Some(fault) = fault::of_state(&looked.state, &name.whole().to_string(), number) {
            return Err(fault);
        }
        let shown = name.one(number).to_string();
        algorithm::scheme(&looked.algorithm, &shown)?;
        let imported = (!looked.import_job.is_empty()).then(|| Warning {
            code: "key-extractable",
            text: format!("{shown} was not made at Google: it was imported"),
        });
        Ok(imported.into_iter().collect())
    }
}
