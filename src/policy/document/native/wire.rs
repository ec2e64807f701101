//! The document as YAML has it.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::super::{Mode, OfIndex, Syntax};
use crate::verify::{ArtifactKind, SignatureFormat, Stage};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Wire {
    #[serde(rename = "apiVersion")]
    pub(super) _api_version: String,
    #[serde(rename = "kind")]
    pub(super) _kind: String,
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
    #[serde(rename = "description", default)]
    pub(super) _description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(rename = "match")]
    pub(super) matches: Spanned<Vec<Spanned<Match>>>,
    #[serde(default)]
    pub(super) stages: Option<Spanned<Vec<Stage>>>,
    pub(super) authorities: Spanned<Vec<Spanned<Authority>>>,
    #[serde(default)]
    pub(super) signatures: Option<Signatures>,
    #[serde(default)]
    pub(super) attestations: Vec<Spanned<Attestation>>,
    #[serde(default)]
    pub(super) binding: Option<Spanned<BindingWire>>,
    #[serde(default)]
    pub(super) ignore_paths: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) time: Option<Time>,
    #[serde(default)]
    pub(super) rules: Option<Spanned<Rules>>,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) mutable: Mutable,
    #[serde(default)]
    pub(super) index: OfIndex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Match {
    #[serde(default)]
    pub(super) kind: Option<ArtifactKind>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authority {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) key: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) keys: Option<Spanned<Vec<Spanned<KeyEntry>>>>,
    #[serde(default)]
    pub(super) certificates: Option<Spanned<Certificates>>,
    #[serde(default)]
    pub(super) keyset: Option<Spanned<Value>>,
    #[serde(default)]
    pub(super) identity: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Certificates {
    #[serde(default)]
    pub(super) roots: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) signing_authority_roots: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) timestamp_roots: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) subjects: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Signatures {
    #[serde(default)]
    pub(super) from: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub(super) threshold: Option<Spanned<usize>>,
    #[serde(default)]
    pub(super) formats: Option<Spanned<Vec<SignatureFormat>>>,
    #[serde(default)]
    pub(super) max_age: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Attestation {
    #[serde(rename = "type")]
    pub(super) kind: Spanned<String>,
    pub(super) from: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) max_age: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) rules: Option<Spanned<Rules>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BindingWire {
    pub(super) from: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) repository: Option<String>,
    #[serde(default)]
    pub(super) stage: Option<String>,
    #[serde(default)]
    pub(super) verifiers: Vec<String>,
    #[serde(default)]
    pub(super) resource_uri: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    pub(super) require: TimeRequired,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TimeRequired {
    Any,
    Signed,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mutable {
    #[default]
    Deny,
    Allow,
}

pub(super) enum KeyEntry {
    Pem(String),
    Known(KnownKey),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownKey {
    pub(super) pem: String,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) version: Option<u32>,
    #[serde(default)]
    pub(super) state: Option<String>,
    #[serde(default)]
    pub(super) scheme: Option<String>,
}

pub(super) enum Rules {
    File(String),
    Map(RulesMap),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesMap {
    #[serde(default)]
    pub(super) file: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) rego: Option<String>,
    #[serde(default)]
    pub(super) syntax: Option<Syntax>,
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
