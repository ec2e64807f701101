use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::*;
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::{Caller, KeyState};
use crate::digest::Algorithm;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::{Administer, FaultClass, Keyring, NewKey, Settings, SignInput, Stored, init};
use crate::time::{Span, Timestamp};

mod tampering;

const PASS: Fixed = Fixed("correct horse");

struct Place {
    dir: tempfile::TempDir,
    now: Timestamp,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
            now: Timestamp::from_secs(1_800_000_000),
        };
        run(init(&place.state(), &secret(), &caller(), place.clock())).unwrap();
        place
    }

    fn with(paths: &[&str]) -> Self {
        let place = Self::new();
        for path in paths {
            place.create(path).unwrap();
        }
        place
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.now)
    }

    fn keyring(&self) -> Keyring {
        let settings = Settings {
            state: Some(self.state()),
            ..Settings::default()
        };
        Keyring::new(settings, self.clock())
    }

    fn create(&self, path: &str) -> Result<crate::keys::Described, KeyFault> {
        self.create_new(&new(path, &[]), KeyKind::EcP256)
    }

    fn create_new(&self, new: &NewKey, kind: KeyKind) -> Result<crate::keys::Described, KeyFault> {
        self.administer(Administer::Create { new, kind })
    }

    fn administer(&self, change: Administer<'_>) -> Result<crate::keys::Described, KeyFault> {
        run(self.keyring().administer(change, &caller(), &PASS))
    }

    fn rotate(&self, key: &str, grace: &str) {
        let key = KeyPath::parse(key).unwrap();
        let grace: Span = grace.parse().unwrap();
        self.administer(Administer::Rotate { key: &key, grace })
            .unwrap();
    }

    fn sign(&self, key: &str) -> Result<crate::keys::Signed, KeyFault> {
        let key = KeyRef::parse(key).unwrap();
        run(async {
            let key = self.keyring().open_key(&key, &PASS).await?;
            key.sign(SignInput::Message(b"abc"), &caller()).await
        })
    }

    fn trusted(&self, key: &str) -> Result<Vec<TrustedKey>, KeyFault> {
        run(self.keyring().trusted(&KeyRef::parse(key).unwrap()))
    }

    /// Writes behind the keystore's back.
    fn sql(&self, statements: &[&'static str]) {
        run(async {
            let mut connection = SqliteConnectOptions::new()
                .filename(self.state().join(KEYSTORE))
                .foreign_keys(false)
                .connect()
                .await
                .unwrap();
            for sql in statements {
                let done = sqlx::query(*sql).execute(&mut connection).await.unwrap();
                assert!(
                    done.rows_affected() > 0 || !sql.starts_with("UPDATE"),
                    "{sql} changed nothing"
                );
            }
            connection.close().await.unwrap();
        });
    }

    /// What signing with the key says is damaged, and what reading it says.
    fn damage(&self, key: &str) -> (Damage, Option<Damage>) {
        let of = |fault: KeyFault| match fault {
            KeyFault::Damaged { damage, .. } => damage,
            other => panic!("{other}"),
        };
        let signing = of(self.sign(key).unwrap_err());
        (signing, self.trusted(key).err().map(of))
    }
}

fn new(path: &str, aliases: &[&str]) -> NewKey {
    NewKey {
        path: KeyPath::parse(path).unwrap(),
        aliases: aliases
            .iter()
            .map(|alias| KeyPath::parse(alias).unwrap())
            .collect(),
        new_purpose: false,
    }
}

fn secret() -> crate::secret::Secret {
    crate::secret::Secret::from(PASS.0.to_owned())
}

fn caller() -> Caller {
    Caller::local(1000)
}

fn stored(path: &str, version: Option<u32>) -> Stored {
    Stored {
        path: path.to_owned(),
        version,
    }
}

#[test]
fn contract_holds_for_every_kind() {
    let place = Place::new();
    for (name, kind) in [
        ("p256", KeyKind::EcP256),
        ("p384", KeyKind::EcP384),
        ("ed25519", KeyKind::Ed25519),
        ("rsa", KeyKind::Rsa { bits: 3072 }),
    ] {
        let path = format!("model-sign/{name}");
        place.create_new(&new(&path, &[]), kind).unwrap();
        let provider = EmbeddedKeys::new(&place.state(), place.clock());
        run(holds(&Case {
            provider: &provider,
            key: KeyRef::parse(&format!("kms://{path}")).unwrap(),
            absent: KeyRef::parse("kms://model-sign/absent").unwrap(),
            foreign: KeyRef::parse("a.pem").unwrap(),
            unlock: &PASS,
            wrong: Some(&Fixed("wrong")),
            public_is_known: true,
        }));
    }
}

#[test]
fn rotation_keeps_old_versions_verifying_and_signs_with_the_new() {
    let mut place = Place::with(&["model-sign/dev"]);
    place.rotate("model-sign/dev", "30d");
    place.rotate("model-sign/dev", "0s");
    let states = |place: &Place| -> Vec<_> {
        let trusted = place.trusted("kms://model-sign/dev").unwrap();
        trusted.iter().map(|t| (t.version, t.state)).collect()
    };
    assert_eq!(
        states(&place),
        [
            (Some(3), VersionState::Active),
            (Some(2), VersionState::VerifyOnly),
            (Some(1), VersionState::Grace),
        ]
    );
    place.now = Timestamp::from_secs(1_800_000_000 + 30 * 86_400);
    assert_eq!(states(&place)[2], (Some(1), VersionState::VerifyOnly));

    place.sign("kms://model-sign/dev").unwrap();
    place.sign("kms://model-sign/dev?version=3").unwrap();
    for old in [
        "kms://model-sign/dev?version=1",
        "kms://model-sign/dev?version=2",
    ] {
        let refused = place.sign(old).unwrap_err();
        assert!(
            matches!(
                refused,
                KeyFault::NotPermitted {
                    rule: "version-not-active",
                    ..
                }
            ),
            "{refused}"
        );
        assert_eq!(place.trusted(old).unwrap().len(), 1);
    }
    let ids: Vec<_> = place
        .trusted("kms://model-sign/dev")
        .unwrap()
        .into_iter()
        .map(|trusted| trusted.key_id)
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one key, one identity");
}

#[test]
fn a_retired_version_verifies_nothing() {
    let place = Place::with(&["model-sign/dev"]);
    let key = KeyPath::parse("model-sign/dev").unwrap();
    let retire = |version| place.administer(Administer::Retire { key: &key, version });
    assert!(matches!(retire(1), Err(KeyFault::BadRequest { .. })));
    assert!(matches!(retire(2), Err(KeyFault::NoSuchVersion { .. })));
    place.rotate("model-sign/dev", "30d");
    retire(1).unwrap();
    assert_eq!(place.trusted("kms://model-sign/dev").unwrap().len(), 1);
    assert!(matches!(
        place.trusted("kms://model-sign/dev?version=1"),
        Err(KeyFault::Retired { version: 1, .. })
    ));
}

#[test]
fn a_disabled_key_does_nothing_until_enabled() {
    let place = Place::with(&["model-sign/dev"]);
    let key = KeyPath::parse("model-sign/dev").unwrap();
    let described = place.administer(Administer::Disable(&key)).unwrap();
    assert_eq!(described.state, KeyState::Disabled);
    for fault in [
        place.sign("kms://model-sign/dev").unwrap_err(),
        place.trusted("kms://model-sign/dev").unwrap_err(),
        place
            .administer(Administer::Rotate {
                key: &key,
                grace: "1d".parse().unwrap(),
            })
            .unwrap_err(),
    ] {
        assert_eq!(fault.class(), FaultClass::NotPermitted, "{fault}");
    }
    place.administer(Administer::Enable(&key)).unwrap();
    place.sign("kms://model-sign/dev").unwrap();
}

#[test]
fn a_key_that_is_open_stops_signing_when_it_is_disabled_or_replaced() {
    let place = Place::with(&["model-sign/a", "model-sign/b"]);
    let open = |key: &str| {
        let key = KeyRef::parse(key).unwrap();
        run(place.keyring().open_key(&key, &PASS)).unwrap()
    };
    let (a, b) = (open("kms://model-sign/a"), open("kms://model-sign/b"));
    let sign = |key: &crate::keys::Key| run(key.sign(SignInput::Message(b"abc"), &caller()));
    // A change of something else changes nothing for them.
    place.create("model-sign/c").unwrap();
    sign(&a).unwrap();
    let path = KeyPath::parse("model-sign/a").unwrap();
    place.administer(Administer::Disable(&path)).unwrap();
    place.rotate("model-sign/b", "1d");
    assert!(matches!(sign(&a), Err(KeyFault::Disabled(_))));
    assert!(matches!(sign(&b), Err(KeyFault::NotPermitted { .. })));
}

#[test]
fn names_are_checked_and_never_taken_twice() {
    let place = Place::new();
    place
        .create_new(&new("model-sign/prod/a", &["prod-a"]), KeyKind::EcP256)
        .unwrap();
    assert_eq!(
        place.trusted("kms://prod-a").unwrap()[0].path,
        "kms://model-sign/prod/a"
    );
    for (path, aliases, class) in [
        ("model-sign/prod/a", &[][..], "there is already a key"),
        ("model-sign/b", &["prod-a"], "there is already an alias"),
        ("model-sign/prod--a", &[], "there is already a key"),
        (
            "model-sign/c",
            &["model-sign--prod--a"],
            "there is already a key",
        ),
        ("model-sign/c", &["aws"], "reserved"),
        ("model-sign/c", &["x", "x"], "given twice"),
        ("model-sign", &[], "one segment is an alias"),
        ("modle-sign/c", &[], "is not one of"),
        ("alias/aws/c", &[], "permits no operation"),
        ("envelope-data/c", &[], "symmetric"),
    ] {
        let fault = place
            .create_new(&new(path, aliases), KeyKind::EcP256)
            .unwrap_err();
        assert!(fault.to_string().contains(class), "{path}: {fault}");
        assert_eq!(fault.class(), FaultClass::Usage);
    }
    assert_eq!(run(place.keyring().list()).unwrap().len(), 1);
}

#[test]
fn custody_is_asked_and_its_answer_is_recorded() {
    let place = Place::with(&["pki-ca/dev"]);
    let fault = place.sign("kms://pki-ca/dev").unwrap_err();
    assert!(matches!(
        fault,
        KeyFault::NotPermitted {
            rule: "purpose-forbids",
            ..
        }
    ));
    let log = std::fs::read_to_string(place.state().join(AUDIT_LOG)).unwrap();
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("\"decision\":\"deny\"") && last.contains("\"rule\":\"purpose-forbids\"")
    );
}

#[test]
fn one_key_under_two_names_is_refused() {
    let place = Place::new();
    let private = PrivateKey::generate(KeyKind::EcP256).unwrap();
    let import = |path| {
        place.administer(Administer::Import {
            new: &new(path, &[]),
            private: &private,
        })
    };
    import("model-sign/a").unwrap();
    assert!(matches!(import("image-sign/b"), Err(KeyFault::Exists(_))));
}

#[test]
fn without_its_passphrase_nothing_is_changed() {
    let place = Place::with(&["model-sign/a"]);
    let before = run(EmbeddedKeys::new(&place.state(), place.clock())
        .tables
        .load())
    .unwrap();
    let path = KeyPath::parse("model-sign/a").unwrap();
    for change in [
        Administer::Create {
            new: &new("model-sign/b", &[]),
            kind: KeyKind::EcP256,
        },
        Administer::Disable(&path),
    ] {
        let fault = run(place
            .keyring()
            .administer(change, &caller(), &Fixed("wrong")));
        assert!(matches!(fault, Err(KeyFault::WrongPassphrase(_))));
    }
    let after = run(EmbeddedKeys::new(&place.state(), place.clock())
        .tables
        .load())
    .unwrap();
    assert_eq!(before, after);
}

#[test]
fn no_log_no_signature() {
    let place = Place::with(&["model-sign/a"]);
    let log = place.state().join(AUDIT_LOG);
    let kept = std::fs::read(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let fault = place.sign("kms://model-sign/a").unwrap_err();
    assert!(matches!(fault, KeyFault::Audit(_)), "{fault}");
    // Verifying records nothing and goes on.
    place.trusted("kms://model-sign/a").unwrap();
    std::fs::write(&log, &kept[..kept.len() - 40]).unwrap();
    place.sign("kms://model-sign/a").unwrap();
    let text = std::fs::read(&log).unwrap();
    crate::audit::check_chain(&log, &text).unwrap();
}

#[test]
fn intents_and_outcomes_pair_up_and_name_key_and_payload() {
    let place = Place::with(&["model-sign/a"]);
    let signed = place.sign("kms://model-sign/a").unwrap();
    let log = place.state().join(AUDIT_LOG);
    let text = std::fs::read_to_string(&log).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [.., intent, outcome] = records.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(intent["phase"], "intent");
    assert_eq!(outcome["phase"], "outcome");
    assert_eq!(outcome["result"], "ok");
    assert_eq!(intent["request_id"], outcome["request_id"]);
    assert_eq!(intent["key"]["path"], "kms://model-sign/a");
    assert_eq!(intent["key"]["version"], 1);
    assert_eq!(intent["caller"], "uid:1000");
    assert_eq!(intent["payload"], crate::crypto::sha256(b"abc").to_string());
    assert_eq!(outcome["seq"].as_u64(), signed.receipt.map(|r| r.seq));
    assert!(!text.contains(PASS.0));
}

#[test]
fn a_copy_restores_and_the_old_one_is_kept() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    let keyring = place.keyring();
    run(keyring.backup(&copy, false, &caller())).unwrap();
    assert!(matches!(
        run(keyring.backup(&copy, false, &caller())),
        Err(KeyFault::Exists(_))
    ));
    let before = place.sign("kms://model-sign/a").unwrap();
    place.create("model-sign/b").unwrap();

    let restore =
        |replace, unlock: &'static Fixed| run(keyring.restore(&copy, replace, unlock, &caller()));
    assert!(matches!(restore(false, &PASS), Err(KeyFault::Exists(_))));
    assert!(matches!(
        restore(true, &Fixed("wrong")),
        Err(KeyFault::WrongPassphrase(_))
    ));
    assert_eq!(
        run(keyring.list()).unwrap().len(),
        2,
        "refusals change nothing"
    );

    let restored = restore(true, &PASS).unwrap();
    assert_eq!(restored.keys, 1);
    assert!(restored.kept.unwrap().is_file());
    assert_eq!(run(keyring.list()).unwrap().len(), 1);
    let trusted = place.trusted("kms://model-sign/a").unwrap();
    trusted[0]
        .scheme
        .verify(&trusted[0].public_key, b"abc", &before.signature)
        .unwrap();
    place.sign("kms://model-sign/a").unwrap();
    place.create("model-sign/b").unwrap();
}

#[test]
fn a_tampered_copy_is_never_put_in_place() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    let file = place.state().join(KEYSTORE);
    let good = std::fs::read(&file).unwrap();
    place.sql(&["UPDATE versions SET state = 'grace'"]);
    std::fs::copy(&file, &copy).unwrap();
    std::fs::write(&file, &good).unwrap();
    let fault = run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap_err();
    assert!(
        matches!(
            fault,
            KeyFault::Damaged {
                damage: Damage::Altered(_),
                ..
            }
        ),
        "{fault}"
    );
    place.sign("kms://model-sign/a").unwrap();
    let left: Vec<_> = std::fs::read_dir(place.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("restore"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_damaged_keystore_can_be_restored_over() {
    let place = Place::with(&["model-sign/a"]);
    let copy = place.dir.path().join("copy.db");
    run(place.keyring().backup(&copy, false, &caller())).unwrap();
    std::fs::write(place.state().join(KEYSTORE), b"gone").unwrap();
    place.sign("kms://model-sign/a").unwrap_err();
    run(place.keyring().restore(&copy, true, &PASS, &caller())).unwrap();
    place.sign("kms://model-sign/a").unwrap();
}

#[test]
fn only_the_new_passphrase_opens_after_a_change() {
    let place = Place::with(&["model-sign/a"]);
    let new = crate::secret::Secret::from("battery staple".to_owned());
    let change = |old: &'static Fixed| run(place.keyring().change_passphrase(old, &new, &caller()));
    assert!(matches!(
        change(&Fixed("wrong")),
        Err(KeyFault::WrongPassphrase(_))
    ));
    change(&PASS).unwrap();
    assert!(matches!(
        place.sign("kms://model-sign/a"),
        Err(KeyFault::WrongPassphrase(_))
    ));
    let key = KeyRef::parse("kms://model-sign/a").unwrap();
    run(place.keyring().open_key(&key, &Fixed("battery staple"))).unwrap();
}

#[test]
fn an_existing_keystore_is_never_made_anew() {
    let place = Place::with(&["model-sign/a"]);
    let again = run(init(&place.state(), &secret(), &caller(), place.clock()));
    assert!(matches!(again, Err(KeyFault::Exists(_))));
    place.sign("kms://model-sign/a").unwrap();
}

#[test]
fn nothing_secret_lies_on_the_disk_in_clear() {
    let place = Place::new();
    let private = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    place
        .administer(Administer::Import {
            new: &new("model-sign/a", &[]),
            private: &private,
        })
        .unwrap();
    let der = private.to_pkcs8_der().unwrap();
    // The last 32 bytes of an Ed25519 PKCS #8 v1 document are the seed.
    let seed = &der.expose()[der.expose().len() - 32..];
    for entry in std::fs::read_dir(place.state()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for needle in [seed, PASS.0.as_bytes()] {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{}", path.display());
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_digest_signs_where_the_scheme_has_a_hash() {
    let place = Place::new();
    place
        .create_new(&new("model-sign/ed", &[]), KeyKind::Ed25519)
        .unwrap();
    place.create("model-sign/ec").unwrap();
    let sign = |key: &str, digest| {
        let key = KeyRef::parse(key).unwrap();
        run(async {
            let key = place.keyring().open_key(&key, &PASS).await?;
            key.sign(SignInput::Digest(digest), &caller()).await
        })
    };
    let digest = crate::crypto::sha256(b"abc");
    sign("kms://model-sign/ec", digest).unwrap();
    assert!(matches!(
        sign("kms://model-sign/ed", digest),
        Err(KeyFault::BadRequest { .. })
    ));
    let wrong = crate::digest::Digest::new(Algorithm::Sha512, &[0; 64]).unwrap();
    assert!(matches!(
        sign("kms://model-sign/ec", wrong),
        Err(KeyFault::BadRequest { .. })
    ));
}
