//! Artifacts in OCI layouts, through the binary: pushed, shown, copied, pulled.

mod bad_input;
mod copying;
mod full_disk;
mod promotion;
mod several_at_once;

use std::path::{Path, PathBuf};

use obreia::bundle::{Bundle, Content};
use obreia::crypto::sha256;
use obreia::digest::Identity;
use obreia::dsse::{Envelope, IN_TOTO};
use obreia::statement::{self, Statement};
use serde_json::{Value, json};

use crate::harness::{Output, Scratch};

/// An attestation that nobody signed: what these commands move, they do not verify.
pub(crate) fn attestation(predicate_type: &str, subject: &[u8]) -> Vec<u8> {
    let subject = statement::Subject::new("x", &Identity::Content(sha256(subject)));
    let statement = Statement::new(vec![subject], predicate_type, json!({}));
    Bundle::by_key(
        "a-key".into(),
        Content::Envelope(Envelope {
            payload_type: IN_TOTO.into(),
            payload: statement.to_json(),
            signature: vec![1],
            keyid: String::new(),
        }),
    )
    .to_json()
}

pub(crate) fn signature(bytes: &[u8]) -> Vec<u8> {
    Bundle::by_key(
        "a-key".into(),
        Content::Message {
            digest: None,
            signature: bytes.to_vec(),
        },
    )
    .to_json()
}

pub(crate) const MODEL_SIGNATURE: &str = "https://model_signing/signature/v1.0";
const EVAL: &str = "https://example.acme/eval/v1";

/// A small model with a signature in it and an attestation beside it.
fn model(scratch: &Scratch) {
    scratch.write("m/config.json", b"{}");
    scratch.write("m/weights/a.bin", b"aaaa");
    scratch.write("m/weights/b.bin", b"");
    scratch.write("m/model.sig", attestation(MODEL_SIGNATURE, b"m"));
    scratch.write("m.eval-v1.sigstore.json", attestation(EVAL, b"m"));
}

fn run<const N: usize>(scratch: &Scratch, args: [&str; N]) -> Output {
    scratch.obreia().args(args).run()
}

fn blob(scratch: &Scratch, layout: &str, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").expect("sha256");
    scratch.join(layout).join("blobs/sha256").join(hex)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn a_model_is_pushed_and_pulled_byte_for_byte_with_its_evidence() {
    let scratch = Scratch::new();
    model(&scratch);
    let out = run(&scratch, ["push", "m", "oci-layout:l:v1", "-o", "json"]);
    let pushed = out.ok().json();
    assert_eq!(pushed["schema"], "obreia.push/v1");
    assert_eq!(pushed["kind"], "model");
    assert_eq!(pushed["evidence"].as_array().unwrap().len(), 2);
    let paths: Vec<_> = pushed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].clone())
        .collect();
    assert_eq!(paths, ["config.json", "weights/a.bin", "weights/b.bin"]);
    let manifest = read_json(&blob(&scratch, "l", pushed["digest"].as_str().unwrap()));
    assert_eq!(
        manifest["artifactType"],
        "application/vnd.cncf.model.manifest.v1+json"
    );
    assert_eq!(manifest["layers"][1]["digest"], sha256(b"aaaa").to_string());
    // A layer is the file itself.
    let layer = blob(&scratch, "l", &sha256(b"aaaa").to_string());
    assert_eq!(std::fs::read(layer).unwrap(), b"aaaa");
    let out = run(&scratch, ["pull", "oci-layout:l:v1", "out", "-o", "json"]);
    let pulled = out.ok().json();
    assert_eq!(pulled["schema"], "obreia.pull/v1");
    for file in ["config.json", "weights/a.bin", "weights/b.bin", "model.sig"] {
        assert_eq!(
            scratch.read(format!("m/{file}")),
            scratch.read(format!("out/{file}"))
        );
    }
    assert_eq!(
        scratch.read("m.eval-v1.sigstore.json"),
        scratch.read("out.eval-v1.sigstore.json")
    );
    assert!(
        !scratch
            .files()
            .iter()
            .any(|f| f.contains(".obreia-") || f.contains("partial"))
    );
    // The same again gives the same manifest, and nothing twice.
    let again = run(&scratch, ["push", "m", "oci-layout:l:v1", "-o", "json"])
        .ok()
        .json();
    assert_eq!(again["digest"], pushed["digest"]);
    let tree = run(&scratch, ["tree", "oci-layout:l:v1", "-o", "json"])
        .ok()
        .json();
    assert_eq!(tree["root"]["referrers"].as_array().unwrap().len(), 2);
}

#[test]
fn files_and_sboms_are_known_by_their_content() {
    let scratch = Scratch::new();
    scratch.write(
        "bom.txt",
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}"#,
    );
    scratch.write("notes", b"text");
    scratch.write("notes.sigstore.json", signature(b"s"));
    for (path, tag, kind, artifact_type) in [
        ("bom.txt", "bom", "sbom", "application/vnd.cyclonedx+json"),
        ("notes", "notes", "blob", "application/vnd.obreia.file.v1"),
    ] {
        let to = format!("oci-layout:l:{tag}");
        let pushed = run(&scratch, ["push", path, &to, "-o", "json"]).ok().json();
        assert_eq!(pushed["kind"], kind);
        assert_eq!(pushed["artifact_type"], artifact_type);
        let out = format!("{tag}-out");
        run(&scratch, ["pull", &to, &out]).ok();
        assert_eq!(scratch.read(path), scratch.read(format!("{out}/{path}")));
    }
    assert_eq!(
        scratch.read("notes-out/notes.sigstore.json"),
        signature(b"s")
    );
    run(
        &scratch,
        ["push", "notes", "oci-layout:l:x", "--kind", "sbom"],
    )
    .expect_code(2)
    .stderr_has("neither CycloneDX nor SPDX");
}

#[test]
fn what_signers_ignore_is_no_part_of_what_is_pushed() {
    let scratch = Scratch::new();
    model(&scratch);
    scratch.write("m/.git/config", b"x");
    let pushed = run(&scratch, ["push", "m", "oci-layout:l:v1", "-o", "json"])
        .ok()
        .json();
    assert_eq!(pushed["files"].as_array().unwrap().len(), 3);
    assert_eq!(pushed["left_out"], json!([".git/config"]));
}

#[test]
fn evidence_stays_behind_where_that_is_asked_or_it_is_none() {
    let scratch = Scratch::new();
    model(&scratch);
    scratch.write("m.broken.sigstore.json", b"{");
    let out = run(
        &scratch,
        [
            "push",
            "m",
            "oci-layout:l:v1",
            "--without-evidence",
            "-o",
            "json",
        ],
    );
    assert_eq!(out.ok().json()["evidence"], json!([]));
    let out = run(&scratch, ["push", "m", "oci-layout:l:v1", "-o", "json"]);
    out.ok().stderr_has("not attached: m.broken.sigstore.json");
    assert_eq!(out.json()["evidence"].as_array().unwrap().len(), 2);
    run(
        &scratch,
        ["pull", "oci-layout:l:v1", "out", "--without-evidence"],
    )
    .ok();
    assert!(!scratch.join("out/model.sig").exists());
}

#[test]
fn what_is_about_the_manifest_alone_stays_behind_and_is_named() {
    let scratch = Scratch::new();
    model(&scratch);
    run(&scratch, ["push", "m", "oci-layout:l:v1"]).ok();
    let key = crate::harness::testdata("keys/p256.pkcs8.pem");
    let key = key.to_str().unwrap();
    let signed = run(
        &scratch,
        ["sign", "oci-layout:l:v1", "--key", key, "-o", "json"],
    );
    let signed = signed.ok().json();
    let bundle = signed["signed"][0]["bundle"].as_str().unwrap().to_owned();
    let out = run(&scratch, ["pull", "oci-layout:l:v1", "out", "-o", "json"]);
    let pulled = out
        .ok()
        .stderr_has(&format!("left behind: {bundle}: it is about the manifest"))
        .stderr_has("obreia copy")
        .json();
    assert_eq!(pulled["left"].as_array().unwrap().len(), 1, "{pulled}");
    // The rest arrives.
    assert_eq!(pulled["evidence"].as_array().unwrap().len(), 2);
    assert!(scratch.join("out/model.sig").exists());
}

#[test]
fn the_tree_names_what_everything_is() {
    let scratch = Scratch::new();
    model(&scratch);
    run(&scratch, ["push", "m", "oci-layout:l:v1"]).ok();
    let out = run(&scratch, ["tree", "oci-layout:l:v1", "--files"]);
    out.ok()
        .stdout_has("model  v1  sha256:")
        .stdout_has("weights/a.bin")
        .stdout_has("about it: signature")
        .stdout_has("about it: attestation")
        .stdout_has(EVAL)
        .stdout_has("key hint a-key");
    run(&scratch, ["tree", "m"])
        .ok()
        .stdout_has("directory  m")
        .stdout_has("m/model.sig")
        .stdout_has("m.eval-v1.sigstore.json");
}

#[test]
fn a_moved_tag_leaves_the_old_version_reachable_by_digest() {
    let scratch = Scratch::new();
    model(&scratch);
    let old = run(&scratch, ["push", "m", "oci-layout:l:prod", "-o", "json"])
        .ok()
        .json();
    scratch.write("m/config.json", b"{\"v\":2}");
    let new = run(&scratch, ["push", "m", "oci-layout:l:prod", "-o", "json"])
        .ok()
        .json();
    assert_ne!(old["digest"], new["digest"]);
    let by_digest = format!("oci-layout:l@{}", old["digest"].as_str().unwrap());
    run(&scratch, ["pull", &by_digest, "old"]).ok();
    run(&scratch, ["pull", "oci-layout:l:prod", "new"]).ok();
    assert_eq!(scratch.read("old/config.json"), b"{}");
    assert_eq!(scratch.read("new/config.json"), b"{\"v\":2}");
}
