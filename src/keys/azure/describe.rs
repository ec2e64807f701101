use super::look_up::Seen;
use super::uri::{self, Name};
use super::{AzureKeys, PROVIDER};
use crate::custody::KeyState;
use crate::keys::{BoxFuture, DescribeKey, Described, DescribedVersion, KeyFault};
use crate::reference::KeyRef;
use crate::trust::VersionState;

impl DescribeKey for AzureKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let vault = self.vault(&name.host)?;
            let look_up = self.look_up(&vault);
            let seen = match &name.version {
                Some(_) => vec![look_up.one(&name).await?],
                None => look_up.all(&name).await?,
            };
            self.described(&name, &seen)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async {
            Err(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "listed over all vaults; name one, as in azurekms://acme",
            })
        })
    }

    /// `azurekms://VAULT`. Keys that sign nothing here are left out.
    fn list_in<'a>(&'a self, place: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move {
            let Some(host) = uri::vault_of(place)? else {
                return self.list().await;
            };
            let vault = self.vault(&host)?;
            let look_up = self.look_up(&vault);
            let mut found = Vec::new();
            for key in vault.keys(&place.to_string()).await? {
                let name = Name::of(&host, &key);
                match look_up.all(&name).await {
                    Ok(seen) => match self.described(&name, &seen) {
                        // An RSA key of which nobody said how it signs is shown by its name.
                        Err(KeyFault::WrongAlgorithm { .. }) => {}
                        described => found.push(described?),
                    },
                    // None to sign with, gone by now, or not for this caller.
                    Err(
                        KeyFault::WrongAlgorithm { .. }
                        | KeyFault::WrongUsage { .. }
                        | KeyFault::NoSuchKey(_)
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

impl AzureKeys {
    /// `seen` is newest first, and not empty.
    pub(super) fn described(&self, name: &Name, seen: &[Seen]) -> Result<Described, KeyFault> {
        let newest = seen
            .first()
            .ok_or_else(|| KeyFault::NoSuchKey(name.asked().to_string()))?;
        let versions = seen
            .iter()
            .enumerate()
            .rev()
            .map(|(at, seen)| DescribedVersion {
                version: None,
                state: seen.version_state(at == 0).unwrap_or(VersionState::Retired),
                grace_until: None,
                created: seen.created,
                public_key: seen.public_key.clone(),
            });
        Ok(Described {
            id: name.id(),
            path: name.asked().to_string(),
            provider: PROVIDER,
            purpose: None,
            state: if newest.is_disabled() {
                KeyState::Disabled
            } else {
                KeyState::Enabled
            },
            scheme: self.scheme(name, &newest.public_key)?,
            aliases: Vec::new(),
            created: seen.last().and_then(|oldest| oldest.created),
            versions: versions.collect(),
            generation: None,
        })
    }
}
