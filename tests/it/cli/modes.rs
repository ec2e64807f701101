//! Who may write what is made, whatever the process's umask: nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{private, public, sign, signed_model};
use crate::harness::{Obreia, Output, Scratch};

/// The binary where everybody may do everything that is not refused by name.
fn open_to_all(scratch: &Scratch, args: &[&str]) -> Obreia {
    let script = format!("umask 000; exec '{}' \"$@\"", env!("CARGO_BIN_EXE_obreia"));
    scratch
        .obreia()
        .program("sh")
        .args(["-c", &script, "obreia"])
        .args(args)
        .env("OBREIA_PASSPHRASE", "correct horse battery")
}

fn mode(path: &Path) -> u32 {
    let meta = path.symlink_metadata().expect("metadata");
    meta.permissions().mode() & 0o7777
}

/// Everything below a folder, the folder too.
fn all(folder: &Path, found: &mut Vec<PathBuf>) {
    found.push(folder.to_owned());
    if folder.is_dir() {
        for entry in fs::read_dir(folder).unwrap() {
            all(&entry.unwrap().path(), found);
        }
    }
}

/// That nobody but the owner has any of these permissions.
#[track_caller]
fn nobody_may(bits: u32, folder: &Path) {
    let mut found = Vec::new();
    all(folder, &mut found);
    assert!(found.len() > 1, "nothing is there");
    for path in found {
        let mode = mode(&path);
        assert_eq!(mode & bits, 0, "{} has mode {mode:o}", path.display());
    }
}

/// What the first folder of that name beside `beside` is like while the
/// command runs, which is killed then.
fn folder_while(run: Obreia, beside: &Path, prefix: &str) -> u32 {
    let running = run.spawn();
    let started = Instant::now();
    let found = loop {
        let entries = fs::read_dir(beside).into_iter().flatten();
        let found = entries.map(|entry| entry.unwrap().path()).find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(prefix)
        });
        match found {
            Some(found) => break found,
            None if started.elapsed() > Duration::from_secs(30) => {
                panic!("no folder {prefix}: {}", running.kill());
            }
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    };
    let mode = mode(&found);
    let out: Output = running.kill();
    assert_eq!(out.signal, Some(9), "it was still at work\n{out}");
    mode
}

/// A model that takes a while to be copied.
fn large(scratch: &Scratch) {
    let path = scratch.write("m/large.bin", "x");
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(512 << 20).unwrap();
    sign(scratch, "m", "p256");
}

#[test]
fn the_guards_copy_is_for_nobody_else_while_it_is_made_and_after() {
    let scratch = super::model();
    large(&scratch);
    let key = public("p256");
    let guard = |into: &str| open_to_all(&scratch, &["guard", "m", "--into", into, "--key", &key]);
    fs::create_dir(scratch.join("into")).unwrap();
    let staging = folder_while(guard("into"), &scratch.join("into"), ".obreia-into-");
    assert_eq!(staging, 0o700);
    let scratch = signed_model();
    let args = ["guard", "m", "--into", "made/for/it", "--key", &key];
    open_to_all(&scratch, &args).run().ok();
    nobody_may(0o077, &scratch.join("made/for/it/m"));
    // Who may write into the folders above can put another folder in its place.
    nobody_may(0o022, &scratch.join("made"));
}

#[test]
fn what_is_pulled_can_be_read_and_not_written_by_others() {
    let scratch = super::model();
    large(&scratch);
    scratch
        .obreia()
        .args(["push", "m", "oci-layout:l:v1"])
        .run()
        .ok();
    let pull = |into: &str| open_to_all(&scratch, &["pull", "oci-layout:l:v1", into]);
    let staging = folder_while(pull("killed"), &scratch.path(), ".obreia-");
    assert_eq!(staging & 0o022, 0, "{staging:o}");
    assert!(!scratch.join("killed").exists());
    pull("out").run().ok();
    nobody_may(0o022, &scratch.join("out"));
    assert_eq!(mode(&scratch.join("out/sub")), 0o755);
    assert_eq!(mode(&scratch.join("out/config.json")), 0o644);
}

#[test]
fn bundles_reports_and_layouts_indexes_are_nobody_elses_to_write() {
    let scratch = super::model();
    let key = private("p256");
    let run = |args: &[&str]| open_to_all(&scratch, args).run().ok().clone();
    run(&["sign", "m", "--key", &key]);
    run(&["push", "m", "oci-layout:l:v1"]);
    run(&["guard", "m", "--report", "r.json", "--key", &public("p256")]);
    for path in ["m/model.sig", "l/index.json", "l/oci-layout", "r.json"] {
        let mode = mode(&scratch.join(path));
        assert_eq!(mode & 0o022, 0, "{path} has mode {mode:o}");
    }
}

#[test]
fn the_keystore_and_its_copies_are_nobody_elses_at_all() {
    let scratch = Scratch::new();
    let run = |args: &[&str]| open_to_all(&scratch, args).run().ok().clone();
    run(&["init", "."]);
    run(&["key", "create", "kms://model-sign/a"]);
    run(&["keystore", "backup", "copy.db"]);
    run(&["keystore", "restore", "copy.db", "--force"]);
    nobody_may(0o077, &scratch.join("state"));
    assert_eq!(mode(&scratch.join("copy.db")) & 0o077, 0);
}
