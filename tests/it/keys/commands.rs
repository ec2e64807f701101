//! `init`, `key` and `keystore`, as a user types them.

use std::os::unix::fs::PermissionsExt;

use super::{PASSPHRASE, listed, obreia, place, records, run};
use crate::harness::Scratch;

fn mode(scratch: &Scratch, path: &str) -> u32 {
    let meta = std::fs::metadata(scratch.join(path)).unwrap();
    meta.permissions().mode() & 0o777
}

#[test]
fn init_makes_a_private_state_and_never_twice() {
    let scratch = Scratch::new();
    obreia(&scratch, &["init", "here"]).run().expect_code(0);
    assert_eq!(
        scratch.files(),
        [
            "here/obreia.toml",
            "here/policies/first.yaml",
            "here/state/audit.head",
            "here/state/audit.key",
            "here/state/audit/checkpoint",
            "here/state/audit/journal",
            "here/state/audit/tile/0/000.p/2",
            "here/state/audit/tile/entries/000.p/2",
            "here/state/keystore.db"
        ]
    );
    assert_eq!(mode(&scratch, "here/state"), 0o700);
    assert_eq!(mode(&scratch, "here/state/keystore.db"), 0o600);
    assert_eq!(mode(&scratch, "here/state/audit.key"), 0o600);
    assert_eq!(mode(&scratch, "here/state/audit/journal"), 0o600);
    let before = scratch.read("here/state/keystore.db");
    obreia(&scratch, &["init", "here"])
        .run()
        .expect_code(2)
        .stderr_has("here/obreia.toml exists already");
    std::fs::remove_file(scratch.join("here/obreia.toml")).unwrap();
    obreia(&scratch, &["init", "here"])
        .run()
        .expect_code(2)
        .stderr_has("here/state exists already");
    assert_eq!(before, scratch.read("here/state/keystore.db"));
}

#[test]
fn without_a_passphrase_nothing_is_made() {
    let scratch = Scratch::new();
    let init = |scratch: &Scratch| scratch.obreia().args(["init", "here"]);
    init(&scratch)
        .run()
        .expect_code(2)
        .stderr_has("no passphrase was given")
        .stderr_has("OBREIA_PASSPHRASE");
    scratch.write("empty", "\n");
    init(&scratch)
        .args(["--passphrase-file", "empty"])
        .run()
        .expect_code(2)
        .stderr_has("empty");
    init(&scratch)
        .args(["--passphrase-file", "absent"])
        .run()
        .expect_code(2)
        .stderr_has("absent");
    assert_eq!(scratch.files(), ["empty"]);
    // Never as an argument.
    init(&scratch)
        .args(["--passphrase", "x"])
        .run()
        .expect_code(2);
}

#[test]
fn a_passphrase_file_has_a_limit() {
    let scratch = Scratch::new();
    scratch.write("long", "x".repeat(4097));
    let args = ["init", "here", "--passphrase-file", "long"];
    scratch
        .obreia()
        .args(args)
        .run()
        .expect_code(2)
        .stderr_has("more than 4096 bytes");
    assert_eq!(scratch.files(), ["long"]);
}

#[test]
fn a_passphrase_file_works_without_its_last_line_end() {
    let scratch = Scratch::new();
    scratch.write("pass", format!("{PASSPHRASE}\n"));
    let args = ["init", ".", "--passphrase-file", "pass"];
    scratch.obreia().args(args).run().expect_code(0);
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
}

#[test]
fn the_life_of_a_key() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    let key = "kms://model-sign/prod/acme/fraud";
    run(&scratch, &["key", "create", key, "--alias", "fraud"])
        .expect_code(0)
        .stdout_has("made kms://model-sign/prod/acme/fraud");
    run(&scratch, &["sign", "a.txt", "--key", "kms://fraud"]).expect_code(0);
    run(&scratch, &["key", "rotate", key, "--grace", "72h"]).expect_code(0);
    let verify = |scratch: &Scratch, key: &str| run(scratch, &["verify", "a.txt", "--key", key]);
    verify(&scratch, key).expect_code(0);
    verify(&scratch, "kms://fraud?version=1").expect_code(0);
    verify(&scratch, "kms://fraud?version=2").expect_code(1);
    verify(&scratch, "kms://fraud?version=3").expect_code(3);
    run(
        &scratch,
        &[
            "sign",
            "a.txt",
            "--key",
            "kms://fraud?version=1",
            "--output",
            "b",
        ],
    )
    .expect_code(5)
    .stderr_has("only the active version signs");

    let shown = run(&scratch, &["key", "show", key, "-o", "json"])
        .expect_code(0)
        .json();
    assert_eq!(shown["schema"], "obreia.key/v1");
    assert_eq!(shown["key"]["aliases"][0], "kms://fraud");
    assert_eq!(shown["key"]["versions"][0]["state"], "grace");
    assert_eq!(shown["key"]["versions"][1]["state"], "active");

    run(&scratch, &["key", "retire", "kms://fraud?version=1"]).expect_code(0);
    verify(&scratch, key).expect_code(1);
    run(&scratch, &["key", "disable", key]).expect_code(0);
    run(&scratch, &["sign", "a.txt", "--key", key, "--output", "b"])
        .expect_code(5)
        .stderr_has("is disabled")
        .stderr_has("obreia key enable");
    verify(&scratch, key).expect_code(5);
    run(&scratch, &["key", "enable", key]).expect_code(0);
    run(&scratch, &["sign", "a.txt", "--key", key, "--force"]).expect_code(0);
    verify(&scratch, key).expect_code(0);
}

#[test]
fn verifying_asks_for_no_passphrase() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    run(&scratch, &["sign", "a.txt", "--key", "kms://model-sign/a"]).expect_code(0);
    for args in [
        &["verify", "a.txt", "--key", "kms://model-sign/a"][..],
        &["key", "list"],
        &["key", "show", "kms://model-sign/a"],
        &["key", "public", "kms://model-sign/a"],
    ] {
        scratch.obreia().args(args).run().expect_code(0);
    }
}

#[test]
fn names_that_cannot_be_had() {
    let scratch = place();
    for (name, says) in [
        ("kms://model-sign", "one segment is an alias"),
        ("kms://modelsign/dev", "permits no operation"),
        ("kms://modle-sign/dev", "is not one of artifact-sign"),
        ("kms://envelope-data/dev", "symmetric"),
        ("kms://alias/aws/s3", "permits no operation"),
        ("kms://model-sign/../etc", "is not a key path"),
        ("kms://model-sign/a?version=1", "without ?version="),
        ("k.pem", "are named kms://"),
    ] {
        run(&scratch, &["key", "create", name])
            .expect_code(2)
            .stderr_has(says);
    }
    assert!(listed(&scratch).is_empty());
    run(
        &scratch,
        &["key", "create", "kms://firmware-sign/a", "--new-purpose"],
    )
    .expect_code(0);
}

#[test]
fn a_purpose_that_does_not_sign_does_not() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://pki-ca/dev"]).expect_code(0);
    run(&scratch, &["sign", "a.txt", "--key", "kms://pki-ca/dev"])
        .expect_code(5)
        .stderr_has("purpose-forbids");
    assert!(!scratch.join("a.txt.sigstore.json").exists());
    let last = records(&scratch).pop().unwrap();
    assert_eq!(last["decision"], "deny");
    assert_eq!(last["result"], "denied");
}

#[test]
fn keys_that_are_not_there() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(
        &scratch,
        &["sign", "a.txt", "--key", "kms://model-sign/none"],
    )
    .expect_code(3)
    .stderr_has("there is no key kms://model-sign/none")
    .stderr_has("obreia key list");
    run(&scratch, &["sign", "a.txt", "--key", "nobody://x"])
        .expect_code(3)
        .stderr_has("no program sigstore-kms-nobody");
    run(&scratch, &["sign", "a.txt", "--key", "none.pem"])
        .expect_code(2)
        .stderr_has("none.pem");
    let elsewhere = Scratch::new();
    elsewhere.write("a.txt", "hello");
    run(
        &elsewhere,
        &["sign", "a.txt", "--key", "kms://model-sign/a"],
    )
    .expect_code(3)
    .stderr_has("obreia init DIR");
}

#[test]
fn backup_restore_and_a_new_passphrase() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    run(&scratch, &["sign", "a.txt", "--key", "kms://model-sign/a"]).expect_code(0);
    let copied = run(&scratch, &["keystore", "backup", "copy.db", "-o", "json"]);
    assert_eq!(copied.expect_code(0).json()["schema"], "obreia.backup/v1");
    assert_eq!(mode(&scratch, "copy.db"), 0o600);
    run(&scratch, &["keystore", "backup", "copy.db"])
        .expect_code(2)
        .stderr_has("copy.db");

    obreia(&scratch, &["keystore", "passwd"])
        .env("OBREIA_NEW_PASSPHRASE", "another")
        .run()
        .expect_code(0);
    run(&scratch, &["key", "disable", "kms://model-sign/a"]).expect_code(5);

    // The copy opens with the passphrase of its day.
    run(&scratch, &["keystore", "restore", "copy.db"])
        .expect_code(2)
        .stderr_has("there is already a keystore");
    scratch
        .obreia()
        .env("OBREIA_PASSPHRASE", "another")
        .args(["keystore", "restore", "copy.db", "--force"])
        .run()
        .expect_code(5);
    let restored = run(
        &scratch,
        &["keystore", "restore", "copy.db", "--force", "-o", "json"],
    );
    let json = restored.expect_code(0).json();
    assert_eq!(json["schema"], "obreia.restore/v1");
    assert_eq!(json["keys"], 1);
    run(
        &scratch,
        &["sign", "a.txt", "--key", "kms://model-sign/a", "--force"],
    )
    .expect_code(0);
    run(&scratch, &["keystore", "restore", "a.txt", "--force"]).expect_code(3);
    run(
        &scratch,
        &["verify", "a.txt", "--key", "kms://model-sign/a"],
    )
    .expect_code(0);
}

#[test]
fn a_secret_is_never_printed_or_logged() {
    let scratch = place();
    let out = run(&scratch, &["key", "create", "kms://model-sign/a", "-vv"]);
    out.expect_code(0);
    let wrong = scratch
        .obreia()
        .env("OBREIA_PASSPHRASE", "hunter2-wrong")
        .args(["key", "rotate", "kms://model-sign/a", "-vv"])
        .run();
    wrong.expect_code(5);
    for text in [
        out.stdout.clone(),
        out.stderr.clone(),
        wrong.stdout.clone(),
        wrong.stderr.clone(),
        serde_json::Value::from(records(&scratch)).to_string(),
    ] {
        assert!(
            !text.contains(PASSPHRASE) && !text.contains("hunter2"),
            "{text}"
        );
    }
}
