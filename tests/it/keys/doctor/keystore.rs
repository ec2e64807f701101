//! Keys of the keystore, and key files.

use super::*;
use crate::harness::{Normaliser, testdata};

/// A place with a key in it.
fn with_key() -> Scratch {
    let scratch = place();
    run(&scratch, &["key", "create", KEY, "--alias", "models"]).ok();
    scratch
}

#[test]
fn a_key_is_opened_tried_and_on_record() {
    let scratch = with_key();
    let before = scratch.files();
    let told = report(&run(&scratch, &["doctor", "keys", "-o", "json"]), 0);
    assert_eq!(
        (&told["result"], &told["offline"]),
        (&"ok".into(), &false.into())
    );
    let key = check(&told, "key", KEY);
    assert_eq!(key["result"], "ok");
    let seen = &key["key"];
    assert_eq!(seen["names"], serde_json::json!([KEY, "kms://models"]));
    for (field, value) in [
        ("provider", "embedded"),
        ("scheme", "ecdsa-p256-sha256"),
        ("hash", "sha256"),
    ] {
        assert_eq!(seen[field], value);
    }
    assert_eq!(seen["version"], 1);
    assert_eq!(seen["fingerprint"].as_str().unwrap().len(), 64);
    for what in ["open", "sign", "verify"] {
        assert!(
            seen["latency_us"][what].as_u64().unwrap() > 0,
            "{what}: {told:#}"
        );
    }
    assert_eq!(check(&told, "provider", "embedded")["result"], "ok");
    // An auditor tells a probe from a signature.
    let ok = Some("ok".to_owned());
    assert_eq!(
        probes(&scratch),
        [("intent".to_owned(), None), ("outcome".to_owned(), ok)]
    );
    let found = run(
        &scratch,
        &["audit", "search", "--op", "probe", "-o", "json"],
    );
    let found = found.ok().json();
    assert_eq!(found["found"], 2);
    assert_eq!(found["records"][1]["rule"], "purpose-signs");
    assert!(
        found["records"][1]["payload"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    // The signature is nowhere.
    let mut after = scratch.files();
    after.retain(|file| !before.contains(file) && !file.starts_with("state/audit"));
    assert_eq!(after, [""; 0]);
}

#[test]
fn what_people_see() {
    let scratch = with_key();
    let doctor = |args: &[&str]| {
        let out = run(&scratch, &[&["doctor"], args].concat());
        let shown = Normaliser::new(&scratch).digests().times();
        steady(&shown.output(&out))
    };
    insta::assert_snapshot!("all_groups", doctor(&[]));
    let unlocked = obreia(&scratch, &["doctor", "keys"]).without_env("OBREIA_PASSPHRASE");
    let shown = Normaliser::new(&scratch).digests().times();
    insta::assert_snapshot!("no_passphrase", steady(&shown.output(&unlocked.run())));
    run(&scratch, &["key", "disable", KEY]).ok();
    insta::assert_snapshot!("named_and_disabled", doctor(&["keys", KEY]));
}

#[test]
fn without_a_passphrase_what_shows_without_is_told() {
    let scratch = with_key();
    let doctor = obreia(&scratch, &["doctor", "-o", "json"]).without_env("OBREIA_PASSPHRASE");
    let told = report(&doctor.run(), 4);
    assert_eq!(told["result"], "undetermined");
    let key = check(&told, "key", KEY);
    is(key, "undetermined", "no-passphrase");
    assert!(key["hint"].as_str().unwrap().contains("OBREIA_PASSPHRASE"));
    assert_eq!(key["key"]["scheme"], "ecdsa-p256-sha256");
    assert_eq!(key["key"]["latency_us"], serde_json::json!({}));
    assert_eq!(check(&told, "keystore", "keystore.db")["result"], "ok");
    assert_eq!(check(&told, "log", "state/audit")["result"], "ok");
    assert_eq!(probes(&scratch), []);
}

#[test]
fn a_wrong_passphrase_is_given_once() {
    let scratch = with_key();
    run(&scratch, &["key", "create", "kms://model-sign/other"]).ok();
    let doctor = obreia(&scratch, &["doctor", "keys", "-o", "json"]);
    let told = report(&doctor.env("OBREIA_PASSPHRASE", "wrong").run(), 5);
    is(check(&told, "key", KEY), "failed", "wrong-passphrase");
    let second = check(&told, "key", "kms://model-sign/other");
    is(second, "undetermined", "no-passphrase");
    assert!(
        second["detail"]
            .as_str()
            .unwrap()
            .contains("not tried again")
    );
    assert_eq!(probes(&scratch), []);
}

#[test]
fn without_a_probe_nothing_is_signed() {
    let scratch = with_key();
    for args in [
        &["doctor", "keys", "--no-probe", "-o", "json"][..],
        &["doctor", "--no-probe", "keys", "-o", "json"],
        &["doctor", "--no-probe", "-o", "json"],
    ] {
        let told = report(&run(&scratch, args), 0);
        let key = check(&told, "key", KEY);
        assert_eq!(key["result"], "ok");
        assert!(key["detail"].as_str().unwrap().contains("not signed with"));
        let latency = &key["key"]["latency_us"];
        assert!(latency["open"].is_u64() && latency["sign"].is_null());
    }
    assert_eq!(probes(&scratch), []);
}

#[test]
fn a_disabled_key_is_as_its_owner_wants_it_unless_it_is_asked_for() {
    let scratch = with_key();
    run(&scratch, &["key", "disable", KEY]).ok();
    let told = report(&run(&scratch, &["doctor", "keys", "-o", "json"]), 0);
    is(check(&told, "key", KEY), "warning", "disabled");
    let told = report(&run(&scratch, &["doctor", "keys", KEY, "-o", "json"]), 5);
    is(check(&told, "key", KEY), "failed", "disabled");
    // Named by an alias in the configuration, it is needed.
    let mut config = scratch.read_text("obreia.toml");
    config.push_str(&format!("[keys.alias]\nfraud = \"{KEY}\"\n"));
    scratch.write("obreia.toml", config);
    let told = report(&run(&scratch, &["doctor", "keys", "-o", "json"]), 5);
    is(check(&told, "key", KEY), "failed", "disabled");
    assert_eq!(probes(&scratch), []);
}

#[test]
fn keys_that_do_not_sign_are_not_signed_with_unless_they_are_named() {
    let scratch = place();
    run(&scratch, &["key", "create", "kms://pki-ca/dev"]).ok();
    let told = report(&run(&scratch, &["doctor", "keys", "-o", "json"]), 0);
    let key = check(&told, "key", "pki-ca");
    assert_eq!(key["result"], "ok");
    assert!(
        key["detail"]
            .as_str()
            .unwrap()
            .contains("which it is not for")
    );
    assert_eq!(probes(&scratch), []);
    let named = run(
        &scratch,
        &["doctor", "keys", "kms://pki-ca/dev", "-o", "json"],
    );
    is(
        check(&report(&named, 5), "key", "pki-ca"),
        "failed",
        "denied",
    );
    let denied = ("outcome".to_owned(), Some("denied".to_owned()));
    assert_eq!(probes(&scratch), [denied]);
}

#[test]
fn versions_that_do_not_sign_any_more() {
    let scratch = with_key();
    run(&scratch, &["key", "rotate", KEY]).ok();
    let old = format!("{KEY}?version=1");
    let told = report(&run(&scratch, &["doctor", "keys", &old, "-o", "json"]), 5);
    is(check(&told, "key", KEY), "failed", "denied");
    let absent = format!("{KEY}?version=3");
    let told = report(
        &run(&scratch, &["doctor", "keys", &absent, "-o", "json"]),
        3,
    );
    is(check(&told, "key", KEY), "failed", "no-such-key");
    run(&scratch, &["key", "retire", &old]).ok();
    let told = report(&run(&scratch, &["doctor", "keys", &old, "-o", "json"]), 3);
    is(check(&told, "key", KEY), "failed", "retired");
}

#[test]
fn keys_that_are_not_there_and_names_that_are_none() {
    let scratch = with_key();
    let keys = ["kms://model-sign/no", "absent.pem", KEY, "kms://models"];
    let args = [&["doctor", "keys", "-o", "json"], &keys[..]].concat();
    let told = report(&run(&scratch, &args), 3);
    is(
        check(&told, "key", "kms://model-sign/no"),
        "failed",
        "no-such-key",
    );
    is(check(&told, "key", "absent.pem"), "failed", "bad-key-file");
    // One bad key does not keep the others from being looked at.
    assert_eq!(check(&told, "key", KEY)["result"], "ok");
    for bad in ["kms://UPPER", "kms://a?version=0", ""] {
        let out = run(&scratch, &["doctor", "keys", bad]);
        out.expect_code(2).stderr_has("error");
    }
}

#[test]
fn a_key_under_two_names_is_tried_once() {
    let scratch = with_key();
    let args = ["doctor", "keys", KEY, KEY, "-o", "json"];
    let told = report(&run(&scratch, &args), 0);
    assert_eq!(checks(&told, "key").len(), 1);
    assert_eq!(probes(&scratch).len(), 2);
}

#[test]
fn key_files() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = with_key();
    let pem = scratch.write(
        "signer.pem",
        std::fs::read(testdata("keys/p384.pkcs8.pem")).unwrap(),
    );
    let mode = |mode| std::fs::set_permissions(&pem, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o600);
    let doctor = || run(&scratch, &["doctor", "keys", "signer.pem", "-o", "json"]);
    let told = report(&doctor(), 0);
    let key = check(&told, "key", "signer.pem");
    assert_eq!(key["key"]["hash"], "sha384");
    assert_eq!(warnings(&told), [""; 0]);
    mode(0o644);
    let told = report(&doctor(), 0);
    is(
        check(&told, "outlook", "signer.pem"),
        "warning",
        "key-file-open",
    );
    assert_eq!(probes(&scratch).len(), 4);
    // A public key, and no key at all.
    for (file, code) in [
        ("p256.pub.pem", "bad-key-file"),
        ("../README.md", "bad-key-file"),
    ] {
        let path = testdata("keys").join(file);
        let args = ["doctor", "keys", path.to_str().unwrap(), "-o", "json"];
        let told = report(&run(&scratch, &args), 2);
        is(check(&told, "key", ""), "failed", code);
    }
    let cosign = testdata("keys").join("cosign.key");
    let args = ["doctor", "keys", cosign.to_str().unwrap(), "-o", "json"];
    let opened = obreia(&scratch, &args)
        .env("COSIGN_PASSWORD", "throw-away")
        .run();
    assert_eq!(
        check(&report(&opened, 0), "key", "cosign.key")["result"],
        "ok"
    );
    let refused = obreia(&scratch, &args)
        .env("COSIGN_PASSWORD", "wrong")
        .run();
    is(
        check(&report(&refused, 5), "key", "cosign.key"),
        "failed",
        "wrong-passphrase",
    );
}

#[test]
fn without_a_log_nothing_is_tried() {
    let scratch = with_key();
    std::fs::rename(scratch.join("state/audit"), scratch.join("away")).unwrap();
    let told = report(&run(&scratch, &["doctor", "-o", "json"]), 4);
    assert_eq!(told["result"], "failed");
    is(
        check(&told, "log", "state/audit"),
        "failed",
        "audit-missing",
    );
    let key = &checks(&told, "key")[0];
    assert_eq!(key["code"], "audit-missing", "{told:#}");
    assert_ne!(key["result"], "ok");
}
