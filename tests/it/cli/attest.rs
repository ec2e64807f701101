//! `obreia attest`: a statement that is what its type says it is, or none.

use serde_json::json;

use super::forge::Forger;
use super::{allowed, blob, denied, edit, model, policy, private, public, refused, sign, verify};
use crate::harness::{Output, Scratch};

const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

fn attest(scratch: &Scratch, artifact: &str, kind: &str, predicate: &str, more: &[&str]) -> Output {
    scratch
        .obreia()
        .args(["attest", artifact, "--type", kind, "--predicate", predicate])
        .args(["--key", &private("p256")])
        .args(more)
        .run()
}

/// A policy that asks for an attestation of that type by `p256`, and no signature.
fn wants(scratch: &Scratch, kind: &str) -> Output {
    policy(
        scratch,
        "p",
        &["p256"],
        &format!(
            "signatures: {{ threshold: 0 }}\nattestations: [{{ type: \"{kind}\", from: [p256] }}]"
        ),
    );
    verify(scratch, &["app.bin", "--policy", "p.yaml"])
}

#[test]
fn of_a_known_type_and_of_ones_own() {
    let scratch = blob();
    scratch.write("p.json", "{\"score\": 1}");
    attest(&scratch, "app.bin", "custom", "p.json", &[]).ok();
    attest(
        &scratch,
        "app.bin",
        "https://example.com/eval/v1",
        "p.json",
        &[],
    )
    .ok();
    allowed(&wants(&scratch, "custom"));
    allowed(&wants(&scratch, "https://example.com/eval/v1"));
    denied(
        &wants(&scratch, "https://example.com/eval/v2"),
        "no-attestation",
    );
    denied(&wants(&scratch, "slsaprovenance1"), "no-attestation");
    // An attestation approves nothing.
    let out = verify(&scratch, &["app.bin", "--key", &public("p256")]);
    denied(&out, "no-signature");
}

#[test]
fn a_predicate_that_breaks_its_type_is_refused_with_the_path() {
    let scratch = blob();
    scratch.write("p.json", "{\"buildDefinition\": {\"buildType\": 7}}");
    let out = attest(&scratch, "app.bin", "slsaprovenance1", "p.json", &[]);
    refused(&out, 2, &["p.json", "/buildDefinition/buildType"]);
    scratch.write(
        "p.json",
        "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", \"components\": [{}]}",
    );
    let out = attest(&scratch, "app.bin", "cyclonedx", "p.json", &[]);
    refused(&out, 2, &["/components/0"]);
    for text in ["{", "{\"a\": 1, \"a\": 2}", "[]"] {
        scratch.write("p.json", text);
        refused(
            &attest(&scratch, "app.bin", "custom", "p.json", &[]),
            2,
            &["p.json"],
        );
    }
    assert_eq!(scratch.files(), ["app.bin", "p.json"]);
}

#[test]
fn unknown_types_and_signature_types_are_refused() {
    let scratch = blob();
    scratch.write("p.json", "{}");
    let out = attest(&scratch, "app.bin", "slsaprovenence1", "p.json", &[]);
    refused(&out, 2, &["slsaprovenence1", "slsaprovenance1", "a URI"]);
    for kind in [
        "https://sigstore.dev/cosign/sign/v1",
        "https://model_signing/signature/v1.0",
    ] {
        let out = attest(&scratch, "app.bin", kind, "p.json", &[]);
        refused(&out, 2, &["is a signature", "obreia sign"]);
    }
    assert_eq!(scratch.files(), ["app.bin", "p.json"]);
}

#[test]
fn about_a_digest_without_the_bytes() {
    let scratch = blob();
    scratch.write("p.json", "{}");
    let digest = obreia::crypto::sha256(&scratch.read("app.bin")).to_string();
    let out = attest(&scratch, &digest, "custom", "p.json", &[]);
    refused(&out, 2, &["--output"]);
    attest(
        &scratch,
        &digest,
        "custom",
        "p.json",
        &["--output", "a.json"],
    )
    .ok();
    policy(
        &scratch,
        "p",
        &["p256"],
        "signatures: { threshold: 0 }\nattestations: [{ type: custom, from: [p256] }]",
    );
    for artifact in ["app.bin", &digest] {
        let args = [artifact, "--policy", "p.yaml", "--bundle", "a.json"];
        allowed(&verify(&scratch, &args));
    }
}

#[test]
fn about_a_model_it_is_about_names_and_contents() {
    let scratch = model();
    scratch.write("p.json", "{}");
    let out = attest(&scratch, "m", "custom", "p.json", &[]);
    out.ok().stdout_has("dirHash:");
    sign(&scratch, "m", "p256");
    policy(
        &scratch,
        "p",
        &["p256"],
        "attestations: [{ type: custom, from: [p256] }]",
    );
    allowed(&verify(&scratch, &["m", "--policy", "p.yaml"]));
    std::fs::rename(scratch.join("m/config.json"), scratch.join("m/c.json")).unwrap();
    let args = ["sign", "m", "--force", "--key", &private("p256")];
    scratch.obreia().args(args).run().ok();
    let out = verify(&scratch, &["m", "--policy", "p.yaml"]);
    denied(&out, "digest-mismatch");
}

#[test]
fn a_signed_predicate_that_breaks_its_type_does_not_count() {
    let scratch = blob();
    let bytes = scratch.read("app.bin");
    let bad = Forger::of("p256").about(&bytes, VULN, &json!({"scanner": 7}));
    scratch.write("app.bin.vuln.sigstore.json", bad);
    let out = wants(&scratch, "vuln");
    let json = denied(&out, "predicate-invalid");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("/scanner"), "{detail}");
}

#[test]
fn by_another_key_it_does_not_count() {
    let scratch = blob();
    scratch.write("p.json", "{}");
    attest(&scratch, "app.bin", "custom", "p.json", &[]).ok();
    policy(
        &scratch,
        "p",
        &["p256", "p384"],
        "signatures: { threshold: 0 }\nattestations: [{ type: custom, from: [p384] }]",
    );
    let out = verify(&scratch, &["app.bin", "--policy", "p.yaml"]);
    denied(&out, "key-not-trusted");
}

#[test]
fn an_age_needs_a_trusted_time() {
    let scratch = blob();
    scratch.write("p.json", "{}");
    attest(&scratch, "app.bin", "custom", "p.json", &[]).ok();
    policy(
        &scratch,
        "p",
        &["p256"],
        "signatures: { threshold: 0 }\nattestations: [{ type: custom, from: [p256], maxAge: 30d }]",
    );
    let out = verify(&scratch, &["app.bin", "--policy", "p.yaml"]);
    denied(&out, "time-untrusted");
    sign(&scratch, "app.bin", "p256");
    policy(&scratch, "q", &["p256"], "time: { require: signed }");
    let out = verify(&scratch, &["app.bin", "--policy", "q.yaml"]);
    denied(&out, "time-untrusted");
    // A date that the signer wrote himself does not count.
    edit(&scratch, "app.bin.sigstore.json", |json| {
        json["verificationMaterial"]["tlogEntries"] = json!([{"integratedTime": "1700000000"}]);
    });
    let out = verify(&scratch, &["app.bin", "--policy", "q.yaml"]);
    denied(&out, "time-untrusted");
}

#[test]
fn an_attestation_that_is_there_is_not_replaced_unless_forced() {
    let scratch = blob();
    scratch.write("p.json", "{}");
    attest(&scratch, "app.bin", "custom", "p.json", &[]).ok();
    scratch.write("p.json", "{\"a\": 1}");
    refused(
        &attest(&scratch, "app.bin", "custom", "p.json", &[]),
        2,
        &["holds another bundle"],
    );
    attest(&scratch, "app.bin", "custom", "p.json", &["--force"]).ok();
    allowed(&wants(&scratch, "custom"));
}
