//! OpenSC's pkcs11-tool and OpenSSL: keys of theirs are used here, keys of
//! ours there, and they verify what we sign.

use super::{Hsm, block_on, open, sign};
use crate::harness::{peer, testdata};
use crate::interop::cosign_verifies;

const MESSAGE: &[u8] = b"signed here, verified there";

fn openssl_verifies(hsm: &Hsm, options: &[&str]) {
    let openssl = peer("openssl").expect("a system program is never left out");
    let verify = |message: &str| {
        hsm.bare(&[])
            .program(&openssl)
            .args(options)
            .args([message])
            .run()
    };
    verify("message").ok();
    hsm.scratch.write("other", "something else");
    assert_ne!(verify("other").code, Some(0));
}

#[test]
fn what_a_token_signs_openssl_verifies() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("message", MESSAGE);
    let dgst = |hash| {
        [
            "dgst",
            hash,
            "-verify",
            "key.pub",
            "-signature",
            "signature",
        ]
    };
    let pss = [
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:32",
    ];
    for (algorithm, query, options) in [
        ("p256", "", dgst("-sha256").to_vec()),
        ("p384", "", dgst("-sha384").to_vec()),
        ("rsa-3072", "", dgst("-sha256").to_vec()),
        (
            "rsa-3072",
            "?scheme=rsa-pss-sha256",
            [&dgst("-sha256")[..], &pss].concat(),
        ),
        (
            "ed25519",
            "",
            vec![
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                "key.pub",
                "-rawin",
                "-sigfile",
                "signature",
                "-in",
            ],
        ),
    ] {
        let label = format!("{algorithm}{}", query.len());
        let uri = format!("{}{query}", hsm.create(&label, algorithm));
        let keyring = hsm.keyring(std::time::Duration::from_secs(30), None);
        let signature = block_on(async {
            let key = open(&keyring, &uri).await.unwrap();
            sign(&key, MESSAGE).await.unwrap()
        });
        hsm.scratch.write("signature", signature);
        let ours = hsm.run(&["key", "public", &uri]);
        let ours = &ours.ok().stdout;
        hsm.scratch.write("key.pub", ours);
        if matches!(algorithm, "p256" | "rsa-3072") {
            // OpenSC 0.23 reads these out of the token, and no others.
            let read = [
                "--read-object",
                "--type",
                "pubkey",
                "--label",
                &label,
                "--output-file",
                "key.der",
            ];
            hsm.pkcs11_tool(&read).ok();
            let openssl = peer("openssl").unwrap();
            let pem = ["pkey", "-pubin", "-inform", "DER", "-in", "key.der"];
            let theirs = hsm.bare(&[]).program(openssl).args(pem).run();
            assert_eq!(ours, &theirs.ok().stdout, "{uri}");
        }
        openssl_verifies(&hsm, &options);
    }
}

#[test]
fn what_a_token_signs_cosign_verifies() {
    let Some(hsm) = Hsm::new() else { return };
    for algorithm in ["p256", "rsa-3072"] {
        let uri = hsm.create(algorithm, algorithm);
        let public = hsm.run(&["key", "public", &uri]);
        hsm.scratch.write("k.pub", &public.ok().stdout);
        cosign_verifies(&hsm.scratch, &uri, &[], &|args| hsm.run(args));
    }
}

#[test]
fn keys_that_pkcs11_tool_made_sign_here() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    for (kind, id) in [
        ("EC:prime256v1", "01"),
        ("EC:secp384r1", "02"),
        ("EC:secp521r1", "03"),
        ("rsa:2048", "04"),
        ("EC:edwards25519", "05"),
    ] {
        hsm.pkcs11_tool(&[
            "--keypairgen",
            "--key-type",
            kind,
            "--id",
            id,
            "--label",
            "theirs",
        ])
        .ok();
        let uri = format!("pkcs11:token=hsm;id=%{id}");
        hsm.run(&["sign", "a.txt", "--key", &uri, "--force"]).ok();
        hsm.run(&["verify", "a.txt", "--key", &uri]).ok();
    }
    // By their label they are several.
    hsm.run(&[
        "sign",
        "a.txt",
        "--key",
        "pkcs11:token=hsm;object=theirs",
        "--force",
    ])
    .expect_code(2)
    .stderr_has("it fits 5 private keys; add id=");
}

#[test]
fn keys_that_were_made_here_are_used_by_pkcs11_tool() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("ours", "p256");
    hsm.scratch.write("message", MESSAGE);
    let sign = [
        "--sign",
        "--mechanism",
        "ECDSA-SHA256",
        "--label",
        "ours",
        "--signature-format",
        "openssl",
        "--input-file",
        "message",
        "--output-file",
        "signature",
    ];
    let signed = hsm.pkcs11_tool(&sign);
    if signed.code != Some(0) {
        // SoftHSM 2.6 signs digests only.
        let openssl = peer("openssl").unwrap();
        let digest = ["dgst", "-sha256", "-binary", "-out", "digest", "message"];
        hsm.bare(&[]).program(openssl).args(digest).run().ok();
        let sign = [
            "--sign",
            "--mechanism",
            "ECDSA",
            "--label",
            "ours",
            "--signature-format",
            "openssl",
            "--input-file",
            "digest",
            "--output-file",
            "signature",
        ];
        hsm.pkcs11_tool(&sign).ok();
    }
    let public = hsm.run(&["key", "public", &uri]);
    hsm.scratch.write("key.pub", &public.ok().stdout);
    openssl_verifies(
        &hsm,
        &[
            "dgst",
            "-sha256",
            "-verify",
            "key.pub",
            "-signature",
            "signature",
        ],
    );
    // Born there, and it never leaves.
    let listed = hsm.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
    listed
        .ok()
        .stdout_has("never extractable")
        .stdout_has("always sensitive")
        .stdout_has("local");
}

#[test]
fn a_certificate_shows_the_public_key_and_without_either_there_is_none() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let key = testdata("keys/p256.pkcs8.pem");
    let key = key.to_str().unwrap();
    let openssl = peer("openssl").unwrap();
    let der = ["pkey", "-in", key, "-outform", "DER", "-out", "key.der"];
    hsm.bare(&[]).program(&openssl).args(der).run().ok();
    let write = [
        "--write-object",
        "key.der",
        "--type",
        "privkey",
        "--id",
        "aa",
        "--label",
        "imported",
    ];
    hsm.pkcs11_tool(&write).ok();
    let uri = "pkcs11:token=hsm;id=%aa";
    let out = hsm.run(&["sign", "a.txt", "--key", uri]);
    out.expect_code(2)
        .stderr_has("shows neither its public key nor a certificate");

    let certify = [
        "req", "-x509", "-new", "-key", key, "-subj", "/CN=hsm", "-days", "9", "-outform", "DER",
        "-out", "cert.der",
    ];
    hsm.bare(&[]).program(&openssl).args(certify).run().ok();
    let write = [
        "--write-object",
        "cert.der",
        "--type",
        "cert",
        "--id",
        "aa",
        "--label",
        "imported",
    ];
    hsm.pkcs11_tool(&write).ok();
    hsm.run(&["sign", "a.txt", "--key", uri]).ok();
    hsm.run(&["verify", "a.txt", "--key", uri]).ok();
    let public = testdata("keys/p256.pub.pem");
    hsm.run(&["verify", "a.txt", "--key", public.to_str().unwrap()])
        .ok();
    // Without a login the certificate is what shows.
    std::fs::remove_dir_all(hsm.scratch.join("state/known-keys")).unwrap();
    hsm.bare(&["verify", "a.txt", "--key", uri]).run().ok();
}

#[test]
fn a_certificate_of_another_key_makes_no_signature_pass() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let openssl = peer("openssl").unwrap();
    let key = testdata("keys/p256.pkcs8.pem");
    let other = testdata("keys/p256-b.pkcs8.pem");
    let der = [
        "pkey",
        "-in",
        key.to_str().unwrap(),
        "-outform",
        "DER",
        "-out",
        "key.der",
    ];
    hsm.bare(&[]).program(&openssl).args(der).run().ok();
    let certify = [
        "req",
        "-x509",
        "-new",
        "-key",
        other.to_str().unwrap(),
        "-subj",
        "/CN=hsm",
        "-outform",
        "DER",
        "-out",
        "cert.der",
    ];
    hsm.bare(&[]).program(&openssl).args(certify).run().ok();
    for (file, kind) in [("key.der", "privkey"), ("cert.der", "cert")] {
        hsm.pkcs11_tool(&["--write-object", file, "--type", kind, "--id", "aa"])
            .ok();
    }
    let out = hsm.run(&[
        "sign",
        "a.txt",
        "--key",
        "pkcs11:token=hsm;id=%aa",
        "-o",
        "json",
    ]);
    super::failed(&out, 4, "self-check-failed");
    assert!(!hsm.scratch.join("a.txt.sigstore.json").exists());
}

#[test]
fn keys_that_are_not_for_signing() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    hsm.mode("forbids");
    let make = [
        "--keypairgen",
        "--key-type",
        "EC:prime256v1",
        "--id",
        "01",
        "--usage-sign",
    ];
    hsm.pkcs11_tool(&make).ok();
    hsm.mode("");
    let out = hsm.run(&[
        "sign",
        "a.txt",
        "--key",
        "pkcs11:token=hsm;id=%01",
        "-o",
        "json",
    ]);
    super::failed(&out, 5, "wrong-usage");
    for (kind, id, says) in [
        ("rsa:1024", "02", "RSA key has 1024 bits"),
        ("EC:secp256k1", "03", "curve 1.3.132.0.10 is not supported"),
    ] {
        hsm.pkcs11_tool(&["--keypairgen", "--key-type", kind, "--id", id])
            .ok();
        let uri = format!("pkcs11:token=hsm;id=%{id}");
        let out = hsm.run(&["sign", "a.txt", "--key", &uri, "-o", "json"]);
        let text = super::failed(&out, 2, "wrong-algorithm");
        assert!(text.contains(says), "{text}");
    }
    let asks = [
        "--keypairgen",
        "--key-type",
        "EC:prime256v1",
        "--id",
        "04",
        "--always-auth",
    ];
    hsm.pkcs11_tool(&asks).ok();
    let out = hsm.run(&[
        "sign",
        "a.txt",
        "--key",
        "pkcs11:token=hsm;id=%04",
        "-o",
        "json",
    ]);
    let text = super::failed(&out, 2, "bad-request");
    assert!(text.contains("CKA_ALWAYS_AUTHENTICATE"), "{text}");
}
