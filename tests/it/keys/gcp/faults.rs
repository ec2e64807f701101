//! A service that fails, is slow, or lies.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use obreia::crypto::{KeyKind, PrivateKey};
use obreia::custody::Caller;
use obreia::environment::Environment;
use obreia::keys::{FaultClass, Gcp, Keyring, Keys, Settings, SignInput};
use obreia::reference::KeyRef;
use obreia::time::Timestamp;
use serde_json::{Value, json};

use super::super::clouds::{Cloud, nothing_was_signed};
use super::super::tls::TlsServer;
use super::service::{Service, crc32c, error};
use super::standin::Answer;
use super::{P256, key, place, refused, sign, verify};
use crate::harness::Scratch;

/// A service with a key, and a folder in which the key is known.
fn known() -> (Service, Scratch) {
    let service = Service::start();
    let scratch = place(&service);
    service.make("models", P256);
    sign(&scratch, &key()).ok();
    std::fs::remove_file(scratch.join("app.bin.sigstore.json")).unwrap();
    service.server.asked();
    (service, scratch)
}

fn busy() -> Answer {
    let body = json!({"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}});
    Answer::With(429, vec![("retry-after", "0".to_owned())], body)
}

/// The same for what holds of every cloud.
fn fails(how: impl Fn(&Cloud<'_>)) {
    let (service, scratch) = known();
    how(&Cloud {
        server: &service.server,
        scratch: &scratch,
        sign: &|| sign(&scratch, &key()),
        operation: "asymmetricSign",
        // A service account signs its own tokens.
        login: &[],
        looks: &["list", "getPublicKey"],
        busy: busy(),
        down: error(503, "UNAVAILABLE", "The service is down."),
    });
}

#[test]
fn turned_away() {
    fails(|cloud| cloud.turned_away_and_then_served());
    fails(|cloud| cloud.turned_away_for_good());
}

#[test]
fn an_error_of_the_service_is_not_followed_by_a_second_signature() {
    fails(|cloud| cloud.an_error_is_not_followed_by_a_second_signature());
}

#[test]
fn cut_after_the_request_was_sent() {
    fails(|cloud| cloud.cut_after_the_request_was_sent());
}

#[test]
fn nobody_there() {
    let (service, scratch) = known();
    let config = scratch.read_text("obreia.toml");
    let config = config.replace(&service.server.origin, "http://127.0.0.1:1");
    scratch.write("obreia.toml", config);
    let out = sign(&scratch, &key());
    let says = "gcp at http://127.0.0.1:1 cannot be reached";
    refused(&out, 4, "kms-unreachable", says);
}

#[test]
fn somebody_else_at_its_address() {
    let (service, scratch) = known();
    let Some(server) = TlsServer::start(&scratch) else {
        return;
    };
    let other = format!("https://127.0.0.1:{}", server.port);
    let config = scratch.read_text("obreia.toml");
    let config = config.replace(&service.server.origin, &other);
    scratch.write("obreia.toml", &config);
    let out = sign(&scratch, &key());
    refused(&out, 4, "kms-tls", "does not prove that it is the one");
    // With its certificate among those that are believed it is heard, and what
    // it says is no answer: a page that was not found is no proof of anything.
    std::fs::remove_dir_all(scratch.join("state/known-keys")).unwrap();
    scratch.write("obreia.toml", format!("{config}ca = \"tls.pem\"\n"));
    refused(&sign(&scratch, &key()), 4, "provider-failed", "gcp failed");
    scratch.write("obreia.toml", format!("{config}ca = \"absent.pem\"\n"));
    let out = sign(&scratch, &key());
    refused(&out, 3, "not-configured", "ca in [keys.gcp]");
}

#[test]
fn a_token_that_is_not_taken() {
    let (service, scratch) = known();
    let refusal = error(401, "UNAUTHENTICATED", "The credential is not known.");
    service.server.fault("asymmetricSign", refusal);
    let out = sign(&scratch, &key());
    refused(&out, 5, "kms-login", "The credential is not known.");
    nothing_was_signed(&scratch);
}

#[test]
fn not_found_is_believed_of_the_service_alone() {
    let (service, scratch) = known();
    std::fs::remove_dir_all(scratch.join("state/known-keys")).unwrap();
    for operation in ["list", "getPublicKey"] {
        let page = Answer::Raw(404, b"<html>404</html>".to_vec());
        service.server.fault(operation, page);
        let out = sign(&scratch, &key());
        refused(
            &out,
            4,
            "provider-failed",
            "answered 404 and did not say why",
        );
    }
}

type Lie = (fn(&mut Value), &'static str, &'static str);

#[test]
fn signatures_that_are_none_or_not_ours() {
    let lies: [Lie; 8] = [
        (
            |b| {
                let forged = [7; 64];
                b["signature"] = json!(BASE64.encode(forged));
                b["signatureCrc32c"] = json!(crc32c(&forged).to_string());
            },
            "self-check-failed",
            "does not verify with its own public key",
        ),
        (
            |b| b["signature"] = json!(BASE64.encode([7; 64])),
            "provider-failed",
            "the signature was damaged on its way",
        ),
        (
            |b| b["signatureCrc32c"] = json!("1"),
            "provider-failed",
            "the signature was damaged on its way",
        ),
        (
            |b| b["signatureCrc32c"] = Value::Null,
            "provider-failed",
            "the signature was damaged on its way",
        ),
        (
            |b| b["verifiedDigestCrc32c"] = json!(false),
            "provider-failed",
            "did not check that what it signed arrived whole",
        ),
        (
            |b| b["verifiedDigestCrc32c"] = Value::Null,
            "provider-failed",
            "did not check that what it signed arrived whole",
        ),
        (
            |b| b["name"] = json!(b["name"].as_str().unwrap().replace("ons/1", "ons/2")),
            "provider-failed",
            "another version",
        ),
        (
            |b| b["name"] = json!(b["name"].as_str().unwrap().replace("models", "others")),
            "provider-failed",
            "another version",
        ),
    ];
    for (lie, code, says) in lies {
        let (service, scratch) = known();
        service.server.fault("asymmetricSign", Answer::Changed(lie));
        refused(&sign(&scratch, &key()), 4, code, says);
        nothing_was_signed(&scratch);
    }
}

#[test]
fn keys_that_are_shown_wrong() {
    let lies: [Lie; 6] = [
        (
            |b| b["pem"] = json!(b["pem"].as_str().unwrap().replace('A', "B")),
            "provider-failed",
            "the public key was damaged on its way",
        ),
        (
            |b| b["pemCrc32c"] = Value::Null,
            "provider-failed",
            "the public key was damaged on its way",
        ),
        (
            |b| b["name"] = json!(b["name"].as_str().unwrap().replace("models", "others")),
            "provider-failed",
            "another key",
        ),
        // EC_SIGN_P384_SHA384, which this key is not of.
        (
            |b| b["algorithm"] = json!(13),
            "provider-failed",
            "of another kind than the key's algorithm",
        ),
        (
            |b| {
                let pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
                b["pem"] = json!(pem);
                b["pemCrc32c"] = json!(crc32c(pem.as_bytes()).to_string());
            },
            "wrong-algorithm",
            "models",
        ),
        (|b| *b = json!([]), "provider-failed", "cannot be read"),
    ];
    for (lie, code, says) in lies {
        let service = Service::start();
        let scratch = place(&service);
        service.make("models", P256);
        service.server.fault("getPublicKey", Answer::Changed(lie));
        let out = sign(&scratch, &key());
        let exit = if code == "wrong-algorithm" { 2 } else { 4 };
        refused(&out, exit, code, says);
        nothing_was_signed(&scratch);
    }
}

#[test]
fn lists_that_lie_or_do_not_end() {
    type Lie = fn(&mut Value);
    let lies: [(Lie, &str, usize); 3] = [
        (
            |b| b["cryptoKeyVersions"][0]["name"] = json!("projects/evil/cryptoKeyVersions/1"),
            "another key",
            1,
        ),
        (
            |b| {
                b["cryptoKeyVersions"] = json!([]);
                b["nextPageToken"] = json!("more");
            },
            "does not end",
            20,
        ),
        (
            |b| {
                let one = b["cryptoKeyVersions"][0].clone();
                b["cryptoKeyVersions"] = json!(vec![one; 501]);
            },
            "more than 500 versions",
            1,
        ),
    ];
    for (lie, says, times) in lies {
        let service = Service::start();
        let scratch = place(&service);
        service.make("models", P256);
        for _ in 0..times {
            service.server.fault("list", Answer::Changed(lie));
        }
        refused(&sign(&scratch, &key()), 4, "provider-failed", says);
    }
    // One page after the other.
    let service = Service::start();
    let scratch = place(&service);
    service.make("models", P256);
    let more: fn(&mut Value) = |b| b["nextPageToken"] = json!("more");
    service.server.fault("list", Answer::Changed(more));
    sign(&scratch, &key()).ok();
    let (_, second) = service.server.calls().remove(1);
    assert_eq!(second.query["pageToken"], "more");
}

#[test]
fn a_public_key_that_changes_under_the_same_version() {
    let (service, scratch) = known();
    service.newest("models", |version| {
        version.private = Arc::new(PrivateKey::generate(KeyKind::EcP256).unwrap());
    });
    // What is known is believed for a while; the lie is seen by its signature.
    let out = sign(&scratch, &key());
    refused(&out, 4, "self-check-failed", "does not verify");
    // Looked at anew, it is seen for what it is.
    for _ in 0..2 {
        let out = verify(&scratch, &key());
        refused(&out, 4, "public-key-changed", "shows another public key");
    }
    // Whoever knows why may forget the old one.
    let forget = ["key", "forget", &key()];
    super::with(&scratch, &forget).run().ok();
    sign(&scratch, &key()).ok();
    verify(&scratch, &key()).ok();
}

/// When it is needed most, it cannot be looked at.
#[test]
fn a_key_that_was_replaced_or_may_not_be_seen_can_be_disabled() {
    for replaced in [true, false] {
        let (service, scratch) = known();
        sign(&scratch, &key()).ok();
        verify(&scratch, &key()).ok();
        let disable = ["key", "disable", &key(), "-o", "json"];
        if replaced {
            service.newest("models", |version| {
                version.private = Arc::new(PrivateKey::generate(KeyKind::EcP256).unwrap());
            });
        } else {
            service.change(|state| state.forbidden = vec!["getPublicKey"]);
        }
        super::with(&scratch, &disable).run().ok();
        let last = super::super::records(&scratch).pop().unwrap();
        assert_eq!(
            (&last["op"], &last["result"]),
            (&json!("disable"), &json!("ok"))
        );
        assert_eq!(last["key"]["path"], key());
        refused(&verify(&scratch, &key()), 5, "disabled", "is disabled");
        // To verify with it is another matter.
        service.newest("models", |version| version.state = "ENABLED");
        let out = verify(&scratch, &key());
        match replaced {
            true => refused(&out, 4, "public-key-changed", "shows another public key"),
            false => refused(&out, 5, "kms-refused", "read the public key of"),
        }
    }
}

#[test]
fn answers_that_are_no_answers() {
    let kinds: [Answer; 4] = [
        Answer::Raw(200, b"not json".to_vec()),
        Answer::Raw(200, vec![b' '; 5 << 20]),
        Answer::Json(200, json!({})),
        Answer::Raw(500, b"<html>".to_vec()),
    ];
    for answer in kinds {
        for operation in ["getPublicKey", "asymmetricSign"] {
            let service = Service::start();
            let scratch = place(&service);
            service.make("models", P256);
            // As often as one asks for what may be asked for again.
            for _ in 0..5 {
                service.server.fault(operation, answer.clone());
            }
            sign(&scratch, &key())
                .expect_code(4)
                .stderr_has("error[provider-failed]");
            nothing_was_signed(&scratch);
        }
    }
}

/// Later than any deadline: who waits for it never ends.
const NEVER: Duration = Duration::from_secs(3_600);

/// The same keys through the library, with that deadline.
fn keyring(service: &Service, scratch: &Scratch, deadline: Duration) -> Keyring {
    let settings = Settings {
        deadline,
        environment: Environment::default(),
        keys: Keys {
            gcp: Gcp {
                endpoint: Some(service.server.origin.clone()),
                credentials_file: Some(scratch.write("user.json", service.user())),
                ..Gcp::default()
            },
            ..Keys::default()
        },
        ..Settings::default()
    };
    Keyring::new(settings, Arc::new(Timestamp::from_secs(1_795_000_000)))
}

#[test]
fn too_slow() {
    let service = Service::start();
    let scratch = Scratch::new();
    let uri = KeyRef::parse(&service.make("models", P256)).unwrap();
    super::super::block_on(async {
        service.server.fault("token", Answer::Slow(NEVER));
        let keyring = keyring(&service, &scratch, Duration::from_secs(1));
        let late = keyring
            .open_key(&uri, &super::super::Pass)
            .await
            .unwrap_err();
        assert_eq!(late.code(), "deadline", "{late}");
    });
    super::super::block_on(async {
        // Opening takes three requests, which a busy machine takes its time for.
        let keyring = keyring(&service, &scratch, Duration::from_secs(6));
        let key = keyring.open_key(&uri, &super::super::Pass).await.unwrap();
        service.server.fault("asymmetricSign", Answer::Slow(NEVER));
        let signing = key.sign(SignInput::Message(b"x"), &Caller::local(0)).await;
        let late = signing.unwrap_err();
        assert_eq!(late.code(), "deadline", "{late}");
    });
}

/// Tokens are renewed by a task of the runtime that logged in: in another
/// runtime one logs in anew, and credentials that were refused are read again.
#[test]
fn a_process_that_lasts_logs_in_again() {
    let service = Service::start();
    let scratch = Scratch::new();
    let uri = KeyRef::parse(&service.make("models", P256)).unwrap();
    let keyring = keyring(&service, &scratch, Duration::from_secs(30));
    let sign = || {
        super::super::block_on(async {
            let key = keyring.open_key(&uri, &super::super::Pass).await?;
            key.sign(SignInput::Message(b"x"), &Caller::local(0)).await
        })
    };
    scratch.write(
        "user.json",
        service.user().replace("user-refresh-token", "spent-token"),
    );
    assert_eq!(sign().unwrap_err().code(), "kms-login");
    scratch.write("user.json", service.user());
    sign().unwrap();
    // A page that somebody in between sent instead of a token, once.
    let page = Answer::Raw(200, b"<html>log in first</html>".to_vec());
    service.server.fault("token", page);
    assert_eq!(sign().unwrap_err().class(), FaultClass::Unavailable);
    sign().unwrap();
    service.server.asked();
    sign().unwrap();
    assert_eq!(service.server.asked(), ["token", "asymmetricSign"]);
}
