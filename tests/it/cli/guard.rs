//! `obreia guard`: nothing unverified starts.

use std::fs;

use serde_json::Value;

use super::{denied, model, policy, private, public, refused, sign, signed_blob, signed_model};
use crate::harness::{Output, Scratch};

fn guard(scratch: &Scratch, args: &[&str]) -> Output {
    let key = public("p256");
    scratch
        .obreia()
        .args(["guard", "--key", &key])
        .args(args)
        .run()
}

fn tamper(scratch: &Scratch) {
    scratch.write("m/weights.bin", "changed");
}

#[test]
fn without_a_command_the_codes_are_the_verdicts() {
    let scratch = signed_model();
    guard(&scratch, &["m"]).ok().stdout_has("ALLOWED");
    tamper(&scratch);
    let out = guard(&scratch, &["m"]);
    out.expect_code(1).stdout_has("model-file-changed");
    let out = scratch.obreia().args(["guard", "m"]).run();
    refused(&out, 2, &["nothing says whose word counts"]);
}

#[test]
fn with_a_command_denied_is_126_and_anything_else_125() {
    let scratch = signed_model();
    let out = guard(&scratch, &["m", "--", "sh", "-c", "echo ran"]);
    out.ok().stdout_has("ran").stderr_has("ALLOWED");
    tamper(&scratch);
    let run = ["--", "touch", "started"];
    let out = guard(&scratch, &[&["m"], &run[..]].concat());
    out.expect_code(126).stderr_has("model-file-changed");
    assert!(out.stdout.is_empty(), "it belongs to the command\n{out}");
    for bad in [
        &["absent"][..],
        &["m", "--bundle", "absent"],
        &["m", "--no-such-option"],
        &["m", "--policy", "absent.yaml"],
        &["m", "--name", "a", "m/config.json"],
        &["m", "--kind", "blob"],
    ] {
        guard(&scratch, &[bad, &run[..]].concat()).expect_code(125);
    }
    assert!(!scratch.join("started").exists());
    // A command that is not there.
    let scratch = signed_model();
    refused(
        &guard(&scratch, &["m", "--", "no-such-program"]),
        125,
        &["no-such-program"],
    );
    refused(
        &guard(&scratch, &["m", "--", "./m/config.json"]),
        125,
        &["config.json"],
    );
}

#[test]
fn results_as_json_go_to_standard_error_beside_a_command() {
    let scratch = signed_model();
    let out = guard(&scratch, &["m", "-o", "json", "--", "echo", "ran"]);
    out.ok();
    assert_eq!(out.stdout, "ran\n");
    let report: Value = serde_json::from_str(&out.stderr).expect("JSON");
    assert_eq!(report["schema"], "obreia.guard/v1");
    assert_eq!(report["verdict"], "allowed");
}

#[test]
fn one_target_that_is_denied_denies_all() {
    let scratch = signed_model();
    scratch.write("app.bin", "x");
    fs::create_dir(scratch.join("into")).unwrap();
    let out = guard(
        &scratch,
        &["m", "app.bin", "--into", "into", "--", "touch", "started"],
    );
    out.expect_code(126).stderr_has("no-signature");
    assert!(!scratch.join("started").exists());
    let left: Vec<_> = fs::read_dir(scratch.join("into")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    sign(&scratch, "app.bin", "p256");
    guard(&scratch, &["m", "app.bin", "--into", "into"]).ok();
    assert_eq!(scratch.read("into/app.bin"), b"x");
    assert_eq!(scratch.read("into/m/weights.bin"), [7; 4096]);
}

#[test]
fn one_target_that_cannot_be_read_stops_all() {
    let scratch = signed_model();
    let out = guard(
        &scratch,
        &["m", "./absent", "--into", "into", "--", "touch", "started"],
    );
    refused(&out, 125, &["absent"]);
    let files = scratch.files();
    assert!(!files.iter().any(|f| f.starts_with("into/")), "{files:?}");
    assert!(!scratch.join("started").exists());
}

#[test]
fn copies_do_not_collide() {
    let scratch = signed_model();
    scratch.write("n/m/config.json", "{}");
    sign(&scratch, "n/m", "p256");
    let out = guard(&scratch, &["m", "n/m", "--into", "into"]);
    refused(&out, 2, &["same place", "n/m"]);
    guard(&scratch, &["m", "--into", "into"]).ok();
    let out = guard(&scratch, &["m", "--into", "into"]);
    refused(&out, 2, &["into/m exists already"]);
    assert_eq!(scratch.read("into/m/weights.bin"), [7; 4096]);
    let out = guard(&scratch, &["m", "--into", "m/inside"]);
    refused(&out, 2, &["lies inside"]);
    assert!(!scratch.join("m/inside/m").exists());
}

#[test]
fn a_report_is_written_whatever_the_verdict() {
    let scratch = signed_model();
    let report = |scratch: &Scratch| -> Value {
        serde_json::from_slice(&scratch.read("r.json")).expect("JSON")
    };
    let run = |scratch: &Scratch, target: &str| {
        guard(scratch, &[target, "--report", "r.json", "--", "true"])
    };
    run(&scratch, "m").ok();
    let allowed = report(&scratch);
    assert_eq!(allowed["schema"], "obreia.guard/v1");
    assert_eq!(allowed["verdict"], "allowed");
    assert_eq!(allowed["verdicts"][0]["stage"], "startup");
    tamper(&scratch);
    run(&scratch, "m").expect_code(126);
    let refusal = report(&scratch);
    assert_eq!(refusal["verdict"], "denied");
    let code = &refusal["verdicts"][0]["reasons"][0]["code"];
    assert_eq!(code, "model-file-changed");
    // An older report must not outlive a run that could not decide.
    scratch.write("r.json", allowed.to_string());
    run(&scratch, "./absent").expect_code(125);
    let undecided = report(&scratch);
    assert_eq!(undecided["verdict"], "undetermined");
    assert_eq!(undecided["error"]["code"], "artifact-unreadable");
    assert!(scratch.files().iter().all(|f| !f.contains(".partial")));
    // A report that cannot be written is no start.
    let scratch = signed_model();
    let args = ["m", "--report", "no/such/r.json", "--", "touch", "started"];
    guard(&scratch, &args).expect_code(125);
    assert!(!scratch.join("started").exists());
}

#[test]
fn what_can_change_is_denied_by_policy_and_a_note_by_key() {
    let scratch = signed_model();
    policy(&scratch, "p", &["p256"], "");
    policy(&scratch, "lax", &["p256"], "mutable: allow");
    let run = |policy: &str, more: &[&str]| {
        let args = ["guard", "m", "-o", "json", "--policy", policy];
        scratch.obreia().args(args).args(more).run()
    };
    let out = run("p.yaml", &[]);
    out.expect_code(1);
    let codes = super::codes(&out.json()["verdicts"][0], "reasons");
    assert_eq!(codes, ["mutable"]);
    run("p.yaml", &["--into", "into"]).ok();
    run("lax.yaml", &[]).ok();
    let out = guard(&scratch, &["m", "-o", "json"]);
    out.ok();
    assert_eq!(
        super::codes(&out.json()["verdicts"][0], "notes"),
        ["mutable"]
    );
}

#[test]
fn a_warning_policy_starts_nothing() {
    let scratch = model();
    policy(&scratch, "w", &["p256"], "mode: warn");
    let args = ["guard", "m", "--policy", "w.yaml", "--", "touch", "started"];
    let out = scratch.obreia().args(args).run();
    out.expect_code(125).stderr_has("warn");
    assert!(!scratch.join("started").exists());
    let out = super::verify(&scratch, &["m", "--policy", "w.yaml"]);
    let json = super::allowed(&out);
    assert_eq!(json["would_deny"], true);
    assert_eq!(super::codes(&json, "notes")[0], "would-deny");
}

#[test]
fn a_policy_for_another_stage_or_name_is_no_policy() {
    let scratch = signed_blob("p256");
    policy(&scratch, "p", &["p256"], "stages: [promotion]");
    let out = super::verify(&scratch, &["app.bin", "--policy", "p.yaml"]);
    denied(&out, "no-policy");
    let args = [
        "guard", "app.bin", "--policy", "p.yaml", "--", "touch", "started",
    ];
    let out = scratch.obreia().args(args).run();
    out.expect_code(126).stderr_has("no-policy");
    let text = scratch.read_text("p.yaml").replace("\"**\"", "\"prod/*\"");
    scratch.write("q.yaml", text.replace("[promotion]", "[manual]"));
    let args = ["app.bin", "--policy", "q.yaml"];
    denied(&super::verify(&scratch, &args), "no-policy");
    let named = [&args[..], &["--name", "prod/app"]].concat();
    super::allowed(&super::verify(&scratch, &named));
}

#[test]
fn the_keys_of_the_guard_are_public() {
    // A private key file names its public half, and is enough to verify with.
    let scratch = signed_model();
    let args = ["guard", "m", "--key", &private("p256")];
    scratch.obreia().args(args).run().ok();
}
