//! `obreia sign`: a bundle where `verify` looks for it, or none at all.

use serde_json::Value;

use super::{
    allowed, blob, denied, model, private, public, refused, sign, signed_blob, verify, with_key,
};
use crate::harness::{Output, Scratch};

fn run(scratch: &Scratch, args: &[&str], key: &str) -> Output {
    scratch
        .obreia()
        .arg("sign")
        .args(args)
        .args(["--key", &private(key)])
        .run()
}

fn bundle(scratch: &Scratch, path: &str) -> Value {
    serde_json::from_slice(&scratch.read(path)).expect("a bundle")
}

#[test]
fn a_blob_by_every_kind_of_key() {
    for (key, scheme) in [
        ("p256", "ecdsa-p256-sha256"),
        ("p384", "ecdsa-p384-sha384"),
        ("p521", "ecdsa-p521-sha512"),
        ("ed25519", "ed25519"),
        ("rsa2048", "rsa-pkcs1-sha256"),
    ] {
        let scratch = blob();
        let out = sign(&scratch, "app.bin", key);
        out.stdout_has("signed blob sha256:").stdout_has(scheme);
        let json = allowed(&with_key(&scratch, "app.bin", key));
        assert_eq!(json["evidence"][0]["kind"], "signature");
        // Ed25519 signs a statement about the digest: it cannot stream.
        let bundle = bundle(&scratch, "app.bin.sigstore.json");
        let expected = if key == "ed25519" {
            "dsseEnvelope"
        } else {
            "messageSignature"
        };
        assert!(bundle[expected].is_object(), "{key}: {bundle}");
        assert_eq!(
            bundle["mediaType"],
            "application/vnd.dev.sigstore.bundle.v0.3+json"
        );
        scratch.write("app.bin", "changed");
        denied(&with_key(&scratch, "app.bin", key), "digest-mismatch");
    }
}

#[test]
fn a_model_by_every_kind_of_key() {
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        let scratch = model();
        let out = sign(&scratch, "m", key);
        out.stdout_has("signed model dirHash:")
            .stdout_has("m/model.sig");
        let ecdsa = key.starts_with('p');
        assert_eq!(
            out.stderr.contains("model_signing verifies ECDSA"),
            !ecdsa,
            "{out}"
        );
        allowed(&with_key(&scratch, "m", key));
        scratch.write("m/weights.bin", "changed");
        denied(&with_key(&scratch, "m", key), "model-file-changed");
    }
}

#[test]
fn annotations_are_signed() {
    let scratch = blob();
    run(
        &scratch,
        &[
            "app.bin",
            "-a",
            "stage=prod",
            "--annotation",
            "repository=acme/app",
        ],
        "p256",
    )
    .ok();
    allowed(&with_key(&scratch, "app.bin", "p256"));
    let bind = |stage: &str| {
        super::policy(
            &scratch,
            "p",
            &["p256"],
            &format!("binding: {{ from: [p256], repository: acme/app, stage: {stage} }}"),
        );
        verify(&scratch, &["app.bin", "--policy", "p.yaml"])
    };
    allowed(&bind("prod"));
    denied(&bind("staging"), "binding-missing");
    let out = run(&scratch, &["app.bin", "-a", "a=1", "-a", "a=2"], "p256");
    refused(&out, 2, &["given twice"]);
    refused(
        &run(&scratch, &["app.bin", "-a", "a"], "p256"),
        2,
        &["name=value"],
    );
}

#[test]
fn annotations_changed_after_signing_are_no_claims() {
    let scratch = blob();
    run(&scratch, &["app.bin", "-a", "stage=staging"], "p256").ok();
    super::edit(&scratch, "app.bin.sigstore.json", |json| {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let payload = &mut json["dsseEnvelope"]["payload"];
        let text = STANDARD.decode(payload.as_str().unwrap()).unwrap();
        let text = String::from_utf8(text).unwrap().replace("staging", "prod");
        *payload = STANDARD.encode(text).into();
    });
    denied(&with_key(&scratch, "app.bin", "p256"), "signature-invalid");
}

#[test]
fn a_bundle_that_is_there_is_not_replaced_unless_forced() {
    let scratch = signed_blob("p256");
    let path = "app.bin.sigstore.json";
    let first = scratch.read(path);
    let out = run(&scratch, &["app.bin"], "p384");
    refused(&out, 2, &["holds another bundle", "--force"]);
    assert_eq!(scratch.read(path), first);
    run(&scratch, &["app.bin", "--force"], "p384").ok();
    allowed(&with_key(&scratch, "app.bin", "p384"));
    denied(&with_key(&scratch, "app.bin", "p256"), "key-not-trusted");
    let files = scratch.files();
    assert_eq!(files, ["app.bin", path], "nothing else is left");
}

#[test]
fn output_puts_it_elsewhere() {
    let scratch = blob();
    run(&scratch, &["app.bin", "--output", "x.json"], "p256")
        .ok()
        .stdout_has("bundle x.json");
    assert_eq!(scratch.files(), ["app.bin", "x.json"]);
    denied(&with_key(&scratch, "app.bin", "p256"), "no-signature");
    let args = ["app.bin", "--key", &public("p256"), "--bundle", "x.json"];
    allowed(&verify(&scratch, &args));
    refused(
        &run(&scratch, &["app.bin", "--output", "x.json"], "p256"),
        2,
        &["exists already"],
    );
    run(
        &scratch,
        &["app.bin", "--output", "x.json", "--force"],
        "p256",
    )
    .ok();
    refused(
        &run(&scratch, &["app.bin", "--output", "no/x.json"], "p256"),
        2,
        &["no/x.json"],
    );
}

#[test]
fn formats_that_are_not_written_are_refused_by_name() {
    let scratch = blob();
    for format in ["cosign-legacy", "bundle,cosign-legacy", "notation"] {
        let out = run(&scratch, &["app.bin", "--format", format], "p256");
        let name = format.rsplit(',').next().unwrap();
        refused(&out, 2, &[&format!("--format {name}"), "docs/gaps.md"]);
    }
    let at = "127.0.0.1:9/test/app:v1";
    for (more, says) in [
        (&["--format", "cosign-legacy"][..], "without bundle"),
        (
            &["--format", "bundle,cosign-legacy", "--output", "x.json"],
            "--output does not",
        ),
    ] {
        refused(&run(&scratch, &[&[at], more].concat(), "p256"), 2, &[says]);
    }
    assert_eq!(scratch.files(), ["app.bin"]);
    run(&scratch, &["app.bin", "--format", "bundle"], "p256").ok();
}

#[test]
fn a_file_that_would_be_an_images_signature_is_not_signed() {
    let scratch = blob();
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"x"}},"image":{{"docker-manifest-digest":"sha256:{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
        "ab".repeat(32)
    );
    scratch.write("payload.json", &payload);
    let out = run(&scratch, &["payload.json"], "p256");
    refused(&out, 2, &["payload.json", "would sign that image"]);
    scratch.write(
        "payload.json",
        payload.replace("cosign container", "another"),
    );
    run(&scratch, &["payload.json"], "p256").ok();
}

#[test]
fn what_cannot_sign_is_refused() {
    let scratch = blob();
    scratch.write("no.pem", "nothing\n");
    let refuse = |key: &str, says: &str| {
        let out = scratch
            .obreia()
            .args(["sign", "app.bin", "--key", key])
            .run();
        assert_ne!(out.code, Some(0), "{out}");
        out.stderr_has(says);
    };
    refuse(&public("p256"), "p256.pub.pem");
    refuse("no.pem", "no.pem");
    refuse("./absent.pem", "absent.pem");
    refuse(&private("rsa1024"), "rsa1024");
    assert_eq!(scratch.files(), ["app.bin", "no.pem"]);
}

#[test]
fn an_encrypted_key_opens_with_its_password_alone() {
    let scratch = blob();
    scratch.write("good", "throw-away\n");
    scratch.write("bad", "thrown-away\n");
    let key = super::key_file("cosign.key");
    let run = |file: &str| {
        let args = ["sign", "app.bin", "--key", &key, "--passphrase-file", file];
        scratch.obreia().args(args).run()
    };
    let out = run("bad");
    refused(&out, 5, &["passphrase"]);
    out.stderr_lacks("thrown-away");
    run("good").ok().stdout_lacks("throw-away");
    let args = ["app.bin", "--key", &super::key_file("cosign.pub")];
    allowed(&verify(&scratch, &args));
    let out = scratch
        .obreia()
        .args(["sign", "app.bin", "--force", "--key", &key])
        .env("COSIGN_PASSWORD", "throw-away")
        .run();
    out.ok();
}

#[test]
fn a_folder_is_a_model_and_nothing_else() {
    let scratch = model();
    refused(
        &run(&scratch, &["m", "--kind", "blob"], "p256"),
        2,
        &["is a folder"],
    );
    let out = run(&scratch, &["sha256:00"], "p256");
    refused(&out, 2, &["00"]);
    let digest = format!("sha256:{}", "0".repeat(64));
    refused(&run(&scratch, &[&digest], "p256"), 2, &["no place"]);
}

#[test]
fn json_results_have_a_schema() {
    let scratch = blob();
    let out = run(&scratch, &["app.bin", "-o", "json"], "p256");
    let json = out.ok().json();
    assert_eq!(json["schema"], "obreia.signed/v1");
    assert_eq!(json["signed"][0]["bundle"], "app.bin.sigstore.json");
    assert_eq!(json["signed"][0]["scheme"], "ecdsa-p256-sha256");
    let out = run(&scratch, &["app.bin", "-o", "json"], "p384");
    let json = out.expect_code(2).json();
    assert_eq!(json["schema"], "obreia.error/v1");
    assert_eq!(json["exit"], 2);
}

#[test]
fn an_sbom_is_signed_only_where_it_keeps_to_its_specification() {
    let scratch = Scratch::new();
    scratch.write(
        "good.json",
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}"#,
    );
    scratch.write(
        "bad.json",
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library"}]}"#,
    );
    let sign = |args: &[&str]| {
        scratch
            .obreia()
            .arg("sign")
            .args(args)
            .args(["--key", &super::private("p256")])
            .run()
    };
    sign(&["good.json"]).ok().stdout_has("signed sbom");
    sign(&["bad.json"])
        .expect_code(2)
        .stderr_has("/components/0")
        .stderr_has("--kind blob");
    assert!(!scratch.join("bad.json.sigstore.json").exists());
    sign(&["bad.json", "--kind", "blob"]).ok();
}
