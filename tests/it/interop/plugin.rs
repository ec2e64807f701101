//! cosign with our binary as its plugin, and both with the same plugin and the
//! same key in a variable.

use std::path::PathBuf;

use super::cosign::NO_SERVICES;
use super::cosign_verifies;
use crate::harness::{Obreia, Output, Scratch, peer, testdata};
use crate::keys::{PASSPHRASE, place, run};

const KEY: &str = "kms://model-sign/prod";
const BUNDLE: &[&str] = &["--bundle", "f.sigstore.json", "f"];

struct Case {
    scratch: Scratch,
    cosign: PathBuf,
}

impl Case {
    /// A keystore, and our link on the `PATH` of cosign; `None` in a quick run.
    fn new() -> Option<Self> {
        let cosign = peer("cosign")?;
        let scratch = place();
        scratch.write("none.json", NO_SERVICES);
        scratch.write("f", b"some bytes\n");
        scratch.write("bin/.keep", "");
        run(&scratch, &["plugin", "install", "--dir", "bin"]).ok();
        Some(Self { scratch, cosign })
    }

    fn with_path(&self, command: Obreia) -> Obreia {
        let path = std::env::var("PATH").unwrap_or_default();
        let (ours, demonstration) = (self.scratch.join("bin"), testdata("plugins"));
        command.env("OBREIA_PASSPHRASE", PASSPHRASE).env(
            "PATH",
            format!("{}:{}:{path}", ours.display(), demonstration.display()),
        )
    }

    fn ours(&self, args: &[&str]) -> Output {
        self.with_path(self.scratch.obreia().args(args)).run()
    }

    fn cosign(&self, args: &[&str]) -> Output {
        let command = self.scratch.obreia().program(&self.cosign).args(args);
        self.with_path(command)
            .env("OBREIA_CONFIG", self.scratch.join("obreia.toml"))
            .env("COSIGN_PASSWORD", "correct horse")
            .run()
    }

    fn they_sign(&self, key: &str) -> Output {
        let args = [
            "sign-blob",
            "--key",
            key,
            "--signing-config",
            "none.json",
            "-y",
        ];
        self.cosign(&[&args, BUNDLE].concat())
    }

    fn they_verify(&self, key: &str, told: &[&str]) -> Output {
        let args = ["verify-blob", "--key", key, "--insecure-ignore-tlog=true"];
        self.cosign(&[&args, told, BUNDLE].concat())
    }
}

fn signs_through_us(algorithm: &str, told: &[&str]) {
    let Some(case) = Case::new() else { return };
    case.ours(&["key", "create", KEY, "--algorithm", algorithm])
        .ok();
    case.they_sign(KEY).ok();
    let public = case.ours(&["key", "public", KEY]).stdout;
    case.scratch.write("k.pub", public);
    case.ours(&["verify", "f", "--key", KEY]).ok();
    case.ours(&["verify", "f", "--key", "k.pub"]).ok();
    case.they_verify("k.pub", told).ok();
    case.scratch.write("f", b"other bytes\n");
    case.ours(&["verify", "f", "--key", KEY]).expect_code(1);
    assert_ne!(case.they_verify("k.pub", told).code, Some(0));
}

#[test]
fn cosign_signs_with_our_p256_key() {
    signs_through_us("p256", &[]);
}

#[test]
fn cosign_signs_with_our_p384_key() {
    signs_through_us("p384", &["--signature-digest-algorithm", "sha384"]);
}

#[test]
fn cosign_signs_with_our_rsa_key() {
    signs_through_us("rsa-3072", &[]);
}

#[test]
fn cosign_signs_with_our_ed25519_key() {
    let Some(case) = Case::new() else { return };
    let create = ["key", "create", KEY, "--algorithm", "ed25519"];
    case.ours(&create).ok();
    case.they_sign(KEY).ok();
    case.ours(&["verify", "f", "--key", KEY]).ok();
    let public = case.ours(&["key", "public", KEY]).stdout;
    case.scratch.write("k.pub", public);
    // cosign states no digest beside a pure Ed25519 signature, and then misses
    // it when it verifies; for its attestations it wants Ed25519ph.
    case.they_verify("k.pub", &[])
        .expect_code(1)
        .stderr_has("missing artifact digest");
    case.scratch.write("predicate.json", br#"{"score":0.9}"#);
    let kind = "https://example.acme/eval/v1";
    let attest = [
        "attest-blob",
        "--key",
        KEY,
        "--signing-config",
        "none.json",
        "-y",
        "--predicate",
        "predicate.json",
        "--type",
        kind,
        "--bundle",
        "a.sigstore.json",
        "f",
    ];
    case.cosign(&attest)
        .expect_code(1)
        .stderr_has("a digest (Ed25519ph) is not enough");
    case.scratch.write("f", b"other bytes\n");
    case.ours(&["verify", "f", "--key", KEY]).expect_code(1);
}

#[test]
fn cosign_verifies_through_us_without_a_passphrase() {
    let Some(case) = Case::new() else { return };
    case.ours(&["key", "create", KEY]).ok();
    case.they_sign(KEY).ok();
    case.ours(&["key", "rotate", KEY]).ok();
    let verify = |args: &[&str]| {
        let command = case.scratch.obreia().program(&case.cosign).args(args);
        case.with_path(command)
            .without_env("OBREIA_PASSPHRASE")
            .env("OBREIA_CONFIG", case.scratch.join("obreia.toml"))
            .run()
    };
    let first = format!("{KEY}?version=1");
    let args = |key| {
        [
            &["verify-blob", "--key", key, "--insecure-ignore-tlog=true"],
            BUNDLE,
        ]
        .concat()
    };
    verify(&args(&first)).ok();
    case.scratch.write("f", b"other bytes\n");
    assert_ne!(verify(&args(&first)).code, Some(0));
}

#[test]
fn cosign_makes_a_key_in_our_keystore() {
    let Some(case) = Case::new() else { return };
    case.cosign(&["generate-key-pair", "--kms", KEY]).ok();
    let ours = case.ours(&["key", "public", KEY]).stdout;
    assert_eq!(case.scratch.read_text("cosign.pub").trim(), ours.trim());
    case.they_sign(KEY).ok();
    case.ours(&["verify", "f", "--key", "cosign.pub"]).ok();
}

#[test]
fn cosign_is_told_why_not() {
    let Some(case) = Case::new() else { return };
    case.they_sign(KEY)
        .expect_code(1)
        .stderr_has("there is no key kms://model-sign/prod");
    case.ours(&["key", "create", KEY]).ok();
    case.ours(&["key", "disable", KEY]).ok();
    case.they_sign(KEY).expect_code(1).stderr_has("is disabled");
}

#[test]
fn the_demonstration_plugin_serves_both() {
    let Some(case) = Case::new() else { return };
    for (name, told) in [
        ("p256", &[][..]),
        ("p384", &["--signature-digest-algorithm", "sha384"]),
        ("rsa2048", &[]),
    ] {
        let keys = testdata("keys");
        let key = format!("pem://{}", keys.join(format!("{name}.pkcs8.pem")).display());
        let public = keys.join(format!("{name}.pub.pem"));
        let public = public.to_str().unwrap();
        case.ours(&["sign", "f", "--key", &key, "--force"]).ok();
        case.they_verify(public, told).ok();
        case.scratch.write("k.pub", case.scratch.read(public));
        cosign_verifies(&case.scratch, &key, told, &|args| case.ours(args));
        // cosign states SHA-256 to plugins whatever the key; this one takes its word.
        if name != "p384" {
            case.they_sign(&key).ok();
            case.ours(&["verify", "f", "--key", &key]).ok();
        }
    }
}

#[test]
fn a_key_that_cosign_made_signs_from_a_variable() {
    let Some(case) = Case::new() else { return };
    case.cosign(&["generate-key-pair"]).ok();
    let sign = case
        .scratch
        .obreia()
        .env("SIGNER", case.scratch.read_text("cosign.key"))
        .env("COSIGN_PASSWORD", "correct horse")
        .args(["sign", "f", "--key", "env://SIGNER"]);
    sign.run().ok();
    case.they_verify("cosign.pub", &[]).ok();
    let verify = case
        .scratch
        .obreia()
        .env("PUBLIC", case.scratch.read_text("cosign.pub"))
        .args(["verify", "f", "--key", "env://PUBLIC"]);
    verify.run().ok();
}
