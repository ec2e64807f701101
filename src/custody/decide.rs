use super::{Caller, KeyInfo, KeyState, Method};
use crate::time::Timestamp;
use crate::trust::VersionState;

/// What is to be done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Sign a message or a digest.
    Sign,
    /// Sign what says nothing, and throw the signature away: a key is tried.
    Probe,
    /// Make a key.
    Create,
    /// Take in a key that was made elsewhere.
    Import,
    /// Make a new version and let it take over.
    Rotate,
    /// Let the key be used again.
    Enable,
    /// Stop all use of the key.
    Disable,
    /// Let one version verify nothing any more.
    Retire,
    /// Make the keystore.
    InitKeystore,
    /// Copy the whole keystore, sealed.
    Backup,
    /// Put a copy in the keystore's place.
    Restore,
    /// Change what unlocks the keystore.
    ChangePassphrase,
}

impl Operation {
    /// As records and rules name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Probe => "probe",
            Self::Create => "create",
            Self::Import => "import",
            Self::Rotate => "rotate",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Retire => "retire",
            Self::InitKeystore => "init-keystore",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::ChangePassphrase => "change-passphrase",
        }
    }

    /// Whether it may make a new generation of the embedded keystore.
    pub const fn changes_keystore(self) -> bool {
        !matches!(self, Self::Sign | Self::Probe | Self::Backup)
    }
}

/// A question to custody: everything that the answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub operation: Operation,
    /// With which key; `None` for the keystore as a whole, and for a key that
    /// does not exist yet.
    pub key: Option<&'a KeyInfo>,
    /// By whom.
    pub caller: &'a Caller,
    /// When.
    pub now: Timestamp,
}

/// The answer, with the rule that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allow {
        /// The rule.
        rule: &'static str,
    },
    /// It may not be done.
    Deny {
        /// The rule.
        rule: &'static str,
        /// What the rule found, for people.
        why: String,
    },
}

impl Decision {
    /// The rule that decided.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Allow { rule } | Self::Deny { rule, .. } => rule,
        }
    }

    /// `allow` or `deny`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow { .. } => "allow",
            Self::Deny { .. } => "deny",
        }
    }
}

/// Decides, in this order; the first rule that speaks wins:
///
/// 1. `key-disabled`: a disabled key does nothing but be enabled.
/// 2. Signing, and trying whether a key signs: `version-not-active` (only the active version signs), then
///    `purpose-forbids` or `purpose-signs`; a key file has no purpose, and
///    `file-holder` lets whoever can open it sign with it.
/// 3. Administration: `local-owner`, a caller at this machine who unlocked
///    the keystore.
/// 4. `default-deny`.
// req: P1, P2, P5
pub fn decide(request: &Request<'_>) -> Decision {
    if let Some(key) = request.key
        && key.state == KeyState::Disabled
        && request.operation != Operation::Enable
    {
        return deny("key-disabled", format!("{} is disabled", key.path));
    }
    match request.operation {
        Operation::Sign | Operation::Probe => sign(request),
        Operation::Create
        | Operation::Import
        | Operation::Rotate
        | Operation::Enable
        | Operation::Disable
        | Operation::Retire
        | Operation::InitKeystore
        | Operation::Backup
        | Operation::Restore
        | Operation::ChangePassphrase => match request.caller.method {
            Method::Local => Decision::Allow {
                rule: "local-owner",
            },
        },
    }
}

fn sign(request: &Request<'_>) -> Decision {
    let Some(key) = request.key else {
        return deny("default-deny", "no key was named".to_owned());
    };
    if key.version_state != VersionState::Active {
        return deny(
            "version-not-active",
            format!(
                "{key} is {}, and only the active version signs",
                key.version_state.as_str()
            ),
        );
    }
    match &key.purpose {
        None => Decision::Allow {
            rule: "file-holder",
        },
        Some(purpose) if purpose.signs() => Decision::Allow {
            rule: "purpose-signs",
        },
        Some(purpose) => deny(
            "purpose-forbids",
            format!("{} is a {purpose} key, which does not sign", key.path),
        ),
    }
}

fn deny(rule: &'static str, why: String) -> Decision {
    Decision::Deny { rule, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::Purpose;

    fn key(purpose: &str) -> KeyInfo {
        KeyInfo {
            id: "id".into(),
            path: format!("kms://{purpose}/dev"),
            version: Some(2),
            purpose: Some(Purpose::of_existing(purpose)),
            state: KeyState::Enabled,
            version_state: VersionState::Active,
            provider: "embedded",
        }
    }

    fn asked(operation: Operation, key: Option<&KeyInfo>) -> (&'static str, &'static str) {
        let decision = decide(&Request {
            operation,
            key,
            caller: &Caller::local(1000),
            now: Timestamp::from_secs(0),
        });
        (decision.as_str(), decision.rule())
    }

    #[test]
    fn only_signing_purposes_sign() {
        assert_eq!(
            asked(Operation::Sign, Some(&key("model-sign"))),
            ("allow", "purpose-signs")
        );
        for purpose in ["pki-ca", "envelope-data", "", "signer", "sign"] {
            assert_eq!(
                asked(Operation::Sign, Some(&key(purpose))),
                ("deny", "purpose-forbids"),
                "{purpose}"
            );
        }
    }

    #[test]
    fn only_the_active_version_signs() {
        for state in [
            VersionState::Grace,
            VersionState::VerifyOnly,
            VersionState::Retired,
        ] {
            let mut key = key("model-sign");
            key.version_state = state;
            assert_eq!(
                asked(Operation::Sign, Some(&key)),
                ("deny", "version-not-active")
            );
        }
    }

    #[test]
    fn a_disabled_key_can_only_be_enabled() {
        let mut key = key("model-sign");
        key.state = KeyState::Disabled;
        for operation in [Operation::Sign, Operation::Rotate, Operation::Retire] {
            assert_eq!(asked(operation, Some(&key)), ("deny", "key-disabled"));
        }
        assert_eq!(
            asked(Operation::Enable, Some(&key)),
            ("allow", "local-owner")
        );
    }

    #[test]
    fn a_key_is_tried_only_where_it_may_sign() {
        let mut old = key("model-sign");
        old.version_state = VersionState::Grace;
        let mut off = key("model-sign");
        off.state = KeyState::Disabled;
        for key in [&key("model-sign"), &key("pki-ca"), &old, &off] {
            let (probe, sign) = (Operation::Probe, Operation::Sign);
            assert_eq!(asked(probe, Some(key)), asked(sign, Some(key)));
        }
        assert_eq!(asked(Operation::Probe, None), ("deny", "default-deny"));
        assert!(!Operation::Probe.changes_keystore());
    }

    #[test]
    fn signing_with_no_key_is_denied() {
        assert_eq!(asked(Operation::Sign, None), ("deny", "default-deny"));
    }

    #[test]
    fn misspelt_and_useless_purposes_are_noticed() {
        assert!(Purpose::for_new_key("model-sign", false).is_ok());
        assert!(Purpose::for_new_key("firmware-sign", true).is_ok());
        for (name, flag) in [
            ("modle-sign", false),
            ("model", true),
            ("-sign", true),
            ("envelope-data", true),
        ] {
            assert!(Purpose::for_new_key(name, flag).is_err(), "{name}");
        }
    }
}
