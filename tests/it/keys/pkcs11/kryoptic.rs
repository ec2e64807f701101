//! Another token, from other hands and with the surface of PKCS #11 3.2.

use std::time::Duration;

use super::sessions::at_once;
use super::{Hsm, PIN, block_on, failed, open, sign};
use crate::interop::cosign_verifies;

#[test]
fn what_it_signs_is_verified_here_and_by_cosign() {
    let Some(hsm) = Hsm::kryoptic() else { return };
    hsm.scratch.write("a.txt", "hello");
    let sha384 = &["--signature-digest-algorithm", "sha384"][..];
    for (algorithm, told) in [("p256", &[][..]), ("p384", sha384), ("rsa-3072", &[])] {
        let uri = hsm.create(algorithm, algorithm);
        hsm.run(&["sign", "a.txt", "--force", "--key", &uri]).ok();
        // Its public key is known by now: without module and PIN.
        let verify = ["verify", "a.txt", "--offline", "--key", &uri];
        hsm.scratch.obreia().args(verify).run().ok();
        let public = hsm.run(&["key", "public", &uri]);
        hsm.scratch.write("k.pub", &public.ok().stdout);
        cosign_verifies(&hsm.scratch, &uri, told, &|args| hsm.run(args));
    }
    let pss = "pkcs11:token=hsm;object=rsa-3072?scheme=rsa-pss-sha256";
    hsm.run(&["sign", "a.txt", "--force", "--key", pss]).ok();
    hsm.run(&["verify", "a.txt", "--key", pss]).ok();
    let other = "pkcs11:token=hsm;object=p256";
    hsm.run(&["verify", "a.txt", "--key", other]).expect_code(1);
}

#[test]
fn keys_that_pkcs11_tool_made_sign_here_and_ours_stay_inside() {
    let Some(hsm) = Hsm::kryoptic() else { return };
    hsm.scratch.write("a.txt", "hello");
    for (kind, id) in [
        ("EC:prime256v1", "01"),
        ("EC:secp521r1", "02"),
        ("rsa:2048", "03"),
    ] {
        let make = ["--keypairgen", "--key-type", kind, "--id", id];
        hsm.pkcs11_tool(&make).ok();
        let uri = format!("pkcs11:token=hsm;id=%{id}");
        hsm.run(&["sign", "a.txt", "--key", &uri, "--force"]).ok();
        hsm.run(&["verify", "a.txt", "--key", &uri]).ok();
    }
    hsm.create("ours", "p256");
    let listed = hsm.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
    listed
        .ok()
        .stdout_has("ours")
        .stdout_has("always sensitive")
        .stdout_has("never extractable");
}

#[test]
fn what_it_refuses_has_the_same_codes() {
    let Some(hsm) = Hsm::kryoptic() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    let sign = |pin: &str, key: &str| {
        let args = ["sign", "a.txt", "-o", "json", "--key", key];
        hsm.bare(&args).env("PKCS11_PIN", pin).run()
    };
    let wrong = sign("135-wrong-79", &uri);
    let text = failed(&wrong, 5, "kms-login");
    assert!(text.contains("CKR_PIN_INCORRECT"), "{text}");
    assert!(!wrong.to_string().contains("135-wrong-79"), "{wrong}");
    failed(&sign(PIN, "pkcs11:token=other;object=k"), 4, "no-token");
    failed(&sign(PIN, "pkcs11:token=hsm;object=no"), 3, "no-such-key");
    let create = |uri: &str, algorithm: &str| {
        hsm.run(&["key", "create", uri, "--algorithm", algorithm, "-o", "json"])
    };
    failed(&create(&uri, "p256"), 2, "exists");
    // Built as it is here it has none of these, and nothing is left of it.
    let ed25519 = "pkcs11:token=hsm;object=e";
    failed(&create(ed25519, "ed25519"), 2, "wrong-algorithm");
    failed(&sign(PIN, ed25519), 3, "no-such-key");
    assert!(!hsm.scratch.join("a.txt.sigstore.json").exists());
}

#[test]
fn many_sign_at_once() {
    let Some(hsm) = Hsm::kryoptic() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    let keyring = hsm.keyring(Duration::from_secs(60), None);
    at_once(block_on(open(&keyring, &uri)).unwrap(), 40);
    let outputs: Vec<String> = (0..4).map(|n| format!("{n}.json")).collect();
    let running: Vec<_> = outputs
        .iter()
        .map(|output| {
            let args = ["sign", "a.txt", "--key", &uri, "--output", output];
            hsm.obreia(&args).spawn()
        })
        .collect();
    for (one, bundle) in running.into_iter().zip(&outputs) {
        one.wait().ok();
        hsm.run(&["verify", "a.txt", "--key", &uri, "--bundle", bundle])
            .ok();
    }
}

#[test]
fn a_key_that_was_replaced_under_its_name_does_not_sign() {
    let Some(hsm) = Hsm::kryoptic() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    let keyring = hsm.keyring(Duration::from_secs(60), None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        sign(&key, b"x").await.unwrap();
    });
    for kind in ["privkey", "pubkey"] {
        let delete = ["--delete-object", "--type", kind, "--label", "k"];
        hsm.pkcs11_tool(&delete).ok();
    }
    let make = ["--keypairgen", "--key-type", "EC:prime256v1"];
    let named = ["--label", "k", "--id", "07"];
    hsm.pkcs11_tool(&[&make[..], &named].concat()).ok();
    let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
    out.fails("public-key-changed", "obreia key forget KEY");
    assert!(!hsm.scratch.join("a.txt.sigstore.json").exists());
}
