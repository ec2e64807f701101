use aws_sdk_kms::types::{KeyMetadata, KeyState as State, KeyUsageType};

use super::fault::Asked;
use super::name::{Name, SCHEME};
use super::place::Place;
use super::{AwsKeys, PROVIDER, spec};
use crate::crypto::PublicKey;
use crate::custody::KeyState;
use crate::keys::{BoxFuture, DescribeKey, Described, DescribedVersion, KeyFault};
use crate::limits::KEYS_LISTED;
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::VersionState;

/// Most aliases of one key that are told.
const MOST_ALIASES: i32 = 100;

impl DescribeKey for AwsKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = self.online(key)?;
            let place = self.places.of(&name).await?;
            let metadata = self.metadata(&place, &name).await?;
            self.described(&place, &name, &metadata).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move {
            if self.context.offline {
                return Err(KeyFault::Offline { provider: PROVIDER });
            }
            let place = self.places.usual().await?;
            let mut found = Vec::new();
            for arn in arns(&place).await? {
                let key = KeyRef::Provider {
                    scheme: SCHEME.to_owned(),
                    uri: format!("{SCHEME}:///{arn}"),
                };
                let name = Name::parse(&key)?;
                let metadata = match self.metadata(&place, &name).await {
                    Ok(metadata) => metadata,
                    // Deleted meanwhile, or not for this caller.
                    Err(KeyFault::NoSuchKey(_) | KeyFault::Refused { .. }) => continue,
                    Err(fault) => return Err(fault),
                };
                let signs = metadata.key_usage() == Some(&KeyUsageType::SignVerify);
                if signs && metadata.key_spec().and_then(spec::kind_of).is_some() {
                    found.push(self.described(&place, &name, &metadata).await?);
                }
            }
            found.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(found)
        })
    }
}

impl AwsKeys {
    /// A key that may be disabled or pending deletion, which both show as disabled.
    pub(super) async fn described(
        &self,
        place: &Place,
        name: &Name,
        metadata: &KeyMetadata,
    ) -> Result<Described, KeyFault> {
        if let Some(usage) = metadata.key_usage()
            && *usage != KeyUsageType::SignVerify
        {
            return Err(KeyFault::WrongUsage {
                key: name.shown.clone(),
                usage: usage.as_str().to_owned(),
            });
        }
        let kind = metadata.key_spec().and_then(spec::kind_of);
        let kind = kind.ok_or_else(|| KeyFault::WrongAlgorithm {
            key: name.shown.clone(),
            why: format!(
                "keys of {} cannot be used here",
                metadata
                    .key_spec()
                    .map_or("an unknown kind", |s| s.as_str())
            ),
        })?;
        let enabled = matches!(metadata.key_state(), Some(State::Enabled | State::Updating));
        let created = metadata
            .creation_date()
            .map(|date| Timestamp::from_secs(date.secs()));
        let public_key = match self.public_key(place, name).await {
            Ok(shown) => Some(shown.public_key),
            // AWS shows no public key of a key that does nothing now.
            Err(KeyFault::Disabled(_) | KeyFault::PendingDeletion(_)) => self.remembered(name),
            Err(fault) => return Err(fault),
        };
        Ok(Described {
            id: metadata
                .arn()
                .unwrap_or_else(|| metadata.key_id())
                .to_owned(),
            path: name.shown.clone(),
            provider: PROVIDER,
            purpose: None,
            state: match enabled {
                true => KeyState::Enabled,
                false => KeyState::Disabled,
            },
            scheme: self.scheme_of(name, kind)?,
            aliases: self.aliases(place, metadata).await?,
            created,
            versions: public_key
                .into_iter()
                .map(|public_key| DescribedVersion {
                    version: None,
                    state: VersionState::Active,
                    grace_until: None,
                    created,
                    public_key,
                })
                .collect(),
            generation: None,
        })
    }

    fn remembered(&self, name: &Name) -> Option<PublicKey> {
        let key = KeyRef::Provider {
            scheme: SCHEME.to_owned(),
            uri: name.shown.clone(),
        };
        let at = self.places.name(name);
        let known = self.context.known.any(&key, &at).ok()??;
        let version = known.versions.first()?;
        PublicKey::from_pem(version.public_key.as_bytes()).ok()
    }

    async fn aliases(
        &self,
        place: &Place,
        metadata: &KeyMetadata,
    ) -> Result<Vec<String>, KeyFault> {
        let asked = Asked {
            place,
            key: metadata.key_id(),
            action: "kms:ListAliases",
        };
        let request = place.client.list_aliases().limit(MOST_ALIASES);
        match request.key_id(metadata.key_id()).send().await {
            Ok(output) => {
                let names = output
                    .aliases()
                    .iter()
                    .filter_map(|alias| alias.alias_name());
                let mut names: Vec<String> = names.map(ToOwned::to_owned).collect();
                names.sort();
                Ok(names)
            }
            Err(error) => match asked.failed(&error) {
                KeyFault::Refused { .. } => Ok(Vec::new()),
                fault => Err(fault),
            },
        }
    }
}

/// The ARNs of all keys of the account and region.
async fn arns(place: &Place) -> Result<Vec<String>, KeyFault> {
    let asked = Asked {
        place,
        key: "keys",
        action: "kms:ListKeys",
    };
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let request = place.client.list_keys().set_marker(marker.take());
        let page = request.send().await.map_err(|e| asked.failed(&e))?;
        found.extend(
            page.keys()
                .iter()
                .filter_map(|key| Some(key.key_arn()?.to_owned())),
        );
        if found.len() > KEYS_LISTED {
            return Err(KeyFault::Provider {
                provider: PROVIDER,
                cause: format!("it has more than {KEYS_LISTED} keys: name the one that is meant"),
            });
        }
        if !page.truncated() || page.keys().is_empty() {
            return Ok(found);
        }
        marker = page.next_marker().map(ToOwned::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}
