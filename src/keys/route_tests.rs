//! Names and rules on one side, an adapter that counts on the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::contract::{Fixed, run};
use super::software::SoftwareSigner;
use super::*;
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::{Caller, KeyInfo, KeyState};
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::{TrustedKey, VersionState};

/// What was asked of the adapter, in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// Holds every key of `fake://`, all with the same material.
struct Fake {
    asked: Asked,
    hangs: bool,
    private: &'static [u8],
    signatures: Arc<AtomicUsize>,
}

impl Fake {
    fn note(&self, what: &str, key: &KeyRef) {
        self.asked.lock().unwrap().push(format!("{what} {key}"));
    }

    fn private(&self) -> PrivateKey {
        PrivateKey::from_pem(self.private).unwrap()
    }

    async fn answer<T>(&self, answer: Result<T, KeyFault>) -> Result<T, KeyFault> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        answer
    }

    fn described(&self, key: &KeyRef) -> Described {
        Described {
            id: "fake-id".into(),
            path: key.without_version().to_string(),
            provider: "fake",
            purpose: None,
            state: KeyState::Enabled,
            scheme: self.private().public_key().default_scheme(),
            aliases: Vec::new(),
            created: None,
            versions: Vec::new(),
            generation: None,
        }
    }
}

impl KeyReader for Fake {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == "openbao")
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        self.note("trusted", key);
        let public = self.private().public_key().clone();
        let found = TrustedKey::bare(public, key.to_string());
        Box::pin(self.answer(Ok(vec![found])))
    }
}

impl KeyProvider for Fake {
    fn schemes(&self) -> &'static [&'static str] {
        &["openbao"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        self.note("open", key);
        let private = self.private();
        let info = KeyInfo {
            id: "fake-id".into(),
            path: key.without_version().to_string(),
            version: key.version(),
            purpose: None,
            state: KeyState::Enabled,
            version_state: VersionState::Active,
            provider: "fake",
        };
        let answer = if key.to_string().contains("absent") {
            Err(KeyFault::NoSuchKey(key.to_string()))
        } else {
            let scheme = private.public_key().default_scheme();
            let signer = SoftwareSigner::new(info, scheme, private);
            Ok(Box::new(Counted(signer, Arc::clone(&self.signatures))) as Box<dyn Signer>)
        };
        Box::pin(self.answer(answer))
    }

    fn name(&self) -> &'static str {
        "fake"
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            ..Capabilities::default()
        }
    }
}

impl DescribeKey for Fake {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        self.note("describe", key);
        Box::pin(self.answer(Ok(self.described(key))))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(self.answer(Ok(Vec::new())))
    }
}

impl GenerateKey for Fake {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        _: KeyKind,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        self.note("generate", &new.key);
        Box::pin(self.answer(Ok(self.described(&new.key))))
    }
}

struct Counted(SoftwareSigner, Arc<AtomicUsize>);

impl Signer for Counted {
    fn key(&self) -> &KeyInfo {
        self.0.key()
    }

    fn public_key(&self) -> &crate::crypto::PublicKey {
        self.0.public_key()
    }

    fn scheme(&self) -> crate::crypto::Scheme {
        self.0.scheme()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sign(message)
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.0.prehashed()
    }
}

struct Place {
    keyring: Keyring,
    asked: Asked,
    signatures: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

const PEM: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBOUPJzZr/CxQFeVnN76rj7WKSvyhXoWxfasz8VRNjsX
-----END PRIVATE KEY-----
";

/// A keystore with `kms://model-sign/dev`, alias `mine`, and the fake beside it.
fn place(rules: &[(&str, &str)], aliases: &str, hangs: bool) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut settings = Settings {
        state: Some(state.clone()),
        deadline: Duration::from_secs(20),
        ..Settings::default()
    };
    settings.keys.rules = Rules::of(rules).unwrap();
    settings.keys.aliases = toml::from_str(aliases).unwrap();
    let clock: Arc<dyn crate::time::Clock> = Arc::new(Timestamp::from_secs(1_795_000_000));
    let (caller, unlock) = (Caller::local(0), Fixed("pass"));
    std::fs::create_dir(&state).unwrap();
    let passphrase = crate::secret::Secret::from("pass".to_owned());
    run(init(&state, &passphrase, &caller, Arc::clone(&clock))).unwrap();
    let plain = Keyring::new(
        Settings {
            keys: Keys::default(),
            ..settings.clone()
        },
        Arc::clone(&clock),
    );
    let mine = NewKey {
        aliases: vec![crate::reference::KeyPath::parse("mine").unwrap()],
        ..new("kms://model-sign/dev")
    };
    let made = Administer::Create {
        new: &mine,
        kind: KeyKind::Ed25519,
    };
    run(plain.administer(made, &caller, &unlock)).unwrap();
    let (asked, signatures) = (Asked::default(), Arc::default());
    let settings = Settings {
        deadline: Duration::from_millis(if hangs { 20 } else { 20_000 }),
        ..settings
    };
    let keyring = Keyring::new(settings, clock).with(Box::new(Fake {
        asked: Arc::clone(&asked),
        hangs,
        private: PEM,
        signatures: Arc::clone(&signatures),
    }));
    Place {
        keyring,
        asked,
        signatures,
        folder,
    }
}

fn new(key: &str) -> NewKey {
    NewKey {
        key: named(key),
        aliases: Vec::new(),
        new_purpose: false,
    }
}

fn named(key: &str) -> KeyRef {
    KeyRef::parse(key).unwrap()
}

impl Place {
    fn open(&self, key: &str) -> Result<Key, KeyFault> {
        run(self.keyring.open_key(&named(key), &Fixed("pass")))
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// What the audit log holds, all of it, as text.
    fn recorded(&self) -> String {
        let mut texts = Vec::new();
        let mut folders = vec![self.folder.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_none_or(|e| e != "db") {
                    texts.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
                }
            }
        }
        texts.join("\n")
    }
}

const RULES: &[(&str, &str)] = &[
    ("model-sign/prod/acme/*", "openbao://{slug}"),
    ("pki-ca/prod", "openbao://ca"),
];

#[test]
fn custody_and_records_see_the_canonical_name() {
    let place = place(RULES, "fraud = \"kms://model-sign/prod/acme/fraud\"", false);
    for asked in ["kms://model-sign/prod/acme/fraud", "kms://fraud"] {
        let key = place.open(asked).unwrap();
        assert_eq!(key.info().path, "kms://model-sign/prod/acme/fraud");
        assert_eq!(key.info().purpose.as_ref().unwrap().as_str(), "model-sign");
        let signed = run(key.sign(SignInput::Message(b"abc"), &Caller::local(0)));
        assert!(signed.unwrap().receipt.is_some());
        assert_eq!(
            place.asked(),
            ["open openbao://model-sign--prod--acme--fraud"]
        );
        let trusted = run(place.keyring.trusted(&named(asked))).unwrap();
        assert_eq!(trusted[0].path, "kms://model-sign/prod/acme/fraud");
        assert_eq!(&trusted[0].public_key, key.public_key());
        place.asked();
    }
    let recorded = place.recorded();
    assert!(recorded.contains("\"path\":\"kms://model-sign/prod/acme/fraud\""));
    assert!(recorded.contains("\"uri\":\"openbao://model-sign--prod--acme--fraud\""));
}

#[test]
fn one_call_for_each_signature() {
    let place = place(RULES, "", false);
    let key = place.open("kms://model-sign/prod/acme/fraud").unwrap();
    for _ in 0..3 {
        run(key.sign(SignInput::Message(b"abc"), &Caller::local(0))).unwrap();
    }
    assert_eq!(place.signatures.load(Ordering::Relaxed), 3);
    assert_eq!(place.asked().len(), 1, "opened once, resolved once");
}

#[test]
fn purposes_hold_for_keys_of_others() {
    let place = place(RULES, "", false);
    let key = place.open("kms://pki-ca/prod").unwrap();
    let refused = run(key.sign(SignInput::Message(b"abc"), &Caller::local(0)));
    assert!(matches!(
        refused.unwrap_err().root(),
        KeyFault::NotPermitted {
            rule: "purpose-forbids",
            ..
        }
    ));
    assert_eq!(place.signatures.load(Ordering::Relaxed), 0);
    let create = |key: &str| {
        let new = new(key);
        let kind = KeyKind::EcP256;
        let change = Administer::Create { new: &new, kind };
        run(place
            .keyring
            .administer(change, &Caller::local(0), &Fixed("pass")))
    };
    let made = create("kms://model-sign/prod/acme/new").unwrap();
    assert_eq!(made.path, "kms://model-sign/prod/acme/new");
    assert!(
        place
            .asked()
            .contains(&"generate openbao://model-sign--prod--acme--new".to_owned())
    );
}

#[test]
fn what_matches_no_rule_stays_in_the_keystore() {
    let place = place(RULES, "", false);
    for name in ["kms://model-sign/dev", "kms://mine", "kms://mine?version=1"] {
        let key = place.open(name).unwrap();
        assert_eq!(key.info().provider, "embedded");
        assert_eq!(key.info().path, "kms://model-sign/dev");
    }
    assert!(place.asked().is_empty());
    assert!(matches!(
        place.open("kms://model-sign/other"),
        Err(KeyFault::NoSuchKey(_))
    ));
}

#[test]
fn a_path_that_a_rule_took_is_not_reached_by_the_keystores_alias() {
    let place = place(&[("model-sign/dev", "openbao://dev")], "", false);
    let key = place.open("kms://model-sign/dev").unwrap();
    assert_eq!(key.info().provider, "fake");
    let told = |fault: KeyFault| {
        assert!(matches!(fault, KeyFault::NotConfigured { .. }), "{fault}");
        assert!(fault.to_string().contains("rule 1"), "{fault}");
    };
    told(place.open("kms://mine").unwrap_err());
    told(run(place.keyring.trusted(&named("kms://mine"))).unwrap_err());
    told(run(place.keyring.describe(&named("kms://mine"))).unwrap_err());
    let mine = named("kms://mine");
    let disable = Administer::Disable(&mine);
    told(
        run(place
            .keyring
            .administer(disable, &Caller::local(0), &Fixed("pass")))
        .unwrap_err(),
    );
}

#[test]
fn versions_are_passed_on() {
    let place = place(RULES, "", false);
    let key = place
        .open("kms://model-sign/prod/acme/fraud?version=2")
        .unwrap();
    assert_eq!(
        place.asked(),
        ["open openbao://model-sign--prod--acme--fraud?version=2"]
    );
    assert_eq!(
        key.info().to_string(),
        "kms://model-sign/prod/acme/fraud?version=2"
    );
}

#[test]
fn a_fault_tells_the_way_there() {
    let place = place(RULES, "", false);
    let fault = place.open("kms://model-sign/prod/acme/absent").unwrap_err();
    assert_eq!(
        (fault.code(), fault.class()),
        ("no-such-key", FaultClass::Config)
    );
    assert_eq!(
        fault.to_string(),
        "kms://model-sign/prod/acme/absent is openbao://model-sign--prod--acme--absent by rule 1: \
         there is no key openbao://model-sign--prod--acme--absent"
    );
    let fault = place.open("kms://model-sign/prod/acme/a--b").unwrap_err();
    assert_eq!(fault.code(), "bad-request");
    assert!(
        place.asked().len() == 1,
        "an impossible name is asked of nobody"
    );
}

#[test]
fn nothing_is_waited_for_longer_than_the_deadline() {
    let place = place(RULES, "", true);
    let name = named("kms://model-sign/prod/acme/fraud");
    let late =
        |fault: KeyFault| assert!(matches!(fault.root(), KeyFault::Deadline { .. }), "{fault}");
    late(place.open("kms://model-sign/prod/acme/fraud").unwrap_err());
    late(run(place.keyring.trusted(&name)).unwrap_err());
    late(run(place.keyring.describe(&name)).unwrap_err());
    let (new, caller) = (new("kms://model-sign/prod/acme/new"), Caller::local(0));
    let change = Administer::Create {
        new: &new,
        kind: KeyKind::EcP256,
    };
    late(run(place.keyring.administer(change, &caller, &Fixed("pass"))).unwrap_err());
    let rotate = Administer::Rotate {
        key: &name,
        grace: "30d".parse().unwrap(),
    };
    late(run(place.keyring.administer(rotate, &caller, &Fixed("pass"))).unwrap_err());
    assert!(place.recorded().contains("\"result\":\"deadline\""));
}
