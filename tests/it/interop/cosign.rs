//! cosign 3, offline: keys only, no transparency log.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Obreia, Output, Scratch, peer};

/// A signing configuration that names no service at all.
pub(crate) const NO_SERVICES: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
"caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],
"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}"#;
const EVAL: &str = "https://example.acme/eval/v1";

/// A scratch folder with a key pair `k.pem` and `k.pub`, and the peer.
struct Case {
    scratch: Scratch,
    cosign: PathBuf,
}

impl Case {
    /// `None` in a quick run, where the test has been named as not run.
    fn new(algorithm: &[&str]) -> Option<Self> {
        let cosign = peer("cosign")?;
        let openssl = peer("openssl")?;
        let scratch = Scratch::new();
        let run = |args: &[&str]| {
            scratch.obreia().program(&openssl).args(args).run().ok();
        };
        run(&[&["genpkey", "-out", "k.pem", "-algorithm"], algorithm].concat());
        run(&["pkey", "-in", "k.pem", "-pubout", "-out", "k.pub"]);
        scratch.write("f", b"some bytes\n");
        scratch.write("predicate.json", br#"{"score":0.9}"#);
        Some(Self { scratch, cosign })
    }

    fn ours(&self, args: &[&str]) -> Output {
        self.scratch.obreia().args(args).run()
    }

    fn cosign(&self, args: &[&str]) -> Obreia {
        self.scratch
            .obreia()
            .program(&self.cosign)
            .env("COSIGN_PASSWORD", "correct horse")
            .args(args)
    }

    /// Their verdict, with the tail of arguments that all of them need.
    fn they_verify(&self, args: &[&str]) -> Output {
        self.cosign(args)
            .args(["--key", "k.pub", "--insecure-ignore-tlog=true"])
            .run()
    }

    /// Their key pair, `cosign.key` and `cosign.pub`, and a configuration that reaches nothing.
    fn with_their_key(self) -> Self {
        self.cosign(&["generate-key-pair"]).run().ok();
        self.scratch.write("none.json", NO_SERVICES);
        self
    }

    fn they_sign(&self, args: &[&str]) {
        self.cosign(args)
            .args(["--key", "cosign.key", "--signing-config", "none.json", "-y"])
            .run()
            .ok();
    }

    /// An image in the layout `l`, tagged v1; its manifest's digest.
    fn image(&self) -> String {
        let layout = obreia::source::layout::Layout::create(self.scratch.join("l")).unwrap();
        let config = json!({"os": "linux", "architecture": "amd64", "config": {},
            "rootfs": {"type": "layers", "diff_ids": []}});
        let config = layout
            .put_blob(
                "application/vnd.oci.image.config.v1+json",
                config.to_string().as_bytes(),
            )
            .unwrap();
        let layer = layout
            .put_blob("application/vnd.oci.image.layer.v1.tar", b"a layer")
            .unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": [layer],
        });
        let image = layout
            .put_blob(
                "application/vnd.oci.image.manifest.v1+json",
                manifest.to_string().as_bytes(),
            )
            .unwrap();
        layout.tag("v1", &image).unwrap();
        image.digest.to_string()
    }
}

const P256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:3072"];
const ED25519: &[&str] = &["ED25519"];

/// cosign takes SHA-256 for every key in a file unless it is told otherwise.
const SHA384: &[&str] = &["--signature-digest-algorithm", "sha384"];

fn they_accept_our_blob_signature(algorithm: &[&str], told: &[&str]) {
    let Some(case) = Case::new(algorithm) else {
        return;
    };
    case.ours(&["sign", "f", "--key", "k.pem"]).ok();
    let verify = [&["verify-blob", "--bundle", "f.sigstore.json", "f"], told].concat();
    case.they_verify(&verify).ok();
    case.scratch.write("f", b"other bytes\n");
    assert_ne!(case.they_verify(&verify).code, Some(0));
    case.ours(&["verify", "f", "--key", "k.pub"]).expect_code(1);
}

#[test]
fn they_accept_our_p256_blob_signature() {
    they_accept_our_blob_signature(P256, &[]);
}

#[test]
fn they_accept_our_p384_blob_signature() {
    they_accept_our_blob_signature(P384, SHA384);
}

#[test]
fn they_accept_our_rsa_blob_signature() {
    they_accept_our_blob_signature(RSA, &[]);
}

fn they_accept_our_attestation(algorithm: &[&str], told: &[&str]) {
    let Some(case) = Case::new(algorithm) else {
        return;
    };
    let args = [
        "attest",
        "f",
        "--type",
        EVAL,
        "--predicate",
        "predicate.json",
        "--key",
        "k.pem",
    ];
    case.ours(&args).ok();
    let verify = |predicate_type| {
        let bundle = "f.eval-v1.sigstore.json";
        let args = [
            "verify-blob-attestation",
            "--bundle",
            bundle,
            "f",
            "--type",
            predicate_type,
        ];
        case.they_verify(&[&args, told].concat())
    };
    verify(EVAL).ok();
    assert_ne!(verify("https://example.acme/other/v1").code, Some(0));
    case.scratch.write("f", b"other bytes\n");
    assert_ne!(verify(EVAL).code, Some(0));
}

#[test]
fn they_accept_our_p256_attestation() {
    they_accept_our_attestation(P256, &[]);
}

#[test]
fn they_accept_our_p384_attestation() {
    they_accept_our_attestation(P384, SHA384);
}

#[test]
fn they_accept_our_ed25519_attestation() {
    they_accept_our_attestation(ED25519, &[]);
}

#[test]
fn we_accept_their_blob_signature() {
    let Some(case) = Case::new(P256).map(Case::with_their_key) else {
        return;
    };
    case.they_sign(&["sign-blob", "--bundle", "f.sigstore.json", "f"]);
    let verify = ["verify", "f", "--key", "cosign.pub"];
    case.ours(&verify).ok().stdout_has("verified signature");
    case.ours(&["verify", "f", "--key", "k.pub"])
        .expect_code(1)
        .stdout_has("key-not-trusted");
    case.scratch.write("f", b"other bytes\n");
    case.ours(&verify).expect_code(1);
}

#[test]
fn we_accept_their_p384_blob_signature() {
    let Some(case) = Case::new(P384).map(Case::with_their_key) else {
        return;
    };
    let import = [
        "import-key-pair",
        "--key",
        "k.pem",
        "--output-key-prefix",
        "cosign",
        "-y",
    ];
    case.cosign(&import).run().ok();
    case.they_sign(&["sign-blob", "--bundle", "f.sigstore.json", "f"]);
    case.ours(&["verify", "f", "--key", "k.pub"]).ok();
}

#[test]
fn we_accept_their_attestation() {
    let Some(case) = Case::new(P256).map(Case::with_their_key) else {
        return;
    };
    case.they_sign(&["sign-blob", "--bundle", "f.sigstore.json", "f"]);
    case.they_sign(&[
        "attest-blob",
        "--predicate",
        "predicate.json",
        "--type",
        EVAL,
        "--bundle",
        "f.eval-v1.sigstore.json",
        "f",
    ]);
    let verify = ["verify", "f", "--key", "cosign.pub", "-o", "json"];
    let verdict = case.ours(&verify).ok().json();
    let attested = |verdict: &Value| {
        let mut evidence = verdict["evidence"].as_array().unwrap().iter();
        evidence
            .find(|e| e["predicate_type"] == EVAL)
            .map(|e| e["verified"].clone())
    };
    assert_eq!(attested(&verdict), Some(json!(true)));
    // It alone is no signature.
    fs::remove_file(case.scratch.join("f.sigstore.json")).unwrap();
    let verdict = case.ours(&verify).expect_code(1).json();
    assert_eq!(attested(&verdict), Some(json!(true)));
    assert_eq!(verdict["reasons"][0]["code"], "no-signature");
}

#[test]
fn we_sign_with_their_encrypted_key_and_they_accept() {
    let Some(case) = Case::new(P256).map(Case::with_their_key) else {
        return;
    };
    let sign = |password: &str| {
        case.scratch
            .obreia()
            .env("COSIGN_PASSWORD", password)
            .args(["sign", "f", "--key", "cosign.key"])
            .run()
    };
    sign("wrong").expect_code(5);
    assert!(!case.scratch.join("f.sigstore.json").exists());
    sign("correct horse").ok();
    case.cosign(&["verify-blob", "--bundle", "f.sigstore.json", "f"])
        .args(["--key", "cosign.pub", "--insecure-ignore-tlog=true"])
        .run()
        .ok();
}

#[test]
fn they_accept_our_image_signature_in_a_layout() {
    let Some(case) = Case::new(P256) else {
        return;
    };
    let digest = case.image();
    let verify = |more: &[&str]| {
        let args = [&["verify", "--local-image", "l"], more].concat();
        case.they_verify(&args)
    };
    assert_ne!(verify(&[]).code, Some(0));
    let sign = [
        "sign",
        "oci-layout:l:v1",
        "--key",
        "k.pem",
        "--annotation",
        "stage=prod",
    ];
    case.ours(&sign).ok().stdout_has(&digest);
    verify(&[]).ok();
    verify(&["-a", "stage=prod"]).ok();
    assert_ne!(verify(&["-a", "stage=dev"]).code, Some(0));
    // Another key, to both.
    let Some(other) = Case::new(P256) else {
        return;
    };
    case.scratch.write("k.pub", other.scratch.read("k.pub"));
    assert_ne!(verify(&[]).code, Some(0));
    case.ours(&["verify", "oci-layout:l:v1", "--key", "k.pub"])
        .expect_code(1);
}

#[test]
fn they_accept_our_image_attestation_in_a_layout() {
    let Some(case) = Case::new(P256) else {
        return;
    };
    case.image();
    case.ours(&[
        "attest",
        "oci-layout:l:v1",
        "--type",
        EVAL,
        "--predicate",
        "predicate.json",
        "--key",
        "k.pem",
    ])
    .ok();
    let verify = ["verify-attestation", "--local-image", "l", "--type", EVAL];
    let out = case.they_verify(&verify);
    out.ok();
    let envelope: Value = serde_json::from_str(out.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
}

// What `cosign save` leaves: the image marked as cosign's, its referrers listed nowhere.
#[test]
fn we_read_a_layout_as_they_save_it() {
    let Some(case) = Case::new(P256) else {
        return;
    };
    let digest = case.image();
    case.ours(&["sign", "oci-layout:l:v1", "--key", "k.pem"])
        .ok();
    let index = case.scratch.join("l/index.json");
    let mut tree: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    tree["manifests"]
        .as_array_mut()
        .unwrap()
        .retain(|m| m["digest"] == digest.as_str());
    tree["manifests"][0]["annotations"] = json!({"kind": "dev.cosignproject.cosign/image"});
    fs::write(&index, tree.to_string()).unwrap();
    case.they_verify(&["verify", "--local-image", "l"]).ok();
    case.ours(&["verify", "oci-layout:l", "--key", "k.pub"])
        .ok();
}
