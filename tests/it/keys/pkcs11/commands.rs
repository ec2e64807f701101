//! What a person does with a key in a token.

use super::super::records;
use super::{Hsm, failed};
use crate::harness::Scratch;

#[test]
fn a_key_is_made_signs_attests_and_verifies() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    hsm.scratch.write(
        "result.json",
        r#"{"result":"PASSED","configuration":[{"name":"x"}]}"#,
    );
    for algorithm in ["p256", "p384", "ed25519", "rsa-3072"] {
        let uri = hsm.create(algorithm, algorithm);
        hsm.run(&["sign", "a.txt", "--key", &uri, "--force"]).ok();
        hsm.run(&["verify", "a.txt", "--key", &uri]).ok();
        let attest = [
            "attest",
            "a.txt",
            "--key",
            &uri,
            "--type",
            "test-result",
            "--predicate",
            "result.json",
            "--output",
            "att.json",
            "--force",
        ];
        hsm.run(&attest).ok();
        let inspect = hsm.run(&["inspect", "att.json", "-o", "json"]);
        inspect.ok();
        hsm.scratch.write("a.txt", "hello, altered");
        hsm.run(&["verify", "a.txt", "--key", &uri]).expect_code(1);
        hsm.scratch.write("a.txt", "hello");
    }
    let another = hsm.create("another", "p256");
    hsm.run(&["verify", "a.txt", "--key", &another])
        .expect_code(1);
}

#[test]
fn a_public_key_that_was_seen_needs_no_module() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    hsm.run(&["sign", "a.txt", "--key", &uri]).ok();
    let verify = |uri: &str| {
        let verify = ["verify", "a.txt", "--offline", "--key", uri];
        // Without token, module and PIN.
        hsm.scratch.obreia().args(verify)
    };
    verify(&uri).run().ok();
    // Also under another spelling of the same name.
    verify("pkcs11:object=%6b;token=hsm").run().ok();
    let unknown = verify("pkcs11:token=hsm;object=other")
        .args(["-o", "json"])
        .run();
    failed(&unknown, 3, "not-configured");
    // And one that was not seen is read without a PIN.
    std::fs::remove_dir_all(hsm.scratch.join("state/known-keys")).unwrap();
    hsm.bare(&["verify", "a.txt", "--key", &uri]).run().ok();
}

#[test]
fn what_one_module_showed_is_not_believed_of_another() {
    let (Some(hsm), Some(other)) = (Hsm::new(), Hsm::new()) else {
        return;
    };
    let elsewhere = hsm.scratch.join("elsewhere.so");
    std::os::unix::fs::symlink(&hsm.module, &elsewhere).unwrap();
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    hsm.run(&["sign", "a.txt", "--key", &uri]).ok();
    // The same name at another module is another key, and there is none.
    let out = hsm
        .obreia(&["verify", "a.txt", "--key", &uri, "-o", "json"])
        .env("PKCS11_MODULE_PATH", &elsewhere)
        .env("SOFTHSM2_CONF", other.scratch.join("softhsm2.conf"))
        .run();
    failed(&out, 3, "no-such-key");
    hsm.run(&["verify", "a.txt", "--key", &uri]).ok();
}

#[test]
fn an_rsa_scheme_that_is_configured_anew_holds_for_what_is_known() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    hsm.configure("rsa = \"rsa-pss-sha256\"");
    let uri = hsm.create("k", "rsa-3072");
    hsm.run(&["sign", "a.txt", "--key", &uri]).ok();
    let verify = ["verify", "a.txt", "--key", &uri];
    hsm.run(&verify).ok();
    hsm.configure("rsa = \"rsa-pkcs1-sha256\"");
    hsm.run(&verify).expect_code(1);
    hsm.run(&["sign", "a.txt", "--key", &uri, "--force"]).ok();
    hsm.run(&verify).ok();
}

#[test]
fn somebody_elses_lock_is_not_waited_for_without_end() {
    let Some(hsm) = Hsm::new() else { return };
    let held = std::fs::File::create(hsm.scratch.join("state/pkcs11.lock")).unwrap();
    held.lock().unwrap();
    let create = ["key", "create", "pkcs11:token=hsm;object=k", "-o", "json"];
    failed(&hsm.run(&create), 4, "busy");
    held.unlock().unwrap();
    hsm.run(&create).ok();
}

#[test]
fn keys_are_shown_with_what_the_token_has_of_them() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = "pkcs11:token=hsm;id=%01%02;object=my%20key";
    let made = hsm.run(&["key", "create", uri, "-o", "json"]);
    let made = made.ok().json();
    let shown = hsm.bare(&["key", "show", uri, "-o", "json"]).run();
    let shown = shown.ok().json();
    assert_eq!(made["key"], shown["key"]);
    let key = &shown["key"];
    assert_eq!(key["path"], uri);
    assert_eq!(key["provider"], "pkcs11");
    assert!(key["id"].as_str().unwrap().ends_with("/0102"), "{key}");
    assert_eq!(key["versions"][0]["kind"], "ecdsa-p256");
    assert!(key["versions"][0].get("version").is_none());
    let public = hsm.bare(&["key", "public", uri]).run();
    assert_eq!(
        public.ok().stdout,
        key["versions"][0]["public_key"].as_str().unwrap()
    );
}

#[test]
fn the_log_tells_which_key_signed() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    hsm.run(&["sign", "a.txt", "--offline", "--key", &uri]).ok();
    let records = records(&hsm.scratch);
    // The keystore was made before.
    let records = &records[2..];
    let steps: Vec<(&str, &str)> = records
        .iter()
        .map(|r| (r["op"].as_str().unwrap(), r["phase"].as_str().unwrap()))
        .collect();
    assert_eq!(
        steps,
        [
            ("create", "intent"),
            ("create", "outcome"),
            ("sign", "intent"),
            ("sign", "outcome")
        ]
    );
    assert_eq!(records[3]["provider"], "pkcs11");
    assert_eq!(records[3]["key"]["path"], uri.as_str());
    assert_eq!(records[3]["result"], "ok");
}

#[test]
fn names_that_cannot_be_had() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("k", "p256");
    for (args, exit, code, says) in [
        (
            &["key", "create", &uri][..],
            2,
            "exists",
            "there is already a key",
        ),
        (
            &["key", "create", "pkcs11:token=hsm"],
            2,
            "bad-request",
            "it needs object=",
        ),
        (
            &["key", "create", "pkcs11:token=hsm;object=b", "--alias", "b"],
            2,
            "unsupported",
            "other names",
        ),
        (
            &["key", "create", "pkcs11:token=hsm;object=b?scheme=ed25519"],
            2,
            "wrong-algorithm",
            "does not sign under",
        ),
        (
            &["key", "rotate", &uri],
            2,
            "unsupported",
            "cannot be rotated",
        ),
        (
            &["key", "disable", &uri],
            2,
            "unsupported",
            "cannot be disabled",
        ),
        (
            &["key", "show", "pkcs11:token=hsm;object=b"],
            3,
            "no-such-key",
            "there is no key",
        ),
        (
            &["key", "show", "pkcs11:token=hsm;object=b?version=2"],
            2,
            "bad-request",
            "?version=",
        ),
        (
            &["key", "show", "pkcs11:token=hsm;colour=red"],
            2,
            "bad-request",
            "colour is not known",
        ),
    ] {
        let out = hsm.obreia(args).args(["-o", "json"]).run();
        let text = failed(&out, exit, code);
        assert!(text.contains(says), "{args:?}: {text}");
    }
    let elsewhere = "pkcs11:token=nope;object=b";
    let out = hsm.run(&["key", "create", elsewhere, "-o", "json"]);
    let text = out.fails("no-token", "put the token back").to_string();
    assert!(text.contains("shows hsm"), "{text}");
}

#[test]
fn modules_that_are_none() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("k", "p256");
    hsm.scratch.write("a.txt", "hello");
    let text = hsm.scratch.write("text.so", "not a library");
    let libm = [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/aarch64-linux-gnu/libm.so.6",
        "/lib64/libm.so.6",
    ];
    let libm = libm.iter().find(|path| std::path::Path::new(path).exists());
    let folder = hsm.scratch.path();
    let modules = [
        ("/nonexistent/module.so", "No such file"),
        (text.to_str().unwrap(), "text.so"),
        (folder.to_str().unwrap(), "cannot be used"),
        (libm.expect("libm"), "C_GetFunctionList"),
    ];
    for (module, says) in modules {
        let sign = hsm.obreia(&["sign", "a.txt", "-o", "json", "--key", &uri]);
        let out = sign.env("PKCS11_MODULE_PATH", module).run();
        let text = failed(&out, 3, "not-configured");
        assert!(text.contains(says) && text.contains(module), "{text}");
    }
    let sign = hsm.obreia(&["sign", "a.txt", "-o", "json", "--key", &uri]);
    let text = failed(
        &sign.without_env("PKCS11_MODULE_PATH").run(),
        3,
        "not-configured",
    );
    assert!(text.contains("no module is named"), "{text}");
    assert!(!hsm.scratch.join("a.txt.sigstore.json").exists());
}

#[test]
fn a_policy_chooses_no_code_to_load() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let policy = r#"apiVersion: obreia/v1
kind: VerificationPolicy
metadata: { name: p }
spec:
  match: [{ kind: blob, name: "**" }]
  authorities: [{ name: a, key: "pkcs11:token=hsm;object=k?module-path=/tmp/evil.so" }]
  signatures: { from: [a] }
"#;
    hsm.scratch.write("p.yaml", policy);
    let out = hsm.run(&["verify", "a.txt", "--policy", "p.yaml", "-o", "json"]);
    let text = failed(&out, 3, "not-configured");
    assert!(
        text.contains("does not choose what code is loaded"),
        "{text}"
    );
}

#[test]
fn rsa_keys_sign_under_the_scheme_that_was_said() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "rsa-3072");
    let scheme = |uri: &str| {
        let out = hsm.bare(&["key", "show", uri, "-o", "json"]).run();
        out.ok().json()["key"]["scheme"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(scheme(&uri), "rsa-pkcs1-sha256");
    let pss = format!("{uri}?scheme=rsa-pss-sha256");
    assert_eq!(scheme(&pss), "rsa-pss-sha256");
    hsm.run(&["sign", "a.txt", "--key", &pss]).ok();
    hsm.run(&["verify", "a.txt", "--key", &pss]).ok();
    hsm.run(&["verify", "a.txt", "--key", &uri]).expect_code(1);
    hsm.configure("rsa = \"rsa-pss-sha512\"");
    assert_eq!(scheme(&uri), "rsa-pss-sha512");
    hsm.run(&[
        "key",
        "create",
        "pkcs11:token=hsm;object=c",
        "--algorithm",
        "p256",
    ])
    .ok();
    assert_eq!(scheme("pkcs11:token=hsm;object=c"), "ecdsa-p256-sha256");
}

#[test]
fn the_helper_is_no_command() {
    let scratch = Scratch::new();
    scratch
        .obreia()
        .args(["__pkcs11-module"])
        .run()
        .expect_code(2);
    scratch
        .obreia()
        .args(["__pkcs11-module", "/nonexistent.so", "1"])
        .run()
        .expect_code(1);
    scratch
        .obreia()
        .args(["--help"])
        .run()
        .stdout_lacks("pkcs11-module");
}
