//! A keystore that is not what it was, as a user meets it.

use obreia::storage::{Change, KeystoreTables, Snapshot, SqliteKeystore};

use super::{block_on, place, run};
use crate::harness::Scratch;

const SIGN: [&str; 6] = [
    "sign",
    "a.txt",
    "--key",
    "kms://model-sign/a",
    "--output",
    "b.json",
];

fn with_key() -> Scratch {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    scratch
}

fn tables(scratch: &Scratch) -> (SqliteKeystore, Snapshot) {
    let tables = SqliteKeystore::new(scratch.join("state/keystore.db"));
    let snapshot = block_on(tables.load()).unwrap();
    (tables, snapshot)
}

/// Writes rows behind the keystore's back, head and seals as they stand.
fn write(scratch: &Scratch, edit: impl FnOnce(&Snapshot, &mut Change)) {
    let (tables, snapshot) = tables(scratch);
    let mut change = Change {
        head: snapshot.head.clone(),
        slots: Vec::new(),
        keyrings: Vec::new(),
        keys: Vec::new(),
        versions: Vec::new(),
        aliases: Vec::new(),
        seals: Vec::new(),
    };
    edit(&snapshot, &mut change);
    block_on(tables.commit(snapshot.head.generation, &change)).unwrap();
}

/// Signing and listing both end with 3, nothing is written, and the damage is named.
fn refused(scratch: &Scratch, says: &str) {
    let before = std::fs::read(scratch.join("state/keystore.db")).unwrap();
    run(scratch, &SIGN)
        .expect_code(3)
        .stderr_has("is damaged")
        .stderr_has(says)
        .stderr_has("obreia keystore restore");
    assert!(!scratch.join("b.json").exists());
    run(scratch, &["key", "list"]).expect_code(3);
    run(scratch, &["verify", "a.txt", "--key", "kms://model-sign/a"]).expect_code(3);
    assert_eq!(
        before,
        std::fs::read(scratch.join("state/keystore.db")).unwrap()
    );
}

#[test]
fn a_wrong_passphrase_is_not_permitted() {
    let scratch = with_key();
    for args in [&SIGN[..], &["key", "create", "kms://model-sign/b"]] {
        scratch
            .obreia()
            .env("OBREIA_PASSPHRASE", "wrong")
            .args(args)
            .run()
            .expect_code(5)
            .stderr_has("the passphrase does not open");
    }
    assert!(!scratch.join("b.json").exists());
}

#[test]
fn an_older_copy_of_one_record() {
    let scratch = with_key();
    let (_, old) = tables(&scratch);
    run(&scratch, &["key", "rotate", "kms://model-sign/a"]).expect_code(0);
    write(&scratch, |_, change| change.versions = old.versions);
    refused(&scratch, "kms://model-sign/a?version=1");
    run(&scratch, &SIGN).stderr_has("an older copy stands in its place");
}

#[test]
fn rows_swapped() {
    let scratch = with_key();
    run(&scratch, &["key", "create", "kms://model-sign/b"]).expect_code(0);
    write(&scratch, |snapshot, change| {
        let (mut a, mut b) = (snapshot.versions[0].clone(), snapshot.versions[1].clone());
        std::mem::swap(&mut a.sealed, &mut b.sealed);
        change.versions = vec![a, b];
    });
    refused(&scratch, "kms://model-sign/");
    run(&scratch, &SIGN).stderr_has("rows were swapped");
}

#[test]
fn a_disabled_key_enabled_by_hand() {
    let scratch = with_key();
    run(&scratch, &["key", "disable", "kms://model-sign/a"]).expect_code(0);
    write(&scratch, |snapshot, change| {
        let mut key = snapshot.keys[0].clone();
        assert_eq!(key.state, "disabled");
        key.state = "enabled".to_owned();
        change.keys = vec![key];
    });
    refused(&scratch, "was altered");
}

#[test]
fn a_retired_version_brought_back_by_hand() {
    let scratch = with_key();
    run(&scratch, &["key", "rotate", "kms://model-sign/a"]).expect_code(0);
    run(&scratch, &["key", "retire", "kms://model-sign/a?version=1"]).expect_code(0);
    write(&scratch, |snapshot, change| {
        let mut version = snapshot.versions[0].clone();
        assert_eq!(version.state, "retired");
        version.state = "verify-only".to_owned();
        change.versions = vec![version];
    });
    refused(&scratch, "was altered");
}

#[test]
fn the_file_cut_short() {
    let scratch = with_key();
    let whole = scratch.read("state/keystore.db");
    for len in [0, 1, 100, 4_096, whole.len() / 2, whole.len() - 1] {
        scratch.write("state/keystore.db", &whole[..len]);
        run(&scratch, &SIGN)
            .expect_code(3)
            .stderr_has("the keystore ./state/keystore.db is damaged");
        assert!(!scratch.join("b.json").exists());
    }
    scratch.write("state/keystore.db", &whole);
    run(&scratch, &SIGN).expect_code(0);
}

#[test]
fn one_bit_flipped_in_the_private_key() {
    let scratch = with_key();
    let whole = scratch.read("state/keystore.db");
    let (_, snapshot) = tables(&scratch);
    let sealed = &snapshot.versions[0].sealed;
    let at = whole
        .windows(sealed.len())
        .position(|window| window == sealed)
        .expect("the sealed key stands in the file");
    let mut flipped = whole.clone();
    flipped[at + 80] ^= 1;
    scratch.write("state/keystore.db", &flipped);
    refused(&scratch, "kms://model-sign/a?version=1");
}

#[test]
fn the_whole_file_in_an_older_state() {
    let scratch = with_key();
    let old = scratch.read("state/keystore.db");
    run(&scratch, &["key", "disable", "kms://model-sign/a"]).expect_code(0);
    scratch.write("state/keystore.db", old);
    refused(&scratch, "the audit log has seen");
}

#[test]
fn something_else_in_its_place() {
    let scratch = with_key();
    scratch.write(
        "state/keystore.db",
        "not a database, but long enough to be read as one".repeat(100),
    );
    refused(&scratch, "it is no whole SQLite database");
}

#[test]
fn no_keystore_at_all() {
    let scratch = with_key();
    std::fs::remove_file(scratch.join("state/keystore.db")).unwrap();
    run(&scratch, &SIGN)
        .expect_code(3)
        .stderr_has("there is no keystore at ./state/keystore.db");
    assert!(
        !scratch.join("state/keystore.db").exists(),
        "none is made up"
    );
}
