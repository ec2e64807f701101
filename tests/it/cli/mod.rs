//! The binary, command by command: what it does, and above all what it refuses.

mod artifacts;
mod attest;
mod bundles;
mod exec;
mod forge;
mod guard;
mod help;
mod inspect;
mod layout;
mod limits;
mod models;
mod modes;
mod names;
mod notation;
mod older;
mod older_written;
mod passphrase;
mod platforms;
mod policies;
mod privileges;
mod random;
mod registry;
mod sign;
mod signatures;
mod terminal;
mod verify;
mod ways_around;

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Output, Scratch, testdata};

/// A throw-away private key of `testdata/keys`: `p256`, `p384`, `ed25519`, ….
pub(super) fn private(name: &str) -> String {
    key_file(&format!("{name}.pkcs8.pem"))
}

/// Its public half.
pub(super) fn public(name: &str) -> String {
    key_file(&format!("{name}.pub.pem"))
}

fn key_file(name: &str) -> String {
    testdata("keys").join(name).display().to_string()
}

/// Signs with the binary, which must succeed.
#[track_caller]
pub(super) fn sign(scratch: &Scratch, artifact: &str, key: &str) -> Output {
    let out = scratch
        .obreia()
        .args(["sign", artifact, "--key", &private(key)])
        .run();
    out.ok();
    out
}

/// `verify … -o json` with these arguments.
pub(super) fn verify(scratch: &Scratch, args: &[&str]) -> Output {
    scratch
        .obreia()
        .arg("verify")
        .args(args)
        .args(["-o", "json"])
        .run()
}

/// `verify ARTIFACT --key KEY -o json`.
pub(super) fn with_key(scratch: &Scratch, artifact: &str, key: &str) -> Output {
    verify(scratch, &[artifact, "--key", &public(key)])
}

/// A scratch folder with `app.bin`.
pub(super) fn blob() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("app.bin", "the application\n");
    scratch
}

/// A scratch folder with `app.bin`, signed by that key.
pub(super) fn signed_blob(key: &str) -> Scratch {
    let scratch = blob();
    sign(&scratch, "app.bin", key);
    scratch
}

/// A scratch folder with a small model in `m/`.
pub(super) fn model() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("m/config.json", "{\"layers\": 2}\n");
    scratch.write("m/weights.bin", [7; 4096]);
    scratch.write("m/sub/vocab.txt", "a\nb\nc\n");
    scratch
}

/// The same, signed by the key `p256`.
pub(super) fn signed_model() -> Scratch {
    let scratch = model();
    sign(&scratch, "m", "p256");
    scratch
}

/// Changes a JSON file in place.
pub(super) fn edit(scratch: &Scratch, path: &str, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&scratch.read(path)).expect("JSON");
    change(&mut json);
    scratch.write(path, json.to_string());
}

/// The codes of a verdict's reasons, or of its `notes`.
pub(super) fn codes(verdict: &Value, list: &str) -> Vec<String> {
    verdict[list]
        .as_array()
        .unwrap_or_else(|| panic!("no {list} in {verdict}"))
        .iter()
        .map(|r| r["code"].as_str().expect("a code").to_owned())
        .collect()
}

#[track_caller]
fn verdict(out: &Output, exit: i32, word: &str) -> Value {
    out.expect_code(exit);
    let json = out.json();
    assert_eq!(json["schema"], "obreia.verdict/v1", "{out}");
    assert_eq!(json["verdict"], word, "{out}");
    json
}

/// Allowed, exit 0.
#[track_caller]
pub(super) fn allowed(out: &Output) -> Value {
    let json = verdict(out, 0, "allowed");
    assert!(codes(&json, "reasons").is_empty(), "{out}");
    json
}

/// Denied with this reason first, exit 1.
#[track_caller]
pub(super) fn denied(out: &Output, code: &str) -> Value {
    let json = verdict(out, 1, "denied");
    let first = codes(&json, "reasons").into_iter().next();
    assert_eq!(first.as_deref(), Some(code), "{out}");
    json
}

/// Undetermined with this reason first, exit 4.
#[track_caller]
pub(super) fn undetermined(out: &Output, code: &str) -> Value {
    let json = verdict(out, 4, "undetermined");
    let first = codes(&json, "reasons").into_iter().next();
    assert_eq!(first.as_deref(), Some(code), "{out}");
    json
}

/// Nothing was decided or done: that exit code, and each of these texts in the error.
#[track_caller]
pub(super) fn refused(out: &Output, exit: i32, says: &[&str]) {
    out.expect_code(exit).stderr_has("error");
    for text in says {
        out.stderr_has(text);
    }
}

/// A policy that asks for signatures by these keys, with `more` under `spec`.
pub(super) fn policy(scratch: &Scratch, name: &str, keys: &[&str], more: &str) -> PathBuf {
    let mut text = format!(
        "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: {name} }}\nspec:\n  match: [{{ name: \"**\" }}]\n  authorities:\n"
    );
    for key in keys {
        text.push_str(&format!(
            "    - {{ name: {key}, key: \"{}\" }}\n",
            public(key)
        ));
    }
    for line in more.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    scratch.write(format!("{name}.yaml"), text)
}
