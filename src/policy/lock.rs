//! A policy with everything in it that it names.

use serde_json::{Map, Value, json};

use super::compile::Gathered;
use super::document::{Dialect, Document, KeySource};
use super::error::PolicyError;
use crate::trust::TrustedKey;

/// The document's tree with public keys in place of key references and rules
/// in place of the names of their files, so that it can be used without KMS
/// and without a folder beside it. What it decides, and so its digest, stays.
///
/// # Errors
/// `PolicyError` where something was not gathered, or a `ClusterImagePolicy`
/// names a key with several versions, which it cannot hold.
pub fn lock(document: &Document, gathered: &Gathered) -> Result<Value, PolicyError> {
    let mut tree = document.tree().clone();
    for (i, authority) in document.authorities.iter().enumerate() {
        let Some(KeySource::Reference { text, at, field }) = authority.keys.first() else {
            continue;
        };
        let not_gathered = || PolicyError::NotGathered {
            at: at.clone(),
            field: field.clone(),
            wanted: text.clone(),
        };
        let keys = gathered.keys.get(text).ok_or_else(not_gathered)?;
        let entry = tree
            .pointer_mut(&format!("/spec/authorities/{i}"))
            .and_then(Value::as_object_mut)
            .ok_or_else(not_gathered)?;
        match document.dialect() {
            Dialect::VerificationPolicy => {
                entry.remove("key");
                let keys = keys.iter().map(|key| describe(key, text)).collect();
                entry.insert("keys".to_owned(), Value::Array(keys));
            }
            Dialect::ClusterImagePolicy => {
                let [key] = keys.as_slice() else {
                    return Err(PolicyError::Unsupported {
                        at: at.clone(),
                        field: field.clone(),
                        detail: format!(
                            "{text} has {} versions and a ClusterImagePolicy holds one public key; name ?version=N, or write a VerificationPolicy",
                            keys.len()
                        ),
                    });
                };
                if key.scheme != key.public_key.default_scheme()
                    || key.key_id != key.public_key.id().hex()
                {
                    // Its form has no place for more than the key itself.
                    return Err(PolicyError::Unsupported {
                        at: at.clone(),
                        field: field.clone(),
                        detail: format!(
                            "{text} is more than its public key, and a ClusterImagePolicy cannot hold that; write a VerificationPolicy"
                        ),
                    });
                }
                entry.insert("key".to_owned(), json!({ "data": key.public_key.to_pem() }));
            }
        }
    }
    inline(tree.pointer_mut("/spec/rules"), gathered);
    let attestations = tree
        .pointer_mut("/spec/attestations")
        .and_then(Value::as_array_mut);
    for attestation in attestations.into_iter().flatten() {
        inline(attestation.get_mut("rules"), gathered);
    }
    Ok(tree)
}

fn describe(key: &TrustedKey, reference: &str) -> Value {
    let mut entry = Map::new();
    entry.insert("pem".to_owned(), key.public_key.to_pem().into());
    entry.insert("id".to_owned(), key.key_id.clone().into());
    // The name that the policy gave it; a file's path on this machine says nothing elsewhere.
    entry.insert("path".to_owned(), reference.into());
    if let Some(version) = key.version {
        entry.insert("version".to_owned(), version.into());
    }
    entry.insert("state".to_owned(), key.state.as_str().into());
    entry.insert("scheme".to_owned(), key.scheme.to_string().into());
    Value::Object(entry)
}

/// Puts the text of rules in the place of their file's name.
fn inline(rules: Option<&mut Value>, gathered: &Gathered) {
    let Some(rules) = rules else { return };
    let path = match &*rules {
        Value::String(path) => path.clone(),
        Value::Object(map) => match map.get("file").and_then(Value::as_str) {
            Some(path) => path.to_owned(),
            None => return,
        },
        _ => return,
    };
    let text = gathered
        .rules
        .get(&path)
        .and_then(|text| std::str::from_utf8(text).ok());
    let Some(text) = text else { return };
    let mut map = Map::new();
    if let Some(syntax) = rules.get("syntax") {
        map.insert("syntax".to_owned(), syntax.clone());
    }
    map.insert("name".to_owned(), path.into());
    map.insert("rego".to_owned(), text.into());
    *rules = Value::Object(map);
}
