//! `obreia policy`, and policies in use.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Scratch, testdata};

fn shipped(ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

#[test]
fn shipped_policies_are_sound_and_do_as_their_cases_say() {
    let scratch = Scratch::new();
    let all = [shipped(".yaml"), shipped(".rego")].concat();
    let cases = shipped(".cases.yaml");
    assert!(cases.len() >= 7, "{cases:?}");
    scratch
        .obreia()
        .args(["policy", "check"])
        .args(&all)
        .run()
        .ok();
    let output = scratch.obreia().args(["policy", "test"]).args(&cases).run();
    output.ok().stdout_lacks("FAIL");
    for name in [
        "startup",
        "promotion",
        "admission",
        "gateway",
        "key-usage",
        "key-usage-v0",
    ] {
        output.stdout_has(&format!("ok   {}", first_case(name)));
    }
}

fn first_case(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/{name}.cases.yaml"));
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("  - name: "));
    line.unwrap().to_owned()
}

const POLICY: &str = "apiVersion: obreia/v1
kind: VerificationPolicy
metadata: { name: p }
spec:
  match: [{ kind: model, name: \"fraud/**\" }]
  authorities: [{ name: sec, key: sec.pem }]
";

/// A folder with a key, a policy that names it, and a model.
fn scene(rest: &str) -> Scratch {
    let scratch = Scratch::new();
    for (name, file) in [
        ("sec.pem", "p256.pub.pem"),
        ("sec.key", "p256.pkcs8.pem"),
        ("other.key", "p384.pkcs8.pem"),
    ] {
        scratch.write(name, fs::read(testdata("keys").join(file)).unwrap());
    }
    scratch.write("p.yaml", format!("{POLICY}{rest}"));
    scratch.write("fraud/v1/config.json", "{}");
    scratch
}

#[test]
fn check_names_file_line_and_field() {
    let scratch = scene("  signatures: { from: [se] }\n");
    let output = scratch.obreia().args(["policy", "check", "p.yaml"]).run();
    output
        .expect_code(3)
        .stdout_has("p.yaml:7:")
        .stdout_has("spec.signatures.from[0]")
        .stdout_has("did you mean \"sec\"?");
    let json = scratch
        .obreia()
        .args(["policy", "check", "p.yaml", "-o", "json"])
        .run()
        .json();
    assert_eq!(json["schema"], "obreia.policy-check/v1");
    assert_eq!(json["ok"], false);
}

#[test]
fn check_finds_what_can_never_be() {
    let scratch = scene("  mode: warn\n  signatures: { formats: [notation] }\n");
    scratch
        .obreia()
        .args(["policy", "check", "p.yaml"])
        .run()
        .expect_code(3)
        .stdout_has("spec.mode")
        .stdout_has("spec.signatures.formats");
    let scratch = scene("  rules: r.rego\n");
    let check = || scratch.obreia().args(["policy", "check", "p.yaml"]).run();
    check().expect_code(3).stdout_has("r.rego");
    scratch.write("r.rego", "package obreia\n\nallow if {\n");
    check().expect_code(3).stdout_has("r.rego:4");
    scratch.write("r.rego", "package obreia\n\nallow := true\n");
    check().ok();
}

#[test]
fn a_failing_case_fails_and_says_why() {
    let scratch = scene("");
    scratch.write(
        "p.cases.yaml",
        "apiVersion: obreia/v1
kind: PolicyCases
cases:
  - name: hopeful
    given: { artifact: { kind: model, name: fraud/v1 }, stage: manual }
    expect: { verdict: allowed }
",
    );
    let test = || scratch.obreia().args(["policy", "test", "p.yaml"]);
    test()
        .run()
        .expect_code(1)
        .stdout_has("FAIL hopeful")
        .stdout_has("the verdict is denied, not allowed")
        .stdout_has("no-signature");
    let json = test().args(["-o", "json"]).run().json();
    assert_eq!(json["schema"], "obreia.policy-test/v1");
    assert_eq!(json["files"][0]["failed"], 1);
    scratch.write(
        "p.cases.yaml",
        "apiVersion: obreia/v1\nkind: PolicyCases\ncases: []\n",
    );
    test().run().expect_code(3).stderr_has("cases");
    fs::remove_file(scratch.join("p.cases.yaml")).unwrap();
    test().run().expect_code(2).stderr_has("p.cases.yaml");
}

#[test]
fn a_locked_policy_is_the_same_and_needs_nothing_beside_it() {
    let scratch = scene("  rules: r.rego\n");
    scratch.write(
        "r.rego",
        "package obreia\n\n# one line\ndefault allow := false\n\nallow if {\n\tcount(input.signatures) == 1\n}\n",
    );
    scratch
        .obreia()
        .args(["sign", "fraud/v1", "--key", "sec.key"])
        .run()
        .ok();
    let lock = |args: &[&str]| {
        scratch
            .obreia()
            .args(["policy", "lock", "p.yaml"])
            .args(args)
            .run()
    };
    let json = lock(&["-o", "json"]).json();
    assert_eq!(json["schema"], "obreia.policy-lock/v1");
    let digest = json["policies"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(json["policies"][0]["keys"], 1);
    // What is there is not replaced unasked.
    lock(&[]).expect_code(2).stderr_has("p.locked.yaml");
    lock(&["--force"]).ok();
    let locked = scratch.read_text("p.locked.yaml");
    assert!(
        locked.contains("BEGIN PUBLIC KEY") && locked.contains("# one line"),
        "{locked}"
    );
    let verify = |policy: &str| {
        scratch
            .obreia()
            .args(["verify", "fraud/v1", "--policy", policy, "-o", "json"])
            .run()
            .json()
    };
    let before = verify("p.yaml");
    for file in ["sec.pem", "sec.key", "r.rego", "p.yaml"] {
        fs::remove_file(scratch.join(file)).unwrap();
    }
    let after = verify("p.locked.yaml");
    assert_eq!(after["verdict"], "allowed", "{after:#}");
    assert_eq!(after["policy"], before["policy"]);
    assert_eq!(after["policy"][0]["digest"], digest.as_str());
    scratch
        .obreia()
        .args(["policy", "check", "p.locked.yaml"])
        .run()
        .ok()
        .stdout_has("locked");
}

#[test]
fn a_key_that_cannot_be_looked_up_makes_no_policy() {
    let scratch = scene("");
    scratch.write(
        "p.yaml",
        POLICY.replace("sec.pem", "kms://model-sign/prod/acme/fraud"),
    );
    let verify = || {
        scratch
            .obreia()
            .args(["verify", "fraud/v1", "--policy", "p.yaml"])
            .run()
    };
    verify()
        .expect_code(3)
        .stderr_has("kms://model-sign/prod/acme/fraud")
        .stderr_has("obreia policy lock");
    scratch
        .obreia()
        .args(["policy", "lock", "p.yaml"])
        .run()
        .expect_code(3);
    assert!(!scratch.join("p.locked.yaml").exists());
    scratch.write("p.yaml", POLICY.replace("sec.pem", "gone.pem"));
    verify().stderr_has("gone.pem");
}

#[test]
fn a_locked_policy_replaces_the_keystore() {
    let scratch = scene("");
    scratch.write("pass", "correct horse");
    let key = "kms://model-sign/prod/acme/fraud";
    scratch.write("p.yaml", POLICY.replace("sec.pem", key));
    let run = |args: &[&str]| {
        scratch
            .obreia()
            .env("OBREIA_PASSPHRASE", "correct horse")
            .args(args)
            .run()
    };
    run(&["init", "."]).ok();
    run(&["key", "create", key]).ok();
    run(&["sign", "fraud/v1", "--key", key]).ok();
    // A signature by the older version counts too, and so does its key in the lock.
    run(&["key", "rotate", key]).ok();
    let lock = run(&["policy", "lock", "p.yaml", "-o", "json"]).json();
    assert_eq!(lock["policies"][0]["keys"], 2, "{lock:#}");
    fs::remove_dir_all(scratch.join("state")).unwrap();
    fs::remove_file(scratch.join("obreia.toml")).unwrap();
    let verify = |policy: &str| {
        scratch
            .obreia()
            .args(["verify", "fraud/v1", "--policy", policy])
            .run()
    };
    verify("p.locked.yaml").ok();
    verify("p.yaml").expect_code(3);
}

#[test]
fn verdicts_by_policy() {
    let scratch = scene("");
    let verify = |args: &[&str]| {
        scratch
            .obreia()
            .args(["verify", "--policy", "p.yaml", "-o", "json"])
            .args(args)
            .run()
    };
    let code = |args: &[&str]| verify(args).json()["reasons"][0]["code"].clone();
    assert_eq!(code(&["fraud/v1"]), "no-signature");
    assert_eq!(code(&["fraud/v1", "--name", "other"]), "no-policy");
    scratch
        .obreia()
        .args(["sign", "fraud/v1", "--key", "other.key"])
        .run()
        .ok();
    assert_eq!(code(&["fraud/v1"]), "key-not-trusted");
    fs::remove_file(scratch.join("fraud/v1/model.sig")).unwrap();
    scratch
        .obreia()
        .args(["sign", "fraud/v1", "--key", "sec.key"])
        .run()
        .ok();
    verify(&["fraud/v1"]).ok();
    // The name is the operator's, in whatever spelling.
    verify(&["fraud/v1", "--name", "./x/../fraud//v1"]).ok();
    scratch.write("fraud/v1/.git/config", "x");
    assert_eq!(code(&["fraud/v1", "--stage", "startup"]), "mutable");
    scratch.write("p.yaml", format!("{POLICY}  mutable: allow\n"));
    assert_eq!(code(&["fraud/v1", "--stage", "startup"]), "unsigned-files");
    scratch.write(
        "p.yaml",
        format!("{POLICY}  ignorePaths: [.git]\n  mutable: allow\n"),
    );
    verify(&["fraud/v1", "--stage", "startup"]).ok();
    for (rest, expected) in [
        (
            "  signatures: { formats: [bundle] }\n",
            "format-not-allowed",
        ),
        (
            "  attestations: [{ type: slsaprovenance1, from: [sec] }]\n",
            "no-attestation",
        ),
        (
            "  binding: { from: [sec], stage: prod }\n",
            "binding-missing",
        ),
        ("  time: { require: signed }\n", "time-untrusted"),
    ] {
        scratch.write("p.yaml", format!("{POLICY}{rest}"));
        assert_eq!(code(&["fraud/v1"]), expected);
    }
    scratch.write(
        "p.yaml",
        format!("{POLICY}  mode: warn\n  binding: {{ from: [sec], stage: prod }}\n"),
    );
    let warned = verify(&["fraud/v1", "--stage", "admission"]);
    warned.ok();
    assert_eq!(warned.json()["would_deny"], true);
    verify(&["fraud/v1", "--stage", "promotion"])
        .expect_code(3)
        .stderr_has("mode warn");
}

#[test]
fn rules_see_what_files_are() {
    let scratch = scene("  rules: no-code-formats.rego\n");
    let rego = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/no-code-formats.rego");
    scratch.write("no-code-formats.rego", fs::read(rego).unwrap());
    let sign = || {
        scratch
            .obreia()
            .args(["sign", "fraud/v1", "--key", "sec.key", "--force"])
            .run()
            .ok();
    };
    let verify = || {
        scratch
            .obreia()
            .args(["verify", "fraud/v1", "--policy", "p.yaml", "-o", "json"])
            .run()
    };
    sign();
    verify().ok();
    // A pickle by content; its name says nothing.
    scratch.write(
        "fraud/v1/weights.txt",
        b"\x80\x04\x8c\x02os\x8c\x06getcwd\x93)R.",
    );
    sign();
    let denied = verify();
    denied.expect_code(1);
    let json = denied.json();
    assert_eq!(json["reasons"][0]["code"], "policy-denied", "{json:#}");
    assert!(
        json["reasons"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("weights.txt is pickle")
    );
    scratch.write(
        "no-code-formats.rego",
        "package obreia\n\nallow if input.nothing\n",
    );
    assert_eq!(verify().json()["reasons"][0]["code"], "rules-failed");
}
