//! What is refused, how it is said, and that nothing half written is left.

use serde_json::json;

use super::{blob, model, run};
use crate::harness::Scratch;

fn pushed(scratch: &Scratch) -> String {
    model(scratch);
    let out = run(scratch, ["push", "m", "oci-layout:l:v1", "-o", "json"]);
    out.ok().json()["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_changed_layer_is_named_and_nothing_is_pulled() {
    let scratch = Scratch::new();
    pushed(&scratch);
    let layer = obreia::crypto::sha256(b"aaaa").to_string();
    std::fs::write(blob(&scratch, "l", &layer), b"aaab").unwrap();
    let before = scratch.files();
    run(&scratch, ["pull", "oci-layout:l:v1", "out"])
        .expect_code(1)
        .stderr_has(&layer)
        .stderr_has("holds other bytes");
    assert_eq!(scratch.files(), before);
    assert!(!scratch.join("out").exists());
    run(&scratch, ["copy", "oci-layout:l:v1", "oci-layout:d:v1"]).expect_code(1);
    // The tag comes last: the destination has none.
    run(&scratch, ["tree", "oci-layout:d:v1"])
        .expect_code(2)
        .stderr_has("has no tag");
}

#[test]
fn a_changed_manifest_is_named() {
    let scratch = Scratch::new();
    let digest = pushed(&scratch);
    let path = blob(&scratch, "l", &digest);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("weights/a.bin", "weights/c.bin", 1)).unwrap();
    for command in ["tree", "pull", "copy"] {
        let mut args = vec![command, "oci-layout:l:v1"];
        args.extend(match command {
            "pull" => Some("out"),
            "copy" => Some("oci-layout:d"),
            _ => None,
        });
        let out = scratch.obreia().args(args).run();
        out.expect_code(1).stderr_has(&digest);
    }
}

#[test]
fn names_that_lead_nowhere_or_to_several() {
    let scratch = Scratch::new();
    pushed(&scratch);
    run(&scratch, ["tree", "oci-layout:l:v2"])
        .expect_code(2)
        .stderr_has("has no tag \"v2\"; it has v1");
    run(&scratch, ["tree", "oci-layout:none:v2"])
        .expect_code(2)
        .stderr_has("oci-layout");
    scratch.write("m/config.json", b"2");
    run(&scratch, ["push", "m", "oci-layout:l:v2"]).ok();
    run(&scratch, ["tree", "oci-layout:l"])
        .expect_code(2)
        .stderr_has("several images, name one: ")
        .stderr_has("v1")
        .stderr_has("v2");
    for bad in [
        "oci-layout:l@sha256:../../../etc/passwd",
        "oci-layout:l@sha256:abcd",
        "oci-layout:l@md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        run(&scratch, ["tree", bad]).expect_code(2);
    }
    run(&scratch, ["push", "m", "m"])
        .expect_code(2)
        .stderr_has("is not an OCI layout");
    let digest = format!("oci-layout:l@sha256:{}", "a".repeat(64));
    run(&scratch, ["push", "m", &digest])
        .expect_code(2)
        .stderr_has("name a tag");
    run(
        &scratch,
        [
            "promote",
            "oci-layout:l:v1",
            "./somewhere",
            "--key",
            "k.pub",
        ],
    )
    .expect_code(2)
    .stderr_has("is not an OCI layout");
}

#[test]
fn an_existing_folder_is_never_pulled_into() {
    let scratch = Scratch::new();
    pushed(&scratch);
    scratch.write("out/mine", b"x");
    let before = scratch.files();
    run(&scratch, ["pull", "oci-layout:l:v1", "out"])
        .expect_code(2)
        .stderr_has("exists already");
    assert_eq!(scratch.files(), before);
    // Nothing was read for it: a damaged layer is not what is told.
    let layer = obreia::crypto::sha256(b"aaaa").to_string();
    std::fs::write(blob(&scratch, "l", &layer), b"aaab").unwrap();
    run(&scratch, ["pull", "oci-layout:l:v1", "out"])
        .expect_code(2)
        .stderr_has("exists already");
}

#[test]
fn a_folder_of_something_else_is_not_pushed_into() {
    let scratch = Scratch::new();
    model(&scratch);
    scratch.write("home/thesis.doc", b"x");
    run(&scratch, ["push", "m", "oci-layout:home:v1"])
        .expect_code(2)
        .stderr_has("thesis.doc");
    assert!(!scratch.join("home/index.json").exists());
}

#[test]
fn hostile_paths_in_a_manifest_write_nothing() {
    let scratch = Scratch::new();
    let digest = pushed(&scratch);
    let text = std::fs::read_to_string(blob(&scratch, "l", &digest)).unwrap();
    for bad in [
        "../../escaped",
        "/tmp/escaped",
        "config.json",
        "config.json/x",
    ] {
        let hostile = text.replace("weights/a.bin", bad);
        let new = obreia::crypto::sha256(hostile.as_bytes());
        std::fs::write(blob(&scratch, "l", &new.to_string()), &hostile).unwrap();
        let before = scratch.files();
        run(&scratch, ["pull", &format!("oci-layout:l@{new}"), "out"]).expect_code(2);
        assert_eq!(scratch.files(), before, "{bad}");
    }
}

#[test]
fn a_container_image_is_not_pulled() {
    let scratch = Scratch::new();
    let layout = obreia::source::layout::Layout::create(scratch.join("l")).unwrap();
    let config = layout
        .put_blob("application/vnd.oci.image.config.v1+json", b"{}")
        .unwrap();
    let image = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [],
    });
    let image = layout
        .put_blob(
            "application/vnd.oci.image.manifest.v1+json",
            image.to_string().as_bytes(),
        )
        .unwrap();
    layout.tag("v1", &image).unwrap();
    run(&scratch, ["pull", "oci-layout:l:v1", "out"])
        .expect_code(2)
        .stderr_has("is a container image")
        .stderr_has("obreia copy");
}

#[test]
fn a_malformed_index_is_told_with_its_place() {
    let scratch = Scratch::new();
    pushed(&scratch);
    for (text, why) in [
        ("{", "EOF"),
        (
            r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
            "stands twice",
        ),
        (
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            "two ways",
        ),
        (
            r#"{"schemaVersion":1,"manifests":[]}"#,
            "schemaVersion is 1",
        ),
    ] {
        std::fs::write(scratch.join("l/index.json"), text).unwrap();
        run(&scratch, ["tree", "oci-layout:l:v1"])
            .expect_code(2)
            .stderr_has("l/index.json")
            .stderr_has(why);
    }
}
