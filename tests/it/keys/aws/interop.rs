//! OpenSSL and cosign verify what was signed through AWS KMS, and cosign's own
//! client of AWS KMS agrees with ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::credentials::loopback_tls;
use super::{ACCESS_KEY, Case, KEY, Kind, REGION, SECRET_KEY, StandIn};
use crate::harness::{Obreia, Scratch, peer};
use crate::interop::cosign_verifies;

/// A signing configuration that names no service at all.
const NO_SERVICES: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
"caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],
"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}"#;

/// `k.pub`, with which others verify.
fn public_key(case: &Case, key: &str) {
    let pem = case.run(&["key", "public", key]).ok().stdout.clone();
    case.scratch.write("k.pub", pem);
}

/// OpenSSL's verdict over the signature in `f.sigstore.json`.
pub(super) fn openssl_accepts(case: &Case, key: &str, kind: Kind) {
    let openssl = peer("openssl").expect("a system program is never left out");
    public_key(case, key);
    let bundle: serde_json::Value =
        serde_json::from_slice(&case.scratch.read("f.sigstore.json")).unwrap();
    let signature = bundle["messageSignature"]["signature"].as_str();
    let signature = STANDARD.decode(signature.unwrap()).unwrap();
    case.scratch.write("signature", signature);
    let verify = |file: &str| -> Option<i32> {
        let hash = match kind {
            Kind::P384 => "-sha384",
            Kind::P521 => "-sha512",
            _ if key.ends_with("sha384") => "-sha384",
            _ => "-sha256",
        };
        let command = case.scratch.obreia().program(&openssl);
        let pss: &[&str] = match key.contains("pss") {
            true => &[
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:digest",
            ],
            false => &[],
        };
        let command = command
            .args(["dgst", hash, "-verify", "k.pub", "-signature", "signature"])
            .args(pss)
            .arg(file);
        command.run().code
    };
    assert_eq!(verify("f"), Some(0), "{kind:?}");
    case.scratch.write("other", b"other bytes\n");
    assert_ne!(verify("other"), Some(0), "{kind:?}");
}

fn cosign(scratch: &Scratch, args: &[&str]) -> Option<Obreia> {
    Some(scratch.obreia().program(peer("cosign")?).args(args))
}

fn they_verify(case: &Case, bundle: &str, more: &[&str]) -> Option<i32> {
    let args = ["verify-blob", "--bundle", bundle, "f", "--key", "k.pub"];
    let told = cosign(&case.scratch, &args)?.arg("--insecure-ignore-tlog=true");
    told.args(more).run().code
}

#[test]
fn cosign_verifies_what_was_signed_through_aws_kms() {
    let sha384 = &["--signature-digest-algorithm", "sha384"][..];
    for (kind, told) in [
        (Kind::P256, &[][..]),
        (Kind::P384, sha384),
        (Kind::Rsa2048, &[]),
    ] {
        let case = Case::of(StandIn::start(), kind);
        case.sign(KEY).ok();
        public_key(&case, KEY);
        let Some(code) = they_verify(&case, "f.sigstore.json", told) else {
            return;
        };
        assert_eq!(code, 0, "{kind:?}");
        case.scratch.write("f", b"other bytes\n");
        assert_ne!(they_verify(&case, "f.sigstore.json", told), Some(0));
    }
}

#[test]
fn cosign_verifies_what_was_attested_through_aws_kms() {
    for kind in [Kind::P256, Kind::Rsa2048] {
        let case = Case::of(StandIn::start(), kind);
        public_key(&case, KEY);
        cosign_verifies(&case.scratch, KEY, &[], &|args| case.run(args));
    }
}

/// cosign's own client speaks https alone, and cannot be given an authority.
#[test]
fn cosign_signs_with_the_key_by_the_same_name_and_we_verify() {
    let scratch = Scratch::new();
    let (authority, certificate, key) = loopback_tls(&scratch);
    let case = Case::of(StandIn::start_tls(&certificate, &key), Kind::P256);
    let name = format!("awskms://{}/alias/k", case.server.host());
    case.scratch.write("none.json", NO_SERVICES);
    let args = [
        "sign-blob",
        "--key",
        &name,
        "--bundle",
        "theirs.json",
        "--signing-config",
        "none.json",
        "-y",
        "f",
    ];
    let Some(command) = cosign(&case.scratch, &args) else {
        return;
    };
    command
        .env("AWS_TLS_INSECURE_SKIP_VERIFY", "1")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .run()
        .ok();
    assert!(case.server.asked().contains(&"Sign".to_owned()));
    let ours = |args: &[&str]| {
        case.obreia(args)
            .without_env("AWS_ENDPOINT_URL_KMS")
            .env("AWS_CA_BUNDLE", &authority)
            .run()
    };
    let verify = ["verify", "f", "--key", &name, "--bundle", "theirs.json"];
    ours(&verify).ok();
    ours(&["sign", "f", "--key", &name]).ok();
    let pem = ours(&["key", "public", &name]).ok().stdout.clone();
    case.scratch.write("k.pub", pem);
    for bundle in ["theirs.json", "f.sigstore.json"] {
        assert_eq!(they_verify(&case, bundle, &[]), Some(0), "{bundle}");
    }
    case.scratch.write("f", b"other bytes\n");
    ours(&verify).expect_code(1);
}
