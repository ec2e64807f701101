//! The closure moved whole.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{attestation, blob, model, run};
use crate::harness::Scratch;

fn blobs(scratch: &Scratch, layout: &str) -> BTreeSet<String> {
    std::fs::read_dir(scratch.join(layout).join("blobs/sha256"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn set_up(scratch: &Scratch) -> Value {
    model(scratch);
    run(scratch, ["push", "m", "oci-layout:l:v1", "-o", "json"])
        .ok()
        .json()
}

#[test]
fn everything_arrives_and_only_what_is_new_is_counted() {
    let scratch = Scratch::new();
    let pushed = set_up(&scratch);
    let dry = run(
        &scratch,
        [
            "copy",
            "oci-layout:l:v1",
            "oci-layout:d",
            "--dry-run",
            "-o",
            "json",
        ],
    );
    let dry = dry.ok().json();
    assert!(!scratch.join("d").exists());
    let copied = run(
        &scratch,
        ["copy", "oci-layout:l:v1", "oci-layout:d", "-o", "json"],
    );
    let copied = copied.ok().json();
    assert_eq!(copied["schema"], "obreia.copy/v1");
    assert_eq!(copied["digest"], pushed["digest"]);
    assert_eq!(copied["tag"], "v1");
    assert_eq!(copied["blobs"], dry["blobs"]);
    // Each referrer list is written anew; all else is the same.
    let names = |tree: &Value| tree["root"].to_string();
    let here = run(&scratch, ["tree", "oci-layout:l:v1", "-o", "json"])
        .ok()
        .json();
    let there = run(&scratch, ["tree", "oci-layout:d:v1", "-o", "json"])
        .ok()
        .json();
    assert_eq!(names(&here), names(&there));
    assert!(blobs(&scratch, "d").is_subset(&blobs(&scratch, "l")));
    let again = run(
        &scratch,
        ["copy", "oci-layout:l:v1", "oci-layout:d", "-o", "json"],
    );
    assert_eq!(again.ok().json()["bytes"], 0);
}

#[test]
fn what_the_destination_has_about_it_stays() {
    let scratch = Scratch::new();
    set_up(&scratch);
    run(&scratch, ["copy", "oci-layout:l:v1", "oci-layout:d:prod"]).ok();
    // Each side gets one of its own.
    for (layout, name) in [("l:v1", "here"), ("d:prod", "there")] {
        let path = format!("m.{name}.sigstore.json");
        scratch.write(
            &path,
            attestation(&format!("https://x.example/{name}"), b"m"),
        );
        run(&scratch, ["push", "m", &format!("oci-layout:{layout}")]).ok();
        std::fs::remove_file(scratch.join(&path)).unwrap();
    }
    run(&scratch, ["copy", "oci-layout:l:v1", "oci-layout:d:prod"]).ok();
    run(&scratch, ["tree", "oci-layout:d:prod"])
        .ok()
        .stdout_has("https://x.example/here")
        .stdout_has("https://x.example/there");
    run(&scratch, ["tree", "oci-layout:l:v1"])
        .ok()
        .stdout_lacks("https://x.example/there");
}

#[test]
fn an_interrupted_copy_is_completed_and_damage_is_repaired() {
    let scratch = Scratch::new();
    let pushed = set_up(&scratch);
    run(&scratch, ["copy", "oci-layout:l:v1", "oci-layout:d:v1"]).ok();
    // As if it had ended early: no index, one blob missing, one torn.
    std::fs::write(
        scratch.join("d/index.json"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    )
    .unwrap();
    let digest = pushed["digest"].as_str().unwrap();
    std::fs::remove_file(blob(&scratch, "d", digest)).unwrap();
    let layer = obreia::crypto::sha256(b"aaaa").to_string();
    std::fs::write(blob(&scratch, "d", &layer), b"aa").unwrap();
    run(&scratch, ["copy", "oci-layout:l:v1", "oci-layout:d:v1"]).ok();
    run(&scratch, ["pull", "oci-layout:d:v1", "out"]).ok();
    assert_eq!(scratch.read("out/weights/a.bin"), b"aaaa");
}

#[test]
fn a_missing_layer_stops_the_copy_and_a_broken_referrer_is_told() {
    let scratch = Scratch::new();
    let pushed = set_up(&scratch);
    let origin = pushed["evidence"][0]["origin"].as_str().unwrap();
    let referrer = origin.rsplit_once('@').unwrap().1;
    std::fs::remove_file(blob(&scratch, "l", referrer)).unwrap();
    let out = run(
        &scratch,
        ["copy", "oci-layout:l:v1", "oci-layout:d:v1", "-o", "json"],
    );
    out.ok().stderr_has(&format!("not copied: {referrer}"));
    assert_eq!(out.json()["skipped"].as_array().unwrap().len(), 1);
    let layer = obreia::crypto::sha256(b"aaaa").to_string();
    std::fs::remove_file(blob(&scratch, "l", &layer)).unwrap();
    for dry in [&["--dry-run"][..], &[]] {
        scratch
            .obreia()
            .args(["copy", "oci-layout:l:v1", "oci-layout:e:v1"])
            .args(dry)
            .run()
            .expect_code(2)
            .stderr_has(&layer)
            .stderr_has("is missing");
    }
}
