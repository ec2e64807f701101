//! Whose certificates count, and where that is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Case, DURING, FORMAT, ROOTS};
use crate::cli::{allowed, denied, public, refused};
use crate::harness::notary::{Draft, For, params, unstamped};

#[test]
fn it_counts_where_its_format_and_a_certificate_are_named() {
    let case = Case::new();
    case.refer(&case.draft().jws(&case.signer, unstamped));
    let key = case.verify(&["--key", &public("p256")]);
    denied(&key, "format-not-allowed");
    denied(&case.under(DURING, ROOTS, ""), "format-not-allowed");
    allowed(&case.under(DURING, ROOTS, FORMAT));
    // One signer is one, however often he signs.
    let two = "signatures: { formats: [notation], threshold: 2 }";
    case.refer(&case.draft().cose(&case.signer, unstamped));
    denied(&case.under(DURING, ROOTS, two), "threshold-not-met");
    let other = case.middle.issue(params("reviewer", For::Code));
    let chain = [&other, &case.middle, &case.root];
    case.refer(&Draft::about(json!(case.image()), &chain).jws(&other, unstamped));
    allowed(&case.under(DURING, ROOTS, two));
}

/// Which certificates stand beside a signature is not signed.
#[test]
fn one_signature_counts_once_under_two_certificates_of_its_key() {
    let case = Case::new();
    let two = "signatures: { formats: [notation], threshold: 2 }";
    let envelope = case.draft().jws(&case.signer, unstamped);
    case.refer(&envelope);
    let again = case
        .middle
        .issue_again(params("other name", For::Code), &case.signer);
    let mut changed: Value = serde_json::from_slice(&envelope).unwrap();
    changed["header"]["x5c"][0] = STANDARD.encode(&again.der).into();
    case.refer(changed.to_string().as_bytes());
    let said = denied(&case.under(DURING, ROOTS, two), "threshold-not-met");
    let verified = said["evidence"].as_array().unwrap().iter();
    assert_eq!(
        verified.filter(|e| e["verified"] == true).count(),
        2,
        "{said}"
    );
    // Rules count the same.
    case.scratch.write(
        "r.rego",
        "package obreia\n\nallow if {\n\tcount(input.signatures) == 2\n\t\
         count({s.key.id | some s in input.signatures}) == 1\n}\n",
    );
    allowed(&case.under(DURING, ROOTS, &format!("{FORMAT}\nrules: r.rego")));
}

/// By certificate or not: what the policy has retired signs no more.
#[test]
fn a_key_that_is_retired_does_not_sign_by_certificate() {
    let case = Case::new();
    case.refer(&case.draft().cose(&case.signer, unstamped));
    let under = |states: &[&str]| {
        let pem = case.signer.compressed_pem().replace('\n', "\n            ");
        let mut text = "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: { name: p }\n\
                        spec:\n  match: [{ name: \"**\" }]\n  authorities:\n"
            .to_owned();
        for (i, state) in states.iter().enumerate() {
            text.push_str(&format!(
                "    - name: k{i}\n      keys:\n        - state: {state}\n          \
                 pem: |\n            {}\n",
                pem.trim_end()
            ));
        }
        text.push_str(&format!(
            "    - name: acme\n      certificates: {{ {ROOTS} }}\n  {FORMAT}\n"
        ));
        case.scratch.write("p.yaml", text);
        case.verify(&["--policy", "p.yaml", "--at", DURING])
    };
    denied(&under(&["retired"]), "key-revoked");
    allowed(&under(&["verify-only"]));
    // One word that it verifies is enough, as for signatures by keys.
    allowed(&under(&["retired", "active"]));
}

#[test]
fn what_a_signer_noted_binds() {
    let case = Case::new();
    let mut draft = case.draft();
    draft.payload["targetArtifact"]["annotations"] = json!({"stage": "prod"});
    case.refer(&draft.jws(&case.signer, unstamped));
    let bound = |stage: &str| {
        let more = format!("{FORMAT}\nbinding: {{ from: [acme], stage: {stage} }}");
        case.under(DURING, ROOTS, &more)
    };
    allowed(&bound("prod"));
    denied(&bound("dev"), "binding-missing");
}

#[test]
fn a_locked_policy_holds_its_certificates_and_stays_the_same() {
    let case = Case::new();
    case.refer(&case.draft().jws(&case.signer, unstamped));
    case.scratch.write("store/root.crt", &case.root.der);
    case.scratch.write("store/README", "no certificate");
    case.scratch.write("store/more/x.pem", "is not looked at");
    let policy = case.policy(
        "roots: [store], subjects: [\"C=US, ST=WA, O=acme\"]",
        FORMAT,
    );
    let args = ["--policy", "p.yaml", "--at", DURING];
    let before = allowed(&case.verify(&args));
    let lock = ["policy", "lock", "p.yaml"];
    case.scratch.obreia().args(lock).run().ok();
    std::fs::remove_dir_all(case.scratch.path().join("store")).unwrap();
    let locked = ["--policy", "p.locked.yaml", "--at", DURING];
    let after = allowed(&case.verify(&locked));
    assert_eq!(before["policy"], after["policy"]);
    refused(
        &case.verify(&args),
        3,
        &["cannot read trusted certificates", "store"],
    );
    assert!(policy.exists());
}

#[test]
fn what_cannot_be_trusted_as_a_root_is_refused() {
    let case = Case::new();
    case.refer(&case.draft().jws(&case.signer, unstamped));
    case.scratch.write("leaf.pem", case.signer.pem());
    case.scratch
        .write("key.pem", case.root.pem() + &case.root.key_pem());
    case.scratch.write("text.pem", "no certificate");
    case.scratch.write("empty.pem", "");
    case.scratch.write("half.pem", &case.root.pem()[..200]);
    case.scratch.write("folder/none.txt", "");
    for (file, says) in [
        ("leaf.pem", "neither an authority's nor its own issuer"),
        ("key.pem", "private key"),
        ("text.pem", "not an X.509 certificate"),
        ("empty.pem", "empty"),
        ("half.pem", "not a PEM file of certificates"),
        ("folder", "no file in it"),
        ("nowhere.pem", "nowhere.pem"),
    ] {
        let args = ["--certificate-roots", file, "--certificate-subject", "*"];
        refused(&case.verify(&args), 3, &[says]);
        let certificates = format!("roots: [{file}], subjects: [\"*\"]");
        refused(&case.under(DURING, &certificates, FORMAT), 3, &[says]);
    }
    // And the key that stood there is not told.
    let out = case.verify(&[
        "--certificate-roots",
        "key.pem",
        "--certificate-subject",
        "*",
    ]);
    let key = case.root.key_pem();
    let line = key.lines().nth(1).unwrap();
    assert!(!out.to_string().contains(line), "{out}");
}

#[test]
fn a_policy_that_can_never_count_it_is_told() {
    let case = Case::new();
    let check = |certificates: &str, more: &str| {
        case.policy(certificates, more);
        case.scratch
            .obreia()
            .args(["policy", "check", "p.yaml"])
            .run()
    };
    check(ROOTS, FORMAT).expect_code(0);
    check(ROOTS, "")
        .expect_code(3)
        .stdout_has("of format notation, which is not named");
    let aged = "signatures: { formats: [notation], maxAge: often }";
    check(ROOTS, aged)
        .expect_code(3)
        .stdout_has("spec.signatures.maxAge");
    check("roots: [root.pem]", FORMAT)
        .expect_code(3)
        .stdout_has("no subject is named");
    check("roots: [root.pem], subject: [\"*\"]", FORMAT)
        .expect_code(3)
        .stdout_has("subjects");
}

#[test]
fn the_signer_must_be_one_that_is_named() {
    let case = Case::new();
    case.refer(&case.draft().jws(&case.signer, unstamped));
    let by = |subject: &str| {
        let roots = ["--certificate-roots", "root.pem", "--at", DURING];
        case.verify(&[&roots[..], &["--certificate-subject", subject]].concat())
    };
    allowed(&by("C=US, ST=WA, O=acme"));
    allowed(&by("x509.subject: CN=builder, O=acme, S=WA, C=US"));
    let said = denied(&by("C=US, ST=WA, O=acme, CN=other"), "key-not-trusted");
    assert!(
        said["reasons"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("CN=builder")
    );
    denied(&by("C=US, ST=WA, O=ACME"), "key-not-trusted");
    denied(&by("C=US, ST=WA, O=acme, OU=x"), "key-not-trusted");
    refused(&by("C=US, O=acme"), 3, &["names no ST"]);
    refused(&by("C=US, ST=WA, O=acme, O=acme"), 3, &["twice"]);
    refused(&by("acme"), 3, &["no ="]);
    // Nobody is meant by saying nothing.
    let roots = ["--certificate-roots", "root.pem"];
    refused(&case.verify(&roots), 3, &["no subject is named"]);
    let subject = ["--certificate-subject", "*"];
    refused(
        &case.verify(&subject),
        3,
        &["no trusted certificate is named"],
    );
    let key = public("p256");
    let both = [&roots[..], &["--key", &key]].concat();
    refused(&case.verify(&both), 2, &["--key"]);
}
