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

use super::super::tls::TlsServer;
use super::standin::Answer;
use super::vault::{Vault, error};
use super::{KEY, place, refused, sign, verify};
use crate::harness::Scratch;

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

#[track_caller]
fn nothing_was_signed(scratch: &Scratch) {
    let files = scratch.files();
    assert!(
        !files.iter().any(|f| f.ends_with(".sigstore.json")),
        "{files:?}"
    );
}

fn busy() -> Answer {
    let body = json!({"error": {"code": "Throttled", "message": "Request was not processed because too many requests were received."}});
    Answer::With(429, vec![("retry-after", "0".to_owned())], body)
}

#[test]
fn turned_away_and_then_served() {
    let (vault, scratch) = known();
    vault.server.fault("sign", busy());
    vault.server.fault("sign", busy());
    sign(&scratch, KEY).ok();
    assert_eq!(vault.server.asked(), ["token", "sign", "sign", "sign"]);
}

#[test]
fn turned_away_for_good() {
    let (vault, scratch) = known();
    for _ in 0..5 {
        vault.server.fault("sign", busy());
    }
    refused(
        &sign(&scratch, KEY),
        4,
        "kms-throttled",
        "turns requests away",
    );
    nothing_was_signed(&scratch);
    assert_eq!(
        super::super::records(&scratch).last().unwrap()["result"],
        "kms-throttled"
    );
}

#[test]
fn an_error_of_the_service_is_not_followed_by_a_second_signature() {
    let (vault, scratch) = known();
    let down = || error(503, "ServiceUnavailable", None, "The service is down.");
    vault.server.fault("sign", down());
    refused(&sign(&scratch, KEY), 4, "provider-failed", "answered 503");
    assert_eq!(vault.server.asked(), ["token", "sign"]);
    nothing_was_signed(&scratch);
    // Looking twice does no harm.
    std::fs::remove_dir_all(scratch.join("state/known-keys")).unwrap();
    vault.server.fault("GetKey", down());
    sign(&scratch, KEY).ok();
    assert_eq!(vault.server.asked(), ["token", "GetKey", "GetKey", "sign"]);
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
fn cut_after_the_request_was_sent() {
    let (vault, scratch) = known();
    vault.server.fault("sign", Answer::Cut);
    let out = sign(&scratch, KEY);
    refused(
        &out,
        4,
        "kms-unreachable",
        "broke after the request was sent",
    );
    assert_eq!(vault.server.asked(), ["token", "sign"]);
    nothing_was_signed(&scratch);
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
    let keyring = keyring(&vault);
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

/// The same keys through the library, which may take five seconds for each call.
fn keyring(vault: &Vault) -> Keyring {
    let settings = Settings {
        deadline: Duration::from_secs(5),
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
    let keyring = keyring(&vault);
    super::super::block_on(async {
        let key = KeyRef::parse(KEY).unwrap();
        vault
            .server
            .fault("token", Answer::Slow(Duration::from_secs(60)));
        let late = keyring
            .open_key(&key, &super::super::Pass)
            .await
            .unwrap_err();
        assert_eq!(late.code(), "deadline", "{late}");
        let key = keyring.open_key(&key, &super::super::Pass).await.unwrap();
        vault
            .server
            .fault("sign", Answer::Slow(Duration::from_secs(60)));
        let signing = key.sign(SignInput::Message(b"x"), &Caller::local(0)).await;
        let late = signing.unwrap_err();
        assert_eq!(late.code(), "deadline", "{late}");
    });
}
