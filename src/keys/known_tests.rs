use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use super::*;

const KEY: &str = "openbao://a";

/// A clock that somebody else turns.
struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn turned() -> Arc<Turned> {
    Arc::new(Turned(AtomicI64::new(1_000_000)))
}

fn known_keys(folder: &Path, clock: &Arc<Turned>) -> KnownKeys {
    let clock: Arc<dyn Clock> = Arc::<Turned>::clone(clock);
    KnownKeys::new(Some(folder), &clock)
}

fn pem(_: u8) -> String {
    let kind = crate::crypto::KeyKind::Ed25519;
    let private = crate::crypto::PrivateKey::generate(kind).unwrap();
    private.public_key().to_pem()
}

fn shown(at: Timestamp, versions: &[(u32, &str, &str)]) -> Known {
    let versions: Vec<_> = versions
        .iter()
        .map(|(version, public_key, state)| {
            json!({
                "version": version,
                "public_key": public_key,
                "scheme": "ed25519",
                "state": state,
            })
        })
        .collect();
    serde_json::from_value(json!({"at": at, "id": "id", "versions": versions})).unwrap()
}

fn key() -> KeyRef {
    KeyRef::parse(KEY).unwrap()
}

#[test]
fn fresh_for_five_minutes_and_then_for_those_who_may_not_ask() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    assert_eq!(keys.fresh(&key()), None);
    let note = shown(keys.now(), &[(1, &pem(1), "active")]);
    keys.learn("test", &key(), note.clone()).unwrap();
    clock.0.fetch_add(300, Ordering::SeqCst);
    assert_eq!(keys.fresh(&key()), Some(note.clone()));
    clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(keys.fresh(&key()), None);
    assert_eq!(keys.any(&key()), Some(note));
    // A note from the future says nothing about now.
    clock.0.store(999_999, Ordering::SeqCst);
    assert_eq!(keys.fresh(&key()), None);
}

#[test]
fn all_versions_of_a_key_are_one_note() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let note = shown(keys.now(), &[(2, &pem(2), "active"), (1, &pem(1), "grace")]);
    let second = KeyRef::parse("openbao://a?version=2").unwrap();
    keys.learn("test", &second, note.clone()).unwrap();
    assert_eq!(keys.fresh(&key()), Some(note));
    let other = KeyRef::parse("openbao://b").unwrap();
    assert_eq!(keys.any(&other), None);
}

#[test]
fn a_public_key_that_changes_under_its_version_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let first = pem(1);
    let note = shown(keys.now(), &[(1, &first, "active")]);
    keys.learn("test", &key(), note.clone()).unwrap();
    // Also once the note is old, and in a process that has only the file.
    clock.0.fetch_add(1_000_000, Ordering::SeqCst);
    for keys in [keys, known_keys(folder.path(), &clock)] {
        let changed = shown(keys.now(), &[(2, &first, "active"), (1, &pem(2), "grace")]);
        let refused = keys.learn("test", &key(), changed.clone()).unwrap_err();
        assert!(
            matches!(&refused, KeyFault::PublicKeyChanged { key, .. } if key == "openbao://a version 1"),
            "{refused}"
        );
        assert_eq!(keys.any(&key()), Some(note.clone()), "the old note stands");
        // A new version is no change of the old ones.
        let rotated = shown(keys.now(), &[(2, &pem(3), "active"), (1, &first, "grace")]);
        let elsewhere = tempfile::tempdir().unwrap();
        let fresh = known_keys(elsewhere.path(), &clock);
        fresh.learn("test", &key(), note.clone()).unwrap();
        fresh.learn("test", &key(), rotated).unwrap();
    }
    // Whoever knows why it changed forgets the old one first.
    let keys = known_keys(folder.path(), &clock);
    assert_eq!(keys.forget(&key()), Ok(true));
    assert_eq!(keys.forget(&key()), Ok(false));
    let changed = shown(keys.now(), &[(1, &pem(2), "active")]);
    keys.learn("test", &key(), changed).unwrap();
}

#[test]
fn a_note_that_cannot_be_read_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let note = shown(Timestamp::from_secs(1_000_000), &[(1, &pem(1), "active")]);
    known_keys(folder.path(), &clock)
        .learn("test", &key(), note)
        .unwrap();
    let notes = folder.path().join("known-keys");
    let file = std::fs::read_dir(&notes).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    for broken in [&b""[..], b"{", b"[]", b"null", &whole[..whole.len() / 2]] {
        std::fs::write(&file, broken).unwrap();
        let keys = known_keys(folder.path(), &clock);
        assert_eq!((keys.fresh(&key()), keys.any(&key())), (None, None));
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let keys = known_keys(folder.path(), &clock);
    assert_eq!(keys.any(&key()), None);
    // It is then asked for, and noted for this process at least.
    let note = shown(keys.now(), &[(1, &pem(1), "active")]);
    keys.learn("test", &key(), note.clone()).unwrap();
    assert_eq!(keys.fresh(&key()), Some(note));
}

#[test]
fn a_note_with_anything_but_keys_in_it_is_no_key() {
    let good = pem(1);
    for (public, scheme, state) in [
        ("no key", "ed25519", "active"),
        (good.as_str(), "rot13", "active"),
        (good.as_str(), "ed25519", "excellent"),
    ] {
        let version = json!({"version": 1, "public_key": public, "scheme": scheme, "state": state});
        let at = Timestamp::from_secs(0);
        let note: Known =
            serde_json::from_value(json!({"at": at, "id": "id", "versions": [version]})).unwrap();
        let refused = note.trusted("test", &key());
        assert!(
            matches!(refused, Err(KeyFault::Provider { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn versions_to_verify_with() {
    let (one, two, three) = (pem(1), pem(2), pem(3));
    let note = shown(
        Timestamp::from_secs(0),
        &[
            (3, &three, "active"),
            (2, &two, "verify-only"),
            (1, &one, "retired"),
        ],
    );
    let versions = |uri: &str| {
        let found = note.trusted("test", &KeyRef::parse(uri).unwrap());
        found.map(|keys| keys.iter().map(|key| key.version).collect::<Vec<_>>())
    };
    assert_eq!(versions(KEY), Ok(vec![Some(3), Some(2)]));
    assert_eq!(versions("openbao://a?version=2"), Ok(vec![Some(2)]));
    assert!(matches!(
        versions("openbao://a?version=1"),
        Err(KeyFault::Retired { version: 1, .. })
    ));
    assert!(matches!(
        versions("openbao://a?version=4"),
        Err(KeyFault::NoSuchVersion { version: 4, .. })
    ));
    let gone = shown(Timestamp::from_secs(0), &[(1, &one, "retired")]);
    assert!(matches!(
        gone.trusted("test", &key()),
        Err(KeyFault::NoSuchKey(_))
    ));
}

#[test]
fn what_one_process_learns_another_knows() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let [one, other] = [(), ()].map(|()| known_keys(folder.path(), &clock));
    let note = shown(one.now(), &[(1, &pem(1), "active")]);
    assert_eq!(other.fresh(&key()), None);
    one.learn("test", &key(), note.clone()).unwrap();
    assert_eq!(other.fresh(&key()), Some(note.clone()));
    // Many at once leave a whole note, whoever was last.
    let texts: Vec<String> = (0..8).map(|_| pem(0)).collect();
    std::thread::scope(|scope| {
        for (number, text) in (2..).zip(&texts) {
            let keys = known_keys(folder.path(), &clock);
            let (first, at) = (note.versions[0].public_key.clone(), note.at);
            scope.spawn(move || {
                let versions = [
                    (number, text.as_str(), "active"),
                    (1, first.as_str(), "grace"),
                ];
                keys.learn("test", &key(), shown(at, &versions)).unwrap();
            });
        }
    });
    let last = known_keys(folder.path(), &clock).any(&key()).unwrap();
    assert_eq!(last.versions.len(), 2);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("known-keys"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn without_a_state_folder_the_process_alone_knows() {
    let clock: Arc<dyn Clock> = turned();
    let keys = KnownKeys::new(None, &clock);
    let note = shown(keys.now(), &[(1, &pem(1), "active")]);
    keys.learn("test", &key(), note.clone()).unwrap();
    assert_eq!(keys.clone().fresh(&key()), Some(note));
    assert_eq!(KnownKeys::new(None, &clock).any(&key()), None);
    assert_eq!(keys.forget(&key()), Ok(true));
    assert_eq!(keys.any(&key()), None);
}

#[test]
fn names_that_are_nobodys_uri_are_not_noted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    for name in ["kms://model-sign/dev", "a.pem"] {
        let name = KeyRef::parse(name).unwrap();
        let note = shown(keys.now(), &[(1, &pem(1), "active")]);
        keys.learn("test", &name, note).unwrap();
        assert_eq!(keys.any(&name), None);
        assert_eq!(keys.forget(&name), Ok(false));
    }
    assert!(!folder.path().join("known-keys").exists());
}
