//! Bad models, through the command line: a clear reason, the right exit code,
//! nothing half written.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::harness::{Output, Scratch, peer};

/// What is done to a signed model, the reason that follows, and what it tells.
type Change = (fn(&Scratch), &'static str, &'static str);

fn signed() -> Scratch {
    let scratch = Scratch::new();
    let openssl = peer("openssl").unwrap();
    for args in [
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k.pem",
        "pkey -in k.pem -pubout -out k.pub",
    ] {
        let args = args.split(' ');
        scratch.obreia().program(&openssl).args(args).run().ok();
    }
    scratch.write("m/config.json", "{}");
    scratch.write("m/layer/0/weights.bin", "weights");
    sign(&scratch).ok();
    verify(&scratch).ok();
    scratch
}

fn sign(scratch: &Scratch) -> Output {
    let args = ["sign", "m", "--key", "k.pem", "--force"];
    scratch
        .obreia()
        .args(args)
        .deadline(Duration::from_secs(20))
        .run()
}

fn verify(scratch: &Scratch) -> Output {
    let args = ["verify", "m", "--key", "k.pub", "--explain"];
    scratch
        .obreia()
        .args(args)
        .deadline(Duration::from_secs(20))
        .run()
}

#[test]
fn every_change_has_its_reason() {
    let changes: [Change; 7] = [
        (|s| drop(s.write("m/new", "n")), "unsigned-files", "\"new\""),
        (
            |s| drop(s.write("m/.git/hooks/x", "n")),
            "unsigned-files",
            ".git/hooks/x",
        ),
        (
            |s| drop(s.write("m/config.json", "[]")),
            "model-file-changed",
            "config.json",
        ),
        (
            |s| fs::remove_file(s.join("m/config.json")).unwrap(),
            "model-file-missing",
            "config.json",
        ),
        (
            |s| fs::rename(s.join("m/config.json"), s.join("m/c.json")).unwrap(),
            "model-file-missing",
            "\"c.json\"",
        ),
        (
            |s| fs::rename(s.join("m/config.json"), s.join("m/CONFIG.json")).unwrap(),
            "model-file-missing",
            "the case differs",
        ),
        (
            // The same bytes in all: only where one file ends has moved.
            |s| {
                s.write("m/config.json", "{}weigh");
                s.write("m/layer/0/weights.bin", "ts");
            },
            "model-file-changed",
            "weights.bin",
        ),
    ];
    for (change, reason, tells) in changes {
        let scratch = signed();
        change(&scratch);
        verify(&scratch)
            .expect_code(1)
            .stdout_has("DENIED")
            .stdout_has(reason)
            .stdout_has(tells);
    }
}

#[test]
fn a_pipe_or_socket_in_a_model_is_refused_at_once() {
    let scratch = signed();
    crate::source::pipe(&scratch.join("m/pipe"));
    for out in [verify(&scratch), sign(&scratch)] {
        assert!(!matches!(out.code, Some(0 | 1)), "{out}");
        out.says("m/pipe is a named pipe");
    }
    fs::remove_file(scratch.join("m/pipe")).unwrap();
    let _socket = UnixListener::bind(scratch.join("m/s")).unwrap();
    verify(&scratch).says("m/s is a socket");
    fs::remove_file(scratch.join("m/s")).unwrap();
    verify(&scratch).ok();
}

#[test]
fn a_link_out_of_a_model_is_refused_however_links_are_treated() {
    let scratch = signed();
    scratch.write("secret", "s");
    symlink("../secret", scratch.join("m/link")).unwrap();
    verify(&scratch)
        .says("m/link is a symlink")
        .says("--allow-symlinks");
    for args in [
        "verify m --key k.pub --allow-symlinks",
        "sign m --key k.pem --force --allow-symlinks",
        "verify m --key k.pub --symlinks-within m",
    ] {
        let out = scratch.obreia().args(args.split(' ')).run();
        assert!(!matches!(out.code, Some(0 | 1)), "{out}");
        out.says("leads out of");
    }
    // With the folder named that holds both, it is one more unsigned file.
    let args = "verify m --key k.pub --symlinks-within .";
    scratch
        .obreia()
        .args(args.split(' '))
        .run()
        .expect_code(1)
        .stdout_has("unsigned-files");
}

#[test]
fn names_with_two_readings_are_refused_by_name() {
    let scratch = signed();
    scratch.write("m/a\\b", "x");
    verify(&scratch).says("backslash");
    fs::remove_file(scratch.join("m/a\\b")).unwrap();
    scratch.write("m/a\nb", "x");
    let out = verify(&scratch);
    assert_ne!(out.code, Some(0), "{out}");
    out.says("control character");
}

#[test]
fn a_refused_signing_leaves_the_old_signature() {
    let scratch = signed();
    let before = scratch.read("m/model.sig");
    symlink("nowhere", scratch.join("m/link")).unwrap();
    assert_ne!(sign(&scratch).code, Some(0));
    assert_eq!(scratch.read("m/model.sig"), before);
    assert_eq!(
        scratch.files(),
        [
            "k.pem",
            "k.pub",
            "m/config.json",
            "m/layer/0/weights.bin",
            "m/link",
            "m/model.sig"
        ]
    );
}

#[test]
fn two_models_with_the_same_contents_are_two() {
    let scratch = signed();
    scratch.write("n/other.json", "{}");
    scratch.write("n/weights.bin", "weights");
    fs::copy(scratch.join("m/model.sig"), scratch.join("n/model.sig")).unwrap();
    let args = ["verify", "n", "--key", "k.pub"];
    scratch
        .obreia()
        .args(args)
        .run()
        .expect_code(1)
        .stdout_has("model-file-missing");
}
