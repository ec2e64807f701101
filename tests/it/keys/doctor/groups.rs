//! The configuration, the audit log, the keystore.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn chmod(scratch: &Scratch, file: &str, mode: u32) {
    let mode = PermissionsExt::from_mode(mode);
    std::fs::set_permissions(scratch.join(file), mode).unwrap();
}

fn config(scratch: &Scratch, more: &str) {
    let text = scratch.read_text("obreia.toml");
    scratch.write("obreia.toml", format!("{text}\n{more}\n"));
}

#[test]
fn without_a_configuration_there_is_little_to_look_at() {
    let scratch = Scratch::new();
    let told = report(&run(&scratch, &["doctor", "-o", "json"]), 0);
    assert_eq!(
        warnings(&told),
        ["no-configuration", "no-audit-log", "no-keys"]
    );
    assert_eq!(check(&told, "clock", "clock")["result"], "ok");
}

#[test]
fn a_configuration_that_cannot_be_used_is_no_good_news_for_the_rest() {
    let scratch = place();
    config(&scratch, "[keystroe]\na = 1");
    let told = report(&run(&scratch, &["doctor", "-o", "json"]), 3);
    let file = check(&told, "file", "obreia.toml");
    is(file, "failed", "config-invalid");
    assert!(file["detail"].as_str().unwrap().contains("keystroe"));
    for group in ["audit", "keystore", "keys"] {
        is(
            check(&told, "group", group),
            "undetermined",
            "no-configuration",
        );
    }
    let told = report(&run(&scratch, &["doctor", "keys", "-o", "json"]), 3);
    assert_eq!(told["checks"].as_array().unwrap().len(), 2);
}

#[test]
fn each_group_is_looked_at_alone_too() {
    let scratch = place();
    for group in ["config", "audit", "keystore"] {
        let told = report(&run(&scratch, &["doctor", group, "-o", "json"]), 0);
        let all = told["checks"].as_array().unwrap();
        assert!(!all.is_empty());
        assert!(all.iter().all(|check| check["group"] == group), "{told:#}");
    }
    run(&scratch, &["doctor", "registry"]).expect_code(2);
}

#[test]
fn files_that_others_may_read_or_write() {
    let scratch = place();
    run(&scratch, &["key", "create", KEY]).ok();
    scratch.write("pass", super::super::PASSPHRASE);
    let text = scratch.read_text("obreia.toml");
    scratch.write(
        "obreia.toml",
        format!("{text}[keystore]\npassphrase = {{ file = \"pass\" }}\n"),
    );
    chmod(&scratch, "obreia.toml", 0o664);
    chmod(&scratch, "pass", 0o644);
    chmod(&scratch, "state/keystore.db", 0o640);
    chmod(&scratch, "state/audit.key", 0o604);
    chmod(&scratch, "state", 0o770);
    let told = report(&run(&scratch, &["doctor", "-o", "json"]), 0);
    is(
        check(&told, "file", "obreia.toml"),
        "warning",
        "config-open",
    );
    is(
        check(&told, "secret", "keystore.passphrase"),
        "warning",
        "secret-open",
    );
    is(
        check(&told, "mode", "keystore.db"),
        "warning",
        "keystore-open",
    );
    is(
        check(&told, "key", "audit.key"),
        "warning",
        "audit-key-open",
    );
    let state = checks(&told, "mode");
    let state = state.iter().find(|c| c["code"] == "state-open").unwrap();
    let hint = state["hint"].as_str().unwrap();
    assert!(hint.contains("chmod 750"), "{hint}");
    for (file, mode) in [
        ("obreia.toml", 0o644),
        ("pass", 0o640),
        ("state/keystore.db", 0o600),
        ("state/audit.key", 0o600),
        ("state", 0o700),
    ] {
        chmod(&scratch, file, mode);
    }
    let told = report(&run(&scratch, &["doctor", "-o", "json"]), 0);
    assert_eq!(warnings(&told), ["no-backup"]);
}

#[test]
fn secrets_that_are_not_there() {
    let scratch = place();
    config(
        &scratch,
        "[keystore]\npassphrase = { env = \"NO_SUCH_VARIABLE\" }\n\
         [keys.vault]\nauth = { method = \"approle\", role_id = { env = \"ROLE\" }, secret_id = { file = \"absent\" } }\n\
         [keys.pkcs11.modules.m]\npath = \"m.so\"\npin = { file = \"pin\" }\n\
         [keys.azure]\nclient_secret = { env = \"SECRET\" }",
    );
    scratch.write("pin", "1234");
    chmod(&scratch, "pin", 0o600);
    let doctor = obreia(&scratch, &["doctor", "config", "-o", "json"]);
    let told = report(&doctor.env("ROLE", "a").env("SECRET", "b").run(), 0);
    for missing in ["keystore.passphrase", "keys.vault.auth.secret_id"] {
        is(check(&told, "secret", missing), "warning", "secret-missing");
    }
    for there in [
        "keys.vault.auth.role_id",
        "keys.pkcs11.modules.m.pin",
        "keys.azure.client_secret",
    ] {
        assert_eq!(check(&told, "secret", there)["result"], "ok");
    }
}

#[test]
fn policies_that_cannot_be_read() {
    let scratch = place();
    let text = scratch.read_text("obreia.toml");
    assert!(
        !text.contains("[policy]") || text.contains("files"),
        "{text}"
    );
    scratch.write("bad.yaml", "apiVersion: obreia/v1\nkind: Nothing\n");
    scratch.write(
        "other.toml",
        "version = 1\n[policy]\nfiles = [\"bad.yaml\", \"absent.yaml\"]\n",
    );
    let args = ["doctor", "config", "--config", "other.toml", "-o", "json"];
    let told = report(&run(&scratch, &args), 3);
    for file in ["bad.yaml", "absent.yaml"] {
        is(check(&told, "policy", file), "failed", "policy-invalid");
    }
}

#[test]
fn a_keystore_that_was_never_copied_or_not_lately() {
    let scratch = place();
    let doctor = || report(&run(&scratch, &["doctor", "keystore", "-o", "json"]), 0);
    // With nothing in it there is nothing to lose.
    assert_eq!(warnings(&doctor()), [""; 0]);
    run(&scratch, &["key", "create", KEY]).ok();
    assert_eq!(warnings(&doctor()), ["no-backup"]);
    run(&scratch, &["keystore", "backup", "copy.db"]).ok();
    let told = doctor();
    assert_eq!(check(&told, "backup", "keystore.db")["result"], "ok");
    // Signing and trying change nothing in it.
    scratch.write("f", "x");
    run(&scratch, &["sign", "f", "--key", KEY]).ok();
    run(&scratch, &["doctor", "keys"]).ok();
    assert_eq!(warnings(&doctor()), [""; 0]);
    run(&scratch, &["key", "rotate", KEY]).ok();
    let told = doctor();
    is(
        check(&told, "backup", "keystore.db"),
        "warning",
        "backup-outdated",
    );
    run(&scratch, &["keystore", "backup", "copy.db", "--force"]).ok();
    assert_eq!(warnings(&doctor()), [""; 0]);
}

#[test]
fn a_keystore_that_is_gone_damaged_or_older_than_the_log() {
    let scratch = place();
    run(&scratch, &["key", "create", KEY]).ok();
    let file = scratch.join("state/keystore.db");
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"no database").unwrap();
    let told = report(&run(&scratch, &["doctor", "-o", "json"]), 3);
    is(check(&told, "keystore", "keystore.db"), "failed", "damaged");
    // Its keys cannot be listed, which does not mean that there are none.
    is(
        check(&told, "keys", "the keystore's keys"),
        "failed",
        "damaged",
    );
    std::fs::remove_file(&file).unwrap();
    let told = report(&run(&scratch, &["doctor", "keystore", "-o", "json"]), 3);
    is(
        check(&told, "keystore", "keystore.db"),
        "failed",
        "no-keystore",
    );
    std::fs::write(&file, &kept).unwrap();
    run(&scratch, &["key", "rotate", KEY]).ok();
    std::fs::write(&file, kept).unwrap();
    let told = report(&run(&scratch, &["doctor", "keystore", "-o", "json"]), 3);
    is(check(&told, "keystore", "keystore.db"), "failed", "damaged");
}

#[test]
fn a_log_that_cannot_be_read_or_was_cut() {
    let scratch = place();
    let journal = scratch.join("state/audit/journal");
    let kept = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, b"nothing of ours").unwrap();
    let told = report(&run(&scratch, &["doctor", "audit", "-o", "json"]), 4);
    is(check(&told, "log", "state/audit"), "failed", "audit-broken");
    std::fs::write(&journal, kept).unwrap();
    std::fs::remove_file(scratch.join("state/audit.key")).unwrap();
    let told = report(&run(&scratch, &["doctor", "audit", "-o", "json"]), 4);
    is(
        check(&told, "log", "state/audit"),
        "failed",
        "audit-missing",
    );
}

#[test]
fn rules_and_aliases_are_followed() {
    let scratch = place();
    run(&scratch, &["key", "create", KEY]).ok();
    let keys = crate::harness::testdata("keys");
    config(
        &scratch,
        "[[keys.rule]]\nmatch = \"model-sign/env\"\nto = \"env://SIGNER\"\n\
         [[keys.rule]]\nmatch = \"model-sign/prod/*\"\nto = \"env://PROD_{1}\"\n\
         [keys.alias]\nfraud = \"kms://model-sign/env\"\nnone = \"kms://model-sign/none\"",
    );
    let pem = std::fs::read_to_string(keys.join("ed25519.pkcs8.pem")).unwrap();
    let doctor = obreia(&scratch, &["doctor", "keys", "-o", "json"]);
    let out = doctor.env("SIGNER", &pem).run();
    let told = report(&out, 3);
    let key = check(&told, "key", "kms://model-sign/env");
    assert_eq!(key["result"], "ok", "{told:#}");
    assert_eq!(key["key"]["uri"], "env://SIGNER");
    assert_eq!(
        key["key"]["names"],
        serde_json::json!(["kms://fraud", "kms://model-sign/env"])
    );
    // Ed25519 signs the message itself.
    assert!(key["key"]["hash"].is_null());
    // An alias for what is not there.
    is(
        check(&told, "key", "kms://model-sign/none"),
        "failed",
        "no-such-key",
    );
    // A pattern names no key; its provider is asked all the same.
    assert_eq!(check(&told, "rule", "model-sign/prod/*")["result"], "ok");
    assert_eq!(check(&told, "provider", "env")["result"], "ok");
    let out = out.to_string();
    assert!(!out.contains("PRIVATE KEY"), "{out}");
}
