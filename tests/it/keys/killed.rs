//! SIGKILL while the keystore as a whole is changed: what was acknowledged
//! holds, one passphrase opens it and never two, and no row is torn.

use std::path::Path;
use std::time::Instant;

use super::knife::Knife;
use super::{PASSPHRASE, listed, obreia, place, run};
use crate::harness::{Obreia, Scratch};

const ROUNDS: u32 = 16;

/// The command with that passphrase.
fn with(scratch: &Scratch, passphrase: &str, args: &[&str]) -> Obreia {
    obreia(scratch, args).env("OBREIA_PASSPHRASE", passphrase)
}

/// Which of two passphrases opens the keystore: one and never both.
fn opens<'a>(scratch: &Scratch, one: &'a str, other: &'a str) -> &'a str {
    let sign = |passphrase| {
        let args = ["sign", "a.txt", "--key", "kms://model-sign/a", "--force"];
        with(scratch, passphrase, &args).run().code
    };
    match (sign(one), sign(other)) {
        (Some(0), Some(5)) => one,
        (Some(5), Some(0)) => other,
        codes => panic!("{one:?} and {other:?} end with {codes:?}"),
    }
}

fn with_key() -> Scratch {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).ok();
    scratch
}

#[test]
fn passwd() {
    let scratch = with_key();
    let word = |n: u32| format!("{PASSPHRASE} {n}");
    let change = |from: &str, to: &str| {
        with(&scratch, from, &["keystore", "passwd"]).env("OBREIA_NEW_PASSPHRASE", to)
    };
    let started = Instant::now();
    change(PASSPHRASE, &word(0)).run().ok();
    let mut knife = Knife::new(started.elapsed(), ROUNDS);
    let mut now = word(0);
    while let Some(round) = knife.next() {
        let next = word(round);
        let out = knife.cut(change(&now, &next));
        let acknowledged = out.code == Some(0) || out.stdout.contains("passphrase changed");
        let opened = opens(&scratch, &now, &next).to_owned();
        assert!(!acknowledged || opened == next, "round {round}\n{out}");
        knife.ended(opened == next);
        now = opened;
    }
    assert_eq!(listed(&scratch), ["kms://model-sign/a"]);
    change(&now, PASSPHRASE).run().ok();
    assert_eq!(opens(&scratch, PASSPHRASE, &now), PASSPHRASE);
}

#[test]
fn restore() {
    let scratch = with_key();
    // Two copies, each with a passphrase and keys of its own.
    let copies = [("one", "one.db", 1), ("two", "two.db", 2)];
    let mut before = PASSPHRASE;
    for (word, file, keys) in copies {
        with(&scratch, before, &["keystore", "passwd"])
            .env("OBREIA_NEW_PASSPHRASE", word)
            .run()
            .ok();
        if keys == 2 {
            with(&scratch, word, &["key", "create", "kms://model-sign/b"])
                .run()
                .ok();
        }
        run(&scratch, &["keystore", "backup", file]).ok();
        before = word;
    }
    let put = |(word, file, _): (&str, &str, usize)| {
        with(&scratch, word, &["keystore", "restore", file, "--force"])
    };
    let started = Instant::now();
    put(copies[0]).run().ok();
    let mut knife = Knife::new(started.elapsed(), ROUNDS);
    let (mut there, mut other) = (copies[0], copies[1]);
    while let Some(round) = knife.next() {
        let out = knife.cut(put(other));
        let acknowledged = out.code == Some(0) || out.stdout.contains("restored");
        let opened = opens(&scratch, there.0, other.0);
        assert!(!acknowledged || opened == other.0, "round {round}\n{out}");
        knife.ended(opened == other.0);
        if opened == other.0 {
            std::mem::swap(&mut there, &mut other);
        }
        // The one or the other, whole.
        assert_eq!(listed(&scratch).len(), there.2, "round {round}\n{out}");
    }
    // What killed runs left behind is in nobody's way, and nobody else's to read.
    put(other).run().ok();
    assert_eq!(opens(&scratch, there.0, other.0), other.0);
    private(&scratch.join("state"));
}

fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
    }
}
