//! Every case in `testdata/vectors/verify` and `testdata/vectors/bundle`, run
//! through the binary.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::harness::{Obreia, Output, testdata};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    about: String,
    /// What to verify, as on the command line.
    artifact: String,
    #[serde(default)]
    bundles: Vec<String>,
    key: Option<String>,
    #[serde(default)]
    policies: Vec<String>,
    stage: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    /// The time to decide for.
    now: String,
    verdict: String,
    /// The reasons' codes, all of them, in order.
    reasons: Vec<String>,
    notes: Vec<String>,
    exit: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    about: String,
    /// What `inspect` must say, on either stream.
    says: Vec<String>,
    exit: i32,
}

/// The cases of an area: the folder of each, and what it says.
fn cases<C: DeserializeOwned>(area: &str) -> Vec<(PathBuf, C)> {
    let mut found: Vec<_> = fs::read_dir(testdata("vectors").join(area))
        .expect("the area")
        .map(|entry| {
            let folder = entry.expect("an entry").path();
            let text = fs::read_to_string(folder.join("case.toml"));
            let text = text.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            let case = toml::from_str(&text);
            (
                folder.clone(),
                case.unwrap_or_else(|e| panic!("{}: {e}", folder.display())),
            )
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn fail(failures: &[String], all: usize) {
    assert!(all > 10, "only {all} cases were found");
    let count = failures.len();
    assert!(count == 0, "{count} of {all}:\n{}", failures.join("\n"));
}

#[test]
fn verify() {
    let cases = cases::<Verify>("verify");
    let mut failures = Vec::new();
    for (folder, case) in &cases {
        let out = run(folder, case);
        if let Err(why) = compare(case, &out) {
            let name = folder.file_name().expect("a name").to_string_lossy();
            failures.push(format!("{name} ({}): {why}\n{out}", case.about));
        }
    }
    fail(&failures, cases.len());
    // More is refused than accepted, or the cases prove little.
    let denied = cases.iter().filter(|(_, c)| c.exit != 0).count();
    assert!(denied * 3 > cases.len() * 2 - cases.len() / 3, "{denied}");
}

fn run(folder: &Path, case: &Verify) -> Output {
    let mut run = Obreia::new()
        .dir(folder)
        .args(["verify", &case.artifact, "-o", "json", "--at", &case.now])
        .args(&case.args);
    let named = case.key.iter().map(|key| ("--key", key));
    let named = named.chain(case.bundles.iter().map(|b| ("--bundle", b)));
    let named = named.chain(case.policies.iter().map(|p| ("--policy", p)));
    for (option, value) in named.chain(case.stage.iter().map(|s| ("--stage", s))) {
        run = run.args([option, value.as_str()]);
    }
    run.run()
}

fn compare(case: &Verify, out: &Output) -> Result<(), String> {
    let expect = |what: &str, found: &Value, wanted: Value| {
        if *found == wanted {
            return Ok(());
        }
        Err(format!("{what} is {found}, expected {wanted}"))
    };
    expect("the exit code", &out.code.into(), case.exit.into())?;
    let json: Value = serde_json::from_slice(&out.stdout_bytes).map_err(|e| e.to_string())?;
    expect(
        "the verdict",
        &json["verdict"],
        case.verdict.as_str().into(),
    )?;
    expect("checked_at", &json["checked_at"], case.now.as_str().into())?;
    let codes = |list: &str| -> Value {
        let list = json[list].as_array().into_iter().flatten();
        list.map(|r| r["code"].clone()).collect()
    };
    expect(
        "the reasons",
        &codes("reasons"),
        case.reasons.clone().into(),
    )?;
    expect("the notes", &codes("notes"), case.notes.clone().into())
}

#[test]
fn bundle() {
    let cases = cases::<Bundle>("bundle");
    let mut failures = Vec::new();
    for (folder, case) in &cases {
        let out = Obreia::new()
            .dir(folder)
            .args(["inspect", "bundle.json"])
            .run();
        let said = |text: &&String| out.stdout.contains(*text) || out.stderr.contains(*text);
        let unsaid: Vec<_> = case.says.iter().filter(|t| !said(t)).collect();
        if out.code != Some(case.exit) || !unsaid.is_empty() || case.says.is_empty() {
            let name = folder.file_name().expect("a name").to_string_lossy();
            failures.push(format!("{name} ({}): unsaid {unsaid:?}\n{out}", case.about));
        }
    }
    fail(&failures, cases.len());
}
