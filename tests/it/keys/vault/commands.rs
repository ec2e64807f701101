//! `sign`, `verify` and `key`, as a user types them.

use serde_json::json;

use super::{ROOT, policy, run, server, with};
use crate::harness::{Scratch, testdata};
use crate::keys::place;

#[test]
fn the_life_of_a_key() {
    let Some(bao) = server() else { return };
    let (scratch, address) = (place(), bao.address());
    let run = |args: &[&str]| run(&scratch, &address, args);
    scratch.write("a.txt", "hello");
    let key = "openbao://cli-life";
    run(&["key", "create", key])
        .expect_code(0)
        .stdout_has("made openbao://cli-life");
    run(&["key", "create", key])
        .expect_code(2)
        .stderr_has("error[exists]");
    run(&["sign", "a.txt", "--key", key])
        .expect_code(0)
        .stdout_has("openbao://cli-life?version=1 (ecdsa-p256-sha256)");
    run(&["key", "rotate", key]).expect_code(0);
    run(&["verify", "a.txt", "--key", key]).expect_code(0);
    run(&[
        "verify",
        "a.txt",
        "--key",
        "hashivault://cli-life?version=1",
    ])
    .expect_code(0);
    run(&[
        "verify",
        "a.txt",
        "--key",
        "vault://transit/cli-life?version=2",
    ])
    .expect_code(1)
    .stdout_has("key-not-trusted");
    run(&["verify", "a.txt", "--key", "openbao://cli-life?version=3"])
        .expect_code(3)
        .stderr_has("has no version 3");

    let shown = run(&["key", "show", key, "-o", "json"])
        .expect_code(0)
        .json();
    assert_eq!(shown["key"]["provider"], "vault");
    assert_eq!(shown["key"]["versions"][0]["state"], "verify-only");
    assert_eq!(shown["key"]["versions"][1]["state"], "active");
    let pem = run(&["key", "public", key]).expect_code(0).stdout.clone();
    assert_eq!(shown["key"]["versions"][1]["public_key"], pem.as_str());
    run(&["key", "list", "openbao://"])
        .expect_code(0)
        .stdout_has("openbao://cli-life  enabled  ecdsa-p256-sha256  version 2");

    // A version that is named signs where the server lets it.
    let old = "openbao://cli-life?version=1";
    run(&["sign", "a.txt", "--key", old, "--output", "b"]).expect_code(0);
    run(&["key", "retire", "openbao://cli-life?version=2"])
        .expect_code(2)
        .stderr_has("the active one");
    run(&["key", "retire", old]).expect_code(0);
    run(&["verify", "a.txt", "--key", key]).expect_code(1);
    run(&["verify", "a.txt", "--key", old])
        .expect_code(3)
        .stderr_has("error[retired]");

    run(&["key", "disable", key]).expect_code(0);
    for args in [
        &["sign", "a.txt", "--key", key, "--output", "c"][..],
        &["verify", "a.txt", "--key", key],
    ] {
        run(args)
            .expect_code(5)
            .stderr_has("error[disabled]")
            .stderr_has("obreia key enable");
    }
    run(&["key", "enable", key]).expect_code(0);
    run(&["sign", "a.txt", "--key", key, "--force"]).expect_code(0);
    run(&["verify", "a.txt", "--key", key]).expect_code(0);
    assert!(!scratch.join("c").exists());
}

/// To look at it is not to let it verify again, and those who may not ask go
/// by what was seen last.
#[test]
fn a_disabled_key_verifies_nothing_however_often_it_is_looked_at() {
    let Some(bao) = server() else { return };
    let (scratch, address) = (place(), bao.address());
    let run = |args: &[&str]| run(&scratch, &address, args);
    scratch.write("a.txt", "hello");
    let key = "openbao://cli-stopped";
    bao.key("cli-stopped", "ecdsa-p256");
    let verify = ["verify", "a.txt", "--key", key, "-o", "json"];
    let offline = [&["--offline"][..], &verify].concat();
    let looks: [&[&str]; 4] = [
        &["key", "show", key],
        &["key", "list", "openbao://"],
        &["doctor", "keys", key, "--no-probe"],
        &["sign", "a.txt", "--key", key, "--force"],
    ];
    for look in looks {
        run(&["sign", "a.txt", "--key", key, "--force"]).ok();
        run(&verify).ok();
        run(&offline).ok();
        // Elsewhere, so that nobody here knows of it …
        bao.admin("DELETE", "transit/keys/cli-stopped/soft-delete", &json!({}));
        // … until it is looked at.
        run(look);
        run(&offline).fails("disabled", "key enable");
        run(&verify).fails("disabled", "key enable");
        run(&["key", "enable", key]).ok();
    }
    run(&verify).ok();
    run(&["key", "disable", key]).ok();
    run(&offline).fails("disabled", "key enable");
}

#[test]
fn a_key_of_each_kind_signs_and_verifies() {
    let Some(bao) = server() else { return };
    let (scratch, address) = (Scratch::new(), bao.address());
    scratch.write("a.txt", "hello");
    for (kind, parameters) in [
        ("ecdsa-p256", ""),
        ("ecdsa-p384", ""),
        ("ecdsa-p521", ""),
        ("ed25519", ""),
        ("rsa-2048", ""),
        ("rsa-3072", "?scheme=rsa-pss-sha512"),
    ] {
        let name = format!("cli-{kind}");
        bao.key(&name, kind);
        let key = format!("openbao://{name}{parameters}");
        let sign = ["sign", "a.txt", "--key", &key, "--force"];
        run(&scratch, &address, &sign).expect_code(0);
        let verify = ["verify", "a.txt", "--key", &key];
        run(&scratch, &address, &verify).expect_code(0);
        scratch.write("a.txt", "other");
        run(&scratch, &address, &verify).expect_code(1);
        scratch.write("a.txt", "hello");
    }
    // The one signs with PSS, the other reads PKCS #1: never a guess.
    let other = ["verify", "a.txt", "--key", "openbao://cli-rsa-3072"];
    run(&scratch, &address, &other).expect_code(1);
}

#[test]
fn a_key_file_moves_in() {
    let Some(bao) = server() else { return };
    let (scratch, address) = (place(), bao.address());
    scratch.write("a.txt", "hello");
    let file = testdata("keys/p384.sec1.pem");
    let import = [
        "key",
        "import",
        file.to_str().unwrap(),
        "openbao://cli-import",
    ];
    run(&scratch, &address, &import).expect_code(0);
    run(&scratch, &address, &import).expect_code(2);
    let sign = ["sign", "a.txt", "--key", "openbao://cli-import"];
    run(&scratch, &address, &sign).expect_code(0);
    let public = testdata("keys/p384.pub.pem");
    let verify = ["verify", "a.txt", "--key", public.to_str().unwrap()];
    run(&scratch, &address, &verify).expect_code(0);
}

#[test]
fn what_the_documentation_grants_is_enough_and_no_more() {
    let Some(bao) = server() else { return };
    let (scratch, address) = (Scratch::new(), bao.address());
    scratch.write("a.txt", "hello");
    for (name, kind) in [("granted", "ecdsa-p256"), ("granted-ed", "ed25519")] {
        bao.key(name, kind);
        let token = bao.token(&policy(name), serde_json::json!({}));
        let key = format!("openbao://{name}");
        let run = |args: &[&str]| with(&scratch, &address, &token, args).run();
        run(&["sign", "a.txt", "--key", &key, "--force"]).expect_code(0);
        run(&["verify", "a.txt", "--key", &key]).expect_code(0);
        run(&["key", "rotate", &key])
            .expect_code(5)
            .stderr_has("error[kms-refused]");
        run(&[
            "sign",
            "a.txt",
            "--key",
            "openbao://cli-other",
            "--output",
            "b",
        ])
        .expect_code(5)
        .stderr_has("error[kms-refused]")
        .stderr_has("openbao://cli-other");
    }
    assert_eq!(scratch.files(), ["a.txt", "a.txt.sigstore.json"]);
}

#[test]
fn what_is_not_set_is_named() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "hello");
    let sign = |key: &str| scratch.obreia().args(["sign", "a.txt", "--key", key]);
    sign("openbao://k")
        .run()
        .expect_code(3)
        .stderr_has("error[not-configured]")
        .stderr_has("VAULT_ADDR or BAO_ADDR");
    sign("openbao://k")
        .env("BAO_ADDR", "http://127.0.0.1:9")
        .run()
        .expect_code(3)
        .stderr_has("VAULT_TOKEN or BAO_TOKEN");
    sign("openbao://k")
        .env("VAULT_ADDR", "http://vault.example:8200")
        .env("VAULT_TOKEN", ROOT)
        .run()
        .expect_code(3)
        .stderr_has("in clear")
        .stderr_has("allow_http");
    for (address, code) in [
        ("vault.example", 3),
        ("ftp://vault.example", 3),
        ("https://", 3),
    ] {
        sign("openbao://k")
            .env("VAULT_ADDR", address)
            .env("VAULT_TOKEN", ROOT)
            .run()
            .expect_code(code);
    }
    for key in [
        "openbao://",
        "openbao://a/../sys/k",
        "openbao://k?version=0",
        "openbao://k?x=1",
    ] {
        sign(key)
            .env("VAULT_ADDR", "http://127.0.0.1:9")
            .env("VAULT_TOKEN", ROOT)
            .run()
            .expect_code(2)
            .stderr_has("names no key");
    }
}

#[test]
fn the_environment_of_vaults_tools_is_understood() {
    let Some(bao) = server() else { return };
    let scratch = Scratch::new();
    scratch.write("a.txt", "hello");
    bao.admin(
        "PUT",
        "second/keys/env-key",
        &serde_json::json!({"type": "ecdsa-p256"}),
    );
    let sign = || {
        scratch
            .obreia()
            .args(["sign", "a.txt", "--key", "openbao://env-key", "--force"])
    };
    let told = || sign().env("BAO_ADDR", bao.address()).env("BAO_TOKEN", ROOT);
    told()
        .run()
        .expect_code(3)
        .stderr_has("there is no key openbao://env-key");
    told()
        .env("TRANSIT_SECRET_ENGINE_PATH", "second")
        .run()
        .expect_code(0);
    std::fs::write(scratch.home().join(".vault-token"), format!("{ROOT}\n")).unwrap();
    sign()
        .env("VAULT_ADDR", format!("{}/", bao.address()))
        .env("BAO_ADDR", "http://127.0.0.1:9")
        .env("TRANSIT_SECRET_ENGINE_PATH", "second/")
        .run()
        .expect_code(0);
    // cosign's way to say which version made a signature.
    bao.admin("PUT", "second/keys/env-key/rotate", &serde_json::json!({}));
    let verify = |prefix: &str| {
        scratch
            .obreia()
            .env("VAULT_ADDR", bao.address())
            .env("VAULT_TOKEN", ROOT)
            .env("VAULT_KEY_PREFIX", prefix)
            .args(["verify", "a.txt", "--key", "openbao://second/env-key"])
            .run()
    };
    for (prefix, code) in [
        ("", 0),
        ("vault:v1:", 0),
        ("vault:v2:", 1),
        ("vault:v3:", 3),
        ("v1", 3),
    ] {
        verify(prefix).expect_code(code);
    }
}

#[test]
fn namespaces_keep_keys_apart() {
    let Some(bao) = server() else { return };
    let (scratch, address) = (Scratch::new(), bao.address());
    scratch.write("a.txt", "hello");
    let nothing = serde_json::json!({});
    let transit = serde_json::json!({"type": "transit"});
    bao.admin("PUT", "sys/namespaces/team", &nothing);
    bao.admin("PUT", "team/sys/mounts/transit", &transit);
    let key = serde_json::json!({"type": "ecdsa-p256"});
    bao.admin("PUT", "team/transit/keys/apart", &key);
    bao.admin("PUT", "transit/keys/apart", &key);
    let public = |uri: &str, namespace: &str| {
        let out = with(&scratch, &address, ROOT, &["key", "public", uri])
            .env("VAULT_NAMESPACE", namespace)
            .run();
        out.expect_code(0).stdout.clone()
    };
    let outer = public("openbao://apart", "");
    let inner = public("openbao://apart", "team");
    assert_ne!(outer, inner);
    assert_eq!(inner, public("openbao://apart?namespace=team", ""));
    assert_eq!(inner, public("openbao://team/transit/apart", ""));
    let sign = ["sign", "a.txt", "--key", "openbao://apart?namespace=team"];
    run(&scratch, &address, &sign).expect_code(0);
    let verify = |key| run(&scratch, &address, &["verify", "a.txt", "--key", key]);
    verify("openbao://apart?namespace=team").expect_code(0);
    verify("openbao://apart").expect_code(1);
    verify("openbao://apart?namespace=nobody").expect_code(3);
}
