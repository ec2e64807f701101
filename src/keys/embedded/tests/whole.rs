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
    let again = run(init(&place.state(), &secret(), &caller(), place.clock()));
    assert!(matches!(again, Err(KeyFault::Exists(_))));
    place.sign("kms://model-sign/a").unwrap();
}
