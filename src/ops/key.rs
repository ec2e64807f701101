//! Keys as people and programs see them.

use serde::Serialize;

use super::{Exit, Failure};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::KeyState;
use crate::keys::{Described, KeyFault, Keyring, Route, Rule};
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::{TrustedKey, VersionState};

/// A key: `key` in `obreia.key/v1`, an entry of `obreia.keys/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The provider's own id: a UUID, an ARN.
    pub id: String,
    /// `kms://…`, or the provider's URI.
    pub path: String,
    /// The provider that holds it.
    pub provider: String,
    /// What it is for, where the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Whether it may be used.
    pub state: KeyState,
    /// The scheme its versions sign under.
    pub scheme: String,
    /// Other names: `kms://…`.
    pub aliases: Vec<String>,
    /// When it was made, where the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Its versions, from 1.
    pub versions: Vec<VersionView>,
}

/// The way from a name to a key: `route` in `obreia.key/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteView {
    /// As it was asked for.
    pub asked: String,
    /// Where the asked name is an alias, who says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_in: Option<AliasIn>,
    /// The canonical name, `kms://…`; absent where a URI was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The rule that led on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
    /// What the provider is asked for, without credentials.
    pub uri: String,
}

/// Who says what an alias stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AliasIn {
    /// `[keys.alias]`
    Configuration,
    /// The keystore.
    Keystore,
}

/// A rule of the configuration: an entry of `rules` in `obreia.keys/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// From 1; the first that matches holds.
    pub number: usize,
    /// Where it stands: `obreia.toml:12`.
    pub place: String,
    /// Which names it is about.
    #[serde(rename = "match")]
    pub matches: String,
    /// Where it leads.
    pub to: String,
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        Self {
            number: rule.number(),
            place: rule.place().to_owned(),
            matches: rule.matches().to_owned(),
            to: rule.to().to_owned(),
        }
    }
}

impl RouteView {
    /// `found` is the path under which the provider, or the keystore, has it.
    fn new(route: &Route, found: &str) -> Self {
        let asked = route.asked.without_version().to_string();
        let path = match (&route.path, &route.asked) {
            (Some(path), _) => Some(format!("kms://{path}")),
            (None, KeyRef::Kms { .. }) => Some(found.to_owned()),
            (None, KeyRef::File(_) | KeyRef::Provider { .. }) => None,
        };
        let alias_in = match &path {
            Some(path) if *path != asked => Some(match route.path {
                Some(_) => AliasIn::Configuration,
                None => AliasIn::Keystore,
            }),
            _ => None,
        };
        Self {
            alias_in,
            rule: route.by.as_ref().map(|by| RuleView {
                number: by.number,
                place: by.place.clone(),
                matches: by.matches.clone(),
                to: by.to.clone(),
            }),
            uri: match (&route.target, &path) {
                (KeyRef::Kms { .. }, Some(path)) => path.clone(),
                (target, _) => target.without_version().to_string(),
            },
            asked,
            path,
        }
    }
}

/// A key with its versions, and how its name leads to it. A provider that
/// cannot describe keys shows at least what verifies.
///
/// # Errors
/// Where there is no such key, or it cannot be asked for.
pub async fn shown(keyring: &Keyring, key: &KeyRef) -> Result<(RouteView, KeyView), Failure> {
    let route = keyring.route(key)?;
    let view = match keyring.describe(key).await {
        Ok(described) => KeyView::from(&described),
        Err(fault) if matches!(fault.root(), KeyFault::Unsupported { .. }) => {
            KeyView::of_trusted(&keyring.trusted(key).await?, keyring.provider(key)?)
        }
        Err(fault) => return Err(fault.into()),
    };
    Ok((RouteView::new(&route, &view.path), view))
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// From 1; absent where the provider has no versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What it may do now.
    pub state: VersionState,
    /// When its grace ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Timestamp>,
    /// When it was made, where the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
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
            path: key.path.clone(),
            provider: key.provider.to_owned(),
            purpose: key.purpose.as_ref().map(ToString::to_string),
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

impl KeyView {
    /// From what is trusted, of which there is at least one.
    fn of_trusted(keys: &[TrustedKey], provider: &'static str) -> Self {
        let first = keys.first();
        let of_first = |text: fn(&TrustedKey) -> &String| first.map(text).cloned();
        Self {
            id: of_first(|key| &key.key_id).unwrap_or_default(),
            path: of_first(|key| &key.path).unwrap_or_default(),
            provider: provider.to_owned(),
            purpose: None,
            state: KeyState::Enabled,
            scheme: first.map_or_else(String::new, |key| key.scheme.to_string()),
            aliases: Vec::new(),
            created: None,
            versions: keys
                .iter()
                .map(|key| VersionView {
                    version: key.version,
                    state: key.state,
                    grace_until: None,
                    created: None,
                    kind: key.public_key.kind().to_string(),
                    fingerprint: key.public_key.id().hex(),
                    public_key: key.public_key.to_pem(),
                })
                .collect(),
        }
    }
}

/// Reads the name of a whole key: one with a version is refused.
///
/// # Errors
/// Usage, for a key file and for `?version=N`.
pub fn whole(text: &str) -> Result<KeyRef, Failure> {
    let key = not_a_file(text)?;
    if key.version().is_some() {
        return Err(wrong(
            text,
            "this concerns the whole key, without ?version=",
        ));
    }
    Ok(key)
}

/// Reads the name of one version of a key.
///
/// # Errors
/// Usage, for a key file and where no version is named.
pub fn versioned(text: &str) -> Result<(KeyRef, u32), Failure> {
    let key = not_a_file(text)?;
    let version = key.version().ok_or_else(|| {
        Failure::new(Exit::Usage, "no version was named").hint(format!("write {text}?version=N"))
    })?;
    Ok((key.without_version(), version))
}

fn not_a_file(text: &str) -> Result<KeyRef, Failure> {
    match KeyRef::parse(text)? {
        KeyRef::File(_) => Err(wrong(
            text,
            "keys are named kms://purpose/environment/…, or by another provider's URI",
        )),
        key @ (KeyRef::Kms { .. } | KeyRef::Provider { .. }) => Ok(key),
    }
}

fn wrong(key: &str, why: &str) -> Failure {
    KeyFault::BadRequest {
        key: key.to_owned(),
        why: why.to_owned(),
    }
    .into()
}

/// The public key, and what it signs under, of a key file or another provider's key, or of the active
/// or the named version of a key in the keystore; one that is disabled or
/// retired shows it too.
///
/// # Errors
/// Where there is no such key.
pub async fn public(keyring: &Keyring, key: &KeyRef) -> Result<(PublicKey, Scheme), Failure> {
    let KeyRef::Kms { version, .. } = &keyring.route(key)?.target else {
        let mut trusted = keyring.trusted(key).await?;
        let first = trusted.swap_remove(0);
        return Ok((first.public_key, first.scheme));
    };
    let described = keyring.describe(&key.without_version()).await?;
    let found = described.versions.iter().find(|found| match version {
        Some(_) => found.version == *version,
        None => found.state == VersionState::Active,
    });
    match found {
        Some(found) => Ok((found.public_key.clone(), described.scheme)),
        None => Err(KeyFault::NoSuchVersion {
            key: described.path,
            version: version.unwrap_or_default(),
        }
        .into()),
    }
}
