//! Proofs that stand alone.

use serde_json::Value;

use super::{fill, parts, put_back, sign, signed};
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

/// Checks the proof of growth where there is nothing but it, the key and what
/// was kept.
fn check_growth(scratch: &Scratch, proof: &Value, kept: &[&[u8]]) -> crate::harness::Output {
    let alone = Scratch::new();
    alone.write("growth.json", proof.to_string());
    alone.write("log.pub", scratch.read("log.pub"));
    let mut args = vec!["audit", "verify", "--proof", "growth.json"];
    args.extend(["--key", "log.pub"]);
    let names = ["kept0", "kept1"];
    for (name, kept) in names.iter().zip(kept) {
        alone.write(name, kept);
        args.extend(["--extends", name]);
    }
    alone.obreia().args(args).run()
}

/// A log of 306 records, the proof that it grew from 6, and the checkpoint of
/// that time.
fn grown() -> (Scratch, Value, Vec<u8>) {
    let scratch = signed();
    let kept = scratch.read("state/audit/checkpoint");
    fill(&scratch, 300);
    let key = run(&scratch, &["audit", "key"]);
    scratch.write("log.pub", &key.ok().stdout);
    let prove = ["audit", "prove", "--from", "6", "--output", "growth.json"];
    run(&scratch, &prove)
        .ok()
        .stdout_has("proved growth from 6 in growth.json");
    let proof = serde_json::from_slice(&scratch.read("growth.json")).unwrap();
    (scratch, proof, kept)
}

#[test]
fn growth_is_checked_with_the_key_and_the_checkpoint_that_was_kept() {
    let (scratch, proof, kept) = grown();
    assert_eq!(proof["schema"], "obreia.audit-consistency/v1");
    check_growth(&scratch, &proof, &[&kept])
        .ok()
        .stdout_has("PROVEN obreia.dev/audit/")
        .stdout_has("grew from 6 to 306 records");
    let printed = run(&scratch, &["audit", "prove", "--from", "6"])
        .ok()
        .json();
    assert_eq!(printed, proof);
    // It shows no record.
    assert!(!printed.to_string().contains("model-sign"));
    // From nothing, and to itself.
    let newest = scratch.read("state/audit/checkpoint");
    let whole = run(&scratch, &["audit", "prove", "--from", "306"])
        .ok()
        .json();
    check_growth(&scratch, &whole, &[&newest]).ok();

    let not_proven = |proof: &Value, kept: &[u8], says: &str| {
        check_growth(&scratch, proof, &[kept])
            .expect_code(1)
            .stdout_has("NOT PROVEN growth of obreia.dev/audit/")
            .stdout_has(says);
    };
    not_proven(&proof, &newest, "the earlier checkpoint has 306");
    let changed = |from: &str, to: &str| {
        let mut changed = proof.clone();
        let text = proof["proof"].as_str().unwrap();
        assert!(text.contains(from), "{text}");
        changed["proof"] = text.replacen(from, to, 1).into();
        changed
    };
    let text = proof["proof"].as_str().unwrap();
    let hash = text.lines().nth(1).unwrap();
    let other = text.lines().nth(2).unwrap();
    not_proven(&changed(hash, other), &kept, "leads to another root");
    not_proven(&changed(&format!("{hash}\n"), ""), &kept, "wrong number");
    not_proven(&changed("old 6", "old 5"), &kept, "from 5 records");
    not_proven(&changed("\n306\n", "\n305\n"), &kept, "does not hold");
    not_proven(&changed("old 6", "old six"), &kept, "no consistency proof");
}

#[test]
fn a_log_that_was_rewritten_does_not_prove_that_it_grew() {
    let scratch = signed();
    let before = parts(&scratch);
    sign(&scratch).ok();
    let kept = scratch.read("state/audit/checkpoint");
    // Who has the log's key begins again where it suits him.
    put_back(&scratch, &before);
    sign(&scratch).ok();
    fill(&scratch, 300);
    run(&scratch, &["audit", "verify"]).ok();
    let key = run(&scratch, &["audit", "key"]);
    scratch.write("log.pub", &key.ok().stdout);
    let proof = run(&scratch, &["audit", "prove", "--from", "8"])
        .ok()
        .json();
    check_growth(&scratch, &proof, &[&kept])
        .expect_code(1)
        .stdout_has("leads to another root");
}

#[test]
fn what_proves_no_growth() {
    let (scratch, proof, kept) = grown();
    let refused = |args: &[&str], says: &str| {
        let out = run(&scratch, &[&["audit", "prove"], args].concat());
        out.expect_code(2).stderr_has(says);
    };
    refused(&["--from", "307"], "covers fewer than 307 records");
    refused(&[], "REQUEST_ID");
    refused(&["--from", "6", "request-7"], "cannot be used with");
    refused(&["--from", "-1"], "-1");
    check_growth(&scratch, &proof, &[])
        .expect_code(2)
        .stderr_has("--extends FILE");
    check_growth(&scratch, &proof, &[&kept, &kept])
        .expect_code(2)
        .stderr_has("one earlier checkpoint, and 2 are given");
    let others = signed().read("state/audit/checkpoint");
    check_growth(&scratch, &proof, &[&others])
        .expect_code(2)
        .stderr_has("is no checkpoint of that log");
    let of_request = run(&scratch, &["audit", "prove", "request-7"]).ok().json();
    check_growth(&scratch, &of_request, &[&kept])
        .expect_code(2)
        .stderr_has("leave --extends out");
    let mut more = proof.clone();
    more["more"] = 1.into();
    check_growth(&scratch, &more, &[&kept])
        .expect_code(2)
        .stderr_has("is no proof");
    // A log whose tiles were changed proves nothing.
    let mut tile = scratch.read("state/audit/tile/0/000");
    tile[200 * 32] ^= 1;
    scratch.write("state/audit/tile/0/000", tile);
    run(&scratch, &["audit", "prove", "--from", "6"])
        .expect_code(4)
        .stderr_has("error[audit-broken]");
}
