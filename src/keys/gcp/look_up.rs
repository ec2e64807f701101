//! Which versions a key has, and what they sign under: asked once, then
//! remembered.

use google_cloud_kms_v1::model::CryptoKeyVersion;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState as State;

use super::crc32c::crc32c;
use super::service::Service;
use super::uri::Name;
use super::{PROVIDER, algorithm, broken, fault};
use crate::crypto::{PublicKey, Scheme};
use crate::keys::KeyFault;
use crate::keys::known::{Known, KnownKeys, KnownVersion};
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::VersionState;

/// A version that may be used.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) version: u32,
    pub(super) public_key: PublicKey,
    pub(super) scheme: Scheme,
}

impl Seen {
    /// A version as it was noted.
    pub(super) fn noted(note: &KnownVersion) -> Option<Self> {
        Some(Self {
            version: note.version?,
            public_key: PublicKey::from_pem(note.public_key.as_bytes()).ok()?,
            scheme: Scheme::from_name(&note.scheme)?,
        })
    }
}

/// Looks keys up.
pub(super) struct LookUp<'a> {
    pub(super) service: &'a Service,
    pub(super) known: &'a KnownKeys,
}

impl LookUp<'_> {
    /// One version's public key; what is seen is remembered.
    pub(super) async fn one(&self, name: &Name, version: u32) -> Result<Seen, KeyFault> {
        let shown = name.one(version).to_string();
        let asked = self.service.public_key(name, version).await;
        let answer = match asked {
            Err(fault) => return Err(self.reason(name, version, fault).await),
            Ok(answer) => answer,
        };
        if answer.name != name.resource(version) {
            return Err(broken(
                "it answered with another key than the one that was asked for",
            ));
        }
        if answer.pem_crc32c != Some(crc32c(answer.pem.as_bytes())) {
            return Err(broken(
                "the public key was damaged on its way: its checksum is not right",
            ));
        }
        let scheme = algorithm::scheme(&answer.algorithm, &shown)?;
        let public_key =
            PublicKey::from_pem(answer.pem.as_bytes()).map_err(|e| KeyFault::WrongAlgorithm {
                key: shown.clone(),
                why: e.to_string(),
            })?;
        if !scheme.fits(public_key.kind()) {
            return Err(broken(
                "it showed a public key of another kind than the key's algorithm",
            ));
        }
        let seen = Seen {
            version,
            public_key,
            scheme,
        };
        self.learn(name, &name.note(version), std::slice::from_ref(&seen))?;
        Ok(seen)
    }

    /// The newest version that may be used. Remembered as that, but not as all
    /// there is.
    pub(super) async fn newest(&self, name: &Name) -> Result<Seen, KeyFault> {
        let (version, _) = self.enabled(name).await?.swap_remove(0);
        let seen = self.one(name, version).await?;
        self.learn(name, &name.newest(), std::slice::from_ref(&seen))?;
        Ok(seen)
    }

    /// All versions that may be used, newest first. What an older version's
    /// public key is does not change, so it is asked for once.
    pub(super) async fn all(&self, name: &Name) -> Result<Vec<Seen>, KeyFault> {
        let mut found: Vec<Seen> = Vec::new();
        for (version, _) in self.enabled(name).await? {
            let remembered = match found.is_empty() {
                true => None,
                false => self.remembered(name, version),
            };
            let seen = match remembered {
                Some(seen) => Ok(seen),
                None => self.one(name, version).await,
            };
            match seen {
                Ok(seen) => found.push(seen),
                // A version that nothing here could have been signed with.
                Err(KeyFault::WrongAlgorithm { .. }) if !found.is_empty() => {}
                Err(fault) => return Err(fault),
            }
        }
        self.learn(name, &name.whole(), &found)?;
        Ok(found)
    }

    /// The versions that are enabled, newest first and never none.
    pub(super) async fn enabled(
        &self,
        name: &Name,
    ) -> Result<Vec<(u32, CryptoKeyVersion)>, KeyFault> {
        let mut listed = Vec::new();
        for version in self.service.versions(name, "state=ENABLED").await? {
            // A service that does not know the filter sends all.
            if version.state == State::Enabled {
                listed.push((number(name, &version)?, version));
            }
        }
        listed.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        if listed.is_empty() {
            self.none_verifies(name);
            return Err(self.none_enabled(name).await?);
        }
        Ok(listed)
    }

    /// Why no version may be used.
    async fn none_enabled(&self, name: &Name) -> Result<KeyFault, KeyFault> {
        let listed = self.service.versions(name, "").await?;
        let is = |state: State| listed.iter().any(|version| version.state == state);
        let shown = name.whole().to_string();
        Ok(if is(State::Disabled) {
            KeyFault::Disabled(shown)
        } else if is(State::DestroyScheduled) {
            KeyFault::PendingDeletion(shown)
        } else if is(State::PendingGeneration) {
            broken("its first version is still being generated")
        } else {
            KeyFault::NoSuchKey(shown)
        })
    }

    /// Takes note that no version of the key is enabled.
    pub(super) fn none_verifies(&self, name: &Name) {
        for note in [name.newest(), name.whole()] {
            self.known.ended(PROVIDER, &note, self.service.endpoint());
        }
    }

    /// Takes note that the version is not enabled.
    pub(super) fn verifies_not(&self, name: &Name, version: u32) {
        let place = self.service.endpoint();
        self.known.ended(PROVIDER, &name.note(version), place);
    }

    /// Lets everything that is known of the version be asked for anew.
    pub(super) fn doubt(&self, name: &Name, version: u32) {
        for note in [name.newest(), name.whole(), name.note(version)] {
            self.known.doubt(PROVIDER, &note, self.service.endpoint());
        }
    }

    /// What is wrong with a version that the service will not use, which it
    /// says in words alone; looked up where that is permitted.
    pub(super) async fn reason(&self, name: &Name, version: u32, fault: KeyFault) -> KeyFault {
        if !matches!(
            fault,
            KeyFault::Refused { .. } | KeyFault::BadRequest { .. }
        ) {
            return fault;
        }
        let Ok(looked) = self.service.version(name, version).await else {
            return fault;
        };
        let whole = name.whole().to_string();
        if let Some(of_state) = fault::of_state(&looked.state, &whole, version) {
            self.verifies_not(name, version);
            return of_state;
        }
        match algorithm::scheme(&looked.algorithm, &name.one(version).to_string()) {
            Err(of_algorithm) => of_algorithm,
            Ok(_) => fault,
        }
    }

    /// What the service showed of the version when it last did.
    pub(super) fn remembered(&self, name: &Name, version: u32) -> Option<Seen> {
        let place = self.service.endpoint();
        let known = self.known.any(&name.note(version), place).ok()??;
        Seen::noted(known.versions.first()?)
    }

    /// Takes note of the versions that verify, newest first. One that is not
    /// enabled is shown no more, and is not gone: what is older than it may be
    /// the newest again.
    pub(super) fn learn(&self, name: &Name, note: &KeyRef, seen: &[Seen]) -> Result<(), KeyFault> {
        let place = self.service.endpoint();
        let before = self.known.any(note, place)?;
        let mut known = self.known(name, seen);
        for old in before.into_iter().flat_map(|known| known.versions) {
            if !known.versions.iter().any(|new| new.version == old.version) {
                let state = VersionState::Retired.as_str().to_owned();
                known.versions.push(KnownVersion { state, ..old });
            }
        }
        self.known.learn(PROVIDER, note, place, known)
    }

    /// What is to be known of versions that were seen now, newest first.
    pub(super) fn known(&self, name: &Name, seen: &[Seen]) -> Known {
        let notes = seen.iter().enumerate();
        Known {
            at: self.known.now(),
            id: name.key.clone(),
            versions: notes.map(|(at, seen)| note(seen, at == 0)).collect(),
        }
    }
}

fn note(seen: &Seen, newest: bool) -> KnownVersion {
    let state = if newest {
        VersionState::Active
    } else {
        VersionState::VerifyOnly
    };
    KnownVersion {
        version: Some(seen.version),
        name: None,
        public_key: seen.public_key.to_pem(),
        scheme: seen.scheme.to_string(),
        state: state.as_str().to_owned(),
    }
}

/// The number in `projects/…/cryptoKeys/K/cryptoKeyVersions/N`.
///
/// # Errors
/// `Provider` where it is another key's.
pub(super) fn number(name: &Name, version: &CryptoKeyVersion) -> Result<u32, KeyFault> {
    version
        .name
        .strip_prefix(&name.key)
        .and_then(|rest| rest.strip_prefix("/cryptoKeyVersions/"))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| broken("it answered with another key than the one that was asked for"))
}

pub(super) fn created(version: &CryptoKeyVersion) -> Option<Timestamp> {
    let at = version.create_time.as_ref()?;
    Some(Timestamp::from_secs(at.seconds()))
}
