//! What is more than what is read.

use super::{blob, public, refused, signed_blob, undetermined, verify, with_key};

#[test]
fn too_much_evidence_beside_a_file() {
    let scratch = signed_blob("p256");
    let bundle = scratch.read("app.bin.sigstore.json");
    for i in 0..1000 {
        scratch.write(format!("app.bin.x{i}.sigstore.json"), &bundle);
    }
    let out = with_key(&scratch, "app.bin", "p256");
    let json = undetermined(&out, "limit-exceeded");
    let detail = json["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("1000"), "{detail}");
}

#[test]
fn too_many_bundles_named() {
    let scratch = signed_blob("p256");
    let key = public("p256");
    let mut args = vec!["app.bin", "--key", &key];
    args.extend(["--bundle", "app.bin.sigstore.json"].repeat(1001));
    let out = verify(&scratch, &args);
    refused(&out, 2, &["limit-exceeded", "1000"]);
}

#[test]
fn a_predicate_and_a_policy_over_the_limit() {
    let scratch = blob();
    for name in ["predicate.json", "policy.yaml", "key.pem"] {
        let path = scratch.write(name, "{");
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len((64 << 20) + 1).unwrap();
    }
    let key = super::private("p256");
    let attest = ["attest", "app.bin", "--type", "custom", "--key", &key];
    let predicate = ["--predicate", "predicate.json"];
    let out = scratch.obreia().args(attest).args(predicate).run();
    refused(&out, 2, &["67108864 bytes"]);
    let out = verify(&scratch, &["app.bin", "--policy", "policy.yaml"]);
    refused(&out, 3, &["1048576 bytes"]);
    let out = verify(&scratch, &["app.bin", "--key", "key.pem"]);
    assert_ne!(out.code, Some(0), "{out}");
    out.stderr_has("key.pem").stderr_has("65536");
}
