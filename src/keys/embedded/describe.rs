use super::{EmbeddedKeys, PROVIDER};
use crate::crypto::PublicKey;
use crate::custody::{KeyState, Purpose};
use crate::keys::{Damage, Described, DescribedVersion, KeyFault};
use crate::reference::KeyRef;
use crate::storage::{KeyRow, Snapshot, VersionRow};
use crate::time::Timestamp;
use crate::trust::{TrustedKey, VersionState};

impl EmbeddedKeys {
    pub(super) async fn trusted_versions(&self, key: &KeyRef) -> Result<Vec<TrustedKey>, KeyFault> {
        let KeyRef::Kms { path, version } = key else {
            return Err(KeyFault::NoProvider(key.to_string()));
        };
        let snapshot = self.read().await?;
        let row = self.resolve(&snapshot, path)?;
        if self.key_state(row)? == KeyState::Disabled {
            return Err(KeyFault::Disabled(format!("kms://{}", row.path)));
        }
        let scheme = self.scheme(row)?;
        let trusted = |found: &VersionRow| {
            Ok::<_, KeyFault>(TrustedKey {
                public_key: self.public_key(row, found)?,
                scheme,
                key_id: row.id.clone(),
                path: format!("kms://{}", row.path),
                version: Some(found.version),
                state: self.state_now(found)?,
            })
        };
        let mut versions = Vec::new();
        for found in versions_of(&snapshot, row) {
            if version.is_none_or(|wanted| wanted == found.version) {
                versions.push(trusted(found)?);
            }
        }
        match version {
            Some(version) if versions.is_empty() => Err(KeyFault::NoSuchVersion {
                key: format!("kms://{}", row.path),
                version: *version,
            }),
            Some(version) if !versions[0].state.verifies() => Err(KeyFault::Retired {
                key: format!("kms://{}", row.path),
                version: *version,
            }),
            _ => {
                versions.retain(|found| found.state.verifies());
                versions.sort_by_key(|found| {
                    let active = found.state == VersionState::Active;
                    (!active, std::cmp::Reverse(found.version))
                });
                Ok(versions)
            }
        }
    }

    pub(super) fn described(
        &self,
        snapshot: &Snapshot,
        row: &KeyRow,
    ) -> Result<Described, KeyFault> {
        let mut versions = Vec::new();
        for found in versions_of(snapshot, row) {
            let state = self.state_now(found)?;
            versions.push(DescribedVersion {
                version: Some(found.version),
                state,
                grace_until: found
                    .grace_until
                    .filter(|_| state == VersionState::Grace)
                    .map(Timestamp::from_nanos),
                created: Some(Timestamp::from_nanos(found.created)),
                public_key: self.public_key(row, found)?,
            });
        }
        Ok(Described {
            id: row.id.clone(),
            path: format!("kms://{}", row.path),
            provider: PROVIDER,
            purpose: Some(Purpose::of_existing(&row.purpose)),
            state: self.key_state(row)?,
            scheme: self.scheme(row)?,
            aliases: snapshot
                .aliases
                .iter()
                .filter(|alias| alias.key == row.id)
                .map(|alias| alias.alias.clone())
                .collect(),
            created: Some(Timestamp::from_nanos(row.created)),
            versions,
            generation: Some(snapshot.head.generation),
        })
    }

    pub(super) fn key_state(&self, row: &KeyRow) -> Result<KeyState, KeyFault> {
        KeyState::from_name(&row.state)
            .ok_or_else(|| self.malformed(format!("state {:?} of kms://{}", row.state, row.path)))
    }

    fn public_key(&self, row: &KeyRow, version: &VersionRow) -> Result<PublicKey, KeyFault> {
        PublicKey::from_spki_der(&version.public_key).map_err(|e| {
            self.damaged(Damage::Malformed(format!(
                "the public key of kms://{}?version={}: {e}",
                row.path, version.version
            )))
        })
    }
}

pub(super) fn versions_of<'a>(
    snapshot: &'a Snapshot,
    key: &'a KeyRow,
) -> impl Iterator<Item = &'a VersionRow> {
    snapshot.versions.iter().filter(|row| row.key == key.id)
}
