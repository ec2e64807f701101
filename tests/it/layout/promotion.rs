//! Signed, pushed, verified where it lies, promoted.

use serde_json::{Value, json};

use super::{attestation, blob, run};
use crate::harness::{Output, Scratch, peer};

/// A signed model `m`, pushed to `staging:v1`; keys `k.pem`, `k.pub` and a stranger's.
fn staged() -> Scratch {
    let scratch = Scratch::new();
    for name in ["k", "stranger"] {
        let openssl = |args: &[&str]| {
            let openssl = peer("openssl").unwrap();
            scratch.obreia().program(openssl).args(args).run().ok();
        };
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
        let curve = "ec_paramgen_curve:P-256";
        openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            curve,
            "-out",
            &private,
        ]);
        openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    scratch.write("m/config.json", b"{}");
    scratch.write("m/weights/a.bin", b"aaaa");
    run(&scratch, ["sign", "m", "--key", "k.pem"]).ok();
    run(&scratch, ["push", "m", "oci-layout:staging:v1"]).ok();
    scratch
}

fn promote(scratch: &Scratch, key: &str) -> Output {
    scratch
        .obreia()
        .args([
            "promote",
            "oci-layout:staging:v1",
            "oci-layout:production:live",
        ])
        .args(["--key", key, "-o", "json"])
        .run()
}

#[test]
fn a_model_verifies_where_it_was_pushed_by_the_signature_over_its_files() {
    let scratch = staged();
    let verify = ["verify", "oci-layout:staging:v1", "--key", "k.pub"];
    run(&scratch, verify).ok().stdout_has("ALLOWED");
    run(
        &scratch,
        ["verify", "oci-layout:staging:v1", "--key", "stranger.pub"],
    )
    .expect_code(1)
    .stdout_has("key-not-trusted");
    // A signature over the manifest is as good, and neither hides the other.
    run(
        &scratch,
        ["push", "m", "oci-layout:bare:v1", "--without-evidence"],
    )
    .ok();
    let verify_bare = ["verify", "oci-layout:bare:v1", "--key", "k.pub"];
    run(&scratch, verify_bare)
        .expect_code(1)
        .stdout_has("no-signature");
    run(&scratch, ["sign", "oci-layout:bare:v1", "--key", "k.pem"]).ok();
    run(&scratch, verify_bare).ok();
    // A changed layer is never allowed.
    let layer = obreia::crypto::sha256(b"aaaa").to_string();
    std::fs::write(blob(&scratch, "staging", &layer), b"aaab").unwrap();
    run(&scratch, verify).expect_code(1).says(&layer);
}

#[test]
fn one_model_and_another_are_told_apart_by_their_names_too() {
    let scratch = staged();
    // The same contents under other names, with the first one's signature.
    scratch.write("n/other.json", b"{}");
    scratch.write("n/weights/a.bin", b"aaaa");
    scratch.write("n/model.sig", scratch.read("m/model.sig"));
    run(&scratch, ["push", "n", "oci-layout:staging:v2"]).ok();
    run(
        &scratch,
        ["verify", "oci-layout:staging:v2", "--key", "k.pub"],
    )
    .expect_code(1);
}

#[test]
fn what_is_allowed_arrives_with_all_that_is_about_it() {
    let scratch = staged();
    let promotion = promote(&scratch, "k.pub").ok().json();
    assert_eq!(promotion["schema"], "obreia.promotion/v1");
    assert_eq!(promotion["promoted"], true);
    assert_eq!(promotion["at_source"]["verdict"], "allowed");
    assert_eq!(promotion["at_destination"]["verdict"], "allowed");
    assert_eq!(promotion["at_destination"]["stage"], "promotion");
    run(
        &scratch,
        ["verify", "oci-layout:production:live", "--key", "k.pub"],
    )
    .ok();
    run(&scratch, ["pull", "oci-layout:production:live", "out"]).ok();
    run(&scratch, ["verify", "out", "--key", "k.pub"]).ok();
}

#[test]
fn what_is_refused_at_the_source_leaves_no_trace() {
    let scratch = staged();
    let before = scratch.files();
    let promotion = promote(&scratch, "stranger.pub").expect_code(1).json();
    assert_eq!(promotion["promoted"], false);
    assert_eq!(promotion["at_source"]["verdict"], "denied");
    assert_eq!(promotion["at_destination"], Value::Null);
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_refusal_at_the_destination_moves_no_tag() {
    let scratch = staged();
    promote(&scratch, "k.pub").ok();
    let live = run(
        &scratch,
        ["tree", "oci-layout:production:live", "-o", "json"],
    )
    .ok()
    .json();
    // A second version, signed too.
    scratch.write("m/config.json", b"{\"v\":2}");
    run(&scratch, ["sign", "m", "--key", "k.pem", "--force"]).ok();
    let pushed = run(
        &scratch,
        ["push", "m", "oci-layout:staging:v1", "-o", "json"],
    )
    .ok()
    .json();
    let policy = "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: { name: p }\nspec:\n  \
        match: [{ kind: model, name: \"**\" }]\n  stages: [promotion]\n  authorities:\n    \
        - { name: me, key: k.pub }\n  signatures: { from: [me], threshold: 1 }\n  \
        binding: { from: [me], repository: production, stage: prod }\n";
    scratch.write("policy.yaml", policy);
    // The binding is asked at the destination alone, and nothing there names it.
    let args = [
        "promote",
        "oci-layout:staging:v1",
        "oci-layout:production:live",
    ];
    let out = scratch
        .obreia()
        .args(args)
        .args(["--policy", "policy.yaml", "-o", "json"])
        .run();
    let promotion = out.expect_code(1).json();
    assert_eq!(promotion["at_source"]["verdict"], "allowed");
    assert_eq!(
        promotion["at_destination"]["reasons"][0]["code"],
        "binding-missing"
    );
    assert_eq!(promotion["promoted"], false);
    assert_ne!(live["root"]["digest"], pushed["digest"]);
    let now = run(
        &scratch,
        ["tree", "oci-layout:production:live", "-o", "json"],
    )
    .ok()
    .json();
    assert_eq!(now["root"]["digest"], live["root"]["digest"]);
}

#[test]
fn interrupted_and_run_again_it_completes() {
    let scratch = staged();
    promote(&scratch, "k.pub").ok();
    let whole = run(
        &scratch,
        ["tree", "oci-layout:production:live", "-o", "json"],
    )
    .ok()
    .json();
    // Everything but the index: what is there before the tag moves.
    let empty = r#"{"schemaVersion":2,"manifests":[]}"#;
    std::fs::write(scratch.join("production/index.json"), empty).unwrap();
    run(&scratch, ["tree", "oci-layout:production:live"]).expect_code(2);
    let again = promote(&scratch, "k.pub").ok().json();
    assert_eq!(again["copied"]["bytes"], 0);
    let now = run(
        &scratch,
        ["tree", "oci-layout:production:live", "-o", "json"],
    )
    .ok()
    .json();
    assert_eq!(now, whole);
}

#[test]
fn a_strangers_referrer_is_carried_along_and_changes_nothing() {
    let scratch = staged();
    scratch.write(
        "m.eval-v1.sigstore.json",
        attestation("https://example.acme/eval/v1", b"m"),
    );
    run(&scratch, ["push", "m", "oci-layout:staging:v1"]).ok();
    promote(&scratch, "k.pub").ok();
    run(&scratch, ["tree", "oci-layout:production:live"])
        .ok()
        .stdout_has("https://example.acme/eval/v1");
}

/// An index of two images in `staging`, tagged `both`; the images' digests.
fn index_of_two(scratch: &Scratch) -> [String; 2] {
    let layout = obreia::source::layout::Layout::open(scratch.join("staging")).unwrap();
    let put = |media_type: &str, value: Value| {
        let media_type = format!("application/vnd.oci.image.{media_type}.v1+json");
        layout
            .put_blob(&media_type, value.to_string().as_bytes())
            .unwrap()
    };
    let images = ["amd64", "arm64"].map(|architecture| {
        let config = put(
            "config",
            json!({"os": "linux", "architecture": architecture}),
        );
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [],
            "mediaType": "application/vnd.oci.image.manifest.v1+json"});
        put("manifest", manifest)
    });
    let index = put(
        "index",
        json!({"schemaVersion": 2, "manifests": images,
            "mediaType": "application/vnd.oci.image.index.v1+json"}),
    );
    layout.tag("both", &index).unwrap();
    images.map(|image| image.digest.to_string())
}

#[test]
fn an_index_is_signed_with_its_children_and_moves_whole() {
    let scratch = staged();
    let children = index_of_two(&scratch);
    let sign = [
        "sign",
        "oci-layout:staging:both",
        "--recursive",
        "--key",
        "k.pem",
    ];
    run(&scratch, sign).ok();
    let args = [
        "promote",
        "oci-layout:staging:both",
        "oci-layout:production",
        "--key",
        "k.pub",
    ];
    run(&scratch, args).ok();
    for child in &children {
        let child = format!("oci-layout:production@{child}");
        run(&scratch, ["verify", &child, "--key", "k.pub"]).ok();
    }
    run(&scratch, ["tree", "oci-layout:production:both"])
        .ok()
        .stdout_has("image index  both")
        .stdout_has("holds: image  linux/amd64")
        .stdout_has("holds: image  linux/arm64");
}

#[test]
fn an_index_whose_child_is_missing_is_not_promoted() {
    let scratch = staged();
    let children = index_of_two(&scratch);
    run(
        &scratch,
        ["sign", "oci-layout:staging:both", "--key", "k.pem"],
    )
    .ok();
    std::fs::remove_file(blob(&scratch, "staging", &children[1])).unwrap();
    let args = [
        "promote",
        "oci-layout:staging:both",
        "oci-layout:production",
        "--key",
        "k.pub",
    ];
    run(&scratch, args).expect_code(2).stderr_has(&children[1]);
    assert!(!scratch.join("production").exists());
}
