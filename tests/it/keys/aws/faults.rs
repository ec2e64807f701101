//! What AWS KMS refuses, what goes wrong on the way, and what a server that
//! lies gets: each with its exit code, its code and a hint.

use std::time::Duration;

use super::stand_in::{Fault, THROTTLED, closed_port, count_connections};
use super::{Case, KEY, Kind, StandIn, refused};

fn fails_with(action: &str, fault: Fault, exit: i32, code: &str) {
    let case = Case::new();
    case.server.fail(action, vec![fault; 10]);
    let out = case.sign(KEY);
    let error = refused(&out, exit, code);
    assert!(!case.scratch.join("f.sigstore.json").exists());
    for secret in [super::SECRET_KEY, super::ACCESS_KEY] {
        assert!(!error.to_string().contains(secret), "{out}");
    }
}

#[test]
fn what_aws_refuses_has_its_own_code() {
    for (kind, exit, code) in [
        ("NotFoundException", 3, "no-such-key"),
        ("DisabledException", 5, "disabled"),
        ("AccessDeniedException", 5, "kms-refused"),
        ("ExpiredTokenException", 5, "kms-login"),
        ("UnrecognizedClientException", 5, "kms-login"),
        ("InvalidSignatureException", 5, "kms-login"),
        ("IncompleteSignature", 5, "kms-login"),
        ("ValidationException", 2, "bad-request"),
        ("InvalidArnException", 2, "bad-request"),
        ("DependencyTimeoutException", 4, "provider-failed"),
        ("KeyUnavailableException", 4, "provider-failed"),
        ("KMSInvalidStateException", 4, "provider-failed"),
        ("SomethingNewException", 4, "provider-failed"),
    ] {
        fails_with(
            "Sign",
            Fault::Error(400, kind, "as AWS says it"),
            exit,
            code,
        );
    }
}

#[test]
fn a_refusal_names_the_right_that_is_missing_and_the_request() {
    let case = Case::new();
    let message = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: kms:Sign";
    case.server.fail(
        "Sign",
        [Fault::Error(400, "AccessDeniedException", message)],
    );
    let out = case.sign(KEY);
    refused(&out, 5, "kms-refused");
    out.says("kms:Sign of awskms:///alias/k")
        .says(message)
        .says("00000000-0000");
}

#[test]
fn a_key_that_does_nothing_is_refused_before_it_is_asked_to_sign() {
    for (state, exit, code) in [
        ("Disabled", 5, "disabled"),
        ("PendingDeletion", 5, "pending-deletion"),
        ("PendingReplicaDeletion", 5, "pending-deletion"),
        ("Unavailable", 4, "provider-failed"),
        ("PendingImport", 4, "provider-failed"),
    ] {
        let case = Case::new();
        case.server.set(&case.arn, state);
        refused(&case.sign(KEY), exit, code);
        let verify = case.run(&["verify", "f", "--key", KEY, "-o", "json"]);
        assert_ne!(verify.code, Some(0));
        assert!(!case.server.asked().contains(&"Sign".to_owned()));
    }
}

#[test]
fn a_key_that_stopped_meanwhile_is_refused_by_aws() {
    for (state, code) in [
        ("Disabled", "disabled"),
        ("PendingDeletion", "pending-deletion"),
    ] {
        let case = Case::new();
        case.sign(KEY).ok();
        case.server.set(&case.arn, state);
        refused(&case.sign(KEY), 5, code);
        if code == "pending-deletion" {
            case.sign(KEY)
                .fails("pending-deletion", "cancel the deletion");
        }
    }
    // The other way in which AWS tells it.
    let fault = Fault::Error(400, "DisabledException", "arn:… is pending deletion.");
    fails_with("Sign", fault, 5, "pending-deletion");
}

#[test]
fn keys_that_are_not_for_signing_are_refused_by_what_they_are_for() {
    for (kind, usage) in [
        (Kind::RsaEncrypts, "ENCRYPT_DECRYPT"),
        (Kind::Symmetric, "ENCRYPT_DECRYPT"),
        (Kind::Hmac, "GENERATE_VERIFY_MAC"),
    ] {
        let case = Case::of(StandIn::start(), kind);
        let out = case.sign(KEY);
        refused(&out, 5, "wrong-usage");
        out.says(usage);
        // Also where the key may not be described.
        let denied = Fault::Error(400, "AccessDeniedException", "no kms:DescribeKey");
        case.server.fail("DescribeKey", [denied]);
        let out = case.sign(KEY);
        assert!([Some(5), Some(2)].contains(&out.code), "{out}");
    }
    let message = "arn:… key usage is KEY_AGREEMENT which is not valid for Sign.";
    let fault = Fault::Error(400, "InvalidKeyUsageException", message);
    fails_with("Sign", fault, 5, "wrong-usage");
    let message = "Algorithm ECDSA_SHA_256 is incompatible with key spec ECC_NIST_P384.";
    let fault = Fault::Error(400, "InvalidKeyUsageException", message);
    fails_with("Sign", fault, 2, "wrong-algorithm");
}

#[test]
fn a_kind_that_obreia_has_not_is_refused_by_name() {
    let case = Case::of(StandIn::start(), Kind::Secp256k1);
    let out = case.sign(KEY);
    refused(&out, 2, "wrong-algorithm");
    out.says("curve");
}

#[test]
fn the_right_to_sign_and_to_read_the_public_key_is_enough() {
    let case = Case::new();
    let denied = Fault::Error(400, "AccessDeniedException", "no kms:DescribeKey");
    case.server.fail("DescribeKey", [denied]);
    case.sign(KEY).ok();
}

#[test]
fn throttling_is_waited_out_and_lasting_throttling_is_told() {
    let case = Case::new();
    case.server.fail("Sign", [THROTTLED, THROTTLED]);
    case.sign(KEY).ok();
    let asked = case.server.asked();
    assert_eq!(asked.iter().filter(|a| *a == "Sign").count(), 3);
    case.server.fail("Sign", vec![THROTTLED; 20]);
    let out = case.sign(KEY);
    refused(&out, 4, "kms-throttled");
    assert_eq!(case.server.asked().len(), 5);
}

#[test]
fn an_answer_that_aws_failed_is_asked_for_again_within_bounds() {
    let case = Case::new();
    let failed = Fault::Error(500, "KMSInternalException", "try again");
    case.server.fail("Sign", [failed.clone(), failed.clone()]);
    case.sign(KEY).ok();
    case.server.asked();
    case.server.fail("Sign", vec![failed; 20]);
    refused(&case.sign(KEY), 4, "provider-failed");
    assert_eq!(case.server.asked().len(), 5);
}

#[test]
fn a_connection_cut_after_the_request_is_not_sent_again() {
    let case = Case::new();
    case.sign(KEY).ok();
    case.server.asked();
    case.server.fail("Sign", [Fault::Cut]);
    let out = case.sign(KEY);
    let error = refused(&out, 4, "kms-unreachable");
    assert_eq!(case.server.asked(), ["Sign"]);
    assert!(
        error["hint"].as_str().unwrap().contains("audit log"),
        "{error}"
    );
}

#[test]
fn nobody_there_is_told_with_the_address() {
    let case = Case::new();
    let address = format!("http://127.0.0.1:{}", closed_port());
    let out = case
        .obreia(&["sign", "f", "--key", KEY, "-o", "json"])
        .env("AWS_ENDPOINT_URL_KMS", &address)
        .run();
    refused(&out, 4, "kms-unreachable");
    out.says(&address);
}

#[test]
fn what_is_slow_ends_at_the_deadline() {
    use super::super::{Pass, block_on};
    use obreia::environment::Environment;
    use obreia::keys::{KeyFault, Keyring, Settings};
    use obreia::reference::KeyRef;
    use obreia::time::Timestamp;

    let case = Case::new();
    case.server.fail(
        "DescribeKey",
        vec![Fault::Slow(Duration::from_secs(3_600)); 5],
    );
    let settings = Settings {
        deadline: Duration::from_millis(500),
        environment: Environment::from([
            ("AWS_ACCESS_KEY_ID", super::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", super::SECRET_KEY),
            ("AWS_REGION", super::REGION),
            ("AWS_ENDPOINT_URL", &case.server.url()),
        ]),
        ..Settings::default()
    };
    let keyring = Keyring::new(settings, std::sync::Arc::new(Timestamp::from_secs(0)));
    let key = KeyRef::parse(KEY).unwrap();
    let late = block_on(keyring.open_key(&key, &Pass)).map(|_| ());
    assert!(matches!(late, Err(KeyFault::Deadline { .. })), "{late:?}");
}

#[test]
fn answers_that_are_none_are_refused() {
    fails_with("GetPublicKey", Fault::Garbage, 4, "provider-failed");
    fails_with("Sign", Fault::Garbage, 4, "provider-failed");
    fails_with("Sign", Fault::OtherAlgorithm, 4, "provider-failed");
    // Nobody replaced the key: AWS did not say which it was.
    fails_with("Sign", Fault::Nameless, 4, "provider-failed");
    fails_with("DescribeKey", Fault::Huge, 4, "provider-failed");
}

#[test]
fn a_signature_that_does_not_verify_is_thrown_away() {
    fails_with("Sign", Fault::WrongSignature, 4, "self-check-failed");
}

#[test]
fn a_public_key_that_changes_under_its_id_is_refused() {
    let case = Case::new();
    let key = format!("awskms:///{}", case.arn);
    case.sign(&key).ok();
    case.server.replace(&case.arn);
    // Within five minutes nobody asks; the signature gives it away.
    refused(&case.sign(&key), 4, "self-check-failed");
    forget_when(&case);
    refused(&case.sign(&key), 4, "public-key-changed");
    let out = case.run(&["verify", "f", "--key", &key, "-o", "json"]);
    assert_eq!(out.code, Some(4), "{out}");
    out.says("public-key-changed");
}

#[test]
fn an_alias_that_names_another_key_is_no_longer_the_key_that_was_trusted() {
    let case = Case::new();
    case.sign(KEY).ok();
    let other = case.server.key(Kind::P256, "alias/other");
    case.server.point("alias/k", &other);
    for _ in 0..2 {
        let out = case.sign(KEY);
        refused(&out, 4, "public-key-changed");
        out.says(&case.arn).says(&other);
        forget_when(&case);
    }
}

/// Makes what is known of keys older than it is believed.
fn forget_when(case: &Case) {
    for file in case.scratch.files() {
        if file.contains("known-keys/") {
            let text = case.scratch.read_text(&file);
            let mut known: serde_json::Value = serde_json::from_str(&text).unwrap();
            known["at"] = serde_json::json!("2020-01-01T00:00:00Z");
            case.scratch.write(&file, known.to_string());
        }
    }
}

#[test]
fn only_this_machine_is_spoken_to_in_clear() {
    let case = Case::new();
    case.configure("endpoint = \"http://kms.example\"");
    let out = case.sign(KEY);
    refused(&out, 3, "not-configured");
    out.says("http://kms.example").says("https://");
    case.configure(&format!("endpoint = \"{}\"", case.server.url()));
    case.sign(KEY).ok();
}

#[test]
fn a_name_that_is_no_key_is_refused_before_anything_is_asked() {
    let case = Case::new();
    for name in [
        "awskms://alias/k",
        "awskms:///k",
        "awskms:///alias/k?version=2",
        "awskms:///alias/k?scheme=pss",
        "awskms://user:password@host/alias/k",
    ] {
        let out = case.sign(name);
        refused(&out, 2, "bad-request");
        out.stdout_lacks("password").stderr_lacks("password");
    }
    assert!(case.server.asked().is_empty());
}

#[test]
fn offline_opens_no_connection_to_kms_or_to_the_instance() {
    let case = Case::new();
    let (port, connections) = count_connections();
    let there = format!("http://127.0.0.1:{port}");
    for args in [
        &["sign", "f", "--key", KEY, "--offline", "-o", "json"][..],
        &["key", "show", KEY, "--offline", "-o", "json"],
        &[
            "key",
            "create",
            "awskms:///alias/n",
            "--offline",
            "-o",
            "json",
        ],
        &["key", "disable", KEY, "--offline", "-o", "json"],
        &["key", "public", KEY, "--offline", "-o", "json"],
    ] {
        let out = case
            .scratch
            .obreia()
            .env("AWS_ENDPOINT_URL", &there)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &there)
            .args(args)
            .run();
        refused(&out, 4, "offline");
    }
    assert_eq!(*connections.lock().unwrap(), 0);
}
