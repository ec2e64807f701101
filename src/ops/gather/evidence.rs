//! Evidence: named by the user, or kept where `sign` and `attest` put it.

use std::fmt;
use std::path::Path;

use super::Reading;
use crate::attestations::{AttestationStore, Format, StoreError, Subject, Untrusted};
use crate::durable::{self, FileError};
use crate::limits;
use crate::ops::{Exit, Failure};
use crate::policy::Policy;
use crate::source::registry::Class;
use crate::verify::{
    self, Evidence, EvidenceBody, NotationSigned, Reason, ReasonCode, SimpleSigned, Wants,
};

/// Evidence, the look-ups that failed, and what it asks to be read.
pub(super) struct Found {
    pub(super) evidence: Vec<Evidence>,
    pub(super) failed: Vec<Reason>,
    pub(super) wants: Wants,
}

/// Evidence that was looked for, and the look-ups that failed.
#[derive(Debug, Default)]
pub(in crate::ops) struct Looked {
    pub(in crate::ops) evidence: Vec<Evidence>,
    pub(in crate::ops) failed: Vec<Reason>,
}

impl Looked {
    /// With what it asks to be read.
    pub(super) fn planned(self, policies: &[Policy]) -> Found {
        let authorities: Vec<_> = policies.iter().flat_map(Policy::authorities).collect();
        Found {
            wants: verify::plan(&self.evidence, &authorities),
            evidence: self.evidence,
            failed: self.failed,
        }
    }
}

/// The evidence that was named, or else what the store keeps about the subject.
pub(in crate::ops) async fn look(
    reading: &Reading<'_>,
    store: &dyn AttestationStore,
    subject: &Subject,
) -> Result<Looked, Failure> {
    let (evidence, failed) = match named(reading)? {
        Some(named) => (named, Vec::new()),
        None => kept(store, subject).await,
    };
    Ok(Looked { evidence, failed })
}

/// The same with what it asks to be read.
pub(super) async fn find(
    reading: &Reading<'_>,
    policies: &[Policy],
    store: &dyn AttestationStore,
    subject: Subject,
) -> Result<Found, Failure> {
    Ok(look(reading, store, &subject).await?.planned(policies))
}

/// What was named with `--bundle` and `--signature`; `None` where nothing was.
pub(super) fn named(reading: &Reading<'_>) -> Result<Option<Vec<Evidence>>, Failure> {
    if reading.bundles.is_empty() && reading.signature.is_none() {
        return Ok(None);
    }
    let count = reading.bundles.len() + usize::from(reading.signature.is_some());
    if count > limits::EVIDENCE {
        let most = limits::EVIDENCE;
        return Err(Failure::new(
            Exit::Usage,
            format!("{count} pieces of evidence were named, at most {most} are looked at"),
        )
        .code(ReasonCode::LimitExceeded.as_str())
        .hint("name only what the policy asks for"));
    }
    let mut evidence = Vec::with_capacity(count);
    for path in reading.bundles {
        evidence.push(asked(path, read(path, EvidenceBody::Bundle)?));
    }
    if let Some(path) = reading.signature {
        let body = read(path, |bytes| EvidenceBody::Signature(signature(bytes)))?;
        evidence.push(asked(path, body));
    }
    Ok(Some(evidence))
}

fn asked(path: &Path, body: EvidenceBody) -> Evidence {
    Evidence {
        origin: path.display().to_string(),
        body,
        asked: true,
    }
}

/// What is too large to be read is a bad piece of evidence, not a bad question.
fn read(path: &Path, body: impl Fn(Vec<u8>) -> EvidenceBody) -> Result<EvidenceBody, Failure> {
    match durable::read(path, limits::BUNDLE) {
        Ok(bytes) => Ok(body(bytes)),
        Err(error @ FileError::TooLarge { .. }) => Ok(EvidenceBody::Malformed(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// A bare signature is raw, as OpenSSL writes it, or base64, as cosign does.
fn signature(bytes: Vec<u8>) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    match STANDARD.decode(bytes.trim_ascii()) {
        Ok(decoded) if !decoded.is_empty() => decoded,
        _ => bytes,
    }
}

/// What a store keeps about the subject, and the look-ups that failed.
async fn kept(store: &dyn AttestationStore, subject: &Subject) -> (Vec<Evidence>, Vec<Reason>) {
    match store.list(subject).await {
        Ok(found) => sort(found),
        Err(error) => (Vec::new(), vec![failed(&error)]),
    }
}

/// Where evidence may lie that was not looked at yet.
pub struct Further {
    store: Box<dyn AttestationStore>,
    subject: Subject,
}

impl fmt::Debug for Further {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Further({:?})", self.subject)
    }
}

impl Further {
    /// In `store`, what [`AttestationStore::older`] lists.
    pub fn new(store: Box<dyn AttestationStore>, subject: Subject) -> Self {
        Self { store, subject }
    }

    /// What is there, and the look-ups that failed.
    pub(super) async fn look(&self) -> (Vec<Evidence>, Vec<Reason>) {
        let (mut evidence, mut unanswered) = (Vec::new(), Vec::new());
        for found in self.store.older(&self.subject).await {
            match found.map(sort) {
                Ok((more, unread)) => {
                    evidence.extend(more);
                    unanswered.extend(unread);
                }
                Err(error) => unanswered.push(failed(&error)),
            }
        }
        (evidence, unanswered)
    }
}

/// Evidence apart from what is there and could not be read: each of the latter
/// is a look-up that failed, for nobody knows what it would have said.
fn sort(found: Vec<Untrusted>) -> (Vec<Evidence>, Vec<Reason>) {
    let (mut evidence, mut failed) = (Vec::new(), Vec::new());
    for one in found {
        let body = match one.format {
            Format::Bundle => EvidenceBody::Bundle(one.bytes),
            Format::SimpleSigning {
                signature,
                certificate,
            } => EvidenceBody::SimpleSigning(SimpleSigned {
                payload: one.bytes,
                signature,
                certificate,
            }),
            Format::Envelope => EvidenceBody::Envelope(one.bytes),
            Format::Notation { cose } => EvidenceBody::Notation(NotationSigned {
                envelope: one.bytes,
                cose,
            }),
            Format::Statement => EvidenceBody::Statement(one.bytes),
            Format::Foreign(what) => EvidenceBody::Foreign(what),
            Format::Malformed(why) => EvidenceBody::Malformed(why),
            Format::Unreadable(why) => {
                let told = Reason::new(
                    ReasonCode::EvidenceUnreadable,
                    format!("{}: {why}", one.origin),
                );
                failed.push(told.hint("make it readable, or remove what leads to nothing"));
                continue;
            }
        };
        evidence.push(Evidence {
            origin: one.origin,
            body,
            asked: false,
        });
    }
    (evidence, failed)
}

fn failed(error: &StoreError) -> Reason {
    let code = match error {
        StoreError::Registry(fault) => match fault.class() {
            Class::Denied => ReasonCode::RegistryDenied,
            Class::Unreachable => ReasonCode::RegistryUnreachable,
            Class::Limit => ReasonCode::LimitExceeded,
            // Not even a 404 says that there is no evidence, where one is not
            // the answer that says so.
            Class::Malformed | Class::Absent | Class::Usage => ReasonCode::RegistryMalformed,
        },
        _ if error.is_limit() => ReasonCode::LimitExceeded,
        _ => ReasonCode::EvidenceUnreadable,
    };
    let hint = match error {
        StoreError::Registry(_) => "try again, or name the evidence with --bundle",
        _ => "make the place readable and try again, or name the evidence with --bundle",
    };
    Reason::new(code, error.to_string()).hint(hint)
}
