//! What was changed behind the keystore's back.

use super::*;

#[test]
fn an_older_copy_of_one_record_is_noticed_and_named() {
    let place = Place::with(&["model-sign/a"]);
    place.sql(&["CREATE TABLE old AS SELECT * FROM versions"]);
    place.rotate("model-sign/a", "30d");
    // Version 1 is put back as it was: active, validly sealed.
    place.sql(&[
        "DELETE FROM versions WHERE version = 1",
        "INSERT INTO versions SELECT * FROM old",
    ]);
    let (signing, reading) = place.damage("kms://model-sign/a");
    assert_eq!(signing, Damage::RolledBack(stored("model-sign/a", Some(1))));
    assert_eq!(
        reading,
        Some(Damage::Changed(stored("model-sign/a", Some(1))))
    );
}

#[test]
fn an_older_record_together_with_its_seal_is_noticed() {
    let place = Place::with(&["model-sign/a"]);
    place.sql(&[
        "CREATE TABLE old AS SELECT * FROM versions",
        "CREATE TABLE old_seals AS SELECT * FROM seals",
    ]);
    place.rotate("model-sign/a", "30d");
    place.sql(&[
        "DELETE FROM versions WHERE version = 1",
        "INSERT INTO versions SELECT * FROM old",
        "INSERT OR REPLACE INTO seals SELECT * FROM old_seals",
    ]);
    let (signing, _) = place.damage("kms://model-sign/a");
    assert_eq!(signing, Damage::Index("the list of seals"));
}

#[test]
fn an_older_passphrase_is_not_brought_back_with_its_slot() {
    let place = Place::with(&["model-sign/a"]);
    place.sql(&["CREATE TABLE old AS SELECT * FROM slots"]);
    let new = crate::secret::Secret::from("battery staple".to_owned());
    run(place.keyring().change_passphrase(&PASS, &new, &caller())).unwrap();
    place.sql(&["DELETE FROM slots", "INSERT INTO slots SELECT * FROM old"]);
    let (signing, reading) = place.damage("kms://model-sign/a");
    assert_eq!((signing, reading), (Damage::Slot(1), Some(Damage::Slot(1))));
}

#[test]
fn a_keyring_that_was_altered_is_noticed_without_the_passphrase_too() {
    let place = Place::with(&["model-sign/a"]);
    place.sql(&["UPDATE keyrings SET sealed = x'00'"]);
    let (signing, reading) = place.damage("kms://model-sign/a");
    let keyring = Damage::Index("the keyring");
    assert_eq!((signing, reading), (keyring.clone(), Some(keyring)));
}

/// A keystore's rows whose every hash fits, made by somebody who has the
/// passphrase or whose hashes are plain ones.
fn consistent_rows(vault: &Vault, key: Option<KeyRow>, version: VersionRow) -> Snapshot {
    let mut draft = draft::Draft::first("k".to_owned());
    if let Some(key) = &key {
        draft.key(key.clone());
    }
    draft.version(version.clone());
    let mut change = draft.finish(vault, 0);
    change.seals.sort_by(|a, b| a.record.cmp(&b.record));
    Snapshot {
        head: change.head,
        slots: Vec::new(),
        keyrings: Vec::new(),
        keys: key.into_iter().collect(),
        versions: vec![version],
        aliases: Vec::new(),
        seals: change.seals,
    }
}

fn rows(vault: &Vault, private: &PrivateKey, public: &PrivateKey) -> (KeyRow, VersionRow) {
    let key = KeyRow {
        id: "id".into(),
        path: "model-sign/a".into(),
        purpose: "model-sign".into(),
        state: "enabled".into(),
        policy: "built-in/1".into(),
        scheme: "ed25519".into(),
        created: 1,
    };
    let mut version = VersionRow {
        key: key.id.clone(),
        version: 1,
        state: "active".into(),
        grace_until: None,
        created: 1,
        public_key: public.public_key().spki_der().to_vec(),
        keyring: 0,
        sealed: Vec::new(),
    };
    vault.seal(&key, &mut version, private).unwrap();
    (key, version)
}

#[test]
fn a_public_key_that_is_not_the_private_ones_is_noticed_whatever_is_sealed() {
    let (vault, ..) = Vault::create(&secret()).unwrap();
    let [private, other] = [1, 2].map(|_| PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let (key, version) = rows(&vault, &private, &other);
    let mismatch = Damage::Mismatch(stored("model-sign/a", Some(1)));
    assert_eq!(vault.open(&key, &version).unwrap_err(), mismatch);
    let (key, version) = rows(&vault, &private, &private);
    assert!(vault.open(&key, &version).is_ok());
}

#[test]
fn a_version_of_no_key_is_noticed_though_every_hash_fits() {
    let (vault, ..) = Vault::create(&secret()).unwrap();
    let private = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let (key, version) = rows(&vault, &private, &private);
    let whole = consistent_rows(&vault, Some(key), version.clone());
    vault.verify(&whole).unwrap();
    let orphan = consistent_rows(&vault, None, version);
    let found = vault.verify(&orphan).unwrap_err();
    assert!(
        matches!(&found, Damage::Malformed(why) if why.contains("belongs to no key")),
        "{found}"
    );
}

#[test]
fn swapped_rows_are_noticed() {
    let place = Place::with(&["model-sign/a", "model-sign/b"]);
    place.sql(&[
        "CREATE TABLE swap AS SELECT * FROM versions",
        "UPDATE versions SET sealed = (SELECT sealed FROM swap WHERE swap.key != versions.key)",
    ]);
    let (signing, reading) = place.damage("kms://model-sign/a");
    assert!(matches!(signing, Damage::Swapped(_)), "{signing}");
    assert!(matches!(reading, Some(Damage::Changed(_))));
}

#[test]
fn every_field_beside_a_sealed_key_is_bound() {
    for sql in [
        "UPDATE keys SET state = 'disabled'",
        "UPDATE keys SET purpose = 'image-sign'",
        "UPDATE keys SET policy = 'none'",
        "UPDATE keys SET scheme = 'ed25519'",
        "UPDATE keys SET path = 'model-sign/x'",
        "UPDATE keys SET created = created + 1",
        "UPDATE versions SET state = 'grace'",
        "UPDATE versions SET grace_until = 1",
        "UPDATE versions SET created = created + 1",
        "UPDATE versions SET public_key = x'3059'",
        "UPDATE versions SET sealed = CAST(substr(sealed, 1, 90) || x'00' || substr(sealed, 92) AS BLOB)",
    ] {
        let place = Place::with(&["model-sign/a"]);
        place.sql(&[sql]);
        let key = if sql.contains("path") {
            "kms://model-sign/x"
        } else {
            "kms://model-sign/a"
        };
        let (signing, reading) = place.damage(key);
        assert!(matches!(signing, Damage::Altered(_)), "{sql}: {signing}");
        assert!(reading.is_some(), "{sql}");
    }
}

#[test]
fn an_adversary_who_knows_the_format_but_no_passphrase_is_noticed() {
    // All plain hashes made to fit; only the keyed one cannot be.
    let place = Place::with(&["model-sign/a"]);
    let keys = EmbeddedKeys::new(&place.state(), place.clock());
    let snapshot = run(keys.tables.load()).unwrap();
    let (vault, ..) = Vault::create(&secret()).unwrap();
    let other = PrivateKey::generate(KeyKind::EcP256).unwrap();
    let mut version = snapshot.versions[0].clone();
    version.public_key = other.public_key().spki_der().to_vec();
    let mut draft = draft::Draft::of(&snapshot);
    draft.version(version);
    let mut change = draft.finish(&vault, 0);
    place.sql(&["DELETE FROM versions"]);
    // What is upserted does not replace public keys, so the row is put in anew.
    change.head.generation = snapshot.head.generation + 1;
    run(keys.tables.commit(snapshot.head.generation, &change)).unwrap();
    let refused = place.sign("kms://model-sign/a").unwrap_err();
    assert!(
        matches!(
            refused,
            KeyFault::Damaged {
                damage: Damage::Head,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn rows_that_come_or_go_are_noticed() {
    for sql in [
        "DELETE FROM versions",
        "DELETE FROM aliases",
        "INSERT INTO aliases SELECT 'evil', id FROM keys",
        "DELETE FROM seals WHERE record LIKE 'alias/%'",
        "UPDATE aliases SET alias = 'other'",
        "UPDATE head SET generation = generation + 1",
        "UPDATE head SET records = records - 1",
        "DELETE FROM head",
        "DROP TABLE seals",
        "UPDATE keyrings SET sealed = x'00'",
    ] {
        let place = Place::new();
        place
            .create_new(&new("model-sign/a", &["a"]), KeyKind::EcP256)
            .unwrap();
        place.sql(&[sql]);
        let fault = place.sign("kms://model-sign/a").unwrap_err();
        assert!(matches!(fault, KeyFault::Damaged { .. }), "{sql}: {fault}");
        assert_eq!(fault.class(), FaultClass::Config);
    }
}

#[test]
fn the_whole_file_in_an_older_state_is_noticed() {
    let place = Place::with(&["model-sign/a"]);
    let file = place.state().join(KEYSTORE);
    let old = std::fs::read(&file).unwrap();
    place.rotate("model-sign/a", "1d");
    std::fs::write(&file, old).unwrap();
    let (signing, reading) = place.damage("kms://model-sign/a");
    assert!(matches!(signing, Damage::Older { .. }), "{signing}");
    assert!(matches!(reading, Some(Damage::Older { .. })));
}

#[test]
fn every_truncation_and_bit_flip_is_noticed_or_harmless() {
    let place = Place::with(&["model-sign/a"]);
    let file = place.state().join(KEYSTORE);
    let whole = std::fs::read(&file).unwrap();
    let good = place.trusted("kms://model-sign/a").unwrap();
    let check = |bytes: &[u8], what: String| {
        std::fs::write(&file, bytes).unwrap();
        for beside in ["keystore.db-wal", "keystore.db-shm"] {
            let _absent = std::fs::remove_file(place.state().join(beside));
        }
        // Never a panic, never another key.
        match place.trusted("kms://model-sign/a") {
            Ok(found) => assert_eq!(found, good, "{what}"),
            Err(fault) => assert_ne!(fault.class(), FaultClass::Usage, "{what}: {fault}"),
        }
    };
    for len in (0..whole.len()).step_by(997) {
        check(&whole[..len], format!("cut at {len}"));
    }
    for at in (0..whole.len()).step_by(101) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        check(&flipped, format!("flipped at {at}"));
    }
    std::fs::write(&file, &whole).unwrap();
    place.sign("kms://model-sign/a").unwrap();
}

#[test]
fn nothing_secret_lies_on_the_disk_in_clear() {
    let place = Place::new();
    let private = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    place
        .administer(Administer::Import {
            new: &new("model-sign/a", &[]),
            private: &private,
        })
        .unwrap();
    let der = private.to_pkcs8_der().unwrap();
    // The last 32 bytes of an Ed25519 PKCS #8 v1 document are the seed.
    let seed = &der.expose()[der.expose().len() - 32..];
    let mut paths = vec![place.state()];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap();
            paths.extend(inside.map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for needle in [seed, PASS.0.as_bytes()] {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{}", path.display());
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}
