//! Bad input: models that are not what was signed.

use std::fs;
use std::os::unix::fs::symlink;

use super::{allowed, denied, model, public, refused, sign, signed_model, verify, with_key};
use crate::harness::{Output, Scratch};

fn check(scratch: &Scratch) -> Output {
    with_key(scratch, "m", "p256")
}

fn rename(scratch: &Scratch, from: &str, to: &str) {
    fs::rename(scratch.join(from), scratch.join(to)).expect("rename");
}

#[test]
fn an_untouched_model_is_allowed() {
    let scratch = signed_model();
    let json = allowed(&check(&scratch));
    assert_eq!(json["artifact"]["kind"], "model");
    assert!(json["unsigned_files"].is_null(), "{json}");
}

#[test]
fn an_added_file() {
    let scratch = signed_model();
    scratch.write("m/sub/run.py", "import os\n");
    let out = check(&scratch);
    let json = denied(&out, "unsigned-files");
    assert_eq!(json["unsigned_files"][0], "sub/run.py");
    // A plain question by hand, by a policy: told, and not decided by.
    super::policy(&scratch, "p", &["p256"], "");
    let out = verify(&scratch, &["m", "--policy", "p.yaml"]);
    let json = allowed(&out);
    assert_eq!(super::codes(&json, "notes"), ["unsigned-files"]);
    for stage in ["startup", "promotion"] {
        let out = verify(&scratch, &["m", "--policy", "p.yaml", "--stage", stage]);
        out.expect_code(1);
        let reasons = super::codes(&out.json(), "reasons");
        assert!(reasons.contains(&"unsigned-files".to_owned()), "{out}");
    }
}

#[test]
fn a_missing_file() {
    let scratch = signed_model();
    fs::remove_file(scratch.join("m/weights.bin")).unwrap();
    let json = denied(&check(&scratch), "model-file-missing");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("weights.bin"), "{detail}");
}

#[test]
fn a_renamed_file() {
    let scratch = signed_model();
    rename(&scratch, "m/weights.bin", "m/weights2.bin");
    let out = scratch
        .obreia()
        .args(["verify", "m", "--explain", "--key", &public("p256")])
        .run();
    out.expect_code(1)
        .stdout_has("model-file-missing")
        .stdout_has("\"weights.bin\" stands there as \"weights2.bin\": renamed");
}

#[test]
fn a_changed_file() {
    let scratch = signed_model();
    let mut bytes = scratch.read("m/weights.bin");
    bytes[4095] ^= 1;
    scratch.write("m/weights.bin", bytes);
    let json = denied(&check(&scratch), "model-file-changed");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("weights.bin"), "{detail}");
}

#[test]
fn a_case_changed_file() {
    let scratch = signed_model();
    rename(&scratch, "m/config.json", "m/Config.json");
    let out = scratch
        .obreia()
        .args(["verify", "m", "--explain", "--key", &public("p256")])
        .run();
    out.expect_code(1)
        .stdout_has("model-file-missing")
        .stdout_has("the case differs");
}

#[test]
fn two_files_swapped() {
    let scratch = signed_model();
    rename(&scratch, "m/config.json", "m/x");
    rename(&scratch, "m/sub/vocab.txt", "m/config.json");
    rename(&scratch, "m/x", "m/sub/vocab.txt");
    denied(&check(&scratch), "model-file-changed");
}

#[test]
fn two_models_with_the_same_contents_under_other_names() {
    let scratch = signed_model();
    // The other has the same bytes, in files of other names.
    scratch.write("n/a.json", scratch.read("m/config.json"));
    scratch.write("n/b.bin", scratch.read("m/weights.bin"));
    scratch.write("n/sub/c.txt", scratch.read("m/sub/vocab.txt"));
    scratch.write("n/model.sig", scratch.read("m/model.sig"));
    denied(&with_key(&scratch, "n", "p256"), "model-file-missing");
    let identity = |model: &str| {
        let out = with_key(&scratch, model, "p256");
        out.json()["artifact"]["identity"].to_string()
    };
    assert_ne!(identity("m"), identity("n"));
    // The folder's own name is no part of it.
    rename(&scratch, "m", "k");
    allowed(&with_key(&scratch, "k", "p256"));
}

#[test]
fn a_file_added_under_an_ignored_path() {
    let scratch = model();
    scratch.write("m/cache/x", "x");
    let key = super::private("p256");
    let args = ["sign", "m", "--ignore-path", "cache", "--key", &key];
    scratch.obreia().args(args).run().ok();
    // The signer's own list never suffices.
    denied(&check(&scratch), "unsigned-files");
    let key = public("p256");
    let operators = ["m", "--ignore-path", "cache", "--key", &key];
    allowed(&verify(&scratch, &operators));
    scratch.write("m/cache/deep/y", "y");
    allowed(&verify(&scratch, &operators));
    scratch.write("m/cache2", "z");
    denied(&verify(&scratch, &operators), "unsigned-files");
}

#[test]
fn a_file_added_in_the_git_folder() {
    let scratch = signed_model();
    scratch.write("m/.git/hooks/post-checkout", "#!/bin/sh\n");
    let json = denied(&check(&scratch), "unsigned-files");
    assert_eq!(json["unsigned_files"][0], ".git/hooks/post-checkout");
    let key = public("p256");
    let args = ["m", "--ignore-path", ".git", "--key", &key];
    allowed(&verify(&scratch, &args));
}

#[test]
fn a_symlink_out_of_the_model() {
    let scratch = model();
    scratch.write("outside.bin", "outside");
    symlink("../outside.bin", scratch.join("m/link.bin")).unwrap();
    let key = super::private("p256");
    let sign = |extra: &[&str]| {
        let args = ["sign", "m", "--key", &key];
        scratch.obreia().args(args).args(extra).run()
    };
    refused(&sign(&[]), 2, &["link.bin", "symlink", "--allow-symlinks"]);
    refused(&sign(&["--allow-symlinks"]), 2, &["link.bin", "leads out"]);
    refused(&sign(&["--symlinks-within", "m"]), 2, &["leads out"]);
    assert!(!scratch.join("m/model.sig").exists());
    sign(&["--symlinks-within", "."]).ok();
    // The verifier has a word of its own in it.
    refused(&check(&scratch), 2, &["symlink"]);
    let key = public("p256");
    let within = ["m", "--symlinks-within", ".", "--key", &key];
    allowed(&verify(&scratch, &within));
    symlink("/etc/hostname", scratch.join("m/other")).unwrap();
    refused(&verify(&scratch, &within), 2, &["leads out"]);
}

#[test]
fn a_symlink_put_where_a_file_was() {
    let scratch = signed_model();
    rename(&scratch, "m/weights.bin", "weights.bin");
    symlink("../weights.bin", scratch.join("m/weights.bin")).unwrap();
    refused(&check(&scratch), 2, &["weights.bin", "symlink"]);
}

#[test]
fn an_empty_folder_and_no_folder() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("m")).unwrap();
    refused(&check(&scratch), 2, &["no file in it"]);
    refused(&with_key(&scratch, "./absent", "p256"), 2, &["absent"]);
}

#[test]
fn a_model_that_is_one_file() {
    let scratch = Scratch::new();
    scratch.write("weights.bin", [3; 1000]);
    let key = super::private("p256");
    let args = ["sign", "weights.bin", "--kind", "model", "--key", &key];
    scratch
        .obreia()
        .args(args)
        .run()
        .ok()
        .stdout_has("signed model");
    let key = public("p256");
    let args = ["weights.bin", "--kind", "model", "--key", &key];
    let json = allowed(&verify(&scratch, &args));
    assert_eq!(json["artifact"]["kind"], "model");
    scratch.write("weights.bin", [4; 1000]);
    denied(&verify(&scratch, &args), "model-file-changed");
}

#[test]
fn shards_are_compared_too() {
    let scratch = model();
    let key = super::private("p256");
    let args = ["sign", "m", "--shard-size", "1000", "--key", &key];
    scratch.obreia().args(args).run().ok();
    allowed(&check(&scratch));
    let mut bytes = scratch.read("m/weights.bin");
    bytes.push(0);
    scratch.write("m/weights.bin", &bytes);
    denied(&check(&scratch), "model-file-changed");
    bytes.truncate(4000);
    scratch.write("m/weights.bin", &bytes);
    denied(&check(&scratch), "model-file-changed");
}

#[test]
fn two_signatures_that_cut_into_shards_differently_both_count() {
    let scratch = model();
    for (key, size) in [("p256", "1000"), ("p384", "512")] {
        let (output, key) = (format!("{key}.sig"), super::private(key));
        let args = ["sign", "m", "--shard-size", size, "--output", &output];
        scratch.obreia().args(args).args(["--key", &key]).run().ok();
    }
    super::policy(
        &scratch,
        "both",
        &["p256", "p384"],
        "signatures: { from: [p256, p384], threshold: 2 }",
    );
    let args = ["m", "--bundle", "p256.sig", "--bundle", "p384.sig"];
    let args = [&args[..], &["--policy", "both.yaml"]].concat();
    allowed(&verify(&scratch, &args));
    // Each is held against the bytes.
    let mut bytes = scratch.read("m/weights.bin");
    bytes[4095] ^= 1;
    scratch.write("m/weights.bin", &bytes);
    denied(&verify(&scratch, &args), "model-file-changed");
}

#[test]
fn a_single_file_cut_into_shards_is_a_model() {
    let scratch = Scratch::new();
    scratch.write("weights.bin", vec![3; 5000]);
    let key = super::private("p256");
    let args = [
        "sign",
        "weights.bin",
        "--kind",
        "model",
        "--shard-size",
        "1000",
    ];
    scratch.obreia().args(args).args(["--key", &key]).run().ok();
    let key = public("p256");
    let args = ["weights.bin", "--kind", "model", "--key", &key];
    allowed(&verify(&scratch, &args));
    let mut bytes = scratch.read("weights.bin");
    bytes[4999] ^= 1;
    scratch.write("weights.bin", bytes);
    denied(&verify(&scratch, &args), "model-file-changed");
}

#[test]
fn the_signature_of_one_model_does_not_cover_another() {
    let scratch = signed_model();
    scratch.write("n/config.json", scratch.read("m/config.json"));
    sign(&scratch, "n", "p256");
    scratch.write("m/model.sig", scratch.read("n/model.sig"));
    denied(&check(&scratch), "unsigned-files");
}

#[test]
fn a_message_signature_is_not_a_models() {
    // A signature over the folder's bytes cannot exist; over one of its files it can.
    let scratch = model();
    sign(&scratch, "m/weights.bin", "p256");
    scratch.write("m/model.sig", scratch.read("m/weights.bin.sigstore.json"));
    check(&scratch).expect_code(1);
}
