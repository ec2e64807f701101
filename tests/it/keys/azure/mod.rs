//! Azure Key Vault, through the binary, against a stand-in that holds every
//! request against Microsoft's description of the API.

mod faults;
mod states;
mod vault;

use obreia::crypto::KeyKind;

use super::{clouds, obreia, standin};
use crate::harness::{Obreia, Output, Scratch};
use crate::interop::cosign_verifies;
use vault::{CLIENT, TENANT};
pub(super) use vault::{SECRET, Vault};

pub(super) const KEY: &str = "azurekms://acme/models";

/// A configured folder with something to sign.
pub(super) fn place(vault: &Vault) -> Scratch {
    clouds::place(&vault.settings())
}

pub(super) fn with(scratch: &Scratch, args: &[&str]) -> Obreia {
    obreia(scratch, args)
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", CLIENT)
        .env("AZURE_CLIENT_SECRET", SECRET)
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
    let secrets = [SECRET, "entra-access-token"];
    clouds::refused(out, (exit, code), says, &secrets);
}

#[test]
fn every_kind_of_key_signs_a_digest_and_is_verified_by_another() {
    let vault = Vault::start();
    for (name, kind, scheme) in [
        ("p256", KeyKind::EcP256, "ecdsa-p256-sha256"),
        ("p384", KeyKind::EcP384, "ecdsa-p384-sha384"),
        ("p521", KeyKind::EcP521, "ecdsa-p521-sha512"),
        ("rsa", KeyKind::Rsa { bits: 2048 }, "rsa-pss-sha256"),
        ("rsa", KeyKind::Rsa { bits: 2048 }, "rsa-pkcs1-sha512"),
    ] {
        let scratch = place(&vault);
        vault.change(|state| {
            state.keys.remove(name);
        });
        let version = vault.make(name, kind);
        let query = if name == "rsa" {
            format!("?scheme={scheme}")
        } else {
            String::new()
        };
        let key = format!("azurekms://acme.vault.azure.net/{name}{query}");
        sign(&scratch, &key).ok().stdout_has(scheme);
        verify(&scratch, &key).ok();
        scratch.write("other.bin", "something else");
        let signed = scratch.read("app.bin.sigstore.json");
        scratch.write("other.bin.sigstore.json", signed);
        with(&scratch, &["verify", "other.bin", "--key", &key])
            .run()
            .expect_code(1);
        if !name.starts_with("rsa") {
            // The same signature under the public key in a file.
            scratch.write("key.pub", version.private.public_key().to_pem());
            scratch
                .obreia()
                .args(["verify", "app.bin", "--key", "key.pub"])
                .run()
                .ok();
        }
    }
}

#[test]
fn cosign_verifies_what_was_signed_in_a_vault() {
    let vault = Vault::start();
    let scratch = place(&vault);
    for (name, kind, query) in [
        ("p256", KeyKind::EcP256, ""),
        (
            "rsa",
            KeyKind::Rsa { bits: 2048 },
            "?scheme=rsa-pkcs1-sha256",
        ),
    ] {
        let version = vault.make(name, kind);
        scratch.write("k.pub", version.private.public_key().to_pem());
        let key = format!("azurekms://acme/{name}{query}");
        cosign_verifies(&scratch, &key, &[], &|args| with(&scratch, args).run());
    }
}

#[test]
fn one_request_for_a_signature_and_none_for_a_verification() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    assert_eq!(vault.server.asked(), ["token", "GetKey", "sign"]);
    // A process of its own, which logs in, but needs not ask for the key.
    sign(&scratch, KEY).ok();
    assert_eq!(vault.server.asked(), ["token", "sign"]);
    verify(&scratch, KEY).ok();
    assert_eq!(vault.server.asked(), ["token", "GetKey", "GetKeyVersions"]);
    verify(&scratch, KEY).ok();
    with(&scratch, &["--offline", "verify", "app.bin", "--key", KEY])
        .run()
        .ok();
    assert!(vault.server.asked().is_empty());
}

#[test]
fn nothing_is_asked_offline() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    vault.server.asked();
    for args in [
        &["--offline", "sign", "app.bin", "--force", "--key", KEY][..],
        &["--offline", "verify", "app.bin", "--key", KEY],
        &["--offline", "key", "show", KEY],
    ] {
        let out = with(&scratch, args).run();
        refused(&out, 4, "offline", "azure is asked over the network");
    }
    assert!(vault.server.asked().is_empty());
}

#[test]
fn a_version_that_is_named_is_honoured_and_old_ones_verify() {
    let vault = Vault::start();
    let scratch = place(&vault);
    let old = vault.make("models", KeyKind::EcP256);
    let new = vault.make("models", KeyKind::EcP256);
    let named = format!("{KEY}/{}", old.name);
    sign(&scratch, &named).ok();
    assert_eq!(vault.server.asked(), ["token", "GetKey", "sign"]);
    // The key as a whole has both versions; each by itself is one.
    verify(&scratch, KEY).ok();
    verify(&scratch, &named).ok();
    verify(&scratch, &format!("{KEY}/{}", new.name)).expect_code(1);
    // Without a version, the newest signs.
    sign(&scratch, KEY).ok();
    verify(&scratch, &format!("{KEY}/{}", new.name)).ok();
    let absent = format!("{KEY}/{}", "0".repeat(32));
    refused(
        &sign(&scratch, &absent),
        3,
        "no-such-key",
        &absent.replace("acme/", "acme.vault.azure.net/"),
    );
}

#[test]
fn what_was_rotated_elsewhere_is_seen_once_what_is_known_is_old() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    vault.make("models", KeyKind::EcP256);
    // Within five minutes the version that is known goes on signing …
    sign(&scratch, KEY).ok();
    // … and afterwards, here by forgetting, the new one does.
    std::fs::remove_dir_all(scratch.join("state/known-keys")).unwrap();
    vault.server.asked();
    sign(&scratch, KEY).ok();
    assert_eq!(vault.server.asked(), ["token", "GetKey", "sign"]);
    verify(&scratch, KEY).ok();
}

#[test]
fn the_record_names_the_key_its_version_and_no_content() {
    let vault = Vault::start();
    let scratch = place(&vault);
    let version = vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    let records = super::records(&scratch);
    let [.., intent, outcome] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(
        (&intent["phase"], &outcome["phase"]),
        (&"intent".into(), &"outcome".into())
    );
    assert_eq!(outcome["result"], "ok");
    assert_eq!(outcome["provider"], "azure");
    assert_eq!(
        outcome["key"]["id"],
        "https://acme.vault.azure.net/keys/models"
    );
    let path = format!("azurekms://acme.vault.azure.net/models/{}", version.name);
    assert_eq!(outcome["key"]["path"], path.as_str());
    let told = format!("{records:?}");
    assert!(!told.contains("what is signed") && !told.contains(SECRET));
}

#[test]
fn a_federated_token_logs_in_too() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    scratch.write("token", "a.federated.token");
    let federated = |file: &str| {
        with(&scratch, &["sign", "app.bin", "--force", "--key", KEY])
            .without_env("AZURE_CLIENT_SECRET")
            .env("AZURE_FEDERATED_TOKEN_FILE", scratch.join(file))
            .run()
    };
    federated("token").ok();
    let (_, call) = vault.server.calls().remove(0);
    let form = call.form();
    assert_eq!(form["client_assertion"], "a.federated.token");
    refused(
        &federated("absent"),
        3,
        "not-configured",
        "failed to read federated token",
    );
}

#[test]
fn keys_are_made_rotated_disabled_and_shown() {
    let vault = Vault::start();
    let scratch = place(&vault);
    let run = |args: &[&str]| with(&scratch, args).run();
    run(&["key", "create", KEY, "--algorithm", "p384"]).ok();
    refused(
        &run(&["key", "create", KEY]),
        2,
        "exists",
        "acme.vault.azure.net/models",
    );
    sign(&scratch, KEY).ok().stdout_has("ecdsa-p384-sha384");
    run(&["key", "rotate", KEY]).ok();
    let shown = run(&["key", "show", KEY, "-o", "json"]);
    let shown = &shown.ok().json()["key"];
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    assert_eq!(shown["provider"], "azure");
    // What the first version signed still holds.
    verify(&scratch, KEY).ok();
    run(&["key", "disable", KEY]).ok();
    refused(&sign(&scratch, KEY), 5, "disabled", "is disabled");
    refused(&verify(&scratch, KEY), 5, "disabled", "is disabled");
    run(&["key", "enable", KEY]).ok();
    sign(&scratch, KEY).ok();
    verify(&scratch, KEY).ok();
}

#[test]
fn a_version_that_was_disabled_alone_stays_so_when_its_key_is_enabled() {
    let vault = Vault::start();
    let scratch = place(&vault);
    let old = vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    vault.make("models", KeyKind::EcP256);
    let run = |args: &[&str]| with(&scratch, args).run();
    let first = format!("{KEY}/{}", old.name);
    run(&["key", "disable", &first]).ok();
    verify(&scratch, KEY).expect_code(1);
    run(&["key", "enable", KEY]).ok();
    verify(&scratch, KEY).expect_code(1);
    run(&["key", "enable", &first]).ok();
    verify(&scratch, KEY).ok();
}
