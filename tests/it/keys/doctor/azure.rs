//! Keys in Azure Key Vault, against the stand-in.

use obreia::crypto::KeyKind;

use super::*;
use crate::keys::azure::{KEY, Vault, place, with};
use crate::keys::standin::server::REQUEST;

const SOON: i64 = 10 * 24 * 3_600;

fn doctor(scratch: &Scratch) -> Output {
    with(scratch, &["doctor", "keys", KEY, "-o", "json"]).run()
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs() as i64
}

#[test]
fn a_key_is_tried_and_its_request_is_on_record() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP521);
    let told = report(&doctor(&scratch), 0);
    assert_eq!(told["result"], "ok", "{told:#}");
    assert_eq!(check(&told, "key", KEY)["key"]["hash"], "sha512");
    let signed = vault.server.asked();
    assert_eq!(signed.iter().filter(|name| *name == "sign").count(), 1);
    let last = records(&scratch).pop().unwrap();
    assert_eq!(
        (&last["op"], &last["provider_request"]),
        (&"probe".into(), &REQUEST.into())
    );
}

#[test]
fn keys_that_end() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    vault.newest("models", |version| version.expires = Some(now() + SOON));
    let told = report(&doctor(&scratch), 0);
    is(check(&told, "outlook", KEY), "warning", "key-expires");
    vault.newest("models", |version| {
        version.expires = Some(now() + 20 * SOON)
    });
    assert_eq!(report(&doctor(&scratch), 0)["result"], "ok");
    vault.newest("models", |version| version.expires = Some(now() - 1));
    let told = report(&doctor(&scratch), 5);
    is(check(&told, "key", KEY), "failed", "kms-refused");
    // Known already, and only looked at.
    let args = ["doctor", "keys", KEY, "--no-probe", "-o", "json"];
    vault.newest("models", |version| version.enabled = false);
    let told = report(&with(&scratch, &args).run(), 5);
    let found = told["checks"].as_array().unwrap();
    assert!(
        found.iter().any(|check| check["code"] == "disabled"),
        "{told:#}"
    );
}

#[test]
fn a_login_that_is_not_taken() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    let args = ["doctor", "keys", KEY, "-o", "json"];
    let wrong = with(&scratch, &args)
        .env("AZURE_CLIENT_SECRET", "wrong")
        .run();
    is(check(&report(&wrong, 5), "key", KEY), "failed", "kms-login");
    let none = with(&scratch, &args).without_env("AZURE_CLIENT_ID").run();
    is(
        check(&report(&none, 3), "key", KEY),
        "failed",
        "not-configured",
    );
}

#[test]
fn a_vaults_keys_are_listed() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    vault.make("models", KeyKind::EcP256);
    vault.make("images", KeyKind::EcP384);
    let list = |place: &str| with(&scratch, &["key", "list", place, "-o", "json"]).run();
    let found = list("azurekms://acme").ok().json();
    let keys = found["keys"].as_array().unwrap();
    let shown: Vec<(&str, usize)> = keys
        .iter()
        .map(|key| {
            let versions = key["versions"].as_array().unwrap().len();
            (key["path"].as_str().unwrap(), versions)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("azurekms://acme.vault.azure.net/images", 1),
            ("azurekms://acme.vault.azure.net/models", 2)
        ]
    );
    for (place, exit, code) in [
        ("azurekms://", 2, "unsupported"),
        ("azurekms://acme/models", 2, "bad-request"),
    ] {
        let error = list(place).expect_code(exit).json();
        assert_eq!(error["code"], code, "{place}");
    }
    vault.change(|state| state.forbidden = vec!["GetKeys"]);
    let error = list("azurekms://acme").expect_code(5).json();
    assert_eq!(error["code"], "kms-refused");
}
