//! A module that crashes, hangs, lies or forgets, between us and SoftHSM.

use std::time::Duration;

use obreia::keys::{FaultClass, KeyFault};

use super::{Hsm, block_on, failed, open, sign};

#[test]
fn a_crash_is_the_modules_and_names_the_signal() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    for (mode, says) in [
        ("segfault", "was ended by signal 11 (SIGSEGV)"),
        ("abort", "was ended by signal 6 (SIGABRT)"),
        ("find-crashes", "was ended by signal 7 (SIGBUS)"),
        ("start-crashes", "was ended by signal 11 (SIGSEGV)"),
        ("exit", "ended by itself with exit code 3"),
        ("enormous", "was ended by signal"),
        ("garbage", "sent what is no answer"),
    ] {
        hsm.mode(mode);
        let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
        let text = failed(&out, 4, "plugin-failed");
        assert!(text.contains(says), "{mode}: {text}");
        assert!(
            text.contains("the PKCS#11 module /") && text.contains("faulty.so"),
            "{text}"
        );
        assert!(!hsm.scratch.join("a.txt.sigstore.json").exists(), "{mode}");
    }
    hsm.mode("");
    hsm.run(&["sign", "a.txt", "--key", &uri]).ok();
    let outcomes: Vec<String> = super::super::records(&hsm.scratch)
        .iter()
        .filter(|record| record["op"] == "sign" && record["phase"] == "outcome")
        .map(|record| record["result"].as_str().unwrap().to_owned())
        .collect();
    // Two of them never came to a key.
    assert_eq!(
        outcomes,
        ["plugin-failed"; 5]
            .iter()
            .chain(&["ok"])
            .copied()
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_module_that_does_not_start() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    hsm.mode("start-fails");
    let uri = "pkcs11:token=hsm;object=k";
    let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", uri]);
    let text = failed(&out, 3, "not-configured");
    assert!(
        text.contains("it does not start: C_Initialize: CKR_GENERAL_ERROR"),
        "{text}"
    );
}

#[test]
fn signatures_that_are_none_do_not_leave() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    for (algorithm, mode, code) in [
        ("p256", "flips", "self-check-failed"),
        ("p256", "shortens", "provider-failed"),
        ("ed25519", "flips", "self-check-failed"),
        ("ed25519", "shortens", "self-check-failed"),
        ("rsa-3072", "flips", "self-check-failed"),
    ] {
        hsm.mode("");
        let uri = hsm.create(&format!("{algorithm}-{mode}"), algorithm);
        hsm.mode(mode);
        let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
        failed(&out, 4, code);
        // A new key that cannot sign is not left there under a good name.
        let new = "pkcs11:token=hsm;object=new";
        let out = hsm.run(&["key", "create", new, "--algorithm", algorithm, "-o", "json"]);
        failed(&out, 4, code);
        hsm.mode("");
        let out = hsm.run(&["key", "show", new, "-o", "json"]);
        failed(&out, 3, "no-such-key");
    }
}

#[test]
fn a_key_that_could_be_taken_out_is_not_kept() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.mode("exposes");
    let uri = "pkcs11:token=hsm;object=k";
    let out = hsm.run(&["key", "create", uri, "-o", "json"]);
    let text = failed(&out, 4, "provider-failed");
    assert!(text.contains("was destroyed again"), "{text}");
    hsm.mode("");
    failed(
        &hsm.run(&["key", "show", uri, "-o", "json"]),
        3,
        "no-such-key",
    );
}

#[test]
fn a_token_without_digests_signs_messages_and_says_what_it_cannot() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "rsa-3072");
    hsm.mode("no-digests");
    let keyring = hsm.keyring(Duration::from_secs(30), None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        for _ in 0..3 {
            sign(&key, b"a message").await.unwrap();
        }
    });
    let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
    let text = failed(&out, 2, "wrong-algorithm");
    assert!(text.contains("CKR_MECHANISM_INVALID"), "{text}");
    hsm.mode("no-signing");
    let new = "pkcs11:token=hsm;object=new";
    let out = hsm.run(&["key", "create", new, "-o", "json"]);
    failed(&out, 2, "wrong-algorithm");
    hsm.mode("");
    failed(
        &hsm.run(&["key", "show", new, "-o", "json"]),
        3,
        "no-such-key",
    );
}

#[test]
fn a_module_that_hangs_is_killed_at_the_deadline_and_started_anew() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let deadline = Duration::from_secs(8);
    let keyring = hsm.keyring(deadline, None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        hsm.mode("hang");
        let fault = sign(&key, b"x").await.unwrap_err();
        assert!(
            matches!(fault, KeyFault::Deadline { seconds: 8, .. }),
            "{fault}"
        );
        hsm.mode("");
        // The old process is gone: another was started and logged in to.
        let (starts, logins) = (hsm.noted("initialize"), hsm.noted("login"));
        sign(&key, b"x").await.unwrap();
        assert_eq!(
            (hsm.noted("initialize"), hsm.noted("login")),
            (starts + 1, logins + 1)
        );
    });
    hsm.mode("start-hangs");
    let keyring = hsm.keyring(deadline, None);
    let fault = block_on(open(&keyring, &uri)).unwrap_err();
    assert!(matches!(fault, KeyFault::Deadline { .. }), "{fault}");
}

#[test]
fn we_live_on_when_the_module_dies_and_it_is_started_anew() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let keyring = hsm.keyring(Duration::from_secs(30), None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        sign(&key, b"x").await.unwrap();
        for _ in 0..3 {
            hsm.mode("segfault");
            let fault = sign(&key, b"x").await.unwrap_err();
            assert_eq!(
                (fault.code(), fault.class()),
                ("plugin-failed", FaultClass::Unavailable)
            );
            hsm.mode("");
            sign(&key, b"x").await.unwrap();
        }
    });
}
