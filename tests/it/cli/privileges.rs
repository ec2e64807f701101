//! Bad input: what the system does not let one read or write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{private, public, refused, signed_blob};
use crate::harness::{Obreia, Output, Scratch, not_run};

/// Runs the binary as a user who is not root, or says that it was not run.
fn unprivileged(scratch: &Scratch, args: &[&str]) -> Option<Output> {
    if !rustix::process::geteuid().is_root() {
        return Some(scratch.obreia().args(args).run());
    }
    // The program may lie where others may not look, so it is copied.
    let program = scratch.home().join("obreia");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_obreia"), &program).expect("a copy");
    }
    for folder in [scratch.path(), scratch.home()] {
        open_to_all(&folder);
        open_to_all(folder.parent().expect("its parent"));
    }
    let nobody = [
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--",
    ];
    let run = scratch
        .obreia()
        .program("setpriv")
        .args(nobody)
        .arg(&program)
        .args(args);
    if run.command().output().is_err() {
        not_run("setpriv is missing: install the system package util-linux");
        return None;
    }
    Some(run.run())
}

fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("chmod");
}

fn forbid(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("chmod");
}

#[test]
fn an_unreadable_file() {
    let scratch = signed_blob("p256");
    scratch.write("key.pem", fs::read(public("p256")).unwrap());
    let args = ["verify", "app.bin", "--key", "key.pem"];
    let Some(out) = unprivileged(&scratch, &args) else {
        return;
    };
    out.ok();
    forbid(&scratch.join("app.bin"));
    let out = unprivileged(&scratch, &args).unwrap();
    refused(
        &out,
        4,
        &["artifact-unreadable", "app.bin", "make it readable"],
    );
}

#[test]
fn an_unreadable_file_in_a_model() {
    let scratch = super::signed_model();
    scratch.write("key.pem", fs::read(public("p256")).unwrap());
    forbid(&scratch.join("m/weights.bin"));
    let args = ["verify", "m", "--key", "key.pem"];
    let Some(out) = unprivileged(&scratch, &args) else {
        return;
    };
    refused(&out, 4, &["artifact-unreadable", "weights.bin"]);
}

#[test]
fn an_unreadable_bundle_beside_the_file_and_an_unreadable_folder() {
    let scratch = signed_blob("p256");
    scratch.write("key.pem", fs::read(public("p256")).unwrap());
    forbid(&scratch.join("app.bin.sigstore.json"));
    let args = ["verify", "app.bin", "--key", "key.pem", "-o", "json"];
    let Some(out) = unprivileged(&scratch, &args) else {
        return;
    };
    super::undetermined(&out, "evidence-unreadable");

    let scratch = Scratch::new();
    scratch.write("d/app.bin", "x");
    scratch.write("key.pem", fs::read(public("p256")).unwrap());
    // Its files can be opened by name, and not listed.
    fs::set_permissions(scratch.join("d"), fs::Permissions::from_mode(0o711)).unwrap();
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(scratch.join("d"), fs::Permissions::from_mode(0o111)).unwrap();
    }
    let args = ["verify", "d/app.bin", "--key", "key.pem", "-o", "json"];
    let out = unprivileged(&scratch, &args).unwrap();
    super::undetermined(&out, "evidence-unreadable");
    fs::set_permissions(scratch.join("d"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn sh(scratch: &Scratch, script: &str) -> Output {
    Obreia::in_scratch(scratch)
        .program("sh")
        .args(["-c", script])
        .run()
}

/// The binary and a key, as words of a shell's command line.
fn words() -> (String, String) {
    let program = env!("CARGO_BIN_EXE_obreia");
    (format!("'{program}'"), format!("'{}'", private("p256")))
}

#[test]
fn a_full_disk_on_write() {
    let scratch = super::model();
    let before = scratch.files();
    let (obreia, key) = words();
    // A limit on file sizes stands for the disk: it fails at the same write.
    let limit = "trap '' XFSZ; ulimit -f 0;";
    let out = sh(
        &scratch,
        &format!("{limit} exec {obreia} sign m/weights.bin --key {key}"),
    );
    refused(&out, 4, &["weights.bin.sigstore.json"]);
    let out = sh(
        &scratch,
        &format!("{limit} exec {obreia} sign m --key {key}"),
    );
    refused(&out, 4, &["model.sig"]);
    assert_eq!(scratch.files(), before, "nothing is half written");

    super::sign(&scratch, "m", "p256");
    let signed = scratch.files();
    let public = public("p256");
    let out = sh(
        &scratch,
        &format!("{limit} exec {obreia} guard m --into into --key '{public}' -- touch started"),
    );
    refused(&out, 125, &["into"]);
    assert_eq!(scratch.files(), signed, "nothing is left in the place");
    // An old bundle stays when a new one cannot be written.
    let old = scratch.read("m/model.sig");
    let out = sh(
        &scratch,
        &format!("{limit} exec {obreia} sign m --force --key {key}"),
    );
    out.expect_code(4);
    assert_eq!(scratch.read("m/model.sig"), old);
}

#[test]
fn a_small_file_system_that_is_full() {
    let scratch = super::model();
    scratch.write("m/big.bin", vec![1; 300 << 10]);
    super::sign(&scratch, "m", "p256");
    fs::create_dir(scratch.join("small")).unwrap();
    let (obreia, _) = words();
    let public = public("p256");
    // In a mount namespace of its own, so that nothing is left mounted.
    let mount = "mount -t tmpfs -o size=64k tmpfs small";
    if sh(&scratch, &format!("unshare -rm sh -c '{mount}'")).code != Some(0) {
        not_run("mounting a tmpfs is not permitted here");
        return;
    }
    let run = format!("{obreia} guard m --into small --key {public}; echo code $?; ls -A small");
    let out = sh(&scratch, &format!("unshare -rm sh -c '{mount}; {run}'"));
    out.stderr_has("No space left on device")
        .stderr_has("free some space");
    assert_eq!(out.stdout, "code 4\n", "the place is empty\n{out}");
}

#[test]
fn a_result_that_nobody_received_is_no_result() {
    let scratch = signed_blob("p256");
    let (obreia, _) = words();
    let public = public("p256");
    let out = sh(
        &scratch,
        &format!("exec {obreia} verify app.bin --key '{public}' > /dev/full"),
    );
    refused(&out, 4, &["cannot write to standard output"]);
}

/// What may not grow beyond `blocks` of 512 bytes.
fn within(scratch: &Scratch, blocks: usize, args: &[&str]) -> Output {
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec '{}' \"$@\"",
        env!("CARGO_BIN_EXE_obreia")
    );
    let run = scratch.obreia().program("sh");
    run.args(["-c", &script, "obreia"]).args(args).run()
}

#[test]
fn a_file_that_cannot_be_replaced_stays_whole() {
    let scratch = super::signed_blob("p256");
    let key = private("p256");
    let again = [
        "sign",
        "app.bin",
        "--force",
        "--annotation",
        "note=something to make the bundle longer than the room that is left for it",
        "--key",
        &key,
    ];
    let before = scratch.read("app.bin.sigstore.json");
    within(&scratch, 1, &again).expect_code(4);
    assert_eq!(scratch.read("app.bin.sigstore.json"), before);
    assert_eq!(scratch.files(), ["app.bin", "app.bin.sigstore.json"]);
    within(&scratch, 100, &again).ok();
    assert_ne!(scratch.read("app.bin.sigstore.json"), before);
    // A layout's index too: a push that fails leaves what was there.
    let push = ["push", "app.bin", "oci-layout:l:v1"];
    scratch.obreia().args(push).run().ok();
    let index = scratch.read("l/index.json");
    let push = ["push", "app.bin", "oci-layout:l:another-tag-for-the-same"];
    within(&scratch, index.len() / 512, &push).expect_code(4);
    assert_eq!(scratch.read("l/index.json"), index);
}
