//! OpenSSL and cosign: they read what we write, we read what they write.

use std::path::PathBuf;

use obreia::crypto::Scheme;
use obreia::custody::Caller;
use obreia::keys::{SignInput, Signed};
use obreia::reference::KeyRef;

use super::{Pass, block_on, keyring, obreia, place, run};
use crate::harness::{Obreia, Scratch, peer, testdata};
use crate::interop::cosign_verifies;

const MESSAGE: &[u8] = b"signed here, verified there";

fn openssl() -> PathBuf {
    peer("openssl").expect("a system program is never left out")
}

fn sign(scratch: &Scratch, key: &str) -> Signed {
    let key = KeyRef::parse(key).unwrap();
    block_on(async {
        let key = keyring(scratch).open_key(&key, &Pass).await.unwrap();
        key.sign(SignInput::Message(MESSAGE), &Caller::local(0))
            .await
            .unwrap()
    })
}

/// OpenSSL's own verdict over the raw signature with the public key we print.
fn openssl_accepts(scratch: &Scratch, key: &str) {
    let signed = sign(scratch, key);
    let pem = run(scratch, &["key", "public", key])
        .expect_code(0)
        .stdout
        .clone();
    scratch.write("key.pub", pem);
    scratch.write("message", MESSAGE);
    scratch.write("signature", &signed.signature);
    let verify = |message: &str| -> Obreia {
        let command = scratch.obreia().program(openssl());
        match signed.scheme {
            Scheme::Ed25519 => command.args([
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                "key.pub",
                "-rawin",
                "-in",
                message,
                "-sigfile",
                "signature",
            ]),
            scheme => {
                let hash = format!("-{}", scheme.hash().unwrap().name());
                command.args([
                    "dgst",
                    &hash,
                    "-verify",
                    "key.pub",
                    "-signature",
                    "signature",
                    message,
                ])
            }
        }
    };
    verify("message").run().expect_code(0);
    scratch.write("other", b"something else");
    assert_ne!(verify("other").run().code, Some(0), "{key}");
}

#[test]
fn openssl_verifies_what_every_kind_of_key_signs() {
    let scratch = place();
    for algorithm in ["p256", "p384", "ed25519", "rsa-3072"] {
        let key = format!("kms://model-sign/{algorithm}");
        run(&scratch, &["key", "create", &key, "--algorithm", algorithm]).expect_code(0);
        openssl_accepts(&scratch, &key);
    }
}

#[test]
fn cosign_verifies_what_keys_in_the_keystore_and_in_files_sign() {
    let scratch = place();
    let sha384 = &["--signature-digest-algorithm", "sha384"][..];
    for (algorithm, told) in [("p256", &[][..]), ("p384", sha384), ("rsa-3072", &[])] {
        let key = format!("kms://model-sign/{algorithm}");
        run(&scratch, &["key", "create", &key, "--algorithm", algorithm]).ok();
        scratch.write(
            "k.pub",
            &run(&scratch, &["key", "public", &key]).ok().stdout,
        );
        cosign_verifies(&scratch, &key, told, &|args| run(&scratch, args));
    }
    for name in ["p256.pkcs8.pem", "rsa2048.pkcs1.pem"] {
        let (kind, _) = name.split_once('.').unwrap();
        let public = testdata(&format!("keys/{kind}.pub.pem"));
        scratch.write("k.pub", std::fs::read(public).unwrap());
        let key = testdata(&format!("keys/{name}"));
        let key = key.to_str().unwrap();
        cosign_verifies(&scratch, key, &[], &|args| run(&scratch, args));
    }
}

#[test]
fn keys_of_openssls_making_are_imported_and_stay_the_same_key() {
    let scratch = place();
    for (name, public) in [
        ("p256.pkcs8.pem", "p256.pub.pem"),
        ("p384.sec1.pem", "p384.pub.pem"),
        ("p521.pkcs8.pem", "p521.pub.pem"),
        ("ed25519.pkcs8.pem", "ed25519.pub.pem"),
        ("rsa2048.pkcs1.pem", "rsa2048.pub.pem"),
    ] {
        let key = format!("kms://model-sign/{}", name.replace(".pem", ""));
        let file = testdata(&format!("keys/{name}"));
        run(&scratch, &["key", "import", file.to_str().unwrap(), &key]).expect_code(0);
        let printed = run(&scratch, &["key", "public", &key])
            .expect_code(0)
            .stdout
            .clone();
        let theirs = std::fs::read_to_string(testdata(&format!("keys/{public}"))).unwrap();
        assert_eq!(printed, theirs, "{name}");
        openssl_accepts(&scratch, &key);
    }
}

#[test]
fn a_fresh_key_of_openssls_signs_as_a_file() {
    let scratch = place();
    scratch
        .obreia()
        .program(openssl())
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            "k.pem",
        ])
        .run()
        .expect_code(0);
    let file = scratch.join("k.pem");
    openssl_accepts(&scratch, file.to_str().unwrap());
}

#[test]
fn a_key_of_cosigns_is_imported_with_its_own_password() {
    let scratch = place();
    let file = testdata("keys/cosign.key");
    let import = [
        "key",
        "import",
        file.to_str().unwrap(),
        "kms://model-sign/cosign",
    ];
    obreia(&scratch, &import)
        .env("COSIGN_PASSWORD", "wrong")
        .run()
        .expect_code(5)
        .stderr_has("cosign.key");
    obreia(&scratch, &import)
        .env("COSIGN_PASSWORD", "throw-away")
        .run()
        .expect_code(0);
    let public = run(&scratch, &["key", "public", "kms://model-sign/cosign"]);
    assert_eq!(
        public.stdout,
        std::fs::read_to_string(testdata("keys/cosign.pub")).unwrap()
    );
    openssl_accepts(&scratch, "kms://model-sign/cosign");
    // A password that is set to nothing is one.
    let empty = testdata("keys/cosign-empty.key");
    obreia(
        &scratch,
        &[
            "key",
            "import",
            empty.to_str().unwrap(),
            "kms://model-sign/empty",
        ],
    )
    .env("COSIGN_PASSWORD", "")
    .run()
    .expect_code(0);
}

#[test]
fn a_fresh_key_of_cosigns_signs() {
    let Some(cosign) = peer("cosign") else {
        return;
    };
    let scratch = Scratch::new();
    scratch.write("a.txt", "hello");
    scratch
        .obreia()
        .program(cosign)
        .args(["generate-key-pair"])
        .env("COSIGN_PASSWORD", "throw-away")
        .run()
        .expect_code(0);
    let sign = |password: &str| {
        scratch
            .obreia()
            .env("COSIGN_PASSWORD", password)
            .args(["sign", "a.txt", "--key", "cosign.key"])
            .run()
    };
    sign("wrong").expect_code(5);
    sign("throw-away").expect_code(0);
    scratch
        .obreia()
        .args(["verify", "a.txt", "--key", "cosign.pub"])
        .run()
        .expect_code(0);
}
