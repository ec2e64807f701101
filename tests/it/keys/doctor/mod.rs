//! `obreia doctor`: what works, what does not, and what will not for long.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcp")]
mod gcp;
mod groups;
mod k8s;
mod keystore;
mod pkcs11;
mod policies;
mod vault;

use serde_json::Value;

use super::{obreia, place, records, run};
use crate::harness::{Output, Scratch};

const KEY: &str = "kms://model-sign/dev";

/// The report of a run that ended so.
#[track_caller]
fn report(out: &Output, exit: i32) -> Value {
    let report = out.expect_code(exit).json();
    assert_eq!(report["schema"], "obreia.doctor/v1", "{out}");
    assert_eq!(report["exit"], exit, "{out}");
    report
}

/// The checks of that name, in any group.
fn checks<'a>(report: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = report["checks"].as_array().unwrap().iter();
    all.filter(|found| found["check"] == check).collect()
}

/// The one check of that name about a subject with that text in it.
#[track_caller]
fn check<'a>(report: &'a Value, name: &str, subject: &str) -> &'a Value {
    let of_name = checks(report, name);
    let found: Vec<&Value> = of_name
        .into_iter()
        .filter(|found| found["subject"].as_str().unwrap().contains(subject))
        .collect();
    let exact = found.iter().find(|found| found["subject"] == subject);
    match (&found[..], exact) {
        (_, Some(exact)) => exact,
        ([only], None) => only,
        _ => panic!("{} checks {name} of {subject} in {report:#}", found.len()),
    }
}

/// It came out so, with that code, and says what to do.
#[track_caller]
fn is(check: &Value, result: &str, code: &str) {
    assert_eq!(
        (&check["result"], &check["code"]),
        (&result.into(), &code.into()),
        "{check:#}"
    );
    assert!(check["detail"].is_string(), "{check:#}");
}

/// All codes of warnings.
fn warnings(report: &Value) -> Vec<&str> {
    let all = report["checks"].as_array().unwrap().iter();
    all.filter(|check| check["result"] == "warning")
        .map(|check| check["code"].as_str().unwrap())
        .collect()
}

/// What of the log's records is about trying keys: phase and result.
fn probes(scratch: &Scratch) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    records(scratch)
        .iter()
        .filter(|record| record["op"] == "probe")
        .map(|record| (text(&record["phase"]).unwrap(), text(&record["result"])))
        .collect()
}

/// The text with the numbers before `ms` and `MiB` taken out.
fn steady(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        for at in 1..words.len() {
            let unit = words[at].trim_end_matches([',', ';']);
            if matches!(unit, "ms" | "MiB") {
                words[at - 1] = "[N]";
            }
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}
