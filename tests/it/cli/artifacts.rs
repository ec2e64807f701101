//! Bad input: artifacts that cannot be read, or do not stand still.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{private, public, refused, signed_blob, verify, with_key};
use crate::harness::Scratch;

/// Changes one byte of a file again and again until dropped.
struct Writer(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Writer {
    fn of(path: std::path::PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut file = File::options().write(true).open(path).expect("the file");
            let mut byte = 0_u8;
            while !stopped.load(Ordering::Relaxed) {
                byte = byte.wrapping_add(1);
                file.rewind().expect("rewind");
                file.write_all(&[byte]).expect("write");
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            thread.join().expect("the writer");
        }
    }
}

fn large(scratch: &Scratch, name: &str) {
    let path = scratch.write(name, "x");
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(256 << 20).unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_hashed() {
    let scratch = Scratch::new();
    large(&scratch, "big.bin");
    let _writer = Writer::of(scratch.join("big.bin"));
    let out = with_key(&scratch, "big.bin", "p256");
    refused(&out, 4, &["artifact-changed", "changed while it was read"]);
    let args = ["sign", "big.bin", "--key", &private("p256")];
    refused(&scratch.obreia().args(args).run(), 4, &["artifact-changed"]);
    assert_eq!(scratch.files(), ["big.bin"]);
}

#[test]
fn a_model_that_changes_while_it_is_hashed_or_copied() {
    let scratch = super::model();
    large(&scratch, "m/big.bin");
    super::sign(&scratch, "m", "p256");
    let before = scratch.files();
    let _writer = Writer::of(scratch.join("m/big.bin"));
    refused(&with_key(&scratch, "m", "p256"), 4, &["artifact-changed"]);
    fs::create_dir(scratch.join("into")).unwrap();
    let args = ["guard", "m", "--into", "into", "--key", &public("p256")];
    refused(&scratch.obreia().args(args).run(), 4, &["artifact-changed"]);
    assert_eq!(scratch.files(), before, "nothing is left of the copy");
}

#[test]
fn a_file_that_holds_more_than_it_says() {
    let scratch = Scratch::new();
    let out = with_key(&scratch, "/proc/version", "p256");
    refused(&out, 4, &["artifact-changed"]);
}

#[test]
fn a_pipe_a_device_and_a_socket_are_not_opened() {
    let scratch = super::blob();
    let fifo = scratch.join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(scratch.join("socket")).unwrap();
    for (path, kind) in [
        ("pipe", "named pipe"),
        ("socket", "socket"),
        ("/dev/null", "character device"),
    ] {
        for command in ["verify", "guard", "sign"] {
            let key = if command == "sign" {
                private("p256")
            } else {
                public("p256")
            };
            let out = scratch
                .obreia()
                .args([command, path, "--key", &key])
                .deadline(Duration::from_secs(20))
                .run();
            refused(&out, 2, &[kind, "artifact-unreadable"]);
        }
    }
    // In a model, as a bundle, as a key, as a policy, as a predicate.
    let model = super::model();
    fs::rename(&fifo, model.join("m/pipe")).unwrap();
    refused(&with_key(&model, "m", "p256"), 2, &["named pipe"]);
    let key = public("p256");
    for args in [
        &[
            "verify",
            "m/config.json",
            "--key",
            &key,
            "--bundle",
            "m/pipe",
        ][..],
        &["verify", "m/config.json", "--key", "m/pipe"],
        &["verify", "m/config.json", "--policy", "m/pipe"],
        &["inspect", "m/pipe"],
        &["sign", "m/config.json", "--key", "m/pipe"],
        &[
            "attest",
            "m/config.json",
            "--type",
            "custom",
            "--predicate",
            "m/pipe",
            "--key",
            &private("p256"),
        ],
    ] {
        let deadline = Duration::from_secs(20);
        let out = model.obreia().args(args).deadline(deadline).run();
        assert_ne!(out.code, Some(0), "{out}");
        out.stderr_has("m/pipe");
    }
}

#[test]
fn evidence_that_cannot_be_looked_up_leaves_it_undetermined() {
    let scratch = signed_blob("p256");
    fs::remove_file(scratch.join("app.bin.sigstore.json")).unwrap();
    super::denied(&with_key(&scratch, "app.bin", "p256"), "no-signature");
    // A link to itself cannot be read, not even by root.
    symlink(
        "app.bin.sigstore.json",
        scratch.join("app.bin.sigstore.json"),
    )
    .unwrap();
    let out = with_key(&scratch, "app.bin", "p256");
    let json = super::undetermined(&out, "evidence-unreadable");
    assert_eq!(super::codes(&json, "notes"), ["no-signature"]);
}

#[test]
fn a_look_up_that_failed_and_was_not_needed_is_a_note() {
    let scratch = signed_blob("p256");
    symlink("gone", scratch.join("app.bin.x.sigstore.json")).unwrap();
    let out = with_key(&scratch, "app.bin", "p256");
    let json = super::allowed(&out);
    assert_eq!(super::codes(&json, "notes"), ["evidence-unreadable"]);
    let key = public("p256");
    let args = [
        "app.bin",
        "--key",
        &key,
        "--bundle",
        "app.bin.sigstore.json",
    ];
    super::allowed(&verify(&scratch, &args));
}
