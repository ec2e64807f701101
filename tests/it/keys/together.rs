//! Several processes at the same keystore.

use super::{listed, obreia, place, records};

#[test]
fn of_two_that_make_the_same_key_one_wins() {
    let scratch = place();
    for round in 0..4 {
        let path = format!("kms://model-sign/same{round}");
        let start = || obreia(&scratch, &["key", "create", &path]).spawn();
        let (one, two) = (start(), start());
        let (one, two) = (one.wait(), two.wait());
        let loser = match (one.code, two.code) {
            (Some(0), Some(2)) => two,
            (Some(2), Some(0)) => one,
            _ => panic!("{one}\n{two}"),
        };
        loser.stderr_has(&format!("there is already a key {path}"));
        let there = listed(&scratch);
        assert_eq!(there.iter().filter(|listed| **listed == path).count(), 1);
    }
}

#[test]
fn of_many_that_make_different_keys_all_win() {
    let scratch = place();
    let paths: Vec<_> = (0..6).map(|n| format!("kms://model-sign/k{n}")).collect();
    let running: Vec<_> = paths
        .iter()
        .map(|path| obreia(&scratch, &["key", "create", path]).spawn())
        .collect();
    for one in running {
        one.wait().expect_code(0);
    }
    assert_eq!(listed(&scratch), paths);
    // One chain, whatever the order in which they wrote.
    let records = records(&scratch);
    let ok = records
        .iter()
        .filter(|r| r["op"] == "create" && r["result"] == "ok");
    assert_eq!(ok.count(), 6);
}

#[test]
fn signing_goes_on_while_keys_are_made_and_copied() {
    let scratch = place();
    super::run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    scratch.write("a.txt", "hello");
    let mut running = Vec::new();
    for n in 0..3 {
        let (bundle, path, copy) = (
            format!("b{n}"),
            format!("kms://model-sign/b{n}"),
            format!("c{n}"),
        );
        let sign = [
            "sign",
            "a.txt",
            "--key",
            "kms://model-sign/a",
            "--output",
            &bundle,
        ];
        running.push(obreia(&scratch, &sign).spawn());
        running.push(obreia(&scratch, &["key", "create", &path]).spawn());
        running.push(obreia(&scratch, &["keystore", "backup", &copy]).spawn());
    }
    for one in running {
        one.wait().expect_code(0);
    }
    records(&scratch);
    for n in 0..3 {
        let copy = format!("c{n}");
        super::run(&scratch, &["keystore", "restore", &copy, "--force"]).expect_code(0);
    }
}

#[test]
fn a_keystore_that_another_holds_is_waited_for_and_then_named() {
    let scratch = place();
    super::run(&scratch, &["keystore", "backup", "copy.db"]).ok();
    let tables = obreia::storage::SqliteKeystore::new(scratch.join("state/keystore.db"));
    let held = super::block_on(tables.exclusive()).unwrap();
    obreia(
        &scratch,
        &["key", "create", "kms://model-sign/a", "-o", "json"],
    )
    .run()
    .stderr_has("is in use by another process")
    .fails("busy", "try again");
    // Nor is it replaced under whoever uses it.
    let before = std::fs::metadata(scratch.join("state/keystore.db")).unwrap();
    obreia(&scratch, &["keystore", "restore", "copy.db", "--force"])
        .run()
        .expect_code(4)
        .stderr_has("is in use by another process");
    use std::os::unix::fs::MetadataExt;
    let after = std::fs::metadata(scratch.join("state/keystore.db")).unwrap();
    assert_eq!(before.ino(), after.ino());
    drop(held);
    obreia(&scratch, &["key", "create", "kms://model-sign/a"])
        .run()
        .expect_code(0);
}
