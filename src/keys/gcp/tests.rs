//! The contracts, held against the stand-in of the integration tests.

#[allow(dead_code)]
#[path = "../../../tests/it/keys/gcp/service.rs"]
mod stand_in;

use std::sync::Arc;

use super::*;
use crate::crypto::{KeyKind, Scheme};
use crate::environment::Environment;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::keeping::{Keeping, keeps};
use crate::keys::settings::Settings;
use crate::keys::standin;
use crate::time::{Clock, Timestamp};
use stand_in::{RING, Service as StandIn};

const NOBODY: Fixed = Fixed("unused");

/// The adapter, and the folder that its credentials lie in.
fn provider(service: &StandIn, offline: bool) -> (GcpKeys, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    std::fs::write(&file, service.service_account()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(1_795_000_000));
    let settings = Settings {
        environment: Environment::from([(
            "GOOGLE_APPLICATION_CREDENTIALS",
            file.to_str().unwrap(),
        )]),
        offline,
        ..Settings::default()
    };
    let gcp = Gcp {
        endpoint: Some(service.server.origin.clone()),
        ..Gcp::default()
    };
    let keys = GcpKeys::new(&gcp, &Context::new(&settings, &clock));
    (keys, folder)
}

fn key(name: &str) -> KeyRef {
    KeyRef::parse(&format!("gcpkms://{RING}/cryptoKeys/{name}")).unwrap()
}

#[test]
fn the_contract_holds_for_every_kind_of_key_with_a_digest() {
    let service = StandIn::start();
    for algorithm in [
        "EC_SIGN_P256_SHA256",
        "EC_SIGN_P384_SHA384",
        "RSA_SIGN_PSS_2048_SHA256",
        "RSA_SIGN_PKCS1_2048_SHA256",
    ] {
        let (provider, _folder) = provider(&service, false);
        service.make(algorithm, algorithm);
        for version in ["", "/cryptoKeyVersions/1", "/versions/1", "?version=1"] {
            run(holds(&Case {
                provider: &provider,
                key: key(&format!("{algorithm}{version}")),
                absent: key("absent"),
                missing: "no-such-key",
                foreign: KeyRef::parse("azurekms://acme/k").unwrap(),
                unlock: &NOBODY,
                wrong: None,
                public_is_known: true,
            }));
        }
    }
}

#[test]
fn keys_are_kept_as_by_every_provider() {
    let service = StandIn::start();
    for kind in [KeyKind::EcP256, KeyKind::EcP384] {
        let (provider, _folder) = provider(&service, false);
        run(keeps(&Keeping {
            provider: &provider,
            fresh: &|word| key(&format!("{kind}-{word}")),
            kind,
            unlock: &NOBODY,
            replaced_versions_sign: true,
        }));
    }
}

/// It has no digest to sign, and Google takes 64 KiB at most: what the contract
/// asks of messages beyond that is refused by name.
#[test]
fn ed25519_signs_what_google_takes_whole() {
    let service = StandIn::start();
    service.make("k", "EC_SIGN_ED25519");
    let (provider, _folder) = provider(&service, false);
    run(async {
        let signer = provider.open(&key("k"), &NOBODY).await.unwrap();
        assert_eq!(signer.scheme(), Scheme::Ed25519);
        assert!(signer.prehashed().is_none());
        for message in [&b"a"[..], &[7; 64 << 10]] {
            let signature = signer.sign(message).await.unwrap();
            Scheme::Ed25519
                .verify(signer.public_key(), message, &signature)
                .unwrap();
        }
        service.server.asked();
        for message in [&b""[..], &[7; (64 << 10) + 1]] {
            let refused = signer.sign(message).await;
            assert!(
                matches!(&refused, Err(KeyFault::WrongAlgorithm { why, .. }) if why.contains("65536")),
                "{refused:?}"
            );
        }
        assert!(service.server.asked().is_empty());
    });
}

#[test]
fn offline_asks_nobody() {
    let service = StandIn::start();
    service.make("k", "EC_SIGN_P256_SHA256");
    let (provider, _folder) = provider(&service, true);
    let named = key("k");
    let offline = Some(KeyFault::Offline { provider: PROVIDER });
    run(async {
        assert_eq!(provider.open(&named, &NOBODY).await.err(), offline);
        assert_eq!(provider.trusted(&named).await.err(), offline);
        assert_eq!(provider.probe().await.err(), offline);
        let can = provider.capabilities();
        let describe = can.describe.unwrap();
        assert_eq!(describe.describe(&named).await.err(), offline);
    });
    assert!(service.server.asked().is_empty());
}

/// Whatever was noted of a key goes when it is forgotten, its versions' own
/// notes too: a key that was replaced on purpose could never be used again.
#[test]
fn a_forgotten_key_is_forgotten_with_its_versions() {
    let service = StandIn::start();
    service.make("k", "EC_SIGN_P256_SHA256");
    service.make("k", "EC_SIGN_P256_SHA256");
    let (provider, _folder) = provider(&service, false);
    run(async {
        provider.trusted(&key("k")).await.unwrap();
        service.newest("k", |version| {
            version.private =
                Arc::new(crate::crypto::PrivateKey::generate(KeyKind::EcP256).unwrap());
        });
        let known = &provider.context.known;
        let note = Name::parse(&key("k")).unwrap().whole();
        known.doubt(PROVIDER, &note, &service.server.origin);
        let changed = provider.trusted(&key("k")).await;
        assert!(
            matches!(changed, Err(KeyFault::PublicKeyChanged { .. })),
            "{changed:?}"
        );
        for note in provider.noted_as(&key("k")).unwrap() {
            known.forget(&note).unwrap();
        }
        assert_eq!(provider.trusted(&key("k")).await.unwrap().len(), 2);
    });
}
