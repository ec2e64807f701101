//! The contract, held by every kind of key against a stand-in for AWS KMS.

#[path = "../../../tests/it/keys/aws/held.rs"]
#[allow(dead_code)]
mod held;
#[path = "../../../tests/it/keys/aws/sigv4.rs"]
mod sigv4;
#[path = "../../../tests/it/keys/aws/stand_in.rs"]
#[allow(dead_code)]
mod stand_in;

use std::sync::Arc;

use self::held::Kind;
use self::stand_in::{ACCESS_KEY, REGION, SECRET_KEY, StandIn};
use super::*;
use crate::crypto::{KeyKind, Scheme};
use crate::digest::Algorithm;
use crate::environment::Environment;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::keeping::{Keeping, keeps};
use crate::keys::{KeyProvider, KeyReader};
use crate::time::{Clock, Timestamp};

const NOBODY: Fixed = Fixed("");

fn keys(server: &StandIn, offline: bool) -> AwsKeys {
    let settings = Settings {
        environment: Environment::from([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", &server.url()),
        ]),
        offline,
        ..Settings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(1_800_000_000));
    AwsKeys::new(&settings, &Context::new(&settings, &clock))
}

fn key(uri: &str) -> KeyRef {
    KeyRef::parse(uri).unwrap()
}

fn contract(kind: Kind, uri: &str, scheme: Scheme) {
    let server = StandIn::start();
    server.key(kind, "alias/k");
    let keys = keys(&server, false);
    let case = Case {
        provider: &keys,
        key: key(uri),
        absent: key("awskms:///alias/absent"),
        missing: "no-such-key",
        foreign: key("openbao://k"),
        unlock: &NOBODY,
        wrong: None,
        public_is_known: true,
    };
    run(holds(&case));
    let signer = run(keys.open(&case.key, &NOBODY)).unwrap();
    assert_eq!(signer.scheme(), scheme);
    server.nothing_was_wrong();
}

#[test]
fn p256_holds_the_contract() {
    contract(Kind::P256, "awskms:///alias/k", Scheme::EcdsaP256Sha256);
}

#[test]
fn p384_holds_the_contract() {
    contract(Kind::P384, "awskms:///alias/k", Scheme::EcdsaP384Sha384);
}

#[test]
fn p521_holds_the_contract() {
    contract(Kind::P521, "awskms:///alias/k", Scheme::EcdsaP521Sha512);
}

#[test]
fn rsa_holds_the_contract_under_each_scheme() {
    let pkcs1 = Scheme::RsaPkcs1(Algorithm::Sha256);
    contract(Kind::Rsa2048, "awskms:///alias/k", pkcs1);
    for scheme in [
        Scheme::RsaPkcs1(Algorithm::Sha512),
        Scheme::RsaPss(Algorithm::Sha256),
        Scheme::RsaPss(Algorithm::Sha384),
        Scheme::RsaPss(Algorithm::Sha512),
    ] {
        let uri = format!("awskms:///alias/k?scheme={scheme}");
        contract(Kind::Rsa2048, &uri, scheme);
    }
}

#[test]
fn keys_are_kept_as_by_every_provider() {
    for (kind, of) in [
        (KeyKind::EcP256, "p256"),
        (KeyKind::EcP384, "p384"),
        (KeyKind::Rsa { bits: 2048 }, "rsa"),
    ] {
        let server = StandIn::start();
        let keys = keys(&server, false);
        run(keeps(&Keeping {
            provider: &keys,
            fresh: &|word| key(&format!("awskms:///alias/{of}-{word}")),
            kind,
            unlock: &NOBODY,
            // AWS' keys have no versions to replace.
            replaced_versions_sign: false,
        }));
        server.nothing_was_wrong();
    }
}

/// It has no digest to sign, and AWS takes 4096 bytes at most: what the
/// contract asks of messages beyond that is refused by name.
#[test]
fn ed25519_signs_what_aws_takes_whole() {
    let server = StandIn::start();
    let arn = server.key(Kind::Ed25519, "alias/k");
    let keys = keys(&server, false);
    let signer = run(keys.open(&key("awskms:///alias/k"), &NOBODY)).unwrap();
    assert_eq!(
        (signer.scheme(), signer.key().id.as_str()),
        (Scheme::Ed25519, &*arn)
    );
    assert!(signer.prehashed().is_none());
    for message in [&b"a"[..], &[7; 4096]] {
        let signature = run(signer.sign(message)).unwrap();
        let verified = Scheme::Ed25519.verify(signer.public_key(), message, &signature);
        verified.unwrap();
    }
    server.asked();
    for message in [&b""[..], &[7; 4097]] {
        let refused = run(signer.sign(message));
        assert!(
            matches!(&refused, Err(KeyFault::WrongAlgorithm { why, .. }) if why.contains("4096")),
            "{refused:?}"
        );
    }
    assert!(server.asked().is_empty());
}

#[test]
fn offline_asks_nobody() {
    let server = StandIn::start();
    server.key(Kind::P256, "alias/k");
    let keys = keys(&server, true);
    let named = key("awskms:///alias/k");
    let offline = Some(KeyFault::Offline { provider: PROVIDER });
    assert_eq!(run(keys.open(&named, &NOBODY)).err(), offline);
    assert_eq!(run(keys.trusted(&named)).err(), offline);
    assert_eq!(run(keys.probe()).err(), offline);
    let can = keys.capabilities();
    assert_eq!(run(can.describe.unwrap().describe(&named)).err(), offline);
    assert_eq!(run(can.describe.unwrap().list()).err(), offline);
    assert!(server.asked().is_empty());
}
