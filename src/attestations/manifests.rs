//! What OCI layouts and registries have in common as places of evidence: how a
//! bundle is packed, and what a manifest that refers to another one holds.

use super::label::Holds;
use super::{Deposit, Format, StoreError, Subject};
use crate::bundle::{Bundle, is_bundle_media_type};
use crate::limits;
use crate::oci::{self, Descriptor, Document, Legacy, Manifest, Referrer, media_type};
use crate::source::layout::{Referring, Trouble};
use crate::time::Clock;

/// As many bundles are read of one referrer; every writer known puts one there.
const MOST_BUNDLES: usize = 4;

/// The manifest that evidence in such a place is about.
pub(super) fn manifest_of<'a>(
    subject: &'a Subject,
    place: &'static str,
) -> Result<&'a Descriptor, StoreError> {
    match subject {
        Subject::Manifest(descriptor) => Ok(descriptor),
        Subject::Path(path) => Err(StoreError::NotHere {
            subject: path.display().to_string(),
            place,
        }),
    }
}

/// A bundle packed so that it hangs on `subject`.
pub(super) fn referrer_of(
    subject: &Descriptor,
    deposit: &Deposit<'_>,
    clock: &dyn Clock,
) -> Result<Referrer, StoreError> {
    let bundle = Bundle::parse(deposit.bundle)?;
    let holds = Holds::of(&bundle)?;
    Ok(oci::referrer(
        deposit.bundle,
        &bundle,
        subject,
        holds.predicate_type(),
        clock.now(),
    ))
}

/// One piece of what something that refers to a manifest holds.
pub(super) struct Piece<'a> {
    /// How messages name it.
    pub(super) origin: String,
    /// What it is, as far as its manifest says.
    pub(super) format: Format,
    /// Where its bytes are; `None` where it is told without being read.
    pub(super) layer: Option<&'a Descriptor>,
}

/// How messages name a layer of the manifest at `origin`: by its number, where
/// there are several.
pub fn origin_of_layer(origin: &str, manifest: &Manifest, layer: usize) -> String {
    match manifest.layers.len() {
        0 | 1 => origin.to_owned(),
        _ => format!("{origin}#{}", layer + 1),
    }
}

/// Tells what it holds by its manifest alone; nothing, where it is no evidence:
/// an SBOM, a licence.
pub(super) fn holding<'a>(one: &'a Referring, origin: &str) -> Vec<Piece<'a>> {
    let told = |format| {
        vec![Piece {
            origin: origin.to_owned(),
            format,
            layer: None,
        }]
    };
    let manifest = match &one.document {
        Ok(Document::Manifest(manifest)) => manifest,
        Ok(Document::Index(_)) => {
            return match &one.legacy {
                Some((tag, _)) => told(Format::Malformed(format!(
                    "the tag {tag} leads to an index, which holds no signature"
                ))),
                // An index that is about the image is of no format that signs.
                None => Vec::new(),
            };
        }
        Err(Trouble::Malformed(why)) => return told(Format::Malformed(why.clone())),
        Err(Trouble::Unreadable(why)) => return told(Format::Unreadable(why.clone())),
    };
    if let Some((tag, what @ Legacy::Sbom)) = &one.legacy {
        return told(Format::Foreign(format!("{} (tag {tag})", what.as_str())));
    }
    let kind = manifest
        .artifact_type
        .as_deref()
        .unwrap_or(&manifest.config.media_type);
    if kind == media_type::NOTATION {
        let cose = match &manifest.layers[..] {
            [layer] if layer.media_type == media_type::JOSE => Some(false),
            [layer] if layer.media_type == media_type::COSE => Some(true),
            _ => None,
        };
        return match cose {
            Some(cose) => vec![Piece {
                origin: origin.to_owned(),
                format: Format::Notation { cose },
                layer: manifest.layers.first(),
            }],
            None => told(Format::Malformed(format!(
                "a Notation signature has one layer, of media type {} or {}",
                media_type::JOSE,
                media_type::COSE
            ))),
        };
    }
    let mut found = Vec::new();
    let mut bundles = 0;
    for (at, layer) in manifest.layers.iter().enumerate() {
        let format = match read_as(layer) {
            Some(Format::Bundle) if bundles == MOST_BUNDLES => continue,
            Some(format) => format,
            // Under cosign's tags nothing else has a place.
            None if one.legacy.is_some() => Format::Malformed(format!(
                "a layer is of media type {:?}, which holds no signature",
                short(&layer.media_type)
            )),
            None => continue,
        };
        bundles += usize::from(format == Format::Bundle);
        let is_read = !matches!(format, Format::Malformed(_));
        found.push(Piece {
            origin: origin_of_layer(origin, manifest, at),
            format,
            layer: is_read.then_some(layer),
        });
    }
    if found.is_empty() {
        let calls_itself = if one.legacy.is_some() || kind == media_type::COSIGN_SIGNATURE {
            Some("cosign keeps signatures there, and no layer is one")
        } else if is_bundle_media_type(kind) {
            Some("its artifact type is a bundle's, and no layer is one")
        } else {
            None
        };
        if let Some(why) = calls_itself {
            return told(Format::Malformed(why.to_owned()));
        }
    }
    found
}

/// What a layer is read as; `None` where it is no evidence.
fn read_as(layer: &Descriptor) -> Option<Format> {
    let kind = layer.media_type.as_str();
    let noted = |name| layer.annotation(name).filter(|text| !text.is_empty());
    Some(match kind {
        media_type::SIMPLE_SIGNING if layer.size > limits::SIMPLE_SIGNING => {
            Format::Malformed(format!(
                "the payload of a signature has {} bytes, the limit is {}",
                layer.size,
                limits::SIMPLE_SIGNING
            ))
        }
        media_type::SIMPLE_SIGNING => match noted(media_type::COSIGN_SIGNED) {
            Some(signature) => Format::SimpleSigning {
                signature: signature.to_owned(),
                certificate: noted(media_type::COSIGN_CERTIFICATE).is_some(),
            },
            None => Format::Malformed(format!(
                "the layer has no annotation {}, where its signature would stand",
                media_type::COSIGN_SIGNED
            )),
        },
        media_type::DSSE => Format::Envelope,
        media_type::IN_TOTO => Format::Statement,
        _ if is_bundle_media_type(kind) => Format::Bundle,
        _ => return None,
    })
}

fn short(text: &str) -> String {
    text.chars().take(128).collect()
}
