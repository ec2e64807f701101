//! Images in OCI layouts, through the commands.

use obreia::crypto::sha256;
use serde_json::{Value, json};

use super::forge::Forger;
use super::{allowed, codes, denied, policy, private, public, refused, verify};
use crate::harness::{Output, Scratch};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn blob(scratch: &Scratch, bytes: &[u8]) -> Value {
    let digest = sha256(bytes);
    scratch.write(format!("store/blobs/sha256/{}", digest.hex()), bytes);
    json!({"digest": digest.to_string(), "size": bytes.len()})
}

/// A layout `store` with one image, tagged `v1`; returns its digest.
fn image(scratch: &Scratch) -> String {
    let mut config = blob(scratch, b"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
    config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []});
    let mut descriptor = blob(scratch, manifest.to_string().as_bytes());
    let digest = descriptor["digest"].as_str().unwrap().to_owned();
    descriptor["mediaType"] = json!(MANIFEST);
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    scratch.write("store/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]});
    scratch.write("store/index.json", index.to_string());
    digest
}

fn signed(scratch: &Scratch) -> String {
    let digest = image(scratch);
    let args = ["sign", "oci-layout:store:v1", "--key", &private("p256")];
    scratch
        .obreia()
        .args(args)
        .run()
        .ok()
        .stdout_has("signed image");
    digest
}

fn check(scratch: &Scratch, name: &str, more: &[&str]) -> Output {
    let key = public("p256");
    verify(scratch, &[&[name, "--key", &key], more].concat())
}

#[test]
fn an_image_is_signed_by_tag_and_verified_by_tag_and_digest() {
    let scratch = Scratch::new();
    let digest = signed(&scratch);
    for name in ["oci-layout:store:v1", &format!("oci-layout:store@{digest}")] {
        let json = allowed(&check(&scratch, name, &[]));
        assert_eq!(json["artifact"]["identity"], digest);
        assert_eq!(json["artifact"]["kind"], "image");
    }
    let out = check(&scratch, "oci-layout:store:v2", &[]);
    refused(&out, 2, &["v2"]);
}

#[test]
fn at_startup_an_image_must_be_named_by_digest() {
    let scratch = Scratch::new();
    let digest = signed(&scratch);
    let guard = |name: &str| {
        let key = public("p256");
        let args = ["guard", name, "--key", &key, "-o", "json"];
        scratch.obreia().args(args).run()
    };
    let out = guard("oci-layout:store:v1");
    let verdict = out.expect_code(1).json()["verdicts"][0].clone();
    assert_eq!(codes(&verdict, "reasons"), ["image-not-pinned"]);
    let hint = verdict["reasons"][0]["hint"].as_str().unwrap();
    assert!(hint.contains(&digest), "{hint}");
    // What that does not prove is said.
    let out = guard(&format!("oci-layout:store@{digest}"));
    let verdict = out.ok().json()["verdicts"][0].clone();
    assert_eq!(codes(&verdict, "notes"), ["mutable", "image-not-proven"]);
}

#[test]
fn a_broken_referrer_of_somebody_elses_changes_nothing() {
    let scratch = Scratch::new();
    let digest = signed(&scratch);
    let name = format!("oci-layout:store@{digest}");
    let index: Value = serde_json::from_slice(&scratch.read("store/index.json")).unwrap();
    let text = index.to_string();
    assert!(text.contains("v1"), "{text}");
    // A second piece of evidence that is torn.
    let args = ["sign", &name, "--key", &private("p384")];
    scratch.obreia().args(args).run().ok();
    let hint = {
        let json = allowed(&check(&scratch, &name, &[]));
        let evidence = json["evidence"].as_array().unwrap().clone();
        assert_eq!(evidence.len(), 2);
        evidence.iter().filter(|e| e["verified"] == false).count()
    };
    assert_eq!(
        hint, 1,
        "the stranger's signature is listed and not verified"
    );
}

#[test]
fn a_changed_blob_is_denied() {
    let scratch = Scratch::new();
    let digest = signed(&scratch);
    let path = format!(
        "store/blobs/sha256/{}",
        digest.strip_prefix("sha256:").unwrap()
    );
    let changed = scratch
        .read_text(&path)
        .replace("\"layers\":[]", "\"layers\":[ ]");
    scratch.write(&path, changed);
    let out = check(&scratch, "oci-layout:store:v1", &[]);
    out.expect_code(1).stderr_has("was changed or damaged");
}

#[test]
fn a_signature_of_another_image_is_not_this_ones() {
    let scratch = Scratch::new();
    let digest = image(&scratch);
    let bundle = Forger::of("p256").about(
        b"another",
        "https://sigstore.dev/cosign/sign/v1",
        &json!({}),
    );
    scratch.write("b.json", bundle);
    let name = format!("oci-layout:store@{digest}");
    denied(
        &check(&scratch, &name, &["--bundle", "b.json"]),
        "digest-mismatch",
    );
    denied(&check(&scratch, &name, &[]), "no-signature");
    policy(&scratch, "p", &["p256"], "");
    denied(
        &verify(&scratch, &[&name, "--policy", "p.yaml"]),
        "no-signature",
    );
}

#[test]
fn recursive_signs_children_and_not_to_one_file() {
    let scratch = Scratch::new();
    image(&scratch);
    let args = [
        "sign",
        "oci-layout:store:v1",
        "--recursive",
        "--output",
        "x",
        "--key",
        &private("p256"),
    ];
    refused(
        &scratch.obreia().args(args).run(),
        2,
        &["cannot be used with"],
    );
}
