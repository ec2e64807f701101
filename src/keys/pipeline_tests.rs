//! The order of the pipeline, seen from a log and a provider that write down
//! what happens, or fail when told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::contract::run;
use super::record::Recorder;
use super::{BoxFuture, Key, KeyFault, Keys, PrehashSigner, Route, SignInput, Signed, Signer};
use crate::audit::{AuditFault, AuditSink, Event, Generation, Receipt};
use crate::crypto::{KeyKind, PrivateKey, PublicKey, Scheme, sha256};
use crate::custody::{Caller, KeyInfo, KeyState, Purpose};
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::VersionState;

type Seen = Arc<Mutex<Vec<String>>>;

/// Fails at the event of that number, from 0.
struct Log(Seen, Option<usize>, Mutex<usize>);

impl AuditSink for Log {
    fn append<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Receipt, AuditFault>> {
        Box::pin(async move {
            let mut count = self.2.lock().unwrap();
            let number = *count;
            *count += 1;
            if self.1 == Some(number) {
                return Err(AuditFault::Missing("log".into()));
            }
            let result = event.result.clone().unwrap_or_default();
            let line = format!("{} {} {result}", event.phase.as_str(), event.decision);
            self.0.lock().unwrap().push(line.trim_end().to_owned());
            Ok(Receipt {
                seq: number as u64 + 1,
                digest: sha256(b""),
            })
        })
    }

    fn generation(&self) -> Result<Generation, AuditFault> {
        Ok(Generation::default())
    }
}

#[derive(Clone, Copy)]
enum Behaviour {
    Honest,
    OtherKey,
    Fails,
    Hangs,
}

struct Provider {
    seen: Seen,
    info: KeyInfo,
    behaviour: Behaviour,
    key: PrivateKey,
    other: PrivateKey,
}

impl Signer for Provider {
    fn key(&self) -> &KeyInfo {
        &self.info
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn scheme(&self) -> Scheme {
        self.key.public_key().default_scheme()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            self.seen.lock().unwrap().push("signed".to_owned());
            let key = match self.behaviour {
                Behaviour::Honest => &self.key,
                Behaviour::OtherKey => &self.other,
                Behaviour::Fails => return Err(KeyFault::Busy("it".to_owned())),
                Behaviour::Hangs => std::future::pending().await,
            };
            Ok(key.sign(self.scheme(), message).unwrap())
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        None
    }
}

fn named(key: &str) -> Route {
    Route::of(&Keys::default(), &KeyRef::parse(key).unwrap()).unwrap()
}

fn sign(
    behaviour: Behaviour,
    state: KeyState,
    log_fails_at: Option<usize>,
) -> (Result<Signed, KeyFault>, Vec<String>) {
    let seen = Seen::default();
    let provider = Provider {
        seen: Arc::clone(&seen),
        info: KeyInfo {
            id: "id".into(),
            path: "kms://model-sign/dev".into(),
            version: Some(1),
            purpose: Some(Purpose::of_existing("model-sign")),
            state,
            version_state: VersionState::Active,
            provider: "test",
        },
        behaviour,
        key: PrivateKey::generate(KeyKind::Ed25519).unwrap(),
        other: PrivateKey::generate(KeyKind::Ed25519).unwrap(),
    };
    let now = Timestamp::from_secs(0);
    let log = Arc::new(Log(Arc::clone(&seen), log_fails_at, Mutex::default()));
    let key = Key::new(
        Box::new(provider),
        named("kms://model-sign/dev"),
        Recorder::into_sink(log, Arc::new(now)),
        Arc::new(now),
        Duration::from_millis(20),
    );
    let signed = run(key.sign(SignInput::Message(b"abc"), &Caller::local(0)));
    let seen = seen.lock().unwrap().clone();
    (signed, seen)
}

#[test]
fn intent_then_signature_then_outcome() {
    let (signed, seen) = sign(Behaviour::Honest, KeyState::Enabled, None);
    assert_eq!(signed.unwrap().receipt.unwrap().seq, 2);
    assert_eq!(seen, ["intent allow", "signed", "outcome allow ok"]);
}

#[test]
fn without_a_durable_intent_the_provider_is_not_asked() {
    let (signed, seen) = sign(Behaviour::Honest, KeyState::Enabled, Some(0));
    assert!(matches!(signed, Err(KeyFault::Audit(_))));
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn without_a_durable_outcome_the_signature_is_not_handed_out() {
    let (signed, seen) = sign(Behaviour::Honest, KeyState::Enabled, Some(1));
    let fault = signed.unwrap_err();
    assert_eq!(fault.code(), "audit-missing");
    assert!(
        fault.to_string().contains("made and thrown away"),
        "{fault}"
    );
    assert_eq!(seen, ["intent allow", "signed"]);
}

#[test]
fn a_failure_that_is_not_recorded_is_told_all_the_same() {
    let (signed, seen) = sign(Behaviour::Fails, KeyState::Enabled, Some(1));
    let fault = signed.unwrap_err();
    assert_eq!(fault.code(), "audit-missing");
    let text = fault.to_string();
    assert!(
        text.contains("it is in use") && text.contains("log"),
        "{text}"
    );
    assert_eq!(seen, ["intent allow", "signed"]);
}

#[test]
fn a_denial_is_recorded_and_the_provider_is_not_asked() {
    let (signed, seen) = sign(Behaviour::Honest, KeyState::Disabled, None);
    assert!(matches!(
        signed,
        Err(KeyFault::NotPermitted {
            rule: "key-disabled",
            ..
        })
    ));
    assert_eq!(seen, ["outcome deny denied"]);
}

#[test]
fn a_signature_by_another_key_is_thrown_away() {
    let (signed, seen) = sign(Behaviour::OtherKey, KeyState::Enabled, None);
    assert!(matches!(signed, Err(KeyFault::SelfCheck { .. })));
    assert_eq!(
        seen,
        ["intent allow", "signed", "outcome allow self-check-failed"]
    );
}

#[test]
fn a_provider_that_hangs_is_given_up() {
    let (signed, seen) = sign(Behaviour::Hangs, KeyState::Enabled, None);
    assert!(matches!(signed, Err(KeyFault::Deadline { .. })));
    assert_eq!(seen.last().unwrap(), "outcome allow deadline");
}

#[test]
fn a_provider_that_fails_is_recorded() {
    let (signed, seen) = sign(Behaviour::Fails, KeyState::Enabled, None);
    assert!(matches!(signed, Err(KeyFault::Busy(_))));
    assert_eq!(seen.last().unwrap(), "outcome allow busy");
}

#[test]
fn a_digest_for_a_scheme_without_a_hash_is_refused_and_recorded() {
    let seen = Seen::default();
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let log = Arc::new(Log(Arc::clone(&seen), None, Mutex::default()));
    let now = Timestamp::from_secs(0);
    let provider = Provider {
        seen: Arc::clone(&seen),
        info: KeyInfo {
            id: "id".into(),
            path: "a.pem".into(),
            version: None,
            purpose: None,
            state: KeyState::Enabled,
            version_state: VersionState::Active,
            provider: "test",
        },
        behaviour: Behaviour::Honest,
        other: PrivateKey::generate(KeyKind::Ed25519).unwrap(),
        key,
    };
    let key = Key::new(
        Box::new(provider),
        named("a.pem"),
        Recorder::into_sink(log, Arc::new(now)),
        Arc::new(now),
        Duration::from_secs(1),
    );
    let refused = run(key.sign(SignInput::Digest(sha256(b"abc")), &Caller::local(0)));
    assert!(matches!(refused, Err(KeyFault::BadRequest { .. })));
    assert_eq!(
        *seen.lock().unwrap(),
        ["intent allow", "outcome allow bad-request"]
    );
}
