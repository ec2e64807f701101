#[path = "../../../tests/it/keys/vault/bao.rs"]
#[allow(dead_code)]
mod bao;

use std::sync::{Arc, OnceLock};

use super::VaultKeys;
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::KeyState;
use crate::environment::Environment;
use crate::keys::context::Context;
use crate::keys::contract::{Case, Fixed, holds, peer, run};
use crate::keys::keeping::{Keeping, keeps};
use crate::keys::{
    DescribeKey, Described, GenerateKey, ImportKey, KeyFault, KeyProvider, KeyReader, Lifecycle,
    NewKey, RetireVersion, RotateKey, Settings, Vault,
};
use crate::reference::KeyRef;
use crate::time::{Clock, Timestamp};
use bao::{Bao, ROOT};

/// The one server of these tests; `None` in a quick run.
fn server() -> Option<&'static Bao> {
    static SERVER: OnceLock<Option<Bao>> = OnceLock::new();
    let bao = peer("bao")?;
    SERVER.get_or_init(|| Some(Bao::dev(&bao))).as_ref()
}

fn keys(settings: &Settings) -> VaultKeys {
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(1_795_000_000));
    VaultKeys::new(&settings.keys, &Context::new(settings, &clock))
}

fn settings(bao: &Bao) -> Settings {
    Settings {
        environment: Environment::from([
            ("VAULT_ADDR", bao.address().as_str()),
            ("VAULT_TOKEN", ROOT),
        ]),
        ..Settings::default()
    }
}

fn contract(kind: &str, parameters: &str) {
    let Some(bao) = server() else { return };
    let name = format!("contract-{kind}");
    bao.key(&name, kind);
    bao.rotate(&name);
    let key = |text: String| KeyRef::parse(&text).unwrap();
    for scheme in super::SCHEMES {
        run(holds(&Case {
            provider: &keys(&settings(bao)),
            key: key(format!("{scheme}://{name}{parameters}")),
            absent: key(format!("{scheme}://absent")),
            missing: "no-such-key",
            foreign: KeyRef::parse("awskms:///alias/x").unwrap(),
            unlock: &Fixed("not asked for"),
            wrong: None,
            public_is_known: true,
        }));
    }
}

#[test]
fn contract_holds_for_p256() {
    contract("ecdsa-p256", "");
    contract("ecdsa-p256", "?version=1");
}

#[test]
fn contract_holds_for_p384() {
    contract("ecdsa-p384", "");
}

#[test]
fn contract_holds_for_p521() {
    contract("ecdsa-p521", "");
}

#[test]
fn contract_holds_for_ed25519() {
    contract("ed25519", "");
}

#[test]
fn contract_holds_for_rsa() {
    contract("rsa-2048", "");
    for scheme in [
        "rsa-pkcs1-sha512",
        "rsa-pss-sha256",
        "rsa-pss-sha384",
        "rsa-pss-sha512",
    ] {
        contract("rsa-2048", &format!("?scheme={scheme}"));
    }
}

#[test]
fn keys_are_kept_as_by_every_provider() {
    let Some((_, keys)) = provider() else { return };
    for kind in [P256, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }] {
        run(keeps(&Keeping {
            provider: &keys,
            fresh: &|word| KeyRef::parse(&format!("openbao://kept-{kind}-{word}")).unwrap(),
            kind,
            unlock: &NOBODY,
            replaced_versions_sign: true,
        }));
    }
}

fn provider() -> Option<(&'static Bao, VaultKeys)> {
    let bao = server()?;
    Some((bao, keys(&settings(bao))))
}

fn new(uri: &str) -> NewKey {
    NewKey {
        key: KeyRef::parse(uri).unwrap(),
        aliases: Vec::new(),
        new_purpose: false,
    }
}

fn create(keys: &VaultKeys, uri: &str, kind: KeyKind) -> Result<Described, KeyFault> {
    run(keys.generate(&new(uri), kind, &NOBODY))
}

fn signs(keys: &VaultKeys, uri: &str) -> Result<Vec<u8>, KeyFault> {
    let key = KeyRef::parse(uri).unwrap();
    run(async {
        let signer = keys.open(&key, &NOBODY).await?;
        let signature = signer.sign(b"abc").await?;
        let scheme = signer.scheme();
        scheme
            .verify(signer.public_key(), b"abc", &signature)
            .unwrap();
        Ok(signature)
    })
}

fn versions(described: &Described) -> Vec<(Option<u32>, &'static str)> {
    let versions = described.versions.iter();
    versions.map(|v| (v.version, v.state.as_str())).collect()
}

const NOBODY: Fixed = Fixed("not asked for");
const P256: KeyKind = KeyKind::EcP256;

#[test]
fn keys_are_made_once() {
    let Some((_, keys)) = provider() else { return };
    for (name, kind) in [
        ("made-p256", P256),
        ("made-p384", KeyKind::EcP384),
        ("made-p521", KeyKind::EcP521),
        ("made-ed25519", KeyKind::Ed25519),
        ("made-rsa", KeyKind::Rsa { bits: 2048 }),
    ] {
        let uri = format!("openbao://{name}");
        let made = create(&keys, &uri, kind).unwrap();
        assert_eq!(made.path, uri);
        assert_eq!(made.versions[0].public_key.kind(), kind);
        assert!(made.created.is_some());
        signs(&keys, &uri).unwrap();
        let again = create(&keys, &uri, kind);
        assert!(matches!(again, Err(KeyFault::Exists(_))), "{again:?}");
        assert_eq!(run(keys.describe(&new(&uri).key)).unwrap(), made);
    }
    let refused = create(&keys, "openbao://made-8192", KeyKind::Rsa { bits: 8192 });
    assert!(matches!(refused, Err(KeyFault::WrongAlgorithm { .. })));
    let mut alias = new("openbao://made-alias");
    alias
        .aliases
        .push(crate::reference::KeyPath::parse("x").unwrap());
    let refused = run(keys.generate(&alias, P256, &NOBODY));
    assert!(matches!(refused, Err(KeyFault::BadName { .. })));
}

#[test]
fn keys_are_taken_in_wrapped() {
    let Some((_, keys)) = provider() else { return };
    for kind in [
        P256,
        KeyKind::EcP384,
        KeyKind::EcP521,
        KeyKind::Ed25519,
        KeyKind::Rsa { bits: 3072 },
    ] {
        let private = PrivateKey::generate(kind).unwrap();
        let uri = format!("openbao://taken-{kind}");
        let taken = run(keys.import(&new(&uri), &private, &NOBODY)).unwrap();
        assert_eq!(&taken.versions[0].public_key, private.public_key());
        let signature = signs(&keys, &uri).unwrap();
        let scheme = private.public_key().default_scheme();
        scheme
            .verify(private.public_key(), b"abc", &signature)
            .unwrap();
        let again = run(keys.import(&new(&uri), &private, &NOBODY));
        assert!(matches!(again, Err(KeyFault::Exists(_))));
        // It may have further versions, of the engine's own making.
        run(keys.rotate(&new(&uri).key, "0s".parse().unwrap(), &NOBODY)).unwrap();
    }
}

#[test]
fn versions_come_and_go() {
    let Some((bao, keys)) = provider() else {
        return;
    };
    let uri = "openbao://second/life";
    create(&keys, uri, P256).unwrap();
    let key = new(uri).key;
    for _ in 0..2 {
        run(keys.rotate(&key, "0s".parse().unwrap(), &NOBODY)).unwrap();
    }
    let shown = run(keys.describe(&key)).unwrap();
    let states = [
        (Some(1), "verify-only"),
        (Some(2), "verify-only"),
        (Some(3), "active"),
    ];
    assert_eq!(versions(&shown), states);
    // A named version signs, and verifies as that version alone.
    let first = signs(&keys, "openbao://second/life?version=1").unwrap();
    let trusted = |uri: &str| run(keys.trusted(&KeyRef::parse(uri).unwrap()));
    let named = trusted("openbao://second/life?version=1").unwrap();
    assert_eq!(named.len(), 1);
    named[0]
        .scheme
        .verify(&named[0].public_key, b"abc", &first)
        .unwrap();
    let all = trusted(uri).unwrap();
    assert_eq!(
        all.iter().map(|k| k.version.unwrap()).collect::<Vec<_>>(),
        [3, 2, 1]
    );
    assert!(
        all[0]
            .scheme
            .verify(&all[0].public_key, b"abc", &first)
            .is_err()
    );

    let retire = |version| run(keys.retire(&key, version, &NOBODY));
    assert!(
        matches!(retire(2), Err(KeyFault::BadRequest { .. })),
        "not in order"
    );
    assert!(
        matches!(retire(3), Err(KeyFault::BadRequest { .. })),
        "the active one"
    );
    assert!(matches!(retire(4), Err(KeyFault::NoSuchVersion { .. })));
    bao.admin(
        "PUT",
        "second/keys/life/config",
        &serde_json::json!({"min_encryption_version": 1}),
    );
    for _ in 0..2 {
        assert_eq!(versions(&retire(1).unwrap()).len(), 2);
    }
    for uri in [
        "openbao://second/life?version=1",
        "vault://second/life?version=1",
    ] {
        assert!(matches!(
            trusted(uri),
            Err(KeyFault::Retired { version: 1, .. })
        ));
        assert!(matches!(signs(&keys, uri), Err(KeyFault::Retired { .. })));
    }
    let absent = trusted("openbao://second/life?version=9");
    assert!(matches!(
        absent,
        Err(KeyFault::NoSuchVersion { version: 9, .. })
    ));
}

#[test]
fn a_disabled_key_does_nothing_until_it_is_enabled() {
    let Some((_, keys)) = provider() else { return };
    let uri = "openbao://off-and-on";
    create(&keys, uri, P256).unwrap();
    let key = new(uri).key;
    let opened = run(keys.open(&key, &NOBODY)).unwrap();
    for _ in 0..2 {
        let off = run(keys.set_state(&key, KeyState::Disabled, &NOBODY)).unwrap();
        assert_eq!(off.state, KeyState::Disabled);
    }
    let disabled = |result: Option<KeyFault>| matches!(result, Some(KeyFault::Disabled(_)));
    assert!(disabled(run(opened.sign(b"abc")).err()));
    assert!(disabled(signs(&keys, uri).err()));
    assert!(disabled(run(keys.trusted(&key)).err()));
    assert!(disabled(
        run(keys.rotate(&key, "0s".parse().unwrap(), &NOBODY)).err()
    ));
    let on = run(keys.set_state(&key, KeyState::Enabled, &NOBODY)).unwrap();
    assert_eq!(on.state, KeyState::Enabled);
    signs(&keys, uri).unwrap();
    let absent = new("openbao://never-there").key;
    let refused = run(keys.set_state(&absent, KeyState::Disabled, &NOBODY));
    assert!(matches!(refused, Err(KeyFault::NoSuchKey(_))));
}

#[test]
fn what_signs_is_listed_and_nothing_else() {
    let Some((bao, _)) = provider() else { return };
    bao.admin(
        "PUT",
        "sys/mounts/third",
        &serde_json::json!({"type": "transit"}),
    );
    let mut settings = settings(bao);
    settings.keys.vault = Vault {
        mount: Some("third".into()),
        ..Vault::default()
    };
    let keys = keys(&settings);
    assert_eq!(run(keys.list()).unwrap(), []);
    for (name, kind) in [("b", "ecdsa-p256"), ("a", "ed25519"), ("c", "aes256-gcm96")] {
        let kind = serde_json::json!({ "type": kind });
        bao.admin("PUT", &format!("third/keys/{name}"), &kind);
    }
    let listed = run(keys.list()).unwrap();
    let paths: Vec<_> = listed.iter().map(|key| key.path.as_str()).collect();
    assert_eq!(paths, ["openbao://a", "openbao://b"]);
}

#[test]
fn keys_that_do_not_sign_say_why() {
    let Some((bao, keys)) = provider() else {
        return;
    };
    bao.key("no-sign-aes", "aes256-gcm96");
    let hmac = serde_json::json!({"type": "hmac", "key_size": 32});
    bao.admin("PUT", "transit/keys/no-sign-hmac", &hmac);
    let derived = serde_json::json!({"type": "ed25519", "derived": true});
    bao.admin("PUT", "transit/keys/no-sign-derived", &derived);
    for (name, says) in [
        ("no-sign-aes", "encryption (aes256-gcm96)"),
        ("no-sign-hmac", "hmac"),
        ("no-sign-derived", "derivation"),
    ] {
        let fault = signs(&keys, &format!("openbao://{name}")).unwrap_err();
        assert_eq!(fault.code(), "wrong-usage", "{fault}");
        assert!(fault.to_string().contains(says), "{fault}");
    }
    let nowhere = signs(&keys, "openbao://nowhere/k").unwrap_err();
    assert_eq!(nowhere.code(), "not-configured");
    // cubbyhole/ is an engine, but not this one.
    let other = signs(&keys, "openbao://cubbyhole/k").unwrap_err();
    assert_ne!(other.code(), "provider-failed", "{other}");
}
