//! `env://NAME`, as a user types it.

use crate::harness::{Obreia, Scratch, testdata};
use crate::interop::cosign_verifies;

fn text(name: &str) -> Vec<u8> {
    std::fs::read(testdata("keys").join(name)).unwrap()
}

fn with(scratch: &Scratch, key: &str, args: &[&str]) -> Obreia {
    use std::os::unix::ffi::OsStringExt;
    let value = std::ffi::OsString::from_vec(text(key));
    scratch.obreia().env("SIGNER", value).args(args)
}

const SIGN: &[&str] = &["sign", "f", "--key", "env://SIGNER"];
const VERIFY: &[&str] = &["verify", "f", "--key", "env://SIGNER"];

#[test]
fn a_key_in_a_variable_signs_and_its_public_half_verifies() {
    let scratch = Scratch::new();
    scratch.write("f", "some bytes");
    with(&scratch, "cosign.key", SIGN)
        .env("COSIGN_PASSWORD", "throw-away")
        .run()
        .ok();
    with(&scratch, "cosign.pub", VERIFY).run().ok();
    with(&scratch, "p256-b.pub.pem", VERIFY)
        .run()
        .expect_code(1)
        .stdout_has("key-not-trusted");
    // The private one alone would have to be opened.
    with(&scratch, "cosign.key", VERIFY)
        .env("COSIGN_PASSWORD", "throw-away")
        .run()
        .expect_code(2)
        .stderr_has("verifying opens none");
}

#[test]
fn cosign_verifies_what_a_variable_signs() {
    let scratch = Scratch::new();
    for (key, public) in [
        ("cosign.key", "cosign.pub"),
        ("rsa2048.pkcs1.pem", "rsa2048.pub.pem"),
    ] {
        scratch.write("k.pub", text(public));
        cosign_verifies(&scratch, "env://SIGNER", &[], &|args| {
            with(&scratch, key, args)
                .env("COSIGN_PASSWORD", "throw-away")
                .run()
        });
    }
}

#[test]
fn what_cannot_be_opened_is_told_apart_and_never_shown() {
    let scratch = Scratch::new();
    scratch.write("f", "some bytes");
    let wrong = with(&scratch, "cosign.key", SIGN).env("COSIGN_PASSWORD", "wrong-one");
    wrong
        .run()
        .expect_code(5)
        .stderr_has("error[wrong-passphrase]")
        .stderr_has("env://SIGNER")
        .stderr_lacks("wrong-one")
        .stderr_lacks("SIGSTORE");
    with(&scratch, "cosign.key", SIGN)
        .run()
        .expect_code(2)
        .stderr_has("COSIGN_PASSWORD");
    scratch
        .obreia()
        .args(SIGN)
        .run()
        .expect_code(3)
        .stderr_has("error[not-configured]")
        .stderr_has("environment variable SIGNER is not set");
    let secret = "a-password-in-the-wrong-variable";
    for args in [SIGN, VERIFY] {
        let out = scratch.obreia().env("SIGNER", secret).args(args).run();
        out.expect_code(2)
            .stderr_has("error[bad-key-file]")
            .stderr_lacks(secret);
    }
    scratch
        .obreia()
        .args(["sign", "f", "--key", "env://A/B"])
        .run()
        .expect_code(2)
        .stderr_has("env://NAME");
    assert_eq!(scratch.files(), ["f"]);
}
