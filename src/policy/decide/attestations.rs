//! Whether every attestation that is asked for is there.

use super::rejections::{Rejections, of_report};
use super::rules::Input;
use super::signatures::untimed;
use super::{Lookups, View, age, listed};
use crate::policy::compile::{AttestationRule, Clause, Policy};
use crate::statement::predicate::{self, same_family};
use crate::verify::{AttestationFact, Reason, ReasonCode};

/// Looks for an attestation that counts, for each one that is asked for.
pub(super) fn check(
    policy: &Policy,
    clause: &Clause,
    facts: &View<'_>,
    lookups: &Lookups<'_>,
    input: &Input<'_>,
    missed: &mut Rejections,
) {
    for rule in &clause.attestations {
        let mut near = Vec::new();
        let of_kind = facts
            .attestations
            .iter()
            .filter(|a| same_family(&rule.uri, &a.predicate_type));
        let mut met = false;
        for attestation in of_kind {
            let reasons = misses(policy, rule, facts, attestation, input);
            met |= reasons.is_empty();
            near.extend(reasons);
        }
        if met {
            continue;
        }
        let mut explained: Vec<String> = near.iter().map(|r| r.detail.clone()).collect();
        let failed = lookups.evidence.iter().filter(|r| {
            !r.verified
                && r.kind != "signature"
                && r.predicate_type
                    .as_ref()
                    .is_some_and(|t| same_family(&rule.uri, t))
        });
        for report in failed {
            near.extend(of_report(report));
            explained.extend(report.near_miss.iter().cloned());
        }
        let absent = || {
            Reason::new(
                ReasonCode::NoAttestation,
                format!(
                    "no attestation of type {} by {} was found for {}",
                    rule.kind,
                    listed(rule.from.iter().map(String::as_str)),
                    facts.artifact.name
                ),
            )
            .hint("attest it with obreia attest, or name its bundle with --bundle")
        };
        missed.lack(None, near, absent, explained);
    }
}

/// Why an attestation of the right type that holds does not count; empty where it does.
fn misses(
    policy: &Policy,
    rule: &AttestationRule,
    facts: &View<'_>,
    attestation: &AttestationFact,
    input: &Input<'_>,
) -> Vec<Reason> {
    let origin = &attestation.origin;
    let who = format!(
        "{} (authority {})",
        attestation.key.path, attestation.authority
    );
    if !rule.from.contains(&attestation.authority) {
        return vec![
            Reason::new(
                ReasonCode::KeyNotTrusted,
                format!(
                    "{origin}: {} attested by {who}; it counts from {}",
                    rule.kind,
                    listed(rule.from.iter().map(String::as_str))
                ),
            )
            .hint("attest with a key of one of these authorities, or name this one under from"),
        ];
    }
    // Types of one's own are not known here, and say what they like.
    if !facts.supposed
        && let Ok(known) = predicate::resolve(&attestation.predicate_type)
        && let Err(error) = known.validate(&attestation.predicate)
    {
        return vec![
            Reason::new(
                ReasonCode::PredicateInvalid,
                format!("{origin}: {} by {who}: {error}", rule.kind),
            )
            .hint("attest a corrected document; obreia attest says where it departs"),
        ];
    }
    let timed = policy.signed_time() || rule.max_age.is_some();
    let Some(signed_at) = attestation.signed_at else {
        if timed {
            return vec![untimed(origin, &who)];
        }
        return input.attestation_rules(rule, attestation);
    };
    if let Some(max_age) = rule.max_age {
        let what = format!("{origin}: {} by {who}", rule.kind);
        if let Some(reason) = age::check(&what, signed_at, max_age, facts.now_ns) {
            return vec![match reason.code {
                ReasonCode::TooOld => reason.hint("attest it again"),
                _ => reason,
            }];
        }
    }
    input.attestation_rules(rule, attestation)
}
