//! What every provider must do that makes, changes or tells of keys, run
//! against each adapter that offers any of it, by its own tests.
//!
//! What an adapter does not offer it leaves out of its capabilities; a part
//! that only some of its keys have is refused as `Unsupported`, by name.

use super::contract::signs;
use super::{Described, DescribedVersion, KeyFault, KeyProvider, NewKey, Unlock};
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::KeyState;
use crate::reference::KeyRef;
use crate::trust::VersionState;

/// `fresh` gives keys that do not exist, a new one for each word.
pub(super) struct Keeping<'a> {
    pub(super) provider: &'a dyn KeyProvider,
    pub(super) fresh: &'a (dyn Fn(&str) -> KeyRef + Sync),
    pub(super) kind: KeyKind,
    pub(super) unlock: &'a dyn Unlock,
    /// Whether a version that was replaced still signs where it is named: at a
    /// remote service that is the service's to say, and not custody's.
    pub(super) replaced_versions_sign: bool,
}

pub(super) async fn keeps(case: &Keeping<'_>) {
    let can = case.provider.capabilities();
    tells_of_nothing_that_is_not_there(case).await;
    if can.generate.is_some() {
        makes(case).await;
    }
    if can.import.is_some() {
        takes_in(case).await;
    }
    if can.generate.is_some() && can.rotate.is_some() {
        rotates(case).await;
    }
    if can.generate.is_some() && can.lifecycle.is_some() {
        stops_and_lets_go_on(case).await;
    }
    if can.generate.is_some() && can.rotate.is_some() && can.retire.is_some() {
        retires(case).await;
    }
}

fn new(key: KeyRef) -> NewKey {
    NewKey {
        key,
        aliases: Vec::new(),
        new_purpose: false,
    }
}

async fn tells_of_nothing_that_is_not_there(case: &Keeping<'_>) {
    let absent = (case.fresh)("absent");
    let can = case.provider.capabilities();
    if let Some(keys) = can.describe {
        is_absent(keys.describe(&absent).await);
    }
    if let Some(keys) = can.rotate {
        is_absent(keys.rotate(&absent, span(), case.unlock).await);
    }
    if let Some(keys) = can.lifecycle {
        let refused = keys.set_state(&absent, KeyState::Disabled, case.unlock);
        is_absent(refused.await);
    }
}

fn is_absent(told: Result<Described, KeyFault>) {
    assert!(matches!(told, Err(KeyFault::NoSuchKey(_))), "{told:?}");
}

async fn makes(case: &Keeping<'_>) {
    let key = (case.fresh)("made");
    let made = make(case, &key).await;
    assert_eq!(made.versions.len(), 1);
    assert_eq!(made.versions[0].public_key.kind(), case.kind);
    assert!(made.scheme.fits(case.kind));
    is_itself(case, &key, &made).await;
    // One that is there is never made anew, or replaced.
    let can = case.provider.capabilities();
    let Some(keys) = can.generate else { return };
    let again = keys
        .generate(&new(key.clone()), case.kind, case.unlock)
        .await;
    assert!(matches!(again, Err(KeyFault::Exists(_))), "{again:?}");
    is_itself(case, &key, &made).await;
}

async fn make(case: &Keeping<'_>, key: &KeyRef) -> Described {
    let can = case.provider.capabilities();
    let keys = can.generate.unwrap();
    let made = keys
        .generate(&new(key.clone()), case.kind, case.unlock)
        .await;
    made.unwrap()
}

/// What was made is what is described, listed, opened and trusted.
async fn is_itself(case: &Keeping<'_>, key: &KeyRef, made: &Described) {
    let provider = case.provider;
    assert_eq!(made.provider, provider.name());
    assert_eq!(made.state, KeyState::Enabled);
    let active = active(made);
    if let Some(keys) = provider.capabilities().describe {
        let told = keys.describe(key).await.unwrap();
        assert_eq!((&told.id, &told.path), (&made.id, &made.path));
        assert_eq!(told.versions.len(), made.versions.len());
        assert_eq!(&self::active(&told).public_key, &active.public_key);
        match keys.list().await {
            Ok(all) => assert!(all.iter().any(|one| one.id == made.id), "{all:?}"),
            Err(fault) => assert!(matches!(fault, KeyFault::Unsupported { .. }), "{fault}"),
        }
    }
    let signer = provider.open(key, case.unlock).await.unwrap();
    assert_eq!(signer.public_key(), &active.public_key);
    assert_eq!(signer.key().id, made.id);
    assert_eq!(signer.key().version, active.version);
    signs(signer.as_ref()).await;
    let trusted = provider.trusted(key).await.unwrap();
    assert_eq!(trusted[0].public_key, active.public_key);
    assert_eq!(trusted[0].state, VersionState::Active);
}

fn active(described: &Described) -> &DescribedVersion {
    let mut found = described
        .versions
        .iter()
        .filter(|version| version.state == VersionState::Active);
    let active = found.next().unwrap();
    assert!(
        found.next().is_none(),
        "one version is active: {described:?}"
    );
    active
}

async fn takes_in(case: &Keeping<'_>) {
    let can = case.provider.capabilities();
    let keys = can.import.unwrap();
    let private = PrivateKey::generate(case.kind).unwrap();
    let key = (case.fresh)("imported");
    let made = keys.import(&new(key.clone()), &private, case.unlock).await;
    let made = made.unwrap();
    assert_eq!(&active(&made).public_key, private.public_key());
    is_itself(case, &key, &made).await;
    let other = PrivateKey::generate(case.kind).unwrap();
    let again = keys.import(&new(key.clone()), &other, case.unlock).await;
    assert!(matches!(again, Err(KeyFault::Exists(_))), "{again:?}");
    is_itself(case, &key, &made).await;
}

async fn rotates(case: &Keeping<'_>) {
    let key = (case.fresh)("rotated");
    let before = make(case, &key).await;
    let old = case.provider.open(&key, case.unlock).await.unwrap();
    let signature = old.sign(b"before").await.unwrap();
    let can = case.provider.capabilities();
    let keys = can.rotate.unwrap();
    let after = keys.rotate(&key, span(), case.unlock).await.unwrap();
    assert_eq!(after.id, before.id);
    assert_eq!(after.versions.len(), 2);
    assert_ne!(active(&after).public_key, active(&before).public_key);
    if let (Some(new), Some(old)) = (active(&after).version, active(&before).version) {
        assert!(new > old);
    }
    is_itself(case, &key, &after).await;
    // What was signed before is still believed, and by the version that signed.
    let trusted = case.provider.trusted(&key).await.unwrap();
    assert_eq!(trusted.len(), 2);
    let by = trusted
        .iter()
        .filter(|version| {
            let valid = version
                .scheme
                .verify(&version.public_key, b"before", &signature);
            valid.is_ok()
        })
        .collect::<Vec<_>>();
    assert_eq!(by.len(), 1);
    assert_eq!(by[0].version, active(&before).version);
    assert_ne!(by[0].state, VersionState::Active);
    if case.replaced_versions_sign {
        // Named, the old version is opened and trusted as itself, and alone.
        let named = match old.key().version {
            Some(_) => numbered(&key, old.key().version),
            // What has no number is told by the path.
            None => KeyRef::parse(&old.key().path).unwrap(),
        };
        let again = case.provider.open(&named, case.unlock).await.unwrap();
        assert_eq!(again.public_key(), old.public_key());
        signs(again.as_ref()).await;
        let only = case.provider.trusted(&named).await.unwrap();
        assert_eq!(only.len(), 1);
        assert_eq!(&only[0].public_key, old.public_key());
        return;
    }
    // The old version does not sign, or custody is told that it must not.
    if let Ok(again) = old.sign(b"after").await {
        let named = numbered(&key, active(&before).version);
        let opened = case.provider.open(&named, case.unlock).await;
        let state = opened.map(|signer| signer.key().version_state);
        assert_ne!(state, Ok(VersionState::Active));
        assert!(
            by[0]
                .scheme
                .verify(&by[0].public_key, b"after", &again)
                .is_ok()
        );
    }
}

fn numbered(key: &KeyRef, version: Option<u32>) -> KeyRef {
    match (key, version) {
        (KeyRef::Kms { path, .. }, version) => KeyRef::Kms {
            path: path.clone(),
            version,
        },
        (key, Some(version)) => super::settings::with_version(key, version).unwrap(),
        (key, None) => key.clone(),
    }
}

async fn stops_and_lets_go_on(case: &Keeping<'_>) {
    let key = (case.fresh)("stopped");
    make(case, &key).await;
    let can = case.provider.capabilities();
    let keys = can.lifecycle.unwrap();
    for _ in 0..2 {
        let told = keys.set_state(&key, KeyState::Disabled, case.unlock).await;
        let told = match told {
            Err(KeyFault::Unsupported { .. }) => return,
            told => told.unwrap(),
        };
        assert_eq!(told.state, KeyState::Disabled);
        match case.provider.open(&key, case.unlock).await {
            Ok(signer) => assert_eq!(signer.key().state, KeyState::Disabled),
            Err(fault) => assert!(matches!(fault, KeyFault::Disabled(_)), "{fault}"),
        }
    }
    for _ in 0..2 {
        let told = keys.set_state(&key, KeyState::Enabled, case.unlock).await;
        assert_eq!(told.unwrap().state, KeyState::Enabled);
    }
    let signer = case.provider.open(&key, case.unlock).await.unwrap();
    signs(signer.as_ref()).await;
}

async fn retires(case: &Keeping<'_>) {
    let key = (case.fresh)("retired");
    make(case, &key).await;
    let can = case.provider.capabilities();
    let (rotate, keys) = (can.rotate.unwrap(), can.retire.unwrap());
    // The version that signs cannot be retired.
    let refused = keys.retire(&key, 1, case.unlock).await;
    assert!(refused.is_err(), "{refused:?}");
    rotate.rotate(&key, span(), case.unlock).await.unwrap();
    for _ in 0..2 {
        keys.retire(&key, 1, case.unlock).await.unwrap();
        let trusted = case.provider.trusted(&key).await.unwrap();
        assert_eq!(trusted.len(), 1, "{trusted:?}");
        let named = case.provider.trusted(&numbered(&key, Some(1))).await;
        assert!(
            matches!(
                named,
                Err(KeyFault::Retired { .. } | KeyFault::NoSuchVersion { .. })
            ),
            "{named:?}"
        );
    }
}

fn span() -> crate::time::Span {
    "30d".parse().unwrap()
}
