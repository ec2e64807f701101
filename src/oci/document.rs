use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::{Annotations, Descriptor, Platform};
use super::error::OciError;
use super::media_type;
use crate::canon;
use crate::limits;

/// An image manifest: one configuration and its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or Docker's; may be absent in OCI 1.0 documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the artifact is, where it is not a container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, in order.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about (OCI 1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

/// An index of manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or Docker's; may be absent in OCI 1.0 documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the artifact is, where it is not an image for several platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about (OCI 1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// What other tools wrote there: kept when a layout's index is updated.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: Annotations::new(),
            other: BTreeMap::new(),
        }
    }
}

/// What a digest in an index or a tag leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image or artifact.
    Manifest(Box<Manifest>),
    /// Several.
    Index(Box<Index>),
}

impl Document {
    /// Reads untrusted bytes that a descriptor with `media_type` led to;
    /// `None` where nothing said what they are.
    ///
    /// One reading only: a document that has both `layers` and `manifests`, or
    /// that calls itself something else than its descriptor does, is refused
    /// (the confusion of CVE-2021-41190).
    ///
    /// # Errors
    /// `OciError` naming the field.
    pub fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, OciError> {
        let tree = canon::parse(bytes, limits::MANIFEST)?;
        Self::from_tree(tree, media_type)
    }

    fn from_tree(tree: Value, expected: Option<&str>) -> Result<Self, OciError> {
        let Value::Object(map) = &tree else {
            return Err(OciError::Shape("the document is not an object".into()));
        };
        let stated = match map.get("mediaType") {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => return Err(OciError::Shape("mediaType is not a text".into())),
        };
        if let (Some(stated), Some(expected)) = (&stated, expected)
            && stated != expected
        {
            return Err(OciError::MediaTypeDiffers {
                stated: short(stated),
                expected: short(expected),
            });
        }
        let holds = |key: &str| map.contains_key(key);
        let manifest_like = holds("layers") || holds("config");
        if manifest_like && holds("manifests") {
            return Err(OciError::TwoReadings);
        }
        match stated.as_deref().or(expected) {
            Some(text) if media_type::is_manifest(text) => manifest(tree),
            Some(text) if media_type::is_index(text) => index(tree),
            Some(text) => Err(OciError::MediaType(short(text))),
            // OCI 1.0 lets both leave mediaType out.
            None if holds("manifests") => index(tree),
            None if manifest_like => manifest(tree),
            None => Err(OciError::MediaType(String::new())),
        }
    }

    /// The media type that the document has or, by its fields, would have.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(m) => m.media_type.as_deref().unwrap_or(media_type::MANIFEST),
            Self::Index(i) => i.media_type.as_deref().unwrap_or(media_type::INDEX),
        }
    }

    /// What the artifact is: `artifactType`, else the configuration's media type
    /// (distribution-spec, "Listing Referrers").
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Manifest(m) => Some(m.artifact_type.as_deref().unwrap_or(&m.config.media_type)),
            Self::Index(i) => i.artifact_type.as_deref(),
        }
    }

    /// What it is about.
    pub const fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(m) => m.subject.as_ref(),
            Self::Index(i) => i.subject.as_ref(),
        }
    }

    /// Its notes.
    pub const fn annotations(&self) -> &Annotations {
        match self {
            Self::Manifest(m) => &m.annotations,
            Self::Index(i) => &i.annotations,
        }
    }
}

impl Manifest {
    /// The manifest as JSON: compact, fields in the specification's order.
    pub fn to_json(&self) -> Vec<u8> {
        json(self)
    }
}

impl Index {
    /// Reads an index, whatever it calls itself: a layout's `index.json`.
    ///
    /// # Errors
    /// As [`Document::parse`], and `Shape` where it is a manifest.
    pub fn parse(bytes: &[u8], limit: u64) -> Result<Self, OciError> {
        match Document::from_tree(canon::parse(bytes, limit)?, None)? {
            Document::Index(index) => Ok(*index),
            Document::Manifest(_) => Err(OciError::Shape("a manifest, not an index".into())),
        }
    }

    /// The index as JSON: compact, fields in the specification's order.
    pub fn to_json(&self) -> Vec<u8> {
        json(self)
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(json) => json,
        Err(_) => unreachable!("texts, numbers and lists always serialise"),
    }
}

fn manifest(tree: Value) -> Result<Document, OciError> {
    let manifest: Manifest = shape(tree)?;
    version(manifest.schema_version)?;
    few("layers", manifest.layers.len())?;
    descriptor("config", &manifest.config)?;
    each("layers", &manifest.layers)?;
    if let Some(subject) = &manifest.subject {
        descriptor("subject", subject)?;
    }
    Ok(Document::Manifest(Box::new(manifest)))
}

fn index(tree: Value) -> Result<Document, OciError> {
    // Counted before each entry becomes a structure.
    if let Some(Value::Array(entries)) = tree.get("manifests") {
        few("manifests", entries.len())?;
    }
    let index: Index = shape(tree)?;
    version(index.schema_version)?;
    each("manifests", &index.manifests)?;
    if let Some(subject) = &index.subject {
        descriptor("subject", subject)?;
    }
    Ok(Document::Index(Box::new(index)))
}

fn shape<T: serde::de::DeserializeOwned>(tree: Value) -> Result<T, OciError> {
    serde_json::from_value(tree).map_err(|e| OciError::Shape(e.to_string()))
}

const fn version(found: u32) -> Result<(), OciError> {
    if found == 2 {
        Ok(())
    } else {
        Err(OciError::SchemaVersion(found))
    }
}

const fn few(field: &'static str, found: usize) -> Result<(), OciError> {
    if found > limits::INDEX_ENTRIES {
        return Err(OciError::TooMany { field, found });
    }
    Ok(())
}

fn each(field: &'static str, list: &[Descriptor]) -> Result<(), OciError> {
    list.iter().try_for_each(|entry| descriptor(field, entry))
}

fn descriptor(field: &'static str, found: &Descriptor) -> Result<(), OciError> {
    if !media_type::is_well_formed(&found.media_type) {
        return Err(OciError::BadMediaType {
            field,
            text: short(&found.media_type),
        });
    }
    // An int64 in the specification: what does not fit there is a lie.
    if i64::try_from(found.size).is_err() {
        return Err(OciError::Size { field });
    }
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(128).collect()
}

/// The platform that an image's configuration names.
///
/// # Errors
/// `Json` or `Shape` where it is not readable; a configuration without both
/// `os` and `architecture` has no platform, which is `Ok(None)`.
pub fn platform(config: &[u8]) -> Result<Option<Platform>, OciError> {
    let tree = canon::parse(config, limits::MANIFEST)?;
    let text = |key: &str| tree.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(match (text("os"), text("architecture")) {
        (Some(os), Some(architecture)) if !os.is_empty() && !architecture.is_empty() => {
            Some(Platform {
                os,
                architecture,
                variant: text("variant").filter(|v| !v.is_empty()),
                other: BTreeMap::new(),
            })
        }
        _ => None,
    })
}
