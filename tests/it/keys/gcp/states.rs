//! Keys that may not sign, each for its own reason.

use super::service::Service;
use super::{P256, key, place, refused, sign, uri, verify, with};

/// Signs once, so that the key is known, and then again after the change: the
/// one that is refused by what is seen, the other by the service.
fn before_and_after(change: impl Fn(&Service), exit: i32, code: &str, says: &str) {
    let service = Service::start();
    service.make("models", P256);
    change(&service);
    refused(&sign(&place(&service), &key()), exit, code, says);
    let asked = service.server.asked();
    assert!(!asked.contains(&"asymmetricSign".to_owned()), "{asked:?}");

    let service = Service::start();
    let scratch = place(&service);
    service.make("models", P256);
    sign(&scratch, &key()).ok();
    change(&service);
    refused(&sign(&scratch, &key()), exit, code, says);
    refused(
        &sign(&scratch, &format!("{}?version=1", key())),
        3.max(exit),
        code,
        "",
    );
    // What was known is looked at anew, so that a new version is found at once.
    service.make("models", P256);
    sign(&scratch, &key()).ok();
}

fn state(state: &'static str) -> impl Fn(&Service) {
    move |service| service.newest("models", |version| version.state = state)
}

#[test]
fn disabled() {
    before_and_after(state("DISABLED"), 5, "disabled", "is disabled");
}

#[test]
fn scheduled_for_destruction() {
    let pending = "pending-deletion";
    before_and_after(
        state("DESTROY_SCHEDULED"),
        5,
        pending,
        "is pending deletion",
    );
}

#[test]
fn destroyed() {
    before_and_after(state("DESTROYED"), 3, "no-such-key", "models");
}

#[test]
fn a_key_that_is_not_enabled_verifies_nothing() {
    for (state, exit, code) in [
        ("DISABLED", 5, "disabled"),
        ("DESTROY_SCHEDULED", 5, "pending-deletion"),
        ("DESTROYED", 3, "no-such-key"),
    ] {
        let service = Service::start();
        let scratch = place(&service);
        let key = service.make("models", P256);
        sign(&scratch, &key).ok();
        service.newest("models", |version| version.state = state);
        refused(&verify(&scratch, &key), exit, code, "models");
        // Beside another version that is enabled, it is as if it were not there.
        service.make("models", P256);
        verify(&scratch, &key).expect_code(1);
    }
}

/// An older note says that it verifies, and those who may not ask go by notes.
#[test]
fn what_was_seen_to_be_disabled_verifies_nothing_offline_either() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let one = format!("{key}?version=1");
    let offline =
        |key: &str| with(&scratch, &["--offline", "verify", "app.bin", "--key", key]).run();
    let know = || {
        with(&scratch, &["key", "forget", &key]).run().ok();
        sign(&scratch, &key).ok();
        for key in [&key, &one] {
            verify(&scratch, key).ok();
            offline(key).ok();
        }
    };
    let set = |state| service.newest("models", |version| version.state = state);
    for seen_by in [
        &["sign", "app.bin", "--force", "--key", &key][..],
        &["key", "show", &key],
        &["key", "disable", &key],
    ] {
        know();
        if seen_by[1] != "disable" {
            set("DISABLED");
        }
        with(&scratch, seen_by).run();
        refused(&offline(&one), 5, "disabled", "is disabled");
        refused(&verify(&scratch, &key), 5, "disabled", "is disabled");
        refused(&offline(&key), 5, "disabled", "is disabled");
        // Enabled again, it is seen at once by those who ask.
        set("ENABLED");
        verify(&scratch, &key).ok();
        verify(&scratch, &one).ok();
    }
}

#[test]
fn made_for_something_else() {
    for (algorithm, exit, code, says) in [
        (
            "GOOGLE_SYMMETRIC_ENCRYPTION",
            5,
            "wrong-usage",
            "a key for GOOGLE_SYMMETRIC_ENCRYPTION",
        ),
        (
            "RSA_DECRYPT_OAEP_2048_SHA256",
            5,
            "wrong-usage",
            "a key for RSA_DECRYPT_OAEP_2048_SHA256",
        ),
        (
            "EC_SIGN_SECP256K1_SHA256",
            2,
            "wrong-algorithm",
            "EC_SIGN_SECP256K1_SHA256 is not supported",
        ),
        (
            "RSA_SIGN_RAW_PKCS1_2048",
            2,
            "wrong-algorithm",
            "RSA with a hash",
        ),
    ] {
        let service = Service::start();
        let scratch = place(&service);
        let key = service.make("models", algorithm);
        refused(&sign(&scratch, &key), exit, code, says);
        refused(&verify(&scratch, &key), exit, code, says);
        let asked = service.server.asked();
        assert!(!asked.contains(&"asymmetricSign".to_owned()), "{asked:?}");
    }
}

#[test]
fn not_there() {
    let service = Service::start();
    let scratch = place(&service);
    let absent = uri("absent");
    refused(&sign(&scratch, &absent), 3, "no-such-key", &absent);
    refused(&verify(&scratch, &absent), 3, "no-such-key", &absent);
}

#[test]
fn a_caller_without_rights() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    service.change(|state| state.forbidden = vec!["asymmetricSign"]);
    let out = sign(&scratch, &key);
    refused(&out, 5, "kms-refused", "gcp refuses to sign with gcpkms://");
    refused(&out, 5, "kms-refused", "cloudkms.asymmetricSign");
    // One who may neither sign nor look at the key is told what Google said.
    service.change(|state| state.forbidden = vec!["asymmetricSign", "get"]);
    refused(&sign(&scratch, &key), 5, "kms-refused", "asymmetricSign");
    // One who may not list versions cannot tell which is the newest, nor verify
    // with all of them: that is told, and not taken for a wrong signature.
    service.change(|state| state.forbidden.clear());
    sign(&scratch, &key).ok();
    service.change(|state| state.forbidden = vec!["list"]);
    refused(
        &verify(&scratch, &key),
        5,
        "kms-refused",
        "list the versions of",
    );
    service.change(|state| state.forbidden = vec!["getPublicKey"]);
    let out = verify(&scratch, &key);
    refused(&out, 5, "kms-refused", "read the public key of");
}

#[test]
fn uris_that_name_no_key() {
    let service = Service::start();
    let scratch = place(&service);
    for key in [
        "gcpkms://projects/acme".to_owned(),
        format!("{}/cryptoKeyVersions/0", key()),
        format!("{}/cryptoKeyVersions/1?version=1", key()),
        format!("{}/cryptoKeyVersions/primary", key()),
        format!("{}:asymmetricSign", key().replace("models", "..")),
    ] {
        refused(&sign(&scratch, &key), 2, "bad-request", "names no key");
    }
    assert!(service.server.asked().is_empty());
}
