//! The keystore as a whole: copies, passphrase.

use super::*;

#[test]
fn a_copy_restores_and_the_old_one_is_kept() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    let keyring = place.keyring();
    run(keyring.backup(&copy, false, &caller())).unwrap();
    assert!(matches!(
        run(keyring.backup(&copy, false, &caller())),
        Err(KeyFault::Exists(_))
    ));
    let before = place.sign("kms://model-sign/a").unwrap();
    place.create("model-sign/b").unwrap();

    let restore =
        |replace, unlock: &'static Fixed| run(keyring.restore(&copy, replace, unlock, &caller()));
    assert!(matches!(restore(false, &PASS), Err(KeyFault::Exists(_))));
    assert!(matches!(
        restore(true, &Fixed("wrong")),
        Err(KeyFault::WrongPassphrase(_))
    ));
    assert_eq!(
        run(keyring.list()).unwrap().len(),
        2,
        "refusals change nothing"
    );

    let restored = restore(true, &PASS).unwrap();
    assert_eq!(restored.keys, 1);
    assert!(restored.kept.unwrap().is_file());
    assert_eq!(run(keyring.list()).unwrap().len(), 1);
    let trusted = place.trusted("kms://model-sign/a").unwrap();
    trusted[0]
        .scheme
        .verify(&trusted[0].public_key, b"abc", &before.signature)
        .unwrap();
    place.sign("kms://model-sign/a").unwrap();
    place.create("model-sign/b").unwrap();
}

#[test]
fn a_tampered_copy_is_never_put_in_place() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    let file = place.state().join(KEYSTORE);
    let good = std::fs::read(&file).unwrap();
    place.sql(&["UPDATE versions SET state = 'grace'"]);
    std::fs::copy(&file, &copy).unwrap();
    std::fs::write(&file, &good).unwrap();
    let fault = run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap_err();
    assert!(
        matches!(
            fault,
            KeyFault::Damaged {
                damage: Damage::Altered(_),
                ..
            }
        ),
        "{fault}"
    );
    place.sign("kms://model-sign/a").unwrap();
    let left: Vec<_> = std::fs::read_dir(place.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("restore"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_copy_with_a_broken_page_is_put_in_place() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    let whole = std::fs::read(&copy).unwrap();
    // In the row, which is sealed, and in the index over it, which is not.
    let path = b"model-sign/a";
    let places: Vec<usize> = whole
        .windows(path.len())
        .enumerate()
        .filter_map(|(at, bytes)| (bytes == path).then_some(at))
        .collect();
    assert_eq!(places.len(), 2);
    for at in places {
        let mut broken = whole.clone();
        broken[at + path.len() - 1] = b'b';
        std::fs::write(&copy, broken).unwrap();
        let fault = run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap_err();
        assert!(matches!(fault, KeyFault::Damaged { .. }), "{fault}");
    }
    place.sign("kms://model-sign/a").unwrap();
}

#[test]
fn a_damaged_keystore_can_be_restored_over() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    std::fs::write(place.state().join(KEYSTORE), b"gone").unwrap();
    place.sign("kms://model-sign/a").unwrap_err();
    run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap();
    place.sign("kms://model-sign/a").unwrap();
}

#[test]
fn a_restored_keystore_is_newer_than_one_that_the_log_does_not_know_of() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    let parts = ["audit/journal", "audit/checkpoint", "audit.head"];
    let before = parts.map(|part| std::fs::read(place.state().join(part)).unwrap());
    // Killed after the change and before its outcome was recorded.
    place.rotate("model-sign/a", "1d");
    for (part, bytes) in parts.iter().zip(before) {
        std::fs::write(place.state().join(part), bytes).unwrap();
    }
    let tables = SqliteKeystore::new(place.state().join(KEYSTORE));
    let ahead = run(tables.generation()).unwrap();
    let restored = run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap();
    assert!(restored.generation > ahead, "{restored:?}, {ahead}");
}

#[test]
fn a_name_that_a_killed_restore_gave_stops_no_restore() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    let file = place.state().join(KEYSTORE);
    let tables = SqliteKeystore::new(&file);
    let next = run(tables.generation()).unwrap() + 1;
    let aside = place.state().join(format!("{KEYSTORE}.before-{next}"));
    // Killed before the copy came into place: the name leads to the same file.
    std::fs::hard_link(&file, &aside).unwrap();
    let restored = run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap();
    assert_eq!((restored.generation, restored.kept), (next, Some(aside)));
    // Another file's name is left alone.
    let other = place
        .state()
        .join(format!("{KEYSTORE}.before-{}", next + 1));
    std::fs::write(&other, "mine").unwrap();
    let restored = run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"mine");
    let kept = restored.kept.unwrap();
    assert!(kept != other && kept.is_file(), "{}", kept.display());
    place.sign("kms://model-sign/a").unwrap();
}

#[test]
fn only_the_new_passphrase_opens_after_a_change() {
    let place = Place::with(&["model-sign/a"]);
    let new = crate::secret::Secret::from("battery staple".to_owned());
    let change = |old: &'static Fixed| run(place.keyring().change_passphrase(old, &new, &caller()));
    assert!(matches!(
        change(&Fixed("wrong")),
        Err(KeyFault::WrongPassphrase(_))
    ));
    change(&PASS).unwrap();
    assert!(matches!(
        place.sign("kms://model-sign/a"),
        Err(KeyFault::WrongPassphrase(_))
    ));
    let key = KeyRef::parse("kms://model-sign/a").unwrap();
    run(place.keyring().open_key(&key, &Fixed("battery staple"))).unwrap();
}

#[test]
fn an_existing_keystore_is_never_made_anew() {
    let place = Place::with(&["model-sign/a"]);
    let log = std::fs::read(place.state().join("audit/journal")).unwrap();
    let again = run(init(&place.state(), &secret(), &caller(), place.clock()));
    assert!(matches!(again, Err(KeyFault::Exists(_))));
    // It was not even begun.
    assert_eq!(
        log,
        std::fs::read(place.state().join("audit/journal")).unwrap()
    );
    place.sign("kms://model-sign/a").unwrap();
}
