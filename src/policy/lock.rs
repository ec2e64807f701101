//! A policy with everything in it that it names.

use serde_json::{Map, Value, json};

use super::compile::Gathered;
use super::document::{CertificateSource, CertificatesSource, Dialect, Document, KeySource};
use super::error::PolicyError;
use crate::trust::{TrustedKey, pem_of};

/// The document's tree with public keys in place of key references, and
/// certificates and rules in place of the names of their files, so that it can be used without KMS
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
    for (i, authority) in document.authorities.iter().enumerate() {
        if let Some(source) = &authority.certificates {
            let entry = format!("/spec/authorities/{i}/certificates");
            inline_certificates(tree.pointer_mut(&entry), source, gathered)?;
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

/// Puts certificates in the place of the names of their files.
fn inline_certificates(
    entry: Option<&mut Value>,
    source: &CertificatesSource,
    gathered: &Gathered,
) -> Result<(), PolicyError> {
    let Some(entry) = entry else { return Ok(()) };
    for (name, list) in source.lists() {
        let mut texts = Vec::new();
        for one in list {
            let (at, field, files) = match one {
                CertificateSource::Inline { pem, .. } => {
                    texts.push(Value::from(pem.as_str()));
                    continue;
                }
                CertificateSource::Reference { text, at, field } => {
                    let found = gathered.certificates.get(text);
                    let files = found.ok_or_else(|| PolicyError::NotGathered {
                        at: at.clone(),
                        field: field.clone(),
                        wanted: text.clone(),
                    })?;
                    (at, field, files)
                }
            };
            for (file, bytes) in files {
                let pems = pem_of(bytes).map_err(|why| PolicyError::Field {
                    at: at.clone(),
                    field: field.clone(),
                    detail: format!("{file}: {why}"),
                })?;
                texts.extend(pems.into_iter().map(Value::from));
            }
        }
        if !list.is_empty() {
            entry[name] = Value::Array(texts);
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;
    use crate::policy::{Policy, to_yaml};
    use crate::trust::VersionState;

    const KEYS: [&str; 2] = [
        "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaEOVJCFtduYr3xqTxeRWSW32CY/s
TBNZj4oIUPl8JvhVPJ1TKDPlNcuT4YphSt6t3yOmMvkdQbCj8broX6vijw==
-----END PUBLIC KEY-----
",
        "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZxAfzrQG1EbWyCI8LiSB7YgSFXoI
FNGTyQGKHFc6/H8TQumT9VLS78pUwtv3w7EfKoyFZoP32KrO7nzUy2q6Cw==
-----END PUBLIC KEY-----
",
    ];
    const URI: &str = "kms://model-sign/prod/acme/fraud";

    /// Two versions of one key.
    fn gathered(versions: usize) -> Gathered {
        let version = |number: usize| {
            let public = PublicKey::from_pem(KEYS[number].as_bytes()).unwrap();
            let mut key = TrustedKey::bare(public, URI);
            key.key_id = "one-key".into();
            key.version = Some(number as u32 + 1);
            key.state = VersionState::VerifyOnly;
            key
        };
        let mut gathered = Gathered::default();
        let keys = (0..versions).map(version).collect();
        gathered.keys.insert(URI.into(), keys);
        let rego = b"package obreia\n\nallow := true\n".to_vec();
        gathered.rules.insert("r.rego".into(), rego);
        gathered
    }

    fn parse(yaml: &str) -> Document {
        Document::parse("p.yaml", yaml.as_bytes())
            .unwrap()
            .remove(0)
    }

    #[test]
    fn two_versions_stay_one_key_and_the_digest_stays() {
        let document = parse(&format!(
            "apiVersion: obreia/v1
kind: VerificationPolicy
metadata: {{ name: p }}
spec:
  match: [{{ kind: model }}]
  authorities: [{{ name: a, key: {URI:?} }}]
  attestations: [{{ type: vuln, from: [a], rules: {{ file: r.rego, syntax: v1 }} }}]
  rules: r.rego
"
        ));
        let gathered = gathered(2);
        let text = to_yaml(&lock(&document, &gathered).unwrap());
        assert!(!text.contains("key: "), "{text}");
        let locked = parse(&text);
        assert!(locked.wants().is_empty(), "{text}");
        let locked = Policy::compile(locked, &Gathered::default()).unwrap();
        let unlocked = Policy::compile(document, &gathered).unwrap();
        assert_eq!(locked.id, unlocked.id);
        assert_eq!(locked.authorities(), unlocked.authorities());
        assert!(locked.has_rules());
    }

    // Of most keys the scheme follows; an RSA key may sign in several.
    #[test]
    fn a_scheme_that_does_not_follow_from_the_key_is_written() {
        let pem = std::fs::read(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys/rsa2048.pub.pem"),
        );
        let mut key = TrustedKey::bare(PublicKey::from_pem(&pem.unwrap()).unwrap(), URI);
        key.scheme = crate::crypto::Scheme::from_name("rsa-pss-sha256").unwrap();
        let mut gathered = Gathered::default();
        gathered.keys.insert(URI.into(), vec![key]);
        let document = parse(&format!(
            "apiVersion: obreia/v1
kind: VerificationPolicy
metadata: {{ name: p }}
spec:
  match: [{{ kind: model }}]
  authorities: [{{ name: a, key: {URI:?} }}]
"
        ));
        let text = to_yaml(&lock(&document, &gathered).unwrap());
        let locked = Policy::compile(parse(&text), &Gathered::default()).unwrap();
        let unlocked = Policy::compile(document, &gathered).unwrap();
        assert_eq!(locked.authorities(), unlocked.authorities(), "{text}");
        assert_eq!(locked.id, unlocked.id);
    }

    #[test]
    fn every_part_of_a_policy_is_part_of_its_digest() {
        let base = format!(
            "apiVersion: obreia/v1
kind: VerificationPolicy
metadata: {{ name: p }}
spec:
  match: [{{ kind: model }}]
  authorities: [{{ name: a, key: {URI:?} }}]
"
        );
        let digest = |yaml: &str, gathered: &Gathered| {
            let policy = Policy::compile(parse(yaml), gathered).unwrap();
            policy.id.digest.unwrap()
        };
        let all = gathered(1);
        let mut seen = vec![digest(&base, &all), digest(&base, &gathered(2))];
        // A default that is written out is the same policy.
        assert_eq!(seen[0], digest(&format!("{base}  mode: enforce\n"), &all));
        for rest in [
            "  stages: [startup]\n",
            "  signatures: { formats: [raw] }\n",
            "  attestations: [{ type: vuln, from: [a] }]\n",
            "  attestations: [{ type: vuln, from: [a], maxAge: 1d }]\n",
            "  attestations: [{ type: vuln, from: [a], rules: r.rego }]\n",
            "  binding: { from: [a], stage: prod }\n",
            "  binding: { from: [a], repository: prod }\n",
            "  ignorePaths: [x]\n",
            "  time: { require: signed }\n",
            "  rules: r.rego\n",
            "  rules: { rego: \"package obreia\\nallow := false\" }\n",
            "  mode: warn\n",
            "  mutable: allow\n",
        ] {
            let new = digest(&format!("{base}{rest}"), &all);
            assert!(!seen.contains(&new), "{rest}");
            seen.push(new);
        }
        seen.push(digest(&base.replace("name: p", "name: q"), &all));
        seen.push(digest(&base.replace("kind: model", "kind: image"), &all));
        let mut changed = all.clone();
        changed.rules.insert(
            "r.rego".into(),
            b"package obreia\nallow := false\n".to_vec(),
        );
        seen.push(digest(&format!("{base}  rules: r.rego\n"), &changed));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_cluster_policy_holds_one_bare_key_only() {
        let document = parse(&format!(
            "apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {{ name: p }}
spec:
  images: [{{ glob: \"**\" }}]
  authorities: [{{ key: {{ kms: {URI:?} }} }}]
"
        ));
        let err = lock(&document, &gathered(2)).unwrap_err().to_string();
        assert!(err.contains("2 versions"), "{err}");
        assert!(lock(&document, &gathered(1)).is_err());
        let mut bare = Gathered::default();
        let public = PublicKey::from_pem(KEYS[0].as_bytes()).unwrap();
        bare.keys
            .insert(URI.into(), vec![TrustedKey::bare(public, URI)]);
        let text = to_yaml(&lock(&document, &bare).unwrap());
        let locked = Policy::compile(parse(&text), &Gathered::default()).unwrap();
        let unlocked = Policy::compile(document, &bare).unwrap();
        assert_eq!(locked.id, unlocked.id);
        assert!(lock(&parse(&text), &Gathered::default()).is_ok());
    }
}
