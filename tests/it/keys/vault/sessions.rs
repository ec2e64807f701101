//! Tokens over time: renewed, run out, replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use obreia::custody::Caller;
use obreia::environment::{Environment, SecretSource};
use obreia::keys::{Key, KeyFault, Keyring, Keys, Settings, SignInput, Vault, VaultAuth};
use obreia::reference::KeyRef;
use obreia::time::{Clock, Timestamp};
use serde_json::{Value, json};

use super::{Act, Bao, Between, ROOT, policy, server};
use crate::harness::Scratch;
use crate::keys::{Pass, block_on};

/// A clock that a test moves.
#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_795_000_000)))
    }

    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn keyring(between: &Between, auth: Option<VaultAuth>, token: &str, clock: &Hands) -> Keyring {
    let settings = Settings {
        environment: Environment::from([("VAULT_TOKEN", token), ("ROLE", "x")]),
        deadline: Duration::from_secs(20),
        keys: Keys {
            vault: Vault {
                address: Some(between.address()),
                auth,
                ..Vault::default()
            },
            ..Keys::default()
        },
        ..Settings::default()
    };
    Keyring::new(settings, Arc::new(clock.clone()))
}

fn open(keyring: &Keyring, uri: &str) -> Key {
    block_on(keyring.open_key(&KeyRef::parse(uri).unwrap(), &Pass)).unwrap()
}

fn sign(key: &Key) -> Result<(), KeyFault> {
    block_on(key.sign(SignInput::Message(b"abc"), &Caller::local(0))).map(drop)
}

/// What is behind `/v1/` of each request.
fn seen(between: &Between) -> Vec<String> {
    let short = |line: String| line.split("/v1/").nth(1).unwrap_or_default().to_owned();
    between.seen().into_iter().map(short).collect()
}

/// An `AppRole` whose tokens may use `key`; where its two ids lie.
fn approle(bao: &Bao, scratch: &Scratch, key: &str, token: Value) -> VaultAuth {
    let mount = format!("approle-{key}");
    bao.admin(
        "PUT",
        &format!("sys/auth/{mount}"),
        &json!({"type": "approle"}),
    );
    bao.admin(
        "PUT",
        &format!("sys/policies/acl/{key}"),
        &json!({"policy": policy(key)}),
    );
    let role = format!("auth/{mount}/role/r");
    let mut settings = json!({"token_policies": key});
    for (field, value) in token.as_object().unwrap() {
        settings[field] = value.clone();
    }
    bao.admin("PUT", &role, &settings);
    let id = bao.admin("GET", &format!("{role}/role-id"), &json!(null));
    let secret = bao.admin("PUT", &format!("{role}/secret-id"), &json!({}));
    let file = |name: &str, value: &Value| {
        SecretSource::File(scratch.write(name, format!("{}\n", value.as_str().unwrap())))
    };
    VaultAuth::AppRole {
        mount: Some(mount),
        role_id: file("role", &id["data"]["role_id"]),
        secret_id: Some(file("secret", &secret["data"]["secret_id"])),
    }
}

fn revoke_all(bao: &Bao, mount: &str) {
    bao.admin(
        "PUT",
        &format!("sys/leases/revoke-prefix/auth/{mount}/login"),
        &json!({}),
    );
}

#[test]
fn a_token_is_renewed_below_half_its_time() {
    let Some(bao) = server() else { return };
    bao.key("renewed", "ecdsa-p256");
    let (between, clock, scratch) = (Between::new(&bao.host), Hands::new(), Scratch::new());
    let auth = approle(
        bao,
        &scratch,
        "renewed",
        json!({"token_ttl": "1h", "token_max_ttl": "100h"}),
    );
    let keyring = keyring(&between, Some(auth), "", &clock);
    let key = open(&keyring, "openbao://renewed");
    sign(&key).unwrap();
    assert_eq!(
        seen(&between),
        [
            "auth/approle-renewed/login",
            "transit/keys/renewed",
            "transit/sign/renewed/sha2-256"
        ]
    );
    clock.forward(1_799);
    sign(&key).unwrap();
    assert_eq!(seen(&between), ["transit/sign/renewed/sha2-256"]);
    clock.forward(2);
    for renewal in [true, false] {
        sign(&key).unwrap();
        let asked = seen(&between);
        assert_eq!(
            asked.contains(&"auth/token/renew-self".to_owned()),
            renewal,
            "{asked:?}"
        );
    }
    // A server that is away for now does not end the session.
    clock.forward(1_801);
    between.next("renew-self", Act::Answer(500, "", String::new()));
    sign(&key).unwrap();
    // A renewal that is refused is a login.
    between.next(
        "renew-self",
        Act::Answer(
            403,
            "",
            json!({"errors": ["permission denied"]}).to_string(),
        ),
    );
    seen(&between);
    sign(&key).unwrap();
    assert_eq!(
        seen(&between),
        [
            "auth/token/renew-self",
            "auth/approle-renewed/login",
            "transit/sign/renewed/sha2-256"
        ]
    );
}

#[test]
fn a_token_near_its_last_day_is_replaced() {
    let Some(bao) = server() else { return };
    bao.key("capped", "ecdsa-p256");
    let (between, clock, scratch) = (Between::new(&bao.host), Hands::new(), Scratch::new());
    let auth = approle(
        bao,
        &scratch,
        "capped",
        json!({"token_ttl": "10s", "token_max_ttl": "11s"}),
    );
    let keyring = keyring(&between, Some(auth), "", &clock);
    let key = open(&keyring, "openbao://capped");
    // The server's own time, and ours.
    std::thread::sleep(Duration::from_secs(7));
    clock.forward(7);
    sign(&key).unwrap();
    let asked = seen(&between);
    assert_eq!(
        &asked[asked.len() - 3..asked.len() - 1],
        ["auth/token/renew-self", "auth/approle-capped/login"]
    );
}

#[test]
fn an_expired_token_is_replaced_once_and_the_signature_made() {
    let Some(bao) = server() else { return };
    bao.key("expired", "ecdsa-p256");
    let (between, clock, scratch) = (Between::new(&bao.host), Hands::new(), Scratch::new());
    let auth = approle(bao, &scratch, "expired", json!({"token_ttl": "1h"}));
    let keyring = keyring(&between, Some(auth), "", &clock);
    let key = open(&keyring, "openbao://expired");
    revoke_all(bao, "approle-expired");
    seen(&between);
    sign(&key).unwrap();
    let signed = "transit/sign/expired/sha2-256";
    assert_eq!(
        seen(&between),
        [
            signed,
            "auth/token/lookup-self",
            "auth/approle-expired/login",
            signed
        ]
    );
    // Eight at once log in once.
    revoke_all(bao, "approle-expired");
    let key = Arc::new(key);
    block_on(async {
        let once = |key: Arc<Key>| async move {
            key.sign(SignInput::Message(b"abc"), &Caller::local(0))
                .await
        };
        let all: Vec<_> = (0..8)
            .map(|_| tokio::spawn(once(Arc::clone(&key))))
            .collect();
        for one in all {
            one.await.unwrap().unwrap();
        }
    });
    let logins = seen(&between)
        .iter()
        .filter(|line| line.ends_with("/login"))
        .count();
    assert_eq!(logins, 1);
    // A login that is no longer taken ends it, with no further try.
    let role = "auth/approle-expired/role/r";
    bao.admin("DELETE", role, &json!(null));
    revoke_all(bao, "approle-expired");
    let fault = sign(&key).unwrap_err();
    assert_eq!(fault.code(), "kms-login", "{fault}");
    assert_eq!(
        seen(&between),
        [
            signed,
            "auth/token/lookup-self",
            "auth/approle-expired/login"
        ]
    );
}

#[test]
fn a_right_that_is_missing_is_no_expired_token() {
    let Some(bao) = server() else { return };
    bao.key("right", "ecdsa-p256");
    bao.key("not-right", "ecdsa-p256");
    let (between, clock, scratch) = (Between::new(&bao.host), Hands::new(), Scratch::new());
    let auth = approle(bao, &scratch, "right", json!({"token_ttl": "1h"}));
    let keyring = keyring(&between, Some(auth), "", &clock);
    sign(&open(&keyring, "openbao://right")).unwrap();
    seen(&between);
    let uri = KeyRef::parse("openbao://not-right").unwrap();
    let fault = block_on(keyring.open_key(&uri, &Pass))
        .map(drop)
        .unwrap_err();
    assert_eq!(fault.code(), "kms-refused", "{fault}");
    assert_eq!(
        seen(&between),
        ["transit/keys/not-right"],
        "nothing is tried again"
    );
}

#[test]
fn a_given_token_that_ran_out_is_told_as_that() {
    let Some(bao) = server() else { return };
    bao.key("given", "ecdsa-p256");
    let (between, clock) = (Between::new(&bao.host), Hands::new());
    let token = bao.token(&policy("given"), json!({"ttl": "1h"}));
    let keyring = keyring(&between, None, &token, &clock);
    let key = open(&keyring, "openbao://given");
    sign(&key).unwrap();
    seen(&between);
    // In a process that lasts, it is asked once how long the token is good.
    clock.forward(61);
    for _ in 0..2 {
        sign(&key).unwrap();
    }
    let signed = "transit/sign/given/sha2-256";
    assert_eq!(seen(&between), ["auth/token/lookup-self", signed, signed]);
    clock.forward(1_801);
    sign(&key).unwrap();
    assert_eq!(seen(&between), ["auth/token/renew-self", signed]);
    bao.admin("PUT", "auth/token/revoke", &json!({ "token": token }));
    let fault = sign(&key).unwrap_err();
    assert_eq!(fault.code(), "kms-login", "{fault}");
    assert!(fault.to_string().contains("(token)"), "{fault}");
    assert_eq!(seen(&between), [signed, "auth/token/lookup-self"]);
}

#[test]
fn a_look_at_the_token_that_failed_is_made_up_for() {
    let Some(bao) = server() else { return };
    bao.key("looked", "ecdsa-p256");
    let (between, clock) = (Between::new(&bao.host), Hands::new());
    let keyring = keyring(&between, None, ROOT, &clock);
    let key = open(&keyring, "openbao://looked");
    seen(&between);
    let (look, signed) = ("auth/token/lookup-self", "transit/sign/looked/sha2-256");
    for _ in 0..5 {
        between.next(look, Act::Answer(500, "", String::new()));
    }
    clock.forward(61);
    sign(&key).unwrap();
    assert!(between.done());
    seen(&between);
    clock.forward(61);
    sign(&key).unwrap();
    assert_eq!(seen(&between), [look, signed]);
}

#[test]
fn a_login_that_fails_before_its_time_leaves_the_token_at_hand() {
    let Some(bao) = server() else { return };
    bao.key("early", "ecdsa-p256");
    let (between, clock, scratch) = (Between::new(&bao.host), Hands::new(), Scratch::new());
    let forever = json!({"token_ttl": "1h", "token_max_ttl": "100h"});
    let auth = approle(bao, &scratch, "early", forever);
    let keyring = keyring(&between, Some(auth), "", &clock);
    let key = open(&keyring, "openbao://early");
    clock.forward(1_801);
    let refused = || {
        Act::Answer(
            403,
            "",
            json!({"errors": ["permission denied"]}).to_string(),
        )
    };
    between.next("renew-self", refused());
    between.next("auth/approle-early/login", refused());
    sign(&key).unwrap();
    assert!(between.done());
    // Once its time is over there is nothing to fall back to.
    clock.forward(1_800);
    between.next("renew-self", refused());
    between.next("auth/approle-early/login", refused());
    assert_eq!(sign(&key).unwrap_err().code(), "kms-login");
}

#[test]
fn a_token_in_a_file_is_read_again_when_it_ran_out() {
    let Some(bao) = server() else { return };
    bao.key("in-file", "ecdsa-p256");
    let (between, clock, scratch) = (Between::new(&bao.host), Hands::new(), Scratch::new());
    let first = bao.token(&policy("in-file"), json!({"ttl": "1h"}));
    let file = scratch.write("token", format!("{first}\n"));
    let auth = VaultAuth::Token {
        token: SecretSource::File(file),
    };
    let keyring = keyring(&between, Some(auth), "", &clock);
    let key = open(&keyring, "openbao://in-file");
    bao.admin("PUT", "auth/token/revoke", &json!({ "token": first }));
    assert_eq!(sign(&key).unwrap_err().code(), "kms-login");
    // As an agent that keeps a file fresh writes it.
    scratch.write("token", bao.token(&policy("in-file"), json!({"ttl": "2h"})));
    sign(&key).unwrap();
}

#[test]
fn tokens_of_the_root_are_left_as_they_are() {
    let Some(bao) = server() else { return };
    bao.key("rooted", "ecdsa-p256");
    let (between, clock) = (Between::new(&bao.host), Hands::new());
    let key = open(&keyring(&between, None, ROOT, &clock), "openbao://rooted");
    clock.forward(61);
    sign(&key).unwrap();
    seen(&between);
    clock.forward(100_000_000);
    sign(&key).unwrap();
    assert_eq!(seen(&between), ["transit/sign/rooted/sha2-256"]);
}
