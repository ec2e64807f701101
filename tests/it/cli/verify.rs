//! `obreia verify`: the verdict, and how it explains itself.

use super::forge::Forger;
use super::{
    allowed, blob, codes, denied, edit, policy, public, refused, signed_blob, signed_model, verify,
    with_key,
};
use crate::harness::Normaliser;

#[test]
fn the_verdict_as_json() {
    let scratch = signed_blob("p256");
    policy(&scratch, "p", &["p256"], "");
    let normal = Normaliser::new(&scratch).replace(
        public("p256").rsplit_once('/').unwrap().0.to_owned(),
        "[KEYS]",
    );
    let at = ["--at", "2026-11-21T12:00:00Z"];
    let out = verify(
        &scratch,
        &[&["app.bin", "--policy", "p.yaml"], &at[..]].concat(),
    );
    insta::assert_snapshot!("verdict_allowed", normal.text(&out.ok().stdout));
    scratch.write("app.bin", "changed\n");
    let args = ["app.bin", "--key", &public("p256")];
    let out = verify(&scratch, &[&args, &at[..]].concat());
    insta::assert_snapshot!("verdict_denied", normal.text(&out.expect_code(1).stdout));
}

#[test]
fn the_verdict_as_a_tree_with_the_nearest_miss() {
    let scratch = signed_blob("p256-b");
    let normal = Normaliser::new(&scratch).replace(
        public("p256").rsplit_once('/').unwrap().0.to_owned(),
        "[KEYS]",
    );
    let args = ["verify", "app.bin", "--explain", "--key", &public("p256")];
    let out = scratch.obreia().args(args).run();
    insta::assert_snapshot!("explain_other_key", normal.output(out.expect_code(1)));
    // The right key, other bytes: the signature is fine and the artifact is not.
    let scratch = signed_blob("p256");
    scratch.write("app.bin", "changed\n");
    let args = ["verify", "app.bin", "--explain", "--key", &public("p256")];
    let out = scratch.obreia().args(args).run();
    out.expect_code(1)
        .stdout_has("near miss: the signature itself is valid: it belongs to other bytes");
    // Without --explain the near misses stay out.
    let args = ["verify", "app.bin", "--key", &public("p256")];
    scratch.obreia().args(args).run().stdout_lacks("near miss");
    // A model tells the file.
    let scratch = signed_model();
    scratch.write("m/config.json", "{}");
    let args = ["verify", "m", "--explain", "--key", &public("p256")];
    let out = scratch.obreia().args(args).run();
    out.expect_code(1)
        .stdout_has("changed since it was signed: \"config.json\"");
}

#[test]
fn a_digest_without_the_bytes() {
    let scratch = signed_blob("p256");
    let digest = obreia::crypto::sha256(&scratch.read("app.bin")).to_string();
    let key = public("p256");
    let bundle = ["--bundle", "app.bin.sigstore.json", "--key", &key];
    let json = allowed(&verify(
        &scratch,
        &[&[digest.as_str()], &bundle[..]].concat(),
    ));
    assert_eq!(json["artifact"]["read_as"], "digest");
    let other = obreia::crypto::sha256(b"other").to_string();
    denied(
        &verify(&scratch, &[&[other.as_str()], &bundle[..]].concat()),
        "digest-mismatch",
    );
    // Without a bundle there is nowhere to look.
    denied(&verify(&scratch, &[&digest, "--key", &key]), "no-signature");
    // Under a P-384 key the SHA-256 is of no use.
    let scratch = signed_blob("p384");
    let key = public("p384");
    let args = [&digest, "--key", &key, "--bundle", "app.bin.sigstore.json"];
    denied(&verify(&scratch, &args), "scheme-mismatch");
}

#[test]
fn a_bare_signature() {
    use base64::Engine as _;

    for key in ["p256", "p384", "ed25519", "rsa2048"] {
        let scratch = blob();
        let raw = Forger::of(key).raw(&scratch.read("app.bin"));
        scratch.write("app.sig", &raw);
        let text = base64::engine::general_purpose::STANDARD.encode(&raw);
        scratch.write("app.sig.b64", format!("{text}\n"));
        let public = public(key);
        for signature in ["app.sig", "app.sig.b64"] {
            let args = ["app.bin", "--key", &public, "--signature", signature];
            allowed(&verify(&scratch, &args));
        }
        scratch.write("app.bin", "changed");
        let args = ["app.bin", "--key", &public, "--signature", "app.sig"];
        denied(&verify(&scratch, &args), "signature-invalid");
        scratch.write("app.sig", "");
        verify(&scratch, &args).expect_code(1);
    }
    // A policy accepts one only where it says so.
    let scratch = blob();
    scratch.write("app.sig", Forger::of("p256").raw(&scratch.read("app.bin")));
    policy(&scratch, "p", &["p256"], "");
    policy(
        &scratch,
        "raw",
        &["p256"],
        "signatures: { from: [p256], formats: [raw] }",
    );
    let args = ["app.bin", "--signature", "app.sig", "--policy"];
    denied(
        &verify(&scratch, &[&args[..], &["p.yaml"]].concat()),
        "format-not-allowed",
    );
    allowed(&verify(&scratch, &[&args[..], &["raw.yaml"]].concat()));
}

#[test]
fn the_time_that_is_decided_for_is_shown() {
    let scratch = signed_blob("p256");
    let args = [
        "app.bin",
        "--key",
        &public("p256"),
        "--at",
        "2030-01-02T03:04:05Z",
    ];
    let json = allowed(&verify(&scratch, &args));
    assert_eq!(json["checked_at"], "2030-01-02T03:04:05Z");
    for bad in ["tomorrow", "2030-01-02", "2030-01-02T03:04:05"] {
        let args = ["app.bin", "--key", &public("p256"), "--at", bad];
        refused(&verify(&scratch, &args), 2, &[bad]);
    }
}

#[test]
fn a_question_without_an_authority_is_no_question() {
    let scratch = signed_blob("p256");
    refused(&verify(&scratch, &["app.bin"]), 2, &["--policy", "--key"]);
    let key = public("p256");
    let out = verify(&scratch, &["app.bin", "--key", &key, "--policy", "p.yaml"]);
    refused(&out, 2, &["cannot be used with"]);
    refused(
        &verify(&scratch, &["app.bin", "--policy", "absent.yaml"]),
        3,
        &["absent.yaml"],
    );
    let out = verify(
        &scratch,
        &["app.bin", "--key", &key, "--stage", "production"],
    );
    refused(
        &out,
        2,
        &["promotion, startup, admission, gateway or manual"],
    );
}

#[test]
fn every_policy_that_matches_must_pass() {
    let scratch = signed_blob("p256");
    policy(&scratch, "a", &["p256"], "");
    policy(&scratch, "b", &["p384"], "");
    let out = verify(
        &scratch,
        &["app.bin", "--policy", "a.yaml", "--policy", "b.yaml"],
    );
    let json = denied(&out, "key-not-trusted");
    assert_eq!(json["reasons"][0]["policy"], "b");
    assert_eq!(json["policy"].as_array().unwrap().len(), 2);
    let out = verify(
        &scratch,
        &["app.bin", "--policy", "a.yaml", "--policy", "a.yaml"],
    );
    refused(&out, 3, &["a"]);
}

#[test]
fn a_broken_neighbour_changes_nothing() {
    let scratch = signed_blob("p256");
    scratch.write("app.bin.other.sigstore.json", "{");
    let json = allowed(&with_key(&scratch, "app.bin", "p256"));
    assert_eq!(codes(&json, "notes"), ["evidence-ignored"]);
    // Named by the user it is not passed over.
    let key = public("p256");
    let args = [
        "app.bin",
        "--key",
        &key,
        "--bundle",
        "app.bin.sigstore.json",
        "--bundle",
        "app.bin.other.sigstore.json",
    ];
    denied(&verify(&scratch, &args), "bundle-malformed");
}

#[test]
fn an_unsigned_artifact() {
    let scratch = blob();
    let out = with_key(&scratch, "app.bin", "p256");
    denied(&out, "no-signature");
    let args = ["verify", "app.bin", "--key", &public("p256")];
    let out = scratch.obreia().args(args).run();
    out.expect_code(1)
        .stdout_has("DENIED blob app.bin (file)")
        .stdout_has("└─ evidence: none found");
}

#[test]
fn sboms_are_known_by_their_content() {
    let scratch = blob();
    scratch.write(
        "app.bin",
        "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", \"version\": 1}",
    );
    super::sign(&scratch, "app.bin", "p256");
    let json = allowed(&with_key(&scratch, "app.bin", "p256"));
    assert_eq!(json["artifact"]["kind"], "sbom");
    // A file that calls itself an SBOM is still a blob, so a policy for blobs speaks.
    policy(&scratch, "p", &["p384"], "");
    let text = scratch
        .read_text("p.yaml")
        .replace("name: \"**\"", "kind: blob, name: \"**\"");
    scratch.write("p.yaml", text);
    let out = verify(&scratch, &["app.bin", "--policy", "p.yaml"]);
    denied(&out, "key-not-trusted");
}

#[test]
fn evidence_is_believed_about_nothing_but_itself() {
    // A hint, a name or a keyid that says "trusted" is text.
    let scratch = signed_blob("p256-b");
    edit(&scratch, "app.bin.sigstore.json", |json| {
        json["verificationMaterial"]["publicKey"]["hint"] = "p256".into();
    });
    denied(&with_key(&scratch, "app.bin", "p256"), "signature-invalid");
    let pem = std::fs::read_to_string(public("p256-b")).unwrap();
    edit(&scratch, "app.bin.sigstore.json", |json| {
        json["verificationMaterial"]["publicKey"]["rawBytes"] = pem.into();
    });
    with_key(&scratch, "app.bin", "p256").expect_code(1);
}
