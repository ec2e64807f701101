//! The ML-BOM that obreia writes, judged by its own validator, which holds the
//! official schemas.

use std::fs;

use obreia::canon::canonical;
use obreia::crypto::sha256;
use obreia::digest::Identity;
use obreia::model::format::detect;
use obreia::model::mlbom::{FileEntry, ModelDescription, Serial, build};
use obreia::sbom::validate_tree;
use obreia::time::Timestamp;
use serde_json::{Value, json};

use crate::harness::testdata;

fn entry(path: &str, bytes: &[u8]) -> FileEntry {
    let mut content = bytes;
    FileEntry {
        path: path.to_owned(),
        size: bytes.len() as u64,
        sha256: sha256(bytes),
        detected: detect(&mut content).unwrap(),
    }
}

fn quickstart() -> Vec<FileEntry> {
    [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    .map(|name| entry(name, &fs::read(testdata(&format!("model/{name}"))).unwrap()))
    .into()
}

fn described<'a>(files: &'a [FileEntry], identity: Identity) -> ModelDescription<'a> {
    ModelDescription {
        name: "char-bigram",
        version: Some("1.0"),
        identity,
        files,
        created: Timestamp::from_secs(1_790_000_000),
        serial: Serial::Derived,
    }
}

fn properties(component: &Value, name: &str) -> Vec<String> {
    component["properties"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["name"] == name)
        .map(|p| p["value"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn of_the_model_of_the_quickstart() {
    let files = quickstart();
    let directory = Identity::Directory(sha256(b"stands for a dirHash"));
    let bom = build(&described(&files, directory));
    validate_tree(&bom).unwrap();

    let model = &bom["metadata"]["component"];
    assert_eq!(model["type"], "machine-learning-model");
    assert_eq!(model["name"], "char-bigram");
    // No bytes have that digest: it must not pass for a hash of the model.
    assert_eq!(model["hashes"], Value::Null);
    assert_eq!(
        properties(model, "obreia:identity"),
        [directory.to_string()]
    );
    assert_eq!(properties(model, "obreia:code-carrying"), ["false"]);
    assert_eq!(
        properties(model, "obreia:format"),
        ["json", "safetensors", "text"]
    );
    assert_eq!(
        model["modelCard"]["modelParameters"],
        json!({"architectureFamily": "char-bigram", "modelArchitecture": "CharBigramLM"})
    );
    assert_eq!(
        properties(&model["modelCard"], "obreia:parameters"),
        ["3634"]
    );
    assert_eq!(model["licenses"][0]["license"]["name"], "apache-2.0");

    let weights = &bom["components"][2];
    assert_eq!(weights["name"], "model.safetensors");
    assert_eq!(weights["hashes"][0]["content"], files[2].sha256.hex());
    assert_eq!(
        properties(weights, "obreia:size"),
        [files[2].size.to_string()]
    );
    assert_eq!(properties(weights, "obreia:safetensors:dtypes:F32"), ["2"]);
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let files = quickstart();
    let identity = Identity::Directory(sha256(b"stands for a dirHash"));
    let one = build(&described(&files, identity));
    assert_eq!(
        canonical(&one),
        canonical(&build(&described(&files, identity)))
    );

    // Anything that differs gives another number.
    let other = Identity::Directory(sha256(b"another"));
    let mut later = described(&files, identity);
    later.created = Timestamp::from_secs(1_790_000_001);
    let mut fewer = described(&files, identity);
    fewer.files = &files[1..];
    for different in [described(&files, other), later, fewer] {
        assert_ne!(build(&different)["serialNumber"], one["serialNumber"]);
    }

    let serial = one["serialNumber"].as_str().unwrap();
    assert_eq!(&serial[..9], "urn:uuid:");
    assert_eq!(&serial[23..24], "8", "a UUID of version 8: {serial}");

    let mut random = described(&files, identity);
    random.serial = Serial::Random([0xff; 16]);
    assert_eq!(
        build(&random)["serialNumber"],
        "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff"
    );
}

#[test]
fn of_one_file_has_its_hash() {
    let files = [entry("w", b"\x80\x02cposix\ngetcwd\n)R.")];
    let mut model = described(&files, Identity::Content(files[0].sha256));
    model.version = None;
    let bom = build(&model);
    validate_tree(&bom).unwrap();
    let component = &bom["metadata"]["component"];
    assert_eq!(component["hashes"][0]["content"], files[0].sha256.hex());
    assert_eq!(component["version"], Value::Null);
    assert_eq!(component["modelCard"], Value::Null);
    assert_eq!(properties(component, "obreia:code-carrying"), ["true"]);
    assert_eq!(
        properties(&bom["components"][0], "obreia:code"),
        ["pickle: import: posix.getcwd"]
    );
}

#[test]
fn of_every_format_is_valid() {
    let mut files = Vec::new();
    for folder in fs::read_dir(testdata("vectors/format")).unwrap() {
        let folder = folder.unwrap();
        let bytes = fs::read(folder.path().join("input")).unwrap();
        files.push(entry(&folder.file_name().to_string_lossy(), &bytes));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 200);
    let identity = Identity::Directory(sha256(b"stands for a dirHash"));
    let document = validate_tree(&build(&described(&files, identity))).unwrap();
    assert_eq!(document.component_count, files.len());
}

#[test]
fn of_a_model_without_files_is_valid() {
    let identity = Identity::Directory(sha256(b""));
    validate_tree(&build(&described(&[], identity))).unwrap();
}
