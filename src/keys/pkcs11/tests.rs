//! The contract, with SoftHSM and Kryoptic; what a person does with tokens, and faulty
//! modules, are in `tests/it/keys/pkcs11/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::task::Poll;

use super::Pkcs11Keys;
use super::wire::SUBCOMMAND;
use crate::crypto::KeyKind;
use crate::keys::context::Context;
use crate::keys::contract::{Case, Fixed, holds, peer, run};
use crate::keys::keeping::{Keeping, keeps};
use crate::keys::settings::{Keys, Pkcs11, Pkcs11Module};
use crate::keys::{
    BoxFuture, DescribeKey, FaultClass, GenerateKey, KeyFault, KeyProvider, KeyReader, NewKey,
    Settings,
};
use crate::reference::KeyRef;
use crate::time::{Clock, Timestamp};

pub(super) const PIN: &str = "1234-user";

/// What the helper process runs: this test, in this very binary.
#[test]
fn the_helper_holds_a_module_and_nothing_else_does() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(at) = arguments.iter().position(|a| a == SUBCOMMAND) {
        let _code = super::host(arguments.into_iter().skip(at - 1));
        return;
    }
    for arguments in [&["obreia"][..], &["obreia", "verify", SUBCOMMAND]] {
        assert!(super::host(arguments.iter().map(OsString::from)).is_none());
    }
    let incomplete = ["obreia", SUBCOMMAND];
    assert!(super::host(incomplete.iter().map(OsString::from)).is_some());
}

/// SoftHSM's module; `None` where a quick run leaves it out.
pub(super) fn softhsm() -> Option<(PathBuf, PathBuf)> {
    if std::env::var_os("OBREIA_TEST_QUICK").is_some_and(|v| v == "1") {
        return None;
    }
    let util = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bin/softhsm2-util");
    assert!(
        util.is_file(),
        "softhsm2-util is missing: run scripts/peers once"
    );
    let module = [
        "/usr/lib/softhsm",
        "/usr/lib/x86_64-linux-gnu/softhsm",
        "/usr/lib/aarch64-linux-gnu/softhsm",
        "/usr/lib64/pkcs11",
        "/usr/lib64/softhsm",
        "/usr/local/lib/softhsm",
    ]
    .iter()
    .map(|folder| Path::new(folder).join("libsofthsm2.so"))
    .find(|path| path.is_file());
    Some((util, module.expect("libsofthsm2.so")))
}

/// Which token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Soft {
    /// SoftHSM: PKCS #11 2.40.
    Hsm,
    /// Kryoptic: PKCS #11 3.2, and no Ed25519 with the OpenSSL of before 3.2.
    Kryoptic,
}

const BOTH: [Soft; 2] = [Soft::Hsm, Soft::Kryoptic];

impl Soft {
    /// Its module, and the variable that tells it of the token in `folder`,
    /// which is made where there is none yet; `None` in a quick run.
    fn token(self, folder: &Path) -> Option<(PathBuf, [(&'static str, PathBuf); 1])> {
        let done = |mut command: Command| {
            let made = command.output().unwrap();
            assert!(made.status.success(), "{made:?}");
        };
        match self {
            Self::Hsm => {
                let (util, module) = softhsm()?;
                let (tokens, conf) = (folder.join("tokens"), folder.join("softhsm2.conf"));
                if !tokens.exists() {
                    std::fs::create_dir(&tokens).unwrap();
                    let text = format!("directories.tokendir = {}\n", tokens.display());
                    std::fs::write(&conf, text).unwrap();
                    let mut init = Command::new(util);
                    init.env("SOFTHSM2_CONF", &conf)
                        .args(["--init-token", "--free", "--label", "bench"])
                        .args(["--so-pin", "12345678", "--pin", PIN]);
                    done(init);
                }
                Some((module, [("SOFTHSM2_CONF", conf)]))
            }
            Self::Kryoptic => {
                let (module, tool) = (peer("libkryoptic_pkcs11.so")?, peer("pkcs11-tool")?);
                let conf = folder.join("kryoptic.conf");
                if !conf.exists() {
                    let text = format!(
                        "[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = {:?}\n",
                        folder.join("token.sql")
                    );
                    std::fs::write(&conf, text).unwrap();
                    let pkcs11_tool = |args: &[&str]| {
                        let mut init = Command::new(&tool);
                        init.env("KRYOPTIC_CONF", &conf)
                            .arg("--module")
                            .arg(&module)
                            .args(["--so-pin", "12345678"])
                            .args(args);
                        done(init);
                    };
                    pkcs11_tool(&["--init-token", "--slot", "1", "--label", "bench"]);
                    let so = ["--token-label", "bench", "--login", "--login-type", "so"];
                    pkcs11_tool(&[&so[..], &["--init-pin", "--pin", PIN]].concat());
                }
                Some((module, [("KRYOPTIC_CONF", conf)]))
            }
        }
    }
}

struct Bench {
    _folder: tempfile::TempDir,
    keys: Pkcs11Keys,
}

fn bench(soft: Soft, rsa: Option<&str>) -> Option<Bench> {
    let folder = tempfile::tempdir().unwrap();
    let keys = bench_at(soft, folder.path(), rsa)?;
    Some(Bench {
        _folder: folder,
        keys,
    })
}

/// A token in `folder`, made where there is none yet.
pub(super) fn bench_at(soft: Soft, folder: &Path, rsa: Option<&str>) -> Option<Pkcs11Keys> {
    let (module, [(variable, conf)]) = soft.token(folder)?;
    let module = Pkcs11Module {
        path: module,
        pin: None,
        threads: None,
        environment: Vec::new(),
        rsa: rsa.and_then(crate::keys::RsaScheme::from_name),
    };
    let settings = Settings {
        environment: [(variable, conf.to_str().unwrap())].into(),
        helper: Some(std::env::current_exe().unwrap()),
        keys: Keys {
            pkcs11: Pkcs11 {
                module: None,
                modules: [("soft".to_owned(), module)].into(),
            },
            ..Keys::default()
        },
        ..Settings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(1_795_000_000));
    let context = Context::new(&settings, &clock);
    let mut keys = Pkcs11Keys::new(&settings, context);
    keys.places.helper_arguments = [
        "keys::pkcs11::tests::the_helper_holds_a_module_and_nothing_else_does",
        "--exact",
        "--nocapture",
    ]
    .map(OsString::from)
    .to_vec();
    Some(keys)
}

pub(super) fn key(text: &str) -> KeyRef {
    KeyRef::parse(text).unwrap()
}

/// All of them, polled in turns.
pub(super) async fn together<T>(futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut open: Vec<_> = futures.into_iter().map(Ok).collect();
    std::future::poll_fn(move |context| {
        let mut waits = false;
        for one in &mut open {
            if let Ok(future) = one {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *one = Err(done),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits {
            return Poll::Pending;
        }
        Poll::Ready(
            std::mem::take(&mut open)
                .into_iter()
                .filter_map(Result::err)
                .collect(),
        )
    })
    .await
}

pub(super) fn new(text: &str) -> NewKey {
    NewKey {
        key: key(text),
        aliases: Vec::new(),
        new_purpose: false,
    }
}

#[test]
fn contract_holds_for_every_kind_of_key() {
    contract_holds(Soft::Hsm, &[(KeyKind::Ed25519, "ed25519", None)]);
}

#[test]
fn contract_holds_with_another_token() {
    contract_holds(Soft::Kryoptic, &[]);
}

fn contract_holds(soft: Soft, more: &[(KeyKind, &str, Option<&str>)]) {
    let all = [
        (KeyKind::EcP256, "ecdsa-p256-sha256", None),
        (KeyKind::EcP384, "ecdsa-p384-sha384", None),
        (KeyKind::EcP521, "ecdsa-p521-sha512", None),
        (KeyKind::Rsa { bits: 2048 }, "rsa-pkcs1-sha256", None),
        (
            KeyKind::Rsa { bits: 2048 },
            "rsa-pss-sha384",
            Some("rsa-pss-sha384"),
        ),
    ];
    for &(kind, scheme, rsa) in all.iter().chain(more) {
        let Some(bench) = bench(soft, rsa) else {
            return;
        };
        run(async {
            let keys = &bench.keys;
            let wanted = new("pkcs11:token=bench;object=k");
            let made = keys.generate(&wanted, kind, &Fixed(PIN)).await.unwrap();
            assert_eq!(made.scheme.to_string(), scheme);
            assert_eq!(made.versions[0].public_key.kind(), kind);
            let described = keys.describe(&key("pkcs11:object=k;token=bench")).await;
            assert_eq!(described.as_ref(), Ok(&made));
            holds(&Case {
                provider: keys,
                key: key("pkcs11:token=bench;object=k"),
                absent: key("pkcs11:token=bench;object=absent"),
                missing: "no-such-key",
                foreign: key("kms://model-sign/dev"),
                unlock: &Fixed(PIN),
                wrong: None,
                public_is_known: true,
            })
            .await;
        });
    }
}

#[test]
fn keys_are_kept_as_by_every_provider() {
    for kind in [
        KeyKind::EcP256,
        KeyKind::Ed25519,
        KeyKind::Rsa { bits: 2048 },
    ] {
        let Some(bench) = bench(Soft::Hsm, None) else {
            return;
        };
        run(keeps(&Keeping {
            provider: &bench.keys,
            fresh: &|word| key(&format!("pkcs11:token=bench;object={word}")),
            kind,
            unlock: &Fixed(PIN),
            // A token has no versions to replace.
            replaced_versions_sign: false,
        }));
    }
}

#[test]
fn what_names_no_key_opens_none() {
    for soft in BOTH {
        let Some(bench) = bench(soft, None) else {
            return;
        };
        run(async {
            let keys = &bench.keys;
            for object in ["one", "two"] {
                let uri = format!("pkcs11:token=bench;object={object}");
                let made = keys
                    .generate(&new(&uri), KeyKind::EcP256, &Fixed(PIN))
                    .await;
                made.unwrap();
            }
            for (uri, class, says) in [
                (
                    "pkcs11:token=absent;object=one",
                    FaultClass::Unavailable,
                    "shows bench",
                ),
                (
                    "pkcs11:token=bench;serial=0;object=one",
                    FaultClass::Unavailable,
                    "serial=0",
                ),
                (
                    "pkcs11:token=bench;slot-id=7;object=one",
                    FaultClass::Unavailable,
                    "slot-id=7",
                ),
                (
                    "pkcs11:token=bench;library-version=99.9;object=one",
                    FaultClass::Unavailable,
                    "99.9",
                ),
                (
                    "pkcs11:token=bench;object=three",
                    FaultClass::Config,
                    "there is no key",
                ),
                (
                    "pkcs11:token=bench;object=one;id=%00",
                    FaultClass::Config,
                    "there is no key",
                ),
                (
                    "pkcs11:token=bench",
                    FaultClass::Usage,
                    "it fits 2 private keys",
                ),
                (
                    "pkcs11:token=bench;object=one;type=public",
                    FaultClass::Usage,
                    "is a public key",
                ),
                (
                    "pkcs11:token=bench;object=one?scheme=ed25519",
                    FaultClass::Usage,
                    "does not sign under ed25519",
                ),
            ] {
                let fault = keys.open(&key(uri), &Fixed(PIN)).await.err().unwrap();
                assert_eq!(fault.class(), class, "{uri}: {fault}");
                assert!(fault.to_string().contains(says), "{uri}: {fault}");
            }
            // Only one token is there, so it need not be named.
            keys.open(&key("pkcs11:object=one"), &Fixed(PIN))
                .await
                .unwrap();
            let listed: Vec<String> = keys
                .list()
                .await
                .unwrap()
                .into_iter()
                .map(|k| k.path)
                .collect();
            assert_eq!(listed.len(), 2);
            // Each is listed under a name that opens it.
            for path in listed {
                keys.open(&key(&path), &Fixed(PIN)).await.unwrap();
                assert_eq!(keys.trusted(&key(&path)).await.unwrap().len(), 1);
            }
        });
    }
}

#[test]
fn of_two_that_ask_for_one_name_one_gets_it() {
    for soft in BOTH {
        let Some(bench) = bench(soft, None) else {
            return;
        };
        run(async {
            let wanted = new("pkcs11:token=bench;object=same");
            let ask = || bench.keys.generate(&wanted, KeyKind::EcP256, &Fixed(PIN));
            ask().await.unwrap();
            assert!(matches!(ask().await, Err(KeyFault::Exists(_))));
            // Nothing of the second is left behind.
            bench.keys.open(&wanted.key, &Fixed(PIN)).await.unwrap();
        });
    }
}

#[test]
fn a_wrong_pin_is_tried_once_by_however_many() {
    for soft in BOTH {
        let Some(bench) = bench(soft, None) else {
            return;
        };
        run(async {
            let uri = key("pkcs11:token=bench;object=k");
            let wrong = Fixed("wrong-pin");
            let all = together(vec![
                bench.keys.open(&uri, &wrong),
                bench.keys.open(&uri, &wrong),
                bench.keys.open(&uri, &wrong),
            ]);
            let refused: Vec<String> = all
                .await
                .into_iter()
                .map(|opened| {
                    let fault = opened.err().unwrap();
                    assert_eq!(
                        (fault.code(), fault.class()),
                        ("kms-login", FaultClass::NotPermitted)
                    );
                    let text = fault.to_string();
                    assert!(!text.contains("wrong-pin"), "{text}");
                    text
                })
                .collect();
            let with = |text: &str| refused.iter().filter(|t| t.contains(text)).count();
            assert_eq!(with("CKR_PIN_INCORRECT"), 1, "{refused:?}");
            assert_eq!(with("not tried a second time"), 2, "{refused:?}");
            // Another PIN is another matter.
            let fault = bench.keys.open(&uri, &Fixed(PIN)).await.err().unwrap();
            assert!(matches!(fault, KeyFault::NoSuchKey(_)), "{fault}");
        });
    }
}
