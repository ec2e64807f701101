//! Bad input: names.

use std::os::unix::ffi::OsStrExt;

use obreia::crypto::sha256;
use serde_json::json;

use super::forge::Forger;
use super::{denied, model, private, public, refused, verify, with_key};
use crate::harness::Scratch;

/// A model signature over one file of that name, correct in all else.
fn manifest(name: &str) -> Vec<u8> {
    let digest = sha256(b"x");
    Forger::of("p256").statement(&json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": sha256(digest.bytes()).hex()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": false},
            "resources": [{"name": name, "algorithm": "sha256", "digest": digest.hex()}],
        },
    }))
}

#[test]
fn dot_dot_and_nul_in_a_signed_list_of_files() {
    let scratch = Scratch::new();
    scratch.write("m/a", "x");
    scratch.write("m/model.sig", manifest("a"));
    super::allowed(&with_key(&scratch, "m", "p256"));
    for name in [
        "../m/a", "..", "a/../a", "./a", "/a", "a\0", "a\0b", "a//b", "a/", "", "a\\b", "a\nb",
    ] {
        scratch.write("m/model.sig", manifest(name));
        let out = with_key(&scratch, "m", "p256");
        let json = denied(&out, "statement-malformed");
        assert!(!out.stdout.contains('\0'), "{name:?} {json}");
    }
}

#[test]
fn names_on_disk_that_have_two_readings() {
    for name in ["a\nb", "a\\b", "a\x1b[31m"] {
        let scratch = model();
        scratch.write(format!("m/{name}"), "x");
        let args = ["sign", "m", "--key", &private("p256")];
        let out = scratch.obreia().args(args).run();
        refused(&out, 2, &["rename the file"]);
        assert!(!out.stderr.contains('\x1b'), "{out}");
    }
    let scratch = model();
    let name = std::ffi::OsStr::from_bytes(b"m/\xff\xfe");
    scratch.write(name, "x");
    let args = ["sign", "m", "--key", &private("p256")];
    refused(&scratch.obreia().args(args).run(), 2, &["rename the file"]);
}

#[test]
fn dot_dot_in_an_ignored_path() {
    let scratch = super::signed_model();
    let key = public("p256");
    for path in ["..", "../x", "/etc", "a/../b", ""] {
        let out = verify(&scratch, &["m", "--key", &key, "--ignore-path", path]);
        refused(&out, 2, &["--ignore-path"]);
        let sign = ["sign", "m", "--force", "--ignore-path", path, "--key"];
        let out = scratch.obreia().args(sign).arg(private("p256")).run();
        refused(&out, 2, &["--ignore-path"]);
    }
}

#[test]
fn nul_in_json_names_and_in_keys_is_told_apart() {
    // A NUL in a hint or a subject's name must not cut what is compared.
    let scratch = super::signed_blob("p256");
    super::edit(&scratch, "app.bin.sigstore.json", |json| {
        let hint = &mut json["verificationMaterial"]["publicKey"]["hint"];
        *hint = json!(format!("{}\0", hint.as_str().unwrap()));
    });
    // It names no key now, so every key is tried, and this one's signature holds.
    super::allowed(&with_key(&scratch, "app.bin", "p256"));
}

#[test]
fn a_bare_word_is_never_guessed_at() {
    let scratch = super::blob();
    let out = with_key(&scratch, "appp.bin", "p256");
    refused(&out, 2, &["./appp.bin", "oci-layout:appp.bin"]);
}
