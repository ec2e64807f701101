//! Policies: every case in `testdata/vectors/policy`, the shipped ones, and the commands.

mod cluster;
mod commands;

use std::fs;
use std::path::Path;

use obreia::policy::{Document, Gathered, PolicyError, Suite, Want};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// `allowed`, `denied`, `undetermined`; `invalid` (no policy), `refused` (not at this stage).
    verdict: String,
    /// The first reason's code; of an invalid or refused policy, words of the error.
    reason: Option<String>,
    /// A note that must be there.
    note: Option<String>,
    /// The line that an error names.
    line: Option<u64>,
    now: Option<String>,
    /// Facts as in a file of cases.
    given: Option<Value>,
}

#[test]
fn vectors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/policy");
    let mut failures = Vec::new();
    let (mut allowed, mut other) = (0, 0);
    for entry in fs::read_dir(&dir).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&case).unwrap_or_else(|e| panic!("{name}: {e}"));
        *(if case.verdict == "allowed" {
            &mut allowed
        } else {
            &mut other
        }) += 1;
        if let Err(why) = hold(&folder, &case) {
            failures.push(format!("{name}: {why}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(
        allowed > 10 && other > 2 * allowed,
        "{allowed} allowed, {other} not"
    );
}

fn hold(folder: &Path, case: &Case) -> Result<(), String> {
    let answer = answer(folder, case);
    let words = case.reason.clone().unwrap_or_default();
    match (case.verdict.as_str(), answer) {
        ("invalid" | "refused", Err(error)) => {
            let text = error.to_string();
            let place = case.line.map(|line| format!("policy.yaml:{line}"));
            match place.filter(|place| !text.starts_with(place.as_str())) {
                Some(place) => Err(format!("not at {place}: {text}")),
                None if !text.contains(&words) => Err(format!("{words:?} is not in: {text}")),
                None => Ok(()),
            }
        }
        ("invalid" | "refused", Ok(_)) => Err("is taken for a policy".to_owned()),
        (_, Err(error)) => Err(error.to_string()),
        (_, Ok(differs)) if differs.is_empty() => Ok(()),
        (_, Ok(differs)) => Err(differs.join("; ")),
    }
}

/// What differs from what the case expects.
fn answer(folder: &Path, case: &Case) -> Result<Vec<String>, PolicyError> {
    let yaml = fs::read(folder.join("policy.yaml")).unwrap();
    let documents = Document::parse("policy.yaml", &yaml)?;
    let mut gathered = Gathered::default();
    for want in documents.iter().flat_map(Document::wants) {
        if let Want::Rules(name) = want {
            let text = fs::read(folder.join(&name)).unwrap();
            gathered.rules.insert(name, text);
        }
    }
    let mut given = case.given.clone().unwrap_or_else(
        || json!({ "artifact": { "kind": "model", "name": "fraud/v1" }, "stage": "manual" }),
    );
    if let Some(now) = &case.now {
        given["now"] = json!(now);
    }
    // TOML in place of YAML, and all of YAML's JSON: one format, one reader.
    let suite = json!({
        "apiVersion": "obreia/v1",
        "kind": "PolicyCases",
        "cases": [{
            "name": "case",
            "given": given,
            "expect": {
                "verdict": if case.given.is_some() && case.verdict != "refused" { &case.verdict } else { "allowed" },
                "notes": case.note.iter().collect::<Vec<_>>(),
                "wouldDeny": case.note.as_deref() == Some("would-deny"),
            },
        }],
    });
    let suite = Suite::parse("case.toml", suite.to_string().as_bytes())?;
    let results = suite.run(documents, &gathered)?;
    let mut differs = results[0].differs.clone();
    let first = results[0].reasons.first().map(|r| r.code.as_str());
    if first != case.reason.as_deref() {
        differs.push(format!(
            "the first reason is {first:?}, not {:?}: {:?}",
            case.reason, results[0].reasons
        ));
    }
    Ok(differs)
}
