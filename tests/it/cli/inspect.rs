//! `obreia inspect`: what is in a bundle, and its parts for OpenSSL alone.

use super::forge::Forger;
use super::{blob, model, private, public, refused, sign, signed_blob};
use crate::harness::{Obreia, Output, Scratch, peer};

fn extract(scratch: &Scratch, bundle: &str, key: &str) -> Output {
    let args = [
        "inspect",
        bundle,
        "--extract",
        "parts",
        "--key",
        &public(key),
    ];
    scratch.obreia().args(args).args(["-o", "json"]).run()
}

/// Runs the command that `inspect` printed, as a person would paste it.
fn check(scratch: &Scratch, out: &Output, artifact: &str) -> Output {
    let json = out.ok().json();
    let command = json["check_with"].as_str().expect("a command").to_owned();
    let command = command.replace("ARTIFACT", artifact);
    Obreia::in_scratch(scratch)
        .program("sh")
        .args(["-c", &command])
        .run()
}

#[test]
fn openssl_checks_what_was_extracted_by_the_very_command() {
    if peer("openssl").is_none() {
        return;
    }
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        let scratch = signed_blob(key);
        let out = extract(&scratch, "app.bin.sigstore.json", key);
        check(&scratch, &out, "app.bin").ok().says("erif");
        let model = model();
        sign(&model, "m", key);
        let out = extract(&model, "m/model.sig", key);
        check(&model, &out, "").ok();
        // It can fail, too.
        let part = if key == "ed25519" {
            "parts/pae"
        } else {
            "app.bin"
        };
        scratch.write(part, "changed");
        let out = extract_again(&scratch, key, part);
        assert_ne!(out.code, Some(0), "{out}");
    }
}

fn extract_again(scratch: &Scratch, key: &str, changed: &str) -> Output {
    let out = extract(scratch, "app.bin.sigstore.json", key);
    if changed.starts_with("parts/") {
        scratch.write(changed, "changed");
    }
    check(scratch, &out, "app.bin")
}

#[test]
fn the_parts_are_the_signed_bytes() {
    let scratch = blob();
    scratch.write("p.json", "{}");
    let args = [
        "attest",
        "app.bin",
        "--type",
        "custom",
        "--predicate",
        "p.json",
        "--output",
        "a.json",
    ];
    scratch
        .obreia()
        .args(args)
        .args(["--key", &private("p256")])
        .run()
        .ok();
    let out = extract(&scratch, "a.json", "p256");
    let payload = scratch.read("parts/payload");
    let statement: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(out.ok().json()["statement"], statement);
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    assert_eq!(
        scratch.read("parts/pae"),
        [head.as_bytes(), &payload].concat()
    );
    let names: Vec<_> = scratch
        .files()
        .into_iter()
        .filter(|f| f.starts_with("parts/"))
        .collect();
    assert_eq!(
        names,
        [
            "parts/key.pem",
            "parts/pae",
            "parts/payload",
            "parts/signature.der"
        ]
    );
}

#[test]
fn what_is_shown_is_said_to_be_unverified() {
    let scratch = signed_blob("p256");
    let out = scratch
        .obreia()
        .args(["inspect", "app.bin.sigstore.json"])
        .run();
    out.ok()
        .stdout_has("nothing in it is verified here")
        .stdout_has("message-signature")
        .stdout_has("sha256:");
}

#[test]
fn what_is_no_bundle_is_refused() {
    let scratch = blob();
    refused(
        &scratch.obreia().args(["inspect", "app.bin"]).run(),
        2,
        &["app.bin", "bundle"],
    );
    refused(
        &scratch.obreia().args(["inspect", "absent"]).run(),
        2,
        &["absent"],
    );
    let out = scratch
        .obreia()
        .args(["inspect", "app.bin", "--key", "k"])
        .run();
    refused(&out, 2, &["--extract"]);
}

#[test]
fn control_characters_of_a_bundle_do_not_reach_the_terminal() {
    let scratch = blob();
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J";
    let bundle = Forger::of("p256").envelope(evil, b"{}");
    scratch.write("e.json", bundle);
    let out = scratch.obreia().args(["inspect", "e.json"]).run();
    assert!(!out.stdout.contains('\u{1b}'), "{:?}", out.stdout);
    let args = [
        "verify",
        "app.bin",
        "--bundle",
        "e.json",
        "--explain",
        "--key",
        &public("p256"),
    ];
    let out = scratch.obreia().args(args).run();
    assert!(!out.stdout.contains('\u{1b}'), "{:?}", out.stdout);
    let bundle = Forger::of("p256").about(b"x", evil, &serde_json::json!({}));
    scratch.write("e.json", bundle);
    let out = scratch.obreia().args(args).run();
    assert!(!out.stdout.contains('\u{1b}'), "{:?}", out.stdout);
    super::edit(&scratch, "e.json", |json| {
        json["verificationMaterial"]["publicKey"]["hint"] = evil.into();
    });
    let out = scratch.obreia().args(["inspect", "e.json"]).run();
    assert!(!out.stdout.contains('\u{1b}'), "{:?}", out.stdout);
}
