//! What makes a policy the policy that it is.

use serde_json::{Value, json};

use super::Clause;
use crate::canon;
use crate::crypto::sha256;
use crate::digest::Digest;
use crate::policy::document::{Document, Mode, OfIndex};
use crate::policy::engine::PolicyEngine;
use crate::trust::{Authority, TrustedKey};

/// The policy's identity: SHA-256 over the canonical JSON of everything that
/// decides, with defaults written out. What only people read (comments, the
/// names of files, where a key is kept) is left out, so that a locked policy
/// is the same policy.
pub(super) fn identity(
    document: &Document,
    authorities: &[Authority],
    clauses: &[Clause],
    rules: Option<&dyn PolicyEngine>,
) -> Digest {
    let authorities: Vec<Value> = authorities
        .iter()
        .map(|authority| {
            let mut keys: Vec<Value> = authority.keys.iter().map(describe_key).collect();
            keys.sort_by_cached_key(canon::canonical);
            let mut form = json!({ "name": authority.name, "keys": keys });
            if let Some(certificates) = &authority.certificates {
                form["certificates"] = certificates.describe();
            }
            form
        })
        .collect();
    let clauses: Vec<Value> = clauses
        .iter()
        .zip(&document.clauses)
        .map(|(clause, source)| {
            let attestations: Vec<Value> = clause
                .attestations
                .iter()
                .zip(&source.attestations)
                .map(|(a, source)| {
                    json!({
                        "type": a.uri,
                        "from": a.from,
                        "maxAge": source.max_age.as_ref().map(|(_, span)| span.nanos()),
                        "rules": a.rules.as_ref().map(|r| r.id()),
                    })
                })
                .collect();
            let mut form = json!({
                "signatures": {
                    "from": clause.signatures.from,
                    "threshold": clause.signatures.threshold,
                    "formats": clause.signatures.formats,
                },
                "attestations": attestations,
            });
            // Written only where it is said, so that older policies stay the same.
            if let Some(span) = clause.signatures.max_age {
                form["signatures"]["maxAge"] = span.nanos().into();
            }
            form
        })
        .collect();
    let mut form = json!({
        "schema": "obreia.policy/v1",
        "name": document.name,
        "match": document.matches.iter().map(|p| json!({
            "kind": p.kind(),
            "name": p.text(),
        })).collect::<Vec<_>>(),
        "stages": document.stages,
        "authorities": authorities,
        "clauses": clauses,
        "binding": document.binding.as_ref().map(|b| json!({
            "from": b.from,
            "repository": b.repository,
            "stage": b.stage,
            "verifiers": b.verifiers,
            "resourceUri": b.resource_uri.as_ref().map(|r| r.glob.text()),
        })),
        "ignorePaths": document.ignore_paths,
        "time": if document.signed_time { "signed" } else { "any" },
        "rules": rules.map(PolicyEngine::id),
        "mode": match document.mode {
            Mode::Enforce => "enforce",
            Mode::Warn => "warn",
        },
        "mutable": if document.mutable_allowed { "allow" } else { "deny" },
    });
    // Policies from before there was a choice are what they were.
    let of_index = match document.of_index {
        OfIndex::Index => None,
        OfIndex::Platform => Some("platform"),
        OfIndex::Every => Some("every"),
    };
    if let (Value::Object(form), Some(of_index)) = (&mut form, of_index) {
        form.insert("index".to_owned(), of_index.into());
    }
    sha256(&canon::canonical(&form))
}

fn describe_key(key: &TrustedKey) -> Value {
    json!({
        "id": key.key_id,
        "publicKey": key.public_key.id(),
        "scheme": key.scheme.to_string(),
        "version": key.version,
        "state": key.state.as_str(),
    })
}
