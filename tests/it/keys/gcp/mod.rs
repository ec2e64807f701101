//! Google Cloud KMS, through the binary, against a stand-in that holds every
//! request against Google's description of the API.

mod changes;
mod faults;
mod logins;
mod service;
mod states;

use super::{clouds, obreia, standin};
use crate::harness::{Obreia, Output, Scratch};
use crate::interop::cosign_verifies;
pub(super) use service::{FEDERATED, REFRESH, RING, Service, TOKEN};

pub(super) const P256: &str = "EC_SIGN_P256_SHA256";

/// The key that most tests use.
fn key() -> String {
    uri("models")
}

fn uri(key: &str) -> String {
    format!("gcpkms://{RING}/cryptoKeys/{key}")
}

/// A configured folder with something to sign, and a service account's file.
pub(super) fn place(service: &Service) -> Scratch {
    let scratch = clouds::place(&service.settings());
    scratch.write("account.json", service.service_account());
    scratch
}

pub(super) fn with(scratch: &Scratch, args: &[&str]) -> Obreia {
    obreia(scratch, args)
        .env(
            "GOOGLE_APPLICATION_CREDENTIALS",
            scratch.join("account.json"),
        )
        // The login is Google's library's, which goes by way of any proxy.
        .env("NO_PROXY", "127.0.0.1")
}

fn sign(scratch: &Scratch, key: &str) -> Output {
    with(scratch, &["sign", "app.bin", "--force", "--key", key]).run()
}

fn verify(scratch: &Scratch, key: &str) -> Output {
    with(scratch, &["verify", "app.bin", "--key", key]).run()
}

/// The command ended so, and said so to people and to programs.
#[track_caller]
fn refused(out: &Output, exit: i32, code: &str, says: &str) {
    let secrets = ["PRIVATE KEY", REFRESH, TOKEN];
    clouds::refused(out, (exit, code), says, &secrets);
}

#[test]
fn every_kind_of_key_signs_and_is_verified_by_another() {
    let service = Service::start();
    for (algorithm, scheme) in [
        (P256, "ecdsa-p256-sha256"),
        ("EC_SIGN_P384_SHA384", "ecdsa-p384-sha384"),
        ("RSA_SIGN_PSS_2048_SHA256", "rsa-pss-sha256"),
        ("RSA_SIGN_PKCS1_2048_SHA256", "rsa-pkcs1-sha256"),
    ] {
        let scratch = place(&service);
        let key = service.make(scheme, algorithm);
        sign(&scratch, &key).ok().stdout_has(scheme);
        verify(&scratch, &key).ok();
        // What it signs under, and not what keys of its kind usually do.
        let public = with(&scratch, &["key", "public", &key, "-o", "json"]).run();
        assert_eq!(public.ok().json()["scheme"], scheme);
        scratch.write("other.bin", "something else");
        let signed = scratch.read("app.bin.sigstore.json");
        scratch.write("other.bin.sigstore.json", signed);
        with(&scratch, &["verify", "other.bin", "--key", &key])
            .run()
            .expect_code(1);
        if !scheme.starts_with("rsa-pss") {
            // The same signature under the public key in a file.
            scratch.write("key.pub", service.public_key(scheme).to_pem());
            scratch
                .obreia()
                .args(["verify", "app.bin", "--key", "key.pub"])
                .run()
                .ok();
        }
    }
}

#[test]
fn cosign_verifies_what_google_signed() {
    let service = Service::start();
    let scratch = place(&service);
    for (name, algorithm) in [("p256", P256), ("rsa", "RSA_SIGN_PKCS1_2048_SHA256")] {
        let key = service.make(name, algorithm);
        scratch.write("k.pub", service.public_key(name).to_pem());
        cosign_verifies(&scratch, &key, &[], &|args| with(&scratch, args).run());
    }
}

/// Ed25519 has no digest: the message goes to Google, whole.
#[test]
fn ed25519_signs_what_google_takes_and_says_what_it_does_not() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("ed", "EC_SIGN_ED25519");
    sign(&scratch, &key).ok().stdout_has("ed25519");
    verify(&scratch, &key).ok();
    // Of a file a statement is signed, however long the file; a statement may
    // itself be longer than Google takes.
    let long = format!(r#"{{"k": "{}"}}"#, "x".repeat(64 << 10));
    scratch.write("p.json", long);
    let attest = "attest app.bin --force --type https://acme.example/t --predicate p.json --key";
    let args: Vec<&str> = attest.split(' ').chain([key.as_str()]).collect();
    service.server.asked();
    let out = with(&scratch, &args).run();
    refused(&out, 2, "wrong-algorithm", "1 to 65536 bytes with Ed25519");
    assert!(service.server.asked().is_empty());
}

#[test]
fn one_request_for_a_signature_and_none_for_a_verification() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    sign(&scratch, &key).ok();
    // Which version is the newest, its public key, and the signature: a service
    // account signs its own token.
    assert_eq!(
        service.server.asked(),
        ["list", "getPublicKey", "asymmetricSign"]
    );
    sign(&scratch, &key).ok();
    assert_eq!(service.server.asked(), ["asymmetricSign"]);
    verify(&scratch, &key).ok();
    assert_eq!(service.server.asked(), ["list", "getPublicKey"]);
    verify(&scratch, &key).ok();
    with(&scratch, &["--offline", "verify", "app.bin", "--key", &key])
        .run()
        .ok();
    assert!(service.server.asked().is_empty());
    // A named version needs no right to list.
    service.change(|state| state.forbidden = vec!["list"]);
    let named = format!("{key}/cryptoKeyVersions/1");
    sign(&scratch, &named).ok();
    verify(&scratch, &named).ok();
    assert_eq!(service.server.asked(), ["asymmetricSign"]);
}

#[test]
fn nothing_is_asked_offline() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    sign(&scratch, &key).ok();
    service.server.asked();
    for args in [
        &["--offline", "sign", "app.bin", "--force", "--key", &key][..],
        &["--offline", "verify", "app.bin", "--key", &key],
        &["--offline", "key", "show", &key],
    ] {
        let out = with(&scratch, args).run();
        refused(&out, 4, "offline", "gcp is asked over the network");
    }
    assert!(service.server.asked().is_empty());
}

#[test]
fn a_version_that_is_named_is_honoured_and_old_ones_verify() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    service.make("models", P256);
    for named in ["/cryptoKeyVersions/1", "/versions/1", "?version=1"] {
        let named = format!("{key}{named}");
        sign(&scratch, &named).ok();
        // The key as a whole has both versions; each by itself is one.
        verify(&scratch, &key).ok();
        verify(&scratch, &named).ok();
        verify(&scratch, &format!("{key}?version=2")).expect_code(1);
    }
    // Without a version, the newest signs.
    sign(&scratch, &key).ok();
    verify(&scratch, &format!("{key}?version=2")).ok();
    verify(&scratch, &format!("{key}?version=1")).expect_code(1);
    let absent = sign(&scratch, &format!("{key}/cryptoKeyVersions/9"));
    refused(&absent, 3, "no-such-key", "has no version 9");
}

#[test]
fn what_was_rotated_elsewhere_is_seen_once_what_is_known_is_old() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    sign(&scratch, &key).ok();
    service.make("models", P256);
    // Within five minutes the version that is known goes on signing …
    sign(&scratch, &key).ok();
    verify(&scratch, &format!("{key}?version=1")).ok();
    // … and afterwards, here by forgetting, the new one does.
    with(&scratch, &["key", "forget", &key]).run().ok();
    service.server.asked();
    sign(&scratch, &key).ok();
    assert_eq!(
        service.server.asked(),
        ["list", "getPublicKey", "asymmetricSign"]
    );
    verify(&scratch, &format!("{key}?version=2")).ok();
    verify(&scratch, &key).ok();
}

#[test]
fn the_record_names_the_key_its_version_and_no_content() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    sign(&scratch, &key).ok();
    let records = super::records(&scratch);
    let [.., intent, outcome] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(
        (&intent["phase"], &outcome["phase"]),
        (&"intent".into(), &"outcome".into())
    );
    assert_eq!(outcome["result"], "ok");
    assert_eq!(outcome["provider"], "gcp");
    assert_eq!(outcome["key"]["id"], format!("{RING}/cryptoKeys/models"));
    assert_eq!(outcome["key"]["path"], key);
    assert_eq!(outcome["key"]["version"], 1);
    let told = format!("{records:?}");
    assert!(!told.contains("what is signed") && !told.contains("PRIVATE"));
}

#[test]
fn a_rule_leads_to_a_key_and_to_its_versions() {
    let service = Service::start();
    let scratch = place(&service);
    service.make("fraud", P256);
    service.make("fraud", P256);
    let rule = format!(
        "[[keys.rule]]\nmatch = \"model-sign/prod/*\"\nto = \"gcpkms://{RING}/cryptoKeys/{{1}}\"\n"
    );
    let config = scratch.read_text("obreia.toml");
    scratch.write("obreia.toml", format!("{config}{rule}"));
    let key = "kms://model-sign/prod/fraud";
    sign(&scratch, &format!("{key}?version=1")).ok();
    verify(&scratch, key).ok();
    verify(&scratch, &format!("{key}?version=2")).expect_code(1);
}
