//! Keys made, rotated, disabled and enabled.

use super::service::Service;
use super::{P256, key, place, refused, sign, uri, verify, with};

#[test]
fn keys_are_made_rotated_disabled_and_shown() {
    let service = Service::start();
    let scratch = place(&service);
    let key = key();
    let run = |args: &[&str]| with(&scratch, args).run();
    run(&["key", "create", &key, "--algorithm", "p384"]).ok();
    refused(&run(&["key", "create", &key]), 2, "exists", &key);
    sign(&scratch, &key).ok().stdout_has("ecdsa-p384-sha384");
    run(&["key", "rotate", &key]).ok();
    let shown = run(&["key", "show", &key, "-o", "json"]);
    let shown = &shown.ok().json()["key"];
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    assert_eq!(shown["provider"], "gcp");
    // What the first version signed still holds, and the second signs.
    verify(&scratch, &key).ok();
    verify(&scratch, &format!("{key}?version=2")).expect_code(1);
    sign(&scratch, &key).ok();
    verify(&scratch, &format!("{key}?version=2")).ok();
    run(&["key", "disable", &key]).ok();
    refused(&sign(&scratch, &key), 5, "disabled", "is disabled");
    refused(&verify(&scratch, &key), 5, "disabled", "is disabled");
    // A key that does nothing can still be looked at, and its versions told.
    let shown = run(&["key", "show", &key, "-o", "json"]);
    let shown = &shown.ok().json()["key"];
    assert_eq!(shown["state"], "disabled");
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    run(&["key", "enable", &key]).ok();
    sign(&scratch, &key).ok();
    verify(&scratch, &key).ok();
    let retired = run(&["key", "retire", &format!("{key}?version=1")]);
    retired.expect_code(2).stderr_has("error[unsupported]");
}

#[test]
fn a_version_that_was_disabled_alone_stays_so_when_its_key_is_enabled() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    sign(&scratch, &key).ok();
    service.make("models", P256);
    let run = |args: &[&str]| with(&scratch, args).run();
    let first = format!("{key}/cryptoKeyVersions/1");
    run(&["key", "disable", &first]).ok();
    verify(&scratch, &key).expect_code(1);
    refused(&verify(&scratch, &first), 5, "disabled", "?version=1");
    run(&["key", "enable", &key]).ok();
    verify(&scratch, &key).expect_code(1);
    run(&["key", "enable", &first]).ok();
    with(&scratch, &["key", "forget", &key]).run().ok();
    verify(&scratch, &key).ok();
}

#[test]
fn rsa_keys_are_made_for_the_scheme_that_is_configured() {
    let service = Service::start();
    let scratch = place(&service);
    let create = |name: &str, algorithm: &str| {
        let args = ["key", "create", &uri(name), "--algorithm", algorithm];
        with(&scratch, &args).run()
    };
    // As everywhere: RSA of 3072 and 4096 bits; the stand-in makes none so long.
    let config = scratch.read_text("obreia.toml");
    for (rsa, wanted) in [
        ("", "RSA_SIGN_PKCS1_3072_SHA256"),
        ("rsa = \"rsa-pss-sha256\"\n", "RSA_SIGN_PSS_3072_SHA256"),
    ] {
        scratch.write("obreia.toml", format!("{config}{rsa}"));
        service.server.asked();
        create("rsa", "rsa-3072").expect_code(2);
        let (operation, call) = service.server.calls().remove(0);
        assert_eq!(operation, "createKey");
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        let asked = &body["versionTemplate"]["algorithm"];
        assert_eq!(super::service::name_of(asked), wanted);
    }
    scratch.write("obreia.toml", format!("{config}rsa = \"rsa-pss-sha384\"\n"));
    let out = create("rsa", "rsa-3072");
    refused(&out, 2, "wrong-algorithm", "rsa in [keys.gcp]");
}

#[test]
fn what_may_not_be_made_or_changed_is_told() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let run = |args: &[&str]| with(&scratch, args).run();
    service.change(|state| state.forbidden = vec!["createKey", "create", "patch"]);
    let out = run(&["key", "create", &uri("new")]);
    refused(&out, 5, "kms-refused", "cloudkms.createKey");
    let out = run(&["key", "rotate", &key]);
    refused(&out, 5, "kms-refused", "cloudkms.create");
    let out = run(&["key", "disable", &key]);
    refused(&out, 5, "kms-refused", "cloudkms.patch");
    // These concern keys, not versions.
    for args in [
        &["key", "create", &format!("{key}/cryptoKeyVersions/2")][..],
        &["key", "rotate", &format!("{key}/cryptoKeyVersions/1")],
    ] {
        refused(&run(args), 2, "bad-request", "without a version");
    }
    refused(
        &run(&["key", "rotate", &uri("absent")]),
        3,
        "no-such-key",
        "absent",
    );
    refused(
        &run(&["key", "disable", &uri("absent")]),
        3,
        "no-such-key",
        "absent",
    );
}
