//! Which versions a key has, and what they may do: asked once, then remembered.

use azure_security_keyvault_keys::models::{Key, KeyAttributes};

use super::uri::Name;
use super::vault::Vault;
use super::{PROVIDER, jwk};
use crate::crypto::PublicKey;
use crate::keys::KeyFault;
use crate::keys::known::{Known, KnownKeys, KnownVersion};
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::VersionState;

/// One version as the vault shows it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) version: String,
    pub(super) public_key: PublicKey,
    pub(super) created: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
    pub(super) exportable: bool,
    state: State,
}

/// Whether a version may be used, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Signs,
    Disabled,
    NotYet(Timestamp),
    Expired(Timestamp),
    NotForSigning(String),
}

impl Seen {
    /// # Errors
    /// As [`jwk::public_key`]; `Provider` where it is not the key that was
    /// asked for.
    fn read(name: &Name, key: &Key, now: Timestamp) -> Result<Self, KeyFault> {
        let jwk = key.key.as_ref().ok_or_else(|| other("no key"))?;
        let version = version_of(name, jwk.kid.as_deref())?;
        if name.version.as_ref().is_some_and(|asked| *asked != version) {
            return Err(other("another version"));
        }
        let operations = jwk.key_ops.as_deref().unwrap_or_default();
        let state = if operations.iter().any(|op| op == "sign") {
            state(key.attributes.as_ref(), now)
        } else {
            State::NotForSigning(operations.join(", "))
        };
        Ok(Self {
            public_key: jwk::public_key(jwk, &name.asked().to_string())?,
            created: moment(key.attributes.as_ref().and_then(|a| a.created)),
            expires: moment(key.attributes.as_ref().and_then(|a| a.expires)),
            exportable: key.attributes.as_ref().and_then(|a| a.exportable) == Some(true),
            version,
            state,
        })
    }

    /// # Errors
    /// Why it does not sign; `key` is its name.
    pub(super) fn signs(&self, key: &str) -> Result<(), KeyFault> {
        let refused = |cause: String| KeyFault::Refused {
            provider: PROVIDER,
            what: format!("to sign with {key}"),
            cause,
        };
        match &self.state {
            State::Signs => Ok(()),
            State::Disabled => Err(KeyFault::Disabled(key.to_owned())),
            State::NotYet(from) => Err(refused(format!("it is not valid before {from}"))),
            State::Expired(since) => Err(refused(format!("it expired at {since}"))),
            State::NotForSigning(usage) => Err(KeyFault::WrongUsage {
                key: key.to_owned(),
                usage: usage.clone(),
            }),
        }
    }

    /// What it may do as one of the versions of a key; `None` where nothing.
    pub(super) fn version_state(&self, newest: bool) -> Option<VersionState> {
        match self.state {
            State::Signs if newest => Some(VersionState::Active),
            State::Signs | State::Expired(_) => Some(VersionState::VerifyOnly),
            State::Disabled | State::NotYet(_) | State::NotForSigning(_) => None,
        }
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.state == State::Disabled
    }

    fn note(&self, state: VersionState) -> KnownVersion {
        KnownVersion {
            version: None,
            name: Some(self.version.clone()),
            public_key: self.public_key.to_pem(),
            scheme: self.public_key.default_scheme().to_string(),
            state: state.as_str().to_owned(),
        }
    }
}

/// The versions that verify, of those that were seen, newest first.
pub(super) fn verifying(seen: &[Seen]) -> Vec<KnownVersion> {
    seen.iter()
        .enumerate()
        .filter_map(|(at, seen)| Some(seen.note(seen.version_state(at == 0)?)))
        .collect()
}

/// Looks keys up in one vault.
pub(super) struct LookUp<'a> {
    pub(super) vault: &'a Vault,
    pub(super) known: &'a KnownKeys,
    /// By which keys are valid or not.
    pub(super) now: Timestamp,
}

impl LookUp<'_> {
    /// The version that is asked for, or the newest; what is seen is remembered.
    pub(super) async fn one(&self, name: &Name) -> Result<Seen, KeyFault> {
        let key = self.vault.get(name, name.version.as_deref()).await?;
        let seen = Seen::read(name, &key, self.now)?;
        // What it is by itself, whether or not there are newer ones.
        let known = self.known(name, verifying(std::slice::from_ref(&seen)));
        self.learn(&name.one(&seen.version), known.clone())?;
        if name.version.is_none() {
            self.learn(&name.newest(), known)?;
        }
        Ok(seen)
    }

    /// All versions, newest first. What an older version's public key is does
    /// not change, so it is asked for once.
    pub(super) async fn all(&self, name: &Name) -> Result<Vec<Seen>, KeyFault> {
        let whole = Name {
            version: None,
            ..name.clone()
        };
        let newest = self.one(&whole).await?;
        let mut listed = self.vault.versions(&whole).await?;
        listed.sort_by_key(|version| {
            std::cmp::Reverse(version.attributes.as_ref().and_then(|a| a.created))
        });
        let mut found = vec![newest];
        for listed in &listed {
            let version = version_of(&whole, listed.kid.as_deref())?;
            if version == found[0].version {
                continue;
            }
            let attributes = listed.attributes.as_ref();
            let state = state(attributes, self.now);
            found.push(match self.remembered(&whole, &version) {
                Some(public_key) => Seen {
                    version,
                    public_key,
                    created: moment(attributes.and_then(|a| a.created)),
                    expires: moment(attributes.and_then(|a| a.expires)),
                    exportable: attributes.and_then(|a| a.exportable) == Some(true),
                    state,
                },
                None => {
                    let version = Some(version);
                    match self
                        .one(&Name {
                            version,
                            ..whole.clone()
                        })
                        .await
                    {
                        // A key that nothing here could have been signed with.
                        Err(KeyFault::WrongAlgorithm { .. } | KeyFault::WrongUsage { .. }) => {
                            continue;
                        }
                        seen => seen?,
                    }
                }
            });
        }
        self.learn(&whole.whole(), self.known(&whole, verifying(&found)))?;
        Ok(found)
    }

    fn remembered(&self, name: &Name, version: &str) -> Option<PublicKey> {
        let place = self.vault.endpoint();
        let known = self.known.any(&name.one(version), place).ok()??;
        PublicKey::from_pem(known.versions.first()?.public_key.as_bytes()).ok()
    }

    /// Takes note of what was seen. What verifies nothing is noted too, as
    /// that: an older note says otherwise.
    fn learn(&self, key: &KeyRef, known: Known) -> Result<(), KeyFault> {
        let place = self.vault.endpoint();
        if known.versions.is_empty() && self.known.any(key, place)?.is_none() {
            return Ok(());
        }
        self.known.learn(PROVIDER, key, place, known)
    }

    pub(super) fn known(&self, name: &Name, versions: Vec<KnownVersion>) -> Known {
        Known {
            at: self.known.now(),
            id: name.id(),
            versions,
        }
    }
}

/// The version in `https://vault/keys/key/version`.
///
/// # Errors
/// `Provider` where it is another key's.
pub(super) fn version_of(name: &Name, kid: Option<&str>) -> Result<String, KeyFault> {
    kid.and_then(|kid| kid.rsplit_once("/keys/"))
        .and_then(|(_, path)| path.split_once('/'))
        // Key Vault's names are the same in upper and lower case.
        .filter(|(key, _)| key.eq_ignore_ascii_case(&name.key))
        .map(|(_, version)| version.to_ascii_lowercase())
        .filter(|version| version.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or_else(|| other("another key"))
}

fn state(attributes: Option<&KeyAttributes>, now: Timestamp) -> State {
    let Some(attributes) = attributes else {
        return State::Signs;
    };
    if attributes.enabled == Some(false) {
        return State::Disabled;
    }
    match (moment(attributes.not_before), moment(attributes.expires)) {
        (Some(from), _) if now < from => State::NotYet(from),
        (_, Some(since)) if now >= since => State::Expired(since),
        _ => State::Signs,
    }
}

fn moment(at: Option<azure_core::time::OffsetDateTime>) -> Option<Timestamp> {
    at.map(|at| Timestamp::from_secs(at.unix_timestamp()))
}

fn other(what: &str) -> KeyFault {
    KeyFault::Provider {
        provider: PROVIDER,
        cause: format!("it answered with {what} than the one that was asked for"),
    }
}
