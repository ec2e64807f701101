//! A faulty server between us and a real one: each fault has its own code,
//! and a signature is never asked for twice where the first may have been made.

use std::sync::Arc;
use std::time::Duration;

use obreia::custody::Caller;
use obreia::environment::Environment;
use obreia::keys::{FaultClass, Key, KeyFault, Keyring, Settings, SignInput};
use obreia::reference::KeyRef;
use obreia::time::Timestamp;
use serde_json::json;

use super::{Act, Bao, Between, ROOT, run, server};
use crate::harness::{Scratch, peer};
use crate::keys::{Pass, block_on, obreia, place};

fn says(status: u16, text: &str) -> Act {
    Act::Answer(status, "", json!({ "errors": [text] }).to_string())
}

struct Fault {
    at: &'static str,
    act: Act,
    exit: i32,
    code: &'static str,
    hint: &'static str,
}

const SIGN: &str = "/sign/";
const READ: &str = "GET /v1/transit/keys/";

fn faults() -> Vec<Fault> {
    let answer = |status, body: &str| Act::Answer(status, "", body.to_owned());
    let elsewhere = Act::Answer(
        307,
        "Location: https://other.example/v1/x\r\n",
        String::new(),
    );
    let mut all = Vec::new();
    let mut each = |at, (exit, code), hint, acts: Vec<Act>| {
        all.extend(acts.into_iter().map(|act| Fault {
            at,
            act,
            exit,
            code,
            hint,
        }));
    };
    let sealed = (4, "kms-sealed");
    each(SIGN, sealed, "unseal", vec![says(503, "Vault is sealed")]);
    let standby = vec![elsewhere, says(472, ""), says(473, "")];
    each(SIGN, sealed, "active node", standby);
    let forbidden = vec![
        says(403, "1 error occurred:\n\t* permission denied\n\n"),
        // In doubt the token is looked up, and it is good.
        says(403, "permission denied"),
    ];
    each(SIGN, (5, "kms-refused"), "grant", forbidden);
    let missing = vec![says(404, ""), says(400, "signing key not found")];
    each(SIGN, (3, "no-such-key"), "key list", missing);
    let route = vec![says(404, "no handler for route \"transit/sign/k\"")];
    each(SIGN, (3, "not-configured"), "docs/providers.md", route);
    let encrypts = vec![says(400, "key type aes256-gcm96 does not support signing")];
    each(SIGN, (5, "wrong-usage"), "SIGN_VERIFY", encrypts);
    let malformed = vec![says(400, "illegal base64 data at input byte 5")];
    each(SIGN, (2, "bad-request"), "", malformed);
    let deleted = vec![says(500, "refusing to use soft-deleted key")];
    each(SIGN, (5, "disabled"), "key enable", deleted);
    let failed = vec![
        says(500, "internal error"),
        answer(502, "<html>bad gateway"),
        says(504, "gateway"),
        Act::Garbage(100),
        Act::Garbage(5 << 20),
        answer(200, "{\"data\":{}}"),
        answer(204, ""),
        // A gateway knows nothing of keys, and a login page is no standby.
        answer(404, "<html>not found"),
        Act::Answer(302, "Location: https://login.example/\r\n", String::new()),
        Act::Alter(|b| b.replace("vault:v1:", "vault:v2:")),
        Act::Alter(|b| b.replace("vault:v1:", "v1:")),
        Act::Alter(|b| b.replace("vault:v1:", "vault:v1:?")),
    ];
    each(SIGN, (4, "provider-failed"), "", failed);
    let cut = vec![Act::CutAfter, Act::CutBefore];
    each(SIGN, (4, "kms-unreachable"), "own audit log", cut);
    let turned = vec![Act::Alter(another)];
    each(SIGN, (4, "self-check-failed"), "thrown away", turned);

    let failed = vec![
        Act::Garbage(100),
        Act::Garbage(5 << 20),
        Act::Alter(|b| b.replace("\"latest_version\":1", "\"latest_version\":2")),
    ];
    each(READ, (4, "provider-failed"), "", failed);
    let no_key = vec![Act::Alter(|b| b.replace("BEGIN PUBLIC", "BEGIN SECRET"))];
    each(READ, (2, "wrong-algorithm"), "", no_key);
    let deleted = Act::Alter(|b| b.replace("\"soft_deleted\":false", "\"soft_deleted\":true"));
    each(READ, (5, "disabled"), "key enable", vec![deleted]);
    let derived = Act::Alter(|b| b.replace("\"derived\":false", "\"derived\":true"));
    each(READ, (5, "wrong-usage"), "", vec![derived]);
    all
}

/// A signature with its last bits turned.
fn another(body: &str) -> String {
    let at = body.find("vault:v1:").unwrap() + "vault:v1:".len() + 60;
    let mut bytes = body.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn each_fault_has_its_code_and_its_hint() {
    let Some(bao) = server() else { return };
    bao.key("faulty", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (Scratch::new(), between.address());
    scratch.write("a.txt", "hello");
    for fault in faults() {
        between.next(fault.at, fault.act);
        let sign = ["sign", "a.txt", "--key", "openbao://faulty", "-o", "json"];
        let out = run(&scratch, &address, &sign);
        out.expect_code(fault.exit);
        assert!(between.done(), "{out}");
        let json = out.json();
        assert_eq!(json["schema"], "obreia.error/v1", "{out}");
        assert_eq!(json["code"], fault.code, "{out}");
        let hint = json["hint"].as_str().unwrap_or_default();
        assert!(hint.contains(fault.hint), "{out}");
        let signing = between
            .seen()
            .iter()
            .filter(|line| line.contains(SIGN))
            .count();
        assert!(signing <= 1, "signed {signing} times\n{out}");
    }
    assert_eq!(scratch.files(), ["a.txt"]);
    run(
        &scratch,
        &address,
        &["sign", "a.txt", "--key", "openbao://faulty"],
    )
    .expect_code(0);
}

#[test]
fn a_page_in_the_servers_place_says_nothing_of_keys() {
    let Some(bao) = server() else { return };
    bao.key("paged", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (place(), between.address());
    let page = || Act::Answer(404, "", "<html>404 page not found</html>".to_owned());
    between.next("GET /v1/transit/keys", page());
    run(&scratch, &address, &["key", "list", "openbao://"])
        .expect_code(4)
        .stderr_has("error[provider-failed]");
    between.seen();
    between.next("GET /v1/transit/keys/", page());
    let create = ["key", "create", "openbao://paged", "--algorithm", "ed25519"];
    run(&scratch, &address, &create)
        .expect_code(4)
        .stderr_has("404 page not found");
    let seen = between.seen();
    assert!(!seen.iter().any(|line| line.starts_with("PUT")), "{seen:?}");
}

#[test]
fn a_change_that_was_made_is_told_as_made_whatever_follows() {
    let Some(bao) = server() else { return };
    bao.key("made", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (place(), between.address());
    let page = || Act::Answer(404, "", "<html>404 page not found</html>".to_owned());
    let rotate = ["key", "rotate", "openbao://made", "-o", "json"];
    // The key is looked at before, and then not any more.
    between.next("GET /v1/transit/keys/made", Act::Slow(Duration::ZERO));
    between.next("GET /v1/transit/keys/made", page());
    let json = run(&scratch, &address, &rotate).fails("not-shown", "need not be made again");
    assert!(json.to_string().contains("404 page not found"), "{json}");
    let last = crate::keys::records(&scratch).pop().unwrap();
    assert_eq!(
        (&last["op"], &last["result"]),
        (&json!("rotate"), &json!("ok"))
    );
    let shown = run(
        &scratch,
        &address,
        &["key", "show", "openbao://made", "-o", "json"],
    );
    let versions = shown.ok().json()["key"]["versions"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(versions, 2);
    // One whose answer is lost may have been made.
    between.next("/rotate", Act::CutAfter);
    run(&scratch, &address, &rotate).fails("kms-unreachable", "key show KEY, before trying again");
    let last = crate::keys::records(&scratch).pop().unwrap();
    assert_eq!(last["result"], "kms-unreachable");
}

#[test]
fn what_was_not_done_is_asked_for_again() {
    let Some(bao) = server() else { return };
    bao.key("again", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (Scratch::new(), between.address());
    scratch.write("a.txt", "hello");
    let sign = || {
        run(
            &scratch,
            &address,
            &["sign", "a.txt", "--key", "openbao://again", "--force"],
        )
    };
    let signed = || {
        between
            .seen()
            .iter()
            .filter(|line| line.contains(SIGN))
            .count()
    };
    // Turned away before anything was done.
    for _ in 0..2 {
        between.next(SIGN, Act::Answer(429, "", String::new()));
    }
    sign().expect_code(0);
    assert_eq!(signed(), 3);
    // Reading does no harm.
    for act in [
        Act::CutAfter,
        Act::CutBefore,
        says(503, "no upstream"),
        says(500, "x"),
    ] {
        between.next(READ, act);
        sign().expect_code(0);
        assert!(between.done());
        assert_eq!(signed(), 1);
    }
    for _ in 0..5 {
        between.next(SIGN, Act::Answer(429, "", String::new()));
    }
    sign()
        .expect_code(4)
        .stderr_has("error[kms-throttled]")
        .stderr_has("each signature takes one request");
    assert_eq!(signed(), 5);
    between.next(SIGN, Act::Answer(429, "Retry-After: 60\r\n", String::new()));
    sign().expect_code(4).stderr_has("error[kms-throttled]");
    assert_eq!(signed(), 1, "a minute is longer than the deadline");
}

fn settings(address: &str) -> Settings {
    Settings {
        environment: Environment::from([("VAULT_ADDR", address), ("VAULT_TOKEN", ROOT)]),
        deadline: Duration::from_secs(8),
        ..Settings::default()
    }
}

fn open(keyring: &Keyring, uri: &str) -> Result<Key, KeyFault> {
    block_on(keyring.open_key(&KeyRef::parse(uri).unwrap(), &Pass))
}

fn sign(key: &Key) -> Result<Vec<u8>, KeyFault> {
    let signed = block_on(key.sign(SignInput::Message(b"abc"), &Caller::local(0)));
    signed.map(|signed| signed.signature)
}

const NOW: i64 = 1_795_000_000;

fn keyring(settings: Settings, now: i64) -> Keyring {
    Keyring::new(settings, Arc::new(Timestamp::from_secs(now)))
}

#[test]
fn a_server_that_is_slow_is_given_up_and_works_again() {
    let Some(bao) = server() else { return };
    bao.key("slow", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let keyring = keyring(settings(&between.address()), NOW);
    let key = open(&keyring, "openbao://slow").unwrap();
    between.next(SIGN, Act::Slow(Duration::from_secs(30)));
    let late = sign(&key).unwrap_err();
    assert_eq!(
        (late.code(), late.class()),
        ("deadline", FaultClass::Unavailable),
        "{late}"
    );
    assert_eq!(
        between.seen().iter().filter(|l| l.contains(SIGN)).count(),
        1
    );
    between.next(SIGN, Act::Slow(Duration::from_millis(300)));
    sign(&key).unwrap();
}

#[test]
fn a_key_that_is_replaced_under_its_name_is_noticed() {
    let Some(bao) = server() else { return };
    bao.key("replaced", "ecdsa-p256");
    let scratch = Scratch::new();
    let settings = || Settings {
        state: None,
        ..settings(&bao.address())
    };
    let uri = "openbao://replaced";
    let noted = |now| {
        let mut settings = settings();
        settings.state = Some(scratch.join("state"));
        keyring(settings, now)
    };
    let trusted = |keyring: &Keyring| block_on(keyring.trusted(&KeyRef::parse(uri).unwrap()));
    trusted(&noted(NOW)).unwrap();
    let deletion = json!({"deletion_allowed": true});
    bao.admin("PUT", "transit/keys/replaced/config", &deletion);
    bao.admin("DELETE", "transit/keys/replaced", &json!(null));
    bao.key("replaced", "ecdsa-p256");
    // While the notes are fresh, what it signs is not by the key that is known.
    let fresh = noted(NOW + 200);
    assert!(trusted(&fresh).is_ok());
    let changed = trusted(&noted(NOW + 301)).unwrap_err();
    assert_eq!(changed.code(), "public-key-changed", "{changed}");
    assert!(changed.to_string().contains("version 1"), "{changed}");
    assert_eq!(
        trusted(&noted(NOW + 302)).unwrap_err().code(),
        "public-key-changed"
    );
    let known = noted(NOW + 303);
    assert!(known.forget(&KeyRef::parse(uri).unwrap()).unwrap());
    trusted(&known).unwrap();
}

#[test]
fn a_key_that_is_replaced_makes_no_signature_that_passes() {
    let Some(bao) = server() else { return };
    bao.key("swapped", "ecdsa-p256");
    let keyring = keyring(settings(&bao.address()), NOW);
    let key = open(&keyring, "openbao://swapped").unwrap();
    sign(&key).unwrap();
    bao.admin(
        "PUT",
        "transit/keys/swapped/config",
        &json!({"deletion_allowed": true}),
    );
    bao.admin("DELETE", "transit/keys/swapped", &json!(null));
    assert_eq!(sign(&key).unwrap_err().code(), "no-such-key");
    bao.key("swapped", "ecdsa-p256");
    assert_eq!(sign(&key).unwrap_err().code(), "self-check-failed");
    // Opened anew it is asked for, as the notes are in doubt, and not believed.
    let fault = open(&keyring, "openbao://swapped").unwrap_err();
    assert_eq!(fault.code(), "public-key-changed", "{fault}");
}

#[test]
fn what_is_opened_keeps_its_version_while_the_key_rotates() {
    let Some(bao) = server() else { return };
    bao.key("kept", "ecdsa-p256");
    let keyring = keyring(settings(&bao.address()), NOW);
    let key = open(&keyring, "openbao://kept").unwrap();
    bao.rotate("kept");
    sign(&key).unwrap();
    assert_eq!(key.info().version, Some(1));
    // What may no longer sign does not, and is not known any more.
    bao.admin(
        "PUT",
        "transit/keys/kept/config",
        &json!({"min_encryption_version": 2}),
    );
    assert_eq!(sign(&key).unwrap_err().code(), "kms-refused");
    let key = open(&keyring, "openbao://kept").unwrap();
    assert_eq!(key.info().version, Some(2));
    sign(&key).unwrap();
    bao.admin(
        "PUT",
        "transit/keys/kept/config",
        &json!({"min_decryption_version": 2}),
    );
    let old = open(&keyring, "openbao://kept?version=1").map(|_| ());
    // The notes are fresh, so that the server says it when it is to sign.
    assert!(old.is_ok() || old.unwrap_err().code() == "retired");
}

#[test]
fn a_server_that_is_not_the_one_is_not_talked_to() {
    let (Some(program), Some(openssl)) = (peer("bao"), peer("openssl")) else {
        return;
    };
    let bao = Bao::with_tls(&program, &openssl);
    bao.key("tls", "ecdsa-p256");
    let scratch = place();
    scratch.write("a.txt", "hello");
    let port = bao.tls.rsplit(':').next().unwrap();
    let ca = bao.folder().join("ca.pem");
    let sign = |host: &str, ca: Option<&std::path::Path>| {
        let mut command = obreia(
            &scratch,
            &["sign", "a.txt", "--key", "openbao://tls", "--force"],
        )
        .env("VAULT_ADDR", format!("https://{host}:{port}"))
        .env("VAULT_TOKEN", ROOT)
        // Nothing turns the check off.
        .env("VAULT_SKIP_VERIFY", "true");
        if let Some(ca) = ca {
            command = command.env("BAO_CACERT", ca);
        }
        command.run()
    };
    sign("localhost", Some(&ca)).expect_code(0);
    for (host, ca) in [("127.0.0.1", Some(ca.as_path())), ("localhost", None)] {
        sign(host, ca)
            .expect_code(4)
            .stderr_has("error[kms-tls]")
            .stderr_has("does not prove that it is the one");
    }
    // A server that speaks no TLS at all, and one that expects it.
    let plain = bao.host.rsplit(':').next().unwrap();
    obreia(
        &scratch,
        &["sign", "a.txt", "--key", "openbao://tls", "--force"],
    )
    .env("VAULT_ADDR", format!("https://localhost:{plain}"))
    .env("VAULT_TOKEN", ROOT)
    .run()
    .expect_code(4);
    obreia(
        &scratch,
        &["sign", "a.txt", "--key", "openbao://tls", "--force"],
    )
    .env("VAULT_ADDR", format!("http://localhost:{port}"))
    .env("VAULT_TOKEN", ROOT)
    .run()
    .expect_code(2);
    for bad in ["absent.pem", "a.txt"] {
        sign("localhost", Some(&scratch.join(bad)))
            .expect_code(3)
            .stderr_has("error[not-configured]");
    }

    // The client's certificate is a login.
    bao.admin("PUT", "sys/auth/cert", &json!({"type": "cert"}));
    bao.admin(
        "PUT",
        "sys/policies/acl/tls",
        &json!({"policy": super::policy("tls")}),
    );
    let trusted = std::fs::read_to_string(&ca).unwrap();
    bao.admin(
        "PUT",
        "auth/cert/certs/web",
        &json!({"certificate": trusted, "token_policies": "tls"}),
    );
    let config = |client: &str| {
        scratch.write(
            "vault.toml",
            format!(
                "version = 1\n[keys.vault]\naddress = \"https://localhost:{port}\"\nca = {ca:?}\n{client}\
                 [keys.vault.auth]\nmethod = \"cert\"\nrole = \"web\"\n"
            ),
        );
        let args = [
            "--config",
            "vault.toml",
            "sign",
            "a.txt",
            "--key",
            "openbao://tls",
            "--force",
        ];
        obreia(&scratch, &args).run()
    };
    let client = format!(
        "client = {{ certificate = {:?}, key = {{ file = {:?} }} }}\n",
        bao.folder().join("client.pem"),
        bao.folder().join("client.key")
    );
    config(&client).expect_code(0);
    config("").expect_code(5).stderr_has("error[kms-login]");
}
