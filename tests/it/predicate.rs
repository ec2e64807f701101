//! Typed predicates: every case in `testdata/vectors/predicate`.

use std::fs;
use std::path::Path;

use obreia::sbom::SbomError;
use obreia::shape::Violations;
use obreia::statement::predicate::{self, PredicateError};
use obreia::{canon, limits};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// A name or a URI, as `--type` takes it.
    r#type: String,
    verdict: String,
    /// Where one of the listed departures must be.
    path: Option<String>,
    /// What the message must contain.
    reason: Option<String>,
}

#[test]
fn vectors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/predicate");
    let mut failures = Vec::new();
    let (mut valid, mut refused) = (0, 0);
    for entry in fs::read_dir(&dir).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&case).unwrap_or_else(|e| panic!("{name}: {e}"));
        let bytes = fs::read(folder.join("predicate.json")).unwrap();
        let value = canon::parse(&bytes, limits::DOCUMENT).unwrap();
        let result = predicate::resolve(&case.r#type).and_then(|t| t.validate(&value));
        *(if result.is_ok() {
            &mut valid
        } else {
            &mut refused
        }) += 1;
        if let Err(why) = compare(&case, &result) {
            failures.push(format!("{name}: {why}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(
        refused > 2 * valid && valid > 12,
        "{valid} valid, {refused} refused"
    );
}

fn compare(case: &Case, result: &Result<(), PredicateError>) -> Result<(), String> {
    let none = Violations::default();
    let (verdict, violations) = match result {
        Ok(()) => ("valid", &none),
        Err(PredicateError::Invalid { violations, .. }) => ("invalid", violations),
        Err(PredicateError::Sbom(SbomError::Invalid { violations, .. })) => ("sbom", violations),
        Err(PredicateError::Sbom(_)) => ("sbom", &none),
        Err(PredicateError::Name(_)) => ("name", &none),
    };
    let message = result
        .as_ref()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default();
    if verdict != case.verdict {
        return Err(format!(
            "should be {}, is {verdict}: {message}",
            case.verdict
        ));
    }
    let reason = case.reason.as_deref().unwrap_or_default();
    if !message.contains(reason) {
        return Err(format!("the message has no {reason:?}: {message}"));
    }
    match &case.path {
        Some(path) if !violations.listed().iter().any(|v| v.path == *path) => {
            Err(format!("nothing at {path}: {message}"))
        }
        _ => Ok(()),
    }
}
