//! Whether a signed claim binds the artifact to this repository and stage: a
//! signature made for staging is no signature for production.

use serde_json::{Map, Value};

use super::signatures::untimed;
use super::{Finding, View, listed};
use crate::policy::compile::Policy;
use crate::policy::document::Binding;
use crate::statement::predicate::VSA;
use crate::time::Timestamp;
use crate::verify::{AttestationFact, Reason, ReasonCode, SignatureFormat};

/// Looks for one piece of evidence that names all that the binding names.
///
/// It says where the artifact belongs, not that it is good: whether a signature
/// counts for the threshold does not matter here, nor does what counts there
/// bind by itself.
pub(super) fn check(policy: &Policy, binding: &Binding, facts: &View<'_>, finding: &mut Finding) {
    let speaks = |authority: &String| binding.from.contains(authority);
    let timed = |signed_at: Option<Timestamp>| !policy.signed_time() || signed_at.is_some();
    let mut seen = Vec::new();
    // cosign's older signatures and Notation's count for nothing where they are
    // not named.
    let by_name = [SignatureFormat::CosignLegacy, SignatureFormat::Notation];
    let named = |format: SignatureFormat| {
        let mut clauses = policy.clauses().iter();
        !by_name.contains(&format)
            || clauses.any(|clause| clause.signatures.formats.contains(&format))
    };
    let theirs = facts.signatures.iter().filter(|s| speaks(&s.authority));
    for signature in theirs.filter(|s| named(s.format)) {
        if !timed(signature.signed_at) {
            seen.push(untimed(&signature.origin, &signature.key.path).detail);
            continue;
        }
        if claims_bind(binding, &signature.claims) {
            return;
        }
        seen.push(format!(
            "{} claims {}",
            signature.origin,
            claimed(&signature.claims)
        ));
    }
    for summary in facts.attestations.iter().filter(|a| speaks(&a.authority)) {
        match summary_binds(binding, summary) {
            Ok(()) if timed(summary.signed_at) => return,
            Ok(()) => seen.push(untimed(&summary.origin, &summary.key.path).detail),
            Err(Some(why)) => seen.push(format!("{}: {why}", summary.origin)),
            Err(None) => {}
        }
    }
    let wanted = [
        binding
            .repository
            .as_ref()
            .map(|r| format!("repository {r:?}")),
        binding.stage.as_ref().map(|s| format!("stage {s:?}")),
        binding
            .resource_uri
            .as_ref()
            .map(|r| format!("resourceUri {:?}", r.glob.text())),
    ];
    let wanted: Vec<String> = wanted.into_iter().flatten().collect();
    let from = listed(binding.from.iter().map(String::as_str));
    let found = if seen.is_empty() {
        format!("nothing by {from} was verified")
    } else {
        seen.join("; ")
    };
    finding.nearest.extend(seen);
    finding.unmet.push(
        Reason::new(
            ReasonCode::BindingMissing,
            format!(
                "no claim signed by {from} binds {} to {}: {found}",
                facts.artifact.name,
                listed(wanted.iter().map(String::as_str))
            ),
        )
        .hint("sign it with --annotation repository=… --annotation stage=…, or promote it"),
    );
}

fn claims_bind(binding: &Binding, claims: &Map<String, Value>) -> bool {
    let says = |key: &str, wanted: &Option<String>| {
        wanted
            .as_ref()
            .is_none_or(|w| claims.get(key).and_then(Value::as_str) == Some(w))
    };
    // A pattern of resource URIs alone is met by verification summaries only.
    (binding.repository.is_some() || binding.stage.is_some())
        && says("repository", &binding.repository)
        && says("stage", &binding.stage)
}

fn claimed(claims: &Map<String, Value>) -> String {
    let shown = |key: &str| {
        claims.get(key).map_or_else(
            || format!("no {key}"),
            |value| {
                let value: String = value.to_string().chars().take(128).collect();
                format!("{key} {value}")
            },
        )
    };
    format!("{}, {}", shown("repository"), shown("stage"))
}

/// Whether a verification summary meets the binding; `Err(None)` where it is no summary.
fn summary_binds(binding: &Binding, attestation: &AttestationFact) -> Result<(), Option<String>> {
    if attestation.predicate_type != VSA {
        return Err(None);
    }
    let predicate = &attestation.predicate;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let result = text(&predicate["verificationResult"]);
    if result != "PASSED" {
        return Err(Some(format!("the summary says {result:?}, not PASSED")));
    }
    let verifier = text(&predicate["verifier"]["id"]);
    if !binding.verifiers.contains(&verifier) {
        return Err(Some(format!(
            "the summary is by verifier {verifier:?}; the policy names {}",
            if binding.verifiers.is_empty() {
                "none".to_owned()
            } else {
                listed(binding.verifiers.iter().map(String::as_str))
            }
        )));
    }
    let uri = text(&predicate["resourceUri"]);
    if let Some(pattern) = &binding.resource_uri
        && pattern.glob.is_match(bare(&uri))
    {
        return Ok(());
    }
    let stage = attestation.claims.get("stage").and_then(Value::as_str);
    let staged = binding.stage.as_ref().is_none_or(|s| stage == Some(s));
    let placed = binding
        .repository
        .as_ref()
        .is_some_and(|repository| bare(&uri) == repository.as_str());
    if placed && staged {
        return Ok(());
    }
    Err(Some(format!(
        "the summary is about {uri:?}{}",
        stage.map(|s| format!(", stage {s:?}")).unwrap_or_default()
    )))
}

/// A resource URI without its scheme, tag and digest.
fn bare(uri: &str) -> &str {
    let rest = ["oci://", "docker://", "https://", "git+https://", "pkg:"]
        .iter()
        .find_map(|scheme| uri.strip_prefix(scheme))
        .unwrap_or(uri);
    let rest = rest.split_once('@').map_or(rest, |(name, _)| name);
    match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => rest,
    }
}
