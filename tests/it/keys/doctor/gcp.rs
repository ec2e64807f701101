//! Keys in Google Cloud KMS, against the stand-in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::keys::gcp::{P256, RING, Service, place, with};
use crate::keys::standin::Answer;

fn doctor(scratch: &Scratch, key: &str) -> Output {
    with(scratch, &["doctor", "keys", key, "-o", "json"]).run()
}

#[test]
fn a_key_is_tried() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", "EC_SIGN_P384_SHA384");
    let told = report(&doctor(&scratch, &key), 0);
    assert_eq!(told["result"], "ok", "{told:#}");
    assert_eq!(check(&told, "key", &key)["key"]["hash"], "sha384");
    let asked = service.server.asked();
    let signed = asked.iter().filter(|name| *name == "asymmetricSign");
    assert_eq!(signed.count(), 1, "{asked:?}");
    let last = records(&scratch).pop().unwrap();
    assert_eq!(last["op"], "probe");
    // Google's answers have no id.
    assert!(last["provider_request"].is_null(), "{last:#}");
}

#[test]
fn keys_that_do_nothing_any_more() {
    for (state, code) in [
        ("DISABLED", "disabled"),
        ("DESTROY_SCHEDULED", "pending-deletion"),
    ] {
        let service = Service::start();
        let scratch = place(&service);
        let key = service.make("models", P256);
        report(&doctor(&scratch, &key), 0);
        service.newest("models", |version| version.state = state);
        let told = report(&doctor(&scratch, &key), 5);
        is(check(&told, "key", &key), "failed", code);
        // Known already, and only looked at.
        let scratch = place(&service);
        service.newest("models", |version| version.state = "ENABLED");
        report(&doctor(&scratch, &key), 0);
        service.newest("models", |version| version.state = state);
        for key in [key.clone(), format!("{key}?version=1")] {
            let args = ["doctor", "keys", &key, "--no-probe", "-o", "json"];
            let told = report(&with(&scratch, &args).run(), 5);
            is(check(&told, "outlook", &key), "failed", code);
        }
    }
}

#[test]
fn a_key_that_may_have_a_copy_elsewhere() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    service.newest("models", |version| version.imported = true);
    let told = report(&doctor(&scratch, &key), 0);
    is(check(&told, "outlook", &key), "warning", "key-extractable");
    // The newest was made there.
    service.make("models", P256);
    assert_eq!(report(&doctor(&scratch, &key), 0)["result"], "ok");
}

#[test]
fn a_federated_token_that_ends_soon() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let run = |end: i64, wrap: &dyn Fn(String) -> String, format: Value| {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#));
        let token = scratch.write("token", wrap(format!("e30.{claims}.c2ln")));
        let mut file: Value = serde_json::from_str(&service.federated(&token)).unwrap();
        file["credential_source"]["format"] = format;
        scratch.write("account.json", file.to_string());
        service.server.fault("token", Answer::Json(200, serde_json::json!({
            "access_token": crate::keys::gcp::TOKEN, "expires_in": 3599, "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        })));
        report(&doctor(&scratch, &key), 0)
    };
    let plain = |token: String| token;
    let told = run(1_000_000_000, &plain, Value::Null);
    is(check(&told, "provider", "gcp"), "warning", "token-expires");
    let wrapped = |token: String| format!(r#"{{"t": "{token}"}}"#);
    let in_json = serde_json::json!({"type": "json", "subject_token_field_name": "t"});
    let told = run(1_000_000_000, &wrapped, in_json);
    is(check(&told, "provider", "gcp"), "warning", "token-expires");
    assert_eq!(run(9_000_000_000, &plain, Value::Null)["result"], "ok");
}

#[test]
fn who_may_sign_and_see_nothing_else_is_told_what_was_not_seen() {
    let service = Service::start();
    let scratch = place(&service);
    let key = format!("{}?version=1", service.make("models", P256));
    service.change(|state| state.forbidden = vec!["list", "get"]);
    let told = report(&doctor(&scratch, &key), 0);
    let key = check(&told, "key", &key);
    assert_eq!(key["result"], "ok");
    let unseen = key["key"]["unseen"].as_str().unwrap();
    assert!(unseen.contains("cloudkms.get"), "{unseen}");
}

#[test]
fn a_key_rings_keys_are_listed() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    service.make("models", P256);
    service.make("images", "EC_SIGN_P384_SHA384");
    // Neither made to sign, nor ever to sign again, nor as anything here does.
    service.make("seal", "GOOGLE_SYMMETRIC_ENCRYPTION");
    service.make("gone", P256);
    service.newest("gone", |version| version.state = "DESTROYED");
    service.make("failed", P256);
    service.newest("failed", |version| version.state = "GENERATION_FAILED");
    service.make("foreign", "EC_SIGN_SECP256K1_SHA256");
    service.make("paused", P256);
    service.newest("paused", |version| version.state = "DISABLED");
    let list = |place: &str| with(&scratch, &["key", "list", place, "-o", "json"]).run();
    let ring = format!("gcpkms://{RING}");
    let found = list(&ring).ok().json();
    let shown: Vec<(&str, &str, usize)> = found["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            let (path, state) = (
                key["path"].as_str().unwrap(),
                key["state"].as_str().unwrap(),
            );
            let versions = key["versions"].as_array().unwrap().len();
            (path.rsplit('/').next().unwrap(), state, versions)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("images", "enabled", 1),
            ("models", "enabled", 2),
            ("paused", "disabled", 0)
        ]
    );
    for (place, exit, code) in [
        ("gcpkms://", 2, "unsupported"),
        ("gcpkms://projects/acme", 2, "bad-request"),
        (key.as_str(), 2, "bad-request"),
        (&format!("{ring}2"), 3, "not-configured"),
    ] {
        let error = list(place).expect_code(exit).json();
        assert_eq!(error["code"], code, "{place}");
    }
    // A list that does not end, or that tells of somebody else's keys.
    type Lie = fn(&mut Value);
    let lies: [(Lie, &str, usize); 2] = [
        (
            |b| {
                b["cryptoKeys"] = serde_json::json!([]);
                b["nextPageToken"] = "more".into();
            },
            "does not end",
            20,
        ),
        (
            |b| {
                b["cryptoKeys"][1]["name"] = "projects/evil/cryptoKeys/k".into();
                b["cryptoKeys"][1]["purpose"] = 5.into();
            },
            "another key ring",
            1,
        ),
    ];
    for (lie, says, times) in lies {
        for _ in 0..times {
            service.server.fault("listKeys", Answer::Changed(lie));
        }
        let error = list(&ring).expect_code(4).json();
        assert_eq!(error["code"], "provider-failed");
        assert!(error.to_string().contains(says), "{error:#}");
    }
    service.change(|state| state.forbidden = vec!["listKeys"]);
    let error = list(&ring).expect_code(5).json();
    assert_eq!(error["code"], "kms-refused");
}

#[test]
fn what_nobody_was_asked_about_does_not_answer() {
    let scratch = place(&Service::start());
    let config = scratch.read_text("obreia.toml");
    let rule = "[[keys.rule]]\nmatch = \"model-sign/prod/*\"\nto = \"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/{1}\"\n";
    scratch.write("obreia.toml", format!("{config}{rule}"));
    let told = report(&with(&scratch, &["doctor", "keys", "-o", "json"]).run(), 0);
    let gcp = check(&told, "provider", "gcp");
    assert_eq!(gcp["result"], "ok");
    assert!(
        gcp["detail"].as_str().unwrap().contains("is set up"),
        "{gcp:#}"
    );
}
