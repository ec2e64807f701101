//! Keys made, rotated, disabled and enabled.

use serde_json::Value;

use super::service::{Service, error};
use super::standin::Answer;
use super::{P256, key, place, refused, sign, uri, verify, with};
use crate::harness::{Output, Scratch};

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

fn nothing_more() -> Answer {
    error(403, "PERMISSION_DENIED", "Nothing more is shown.")
}

/// The result of the last record, which is of that operation.
#[track_caller]
fn recorded(scratch: &Scratch, operation: &str) -> Value {
    let last = super::super::records(scratch).pop().unwrap();
    assert_eq!(last["op"], operation, "{last:#}");
    last["result"].clone()
}

#[test]
fn a_change_that_was_made_is_told_as_made_whatever_follows() {
    let service = Service::start();
    let scratch = place(&service);
    let key = key();
    let run = |args: &[&str]| with(&scratch, &[args, &["-o", "json"]].concat()).run();
    let made = |out: &Output, operation: &str| {
        let json = out.fails("not-shown", "need not be made again");
        assert!(json.to_string().contains("Nothing more"), "{json:#}");
        assert_eq!(recorded(&scratch, operation), "ok");
    };
    // Where it is looked at until it is ready, or not at all.
    service.server.fault("get", nothing_more());
    made(&run(&["key", "create", &key]), "create");
    sign(&scratch, &key).ok();
    service.server.fault("get", nothing_more());
    made(&run(&["key", "rotate", &key]), "rotate");
    let shown = run(&["key", "show", &key]).ok().json();
    assert_eq!(shown["key"]["versions"].as_array().unwrap().len(), 2);
    // The lists before the change are as always.
    for (verb, operation) in [("disable", "disable"), ("enable", "enable")] {
        service.server.fault("list", Answer::Changed(|_| ()));
        service.server.fault("list", Answer::Changed(|_| ()));
        service.server.fault("list", nothing_more());
        made(&run(&["key", verb, &key]), operation);
    }
    sign(&scratch, &key).ok();
    // An answer that is lost leaves open what was done.
    service.server.fault("create", Answer::Cut);
    run(&["key", "rotate", &key]).fails("kms-unreachable", "before trying again");
    assert_eq!(recorded(&scratch, "rotate"), "kms-unreachable");
}

#[test]
fn a_version_that_could_not_be_generated_was_not_made() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let failed: fn(&mut Value) = |version| {
        version["state"] = 8.into();
        version["generationFailureReason"] = "no entropy\n today".into();
    };
    service.server.fault("get", Answer::Changed(failed));
    let out = with(&scratch, &["key", "rotate", &key]).run();
    refused(
        &out,
        4,
        "unavailable",
        "could not generate it (no entropy today)",
    );
    assert_eq!(recorded(&scratch, "rotate"), "unavailable");
}

#[test]
fn versions_that_were_changed_before_one_failed_are_counted() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    for _ in 0..2 {
        service.make("models", P256);
    }
    sign(&scratch, &key).ok();
    let disable = ["key", "disable", key.as_str()];
    // Nothing was done …
    service.change(|state| state.forbidden = vec!["patch"]);
    let out = with(&scratch, &disable).run();
    refused(&out, 5, "kms-refused", "cloudkms.patch");
    out.stderr_lacks("versions were changed");
    service.change(|state| state.forbidden.clear());
    // … or, as far as was acknowledged, two thirds of it.
    for answer in [
        Answer::Changed(|_| ()),
        Answer::Changed(|_| ()),
        nothing_more(),
    ] {
        service.server.fault("patch", answer);
    }
    let out = with(&scratch, &disable).run();
    refused(
        &out,
        5,
        "kms-refused",
        "; 2 of 3 versions were changed before that",
    );
    out.stderr_has("grant the caller the right");
    refused(&sign(&scratch, &key), 5, "disabled", "is disabled");
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
    // A key ring that is not there is no missing key.
    service.change(|state| state.forbidden.clear());
    let missing = error(404, "NOT_FOUND", "KeyRing not found.");
    service.server.fault("createKey", missing);
    let out = run(&["key", "create", &uri("new")]);
    refused(&out, 2, "bad-request", "its key ring is not there");
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
