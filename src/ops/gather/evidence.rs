//! Evidence: named by the user, or kept where `sign` and `attest` put it.

use std::path::Path;

use super::Reading;
use crate::attestations::{AttestationStore, Format, StoreError, Subject, Untrusted};
use crate::durable;
use crate::limits;
use crate::ops::Failure;
use crate::verify::{Evidence, EvidenceBody, Reason, ReasonCode};

/// What was named with `--bundle` and `--signature`; `None` where nothing was.
pub(super) fn named(reading: &Reading<'_>) -> Result<Option<Vec<Evidence>>, Failure> {
    if reading.bundles.is_empty() && reading.signature.is_none() {
        return Ok(None);
    }
    let mut evidence = Vec::new();
    for path in reading.bundles {
        evidence.push(asked(path, EvidenceBody::Bundle(read(path)?)));
    }
    if let Some(path) = reading.signature {
        evidence.push(asked(path, EvidenceBody::Signature(signature(read(path)?))));
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

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(durable::read(path, limits::BUNDLE)?)
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
pub(super) async fn kept(
    store: &dyn AttestationStore,
    subject: &Subject,
) -> (Vec<Evidence>, Vec<Reason>) {
    match store.list(subject).await {
        Ok(found) => (found.into_iter().map(evidence).collect(), Vec::new()),
        Err(error) => (Vec::new(), vec![failed(&error)]),
    }
}

fn evidence(found: Untrusted) -> Evidence {
    Evidence {
        origin: found.origin,
        body: match found.format {
            Format::Bundle => EvidenceBody::Bundle(found.bytes),
            Format::Foreign(what) => EvidenceBody::Foreign(what),
            Format::Malformed(why) => EvidenceBody::Malformed(why),
        },
        asked: false,
    }
}

fn failed(error: &StoreError) -> Reason {
    let code = if error.is_limit() {
        ReasonCode::LimitExceeded
    } else {
        ReasonCode::EvidenceUnreadable
    };
    Reason::new(code, error.to_string())
        .hint("make the place readable and try again, or name the evidence with --bundle")
}
