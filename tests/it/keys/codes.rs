//! Each code of a key fault as the binary tells it: exit code, message, JSON
//! and hint. Those that take a token, a cloud or a second process stand with
//! the tests of these.

use std::time::Duration;

use obreia::keys::{FaultClass, KeyFault};
use serde_json::{Value, json};

use super::vault::{Act, Between};
use super::{place, run};
use crate::harness::{Obreia, Output, Scratch, testdata};

impl Output {
    /// A key fault, told to people and to programs: the exit code is that of
    /// its class, and the hint has `hint` in it, or there is none where that
    /// is empty. What programs get.
    #[track_caller]
    pub(crate) fn fails(&self, code: &str, hint: &str) -> Value {
        let class = KeyFault::CODES.iter().find(|(known, _)| *known == code);
        let exit = match class
            .unwrap_or_else(|| panic!("no key fault has the code {code}"))
            .1
        {
            FaultClass::Usage => 2,
            FaultClass::Config => 3,
            FaultClass::Unavailable => 4,
            FaultClass::NotPermitted => 5,
        };
        let told = format!("error[{code}]: ");
        let json = self.expect_code(exit).stderr_has(&told).json();
        assert_eq!(json["schema"], "obreia.error/v1", "{self}");
        assert_eq!(
            (&json["code"], &json["exit"]),
            (&json!(code), &json!(exit)),
            "{self}"
        );
        match json["hint"].as_str() {
            Some(said) => {
                assert!(
                    !hint.is_empty() && said.contains(hint),
                    "{hint:?} is not the hint\n{self}"
                );
                self.stderr_has(&format!("hint: {said}"));
            }
            None => assert!(hint.is_empty(), "there is no hint\n{self}"),
        }
        json
    }
}

fn sign(scratch: &Scratch, key: &str) -> Output {
    let args = ["sign", "a.txt", "--force", "-o", "json", "--key", key];
    run(scratch, &args)
}

#[test]
fn of_names_and_files() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    scratch.write("junk.pem", "junk");
    sign(&scratch, "junk.pem").fails("bad-key-file", "give a PEM key");
    sign(&scratch, "none.pem").fails("bad-key-file", "give a PEM key");
    sign(&scratch, "a.txt/below-a-file.pem").fails("unavailable", "has room");
    sign(&scratch, "env://A/B").fails("bad-request", "docs/keys.md");
    sign(&scratch, "env://UNSET").fails("not-configured", "docs/providers.md");
    sign(&scratch, "KMS://a/b").fails("no-provider", "use kms://…, or a key file");
    run(&scratch, &["key", "rotate", "env://A", "-o", "json"])
        .fails("unsupported", "docs/providers.md");
    let elsewhere = Scratch::new();
    elsewhere.write("a.txt", "hello");
    sign(&elsewhere, "kms://model-sign/a").fails("no-keystore", "obreia init DIR");
}

#[test]
fn of_the_keystore() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    let key = "kms://model-sign/a";
    let create = |key: &str| run(&scratch, &["key", "create", key, "-o", "json"]);
    sign(&scratch, key).fails("no-such-key", "obreia key list");
    create(key).ok();
    create(key).fails("exists", "obreia key rotate KEY");
    create("kms://pki-ca/dev").ok();
    sign(&scratch, "kms://pki-ca/dev").fails("denied", "a key whose purpose permits it");
    let sign_with = |passphrase: Option<&str>| {
        let args = ["sign", "a.txt", "--force", "-o", "json", "--key", key];
        let command = scratch.obreia().args(args);
        match passphrase {
            Some(passphrase) => command.env("OBREIA_PASSPHRASE", passphrase).run(),
            None => command.run(),
        }
    };
    sign_with(None).fails("no-passphrase", "set OBREIA_PASSPHRASE");
    sign_with(Some("wrong")).fails("wrong-passphrase", "check the passphrase");
    run(&scratch, &["key", "rotate", key]).ok();
    run(&scratch, &["key", "retire", &format!("{key}?version=1")]).ok();
    scratch.write("a.txt.sigstore.json", "{}");
    let verify = |key: &str| run(&scratch, &["verify", "a.txt", "-o", "json", "--key", key]);
    verify(&format!("{key}?version=1")).fails("retired", "sign again with the active version");
    run(&scratch, &["key", "disable", key]).ok();
    verify(key).fails("disabled", "obreia key enable KEY");
    scratch.write("state/keystore.db", "somebody wrote here");
    sign(&scratch, key).fails("damaged", "put a good copy back");
}

const READ: &str = "GET /v1/transit/keys/k";
const SIGN: &str = "/v1/transit/sign/k";

/// The key `k` of a transit engine, changed.
pub(super) fn shown(change: impl Fn(&mut Value)) -> Act {
    let pem = std::fs::read_to_string(testdata("keys").join("p256.pub.pem")).unwrap();
    let mut key = json!({
        "type": "ecdsa-p256", "supports_signing": true, "latest_version": 1,
        "keys": {"1": {"public_key": pem}},
    });
    change(&mut key);
    Act::Answer(200, "", json!({"data": key}).to_string())
}

/// A stand-in for Vault that answers as it is told, and a place without a state.
struct Service {
    front: Between,
    scratch: Scratch,
}

impl Service {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.write("a.txt", "hello");
        // Nobody is behind it.
        let front = Between::new("127.0.0.1:9");
        Self { front, scratch }
    }

    fn sign(&self, more: &[&str]) -> Obreia {
        let args = ["sign", "a.txt", "-o", "json", "--key", "openbao://k"];
        self.scratch
            .obreia()
            .env("VAULT_ADDR", self.front.address())
            .env("VAULT_TOKEN", "s.token")
            .args(args)
            .args(more)
    }

    /// What comes of it when it answers so.
    fn answers(&self, all: impl IntoIterator<Item = (&'static str, Act)>) -> Output {
        for (at, act) in all {
            self.front.next(at, act);
        }
        let out = self.sign(&[]).run();
        assert!(self.front.done(), "{out}");
        assert_eq!(self.scratch.files(), ["a.txt"], "{out}");
        out
    }
}

#[test]
fn of_a_key_service() {
    // Half a minute passes, in which the others have their turn.
    let slow = Service::new();
    slow.front.next(READ, shown(|_| ()));
    slow.front.next(SIGN, Act::Slow(Duration::from_secs(60)));
    let waits = slow.sign(&[]).spawn();

    let service = Service::new();
    let says = |status, text: &str| Act::Answer(status, "", json!({"errors": [text]}).to_string());
    let signing = |act: Act| service.answers([(READ, shown(|_| ())), (SIGN, act)]);
    signing(Act::CutBefore).fails("kms-unreachable", "check the address and the network");
    signing(says(503, "Vault is sealed")).fails("kms-sealed", "unseal the key service");
    let wait = Act::Answer(429, "Retry-After: 60\r\n", String::new());
    signing(wait).fails("kms-throttled", "ask for a higher limit");
    signing(Act::Garbage(100)).fails("provider-failed", "own log");
    let forbidden = || says(403, "permission denied");
    let looked_up = |act| {
        let all = [
            (READ, shown(|_| ())),
            (SIGN, forbidden()),
            ("/lookup-self", act),
        ];
        service.answers(all)
    };
    let good = Act::Answer(200, "", json!({"data": {"ttl": 3600}}).to_string());
    looked_up(good).fails("kms-refused", "grant the caller the right");
    looked_up(forbidden()).fails("kms-login", "check the credential");
    let encrypts = shown(|key| key["supports_signing"] = json!(false));
    service
        .answers([(READ, encrypts)])
        .fails("wrong-usage", "make a key for signing");
    let unknown = shown(|key| key["keys"]["1"]["public_key"] = json!("no key"));
    service
        .answers([(READ, unknown)])
        .fails("wrong-algorithm", "--algorithm p256");
    service.front.seen();
    let offline = service.sign(&["--offline"]).run();
    offline.fails("offline", "leave --offline out");
    assert!(service.front.seen().is_empty());

    waits.wait().fails("deadline", "try again");
    assert_eq!(slow.scratch.files(), ["a.txt"]);
}
