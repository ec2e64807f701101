//! Bills of materials: every case in `testdata/vectors/sbom`.

use std::fs;
use std::path::Path;

use obreia::sbom::{self, SbomError};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    verdict: String,
    version: Option<String>,
    components: Option<usize>,
    relationships: Option<usize>,
    name: Option<String>,
    id: Option<String>,
    /// Where one of the listed departures must be.
    path: Option<String>,
    /// What the message must contain; at `path`, where there is one.
    reason: Option<String>,
}

#[test]
fn vectors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/sbom");
    let mut failures = Vec::new();
    let (mut valid, mut refused) = (0, 0);
    for entry in fs::read_dir(&dir).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&case).unwrap_or_else(|e| panic!("{name}: {e}"));
        let result = sbom::validate(&fs::read(folder.join("document.json")).unwrap());
        *(if result.is_ok() {
            &mut valid
        } else {
            &mut refused
        }) += 1;
        if let Err(why) = compare(&case, &result) {
            failures.push(format!("{name}: {why}\n  {result:?}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(
        refused > 2 * valid && valid > 6,
        "{valid} valid, {refused} refused"
    );
}

fn compare(case: &Case, result: &Result<sbom::SbomDocument, SbomError>) -> Result<(), String> {
    let verdict = match result {
        Ok(_) => "valid",
        Err(SbomError::Invalid { .. }) => "invalid",
        Err(SbomError::Version { .. }) => "version",
        Err(SbomError::Unknown) => "unknown",
        Err(SbomError::Json(_)) => "json",
        Err(SbomError::NotCompiled(_)) => "not-compiled",
    };
    same("verdict", &Some(case.verdict.clone()), &verdict.to_owned())?;
    match result {
        Ok(document) => {
            same("version", &case.version, &document.version)?;
            same("components", &case.components, &document.component_count)?;
            same(
                "relationships",
                &case.relationships,
                &document.relationship_count,
            )?;
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            same("name", &case.name, &text(&document.name))?;
            same("id", &case.id, &text(&document.id))
        }
        Err(error) => refused(case, error),
    }
}

fn refused(case: &Case, error: &SbomError) -> Result<(), String> {
    let message = error.to_string();
    let reason = case.reason.as_deref().unwrap_or_default();
    if !message.contains(reason) {
        return Err(format!("the message has no {reason:?}: {message}"));
    }
    let SbomError::Invalid {
        version,
        violations,
        ..
    } = error
    else {
        return Ok(());
    };
    same("version", &case.version, version)?;
    if let Some(path) = &case.path
        && !violations.listed().iter().any(|v| v.path == *path)
    {
        return Err(format!("nothing at {path}: {message}"));
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &Option<T>,
    found: &T,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => {
            Err(format!("{what} should be {expected:?}, is {found:?}"))
        }
        _ => Ok(()),
    }
}

#[test]
fn a_document_over_the_limit_is_refused_unread() {
    let bytes = vec![b' '; usize::try_from(obreia::limits::DOCUMENT).unwrap() + 1];
    let error = sbom::validate(&bytes).unwrap_err().to_string();
    assert!(error.contains("the limit is"), "{error}");
}

/// Whatever stands at one place instead of what belongs there: an answer, and
/// a refusal names a place.
#[test]
fn any_single_replacement_is_answered() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/sbom");
    for name in [
        "cyclonedx-1.6-ml-bom",
        "spdx-2.3-files-and-snippets",
        "spdx-3.0.1-valid",
    ] {
        let bytes = fs::read(dir.join(name).join("document.json")).unwrap();
        let whole: Value = serde_json::from_slice(&bytes).unwrap();
        let mut pointers = Vec::new();
        places(&whole, String::new(), &mut pointers);
        assert!(pointers.len() > 40, "{name}");
        let mut refused = 0;
        for pointer in &pointers {
            for other in [
                json!(null),
                json!([]),
                json!({}),
                json!([[{}]]),
                json!("\0"),
                json!(-1.5),
            ] {
                let mut changed = whole.clone();
                *changed.pointer_mut(pointer).unwrap() = other;
                match sbom::validate_tree(&changed) {
                    Err(SbomError::Invalid { violations, .. }) => {
                        assert!(violations.listed()[0].path.starts_with('/'), "{pointer}");
                        refused += 1;
                    }
                    Err(_) => refused += 1,
                    Ok(_) => {}
                }
            }
        }
        // What may be anything is rare: free texts, and lists that may be empty.
        assert!(refused * 10 > pointers.len() * 6 * 8, "{name}: {refused}");
    }
}

fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            places(value, format!("{at}/{key}"), found);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            places(value, format!("{at}/{index}"), found);
        }),
        _ => {}
    }
    found.push(at);
}
