//! The binary as a plugin: started as `sigstore-kms-kms`, as cosign starts it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obreia::crypto::{Hasher, PublicKey, Scheme};
use obreia::digest::Algorithm;
use serde_json::{Value, json};

use super::{PASSPHRASE, obreia, place, records, run};
use crate::harness::{Obreia, Output, Scratch};

const KEY: &str = "model-sign/prod";
const MESSAGE: &[u8] = b"what cosign writes to standard input";

/// A keystore with a key, and the link beside it.
fn linked(algorithm: &str) -> Scratch {
    let scratch = place();
    let key = format!("kms://{KEY}");
    run(&scratch, &["key", "create", &key, "--algorithm", algorithm]).ok();
    link(&scratch);
    scratch
}

fn link(scratch: &Scratch) -> PathBuf {
    scratch.write("bin/.keep", "");
    run(scratch, &["plugin", "install", "--dir", "bin"]).ok();
    scratch.join("bin/sigstore-kms-kms")
}

fn request(method: &str, key: &str, arguments: &Value) -> Value {
    json!({
        "initOptions": {
            "protocolVersion": "v1", "keyResourceID": key, "hashFunc": 5,
            "rpcOptions": {"keyVersion": "", "remoteVerification": false},
        },
        "methodName": method, method: arguments,
    })
}

fn started(scratch: &Scratch, request: &Value) -> Obreia {
    scratch
        .obreia()
        .program(scratch.join("bin/sigstore-kms-kms"))
        .env("OBREIA_CONFIG", scratch.join("obreia.toml"))
        .dir("bin")
        .args(["v1", &request.to_string()])
}

/// The one answer: code 0 where it was done and 1 where not, nothing beside it.
#[track_caller]
fn answer(out: &Output) -> Value {
    assert_eq!(out.stderr, "", "{out}");
    let answer = out.json();
    let failed = answer.get("errorMessage").is_some();
    out.expect_code(i32::from(failed));
    answer
}

#[track_caller]
fn ask(scratch: &Scratch, request: &Value, stdin: &[u8]) -> Value {
    let command = started(scratch, request).env("OBREIA_PASSPHRASE", PASSPHRASE);
    answer(&command.stdin(stdin).run())
}

#[track_caller]
fn refused(answer: &Value, says: &str) {
    let said = answer["errorMessage"].as_str().unwrap_or_default();
    assert!(said.contains(says), "expected {says:?}: {answer}");
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
}

fn sign(digest: Option<&[u8]>) -> Value {
    let digest = digest.map(|digest| STANDARD.encode(digest));
    let arguments = json!({"signOptions": {
        "rpcOptions": {"keyVersion": "", "remoteVerification": false},
        "messageOptions": {"digest": digest},
    }});
    request("signMessage", KEY, &arguments)
}

fn verify(signature: &[u8], version: &str) -> Value {
    let arguments = json!({
        "signature": STANDARD.encode(signature),
        "verifyOptions": {"rpcOptions": {"keyVersion": version}, "messageOptions": {"digest": null}},
    });
    request("verifySignature", KEY, &arguments)
}

fn signature(answer: &Value) -> Vec<u8> {
    let text = answer["signMessage"]["signature"].as_str();
    STANDARD
        .decode(text.unwrap_or_else(|| panic!("{answer}")))
        .unwrap()
}

fn public(scratch: &Scratch) -> PublicKey {
    // Without any passphrase: this unlocks nothing.
    let request = request(
        "publicKey",
        KEY,
        &json!({"publicKeyOptions": {"rpcOptions": {}}}),
    );
    let answer = answer(&started(scratch, &request).run());
    let pem = answer["publicKey"]["publicKeyPEM"].as_str().unwrap();
    PublicKey::from_pem(&STANDARD.decode(pem).unwrap()).unwrap()
}

fn digest(hash: Algorithm, message: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(hash);
    hasher.update(message);
    hasher.finish().bytes().to_vec()
}

#[test]
fn what_it_can_make_is_told_without_a_keystore() {
    let scratch = Scratch::new();
    link(&scratch);
    let told = |method| {
        let request = request(method, KEY, &json!({}));
        answer(
            &started(&scratch, &request)
                .without_env("OBREIA_CONFIG")
                .run(),
        )
    };
    assert_eq!(
        told("defaultAlgorithm"),
        json!({"defaultAlgorithm": {"defaultAlgorithm": "ecdsa-p256"}})
    );
    let all = told("supportedAlgorithms");
    assert_eq!(
        all["supportedAlgorithms"]["supportedAlgorithms"],
        json!([
            "ecdsa-p256",
            "ecdsa-p384",
            "ed25519",
            "rsa-3072",
            "rsa-4096"
        ])
    );
}

#[test]
fn digest_message_and_both_are_signed_alike() {
    for (algorithm, hash) in [
        ("p256", Algorithm::Sha256),
        ("p384", Algorithm::Sha384),
        ("rsa-3072", Algorithm::Sha256),
    ] {
        let scratch = linked(algorithm);
        let public = public(&scratch);
        let digest = digest(hash, MESSAGE);
        let mut asked = vec![(Some(digest.as_slice()), MESSAGE), (Some(&digest), b"")];
        // The message alone is hashed as the request says, which is SHA-256 here.
        if hash == Algorithm::Sha256 {
            asked.push((None, MESSAGE));
        }
        for (digest, stdin) in asked {
            let signature = signature(&ask(&scratch, &sign(digest), stdin));
            let scheme = public.default_scheme();
            scheme.verify(&public, MESSAGE, &signature).unwrap();
        }
    }
}

#[test]
fn what_would_be_another_signature_than_was_asked_for_is_refused() {
    let scratch = linked("p384");
    let wanted = digest(Algorithm::Sha384, MESSAGE);
    let short = digest(Algorithm::Sha256, MESSAGE);
    let ask = |request: &Value, stdin: &[u8]| ask(&scratch, request, stdin);
    refused(
        &ask(&sign(None), MESSAGE),
        "signs with sha384, and sha256 is asked for",
    );
    refused(&ask(&sign(Some(&short)), MESSAGE), "a digest of 32 bytes");
    refused(&ask(&sign(Some(b"")), MESSAGE), "sha256 is asked for");
    refused(
        &ask(&sign(Some(&wanted)), b"another message"),
        "is not that of the message on standard input",
    );
    let mut other = sign(Some(&wanted));
    other["signMessage"]["signOptions"]["messageOptions"]["hashFunc"] = json!(5);
    refused(&ask(&other, b""), "or of another hash");
    other["signMessage"]["signOptions"]["messageOptions"]["hashFunc"] = json!(6);
    signature(&ask(&other, b""));
    let mut stated = sign(None);
    stated["initOptions"]["hashFunc"] = json!(6);
    let signature = signature(&ask(&stated, MESSAGE));
    let public = public(&scratch);
    Scheme::EcdsaP384Sha384
        .verify(&public, MESSAGE, &signature)
        .unwrap();
}

#[test]
fn ed25519_signs_the_message_and_no_digest() {
    let scratch = linked("ed25519");
    let signature = signature(&ask(&scratch, &sign(None), MESSAGE));
    Scheme::Ed25519
        .verify(&public(&scratch), MESSAGE, &signature)
        .unwrap();
    let digest = digest(Algorithm::Sha512, MESSAGE);
    refused(&ask(&scratch, &sign(Some(&digest)), MESSAGE), "Ed25519ph");
    assert_eq!(
        ask(&scratch, &verify(&signature, ""), MESSAGE),
        json!({"verifySignature": {}})
    );
}

#[test]
fn verifying_takes_any_version_that_verifies_and_unlocks_nothing() {
    let scratch = linked("p256");
    let old = signature(&ask(&scratch, &sign(None), MESSAGE));
    run(&scratch, &["key", "rotate", &format!("kms://{KEY}")]).ok();
    let new = signature(&ask(&scratch, &sign(None), MESSAGE));
    let held = |signature: &[u8], version: &str, message: &[u8]| {
        answer(
            &started(&scratch, &verify(signature, version))
                .stdin(message)
                .run(),
        )
    };
    let yes = json!({"verifySignature": {}});
    assert_eq!(held(&old, "", MESSAGE), yes);
    assert_eq!(held(&new, "", MESSAGE), yes);
    assert_eq!(held(&old, "1", MESSAGE), yes);
    refused(&held(&old, "2", MESSAGE), "signature-invalid");
    refused(&held(&old, "3", MESSAGE), "no-such-key");
    refused(&held(&old, "", b"another"), "signature-invalid");
    refused(&held(b"", "", MESSAGE), "signature-invalid");
}

#[test]
fn the_same_use_leaves_the_same_record_but_for_the_face() {
    let scratch = linked("p256");
    scratch.write("f", MESSAGE);
    run(&scratch, &["sign", "f", "--key", &format!("kms://{KEY}")]).ok();
    signature(&ask(
        &scratch,
        &sign(Some(&digest(Algorithm::Sha256, MESSAGE))),
        MESSAGE,
    ));
    let log = records(&scratch);
    let [.., cli_intent, cli_outcome, intent, outcome] = log.as_slice() else {
        panic!("{log:?}");
    };
    for (ours, theirs) in [(cli_intent, intent), (cli_outcome, outcome)] {
        assert_eq!(
            (&ours["front"], &theirs["front"]),
            (&json!("cli"), &json!("plugin"))
        );
        for field in [
            "op", "key", "caller", "method", "decision", "rule", "payload", "provider", "phase",
            "result",
        ] {
            assert_eq!(ours[field], theirs[field], "{field}");
        }
        assert!(theirs["payload"].is_string());
    }
}

#[test]
fn custody_and_missing_keys_and_passphrases_are_told_in_the_answer() {
    let scratch = linked("p256");
    run(&scratch, &["key", "create", "kms://pki-ca/dev"]).ok();
    let mut other = sign(None);
    other["initOptions"]["keyResourceID"] = json!("pki-ca/dev");
    refused(&ask(&scratch, &other, MESSAGE), "[denied]");
    assert_eq!(records(&scratch).pop().unwrap()["front"], "plugin");
    other["initOptions"]["keyResourceID"] = json!("model-sign/none");
    refused(&ask(&scratch, &other, MESSAGE), "[no-such-key]");
    for id in ["", "..", "A/b", "a?x=1", "pkcs11:token=x"] {
        other["initOptions"]["keyResourceID"] = json!(id);
        refused(&ask(&scratch, &other, MESSAGE), "cannot read the name");
    }
    let silent = answer(&started(&scratch, &sign(None)).stdin(MESSAGE).run());
    refused(&silent, "[no-passphrase]");
    refused(&silent, "a plugin asks nobody");
    let wrong = started(&scratch, &sign(None)).env("OBREIA_PASSPHRASE", "wrong-one");
    let wrong = answer(&wrong.stdin(MESSAGE).run());
    refused(&wrong, "[wrong-passphrase]");
    assert!(!wrong.to_string().contains("wrong-one"));
    let nowhere = started(&scratch, &sign(None)).env("OBREIA_CONFIG", "/nowhere/obreia.toml");
    refused(&answer(&nowhere.run()), "/nowhere/obreia.toml");
}

#[test]
fn keys_are_made_by_the_names_that_it_told() {
    let scratch = place();
    link(&scratch);
    let create = |key: &str, algorithm: &str| {
        let request = request("createKey", key, &json!({"algorithm": algorithm}));
        ask(&scratch, &request, b"")
    };
    let made = create(KEY, "ed25519");
    let pem = made["createKey"]["publicKeyPEM"].as_str().unwrap();
    let pem = STANDARD.decode(pem).unwrap();
    assert_eq!(PublicKey::from_pem(&pem).unwrap(), public(&scratch));
    refused(&create(KEY, "ed25519"), "[exists]");
    refused(&create("model-sign/b", "rsa-1024"), "is none of ecdsa-p256");
    refused(&create("model-sign", "ed25519"), "[bad-request]");
    assert_eq!(super::listed(&scratch), [format!("kms://{KEY}")]);
}

#[test]
fn deadlines_are_kept_also_those_that_are_over() {
    let scratch = linked("p256");
    let mut late = sign(None);
    late["initOptions"]["ctxDeadline"] = json!("2026-01-01T00:00:00.123456789-03:00");
    refused(&ask(&scratch, &late, MESSAGE), "[deadline]");
    let before = records(&scratch).len();
    let mut late = sign(None);
    late["signMessage"]["signOptions"]["rpcOptions"]["ctxDeadline"] = json!("2026-01-01T00:00:00Z");
    refused(&ask(&scratch, &late, MESSAGE), "[deadline]");
    assert_eq!(records(&scratch).len(), before);
    let mut far = sign(None);
    far["initOptions"]["ctxDeadline"] = json!("2200-01-01T00:00:00Z");
    signature(&ask(&scratch, &far, MESSAGE));
}

#[test]
fn whatever_else_is_asked_is_answered_and_does_nothing() {
    let scratch = linked("p256");
    let plugin = |args: &[&str]| {
        let out = scratch
            .obreia()
            .program(scratch.join("bin/sigstore-kms-kms"))
            .env("OBREIA_CONFIG", scratch.join("obreia.toml"))
            .args(args)
            .run();
        answer(&out)
    };
    let fine = sign(None).to_string();
    refused(&plugin(&[]), "people run obreia");
    refused(&plugin(&["--help"]), "people run obreia");
    refused(&plugin(&["v1", &fine, "more"]), "people run obreia");
    refused(&plugin(&["v2", &fine]), "not \"v2\"");
    refused(&plugin(&["v1", "hello"]), "not one of the plugin protocol");
    refused(&plugin(&["v1", "{}"]), "not one of the plugin protocol");
    refused(
        &plugin(&["v1", &format!("{fine} {fine}")]),
        "not one of the plugin protocol",
    );
    refused(
        &plugin(&["v1", &"[".repeat(1000)]),
        "not one of the plugin protocol",
    );
    let long = request("publicKey", &"x/".repeat(40_000), &json!({}));
    refused(
        &plugin(&["v1", &long.to_string()]),
        "not one of the plugin protocol",
    );
    let unknown = request("exportPrivateKey", KEY, &json!({}));
    refused(
        &plugin(&["v1", &unknown.to_string()]),
        "\"exportPrivateKey\" is no method",
    );
    let mut bare = verify(b"x", "");
    bare.as_object_mut().unwrap().remove("verifySignature");
    refused(
        &plugin(&["v1", &bare.to_string()]),
        "has no verifySignature",
    );
}

#[test]
fn a_link_is_installed_once_and_taken_away_again() {
    let scratch = Scratch::new();
    scratch.write("bin/.keep", "");
    let install = |args: &[&str]| {
        let args = [&["plugin", "install", "--dir", "bin"], args].concat();
        obreia(&scratch, &args).run()
    };
    let first = install(&["-o", "json"]);
    let json = first.ok().json();
    assert_eq!(json["schema"], "obreia.plugin/v1");
    assert_eq!(json["existed"], false);
    first.stderr_has("is not in PATH");
    assert_eq!(install(&["-o", "json"]).ok().json()["existed"], true);
    let leads_to = std::fs::read_link(scratch.join("bin/sigstore-kms-kms")).unwrap();
    assert_eq!(leads_to.file_name().unwrap(), "obreia");
    let uninstall = ["plugin", "uninstall", "--dir", "bin"];
    obreia(&scratch, &uninstall)
        .run()
        .ok()
        .stdout_has("removed");
    obreia(&scratch, &uninstall)
        .run()
        .ok()
        .stdout_has("there is no");
    // Another's plugin stays.
    scratch.write("bin/sigstore-kms-kms", "#!/bin/sh\n");
    for args in [&uninstall[..], &["plugin", "install", "--dir", "bin"]] {
        obreia(&scratch, args)
            .run()
            .expect_code(2)
            .stderr_has("error[exists]");
    }
    assert_eq!(scratch.read_text("bin/sigstore-kms-kms"), "#!/bin/sh\n");
    obreia(&scratch, &["plugin", "install", "--dir", "absent"])
        .run()
        .expect_code(2)
        .stderr_has("--dir DIR");
}
