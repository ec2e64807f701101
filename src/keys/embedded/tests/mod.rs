mod audited;
mod damage;
mod whole;

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::*;
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::{Caller, KeyState};
use crate::digest::Algorithm;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::keeping::{Keeping, keeps};
use crate::keys::{Administer, FaultClass, Keyring, NewKey, Settings, SignInput, Stored, init};
use crate::time::{Span, Timestamp};

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
        let key = KeyRef::parse(&format!("kms://{key}")).unwrap();
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
        key: KeyRef::parse(&format!("kms://{path}")).unwrap(),
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

/// A log that knows of no keystore: the contract asks the adapter itself, so
/// that its changes are in no record.
struct NoLog;

impl AuditSink for NoLog {
    fn append<'a>(
        &'a self,
        _: &'a crate::audit::Event,
    ) -> crate::keys::BoxFuture<'a, Result<crate::audit::Receipt, AuditFault>> {
        Box::pin(async { Err(AuditFault::Missing(std::path::PathBuf::new())) })
    }

    fn generation(&self) -> Result<crate::audit::Generation, AuditFault> {
        Ok(crate::audit::Generation {
            newest: None,
            limit: Some(u64::MAX),
        })
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
        let apart = Place::new();
        let mut changed = EmbeddedKeys::new(&apart.state(), apart.clock());
        changed.audit = Arc::new(NoLog);
        run(keeps(&Keeping {
            provider: &changed,
            fresh: &|word| KeyRef::parse(&format!("kms://{path}/{word}")).unwrap(),
            kind,
            unlock: &PASS,
            replaced_versions_sign: false,
        }));
        place.create_new(&new(&path, &[]), kind).unwrap();
        let provider = EmbeddedKeys::new(&place.state(), place.clock());
        run(holds(&Case {
            provider: &provider,
            key: KeyRef::parse(&format!("kms://{path}")).unwrap(),
            absent: KeyRef::parse("kms://model-sign/absent").unwrap(),
            missing: "no-such-key",
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
    let key = KeyRef::parse("kms://model-sign/dev").unwrap();
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
    let key = KeyRef::parse("kms://model-sign/dev").unwrap();
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
    let path = KeyRef::parse("kms://model-sign/a").unwrap();
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
    let path = KeyRef::parse("kms://model-sign/a").unwrap();
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
