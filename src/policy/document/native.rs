//! `apiVersion: obreia/v1`, `kind: VerificationPolicy`.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::yaml::{Segment, place};
use super::{
    AttestationSource, AuthoritySource, Binding, ClauseSource, Dialect, Document, KeySource, Mode,
    ResourcePattern, RulesSource, RulesText, SignatureRule, Syntax,
};
use crate::crypto::{PublicKey, Scheme};
use crate::digest::Algorithm;
use crate::policy::error::{Place, PolicyError};
use crate::policy::family;
use crate::policy::pattern::{self, Pattern};
use crate::policy::suggest::nearest;
use crate::reference::KeyRef;
use crate::time::Span;
use crate::trust::{TrustedKey, VersionState};
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: Spanned<String>,
    #[serde(rename = "description", default)]
    _description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "match")]
    matches: Spanned<Vec<Spanned<Match>>>,
    #[serde(default)]
    stages: Option<Spanned<Vec<Stage>>>,
    authorities: Spanned<Vec<Spanned<Authority>>>,
    #[serde(default)]
    signatures: Option<Signatures>,
    #[serde(default)]
    attestations: Vec<Spanned<Attestation>>,
    #[serde(default)]
    binding: Option<Spanned<BindingWire>>,
    #[serde(default)]
    ignore_paths: Vec<Spanned<String>>,
    #[serde(default)]
    time: Option<Time>,
    #[serde(default)]
    rules: Option<Spanned<Rules>>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    mutable: Mutable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    #[serde(default)]
    kind: Option<ArtifactKind>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    name: Spanned<String>,
    #[serde(default)]
    key: Option<Spanned<String>>,
    #[serde(default)]
    keys: Option<Spanned<Vec<Spanned<KeyEntry>>>>,
    #[serde(default)]
    keyset: Option<Spanned<Value>>,
    #[serde(default)]
    identity: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signatures {
    #[serde(default)]
    from: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    threshold: Option<Spanned<usize>>,
    #[serde(default)]
    formats: Option<Spanned<Vec<SignatureFormat>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "type")]
    kind: Spanned<String>,
    from: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    max_age: Option<Spanned<String>>,
    #[serde(default)]
    rules: Option<Spanned<Rules>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BindingWire {
    from: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    repository: Option<String>,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    verifiers: Vec<String>,
    #[serde(default)]
    resource_uri: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    require: TimeRequired,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum TimeRequired {
    Any,
    Signed,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Mutable {
    #[default]
    Deny,
    Allow,
}

enum KeyEntry {
    Pem(String),
    Known(KnownKey),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownKey {
    pem: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    scheme: Option<String>,
}

enum Rules {
    File(String),
    Map(RulesMap),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesMap {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    rego: Option<String>,
    #[serde(default)]
    syntax: Option<Syntax>,
}

// Written out, because serde's untagged enums would turn every error inside
// into "did not match any variant".
macro_rules! text_or_map {
    ($name:ident, $text:ident, $map:ident($inner:ty), $expecting:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Either;
                impl<'de> Visitor<'de> for Either {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok($name::$text(text.to_owned()))
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        <$inner>::deserialize(MapAccessDeserializer::new(map)).map($name::$map)
                    }
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
}

text_or_map!(
    KeyEntry,
    Pem,
    Known(KnownKey),
    "a PEM public key, or a mapping with pem, id, path, version, state, scheme"
);
text_or_map!(
    Rules,
    File,
    Map(RulesMap),
    "the path of a Rego file, or a mapping with file or rego, name, syntax"
);

/// Reads one document of this kind.
pub(super) fn read(at: Place, segment: &Segment, tree: Value) -> Result<Document, PolicyError> {
    let wire: Wire = segment.read(&at.file)?;
    let reader = Reader { file: &at.file };
    let spec = wire.spec;
    let name = reader.name(&wire.metadata.name, "metadata.name")?;
    let matches = reader.matches(&spec.matches)?;
    let stages = match &spec.stages {
        None => Stage::ALL.to_vec(),
        Some(stages) if stages.value.is_empty() => {
            return Err(reader.field(
                place(&at.file, stages),
                "spec.stages",
                "is empty, so that the policy would never speak; leave it out for all stages",
            ));
        }
        Some(stages) => stages.value.clone(),
    };
    let authorities = reader.authorities(&spec.authorities)?;
    let names: Vec<&str> = authorities.iter().map(|a| a.name.as_str()).collect();
    let signatures = reader.signatures(spec.signatures, &names, !spec.attestations.is_empty())?;
    let attestations = spec
        .attestations
        .iter()
        .enumerate()
        .map(|(i, a)| reader.attestation(i, &a.value, &names))
        .collect::<Result<_, _>>()?;
    let binding = spec
        .binding
        .as_ref()
        .map(|b| reader.binding(b, &names))
        .transpose()?;
    let ignore_paths = spec
        .ignore_paths
        .iter()
        .enumerate()
        .map(|(i, path)| {
            pattern::ignore_path(&path.value)
                .map(|_| path.value.clone())
                .map_err(|detail| {
                    reader.field(
                        place(&at.file, path),
                        format!("spec.ignorePaths[{i}]"),
                        detail,
                    )
                })
        })
        .collect::<Result<_, _>>()?;
    let rules = spec
        .rules
        .map(|r| reader.rules("spec.rules".to_owned(), r))
        .transpose()?;
    Ok(Document {
        dialect: Dialect::VerificationPolicy,
        name,
        matches,
        stages,
        authorities,
        clauses: vec![ClauseSource {
            signatures,
            attestations,
        }],
        binding,
        ignore_paths,
        signed_time: spec.time.is_some_and(|t| t.require == TimeRequired::Signed),
        rules,
        mode: spec.mode,
        mutable_allowed: spec.mutable == Mutable::Allow,
        tree,
        at,
    })
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn field(&self, at: Place, field: impl Into<String>, detail: impl Into<String>) -> PolicyError {
        PolicyError::Field {
            at,
            field: field.into(),
            detail: detail.into(),
        }
    }

    fn name(&self, name: &Spanned<String>, field: &str) -> Result<String, PolicyError> {
        let text = &name.value;
        let fits = !text.is_empty()
            && text.len() <= 253
            && !text.starts_with('-')
            && text.chars().all(|c| !c.is_control());
        if fits {
            Ok(text.clone())
        } else {
            Err(self.field(
                place(self.file, name),
                field,
                "a name has 1 to 253 characters, none of them a control character, and does not begin with '-'",
            ))
        }
    }

    fn matches(&self, list: &Spanned<Vec<Spanned<Match>>>) -> Result<Vec<Pattern>, PolicyError> {
        if list.value.is_empty() {
            return Err(self.field(
                place(self.file, list),
                "spec.match",
                "is empty, so that the policy would match nothing; for all models write { kind: model }",
            ));
        }
        list.value
            .iter()
            .enumerate()
            .map(|(i, entry)| {
                let fail = |detail: String| {
                    self.field(place(self.file, entry), format!("spec.match[{i}]"), detail)
                };
                if entry.value.kind.is_none() && entry.value.name.is_none() {
                    return Err(fail("names neither kind nor name".to_owned()));
                }
                Pattern::new(
                    entry.value.kind,
                    entry.value.name.as_deref().unwrap_or("**"),
                )
                .map_err(fail)
            })
            .collect()
    }

    fn authorities(
        &self,
        list: &Spanned<Vec<Spanned<Authority>>>,
    ) -> Result<Vec<AuthoritySource>, PolicyError> {
        if list.value.is_empty() {
            return Err(self.field(
                place(self.file, list),
                "spec.authorities",
                "is empty: nobody's word would count",
            ));
        }
        let mut found: Vec<AuthoritySource> = Vec::new();
        for (i, entry) in list.value.iter().enumerate() {
            let authority = self.authority(i, entry)?;
            if found.iter().any(|a| a.name == authority.name) {
                return Err(self.field(
                    place(self.file, &entry.value.name),
                    format!("spec.authorities[{i}].name"),
                    format!("{:?} is the name of two authorities", authority.name),
                ));
            }
            found.push(authority);
        }
        Ok(found)
    }

    fn authority(
        &self,
        i: usize,
        entry: &Spanned<Authority>,
    ) -> Result<AuthoritySource, PolicyError> {
        let path = format!("spec.authorities[{i}]");
        let authority = &entry.value;
        let name = self.name(&authority.name, &format!("{path}.name"))?;
        for (field, value, detail) in [
            (
                "identity",
                &authority.identity,
                "authorities known by a certificate's identity need a trust root",
            ),
            (
                "keyset",
                &authority.keyset,
                "signed key sets; list the public keys under keys",
            ),
        ] {
            if let Some(value) = value {
                return Err(PolicyError::Unsupported {
                    at: place(self.file, value),
                    field: format!("{path}.{field}"),
                    detail: detail.to_owned(),
                });
            }
        }
        let keys = match (&authority.key, &authority.keys) {
            (Some(key), None) => vec![self.key_reference(key, format!("{path}.key"))?],
            (None, Some(keys)) if !keys.value.is_empty() => keys
                .value
                .iter()
                .enumerate()
                .map(|(k, key)| self.key_entry(key, format!("{path}.keys[{k}]")))
                .collect::<Result<_, _>>()?,
            _ => {
                return Err(self.field(
                    place(self.file, entry),
                    path,
                    format!("authority {name:?} needs exactly one of key and keys, and it must not be empty"),
                ));
            }
        };
        Ok(AuthoritySource { name, keys })
    }

    fn key_reference(
        &self,
        key: &Spanned<String>,
        field: String,
    ) -> Result<KeySource, PolicyError> {
        let at = place(self.file, key);
        if key.value.contains("-----BEGIN") {
            let public = PublicKey::from_pem(key.value.as_bytes())
                .map_err(|e| self.field(at, field, e.to_string()))?;
            let path = format!("sha256:{}", &public.id().hex()[..16]);
            return Ok(KeySource::Public(Box::new(TrustedKey::bare(public, path))));
        }
        KeyRef::parse(&key.value).map_err(|e| self.field(at.clone(), &field, e.to_string()))?;
        Ok(KeySource::Reference {
            text: key.value.clone(),
            at,
            field,
        })
    }

    fn key_entry(&self, key: &Spanned<KeyEntry>, field: String) -> Result<KeySource, PolicyError> {
        let fail = |detail: String| self.field(place(self.file, key), field.clone(), detail);
        let (pem, known) = match &key.value {
            KeyEntry::Pem(pem) => (pem, None),
            KeyEntry::Known(known) => (&known.pem, Some(known)),
        };
        if pem.contains("PRIVATE KEY") {
            // Said before anything else, and without a word of what it holds.
            return Err(fail(
                "holds a private key; a policy holds public keys only. Take it out and treat the key as exposed".to_owned(),
            ));
        }
        let public = PublicKey::from_pem(pem.as_bytes()).map_err(|e| {
            fail(format!(
                "{e}; a key in another file or in a KMS is named with key instead"
            ))
        })?;
        let path = format!("sha256:{}", &public.id().hex()[..16]);
        let mut trusted = TrustedKey::bare(public, path);
        if let Some(known) = known {
            if let Some(id) = &known.id {
                let fits =
                    !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic());
                if !fits {
                    return Err(fail(
                        "id is not 1 to 128 visible ASCII characters".to_owned(),
                    ));
                }
                trusted.key_id.clone_from(id);
            }
            if let Some(path) = &known.path {
                trusted.path.clone_from(path);
            }
            trusted.version = known.version;
            if let Some(state) = &known.state {
                trusted.state = VersionState::from_name(state).ok_or_else(|| {
                    fail(format!(
                        "state {state:?} is not active, grace, verify-only or retired"
                    ))
                })?;
            }
            if let Some(scheme) = &known.scheme {
                trusted.scheme = scheme_of(scheme)
                    .filter(|s| s.fits(trusted.public_key.kind()))
                    .ok_or_else(|| {
                        fail(format!(
                            "{scheme:?} is not a signature scheme of a {} key",
                            trusted.public_key.kind()
                        ))
                    })?;
            }
        }
        Ok(KeySource::Public(Box::new(trusted)))
    }

    /// Names of authorities, each of them known and none twice.
    fn from(
        &self,
        field: &str,
        list: &Spanned<Vec<Spanned<String>>>,
        known: &[&str],
    ) -> Result<Vec<String>, PolicyError> {
        if list.value.is_empty() {
            return Err(self.field(place(self.file, list), field, "names no authority"));
        }
        let mut names: Vec<String> = Vec::new();
        for (i, name) in list.value.iter().enumerate() {
            let fail = |detail: String| {
                self.field(place(self.file, name), format!("{field}[{i}]"), detail)
            };
            if !known.contains(&name.value.as_str()) {
                let hint = nearest(&name.value, known.iter().copied())
                    .map(|near| format!("; did you mean {near:?}?"))
                    .unwrap_or_default();
                return Err(fail(format!(
                    "{:?} is not an authority of this policy{hint}",
                    name.value
                )));
            }
            if names.contains(&name.value) {
                return Err(fail(format!("{:?} stands twice", name.value)));
            }
            names.push(name.value.clone());
        }
        Ok(names)
    }

    fn signatures(
        &self,
        wire: Option<Signatures>,
        known: &[&str],
        attested: bool,
    ) -> Result<SignatureRule, PolicyError> {
        let wire = wire.unwrap_or(Signatures {
            from: None,
            threshold: None,
            formats: None,
        });
        let from = match &wire.from {
            Some(from) => self.from("spec.signatures.from", from, known)?,
            None => known.iter().map(|&n| n.to_owned()).collect(),
        };
        let threshold = wire.threshold.as_ref().map_or(1, |t| t.value);
        if let Some(at) = wire.threshold.as_ref()
            && threshold == 0
            && !attested
        {
            return Err(self.field(
                place(self.file, at),
                "spec.signatures.threshold",
                "0 asks for no signature, which is accepted only where attestations are asked for",
            ));
        }
        let formats = match wire.formats {
            Some(formats) if formats.value.is_empty() => {
                return Err(self.field(
                    place(self.file, &formats),
                    "spec.signatures.formats",
                    "is empty: no signature would ever count",
                ));
            }
            Some(formats) => formats.value,
            None => vec![SignatureFormat::Bundle, SignatureFormat::Oms],
        };
        Ok(SignatureRule {
            from,
            threshold,
            formats,
        })
    }

    fn attestation(
        &self,
        i: usize,
        wire: &Attestation,
        known: &[&str],
    ) -> Result<AttestationSource, PolicyError> {
        let path = format!("spec.attestations[{i}]");
        let kind = wire.kind.value.clone();
        family::check(&kind).map_err(|detail| {
            self.field(place(self.file, &wire.kind), format!("{path}.type"), detail)
        })?;
        let from = self.from(&format!("{path}.from"), &wire.from, known)?;
        let max_age = match &wire.max_age {
            None => None,
            Some(text) => {
                let span: Span = text.value.parse().map_err(|e: crate::time::TimeError| {
                    self.field(
                        place(self.file, text),
                        format!("{path}.maxAge"),
                        e.to_string(),
                    )
                })?;
                Some((text.value.clone(), span))
            }
        };
        let rules = match &wire.rules {
            None => None,
            Some(rules) => Some(self.rules_ref(format!("{path}.rules"), rules)?),
        };
        Ok(AttestationSource {
            kind,
            from,
            max_age,
            rules,
        })
    }

    fn binding(&self, wire: &Spanned<BindingWire>, known: &[&str]) -> Result<Binding, PolicyError> {
        let value = &wire.value;
        let from = self.from("spec.binding.from", &value.from, known)?;
        if value.repository.is_none() && value.stage.is_none() && value.resource_uri.is_none() {
            return Err(self.field(
                place(self.file, wire),
                "spec.binding",
                "names none of repository, stage and resourceUri",
            ));
        }
        if value.resource_uri.is_some() && value.verifiers.is_empty() {
            return Err(self.field(
                place(self.file, wire),
                "spec.binding.verifiers",
                "is empty, so that no verification summary would count; name the verifier.id of yours",
            ));
        }
        let resource_uri = match &value.resource_uri {
            None => None,
            Some(text) => Some(ResourcePattern {
                glob: pattern::glob(&text.value).map_err(|detail| {
                    self.field(place(self.file, text), "spec.binding.resourceUri", detail)
                })?,
            }),
        };
        Ok(Binding {
            from,
            repository: value.repository.clone(),
            stage: value.stage.clone(),
            verifiers: value.verifiers.clone(),
            resource_uri,
        })
    }

    fn rules(&self, field: String, rules: Spanned<Rules>) -> Result<RulesSource, PolicyError> {
        self.rules_ref(field, &rules)
    }

    fn rules_ref(&self, field: String, rules: &Spanned<Rules>) -> Result<RulesSource, PolicyError> {
        let at = place(self.file, rules);
        let (text, syntax) = match &rules.value {
            Rules::File(path) => (RulesText::File(path.clone()), None),
            Rules::Map(map) => {
                let text = match (&map.file, &map.rego) {
                    (Some(path), None) if map.name.is_none() => RulesText::File(path.clone()),
                    (None, Some(rego)) => RulesText::Inline {
                        name: map.name.clone().unwrap_or_else(|| field.clone()),
                        rego: rego.clone(),
                    },
                    _ => {
                        return Err(self.field(
                            at,
                            field,
                            "needs exactly one of file and rego; name goes with rego",
                        ));
                    }
                };
                (text, map.syntax)
            }
        };
        if let RulesText::File(path) = &text
            && (path.is_empty() || path.contains('\0'))
        {
            return Err(self.field(at, field, "names no file"));
        }
        Ok(RulesSource {
            at,
            field,
            syntax,
            text,
        })
    }
}

/// The scheme of that name.
pub(super) fn scheme_of(name: &str) -> Option<Scheme> {
    let rsa = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
    [
        Scheme::EcdsaP256Sha256,
        Scheme::EcdsaP384Sha384,
        Scheme::EcdsaP521Sha512,
        Scheme::Ed25519,
    ]
    .into_iter()
    .chain(rsa.map(Scheme::RsaPkcs1))
    .chain(rsa.map(Scheme::RsaPss))
    .find(|scheme| scheme.to_string() == name)
}
