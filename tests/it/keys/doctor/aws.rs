//! Keys in AWS KMS, against the stand-in that checks every request.

use super::*;
use crate::keys::aws::{Case, Fault, KEY};

fn doctor(case: &Case) -> Output {
    case.run(&["doctor", "keys", KEY, "-o", "json"])
}

#[test]
fn a_key_is_tried_and_its_request_is_on_record() {
    let case = Case::new();
    let told = report(&doctor(&case), 0);
    assert_eq!(told["result"], "ok", "{told:#}");
    assert_eq!(check(&told, "key", KEY)["key"]["hash"], "sha256");
    assert_eq!(check(&told, "provider", "aws")["result"], "ok");
    let actions = case.server.asked();
    let signed = actions.iter().filter(|action| *action == "Sign").count();
    assert_eq!(signed, 1, "{actions:?}");
    let place = actions.iter().position(|action| action == "Sign").unwrap();
    let last = records(&case.scratch).pop().unwrap();
    let id = format!("00000000-0000-0000-0000-{place:012}");
    assert_eq!(last["provider_request"], id.as_str());
}

#[test]
fn a_request_that_was_refused_has_its_id_on_record_too() {
    let case = Case::new();
    case.sign(KEY).ok();
    let before = case.server.calls().len();
    let denied = Fault::Error(400, "AccessDeniedException", "no kms:Sign for you");
    case.server.fail("Sign", [denied]);
    case.sign(KEY).expect_code(5);
    let last = records(&case.scratch).pop().unwrap();
    assert_eq!(last["result"], "kms-refused");
    let id = format!("00000000-0000-0000-0000-{before:012}");
    assert_eq!(last["provider_request"], id.as_str());
    // No answer, no id.
    case.server.fail("Sign", [Fault::Cut]);
    case.sign(KEY).expect_code(4);
    let last = records(&case.scratch).pop().unwrap();
    assert!(last["provider_request"].is_null(), "{last:#}");
}

#[test]
fn keys_that_do_nothing_any_more() {
    for (state, code) in [
        ("Disabled", "disabled"),
        ("PendingDeletion", "pending-deletion"),
    ] {
        let case = Case::new();
        case.server.set(&case.arn, state);
        let told = report(&doctor(&case), 5);
        is(check(&told, "key", KEY), "failed", code);
        // Known already, it shows when it is tried …
        let case = Case::new();
        case.sign(KEY).ok();
        case.server.set(&case.arn, state);
        let told = report(&doctor(&case), 5);
        is(check(&told, "key", KEY), "failed", code);
        // … and without that when it is looked at.
        let case = Case::new();
        case.sign(KEY).ok();
        case.server.set(&case.arn, state);
        let args = ["doctor", "keys", KEY, "--no-probe", "-o", "json"];
        let told = report(&case.run(&args), 5);
        is(check(&told, "outlook", KEY), "failed", code);
    }
}

#[test]
fn who_may_sign_and_see_nothing_else_is_told_what_was_not_seen() {
    let case = Case::new();
    let denied = || Fault::Error(400, "AccessDeniedException", "not for you");
    case.server.fail("DescribeKey", [denied(), denied()]);
    case.server.fail("ListKeys", [denied()]);
    let told = report(&doctor(&case), 0);
    let key = check(&told, "key", KEY);
    assert_eq!(key["result"], "ok");
    let unseen = key["key"]["unseen"].as_str().unwrap();
    assert!(unseen.contains("kms:DescribeKey"), "{unseen}");
}

#[test]
fn a_public_key_that_changed_has_failed() {
    let case = Case::new();
    case.sign(KEY).ok();
    std::fs::remove_dir_all(case.scratch.join("state/known-keys")).unwrap();
    case.run(&["key", "show", KEY]).ok();
    report(&doctor(&case), 0);
    case.server.replace(&case.arn);
    let told = report(&doctor(&case), 4);
    assert_eq!(told["result"], "failed", "{told:#}");
    is(check(&told, "key", KEY), "failed", "self-check-failed");
}

#[test]
fn credentials_that_end_soon() {
    let case = Case::new();
    let run = |end: &str| {
        let doctor = case.obreia(&["doctor", "keys", KEY, "-o", "json"]);
        report(&doctor.env("AWS_CREDENTIAL_EXPIRATION", end).run(), 0)
    };
    is(
        check(&run("2020-01-01T00:00:00Z"), "provider", "aws"),
        "warning",
        "token-expires",
    );
    assert_eq!(run("2200-01-01T00:00:00Z")["result"], "ok");
    assert_eq!(run("someday")["result"], "ok");
    let none = case.anonymous(&["doctor", "keys", KEY, "-o", "json"]).run();
    std::fs::remove_dir_all(case.scratch.join("state/known-keys")).unwrap();
    is(check(&report(&none, 5), "key", KEY), "failed", "kms-login");
}

#[test]
fn an_accounts_keys_are_listed() {
    let case = Case::new();
    let listed = case.run(&["key", "list", "awskms://", "-o", "json"]);
    let listed = listed.ok().json();
    assert_eq!(listed["keys"][0]["id"], case.arn.as_str());
}
