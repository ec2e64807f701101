use super::settings::with_version;
use super::{KeyFault, Keys};
use crate::reference::{KeyPath, KeyRef};

/// The way from the name that somebody wrote to the key that a provider has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// As it was asked for.
    pub asked: KeyRef,
    /// The canonical path, where `asked` is a `kms://` name that is no alias
    /// of the keystore's own.
    pub path: Option<KeyPath>,
    /// The rule that led on from there; without one `kms://` is the keystore's.
    pub by: Option<ByRule>,
    /// What the provider is asked for.
    pub target: KeyRef,
}

/// The rule that a route took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByRule {
    /// From 1.
    pub number: usize,
    /// `obreia.toml:12`
    pub place: String,
    /// `match`, as written.
    pub matches: String,
    /// `to`, as written.
    pub to: String,
}

impl Route {
    /// Resolves `key`; asks nobody.
    ///
    /// # Errors
    /// `Mapped`, where a rule matches and makes no key of the name.
    pub(super) fn of(keys: &Keys, key: &KeyRef) -> Result<Self, KeyFault> {
        let KeyRef::Kms { path, version } = key else {
            return Ok(Self {
                asked: key.clone(),
                path: None,
                by: None,
                target: key.clone(),
            });
        };
        let canonical = keys.aliases.get(path).unwrap_or(path);
        let Some(hit) = keys.rules.find(canonical) else {
            return Ok(Self {
                asked: key.clone(),
                path: (!canonical.is_alias()).then(|| canonical.clone()),
                by: None,
                target: KeyRef::Kms {
                    path: canonical.clone(),
                    version: *version,
                },
            });
        };
        let by = ByRule {
            number: hit.rule.number(),
            place: hit.rule.place().to_owned(),
            matches: hit.rule.matches().to_owned(),
            to: hit.rule.to().to_owned(),
        };
        let bad = |why| KeyFault::Mapped {
            name: key.to_string(),
            uri: by.to.clone(),
            place: by.place.clone(),
            fault: Box::new(KeyFault::BadName {
                name: format!("kms://{canonical}"),
                why,
            }),
        };
        let target = hit.key.and_then(|key| match version {
            Some(version) => with_version(&key, *version),
            None => Ok(key),
        });
        Ok(Self {
            asked: key.clone(),
            path: Some(canonical.clone()),
            target: target.map_err(bad)?,
            by: Some(by),
        })
    }

    /// `kms://…` without a version, and the provider's URI, where a rule led
    /// from the one to the other.
    pub fn names(&self) -> Option<(String, String)> {
        let (Some(path), Some(_)) = (&self.path, &self.by) else {
            return None;
        };
        let uri = self.target.without_version().to_string();
        Some((format!("kms://{path}"), uri))
    }

    /// What went wrong at the end of it, telling the way there.
    pub(super) fn told(&self, fault: KeyFault) -> KeyFault {
        let Some(by) = &self.by else { return fault };
        if matches!(fault, KeyFault::Audit(_) | KeyFault::Mapped { .. }) {
            return fault;
        }
        KeyFault::Mapped {
            name: self.asked.to_string(),
            uri: self.target.to_string(),
            place: by.place.clone(),
            fault: Box::new(fault),
        }
    }

    /// Refuses the keystore's own key where a rule sends its path elsewhere:
    /// one canonical path is one key. `found` is what the keystore says.
    pub(super) fn still_its_own(&self, keys: &Keys, found: &str) -> Result<(), KeyFault> {
        let (None, KeyRef::Kms { path, .. }) = (&self.by, &self.target) else {
            return Ok(());
        };
        let canonical = found
            .strip_prefix("kms://")
            .and_then(|found| KeyPath::parse(found).ok());
        match canonical.as_ref().and_then(|found| keys.rules.find(found)) {
            Some(hit) => Err(KeyFault::NotConfigured {
                provider: "embedded",
                why: format!(
                    "kms://{path} is the keystore's alias of {found}, which {} sends to {}: name that path, or give the alias in [keys.alias]",
                    hit.rule.place(),
                    hit.rule.to()
                ),
            }),
            None => Ok(()),
        }
    }
}
