//! What OCI layouts and registries have in common as places of evidence: how a
//! bundle is packed, and what a manifest that refers to another one holds.

use super::label::Holds;
use super::{Deposit, Format, StoreError, Subject};
use crate::bundle::{Bundle, is_bundle_media_type};
use crate::oci::{self, Descriptor, Document, Manifest, Referrer, media_type};
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

/// What something that refers to a manifest holds.
pub(super) enum Holding<'a> {
    /// No evidence: an SBOM, a licence, an index.
    Nothing,
    /// Something that is told without being read.
    Told(Format),
    /// Bundles, in these layers.
    Bundles(Vec<&'a Descriptor>),
}

/// Tells what it holds by its manifest alone.
pub(super) fn holding(one: &Referring) -> Holding<'_> {
    let manifest = match &one.document {
        Ok(Document::Manifest(manifest)) => manifest,
        // An index that is about the image is of no format that signs.
        Ok(Document::Index(_)) => return Holding::Nothing,
        Err(Trouble::Malformed(why)) => return Holding::Told(Format::Malformed(why.clone())),
        Err(Trouble::Unreadable(why)) => return Holding::Told(Format::Unreadable(why.clone())),
    };
    if let Some((tag, what)) = &one.legacy {
        return Holding::Told(Format::Foreign(format!("{what} (tag {tag})")));
    }
    if let Some(name) = foreign(manifest) {
        return Holding::Told(Format::Foreign(name.to_owned()));
    }
    let is_bundle = |layer: &&Descriptor| is_bundle_media_type(&layer.media_type);
    let bundles: Vec<_> = manifest.layers.iter().filter(is_bundle).collect();
    if !bundles.is_empty() {
        return Holding::Bundles(bundles.into_iter().take(MOST_BUNDLES).collect());
    }
    let kind = manifest.artifact_type.as_deref();
    if kind.is_some_and(is_bundle_media_type) {
        let why = "its artifact type is a bundle's, and no layer is one";
        return Holding::Told(Format::Malformed(why.to_owned()));
    }
    Holding::Nothing
}

/// The name of a kind of evidence that other tools attach and that is not verified yet.
fn foreign(manifest: &Manifest) -> Option<&'static str> {
    let has_layer = |wanted: &str| manifest.layers.iter().any(|l| l.media_type == wanted);
    let kind = manifest
        .artifact_type
        .as_deref()
        .unwrap_or(&manifest.config.media_type);
    match kind {
        media_type::NOTATION => Some("notation"),
        media_type::COSIGN_SIGNATURE => Some("cosign-legacy signature"),
        _ if has_layer(media_type::SIMPLE_SIGNING) => Some("cosign-legacy signature"),
        _ if has_layer(media_type::DSSE) => Some("DSSE envelope outside of a bundle"),
        _ => None,
    }
}
