//! Proofs that stand alone.

use serde_json::Value;

use super::{fill, signed};
use crate::harness::Scratch;
use crate::keys::run;

/// A place with a proof of its signature in `proof.json`, and the log's key.
fn proven() -> (Scratch, Value) {
    let scratch = signed();
    let found = run(&scratch, &["audit", "search", "--op", "sign", "-o", "json"])
        .ok()
        .json();
    let request = found["records"][0]["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    fill(&scratch, 300);
    run(
        &scratch,
        &["audit", "prove", &request, "--output", "proof.json"],
    )
    .ok()
    .stdout_has("proved 2 records");
    let key = run(&scratch, &["audit", "key"]);
    scratch.write("log.pub", &key.ok().stdout);
    let proof = serde_json::from_slice(&scratch.read("proof.json")).unwrap();
    (scratch, proof)
}

/// Checks a proof where there is nothing but it and the key.
fn check(scratch: &Scratch, proof: &Value) -> crate::harness::Output {
    let alone = Scratch::new();
    alone.write("proof.json", proof.to_string());
    alone.write("log.pub", scratch.read("log.pub"));
    let args = [
        "audit",
        "verify",
        "--proof",
        "proof.json",
        "--key",
        "log.pub",
    ];
    alone.obreia().args(args).run()
}

#[test]
fn a_proof_is_checked_with_the_key_alone() {
    let (scratch, proof) = proven();
    assert_eq!(proof["schema"], "obreia.audit-proof/v1");
    check(&scratch, &proof)
        .ok()
        .stdout_has("PROVEN request")
        .stdout_has("kms://model-sign/a");
    run(
        &scratch,
        &["audit", "prove", "request-7", "--output", "proof.json"],
    )
    .expect_code(2)
    .stderr_has("exists");
    let printed = run(&scratch, &["audit", "prove", "request-7"]).ok().json();
    check(&scratch, &printed).ok();
}

#[test]
fn nothing_in_a_proof_can_be_changed() {
    let (scratch, proof) = proven();
    let other = run(&signed(), &["audit", "key"]).ok().stdout.clone();
    let refused = |what: &str, changed: &Value| {
        assert_ne!(*changed, proof, "{what}");
        let out = check(&scratch, changed);
        out.expect_code(1).stdout_has("NOT PROVEN");
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = proof.clone();
        change(&mut changed);
        changed
    };
    refused(
        "who",
        &changed(&|p| p["records"][0]["record"]["caller"] = "uid:7".into()),
    );
    refused(
        "more",
        &changed(&|p| p["records"][1]["record"]["extra"] = 1.into()),
    );
    refused(
        "result",
        &changed(&|p| p["records"][1]["record"]["result"] = "denied".into()),
    );
    refused(
        "request",
        &changed(&|p| p["request_id"] = "request-7".into()),
    );
    refused(
        "swapped",
        &changed(&|p| {
            let other = p["records"][1]["proof"].take();
            p["records"][0]["proof"] = other.clone();
            p["records"][1]["proof"] = other;
        }),
    );
    refused(
        "size",
        &changed(&|p| {
            let text = p["records"][0]["proof"].as_str().unwrap();
            p["records"][0]["proof"] = text.replace("\n306\n", "\n307\n").into();
        }),
    );
    scratch.write("log.pub", other);
    check(&scratch, &proof)
        .expect_code(1)
        .stdout_has("not signed by");
}

#[test]
fn what_is_no_proof_and_what_is_not_there() {
    let (scratch, proof) = proven();
    for bad in [
        Value::Null,
        serde_json::json!({"schema": "obreia.audit-proof/v1"}),
        serde_json::json!({"schema": "obreia.audit-proof/v2", "log": "x", "request_id": "x", "records": []}),
        serde_json::json!({"schema": "obreia.audit-proof/v1", "log": "x", "request_id": "x", "records": []}),
    ] {
        check(&scratch, &bad)
            .expect_code(2)
            .stderr_has("is no proof");
    }
    run(&scratch, &["audit", "prove", "no-such-request"])
        .expect_code(2)
        .stderr_has("the log has no request no-such-request");
    scratch
        .obreia()
        .args(["audit", "verify", "--proof", "proof.json"])
        .run()
        .expect_code(2)
        .stderr_has("--key");
    // A log whose tiles were changed proves nothing.
    let id = proof["request_id"].as_str().unwrap();
    let mut tile = scratch.read("state/audit/tile/0/000");
    tile[40 * 32] ^= 1;
    scratch.write("state/audit/tile/0/000", tile);
    run(&scratch, &["audit", "prove", id])
        .expect_code(4)
        .stderr_has("error[audit-broken]");
}
