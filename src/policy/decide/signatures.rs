//! Which signatures count, and whether they are enough.

use std::collections::BTreeSet;

use super::rejections::{Rejections, of_report};
use super::{Lookups, View, age, listed};
use crate::policy::compile::{Clause, Policy};
use crate::verify::{Reason, ReasonCode, SignatureFact, SignatureFormat};

/// Most files that a reason lists by name.
const LISTED: usize = 20;

/// Counts distinct keys with a signature that counts against the threshold.
pub(super) fn check(
    policy: &Policy,
    clause: &Clause,
    facts: &View<'_>,
    lookups: &Lookups<'_>,
    missed: &mut Rejections,
    notes: &mut Vec<Reason>,
) {
    let rule = &clause.signatures;
    if rule.threshold == 0 {
        outside_identity(policy, facts, missed);
        return;
    }
    let mut keys = BTreeSet::new();
    let mut near = Vec::new();
    for &signature in &facts.signatures {
        match counts(policy, clause, facts, signature) {
            Ok(note) => {
                keys.insert(signature.key.id.as_str());
                notes.extend(note);
            }
            Err(reason) => near.push(reason),
        }
    }
    if keys.len() >= rule.threshold {
        return;
    }
    let mut explained: Vec<String> = near.iter().map(|r| r.detail.clone()).collect();
    let failed = lookups
        .evidence
        .iter()
        .filter(|r| !r.verified && r.kind != "attestation");
    for report in failed {
        near.extend(of_report(report));
        explained.extend(report.near_miss.iter().cloned());
    }
    let from = listed(rule.from.iter().map(String::as_str));
    let first = (!keys.is_empty()).then(|| {
        Reason::new(
            ReasonCode::ThresholdNotMet,
            format!(
                "{} of {} distinct keys of {from} signed {}",
                keys.len(),
                rule.threshold,
                facts.artifact.name
            ),
        )
        .hint("a key counts once, whatever the number of its versions, files or encodings")
    });
    let absent = || {
        Reason::new(
            ReasonCode::NoSignature,
            format!("no signature of {} was found", facts.artifact.name),
        )
        .hint(if policy.is_for_key() {
            "sign it with obreia sign, or name its bundle with --bundle".to_owned()
        } else {
            format!("a key of {from} has to sign it; name a bundle elsewhere with --bundle")
        })
    };
    missed.lack(first, near, absent, explained);
}

/// Where no signature is asked for, attestations are about the model's
/// identity, and what that leaves out (`.git/` and the like) nobody vouches for.
fn outside_identity(policy: &Policy, facts: &View<'_>, missed: &mut Rejections) {
    let Some(model) = facts.model.filter(|_| facts.stage.is_enforcing()) else {
        return;
    };
    let stray: Vec<&str> = model
        .outside_identity
        .iter()
        .map(String::as_str)
        .filter(|path| !policy.ignores(path))
        .collect();
    if stray.is_empty() {
        return;
    }
    let reason = Reason::new(
        ReasonCode::UnsignedFiles,
        format!(
            "no signature is asked for, and the model's identity leaves out {}",
            files(&stray)
        ),
    )
    .hint("remove them, ask for a signature, or name them under ignorePaths");
    missed.lack(
        Some(reason),
        Vec::new(),
        || unreachable!("a reason is given"),
        Vec::new(),
    );
}

/// Whether a signature that holds counts under this clause: a note where it
/// does and something about it is worth knowing, the reason where it does not.
fn counts(
    policy: &Policy,
    clause: &Clause,
    facts: &View<'_>,
    signature: &SignatureFact,
) -> Result<Option<Reason>, Reason> {
    let rule = &clause.signatures;
    let who = format!("{} (authority {})", signature.key.path, signature.authority);
    let origin = &signature.origin;
    if !rule.from.contains(&signature.authority) {
        return Err(Reason::new(
            ReasonCode::KeyNotTrusted,
            format!(
                "{origin}: signed by {who}; signatures count from {}",
                listed(rule.from.iter().map(String::as_str))
            ),
        )
        .hint(
            "sign with a key of one of these authorities, or name this one under signatures.from",
        ));
    }
    if !rule.formats.contains(&signature.format) {
        let formats = rule.formats.iter().map(|f| format_name(*f));
        return Err(Reason::new(
            ReasonCode::FormatNotAllowed,
            format!(
                "{origin}: signed by {who} in format {}; the policy accepts {}",
                format_name(signature.format),
                listed(formats)
            ),
        )
        .hint("sign it in an accepted format, or name this one under signatures.formats"));
    }
    let timed = policy.signed_time() || rule.max_age.is_some();
    if timed && signature.signed_at.is_none() {
        return Err(untimed(origin, &who));
    }
    if let (Some(max_age), Some(signed_at)) = (rule.max_age, signature.signed_at) {
        let what = format!("{origin}: the signature by {who}");
        if let Some(reason) = age::check(&what, signed_at, max_age, facts.now_ns) {
            return Err(match reason.code {
                ReasonCode::TooOld => reason.hint("sign it again"),
                _ => reason,
            });
        }
    }
    let stray: Vec<&str> = signature
        .uncovered
        .iter()
        .map(String::as_str)
        .filter(|path| !policy.ignores(path))
        .collect();
    if stray.is_empty() {
        return Ok(None);
    }
    let reason = Reason::new(
        ReasonCode::UnsignedFiles,
        format!(
            "{origin}: the signature by {who} does not cover {}",
            files(&stray)
        ),
    );
    if facts.stage.is_enforcing() || policy.is_for_key() {
        let hint = if policy.is_for_key() {
            "remove them, sign the model again, or name them with --ignore-path"
        } else {
            "remove them, sign the model again, or name them under ignorePaths"
        };
        return Err(reason.hint(hint));
    }
    Ok(Some(reason))
}

/// No trusted source says when evidence was made.
pub(super) fn untimed(origin: &str, who: &str) -> Reason {
    Reason::new(
        ReasonCode::TimeUntrusted,
        format!("{origin}: signed by {who}, and no trusted source says when"),
    )
    .hint("sign with a timestamp of a trusted authority")
}

fn files(stray: &[&str]) -> String {
    let shown = stray.iter().take(LISTED).map(|path| {
        let path: String = path.chars().take(256).collect();
        format!("{path:?}")
    });
    let shown: Vec<_> = shown.collect();
    let more = stray.len().saturating_sub(LISTED);
    let count = match stray.len() {
        1 => "1 file: ".to_owned(),
        n => format!("{n} files: "),
    };
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{count}{}{rest}", shown.join(", "))
}

const fn format_name(format: SignatureFormat) -> &'static str {
    match format {
        SignatureFormat::Bundle => "bundle",
        SignatureFormat::Oms => "oms",
        SignatureFormat::Raw => "raw",
        SignatureFormat::CosignLegacy => "cosign-legacy",
        SignatureFormat::Notation => "notation",
    }
}
