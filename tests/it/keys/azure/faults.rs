//! A vault that fails, is slow, or lies.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use obreia::crypto::KeyKind;
use obreia::custody::Caller;
use obreia::environment::Environment;
use obreia::keys::{Azure, AzureLogin, Keyring, Keys, Settings, SignInput};
use obreia::reference::KeyRef;
use obreia::time::Timestamp;
use serde_json::{Value, json};

use super::super::clouds::{Cloud, nothing_was_signed};
use super::super::tls::TlsServer;
use super::standin::Answer;
use super::vault::{Vault, error};
use super::{KEY, place, refused, sign, verify};
use crate::harness::{Output, Scratch};

/// A vault with a key, and a folder in which the key is known.
fn known() -> (Vault, Scratch) {
    let vault = Vault::start();
    let scratch = place(&vault);
    vault.make("models", KeyKind::EcP256);
    sign(&scratch, KEY).ok();
    std::fs::remove_file(scratch.join("app.bin.sigstore.json")).unwrap();
    vault.server.asked();
    (vault, scratch)
}

fn busy() -> Answer {
    let body = json!({"error": {"code": "Throttled", "message": "Request was not processed because too many requests were received."}});
    Answer::With(429, vec![("retry-after", "0".to_owned())], body)
}

/// The same for what holds of every cloud.
fn fails(how: impl Fn(&Cloud<'_>)) {
    let (vault, scratch) = known();
    how(&Cloud {
        server: &vault.server,
        scratch: &scratch,
        sign: &|| sign(&scratch, KEY),
        operation: "sign",
        login: &["token"],
        looks: &["GetKey"],
        busy: busy(),
        down: error(503, "ServiceUnavailable", None, "The service is down."),
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
fn a_page_in_the_vaults_place_makes_no_second_version() {
    let (vault, scratch) = known();
    let page = || Answer::With(404, Vec::new(), json!("<html>404 page not found</html>"));
    vault.server.fault("GetKey", page());
    let out = super::with(&scratch, &["key", "create", KEY, "-o", "json"]).run();
    assert_eq!(
        out.expect_code(4).json()["code"],
        "provider-failed",
        "{out}"
    );
    let asked = vault.server.asked();
    assert!(!asked.iter().any(|what| what == "CreateKey"), "{asked:?}");
}

#[test]
fn a_change_that_was_made_is_told_as_made_whatever_follows() {
    let vault = Vault::start();
    let scratch = place(&vault);
    let run = |args: &[&str]| super::with(&scratch, &[args, &["-o", "json"]].concat()).run();
    let nothing_more = || error(403, "Forbidden", Some("ForbiddenByRbac"), "Nothing more.");
    let recorded = |operation: &str| {
        let last = super::super::records(&scratch).pop().unwrap();
        assert_eq!(last["op"], operation, "{last:#}");
        last["result"].clone()
    };
    let made = |out: &Output, operation: &str| {
        let json = out.fails("not-shown", "need not be made again");
        assert!(json.to_string().contains("Nothing more."), "{json:#}");
        assert_eq!(recorded(operation), "ok");
    };
    let as_always = || Answer::Changed(|_| ());
    // Whether it is there is looked at first.
    for answer in [as_always(), nothing_more()] {
        vault.server.fault("GetKey", answer);
    }
    made(&run(&["key", "create", KEY]), "create");
    sign(&scratch, KEY).ok();
    // What is described before, what is changed, and what is shown then.
    for (verb, looks) in [("rotate", 1), ("disable", 2), ("enable", 2)] {
        for _ in 0..looks {
            vault.server.fault("GetKeyVersions", as_always());
        }
        vault.server.fault("GetKeyVersions", nothing_more());
        made(&run(&["key", verb, KEY]), verb);
    }
    sign(&scratch, KEY).ok();
    // An answer that is lost leaves open what was done.
    vault.server.fault("RotateKey", Answer::Cut);
    run(&["key", "rotate", KEY]).fails("kms-unreachable", "before trying again");
    assert_eq!(recorded("rotate"), "kms-unreachable");
}

#[test]
fn versions_that_were_changed_before_one_failed_are_counted() {
    let vault = Vault::start();
    let scratch = place(&vault);
    for _ in 0..3 {
        vault.make("models", KeyKind::EcP256);
    }
    sign(&scratch, KEY).ok();
    verify(&scratch, KEY).ok();
    let disable = || super::with(&scratch, &["key", "disable", KEY]).run();
    let refusal = || error(403, "Forbidden", Some("ForbiddenByRbac"), "No more.");
    let as_always = || Answer::Changed(|_| ());
    vault.change(|state| state.forbidden = vec!["UpdateKey"]);
    let out = disable();
    refused(&out, 5, "kms-refused", "not authorized");
    out.stderr_lacks("versions were changed");
    vault.change(|state| state.forbidden.clear());
    for answer in [as_always(), as_always(), refusal()] {
        vault.server.fault("UpdateKey", answer);
    }
    let out = disable();
    refused(
        &out,
        5,
        "kms-refused",
        "; 2 of 3 versions were changed before that",
    );
    // The newest, which signed, was among them.
    verify(&scratch, KEY).expect_code(5);
    refused(&sign(&scratch, KEY), 5, "disabled", "is disabled");
}

#[test]
fn nobody_there() {
    let (vault, scratch) = known();
    let config = scratch.read_text("obreia.toml");
    for setting in ["endpoint", "authority"] {
        let there = format!("{setting} = \"{}\"", vault.server.origin);
        let gone = format!("{setting} = \"http://127.0.0.1:1\"");
        assert!(config.contains(&there));
        scratch.write("obreia.toml", config.replace(&there, &gone));
        let out = sign(&scratch, KEY);
        let says = "azure at http://127.0.0.1:1 cannot be reached";
        refused(&out, 4, "kms-unreachable", says);
    }
}

#[test]
fn somebody_else_at_its_address() {
    let (_vault, scratch) = known();
    let Some(server) = TlsServer::start(&scratch) else {
        return;
    };
    let config = scratch.read_text("obreia.toml");
    let other = format!("endpoint = \"https://127.0.0.1:{}\"", server.port);
    let own = config.lines().find(|l| l.starts_with("endpoint")).unwrap();
    let config = config.replace(own, &other);
    scratch.write("obreia.toml", &config);
    refused(
        &sign(&scratch, KEY),
        4,
        "kms-tls",
        "does not prove that it is the one",
    );
    // With its certificate among those that are believed it is heard, and what
    // it says to a look at the key is no answer.
    std::fs::remove_dir_all(scratch.join("state/known-keys")).unwrap();
    scratch.write("obreia.toml", format!("{config}ca = \"tls.pem\"\n"));
    refused(&sign(&scratch, KEY), 4, "provider-failed", "azure failed");
    scratch.write("obreia.toml", format!("{config}ca = \"absent.pem\"\n"));
    refused(
        &sign(&scratch, KEY),
        3,
        "not-configured",
        "ca in [keys.azure]",
    );
}

#[test]
fn a_token_that_is_not_taken() {
    let (vault, scratch) = known();
    let body = json!({"error": {"code": "Unauthorized", "message": "AKV10022: Invalid audience."}});
    let challenge = "Bearer authorization=\"https://login.microsoftonline.com/x\", resource=\"https://vault.azure.net\"";
    vault.server.fault(
        "sign",
        Answer::With(401, vec![("www-authenticate", challenge.to_owned())], body),
    );
    refused(&sign(&scratch, KEY), 5, "kms-login", "AKV10022");
    nothing_was_signed(&scratch);
}

#[test]
fn a_token_that_is_about_to_run_out_is_renewed() {
    let vault = Vault::start();
    vault.make("models", KeyKind::EcP256);
    let keyring = keyring(&vault, Duration::from_secs(30));
    super::super::block_on(async {
        let soon: fn(&mut Value) = |token| token["expires_in"] = json!(60);
        vault.server.fault("token", Answer::Changed(soon));
        let key = KeyRef::parse(KEY).unwrap();
        let key = keyring.open_key(&key, &super::super::Pass).await.unwrap();
        for _ in 0..2 {
            key.sign(SignInput::Message(b"x"), &Caller::local(0))
                .await
                .unwrap();
        }
    });
    assert_eq!(
        vault.server.asked(),
        ["token", "GetKey", "token", "sign", "sign"]
    );
}

#[test]
fn a_token_is_sent_nowhere_else() {
    let (vault, scratch) = known();
    // A challenge that asks for a token for somebody else.
    let challenge = "Bearer authorization=\"https://login.microsoftonline.com/x\", resource=\"https://vault.example\"";
    vault.server.fault(
        "sign",
        Answer::With(
            401,
            vec![("www-authenticate", challenge.to_owned())],
            json!({}),
        ),
    );
    refused(&sign(&scratch, KEY), 5, "kms-login", "");
    assert_eq!(vault.server.asked(), ["token", "sign"]);
    // A list whose next page lies with somebody else.
    let list: fn(&mut Value) =
        |list| list["nextLink"] = json!("https://evil.example/keys/models/versions");
    vault.server.fault("GetKeyVersions", Answer::Changed(list));
    let out = verify(&scratch, KEY);
    refused(&out, 4, "kms-unreachable", "it is not the vault");
}

#[test]
fn signatures_that_are_none_or_not_ours() {
    type Lie = (fn(&mut Value), &'static str, &'static str);
    let lies: [Lie; 5] = [
        (
            |b| b["value"] = json!(BASE64.encode([7; 64])),
            "self-check-failed",
            "does not verify with its own public key",
        ),
        (
            |b| b["value"] = json!(BASE64.encode([0; 64])),
            "provider-failed",
            "a signature that is none",
        ),
        (
            |b| b["value"] = json!(BASE64.encode([7; 63])),
            "provider-failed",
            "a signature that is none",
        ),
        (
            |b| {
                b["kid"] = json!(
                    "https://acme.vault.azure.net/keys/models/00000000000000000000000000000000"
                )
            },
            "provider-failed",
            "another version",
        ),
        (
            |b| {
                b["kid"] = json!(
                    "https://acme.vault.azure.net/keys/others/00000000000000000000000000000000"
                )
            },
            "provider-failed",
            "another key",
        ),
    ];
    for (lie, code, says) in lies {
        let (vault, scratch) = known();
        vault.server.fault("sign", Answer::Changed(lie));
        refused(&sign(&scratch, KEY), 4, code, says);
        nothing_was_signed(&scratch);
    }
}

#[test]
fn a_public_key_that_changes_under_the_same_version() {
    let (vault, scratch) = known();
    let other = vault.make("other", KeyKind::EcP256);
    vault.newest("models", |version| version.private = other.private);
    // What is known is believed for a while; the lie is seen by its signature.
    refused(
        &sign(&scratch, KEY),
        4,
        "self-check-failed",
        "does not verify",
    );
    // Looked at anew, it is seen for what it is.
    refused(
        &verify(&scratch, KEY),
        4,
        "public-key-changed",
        "shows another public key",
    );
    refused(
        &verify(&scratch, KEY),
        4,
        "public-key-changed",
        "shows another public key",
    );
    // Whoever knows why may forget the old one, and its versions with it.
    let forget = ["key", "forget", KEY];
    super::with(&scratch, &forget).run().ok();
    sign(&scratch, KEY).ok();
    verify(&scratch, KEY).ok();
}

/// When it is needed most, it cannot be looked at.
#[test]
fn a_key_that_was_replaced_can_be_disabled() {
    let (vault, scratch) = known();
    sign(&scratch, KEY).ok();
    verify(&scratch, KEY).ok();
    let other = vault.make("other", KeyKind::EcP256);
    vault.newest("models", |version| version.private = other.private);
    super::with(&scratch, &["key", "disable", KEY]).run().ok();
    vault.newest("models", |version| assert!(!version.enabled));
    refused(&verify(&scratch, KEY), 5, "disabled", "is disabled");
    let last = super::super::records(&scratch).pop().unwrap();
    assert_eq!(
        (&last["op"], &last["result"]),
        (&json!("disable"), &json!("ok"))
    );
}

#[test]
fn what_one_vault_showed_is_not_believed_of_another() {
    let (vault, scratch) = known();
    sign(&scratch, KEY).ok();
    verify(&scratch, KEY).ok();
    let other = Vault::start();
    other.make("models", KeyKind::EcP256);
    let config = scratch.read_text("obreia.toml");
    let moved = config.replace(&vault.server.origin, &other.server.origin);
    scratch.write("obreia.toml", moved);
    verify(&scratch, KEY).expect_code(1);
    sign(&scratch, KEY).ok();
    verify(&scratch, KEY).ok();
}

#[test]
fn answers_that_are_no_answers() {
    let kinds: [Answer; 4] = [
        Answer::Raw(200, b"not json".to_vec()),
        Answer::Raw(200, vec![b' '; 2 << 20]),
        Answer::Json(200, json!({})),
        Answer::Json(
            200,
            json!({"key": {"kty": "EC", "crv": "P-256", "kid": "https://acme.vault.azure.net/keys/models/0"}}),
        ),
    ];
    for answer in kinds {
        let vault = Vault::start();
        let scratch = place(&vault);
        vault.make("models", KeyKind::EcP256);
        vault.server.fault("GetKey", answer.clone());
        let out = sign(&scratch, KEY);
        out.expect_code(4).stderr_has("error[provider-failed]");
        nothing_was_signed(&scratch);
        let (vault, scratch) = known();
        vault.server.fault("sign", answer);
        sign(&scratch, KEY)
            .expect_code(4)
            .stderr_has("error[provider-failed]");
        nothing_was_signed(&scratch);
    }
}

/// Later than any deadline: who waits for it never ends.
const NEVER: Duration = Duration::from_secs(3_600);

/// The same keys through the library, with that deadline.
fn keyring(vault: &Vault, deadline: Duration) -> Keyring {
    let settings = Settings {
        deadline,
        environment: Environment::from([
            ("AZURE_TENANT_ID", super::TENANT),
            ("AZURE_CLIENT_ID", super::CLIENT),
            ("AZURE_CLIENT_SECRET", super::SECRET),
        ]),
        keys: Keys {
            azure: Azure {
                endpoint: Some(vault.server.origin.clone()),
                authority: Some(vault.server.origin.clone()),
                login: Some(AzureLogin::ClientSecret),
                ..Azure::default()
            },
            ..Keys::default()
        },
        ..Settings::default()
    };
    Keyring::new(settings, Arc::new(Timestamp::from_secs(1_795_000_000)))
}

#[test]
fn too_slow() {
    let vault = Vault::start();
    vault.make("models", KeyKind::EcP256);
    // For a token and a look at the key, which a busy machine takes its time for.
    let keyring = keyring(&vault, Duration::from_secs(6));
    super::super::block_on(async {
        let key = KeyRef::parse(KEY).unwrap();
        vault.server.fault("token", Answer::Slow(NEVER));
        let late = keyring
            .open_key(&key, &super::super::Pass)
            .await
            .unwrap_err();
        assert_eq!(late.code(), "deadline", "{late}");
        let key = keyring.open_key(&key, &super::super::Pass).await.unwrap();
        vault.server.fault("sign", Answer::Slow(NEVER));
        let signing = key.sign(SignInput::Message(b"x"), &Caller::local(0)).await;
        let late = signing.unwrap_err();
        assert_eq!(late.code(), "deadline", "{late}");
    });
}
