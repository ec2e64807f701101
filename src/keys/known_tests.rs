use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use super::*;

const KEY: &str = "openbao://a";
const HERE: &str = "https://here";

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

/// A public key of its own for each call.
fn pem() -> String {
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
    assert_eq!(keys.fresh(&key(), HERE).unwrap(), None);
    let note = shown(keys.now(), &[(1, &pem(), "active")]);
    keys.learn("test", &key(), HERE, note.clone()).unwrap();
    clock.0.fetch_add(300, Ordering::SeqCst);
    assert_eq!(keys.fresh(&key(), HERE).unwrap(), Some(note.clone()));
    clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(keys.fresh(&key(), HERE).unwrap(), None);
    assert_eq!(keys.any(&key(), HERE).unwrap(), Some(note));
    // A note from the future says nothing about now.
    clock.0.store(999_999, Ordering::SeqCst);
    assert_eq!(keys.fresh(&key(), HERE).unwrap(), None);
}

#[test]
fn all_versions_of_a_key_are_one_note() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let note = shown(keys.now(), &[(2, &pem(), "active"), (1, &pem(), "grace")]);
    let second = KeyRef::parse("openbao://a?version=2").unwrap();
    keys.learn("test", &second, HERE, note.clone()).unwrap();
    assert_eq!(keys.fresh(&key(), HERE).unwrap(), Some(note));
    let other = KeyRef::parse("openbao://b").unwrap();
    assert_eq!(keys.any(&other, HERE).unwrap(), None);
}

#[test]
fn a_public_key_that_changes_under_its_version_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let first = pem();
    let note = shown(keys.now(), &[(1, &first, "active")]);
    keys.learn("test", &key(), HERE, note.clone()).unwrap();
    // Also once the note is old, and in a process that has only the file.
    clock.0.fetch_add(1_000_000, Ordering::SeqCst);
    for keys in [keys, known_keys(folder.path(), &clock)] {
        let changed = shown(keys.now(), &[(2, &first, "active"), (1, &pem(), "grace")]);
        let refused = keys
            .learn("test", &key(), HERE, changed.clone())
            .unwrap_err();
        assert!(
            matches!(&refused, KeyFault::PublicKeyChanged { key, .. } if key == "openbao://a version 1"),
            "{refused}"
        );
        assert_eq!(
            keys.any(&key(), HERE).unwrap(),
            Some(note.clone()),
            "the old note stands"
        );
        // A new version is no change of the old ones.
        let rotated = shown(keys.now(), &[(2, &pem(), "active"), (1, &first, "grace")]);
        let elsewhere = tempfile::tempdir().unwrap();
        let fresh = known_keys(elsewhere.path(), &clock);
        fresh.learn("test", &key(), HERE, note.clone()).unwrap();
        fresh.learn("test", &key(), HERE, rotated).unwrap();
    }
    // Whoever knows why it changed forgets the old one first.
    let keys = known_keys(folder.path(), &clock);
    assert_eq!(keys.forget(&key()), Ok(true));
    assert_eq!(keys.forget(&key()), Ok(false));
    let changed = shown(keys.now(), &[(1, &pem(), "active")]);
    keys.learn("test", &key(), HERE, changed).unwrap();
}

#[test]
fn a_note_that_cannot_be_read_is_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let note = shown(Timestamp::from_secs(1_000_000), &[(1, &pem(), "active")]);
    known_keys(folder.path(), &clock)
        .learn("test", &key(), HERE, note)
        .unwrap();
    let notes = folder.path().join("known-keys");
    let file = std::fs::read_dir(&notes).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    let another = shown(Timestamp::from_secs(1_000_000), &[(1, &pem(), "active")]);
    let refuses = || {
        let keys = known_keys(folder.path(), &clock);
        for refused in [
            keys.fresh(&key(), HERE).map(drop),
            keys.any(&key(), HERE).map(drop),
            keys.anywhere(&key()).map(drop),
            keys.learn("test", &key(), HERE, another.clone()),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), "unavailable", "{refused}");
            assert!(refused.to_string().contains("key forget"), "{refused}");
        }
    };
    for broken in [&b""[..], b"{", b"[]", b"null", &whole[..whole.len() / 2]] {
        std::fs::write(&file, broken).unwrap();
        refuses();
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refuses();
    std::fs::remove_dir(&file).unwrap();
    // Whoever knows why it is broken forgets it.
    std::fs::write(&file, "{").unwrap();
    let keys = known_keys(folder.path(), &clock);
    assert_eq!(keys.forget(&key()), Ok(true));
    keys.learn("test", &key(), HERE, another.clone()).unwrap();
    assert_eq!(keys.fresh(&key(), HERE).unwrap(), Some(another));
}

#[test]
fn what_another_place_shows_under_the_same_name_is_another_key() {
    const THERE: &str = "https://there";
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let here = shown(keys.now(), &[(2, &pem(), "active"), (1, &pem(), "grace")]);
    keys.learn("test", &key(), HERE, here.clone()).unwrap();
    clock.0.fetch_add(1, Ordering::SeqCst);
    let there = shown(keys.now(), &[(1, &pem(), "active")]);
    for keys in [keys.clone(), known_keys(folder.path(), &clock)] {
        assert_eq!(keys.any(&key(), THERE).unwrap(), None);
        assert_eq!(keys.fresh(&key(), HERE).unwrap(), Some(here.clone()));
    }
    keys.learn("test", &key(), THERE, there.clone()).unwrap();
    assert_eq!(keys.any(&key(), HERE).unwrap(), Some(here));
    // Who cannot tell which is meant takes what was shown last.
    assert_eq!(keys.anywhere(&key()).unwrap(), Some(there));
    let other = KeyRef::parse("openbao://ab").unwrap();
    assert_eq!(keys.anywhere(&other).unwrap(), None);
    // What is pinned at one place does not go because of the other.
    let changed = shown(keys.now(), &[(2, &pem(), "active")]);
    let refused = keys.learn("test", &key(), HERE, changed).unwrap_err();
    assert_eq!(refused.code(), "public-key-changed");
    assert_eq!(known_keys(folder.path(), &clock).forget(&key()), Ok(true));
    assert_eq!(known_keys(folder.path(), &clock).anywhere(&key()), Ok(None));
}

#[test]
fn versions_that_are_shown_no_more_stay_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let (one, two) = (pem(), pem());
    let first = shown(keys.now(), &[(1, &one, "active")]);
    keys.learn("test", &key(), HERE, first).unwrap();
    let second = shown(keys.now(), &[(2, &two, "active")]);
    keys.learn("test", &key(), HERE, second).unwrap();
    let known = keys.any(&key(), HERE).unwrap().unwrap();
    let versions: Vec<_> = known
        .versions
        .iter()
        .map(|v| (v.version, v.state.as_str()))
        .collect();
    assert_eq!(versions, [(Some(2), "active"), (Some(1), "retired")]);
    let trusted = known.trusted("test", &key()).unwrap();
    assert_eq!(trusted.len(), 1, "a retired version verifies nothing");
    let back = shown(keys.now(), &[(2, &two, "active"), (1, &pem(), "grace")]);
    let refused = keys.learn("test", &key(), HERE, back).unwrap_err();
    assert!(
        refused.to_string().contains("openbao://a version 1"),
        "{refused}"
    );
    let back = shown(keys.now(), &[(2, &two, "active"), (1, &one, "grace")]);
    keys.learn("test", &key(), HERE, back).unwrap();
}

#[test]
fn a_newest_version_that_goes_backwards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let (one, two) = (pem(), pem());
    let note = shown(keys.now(), &[(2, &two, "active"), (1, &one, "grace")]);
    keys.learn("test", &key(), HERE, note.clone()).unwrap();
    let older = shown(keys.now(), &[(1, &one, "active")]);
    let refused = keys.learn("test", &key(), HERE, older).unwrap_err();
    assert_eq!(refused.code(), "public-key-changed");
    assert!(
        refused.to_string().contains("it had version 2"),
        "{refused}"
    );
    assert_eq!(keys.any(&key(), HERE).unwrap(), Some(note));
}

#[test]
fn what_is_in_doubt_is_asked_for_anew_and_stays_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    let note = shown(keys.now(), &[(1, &pem(), "active")]);
    keys.learn("test", &key(), HERE, note).unwrap();
    keys.doubt("test", &key(), HERE);
    for keys in [keys, known_keys(folder.path(), &clock)] {
        assert_eq!(keys.fresh(&key(), HERE).unwrap(), None);
        let changed = shown(keys.now(), &[(1, &pem(), "active")]);
        assert!(keys.learn("test", &key(), HERE, changed).is_err());
    }
}

#[test]
fn notes_are_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let keys = known_keys(folder.path(), &turned());
    let note = shown(keys.now(), &[(1, &pem(), "active")]);
    keys.learn("test", &key(), HERE, note).unwrap();
    let notes = folder.path().join("known-keys").metadata().unwrap();
    assert_eq!(notes.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_note_with_anything_but_keys_in_it_is_no_key() {
    let good = pem();
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
    let (one, two, three) = (pem(), pem(), pem());
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
        Err(KeyFault::Disabled(_))
    ));
}

#[test]
fn what_one_process_learns_another_knows() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let [one, other] = [(), ()].map(|()| known_keys(folder.path(), &clock));
    let note = shown(one.now(), &[(1, &pem(), "active")]);
    assert_eq!(other.fresh(&key(), HERE).unwrap(), None);
    one.learn("test", &key(), HERE, note.clone()).unwrap();
    assert_eq!(other.fresh(&key(), HERE).unwrap(), Some(note.clone()));
    // Many at once leave a whole note, whoever was last.
    let (first, second) = (note.versions[0].public_key.clone(), pem());
    std::thread::scope(|scope| {
        for later in 0..8 {
            let keys = known_keys(folder.path(), &clock);
            let (first, second) = (&first, &second);
            let at = Timestamp::from_secs(note.at.secs() + later);
            scope.spawn(move || {
                let versions = [(2, second.as_str(), "active"), (1, first.as_str(), "grace")];
                keys.learn("test", &key(), HERE, shown(at, &versions))
                    .unwrap();
            });
        }
    });
    let last = known_keys(folder.path(), &clock)
        .any(&key(), HERE)
        .unwrap()
        .unwrap();
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
    let note = shown(keys.now(), &[(1, &pem(), "active")]);
    keys.learn("test", &key(), HERE, note.clone()).unwrap();
    assert_eq!(keys.clone().fresh(&key(), HERE).unwrap(), Some(note));
    assert_eq!(
        KnownKeys::new(None, &clock).any(&key(), HERE).unwrap(),
        None
    );
    assert_eq!(keys.forget(&key()), Ok(true));
    assert_eq!(keys.any(&key(), HERE).unwrap(), None);
}

#[test]
fn names_that_are_nobodys_uri_are_not_noted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = turned();
    let keys = known_keys(folder.path(), &clock);
    for name in ["kms://model-sign/dev", "a.pem"] {
        let name = KeyRef::parse(name).unwrap();
        let note = shown(keys.now(), &[(1, &pem(), "active")]);
        keys.learn("test", &name, HERE, note).unwrap();
        assert_eq!(keys.any(&name, HERE).unwrap(), None);
        assert_eq!(keys.forget(&name), Ok(false));
    }
    assert!(!folder.path().join("known-keys").exists());
}
