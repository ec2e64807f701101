//! What a model file really is: every case in `testdata/vectors/format`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use obreia::limits;
use obreia::model::format::{Detected, Kind, Reason, detect};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::harness::testdata;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code)]
    what: String,
    formats: BTreeSet<String>,
    /// The reasons, over all formats, that it carries code; empty: it does not.
    code: BTreeSet<String>,
    malformed: bool,
    /// Words that must stand in the facts' JSON.
    #[serde(default)]
    says: Vec<String>,
    /// `FORMAT.KEY` and the value in that format's metadata.
    #[serde(default)]
    facts: BTreeMap<String, Value>,
}

#[test]
fn vectors() {
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    for entry in fs::read_dir(testdata("vectors/format")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&case).unwrap_or_else(|e| panic!("{name}: {e}"));
        let input = fs::read(folder.join("input")).unwrap();
        let found = detect(&mut input.as_slice()).unwrap();
        let facts = serde_json::to_value(&found).unwrap();
        for why in compare(&case, &facts, found.malformed(), found.code_carrying()) {
            failures.push(format!("{name}: {why}\n  {facts}"));
        }
        seen.extend(case.formats);
        reasons.extend(case.code);
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
    // Every id and every reason has a case.
    let ids: BTreeSet<_> = Kind::ALL.iter().map(|k| k.id().to_owned()).collect();
    assert_eq!(seen, ids);
    let all: BTreeSet<_> = Reason::ALL.iter().map(|r| r.id().to_owned()).collect();
    assert_eq!(reasons, all);
}

fn compare(case: &Case, facts: &Value, malformed: bool, carries: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let list = facts.as_array().unwrap();
    let text = facts.to_string();
    let formats: BTreeSet<_> = list
        .iter()
        .map(|f| f["format"].as_str().unwrap().to_owned())
        .collect();
    let code: BTreeSet<_> = list
        .iter()
        .flat_map(|f| f["code"].as_array().cloned().unwrap_or_default())
        .map(|c| c["reason"].as_str().unwrap().to_owned())
        .collect();
    if formats != case.formats {
        wrong.push(format!("formats {formats:?}, expected {:?}", case.formats));
    }
    if code != case.code || carries == case.code.is_empty() {
        wrong.push(format!("code {code:?}, expected {:?}", case.code));
    }
    if malformed != case.malformed {
        wrong.push(format!("malformed is {malformed}"));
    }
    for word in &case.says {
        if !text.contains(word) {
            wrong.push(format!("does not say {word:?}"));
        }
    }
    for (path, expected) in &case.facts {
        let (format, key) = path.split_once('.').unwrap();
        let found = list
            .iter()
            .find(|f| f["format"] == format)
            .map_or(&Value::Null, |f| &f["metadata"][key]);
        if found != expected {
            wrong.push(format!("{path} is {found}, expected {expected}"));
        }
    }
    wrong
}

fn found(bytes: &[u8]) -> Detected {
    let mut content = bytes;
    detect(&mut content).unwrap()
}

#[test]
fn the_outermost_format_comes_first() {
    let found = found(&fs::read(testdata("vectors/format/tar-gz/input")).unwrap());
    let order: Vec<_> = found
        .formats
        .iter()
        .map(|f| (f.kind, f.within.as_deref()))
        .collect();
    assert_eq!(
        order,
        [
            (Kind::Gzip, None),
            (Kind::Tar, Some("gzip")),
            (Kind::Pickle, Some("gzip!/w"))
        ]
    );
}

#[test]
fn the_model_of_the_quickstart() {
    for (name, ids) in [
        ("README.md", "text"),
        ("config.json", "json"),
        ("model.safetensors", "safetensors"),
        ("tokenizer.json", "json"),
    ] {
        let found = found(&fs::read(testdata(&format!("model/{name}"))).unwrap());
        assert_eq!(found.ids(), [ids], "{name}");
        assert!(!found.code_carrying() && !found.malformed(), "{name}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = fs::read_dir(testdata("vectors/format"))
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path().join("input")).unwrap())
        .filter(|bytes| bytes.len() < 100_000)
        .collect();
    seeds.sort();
    seeds
}

// Whatever the bytes are, there is an answer, within bounds.
fn answers(bytes: &[u8]) {
    let found = found(bytes);
    assert!(!found.formats.is_empty());
    assert!(found.formats.len() <= limits::FORMAT_FACTS);
    for format in &found.formats {
        assert!(format.code.len() <= limits::FORMAT_MARKS);
        assert!(format.malformed.len() <= limits::FORMAT_MARKS);
        for text in format
            .code
            .iter()
            .map(|c| &c.detail)
            .chain(&format.malformed)
        {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_models_have_an_answer(
        seed in 0usize..10_000,
        edits in prop::collection::vec((0usize..100_000, prop::sample::select(vec![0u8, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'.', b'R', b'(']), 0usize..9), 1..8),
        cut in 0usize..200_000,
    ) {
        let seeds = seeds();
        let mut bytes = seeds[seed % seeds.len()].clone();
        for (at, byte, run) in edits {
            if !bytes.is_empty() {
                let at = at % bytes.len();
                let end = (at + run).min(bytes.len());
                bytes[at..end].fill(byte);
            }
        }
        bytes.truncate(cut.max(1));
        answers(&bytes);
    }

    #[test]
    fn two_models_in_one_file_have_an_answer(a in 0usize..10_000, b in 0usize..10_000) {
        let seeds = seeds();
        answers(&[&seeds[a % seeds.len()][..], &seeds[b % seeds.len()]].concat());
    }
}
