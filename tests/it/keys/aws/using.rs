//! Signing and verifying with keys in AWS KMS, and what is asked for it.

use serde_json::json;

use super::super::records;
use super::{Case, KEY, Kind, StandIn, refused};

#[test]
fn one_request_a_signature_and_none_to_verify_what_is_known() {
    let case = Case::new();
    case.sign(KEY).ok();
    assert_eq!(case.server.asked(), ["DescribeKey", "GetPublicKey", "Sign"]);
    for _ in 0..3 {
        case.sign(KEY).ok();
        assert_eq!(case.server.asked(), ["Sign"]);
    }
    case.run(&["verify", "f", "--key", KEY]).ok();
    case.run(&["--offline", "verify", "f", "--key", KEY]).ok();
    case.scratch.write("f", b"other bytes\n");
    case.run(&["verify", "f", "--key", KEY]).expect_code(1);
    assert!(case.server.asked().is_empty());
}

#[test]
fn what_is_asked_is_what_aws_takes() {
    let case = Case::new();
    case.sign(KEY).ok();
    let calls = case.server.calls();
    let sign = &calls[2];
    assert_eq!(sign.body["KeyId"], "alias/k");
    assert_eq!(sign.body["MessageType"], "DIGEST");
    assert_eq!(sign.body["SigningAlgorithm"], "ECDSA_SHA_256");
    // Who asks is told to AWS, so that it stands in its records.
    let agent = &sign.headers["user-agent"];
    assert!(agent.contains("aws-sdk-rust"), "{agent}");
    case.server.nothing_was_wrong();
}

#[test]
fn every_kind_signs_what_openssl_verifies() {
    // Ed25519 signs files as envelopes, which OpenSSL does not know.
    let case = Case::of(StandIn::start(), Kind::Ed25519);
    case.sign(KEY).ok();
    case.run(&["verify", "f", "--key", KEY]).ok();
    let calls = case.server.calls();
    assert_eq!(calls[2].body["MessageType"], "RAW");
    for (kind, query) in [
        (Kind::P256, ""),
        (Kind::P384, ""),
        (Kind::P521, ""),
        (Kind::Rsa3072, ""),
        (Kind::Rsa2048, "?scheme=rsa-pss-sha384"),
    ] {
        let case = Case::of(StandIn::start(), kind);
        let key = format!("{KEY}{query}");
        case.sign(&key).ok();
        super::interop::openssl_accepts(&case, &key, kind);
        case.run(&["verify", "f", "--key", &key]).ok();
    }
}

#[test]
fn rsa_signs_under_the_scheme_that_is_named_or_configured() {
    let case = Case::of(StandIn::start(), Kind::Rsa2048);
    let asked = |key: &str| {
        case.sign(key).ok();
        let calls = case.server.calls();
        case.server.asked();
        calls.last().unwrap().body["SigningAlgorithm"].clone()
    };
    assert_eq!(asked(KEY), "RSASSA_PKCS1_V1_5_SHA_256");
    let pss = format!("{KEY}?scheme=rsa-pss-sha512");
    assert_eq!(asked(&pss), "RSASSA_PSS_SHA_512");
    case.configure("rsa = \"rsa-pss-sha256\"");
    assert_eq!(asked(KEY), "RSASSA_PSS_SHA_256");
    assert_eq!(asked(&pss), "RSASSA_PSS_SHA_512");
    // Signed under one scheme, it does not verify under another.
    let pkcs1 = format!("{KEY}?scheme=rsa-pkcs1-sha256");
    let out = case.run(&["verify", "f", "--key", &pkcs1]);
    out.expect_code(1);
    case.configure("rsa = \"pss\"");
    case.sign(KEY).expect_code(3).says("rsa-pss-sha256");
}

#[test]
fn a_scheme_of_rsa_is_refused_for_other_keys() {
    let case = Case::new();
    let out = case.sign(&format!("{KEY}?scheme=rsa-pss-sha256"));
    refused(&out, 2, "wrong-algorithm");
    assert!(!case.server.asked().contains(&"Sign".to_owned()));
}

#[test]
fn the_region_of_an_arn_comes_before_the_environment() {
    let case = Case::new();
    let elsewhere = case.arn.replace("eu-central-1", "ap-south-1");
    case.sign(&format!("awskms:///{elsewhere}")).ok();
    for call in case.server.calls() {
        assert_eq!(call.region, "ap-south-1");
    }
}

#[test]
fn a_name_of_ours_leads_there_by_a_rule() {
    let case = Case::new();
    case.scratch.write(
        "obreia.toml",
        "version = 1\n[[keys.rule]]\nmatch = \"model-sign/prod/acme\"\nto = \"awskms:///alias/k\"\n",
    );
    let name = "kms://model-sign/prod/acme";
    case.sign(name).ok();
    case.run(&["verify", "f", "--key", name]).ok();
    case.server.set(&case.arn, "Disabled");
    let out = case.sign(name);
    refused(&out, 5, "disabled");
    out.says(KEY);
}

#[test]
fn names_of_all_forms_are_one_key() {
    let case = Case::new();
    let id = case.arn.rsplit('/').next().unwrap().to_owned();
    let alias_arn = case.arn.split(":key/").next().unwrap().to_owned() + ":alias/k";
    case.sign(KEY).ok();
    for name in [id, case.arn.clone(), alias_arn] {
        let key = format!("awskms:///{name}");
        case.run(&["verify", "f", "--key", &key]).ok();
    }
}

#[test]
fn every_use_is_recorded_with_the_key_that_made_it() {
    let case = Case::new();
    let before = records(&case.scratch).len();
    case.sign(KEY).ok();
    case.server
        .fail("Sign", [super::stand_in::Fault::WrongSignature]);
    refused(&case.sign(KEY), 4, "self-check-failed");
    let records = records(&case.scratch);
    let told: Vec<_> = records[before..]
        .iter()
        .map(|r| (r["phase"].clone(), r["result"].clone()))
        .collect();
    let null = serde_json::Value::Null;
    assert_eq!(
        told,
        [
            (json!("intent"), null.clone()),
            (json!("outcome"), json!("ok")),
            (json!("intent"), null),
            (json!("outcome"), json!("self-check-failed")),
        ]
    );
    for record in &records[before..] {
        assert_eq!(record["key"]["id"], case.arn.as_str());
        assert_eq!(record["key"]["path"], KEY);
        assert_eq!(record["provider"], "aws");
    }
}

#[test]
fn keys_are_made_shown_disabled_and_enabled() {
    let case = Case::new();
    let new = "awskms:///alias/team/new";
    case.run(&["key", "create", new, "--algorithm", "p384"])
        .ok();
    let calls = case.server.calls();
    let made = calls.iter().find(|c| c.action == "CreateKey").unwrap();
    assert_eq!(made.body["KeySpec"], "ECC_NIST_P384");
    assert_eq!(made.body["KeyUsage"], "SIGN_VERIFY");
    case.sign(new).ok();

    let shown = case.run(&["key", "show", new, "-o", "json"]);
    let shown = shown.ok().json();
    let text = shown.to_string();
    assert!(
        text.contains("ecdsa-p384-sha384") && text.contains("alias/team/new"),
        "{text}"
    );

    case.server.asked();
    let taken = case.run(&["key", "create", new, "-o", "json"]);
    refused(&taken, 2, "exists");
    assert!(!case.server.asked().contains(&"CreateKey".to_owned()));

    let verify = ["verify", "f", "--key", new, "-o", "json"];
    case.run(&verify).ok();
    case.run(&["key", "disable", new]).ok();
    // At once, also for those who knew it, and those who may not ask.
    let offline = [&["--offline"][..], &verify].concat();
    refused(&case.run(&offline), 5, "disabled");
    refused(&case.run(&verify), 5, "disabled");
    refused(&case.sign(new), 5, "disabled");
    case.run(&["key", "enable", new]).ok();
    case.sign(new).ok();
    case.run(&verify).ok();
    let rotated = case.run(&["key", "rotate", new, "-o", "json"]);
    refused(&rotated, 2, "unsupported");
}

/// What AWS said of it when it was asked to sign, or looked at.
#[test]
fn a_key_that_aws_says_is_disabled_verifies_nothing_either() {
    for (state, code) in [
        ("Disabled", "disabled"),
        ("PendingDeletion", "pending-deletion"),
    ] {
        for look in [true, false] {
            let case = Case::new();
            let verify = ["verify", "f", "--key", KEY, "-o", "json"];
            let offline = [&["--offline"][..], &verify].concat();
            case.sign(KEY).ok();
            case.run(&verify).ok();
            case.server.set(&case.arn, state);
            if look {
                let known = case.scratch.join("state/known-keys");
                for note in std::fs::read_dir(known).unwrap() {
                    // Old enough that it is looked at again.
                    let path = note.unwrap().path();
                    let mut note: serde_json::Value =
                        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                    note["at"] = "2020-01-01T00:00:00Z".into();
                    std::fs::write(&path, note.to_string()).unwrap();
                }
                refused(&case.run(&verify), 5, code);
            } else {
                refused(&case.sign(KEY), 5, code);
            }
            refused(&case.run(&offline), 5, "disabled");
            refused(&case.run(&verify), 5, code);
            case.server.set(&case.arn, "Enabled");
            case.run(&verify).ok();
            case.run(&offline).ok();
        }
    }
}

#[test]
fn a_change_that_was_made_is_told_as_made_whatever_follows() {
    let case = Case::new();
    let denied = |kind| super::stand_in::Fault::Error(400, kind, "nothing more");
    let made = |args: &[&str], operation: &str| {
        let out = case.run(&[args, &["-o", "json"]].concat());
        let told = out.fails("not-shown", "need not be made again");
        assert!(told.to_string().contains("nothing more"), "{told:#}");
        let last = records(&case.scratch).pop().unwrap();
        assert_eq!(
            (&last["op"], &last["result"]),
            (&operation.into(), &"ok".into())
        );
    };
    let new = "awskms:///alias/new";
    case.server
        .fail("GetPublicKey", [denied("AccessDeniedException")]);
    made(&["key", "create", new], "create");
    case.sign(new).ok();
    // The look before the change is as always.
    let as_always = super::stand_in::Fault::Slow(std::time::Duration::ZERO);
    for (verb, operation) in [("disable", "disable"), ("enable", "enable")] {
        let then = denied("ValidationException");
        case.server.fail("ListAliases", [as_always.clone(), then]);
        made(&["key", verb, new], operation);
    }
}

#[test]
fn a_key_that_gets_no_name_is_not_left_behind() {
    let case = Case::new();
    let taken = super::stand_in::Fault::Error(400, "AlreadyExistsException", "taken");
    case.server.fail("CreateAlias", [taken]);
    let out = case.run(&["key", "create", "awskms:///alias/new", "-o", "json"]);
    refused(&out, 2, "exists");
    let calls = case.server.calls();
    let last = calls.last().unwrap();
    assert_eq!(last.action, "ScheduleKeyDeletion");
    assert_eq!(last.body["PendingWindowInDays"], 7);
    let denied = super::stand_in::Fault::Error(400, "AccessDeniedException", "no");
    case.server.fail("CreateAlias", [denied.clone()]);
    case.server.fail("ScheduleKeyDeletion", [denied]);
    let out = case.run(&["key", "create", "awskms:///alias/new", "-o", "json"]);
    let told = refused(&out, 4, "unavailable");
    out.says("could not be deleted");
    // That it was made is known.
    assert!(!told.to_string().contains("is not known"), "{told:#}");
}

#[test]
fn a_name_that_was_given_without_an_answer_is_kept() {
    use super::stand_in::Fault;

    let case = Case::new();
    case.server.fail("CreateAlias", [Fault::Cut]);
    let new = "awskms:///alias/new";
    case.run(&["key", "create", new]).ok();
    let asked = case.server.asked();
    assert!(
        !asked.contains(&"ScheduleKeyDeletion".to_owned()),
        "{asked:?}"
    );
    case.sign(new).ok();
}

#[test]
fn of_a_key_that_gets_one_of_two_names_neither_is_left_behind() {
    use super::stand_in::Fault;

    let case = Case::new();
    let denied = Fault::Error(400, "AccessDeniedException", "no");
    let first = Fault::Slow(std::time::Duration::ZERO);
    case.server
        .fail("CreateAlias", [first.clone(), denied.clone()]);
    let create = ["key", "create", "awskms:///alias/new", "--alias", "second"];
    case.run(&create).expect_code(5);
    let asked = case.server.asked();
    let last: Vec<&str> = asked.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["ScheduleKeyDeletion", "DeleteAlias"]);
    // The first name is free again.
    case.server.fail("CreateAlias", [first, denied.clone()]);
    case.server.fail("DeleteAlias", [denied]);
    case.run(&create).expect_code(4).says("names it still");
}

#[test]
fn names_that_no_new_key_can_have_are_refused_before_anything_is_asked() {
    let case = Case::new();
    for name in [
        "awskms:///alias/aws/x".to_owned(),
        format!("awskms:///{}", case.arn),
        "awskms:///arn:aws:kms:eu-central-1:111122223333:alias/x".to_owned(),
    ] {
        let out = case.run(&["key", "create", &name, "-o", "json"]);
        refused(&out, 2, "bad-request");
    }
    assert!(case.server.asked().is_empty());
}
