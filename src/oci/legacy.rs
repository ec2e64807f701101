use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::descriptor::{Annotations, Descriptor};
use super::document::{Document, Manifest};
use super::error::OciError;
use super::media_type;
use super::referrer::fallback_tag;
use crate::canon;
use crate::digest::Digest;
use crate::dsse::{self, Envelope};
use crate::limits;

/// Go's zero time, which cosign writes where it tells no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What cosign keeps under tags of its own, as it did before referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legacy {
    /// Signatures: simple-signing payloads.
    Signature,
    /// Attestations: DSSE envelopes.
    Attestation,
    /// An SBOM, unsigned.
    Sbom,
}

impl Legacy {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Signature, Self::Attestation, Self::Sbom];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "cosign-legacy signature",
            Self::Attestation => "cosign-legacy attestation",
            Self::Sbom => "cosign-legacy SBOM attachment",
        }
    }

    /// The tag under which it is kept for a manifest.
    pub fn tag(self, subject: &Digest) -> String {
        let end = match self {
            Self::Signature => "sig",
            Self::Attestation => "att",
            Self::Sbom => "sbom",
        };
        format!("{}.{end}", fallback_tag(subject))
    }
}

/// One signature or attestation, as one layer under such a tag.
#[derive(Clone, Debug)]
pub struct LegacyPiece {
    /// Under which tag.
    pub kind: Legacy,
    /// The layer, with the annotations that cosign reads.
    pub layer: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl LegacyPiece {
    /// A simple-signing payload with the signature over it.
    pub fn signature(payload: Vec<u8>, signature: &[u8]) -> Self {
        let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, &payload);
        let name = media_type::COSIGN_SIGNED.to_owned();
        layer.annotations.insert(name, STANDARD.encode(signature));
        Self {
            kind: Legacy::Signature,
            layer,
            bytes: payload,
        }
    }

    /// The signature that such an annotation holds, where it is one.
    pub fn signature_of(annotation: &str) -> Option<Vec<u8>> {
        let signature = STANDARD.decode(annotation).ok();
        signature.filter(|signature| !signature.is_empty())
    }

    /// An envelope that holds a statement of that type.
    pub fn attestation(envelope: &Envelope, predicate_type: &str) -> Self {
        let bytes = dsse::Wire::from(envelope).to_json();
        let mut layer = Descriptor::of(media_type::DSSE, &bytes);
        layer.annotations.extend([
            // The signature is in the envelope; cosign wants the name there.
            (media_type::COSIGN_SIGNED.to_owned(), String::new()),
            (
                media_type::COSIGN_PREDICATE.to_owned(),
                predicate_type.to_owned(),
            ),
        ]);
        Self {
            kind: Legacy::Attestation,
            layer,
            bytes,
        }
    }
}

/// A manifest under such a tag, with its configuration, ready to be stored.
#[derive(Clone, Debug)]
pub struct LegacyList {
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The configuration's descriptor.
    pub config: Descriptor,
    /// The configuration's bytes.
    pub config_bytes: Vec<u8>,
}

/// How what lies under such a tag in one place stands to what lies under it in
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyStanding {
    /// It is no more than the other has.
    Less,
    /// It is all that the other has.
    Holds,
    /// It lacks these layers, and has others: both are kept by adding them.
    Lacks(Vec<Descriptor>),
    /// The two cannot be one list: one of them is none, or holds no signatures.
    Apart,
}

impl LegacyStanding {
    /// Compares what is `there` with what is to be put in its place. A signature
    /// stands in its layer's annotations: two of one payload are told apart by
    /// them alone.
    pub fn of(kind: Legacy, there: &Document, new: &Document) -> Self {
        let (Document::Manifest(there), Document::Manifest(new)) = (there, new) else {
            return Self::Apart;
        };
        let layers = |manifest: &'_ Manifest| -> BTreeSet<(Digest, Annotations)> {
            let layers = manifest.layers.iter();
            layers.map(|l| (l.digest, l.annotations.clone())).collect()
        };
        let (known, added) = (layers(there), layers(new));
        if known.is_superset(&added) {
            return Self::Holds;
        }
        if known.is_subset(&added) {
            return Self::Less;
        }
        // Readers know one SBOM under a tag.
        if kind == Legacy::Sbom || there.config.media_type != new.config.media_type {
            return Self::Apart;
        }
        let lacks = |layer: &&Descriptor| {
            let layer = (layer.digest, layer.annotations.clone());
            !known.contains(&layer)
        };
        Self::Lacks(new.layers.iter().filter(lacks).cloned().collect())
    }
}

/// Adds layers to what is there, manifest and configuration, or begins anew.
/// What others put there stays as it is.
///
/// # Errors
/// `TooMany` and `TooLarge` where a reader would refuse what comes out.
pub fn append_legacy(
    there: Option<(&Manifest, &[u8])>,
    new: &[Descriptor],
) -> Result<LegacyList, OciError> {
    let mut layers = there.map_or_else(Vec::new, |(manifest, _)| manifest.layers.clone());
    layers.extend_from_slice(new);
    if layers.len() > limits::INDEX_ENTRIES {
        return Err(OciError::TooMany {
            field: "layers",
            found: layers.len(),
        });
    }
    let known = there.and_then(|(_, config)| with_layers(config, new));
    let config_bytes = known.unwrap_or_else(|| config_of(&layers));
    let mut manifest = match there {
        Some((manifest, _)) => manifest.clone(),
        None => Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config: Descriptor::of(media_type::CONFIG, b""),
            layers: Vec::new(),
            subject: None,
            annotations: Annotations::new(),
        },
    };
    let config = Descriptor::of(manifest.config.media_type.clone(), &config_bytes);
    manifest.config = config.clone();
    manifest.layers = layers;
    let kind = manifest.media_type.clone();
    let bytes = manifest.to_json();
    if bytes.len() as u64 > limits::MANIFEST {
        return Err(OciError::TooLarge {
            found: bytes.len() as u64,
        });
    }
    let kind = kind.unwrap_or_else(|| media_type::MANIFEST.to_owned());
    Ok(LegacyList {
        descriptor: Descriptor::of(kind, &bytes),
        manifest: bytes,
        config,
        config_bytes,
    })
}

/// A configuration that counts these layers too; `None` where it is none that
/// counts any.
fn with_layers(config: &[u8], new: &[Descriptor]) -> Option<Vec<u8>> {
    let mut tree = canon::parse(config, limits::MANIFEST).ok()?;
    let digests = tree.pointer_mut("/rootfs/diff_ids")?.as_array_mut()?;
    digests.extend(new.iter().map(|layer| layer.digest.to_string().into()));
    let history = tree.as_object_mut()?.entry("history").or_insert(json!([]));
    let history = history.as_array_mut()?;
    history.extend(new.iter().map(|_| json!({"created": NEVER})));
    Some(tree.to_string().into_bytes())
}

fn config_of(layers: &[Descriptor]) -> Vec<u8> {
    let digests: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
    let history: Vec<_> = layers.iter().map(|_| json!({"created": NEVER})).collect();
    let mut config = Map::new();
    config.insert("architecture".to_owned(), "".into());
    config.insert("created".to_owned(), NEVER.into());
    config.insert("history".to_owned(), history.into());
    config.insert("os".to_owned(), "".into());
    let rootfs = json!({"type": "layers", "diff_ids": digests});
    config.insert("rootfs".to_owned(), rootfs);
    config.insert("config".to_owned(), json!({}));
    Value::Object(config).to_string().into_bytes()
}
