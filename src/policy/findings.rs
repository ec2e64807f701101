//! What is wrong or odd about a policy that parses: for `obreia policy check`.

use serde::Serialize;

use super::compile::{Gathered, Policy};
use super::document::{CertificateSource, ClauseSource, Document, KeySource, Mode};
use super::error::PolicyError;
use crate::verify::{SignatureFormat, Stage};

/// Something worth knowing about a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the policy cannot do what it says.
    pub severity: Severity,
    /// The field, as a path from the document's root.
    pub field: String,
    /// What was found.
    pub detail: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The policy would be refused, or could never be met.
    Error,
    /// Something in it never has an effect, or has a wide one.
    Warning,
    /// What using it needs.
    Info,
}

/// All that is wrong with a document and its rules, worst first. Keys are not
/// looked up; `gathered` holds the rules alone.
pub fn check(document: Document, gathered: &Gathered) -> Vec<Finding> {
    let mut found = findings(&document);
    if let Err(error) = Policy::compile(document.with_supposed_keys(), gathered) {
        found.push(Finding {
            severity: Severity::Error,
            field: match &error {
                PolicyError::Field { field, .. } | PolicyError::Rules { field, .. } => {
                    field.clone()
                }
                _ => "spec".to_owned(),
            },
            detail: error.to_string(),
        });
    }
    found.sort_by_key(|f| f.severity);
    found
}

fn findings(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |severity, field: &str, detail: String| {
        found.push(Finding {
            severity,
            field: field.to_owned(),
            detail,
        });
    };
    warn_mode(document, &mut say);
    used_authorities(document, &mut say);
    for (i, clause) in document.clauses.iter().enumerate() {
        formats(document, i, clause, &mut say);
        for (a, attestation) in clause.attestations.iter().enumerate() {
            let twin = clause.attestations[..a].iter().any(|earlier| {
                earlier.uri == attestation.uri
                    && earlier.rules.is_some() == attestation.rules.is_some()
                    && attestation.rules.is_none()
                    && earlier.from.iter().all(|f| attestation.from.contains(f))
                    && attestation.max_age.is_none()
            });
            if twin {
                say(
                    Severity::Warning,
                    &format!("spec.attestations[{a}]"),
                    "asks for nothing that an earlier entry does not ask for".to_owned(),
                );
            }
        }
    }
    unreachable_matches(document, &mut say);
    for path in &document.ignore_paths {
        if ["*", "**"].contains(&path.trim_end_matches('/')) {
            say(
                Severity::Warning,
                "spec.ignorePaths",
                format!("{path:?} lets any file stand in the model unsigned"),
            );
        }
    }
    for authority in &document.authorities {
        let certificates = authority.certificates.iter();
        let lists = certificates.flat_map(|c| c.lists());
        for source in lists.flat_map(|(_, list)| list) {
            if let CertificateSource::Reference { text, field, .. } = source {
                say(
                    Severity::Info,
                    field,
                    format!(
                        "{text} is read at each use; obreia policy lock puts the certificates here"
                    ),
                );
            }
        }
        for key in &authority.keys {
            if let KeySource::Reference { text, field, .. } = key {
                say(
                    Severity::Info,
                    field,
                    format!(
                        "{text} is looked up at each use; obreia policy lock puts the public keys here"
                    ),
                );
            }
        }
    }
    found
}

fn warn_mode(document: &Document, say: &mut impl FnMut(Severity, &str, String)) {
    if document.mode != Mode::Warn {
        return;
    }
    let enforcing: Vec<&str> = document
        .stages
        .iter()
        .filter(|s| s.is_enforcing())
        .map(|s| s.as_str())
        .collect();
    if !enforcing.is_empty() {
        say(
            Severity::Error,
            "spec.mode",
            format!(
                "warn is refused at {}, where a warning stops nothing; use enforce, or leave these out of stages",
                enforcing.join(" and ")
            ),
        );
    }
}

/// Notation's signatures are by certificates, and all others by keys.
fn formats(
    document: &Document,
    i: usize,
    clause: &ClauseSource,
    say: &mut impl FnMut(Severity, &str, String),
) {
    let formats = &clause.signatures.formats;
    let notation = formats.contains(&SignatureFormat::Notation);
    let others = formats.iter().any(|f| *f != SignatureFormat::Notation);
    let from: Vec<_> = document
        .authorities
        .iter()
        .filter(|authority| clause.signatures.from.contains(&authority.name))
        .map(|authority| authority.certificates.is_some())
        .collect();
    let (certificates, keys) = (from.contains(&true), from.contains(&false));
    let severity = match (notation && certificates) || (others && keys) {
        _ if clause.signatures.threshold == 0 => return,
        false => Severity::Error,
        true => Severity::Warning,
    };
    if notation && !certificates {
        say(
            severity,
            "spec.signatures.formats",
            format!(
                "clause {i}: notation counts by certificates, and no authority in from has any"
            ),
        );
    }
    if certificates && !notation {
        say(
            severity,
            "spec.signatures.formats",
            format!(
                "clause {i}: an authority in from is known by certificates, whose signatures are of format notation, which is not named"
            ),
        );
    }
}

fn used_authorities(document: &Document, say: &mut impl FnMut(Severity, &str, String)) {
    for (i, authority) in document.authorities.iter().enumerate() {
        let clauses = document.clauses.iter();
        let used = clauses.into_iter().any(|clause| {
            clause.signatures.threshold > 0 && clause.signatures.from.contains(&authority.name)
                || clause
                    .attestations
                    .iter()
                    .any(|a| a.from.contains(&authority.name))
        }) || document
            .binding
            .as_ref()
            .is_some_and(|b| b.from.contains(&authority.name));
        if !used {
            say(
                Severity::Warning,
                &format!("spec.authorities[{i}]"),
                format!("no rule counts {:?}", authority.name),
            );
        }
    }
}

fn unreachable_matches(document: &Document, say: &mut impl FnMut(Severity, &str, String)) {
    for (i, pattern) in document.matches.iter().enumerate() {
        let covered = document.matches[..i].iter().position(|earlier| {
            (earlier.kind().is_none() || earlier.kind() == pattern.kind())
                && (earlier.text() == "**" || earlier.text() == pattern.text())
        });
        if let Some(earlier) = covered {
            say(
                Severity::Warning,
                &format!("spec.match[{i}]"),
                format!("is never needed: spec.match[{earlier}] matches all that it does"),
            );
        }
    }
    if !document.stages.contains(&Stage::Startup) && document.mutable_allowed {
        say(
            Severity::Warning,
            "spec.mutable",
            "has no effect: mutable targets are denied at startup only, which is not among the stages"
                .to_owned(),
        );
    }
}
