//! What was found, as people and programs see it.

use serde::Serialize;

use crate::keys::{KeyFault, Warning};
use crate::ops::{Exit, Failure};
use crate::time::Timestamp;

/// `obreia.doctor/v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `obreia.doctor/v1`
    pub schema: &'static str,
    /// The worst of the checks' results.
    pub result: Finding,
    /// How the process ends.
    pub exit: u8,
    /// Whether no connection was allowed.
    pub offline: bool,
    /// When.
    pub checked_at: Timestamp,
    /// What was looked at, in the order of the groups.
    pub checks: Vec<Check>,
}

/// What came of one check, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// As it should be.
    Ok,
    /// Works, and will not for long, or is less safe than it could be.
    Warning,
    /// Could not be found out.
    Undetermined,
    /// Does not work.
    Failed,
}

impl Finding {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Undetermined => "undetermined",
            Self::Failed => "failed",
        }
    }
}

/// What is looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The configuration, the files that it names, and the clock.
    Config,
    /// The audit log.
    Audit,
    /// The embedded keystore, without unlocking it.
    Keystore,
    /// The keys that are configured, wherever they are.
    Keys,
    /// A registry, which is looked at where it is named.
    Registry,
}

impl Group {
    /// All that are looked at without being named, in the order in which they are looked at.
    pub const ALL: [Self; 4] = [Self::Config, Self::Audit, Self::Keystore, Self::Keys];

    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Audit => "audit",
            Self::Keystore => "keystore",
            Self::Keys => "keys",
            Self::Registry => "registry",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Where it belongs.
    pub group: Group,
    /// What was asked, in one word: `file`, `key`, `provider`.
    pub check: &'static str,
    /// About what: a file, a key, a provider.
    pub subject: String,
    /// What came of it.
    pub result: Finding,
    /// What kind of trouble, for scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The key, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySeen>,
    /// How a process would end that met nothing else.
    #[serde(skip)]
    pub exit: Exit,
}

/// What was seen of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeySeen {
    /// All names under which it is configured, or was asked for.
    pub names: Vec<String>,
    /// What the provider is asked for, where that is another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The provider that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'static str>,
    /// The version that signs, where there are numbered ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Family and size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it signs under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The hash that is signed; absent where the message itself is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<&'static str>,
    /// SHA-256 of the DER `SubjectPublicKeyInfo`, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What was measured.
    pub latency_us: Latency,
    /// What the provider does not show to who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// How long things took, in microseconds; absent where they were not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Opening it, without the time in which somebody typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<u64>,
    /// Signing, at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<u64>,
    /// Verifying, here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<u64>,
}

impl Check {
    pub(super) fn ok(group: Group, check: &'static str, subject: impl Into<String>) -> Self {
        Self {
            group,
            check,
            subject: subject.into(),
            result: Finding::Ok,
            code: None,
            detail: None,
            hint: None,
            key: None,
            exit: Exit::Done,
        }
    }

    /// The same, telling more.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn of_key(mut self, key: KeySeen) -> Self {
        self.key = Some(key);
        self
    }

    /// The same, as a warning.
    pub(super) fn warns(mut self, code: &'static str, detail: impl Into<String>) -> Self {
        self.result = Finding::Warning;
        self.code = Some(code);
        self.detail(detail)
    }

    /// The same, as something that could not be found out.
    pub(super) fn undetermined(mut self, code: &'static str, detail: impl Into<String>) -> Self {
        self.result = Finding::Undetermined;
        self.code = Some(code);
        self.exit = Exit::Undetermined;
        self.detail(detail)
    }

    /// The same, as a provider's warning.
    pub(super) fn warning(self, warning: &Warning) -> Self {
        let hint = warning.hint().map(ToOwned::to_owned);
        Self {
            hint,
            ..self.warns(warning.code, warning.text.clone())
        }
    }

    /// The same, as it went wrong: what could not be asked is undetermined,
    /// and what was refused has failed.
    pub(super) fn failure(self, failure: Failure) -> Self {
        let result = match failure.exit {
            Exit::Undetermined => Finding::Undetermined,
            _ => Finding::Failed,
        };
        self.found(result, failure)
    }

    pub(super) fn found(mut self, result: Finding, failure: Failure) -> Self {
        self.result = result;
        self.code = failure.code;
        self.detail = Some(failure.cause.unwrap_or(failure.what));
        self.hint = failure.hint;
        self.exit = failure.exit;
        self
    }

    /// The same for a key's fault. A provider that answered, and whose answer
    /// proves that something is wrong, has failed, though trying again may
    /// help; and without a passphrase nobody knows.
    pub(super) fn fault(self, fault: KeyFault) -> Self {
        let proven = matches!(
            fault.root(),
            KeyFault::SelfCheck { .. } | KeyFault::PublicKeyChanged { .. }
        );
        let unknown = matches!(fault.root(), KeyFault::NoPassphrase { .. });
        let mut failure = Failure::from(fault);
        if unknown {
            failure.exit = Exit::Undetermined;
        }
        match proven {
            true => self.found(Finding::Failed, failure),
            false => self.failure(failure),
        }
    }
}

impl Report {
    pub(super) fn new(checks: Vec<Check>, offline: bool, checked_at: Timestamp) -> Self {
        let result = checks.iter().map(|check| check.result).max();
        let result = result.unwrap_or(Finding::Ok);
        Self {
            schema: "obreia.doctor/v1",
            result,
            exit: exit_of(&checks, result).code(),
            offline,
            checked_at,
            checks,
        }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        exit_of(&self.checks, self.result)
    }
}

/// That of the worst; of several that failed, what to mend first: what is
/// configured, then what is permitted, then what was asked for.
fn exit_of(checks: &[Check], result: Finding) -> Exit {
    let worst = checks.iter().filter(|check| check.result == result);
    let order = [Exit::Config, Exit::NotPermitted, Exit::Usage];
    let place = |exit: &Exit| order.iter().position(|one| one == exit);
    match result {
        Finding::Ok | Finding::Warning => Exit::Done,
        Finding::Undetermined => Exit::Undetermined,
        Finding::Failed => worst
            .map(|check| check.exit)
            .min_by_key(|exit| place(exit).unwrap_or(order.len()))
            .unwrap_or(Exit::Undetermined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(faults: Vec<KeyFault>) -> Report {
        let check = || Check::ok(Group::Keys, "key", "k");
        let mut checks = vec![check(), check().warns("token-expires", "soon")];
        checks.extend(faults.into_iter().map(|fault| check().fault(fault)));
        Report::new(checks, false, Timestamp::from_secs(0))
    }

    fn offline() -> KeyFault {
        KeyFault::Offline { provider: "p" }
    }

    #[test]
    fn the_worst_check_decides() {
        let none = report(Vec::new());
        assert_eq!((none.result, none.exit), (Finding::Warning, 0));
        let unknown = report(vec![offline()]);
        assert_eq!((unknown.result, unknown.exit), (Finding::Undetermined, 4));
        let failed = report(vec![offline(), KeyFault::Disabled("k".into())]);
        assert_eq!((failed.result, failed.exit), (Finding::Failed, 5));
        let misconfigured = KeyFault::NoSuchKey("k".into());
        let both = report(vec![KeyFault::Disabled("k".into()), misconfigured]);
        assert_eq!((both.result, both.exit), (Finding::Failed, 3));
    }

    #[test]
    fn a_signature_that_does_not_verify_has_failed_and_a_missing_passphrase_is_not_known() {
        let bad = report(vec![KeyFault::SelfCheck { key: "k".into() }]);
        assert_eq!((bad.result, bad.exit), (Finding::Failed, 4));
        let locked = report(vec![KeyFault::NoPassphrase {
            what: "k".into(),
            why: "none".into(),
        }]);
        assert_eq!((locked.result, locked.exit), (Finding::Undetermined, 4));
    }
}
