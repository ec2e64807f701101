//! Bad input: bundles.

use obreia::crypto::sha256;
use obreia::digest::Digest;
use serde_json::{Value, json};

use super::forge::Forger;
use super::{allowed, blob, denied, edit, public, refused, signed_blob, verify, with_key};
use crate::harness::{Output, Scratch};

const BUNDLE: &str = "app.bin.sigstore.json";

/// Verifies with the bundle named, as a user does who was handed one.
fn with_bundle(scratch: &Scratch, bundle: &str) -> Output {
    let key = public("p256");
    verify(scratch, &["app.bin", "--key", &key, "--bundle", bundle])
}

#[test]
fn truncated_json() {
    let scratch = signed_blob("p256");
    let whole = scratch.read(BUNDLE);
    for keep in [0, 1, whole.len() / 2, whole.len() - 1] {
        scratch.write("cut.json", &whole[..keep]);
        let json = denied(&with_bundle(&scratch, "cut.json"), "bundle-malformed");
        let detail = json["reasons"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("cut.json: "), "{detail}");
    }
    // Where `sign` puts it, a broken one is no signature, and said to be broken.
    scratch.write(BUNDLE, &whole[..whole.len() - 1]);
    denied(&with_key(&scratch, "app.bin", "p256"), "bundle-malformed");
}

#[test]
fn oversized_json_and_the_limit_is_stated() {
    let scratch = blob();
    for place in ["huge.json", BUNDLE] {
        let path = scratch.write(place, "{");
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len((32 << 20) + 1).unwrap();
    }
    let json = denied(&with_bundle(&scratch, "huge.json"), "bundle-malformed");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("33554432 bytes"), "{detail}");
    denied(&with_key(&scratch, "app.bin", "p256"), "bundle-malformed");
}

#[test]
fn deeply_nested_json_and_the_limit_is_stated() {
    let scratch = blob();
    for depth in [97, 200_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        scratch.write("deep.json", nested);
        let json = denied(&with_bundle(&scratch, "deep.json"), "bundle-malformed");
        let detail = json["reasons"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("96"), "{detail}");
    }
}

#[test]
fn a_key_twice_in_json() {
    let scratch = signed_blob("p256");
    let text = scratch.read_text(BUNDLE);
    let doubled = text.replacen('{', "{\"mediaType\": \"x\",", 1);
    scratch.write("twice.json", doubled);
    let json = denied(&with_bundle(&scratch, "twice.json"), "bundle-malformed");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("mediaType"), "{detail}");
}

#[test]
fn a_key_twice_in_a_signed_statement() {
    let scratch = blob();
    let digest = sha256(&scratch.read("app.bin")).hex();
    let payload = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}},"subject":[{{"digest":{{"sha256":"{digest}"}}}}],"subject":[{{"digest":{{"sha256":"{digest}"}}}}]}}"#
    );
    let bundle = Forger::of("p256").envelope("application/vnd.in-toto+json", payload.as_bytes());
    scratch.write("b.json", bundle);
    denied(&with_bundle(&scratch, "b.json"), "statement-malformed");
}

#[test]
fn a_bundle_of_another_artifact() {
    let scratch = signed_blob("p256");
    scratch.write("other.bin", "another application\n");
    let key = public("p256");
    let args = ["other.bin", "--key", &key, "--bundle", BUNDLE];
    denied(&verify(&scratch, &args), "digest-mismatch");
    // The same in an envelope.
    let bundle = Forger::of("p256").about(
        b"something else",
        "https://sigstore.dev/cosign/sign/v1",
        &json!({}),
    );
    scratch.write("b.json", bundle);
    denied(&with_bundle(&scratch, "b.json"), "digest-mismatch");
}

#[test]
fn two_signatures_in_one_dsse() {
    let scratch = blob();
    let bytes = scratch.read("app.bin");
    let bundle =
        Forger::of("p256").about(&bytes, "https://sigstore.dev/cosign/sign/v1", &json!({}));
    scratch.write("b.json", bundle);
    allowed(&with_bundle(&scratch, "b.json"));
    edit(&scratch, "b.json", |json| {
        let signatures = json["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    });
    let json = denied(&with_bundle(&scratch, "b.json"), "bundle-malformed");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("2 signatures"), "{detail}");
}

#[test]
fn no_signature_in_a_dsse_and_both_contents_at_once() {
    let scratch = signed_blob("p256");
    let message: Value = serde_json::from_slice(&scratch.read(BUNDLE)).unwrap();
    let bytes = scratch.read("app.bin");
    let bundle =
        Forger::of("p256").about(&bytes, "https://sigstore.dev/cosign/sign/v1", &json!({}));
    scratch.write("b.json", &bundle);
    edit(&scratch, "b.json", |json| {
        json["dsseEnvelope"]["signatures"] = json!([]);
    });
    denied(&with_bundle(&scratch, "b.json"), "bundle-malformed");
    scratch.write("b.json", &bundle);
    edit(&scratch, "b.json", |json| {
        json["messageSignature"] = message["messageSignature"].clone();
    });
    denied(&with_bundle(&scratch, "b.json"), "bundle-malformed");
}

#[test]
fn a_wrong_payload_type_that_was_signed() {
    let scratch = blob();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": sha256(&scratch.read("app.bin")).hex()}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    });
    let bundle = Forger::of("p256").envelope("application/json", statement.to_string().as_bytes());
    scratch.write("b.json", bundle);
    denied(&with_bundle(&scratch, "b.json"), "payload-type");
}

#[test]
fn a_payload_type_changed_after_signing() {
    let scratch = blob();
    let bytes = scratch.read("app.bin");
    let forger = Forger::of("p256");
    let bundle = forger.about(&bytes, "https://sigstore.dev/cosign/sign/v1", &json!({}));
    scratch.write("b.json", bundle);
    edit(&scratch, "b.json", |json| {
        json["dsseEnvelope"]["payloadType"] = json!("application/json");
    });
    denied(&with_bundle(&scratch, "b.json"), "signature-invalid");
}

#[test]
fn a_payload_changed_after_signing() {
    let scratch = blob();
    let forger = Forger::of("p256");
    let ours = forger.about(
        b"another",
        "https://sigstore.dev/cosign/sign/v1",
        &json!({}),
    );
    let theirs = forger.about(
        &scratch.read("app.bin"),
        "https://sigstore.dev/cosign/sign/v1",
        &json!({}),
    );
    let theirs: Value = serde_json::from_slice(&theirs).unwrap();
    scratch.write("b.json", ours);
    edit(&scratch, "b.json", |json| {
        json["dsseEnvelope"]["payload"] = theirs["dsseEnvelope"]["payload"].clone();
    });
    denied(&with_bundle(&scratch, "b.json"), "signature-invalid");
}

#[test]
fn a_message_digest_that_lies() {
    let scratch = blob();
    let bytes = scratch.read("app.bin");
    let lie = sha256(b"something else");
    let bundle = Forger::of("p256").stating(&bytes, Some(lie));
    scratch.write("b.json", bundle);
    denied(&with_bundle(&scratch, "b.json"), "message-digest-mismatch");
    // A digest of an algorithm that the signature does not use may lie no more than that.
    let lie = Digest::from_hex("sha512", &"ab".repeat(64)).unwrap();
    let bundle = Forger::of("p256").stating(&bytes, Some(lie));
    scratch.write("b.json", bundle);
    denied(&with_bundle(&scratch, "b.json"), "message-digest-mismatch");
    // None at all is fine: it is a hint.
    scratch.write("b.json", Forger::of("p256").stating(&bytes, None));
    allowed(&with_bundle(&scratch, "b.json"));
}

#[test]
fn a_digest_of_the_wrong_length() {
    let scratch = signed_blob("p256");
    scratch.write("b.json", scratch.read(BUNDLE));
    edit(&scratch, "b.json", |json| {
        json["messageSignature"]["messageDigest"]["digest"] = json!("AAAA");
    });
    denied(&with_bundle(&scratch, "b.json"), "bundle-malformed");
    let bundle = Forger::of("p256").statement(&json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": "abcd"}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }));
    scratch.write("b.json", bundle);
    denied(&with_bundle(&scratch, "b.json"), "statement-malformed");
    let key = public("p256");
    let out = verify(
        &scratch,
        &["sha256:abcd", "--bundle", BUNDLE, "--key", &key],
    );
    refused(&out, 2, &["abcd"]);
}

#[test]
fn a_certificate_is_not_verified_and_said_so() {
    let scratch = signed_blob("p256");
    edit(&scratch, BUNDLE, |json| {
        json["verificationMaterial"] = json!({"certificate": {"rawBytes": "MAA="}});
    });
    denied(&with_key(&scratch, "app.bin", "p256"), "format-not-allowed");
}

#[test]
fn what_is_named_must_be_there() {
    let scratch = blob();
    refused(&with_bundle(&scratch, "absent.json"), 2, &["absent.json"]);
    std::fs::create_dir(scratch.join("folder")).unwrap();
    refused(&with_bundle(&scratch, "folder"), 2, &["not a regular file"]);
}

#[test]
fn a_statement_without_subject_or_of_another_type() {
    let scratch = blob();
    for (key, value) in [
        ("subject", json!([])),
        ("subject", json!([{"name": "app.bin"}])),
        ("_type", json!("https://in-toto.io/Statement/v9")),
        ("predicateType", json!("")),
        ("extra", json!(1)),
    ] {
        let mut statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": sha256(&scratch.read("app.bin")).hex()}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        statement[key] = value;
        scratch.write("b.json", Forger::of("p256").statement(&statement));
        denied(&with_bundle(&scratch, "b.json"), "statement-malformed");
    }
}

#[test]
fn a_subject_with_one_right_and_one_wrong_digest() {
    let scratch = signed_blob("p256");
    let bytes = scratch.read("app.bin");
    let right = sha256(&bytes).hex();
    let about = |scratch: &Scratch, digests: serde_json::Value| {
        let bundle = Forger::of("p256").statement(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": digests}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        }));
        scratch.write("b.json", bundle);
    };
    let commit = "0000000000000000000000000000000000000000";
    about(
        &scratch,
        json!({"sha256": sha256(b"something else").hex(), "gitCommit": commit}),
    );
    denied(&with_bundle(&scratch, "b.json"), "digest-mismatch");
    // SHA-512 is looked at where somebody, whoever that is, states one.
    about(
        &scratch,
        json!({"sha256": right, "sha512": "00".repeat(64)}),
    );
    super::allowed(&with_bundle(&scratch, "b.json"));
    let stated = format!("sha512:{}", "11".repeat(64)).parse().unwrap();
    let stranger = Forger::of("p384").stating(&bytes, Some(stated));
    scratch.write("c.json", stranger);
    let key = public("p256");
    let args = [
        "app.bin", "--key", &key, "--bundle", "b.json", "--bundle", "c.json",
    ];
    denied(&super::verify(&scratch, &args), "digest-mismatch");
}
