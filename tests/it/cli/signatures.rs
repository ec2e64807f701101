//! Bad input: signatures and keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::forge::Forger;
use super::{
    allowed, blob, denied, edit, policy, private, public, refused, sign, signed_blob, verify,
    with_key,
};

const BUNDLE: &str = "app.bin.sigstore.json";

/// The order of P-256's group (SEC 2, section 2.4.2).
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .position(|b| *b != 0)
        .unwrap_or(bytes.len() - 1);
    let mut value = bytes[start..].to_vec();
    if value[0] & 0x80 != 0 {
        value.insert(0, 0);
    }
    let mut der = vec![2, u8::try_from(value.len()).unwrap()];
    der.append(&mut value);
    der
}

fn sequence(r: &[u8], s: &[u8]) -> Vec<u8> {
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

fn parts(der: &[u8]) -> ([u8; 32], [u8; 32]) {
    let take = |at: usize| {
        let length = usize::from(der[at + 1]);
        let value = &der[at + 2..at + 2 + length];
        let value = value.strip_prefix(&[0]).unwrap_or(value);
        let mut out = [0; 32];
        out[32 - value.len()..].copy_from_slice(value);
        (out, at + 2 + length)
    };
    let (r, next) = take(2);
    (r, take(next).0)
}

/// `(r, n - s)`: as good a signature as `(r, s)`.
fn twin(der: &[u8]) -> Vec<u8> {
    let (r, s) = parts(der);
    let mut other = [0; 32];
    let mut borrow = 0;
    for i in (0..32).rev() {
        let value = i32::from(N[i]) - i32::from(s[i]) - borrow;
        borrow = i32::from(value < 0);
        other[i] = u8::try_from(value.rem_euclid(256)).unwrap();
    }
    sequence(&r, &other)
}

#[test]
fn a_p384_signature_under_a_p256_key() {
    let scratch = signed_blob("p384");
    let out = with_key(&scratch, "app.bin", "p256");
    denied(&out, "key-not-trusted");
    // With the hint of the key that is trusted, so that it is tried.
    let hint = {
        let other = signed_blob("p256");
        let bundle: serde_json::Value = serde_json::from_slice(&other.read(BUNDLE)).unwrap();
        bundle["verificationMaterial"]["publicKey"]["hint"].clone()
    };
    edit(&scratch, BUNDLE, |json| {
        json["verificationMaterial"]["publicKey"]["hint"] = hint;
    });
    denied(&with_key(&scratch, "app.bin", "p256"), "scheme-mismatch");
}

#[test]
fn zero_and_garbage_signatures() {
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        let scratch = signed_blob(key);
        let field = |json: &serde_json::Value| {
            if json["messageSignature"].is_null() {
                "/dsseEnvelope/signatures/0/sig"
            } else {
                "/messageSignature/signature"
            }
        };
        let bundle: serde_json::Value = serde_json::from_slice(&scratch.read(BUNDLE)).unwrap();
        let real = STANDARD
            .decode(bundle.pointer(field(&bundle)).unwrap().as_str().unwrap())
            .unwrap();
        let mut flipped = real.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let bad: &[Vec<u8>] = &[
            vec![0; real.len()],
            vec![0xff; real.len()],
            sequence(&[0], &[0]),
            sequence(&[1], &[0]),
            sequence(&[0], &[1]),
            sequence(&N, &N),
            [real.clone(), vec![0]].concat(),
            real[..real.len() - 1].to_vec(),
            flipped,
            vec![0x30, 0x80, 0, 0],
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            vec![0],
        ];
        for signature in bad {
            edit(&scratch, BUNDLE, |json| {
                let path = field(json);
                *json.pointer_mut(path).unwrap() = json!(STANDARD.encode(signature));
            });
            let out = with_key(&scratch, "app.bin", key);
            out.expect_code(1);
            let code = out.json()["reasons"][0]["code"].clone();
            assert!(
                code == "signature-invalid" || code == "scheme-mismatch",
                "{key} {signature:02x?}\n{out}"
            );
        }
        // An empty one is none at all.
        edit(&scratch, BUNDLE, |json| {
            let path = field(json);
            *json.pointer_mut(path).unwrap() = json!("");
        });
        denied(&with_key(&scratch, "app.bin", key), "bundle-malformed");
    }
}

#[test]
fn the_high_s_twin_is_accepted_and_never_a_second_signature() {
    let scratch = signed_blob("p256");
    scratch.write("twin.json", scratch.read(BUNDLE));
    edit(&scratch, "twin.json", |json| {
        let signature = json["messageSignature"]["signature"].as_str().unwrap();
        let twin = twin(&STANDARD.decode(signature).unwrap());
        json["messageSignature"]["signature"] = json!(STANDARD.encode(twin));
    });
    assert_ne!(scratch.read("twin.json"), scratch.read(BUNDLE));
    let key = public("p256");
    let args = ["app.bin", "--key", &key, "--bundle", "twin.json"];
    allowed(&verify(&scratch, &args));
    policy(
        &scratch,
        "two",
        &["p256", "p256-b"],
        "signatures: { from: [p256, p256-b], threshold: 2 }",
    );
    let args = ["--bundle", BUNDLE, "--bundle", "twin.json"];
    let out = verify(
        &scratch,
        &[&["app.bin", "--policy", "two.yaml"], &args[..]].concat(),
    );
    let json = denied(&out, "threshold-not-met");
    let both = json["evidence"].as_array().unwrap();
    assert!(both.iter().all(|e| e["verified"] == true), "{out}");
}

#[test]
fn a_key_that_the_policy_does_not_know() {
    let scratch = signed_blob("p256-b");
    policy(&scratch, "one", &["p256"], "");
    let args = ["app.bin", "--policy", "one.yaml"];
    denied(&verify(&scratch, &args), "key-not-trusted");
    // Without the hint it is tried, and does not hold.
    edit(&scratch, BUNDLE, |json| {
        json["verificationMaterial"]["publicKey"] = json!({});
    });
    denied(&verify(&scratch, &args), "signature-invalid");
}

#[test]
fn a_key_of_the_policy_that_does_not_sign_for_this() {
    let scratch = signed_blob("p256-b");
    policy(
        &scratch,
        "one",
        &["p256", "p256-b"],
        "signatures: { from: [p256] }",
    );
    let json = denied(
        &verify(&scratch, &["app.bin", "--policy", "one.yaml"]),
        "key-not-trusted",
    );
    assert_eq!(json["evidence"][0]["verified"], true);
}

#[test]
fn the_same_key_twice_is_one_for_a_threshold() {
    let scratch = signed_blob("p256");
    sign_again(&scratch, "p256", "second.json");
    policy(
        &scratch,
        "two",
        &["p256", "p256-b"],
        "signatures: { from: [p256, p256-b], threshold: 2 }",
    );
    let two = ["app.bin", "--policy", "two.yaml", "--bundle", BUNDLE];
    denied(
        &verify(&scratch, &[&two[..], &["--bundle", "second.json"]].concat()),
        "threshold-not-met",
    );
    // The same file twice, too.
    denied(
        &verify(&scratch, &[&two[..], &["--bundle", BUNDLE]].concat()),
        "threshold-not-met",
    );
    // And two that are two are enough.
    sign_again(&scratch, "p256-b", "third.json");
    allowed(&verify(
        &scratch,
        &[&two[..], &["--bundle", "third.json"]].concat(),
    ));
}

fn sign_again(scratch: &crate::harness::Scratch, key: &str, output: &str) {
    let args = ["sign", "app.bin", "--output", output, "--key"];
    scratch.obreia().args(args).arg(private(key)).run().ok();
}

#[test]
fn one_key_under_two_names_and_encodings_is_one() {
    let scratch = signed_blob("p256");
    let plain = std::fs::read_to_string(public("p256")).unwrap();
    let compressed = std::fs::read_to_string(public("p256.compressed")).unwrap();
    let indent = |pem: &str| pem.trim().replace('\n', "\n            ");
    scratch.write(
        "twice.yaml",
        format!(
            "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: twice }}\nspec:\n  match: [{{ name: \"**\" }}]\n  authorities:\n    - name: a\n      keys:\n        - id: first\n          pem: |\n            {}\n    - name: b\n      keys:\n        - id: second\n          pem: |\n            {}\n  signatures: {{ from: [a, b], threshold: 2 }}\n",
            indent(&plain),
            indent(&compressed),
        ),
    );
    let out = verify(&scratch, &["app.bin", "--policy", "twice.yaml"]);
    refused(&out, 3, &["threshold", "1"]);
}

#[test]
fn a_retired_version_is_told_as_such() {
    let scratch = signed_blob("p256");
    let pem = |name: &str| {
        let pem = std::fs::read_to_string(public(name)).unwrap();
        pem.trim().replace('\n', "\n            ")
    };
    scratch.write(
        "retired.yaml",
        format!(
            "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: retired }}\nspec:\n  match: [{{ name: \"**\" }}]\n  authorities:\n    - name: a\n      keys:\n        - id: k\n          version: 1\n          state: retired\n          pem: |\n            {}\n        - id: k\n          version: 2\n          state: active\n          pem: |\n            {}\n",
            pem("p256"),
            pem("p256-b"),
        ),
    );
    let args = ["app.bin", "--policy", "retired.yaml"];
    denied(&verify(&scratch, &args), "key-revoked");
    // And without a hint, where every key is tried.
    edit(&scratch, BUNDLE, |json| {
        json["verificationMaterial"]["publicKey"] = json!({});
    });
    denied(&verify(&scratch, &args), "key-revoked");
    // A signature that is not even the retired key's is simply invalid.
    scratch.write("app.bin", "changed");
    edit(&scratch, BUNDLE, |json| {
        json["messageSignature"]["messageDigest"] = json!(null);
    });
    denied(&verify(&scratch, &args), "signature-invalid");
}

#[test]
fn a_foreign_ed25519_message_signature_over_more_than_64_mib() {
    let scratch = blob();
    let forger = Forger::of("ed25519");
    scratch.write("b.json", forger.message(&scratch.read("app.bin")));
    let key = public("ed25519");
    let args = ["app.bin", "--key", &key, "--bundle", "b.json"];
    allowed(&verify(&scratch, &args));

    let path = scratch.write("app.bin", "");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let json = denied(&verify(&scratch, &args), "message-too-large");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("67108864"), "{detail}");
    // Ours of the same file is a statement about its digest.
    sign(&scratch, "app.bin", "ed25519");
    allowed(&with_key(&scratch, "app.bin", "ed25519"));
}

#[test]
fn an_ed25519_message_signature_needs_the_bytes() {
    let scratch = blob();
    let bytes = scratch.read("app.bin");
    scratch.write("b.json", Forger::of("ed25519").message(&bytes));
    let digest = obreia::crypto::sha256(&bytes).to_string();
    let key = public("ed25519");
    let args = [&digest, "--key", &key, "--bundle", "b.json"];
    denied(&verify(&scratch, &args), "scheme-mismatch");
}

#[test]
fn an_envelopes_signature_is_none_over_a_file_of_its_signed_form() {
    // A file that holds what was signed for an attestation, with that signature beside it.
    let scratch = blob();
    let forger = Forger::of("p256");
    let signed = obreia::dsse::pae(obreia::dsse::IN_TOTO, b"{\"some\": \"statement\"}");
    scratch.write("app.bin", &signed);
    scratch.write("b.json", forger.message(&signed));
    scratch.write("raw.sig", forger.raw(&signed));
    let key = public("p256");
    for evidence in [["--bundle", "b.json"], ["--signature", "raw.sig"]] {
        let args = ["app.bin", "--key", &key];
        let out = verify(&scratch, &[&args[..], &evidence].concat());
        denied(&out, "format-not-allowed");
    }
    let sign = ["sign", "app.bin", "--key", &private("p256")];
    let out = scratch.obreia().args(sign).run();
    assert_ne!(out.code, Some(0), "{out}");
    assert!(!scratch.join(BUNDLE).exists());
}
