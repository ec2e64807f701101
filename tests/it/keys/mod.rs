//! Keys: the keystore and key files, through the binary and the library.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod clouds;
mod codes;
mod commands;
mod crash;
mod damage;
mod doctor;
mod env;
mod front;
#[cfg(feature = "gcp")]
mod gcp;
mod interop;
mod interrupted;
mod k8s;
mod killed;
mod knife;
mod pkcs11;
mod plugin;
pub(crate) mod secrets;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod standin;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod tls;
mod together;
mod vault;
mod wycheproof;

use std::sync::Arc;

use obreia::keys::{Keyring, Locked, Settings, Unlock, UnlockError};
use obreia::secret::Secret;
use obreia::time::Timestamp;

use crate::harness::{Obreia, Output, Scratch};

pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// A scratch folder in which `obreia init .` was run.
pub(crate) fn place() -> Scratch {
    let scratch = Scratch::new();
    obreia(&scratch, &["init", "."]).run().expect_code(0);
    scratch
}

/// The binary with the passphrase in its environment.
pub(crate) fn obreia(scratch: &Scratch, args: &[&str]) -> Obreia {
    scratch
        .obreia()
        .env("OBREIA_PASSPHRASE", PASSPHRASE)
        .args(args)
}

pub(crate) fn run(scratch: &Scratch, args: &[&str]) -> Output {
    obreia(scratch, args).run()
}

/// The same keys through the library.
fn keyring(scratch: &Scratch) -> Keyring {
    let settings = Settings {
        state: Some(scratch.join("state")),
        ..Settings::default()
    };
    Keyring::new(settings, Arc::new(Timestamp::from_secs(1_795_000_000)))
}

struct Pass;

impl Unlock for Pass {
    fn passphrase(&self, _: &Locked) -> Result<Secret, UnlockError> {
        Ok(Secret::from(PASSPHRASE.to_owned()))
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The records of the audit log, every tile, entry and signature of which holds.
fn records(scratch: &Scratch) -> Vec<serde_json::Value> {
    let (state, folder) = (scratch.join("state"), scratch.join("state/audit"));
    let key = obreia::audit::public_key(&state).unwrap();
    let report = obreia::audit::verify(&folder, &key, &[]).unwrap();
    assert_eq!(report.problems, []);
    let log = obreia::audit::AuditLog::open(&folder).unwrap();
    log.records()
        .map(|record| serde_json::from_slice(&record.unwrap().1).unwrap())
        .collect()
}

/// Paths of all keys that the keystore lists.
fn listed(scratch: &Scratch) -> Vec<String> {
    let out = run(scratch, &["key", "list", "-o", "json"]);
    let json = out.expect_code(0).json();
    assert_eq!(json["schema"], "obreia.keys/v1");
    json["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["path"].as_str().unwrap().to_owned())
        .collect()
}
