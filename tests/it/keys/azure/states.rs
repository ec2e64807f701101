//! Keys that may not sign, each for its own reason.

use obreia::crypto::KeyKind;

use super::vault::{SECRET, Vault};
use super::{KEY, place, refused, sign, verify, with};

/// Signs once, so that the key is known, and then again after the change: the
/// one that is refused by what is seen, the other by the vault.
fn before_and_after(change: impl Fn(&Vault), exit: i32, code: &str, says: &str) {
    let vault = Vault::start();
    vault.make("models", KeyKind::EcP256);
    change(&vault);
    refused(&sign(&place(&vault), KEY), exit, code, says);
    let asked = vault.server.asked();
    assert!(!asked.contains(&"sign".to_owned()), "{asked:?}");

    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    change(&vault);
    refused(&sign(&scratch, KEY), exit, code, "");
    // What was known is forgotten, so that a new version is found at once.
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
}

#[test]
fn disabled() {
    before_and_after(
        |vault| vault.newest("models", |v| v.enabled = false),
        5,
        "disabled",
        "is disabled",
    );
}

#[test]
fn expired() {
    before_and_after(
        |vault| vault.newest("models", |v| v.expires = Some(1_700_000_000)),
        5,
        "kms-refused",
        "it expired at 2023-11-14T22:13:20Z",
    );
}

#[test]
fn not_valid_yet() {
    before_and_after(
        |vault| vault.newest("models", |v| v.not_before = Some(4_000_000_000)),
        5,
        "kms-refused",
        "it is not valid before 2096",
    );
}

#[test]
fn an_expired_version_still_verifies_and_a_disabled_one_does_not() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    vault.newest("models", |v| v.expires = Some(1_700_000_000));
    verify(&scratch, KEY).ok();
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    vault.newest("models", |v| v.enabled = false);
    vault.make("models", KeyKind::EcP256);
    verify(&scratch, KEY).expect_code(1);
}

/// What the vault said when it was asked to sign, looked at, or changed; those
/// who may not ask go by that.
#[test]
fn what_was_seen_to_be_disabled_verifies_nothing_offline_either() {
    let vault = Vault::start();
    let scratch = place(&vault);
    let version = vault.make("models", KeyKind::EcP256).name;
    let one = format!("{KEY}/{version}");
    let offline =
        |key: &str| with(&scratch, &["--offline", "verify", "app.bin", "--key", key]).run();
    for seen_by in [
        &["sign", "app.bin", "--force", "--key", &one][..],
        &["key", "show", KEY],
        &["key", "disable", KEY],
    ] {
        with(&scratch, &["key", "forget", KEY]).run();
        sign(&scratch, KEY).ok();
        for key in [KEY, &one] {
            verify(&scratch, key).ok();
            offline(key).ok();
        }
        if seen_by[1] != "disable" {
            vault.newest("models", |v| v.enabled = false);
        }
        with(&scratch, seen_by).run();
        refused(&offline(&one), 5, "disabled", "is disabled");
        refused(&verify(&scratch, &one), 5, "disabled", "is disabled");
        refused(&verify(&scratch, KEY), 5, "disabled", "is disabled");
        refused(&offline(KEY), 5, "disabled", "is disabled");
        vault.newest("models", |v| v.enabled = true);
        with(&scratch, &["key", "show", KEY]).run().ok();
        verify(&scratch, KEY).ok();
        verify(&scratch, &one).ok();
    }
}

#[test]
fn made_for_something_else() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    vault.newest("models", |v| v.operations = vec!["wrapKey", "unwrapKey"]);
    refused(
        &sign(&scratch, KEY),
        5,
        "wrong-usage",
        "a key for wrapKey, unwrapKey",
    );
}

#[test]
fn deleted_but_not_gone() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.change(|state| state.deleted.push("models".to_owned()));
    refused(
        &sign(&scratch, KEY),
        5,
        "pending-deletion",
        "is pending deletion",
    );
    refused(
        &verify(&scratch, KEY),
        5,
        "pending-deletion",
        "is pending deletion",
    );
}

#[test]
fn not_there() {
    let vault = Vault::start();
    let scratch = place(&vault);
    refused(
        &sign(&scratch, KEY),
        3,
        "no-such-key",
        "acme.vault.azure.net/models",
    );
    refused(
        &verify(&scratch, KEY),
        3,
        "no-such-key",
        "acme.vault.azure.net/models",
    );
}

#[test]
fn an_rsa_key_of_which_nobody_said_how_it_signs() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::Rsa { bits: 2048 });
    refused(
        &sign(&scratch, KEY),
        2,
        "wrong-algorithm",
        "?scheme=rsa-pss-sha256",
    );
    // A scheme of another family.
    let key = format!("{KEY}?scheme=ecdsa-p256-sha256");
    refused(
        &sign(&scratch, &key),
        2,
        "wrong-algorithm",
        "does not sign under",
    );
    let config = scratch.read_text("obreia.toml");
    scratch.write(
        "obreia.toml",
        format!("{config}rsa = \"rsa-pkcs1-sha256\"\n"),
    );
    sign(&scratch, KEY).ok().stdout_has("rsa-pkcs1-sha256");
    verify(&scratch, KEY).ok();
    scratch.write("obreia.toml", format!("{config}rsa = \"rsa\"\n"));
    sign(&scratch, KEY)
        .expect_code(3)
        .stderr_has("is none of rsa-pkcs1-sha256");
}

#[test]
fn a_caller_without_rights() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    vault.change(|state| state.forbidden = vec!["sign"]);
    refused(&sign(&scratch, KEY), 5, "kms-refused", "ForbiddenByRbac");
    // One who may not list versions signs, but a verification would not know
    // all of them: that is told, and not taken for a signature that is wrong.
    vault.change(|state| state.forbidden = vec!["GetKeyVersions"]);
    sign(&scratch, KEY).ok();
    let out = verify(&scratch, KEY);
    refused(&out, 5, "kms-refused", "list the versions of");
}

#[test]
fn a_login_that_is_not_taken() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    let args = ["sign", "app.bin", "--key", KEY];
    let out = with(&scratch, &args)
        .env("AZURE_CLIENT_SECRET", "wrong-secret")
        .run();
    refused(&out, 5, "kms-login", "AADSTS7000215");
    out.stderr_lacks("wrong-secret");
    let out = with(&scratch, &args).without_env("AZURE_TENANT_ID").run();
    refused(
        &out,
        3,
        "not-configured",
        "tenant_id in [keys.azure] nor AZURE_TENANT_ID",
    );
    let out = with(&scratch, &args)
        .without_env("AZURE_CLIENT_SECRET")
        .env("AZURE_CLIENT_CERTIFICATE_PATH", "c.pem")
        .run();
    refused(&out, 3, "not-configured", "AZURE_CLIENT_CERTIFICATE_PATH");
    assert!(
        !scratch
            .files()
            .iter()
            .any(|f| f.ends_with(".sigstore.json"))
    );
}

#[test]
fn a_secret_from_a_file_and_addresses_that_would_leak_it() {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    scratch.write("secret", format!("{SECRET}\n"));
    let config = scratch.read_text("obreia.toml");
    let run = |config: &str| {
        scratch.write("obreia.toml", config);
        with(&scratch, &["sign", "app.bin", "--force", "--key", KEY])
            .without_env("AZURE_CLIENT_SECRET")
            .run()
    };
    run(&format!(
        "{config}client_secret = {{ file = \"secret\" }}\n"
    ))
    .ok();
    vault.server.asked();
    for (bad, says) in [
        (
            config.replace(
                "endpoint = \"http://127.0.0.1",
                "endpoint = \"http://192.0.2.1",
            ),
            "endpoint in [keys.azure]",
        ),
        (
            config.replace(
                "authority = \"http://127.0.0.1",
                "authority = \"http://192.0.2.1",
            ),
            "authority in [keys.azure]",
        ),
    ] {
        let out = run(&format!("{bad}client_secret = {{ file = \"secret\" }}\n"));
        refused(&out, 3, "not-configured", says);
    }
    assert!(vault.server.asked().is_empty());
    // A secret itself never stands in the file.
    run(&format!("{config}client_secret = \"{SECRET}\"\n")).expect_code(3);
}

#[test]
fn uris_that_name_no_key() {
    let vault = Vault::start();
    let scratch = place(&vault);
    for key in [
        "azurekms://acme",
        "azurekms://acme/models/1",
        "azurekms://acme.example.com/models",
    ] {
        refused(&sign(&scratch, key), 2, "bad-request", "names no key");
    }
    assert!(vault.server.asked().is_empty());
}
