//! Why evidence did not count, nearest miss first.

use crate::verify::{EvidenceReport, Reason, ReasonCode};

/// What a clause lacks, and the evidence that came near.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// What is lacking, each with what came near to it.
    lacking: Vec<(Vec<Reason>, Vec<String>)>,
}

impl Rejections {
    pub(super) fn is_empty(&self) -> bool {
        self.lacking.is_empty()
    }

    /// Adds something that is lacking. `near` is evidence that did not count;
    /// `absent` is the reason where nothing came near, and `first` stands
    /// before all others.
    pub(super) fn lack(
        &mut self,
        first: Option<Reason>,
        mut near: Vec<Reason>,
        absent: impl FnOnce() -> Reason,
        explained: Vec<String>,
    ) {
        near.sort_by(|a, b| {
            (rank(a.code), a.code, &a.detail).cmp(&(rank(b.code), b.code, &b.detail))
        });
        near.dedup();
        if near.is_empty() && first.is_none() {
            near.push(absent());
        }
        let reasons = first.into_iter().chain(near).collect();
        self.lacking.push((reasons, explained));
    }

    /// What would have to differ, for people.
    pub(super) fn explained(&self, clause: Option<&str>) -> Vec<String> {
        let sentences = self.lacking.iter().flat_map(|(_, sentences)| sentences);
        match clause {
            None => sentences.cloned().collect(),
            Some(name) => sentences.map(|s| format!("{name}: {s}")).collect(),
        }
    }

    /// Whether this clause was missed by less than `other`: fewer things
    /// lacking, then the nearer first reason.
    pub(super) fn nearer_than(&self, other: &Self) -> bool {
        let key = |r: &Self| {
            let first = r.lacking.first().and_then(|(reasons, _)| reasons.first());
            (r.lacking.len(), first.map(|r| rank(r.code)))
        };
        key(self) < key(other)
    }

    pub(super) fn into_reasons(self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        for reason in self.lacking.into_iter().flat_map(|(reasons, _)| reasons) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }
}

/// How near a miss is: a signature by the right key that the policy does not
/// count is nearer than one that does not hold, and that is nearer than one by
/// a stranger.
fn rank(code: ReasonCode) -> u8 {
    match code {
        ReasonCode::ThresholdNotMet => 0,
        ReasonCode::UnsignedFiles => 1,
        ReasonCode::TooOld | ReasonCode::PolicyDenied | ReasonCode::RulesFailed => 2,
        ReasonCode::TimeUntrusted => 3,
        ReasonCode::FormatNotAllowed => 4,
        ReasonCode::KeyRevoked | ReasonCode::SignatureExpired => 5,
        ReasonCode::ModelFileChanged => 6,
        ReasonCode::ModelFileMissing => 7,
        ReasonCode::DigestMismatch => 8,
        ReasonCode::MessageDigestMismatch
        | ReasonCode::CertificateExpired
        | ReasonCode::TimestampMismatch
        | ReasonCode::TimestampNotTrusted
        | ReasonCode::TimestampInvalid => 9,
        ReasonCode::SignatureInvalid
        | ReasonCode::CertificateInvalid
        | ReasonCode::CertificatePurpose
        | ReasonCode::CriticalHeader => 10,
        ReasonCode::SchemeMismatch => 11,
        ReasonCode::MessageTooLarge | ReasonCode::LimitExceeded => 12,
        ReasonCode::PredicateInvalid | ReasonCode::StatementMalformed | ReasonCode::PayloadType => {
            13
        }
        ReasonCode::KeyNotTrusted | ReasonCode::CertificateNotTrusted => 14,
        ReasonCode::BundleMalformed => 15,
        _ => 16,
    }
}

/// What verification said against a piece of evidence. Evidence that was
/// passed over as somebody else's came near nothing.
pub(super) fn of_report(report: &EvidenceReport) -> Vec<Reason> {
    report
        .reasons
        .iter()
        .filter(|r| r.code != ReasonCode::EvidenceIgnored)
        .map(|reason| {
            let mut reason = reason.clone();
            if !reason.detail.contains(&report.origin) {
                reason.detail = format!("{}: {}", report.origin, reason.detail);
            }
            reason
        })
        .collect()
}
