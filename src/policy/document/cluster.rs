//! sigstore's `ClusterImagePolicy` (policy-controller 0.15), loaded as it is.
//!
//! An image is allowed where any authority of the document is met. What a
//! document uses that this version does not do is refused by name: dropping a
//! field would change what the policy means.

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::native::predicate_uri;
use super::yaml::{Segment, place};
use super::{
    AttestationSource, AuthoritySource, ClauseSource, Dialect, Document, KeySource, Mode,
    SignatureRule,
};
use crate::crypto::{PublicKey, Scheme};
use crate::digest::Algorithm;
use crate::policy::error::{Place, PolicyError};
use crate::policy::pattern::Pattern;
use crate::reference::KeyRef;
use crate::trust::TrustedKey;
use crate::verify::{ArtifactKind, SignatureFormat, Stage};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: Spec,
    // What a cluster writes back; it decides nothing.
    #[serde(rename = "status", default)]
    _status: Option<Value>,
}

// Kubernetes' ObjectMeta: only the name means anything here.
#[derive(Deserialize)]
struct Metadata {
    name: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    images: Spanned<Vec<Spanned<Image>>>,
    authorities: Spanned<Vec<Spanned<Authority>>>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    policy: Option<Spanned<Value>>,
    #[serde(default, rename = "match")]
    matches: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    glob: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Authority {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    key: Option<Spanned<Key>>,
    #[serde(default)]
    keyless: Option<Spanned<Value>>,
    #[serde(default, rename = "static")]
    fixed: Option<Spanned<Value>>,
    #[serde(default)]
    source: Option<Spanned<Value>>,
    #[serde(default)]
    ctlog: Option<Spanned<Value>>,
    #[serde(default)]
    rfc3161timestamp: Option<Spanned<Value>>,
    #[serde(default)]
    attestations: Vec<Spanned<Attestation>>,
    #[serde(default)]
    signature_format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Key {
    #[serde(default)]
    secret_ref: Option<Spanned<Value>>,
    #[serde(default)]
    data: Option<Spanned<String>>,
    #[serde(default)]
    kms: Option<Spanned<String>>,
    #[serde(default)]
    hash_algorithm: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "name", default)]
    _name: Option<String>,
    predicate_type: Spanned<String>,
    #[serde(default)]
    policy: Option<Spanned<Value>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Legacy,
    Bundle,
}

/// Reads one document of this kind.
pub(super) fn read(at: Place, segment: &Segment, tree: Value) -> Result<Document, PolicyError> {
    let wire: Wire = segment.read(&at.file)?;
    let reader = Reader { file: &at.file };
    let spec = wire.spec;
    reader.unsupported(
        "spec.policy",
        spec.policy.as_ref(),
        "rules over all attestations, in CUE or in Rego of another input",
    )?;
    reader.unsupported(
        "spec.match",
        spec.matches.as_ref(),
        "a choice by the kind or labels of a cluster's resource",
    )?;
    if spec.images.value.is_empty() {
        return Err(reader.field(&spec.images, "spec.images", "is empty"));
    }
    let matches = spec
        .images
        .value
        .iter()
        .enumerate()
        .map(|(i, image)| {
            image_pattern(&image.value.glob)
                .map_err(|detail| reader.field(image, &format!("spec.images[{i}].glob"), detail))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if spec.authorities.value.is_empty() {
        return Err(reader.field(&spec.authorities, "spec.authorities", "is empty"));
    }
    let name = &wire.metadata.name;
    if name.value.is_empty()
        || name.value.len() > 253
        || name.value.starts_with('-')
        || name.value.chars().any(char::is_control)
    {
        return Err(reader.field(name, "metadata.name", "is not a name"));
    }
    let mut authorities: Vec<AuthoritySource> = Vec::new();
    let mut clauses = Vec::new();
    for (i, authority) in spec.authorities.value.iter().enumerate() {
        let (source, clause) = reader.authority(i, authority)?;
        if authorities.iter().any(|a| a.name == source.name) {
            let detail = format!("{:?} is the name of two authorities", source.name);
            return Err(reader.field(authority, &format!("spec.authorities[{i}].name"), detail));
        }
        authorities.push(source);
        clauses.push(clause);
    }
    Ok(Document {
        dialect: Dialect::ClusterImagePolicy,
        name: wire.metadata.name.value,
        matches,
        stages: Stage::ALL.to_vec(),
        authorities,
        clauses,
        binding: None,
        ignore_paths: Vec::new(),
        signed_time: false,
        rules: None,
        mode: spec.mode.unwrap_or_default(),
        mutable_allowed: false,
        of_index: super::OfIndex::Index,
        tree,
        at,
    })
}

/// Globs of images have fewer special characters there than here.
fn image_pattern(glob: &str) -> Result<Pattern, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:/*.@".contains(&b);
    if glob.is_empty() || !glob.bytes().all(plain) {
        return Err(format!(
            "{glob:?} is not a glob of images: letters, digits, - _ : / . @ and *"
        ));
    }
    Pattern::new(Some(ArtifactKind::Image), glob)
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn field<T>(&self, at: &Spanned<T>, field: &str, detail: impl Into<String>) -> PolicyError {
        PolicyError::Field {
            at: place(self.file, at),
            field: field.to_owned(),
            detail: detail.into(),
        }
    }

    fn unsupported<T>(
        &self,
        field: &str,
        value: Option<&Spanned<T>>,
        detail: &str,
    ) -> Result<(), PolicyError> {
        match value {
            None => Ok(()),
            Some(value) => Err(PolicyError::Unsupported {
                at: place(self.file, value),
                field: field.to_owned(),
                detail: detail.to_owned(),
            }),
        }
    }

    fn authority(
        &self,
        i: usize,
        entry: &Spanned<Authority>,
    ) -> Result<(AuthoritySource, ClauseSource), PolicyError> {
        let authority = &entry.value;
        let path = format!("spec.authorities[{i}]");
        for (field, value, detail) in [
            (
                "keyless",
                &authority.keyless,
                "authorities known by a certificate's identity",
            ),
            ("static", &authority.fixed, "an answer without evidence"),
            ("source", &authority.source, "signatures kept elsewhere"),
            ("ctlog", &authority.ctlog, "proof of a transparency log"),
            (
                "rfc3161timestamp",
                &authority.rfc3161timestamp,
                "proof of a timestamp authority",
            ),
        ] {
            self.unsupported(&format!("{path}.{field}"), value.as_ref(), detail)?;
        }
        let key = authority
            .key
            .as_ref()
            .ok_or_else(|| self.field(entry, &path, "names none of key, keyless and static"))?;
        let name = authority
            .name
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("authority-{i}"));
        let key = self.key(&format!("{path}.key"), key)?;
        let attestations = authority
            .attestations
            .iter()
            .enumerate()
            .map(|(a, attestation)| {
                self.attestation(&format!("{path}.attestations[{a}]"), &name, attestation)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let signatures = SignatureRule {
            from: vec![name.clone()],
            // There, an authority that asks for attestations asks for no signature beside them.
            threshold: usize::from(attestations.is_empty()),
            formats: vec![match authority.signature_format {
                None | Some(Format::Legacy) => SignatureFormat::CosignLegacy,
                Some(Format::Bundle) => SignatureFormat::Bundle,
            }],
            max_age: None,
        };
        let source = AuthoritySource {
            name,
            keys: vec![key],
            certificates: None,
        };
        let clause = ClauseSource {
            signatures,
            attestations,
        };
        Ok((source, clause))
    }

    fn key(&self, path: &str, entry: &Spanned<Key>) -> Result<KeySource, PolicyError> {
        let key = &entry.value;
        let hash = match &key.hash_algorithm {
            None => None,
            Some(name) => match name.value.as_str() {
                "" => None,
                "sha256" => Some(Algorithm::Sha256),
                "sha384" => Some(Algorithm::Sha384),
                "sha512" => Some(Algorithm::Sha512),
                "sha224" => {
                    self.unsupported(
                        &format!("{path}.hashAlgorithm"),
                        Some(name),
                        "sha224; use sha256",
                    )?;
                    None
                }
                other => {
                    return Err(self.field(
                        name,
                        &format!("{path}.hashAlgorithm"),
                        format!("{other:?} is not sha256, sha384 or sha512"),
                    ));
                }
            },
        };
        match (&key.data, &key.kms, &key.secret_ref) {
            (Some(data), None, None) => {
                let field = format!("{path}.data");
                let public = PublicKey::from_pem(data.value.as_bytes())
                    .map_err(|e| self.field(data, &field, e.to_string()))?;
                let shown = format!("sha256:{}", &public.id().hex()[..16]);
                let mut trusted = TrustedKey::bare(public, shown);
                if let Some(hash) = hash
                    && trusted.scheme.hash() != Some(hash)
                {
                    if !matches!(trusted.scheme, Scheme::RsaPkcs1(_)) {
                        self.unsupported(
                            &format!("{path}.hashAlgorithm"),
                            key.hash_algorithm.as_ref(),
                            "another hash than the curve's own",
                        )?;
                    }
                    trusted.scheme = Scheme::RsaPkcs1(hash);
                }
                Ok(KeySource::Public(Box::new(trusted)))
            }
            (None, Some(kms), None) => {
                let field = format!("{path}.kms");
                self.unsupported(
                    &format!("{path}.hashAlgorithm"),
                    key.hash_algorithm.as_ref(),
                    "the hash of a key in a KMS is the KMS's to say",
                )?;
                kms_uri(&kms.value).map_err(|detail| self.field(kms, &field, detail))?;
                Ok(KeySource::Reference {
                    text: kms.value.clone(),
                    at: place(self.file, kms),
                    field,
                })
            }
            (None, None, Some(secret)) => Err(PolicyError::Unsupported {
                at: place(self.file, secret),
                field: format!("{path}.secretRef"),
                detail: "a key in a cluster's secret; put the public key under data".to_owned(),
            }),
            _ => Err(self.field(entry, path, "needs exactly one of data, kms and secretRef")),
        }
    }

    fn attestation(
        &self,
        path: &str,
        authority: &str,
        entry: &Spanned<Attestation>,
    ) -> Result<AttestationSource, PolicyError> {
        let attestation = &entry.value;
        self.unsupported(
            &format!("{path}.policy"),
            attestation.policy.as_ref(),
            "rules over an attestation, in CUE or in Rego of another input",
        )?;
        let kind = attestation.predicate_type.value.clone();
        let uri = predicate_uri(&kind).map_err(|detail| {
            self.field(
                &attestation.predicate_type,
                &format!("{path}.predicateType"),
                detail,
            )
        })?;
        Ok(AttestationSource {
            kind,
            uri,
            from: vec![authority.to_owned()],
            max_age: None,
            rules: None,
        })
    }
}

/// Whether a KMS reference is of a form that policy-controller accepts.
fn kms_uri(uri: &str) -> Result<(), String> {
    let parsed = KeyRef::parse(uri).map_err(|e| e.to_string())?;
    let KeyRef::Provider { scheme, .. } = &parsed else {
        return match parsed {
            KeyRef::Kms { .. } => Ok(()),
            _ => Err(format!("{uri:?} is not the URI of a key in a KMS")),
        };
    };
    if scheme != "awskms" {
        return Ok(());
    }
    let arn = uri
        .strip_prefix("awskms://")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_endpoint, arn)| arn)
        .filter(|arn| arn.starts_with("arn:aws"));
    let parts: Vec<&str> = arn.unwrap_or_default().splitn(6, ':').collect();
    match parts.as_slice() {
        [_, _, "kms", region, account, key]
            if !region.is_empty()
                && account.bytes().all(|b| b.is_ascii_digit())
                && (key.starts_with("key/") || key.starts_with("alias/")) =>
        {
            Ok(())
        }
        _ => Err(format!(
            "{uri:?}: a key of AWS is named by its ARN, awskms://[ENDPOINT]/arn:aws:kms:REGION:ACCOUNT:key/ID (or alias/NAME)"
        )),
    }
}
