//! Public keys that policies hold, beside those that their providers show.

use std::collections::BTreeMap;

use super::{Check, Group};
use crate::config::Config;
use crate::keys::{KeyFault, Keyring};
use crate::ops::policies;
use crate::policy::Document;
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};

/// Compares what locked policies trust with what is signed with now. A policy
/// that cannot be read was told of with the configuration.
pub(super) async fn look(config: &Config, keyring: &Keyring, checks: &mut Vec<Check>) {
    for file in &config.policy.files {
        for document in policies::read(file).unwrap_or_default() {
            for (name, held) in held(&document) {
                let subject = format!("{name} in {}", file.display());
                let check = Check::ok(Group::Keys, "policy", subject);
                // Its path may be a file's, or that of a key of long ago.
                let Ok(key @ (KeyRef::Kms { .. } | KeyRef::Provider { .. })) = KeyRef::parse(&name)
                else {
                    continue;
                };
                match keyring.trusted(&key.without_version()).await {
                    Ok(shown) => checks.push(compare(check, &held, &shown)),
                    // What a policy was locked for: it is used where nobody can ask.
                    Err(fault) if nowhere(&fault) => {}
                    Err(fault) => checks.push(check.fault(fault)),
                }
            }
        }
    }
}

/// The keys that it holds, by the names that they had when it was locked.
fn held(document: &Document) -> BTreeMap<String, Vec<&TrustedKey>> {
    let mut held: BTreeMap<String, Vec<&TrustedKey>> = BTreeMap::new();
    for key in document.held_keys() {
        held.entry(key.path.clone()).or_default().push(key);
    }
    held
}

fn nowhere(fault: &KeyFault) -> bool {
    matches!(
        fault.root(),
        KeyFault::NoKeystore(_)
            | KeyFault::KeystoreMissing(_)
            | KeyFault::NoProvider(_)
            | KeyFault::NotConfigured { .. }
            | KeyFault::NotCompiled { .. }
    )
}

fn compare(check: Check, held: &[&TrustedKey], shown: &[TrustedKey]) -> Check {
    const HINT: &str = "find out which of the two is right; if the provider is, lock the policy anew: obreia policy lock FILE";
    for key in held {
        let other = shown
            .iter()
            .find(|shown| shown.version == key.version && shown.public_key != key.public_key);
        // Without versions a key that was replaced is another one.
        if let Some(other) = other {
            let version = match key.version {
                Some(version) => format!("version {version}"),
                None => "the key".to_owned(),
            };
            return check
                .warns(
                    "policy-key-differs",
                    format!(
                        "the policy holds sha256:{} as {version}, and the provider shows sha256:{}",
                        key.public_key.id().hex(),
                        other.public_key.id().hex()
                    ),
                )
                .hint(HINT);
        }
    }
    let active = shown.iter().find(|key| key.state == VersionState::Active);
    match active {
        Some(active) if held.iter().all(|key| key.public_key != active.public_key) => {
            let version = match active.version {
                Some(version) => format!("version {version}"),
                None => "the key".to_owned(),
            };
            check
                .warns(
                    "policy-key-outdated",
                    format!("{version} signs now, and the policy does not hold it: what it signs is denied"),
                )
                .hint("lock the policy anew: obreia policy lock FILE")
        }
        _ => check,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;
    use crate::crypto::{KeyKind, PrivateKey};

    fn key(version: Option<u32>, state: VersionState) -> TrustedKey {
        let private = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let mut key = TrustedKey::bare(private.public_key().clone(), "kms://model-sign/a");
        key.version = version;
        key.state = state;
        key
    }

    fn found(held: &[&TrustedKey], shown: &[TrustedKey]) -> (Finding, Option<&'static str>) {
        let check = compare(Check::ok(Group::Keys, "policy", "p"), held, shown);
        (check.result, check.code)
    }

    #[test]
    fn what_a_policy_holds_is_what_its_provider_shows() {
        let old = key(Some(1), VersionState::VerifyOnly);
        let new = key(Some(2), VersionState::Active);
        let shown = [new.clone(), old.clone()];
        assert_eq!(found(&[&old, &new], &shown), (Finding::Ok, None));
        assert_eq!(found(&[&new], &shown), (Finding::Ok, None));
        let outdated = (Finding::Warning, Some("policy-key-outdated"));
        assert_eq!(found(&[&old], &shown), outdated);
        let differs = (Finding::Warning, Some("policy-key-differs"));
        let other = key(Some(2), VersionState::Active);
        assert_eq!(found(&[&old, &other], &shown), differs);
        let (bare, another) = (
            key(None, VersionState::Active),
            key(None, VersionState::Active),
        );
        assert_eq!(found(&[&bare], &[another]), differs);
    }
}
