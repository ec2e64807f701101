//! Keys in tokens: SoftHSM behind a module that fails as told.

use super::*;
use crate::keys::pkcs11::{Hsm, PIN};

fn doctor(hsm: &Hsm, keys: &[&str]) -> Output {
    hsm.run(&[&["doctor", "keys", "-o", "json"], keys].concat())
}

#[test]
fn a_key_in_a_token_is_tried() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let before = (hsm.noted("login"), hsm.noted("sign"));
    let out = doctor(&hsm, &[&uri]);
    let told = report(&out, 0);
    assert_eq!(told["result"], "ok", "{told:#}");
    let key = check(&told, "key", "object=k");
    assert_eq!(key["key"]["scheme"], "ecdsa-p256-sha256");
    assert_eq!(
        (hsm.noted("login"), hsm.noted("sign")),
        (before.0 + 1, before.1 + 1)
    );
    let last = records(&hsm.scratch).pop().unwrap();
    assert_eq!(
        (&last["op"], &last["result"]),
        (&"probe".into(), &"ok".into())
    );
    // A token knows no requests.
    assert!(last["provider_request"].is_null());
    assert!(!out.to_string().contains(PIN));
}

#[test]
fn a_wrong_pin_is_tried_once_for_all_keys() {
    let Some(hsm) = Hsm::faulty() else { return };
    let (one, two) = (hsm.create("one", "p256"), hsm.create("two", "p256"));
    let before = hsm.noted("login");
    let args = ["doctor", "keys", &one, &two, "-o", "json"];
    let told = report(&hsm.bare(&args).env("PKCS11_PIN", "000000").run(), 5);
    is(check(&told, "key", "object=one"), "failed", "kms-login");
    let second = check(&told, "key", "object=two");
    is(second, "undetermined", "no-passphrase");
    assert_eq!(hsm.noted("login"), before + 1);
    // From a file that the URI names, too.
    let wrong = hsm.scratch.write("wrong", "000000");
    let with = |uri: &str| format!("{uri}?pin-source={}", wrong.display());
    let args = ["doctor", "keys", &with(&one), &with(&two), "-o", "json"];
    report(&hsm.bare(&args).run(), 5);
    assert_eq!(hsm.noted("login"), before + 2);
}

#[test]
fn no_pin_is_spent_where_there_is_none_or_few_are_left() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let before = hsm.noted("login");
    let none = hsm.bare(&["doctor", "keys", &uri, "-o", "json"]).run();
    let told = report(&none, 4);
    let key = check(&told, "key", "object=k");
    is(key, "undetermined", "no-passphrase");
    // Its public half shows without.
    assert_eq!(key["key"]["fingerprint"].as_str().unwrap().len(), 64);
    for (mode, code) in [("final-try", "pin-last-try"), ("locked", "pin-locked")] {
        hsm.mode(mode);
        let told = report(&doctor(&hsm, &[&uri]), 5);
        is(check(&told, "key", "object=k"), "failed", "pin-locked");
        is(check(&told, "provider", "pkcs11"), "warning", code);
    }
    assert_eq!(hsm.noted("login"), before);
    hsm.mode("count-low");
    let told = report(&doctor(&hsm, &[&uri]), 0);
    is(
        check(&told, "provider", "pkcs11"),
        "warning",
        "pin-count-low",
    );
}

#[test]
fn what_a_token_does_not_do() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let rsa = hsm.create("rsa", "rsa-3072");
    hsm.mode("no-digests");
    let told = report(&doctor(&hsm, &[&rsa]), 0);
    let outlook = check(&told, "outlook", "object=rsa");
    is(outlook, "warning", "whole-messages-only");
    assert!(
        outlook["detail"]
            .as_str()
            .unwrap()
            .contains("CKR_MECHANISM_INVALID")
    );
    // Both tries are on record.
    let outcomes: Vec<_> = probes(&hsm.scratch)
        .into_iter()
        .filter_map(|p| p.1)
        .collect();
    assert_eq!(outcomes, ["wrong-algorithm", "ok"]);
    for (mode, exit, result, code) in [
        ("no-signing", 2, "failed", "wrong-algorithm"),
        ("flips", 4, "failed", "self-check-failed"),
        ("segfault", 4, "undetermined", "plugin-failed"),
        ("start-fails", 3, "failed", "not-configured"),
    ] {
        hsm.mode(mode);
        let told = report(&doctor(&hsm, &[&uri]), exit);
        let key = check(&told, "key", "object=k");
        is(key, result, code);
        if code == "plugin-failed" {
            let hint = key["hint"].as_str().unwrap();
            assert!(hint.contains("pkcs11-tool"), "{hint}");
        }
    }
}

#[test]
fn a_key_that_may_leave_its_token() {
    let Some(hsm) = Hsm::new() else { return };
    let make = ["--keypairgen", "--key-type", "EC:prime256v1", "--id", "aa"];
    let loose = ["--label", "loose", "--extractable", "--usage-sign"];
    hsm.pkcs11_tool(&[&make[..], &loose].concat()).ok();
    let told = report(&doctor(&hsm, &["pkcs11:token=hsm;object=loose"]), 0);
    is(
        check(&told, "outlook", "object=loose"),
        "warning",
        "key-extractable",
    );
}

#[test]
fn a_tokens_keys_are_listed() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.create("a", "p256");
    hsm.create("b", "p521");
    for place in ["pkcs11:", "pkcs11:token=hsm", "pkcs11:model=SoftHSM%20v2"] {
        let listed = hsm.bare(&["key", "list", place, "-o", "json"]).run();
        let listed = listed.ok().json();
        let keys = listed["keys"].as_array().unwrap();
        let schemes = keys.iter().map(|key| key["scheme"].as_str().unwrap());
        // In the order of their ids, which are random.
        let mut schemes: Vec<&str> = schemes.collect();
        schemes.sort_unstable();
        assert_eq!(
            schemes,
            ["ecdsa-p256-sha256", "ecdsa-p521-sha512"],
            "{place}"
        );
    }
    for (place, exit, code) in [
        ("pkcs11:token=other", 4, "no-token"),
        ("pkcs11:token=hsm;object=a", 2, "bad-request"),
        ("pkcs11:nonsense", 2, "bad-request"),
        (
            "pkcs11:token=hsm?module-path=/nonexistent.so",
            3,
            "not-configured",
        ),
    ] {
        let out = hsm.bare(&["key", "list", place, "-o", "json"]).run();
        let error = out.expect_code(exit).json();
        assert_eq!(error["code"], code, "{place}: {out}");
    }
}
