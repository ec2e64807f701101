//! Ways around a verdict that somebody thought of, each closed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use obreia::crypto::sha256;
use serde_json::{Value, json};

use super::{public, sign};
use crate::harness::{Obreia, Output, Scratch};

const SCRIPT: &str = "#!/bin/sh\necho STARTED\n";

fn script(scratch: &Scratch, path: &str, text: &str) {
    let path = scratch.write(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(scratch: &Scratch, args: &[&str]) -> Output {
    scratch.obreia().args(args).run()
}

fn policy(scratch: &Scratch, spec: &str) {
    scratch.write(
        "policy.yaml",
        format!(
            "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: p }}\nspec:\n  authorities:\n    - {{ name: a, key: {:?} }}\n{spec}",
            public("p256")
        ),
    );
}

fn put_blob(scratch: &Scratch, layout: &str, bytes: &[u8]) -> Value {
    let digest = sha256(bytes);
    scratch.write(format!("{layout}/blobs/sha256/{}", digest.hex()), bytes);
    json!({"digest": digest, "size": bytes.len()})
}

/// A folder with that file in it.
fn with(path: &str, bytes: &[u8]) -> Scratch {
    let scratch = Scratch::new();
    scratch.write(path, bytes);
    scratch
}

/// The same, and signed: the file, or the folder that it lies in.
fn signed(path: &str, bytes: &[u8]) -> Scratch {
    let scratch = with(path, bytes);
    sign(&scratch, path.split('/').next().unwrap_or(path), "p256");
    scratch
}

fn verify(scratch: &Scratch, artifact: &str) -> Output {
    run(scratch, &["verify", artifact, "--key", &public("p256")])
}

/// Attests of `model` what stands in that file.
fn attest(scratch: &Scratch, predicate: &str) -> Output {
    let about = ["attest", "model", "--type", "https://example.com/x"];
    let key = super::private("p256");
    let by = ["--predicate", predicate, "--key", &key];
    run(scratch, &[about, by].concat())
}

/// A signed file, wrapped in a manifest that a container runtime would run.
#[test]
fn a_signed_file_does_not_vouch_for_a_manifest_around_it() {
    let scratch = signed("file.tar", b"signed bytes");
    run(&scratch, &["push", "file.tar", "oci-layout:l:v1"]).ok();
    let index: Value = serde_json::from_slice(&scratch.read("l/index.json")).unwrap();
    let tagged = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["annotations"]["org.opencontainers.image.ref.name"] == "v1");
    let digest = tagged.unwrap()["digest"].as_str().unwrap().to_owned();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let mut manifest: Value =
        serde_json::from_slice(&scratch.read(format!("l/blobs/sha256/{hex}"))).unwrap();
    let verify = |digest: &str| {
        run(
            &scratch,
            &[
                "verify",
                &format!("oci-layout:l@{digest}"),
                "--key",
                &public("p256"),
                "--bundle",
                "file.tar.sigstore.json",
            ],
        )
    };
    verify(&digest).ok();
    // The same manifest is no image to a policy about images: only its digest counts there.
    policy(
        &scratch,
        "  match: [ { kind: image, name: app } ]\n  signatures: { from: [a] }\n",
    );
    run(
        &scratch,
        &[
            "verify",
            &format!("oci-layout:l@{digest}"),
            "--policy",
            "policy.yaml",
            "--name",
            "app",
            "--bundle",
            "file.tar.sigstore.json",
        ],
    )
    .expect_code(1)
    .stdout_has("digest-mismatch");
    let config = br#"{"config":{"Entrypoint":["sh","-c","curl evil"]},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let mut descriptor = put_blob(&scratch, "l", config);
    descriptor["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    manifest["config"] = descriptor;
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into();
    let evil = put_blob(&scratch, "l", manifest.to_string().as_bytes());
    let evil = evil["digest"].as_str().unwrap();
    verify(evil).expect_code(1).stdout_has("digest-mismatch");
}

#[test]
fn with_a_copy_the_original_is_never_what_runs() {
    let scratch = Scratch::new();
    // The script tells which file its interpreter was given.
    script(
        &scratch,
        "app/run.sh",
        "#!/bin/sh\nreadlink \"$0\" | sed 's,.*/\\(copy\\)/.*,STARTED from \\1,'\n",
    );
    sign(&scratch, "app", "p256");
    run(
        &scratch,
        &[
            "guard",
            "--key",
            &public("p256"),
            "--into",
            "copy",
            "app",
            "--",
            "app/run.sh",
        ],
    )
    .ok()
    .stdout_has("STARTED from copy");
}

#[test]
fn a_word_found_through_path_and_a_link_are_inside_too() {
    let scratch = Scratch::new();
    script(&scratch, "app/tool", SCRIPT);
    sign(&scratch, "app", "p256");
    // Added after signing, and allowed to stand there: nothing that may be run.
    script(&scratch, "app/extra", "#!/bin/sh\necho PWNED\n");
    symlink(scratch.join("app/extra"), scratch.join("elsewhere")).unwrap();
    let path = format!("{}:/usr/bin:/bin", scratch.join("app").display());
    let guard = |program: &str| {
        Obreia::in_scratch(&scratch)
            .args([
                "guard",
                "--key",
                &public("p256"),
                "--ignore-path",
                "extra",
                "app",
            ])
            .args(["--", program])
            .env("PATH", &path)
            .run()
    };
    guard("tool").ok().stdout_has("STARTED");
    for program in ["extra", "app/extra", "./elsewhere", "app/../app/extra"] {
        guard(program)
            .expect_code(126)
            .stderr_has("is not what was verified")
            .stdout_lacks("PWNED");
    }
}

#[test]
fn evidence_that_cannot_be_read_is_no_absence() {
    let scratch = signed("f", b"bytes");
    run(&scratch, &["push", "f", "oci-layout:l:v1"]).ok();
    let verify = || verify(&scratch, "oci-layout:l:v1");
    verify().ok();
    // A folder in the bundle's place: nobody knows what it would have said.
    let bundle = sha256(&scratch.read("f.sigstore.json")).hex();
    let blob = scratch.join(format!("l/blobs/sha256/{bundle}"));
    fs::remove_file(&blob).unwrap();
    fs::create_dir(&blob).unwrap();
    verify().expect_code(4).stdout_has("evidence-unreadable");
    fs::remove_dir(&blob).unwrap();
    verify().expect_code(4).stdout_has("evidence-unreadable");
}

#[test]
fn a_link_to_nothing_beside_the_artifact_hides_no_signature() {
    let scratch = signed("f", b"bytes");
    symlink("nothing", scratch.join("f.x.sigstore.json")).unwrap();
    verify(&scratch, "f").ok();
    fs::remove_file(scratch.join("f.sigstore.json")).unwrap();
    verify(&scratch, "f")
        .expect_code(4)
        .stdout_has("evidence-unreadable");
}

#[test]
fn an_envelopes_signed_form_is_neither_signed_nor_believed() {
    let scratch = signed("model/a", b"a");
    run(
        &scratch,
        &["inspect", "model/model.sig", "--extract", "parts"],
    )
    .ok();
    let pae = scratch.read("parts/pae");
    scratch.write("pae.bin", &pae);
    run(
        &scratch,
        &["sign", "pae.bin", "--key", &super::private("p256")],
    )
    .expect_code(2)
    .stderr_has("signed form of an envelope");
    // The model's signature is over exactly these bytes.
    run(
        &scratch,
        &[
            "verify",
            "pae.bin",
            "--key",
            &public("p256"),
            "--signature",
            "parts/signature.der",
        ],
    )
    .expect_code(1)
    .stdout_has("format-not-allowed");
}

#[test]
fn a_packed_file_that_is_an_envelopes_signed_form_is_not_believed() {
    let scratch = Scratch::new();
    let forger = super::forge::Forger::of("p256");
    for (name, text, code) in [("plain", "no envelope", 0), ("form", "DSSEv1 1 x 1 y", 1)] {
        scratch.write(name, text);
        let bundle = forger.message(text.as_bytes());
        scratch.write(format!("{name}.sigstore.json"), bundle);
        let layout = format!("oci-layout:l:{name}");
        run(&scratch, &["push", name, &layout]).ok();
        let key = public("p256");
        let out = super::verify(&scratch, &[&layout, "--key", &key]);
        out.expect_code(code);
        if code == 1 {
            super::denied(&out, "format-not-allowed");
        }
    }
}

#[test]
fn what_lies_where_a_signature_would_is_a_file_unless_it_reads_as_one() {
    let scratch = with("model/a", b"a");
    // The signature lies beside the folder, so that the place inside is free.
    let args = ["sign", "model", "--output", "model.x.sigstore.json"];
    let signed = scratch.obreia().args(args);
    signed.args(["--key", &super::private("p256")]).run().ok();
    let key = public("p256");
    super::allowed(&super::verify(&scratch, &["model", "--key", &key]));
    script(&scratch, "model/model.sig", "#!/bin/sh\necho PWNED\n");
    let out = super::verify(&scratch, &["model", "--key", &key]);
    let verdict = super::denied(&out, "unsigned-files");
    assert!(verdict.to_string().contains("model.sig"), "{verdict}");
}

#[test]
fn a_name_makes_no_file_evidence() {
    let scratch = with("model/a", b"a");
    run(
        &scratch,
        &[
            "sign",
            "model",
            "--key",
            &super::private("p256"),
            "--output",
            "m.sig",
        ],
    )
    .ok();
    script(&scratch, "model/model.sig", "#!/bin/sh\necho PWNED\n");
    run(
        &scratch,
        &[
            "guard",
            "--key",
            &public("p256"),
            "--bundle",
            "m.sig",
            "model",
            "--",
            "model/model.sig",
        ],
    )
    .expect_code(126)
    .stderr_has("unsigned-files")
    .stdout_lacks("PWNED");
}

#[test]
fn an_attestation_covers_nothing_that_the_identity_leaves_out() {
    let scratch = with("model/a", b"a");
    scratch.write("p.json", b"{}");
    attest(&scratch, "p.json").ok();
    policy(
        &scratch,
        "  match: [ { kind: model, name: m } ]\n  mutable: allow\n  signatures: { from: [a], threshold: 0 }\n  attestations: [ { type: \"https://example.com/x\", from: [a] } ]\n",
    );
    let guard = || {
        run(
            &scratch,
            &["guard", "--policy", "policy.yaml", "--name", "m", "model"],
        )
    };
    guard().ok();
    scratch.write("model/.git/hooks/x.py", b"evil");
    guard().expect_code(1).stdout_has("unsigned-files");
}

#[test]
fn a_model_of_ignored_files_alone_has_no_identity() {
    let scratch = with("model/.github/x", b"a");
    attest(&scratch, "model/.github/x").expect_code(2);
    verify(&scratch, "model")
        .expect_code(2)
        .stderr_has("no file that counts");
}

#[test]
fn a_verification_summary_is_no_mere_attestation() {
    let scratch = with("f", b"bytes");
    policy(
        &scratch,
        "  match: [ { kind: blob, name: f } ]\n  signatures: { from: [a] }\n  attestations: [ { type: vsa, from: [a] } ]\n",
    );
    run(&scratch, &["verify", "f", "--policy", "policy.yaml"])
        .expect_code(3)
        .stderr_has("spec.binding");
}

#[test]
fn what_others_wrote_cannot_repaint_the_terminal() {
    let scratch = with("f", b"bytes");
    scratch.write("f.sigstore.json", b"{\"\\u001b[2JALLOWED\": 1}");
    let output = verify(&scratch, "f");
    output
        .expect_code(1)
        .stdout_lacks("\u{1b}")
        .stderr_lacks("\u{1b}");
}

#[test]
fn a_configuration_that_everybody_may_write_does_not_hold() {
    let scratch = signed("f", b"bytes");
    policy(
        &scratch,
        "  match: [ { kind: blob, name: f } ]\n  signatures: { from: [a] }\n",
    );
    let toml = scratch.write(
        "obreia.toml",
        b"version = 1\n[policy]\nfiles = [\"policy.yaml\"]\n",
    );
    run(&scratch, &["verify", "f"]).ok();
    fs::set_permissions(&toml, fs::Permissions::from_mode(0o666)).unwrap();
    run(&scratch, &["verify", "f"])
        .expect_code(3)
        .stderr_has("everybody may write it");
    // Named by the user it is his choice.
    run(&scratch, &["verify", "f", "--config", "obreia.toml"]).ok();
}
