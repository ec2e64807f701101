use serde_json::{Map, Value};

use super::descriptor::{Annotations, Descriptor};
use super::document::{Document, Manifest};
use super::media_type;
use crate::bundle::Bundle;
use crate::digest::{Digest, Identity};
use crate::statement::{COSIGN_SIGN, Statement, Subject};
use crate::time::Timestamp;

/// A referrer that is ready to be stored: its manifest and the blobs under it.
#[derive(Clone, Debug)]
pub struct Referrer {
    /// The manifest's descriptor, with artifact type and annotations as an
    /// index of referrers lists it (distribution-spec, "Listing Referrers").
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Blobs to store before it.
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Referrer {
    /// Whether `known` packs the same: it is of the same kind and has the same
    /// layers. When it was made does not matter.
    pub fn is_packed_in(&self, known: &Document) -> bool {
        let new = Document::parse(&self.manifest, Some(&self.descriptor.media_type));
        let (Document::Manifest(known), Ok(Document::Manifest(new))) = (known, new) else {
            return false;
        };
        let digests = |list: &[Descriptor]| list.iter().map(|d| d.digest).collect::<Vec<_>>();
        !new.layers.is_empty()
            && known.artifact_type == new.artifact_type
            && digests(&known.layers) == digests(&new.layers)
    }
}

/// Wraps a bundle as cosign 3 does, so that it hangs on `subject` (OCI 1.1).
///
/// `bundle` is `json` as parsed; `predicate_type` is that of the statement in
/// it, `None` for a message signature.
pub fn referrer(
    json: &[u8],
    bundle: &Bundle,
    subject: &Descriptor,
    predicate_type: Option<&str>,
    created: Timestamp,
) -> Referrer {
    let layer = Descriptor::of(bundle.media_type.clone(), json);
    // cosign sets artifactType on the configuration's descriptor too.
    let mut config = Descriptor::of(media_type::EMPTY, b"{}");
    config.artifact_type = Some(bundle.media_type.clone());
    let content = match predicate_type {
        Some(_) => "dsse-envelope",
        None => "message-signature",
    };
    let mut annotations = Annotations::from([
        (media_type::BUNDLE_CONTENT.to_owned(), content.to_owned()),
        (
            media_type::CREATED.to_owned(),
            created.whole_second().to_string(),
        ),
    ]);
    if let Some(predicate_type) = predicate_type {
        annotations.insert(
            media_type::BUNDLE_PREDICATE.to_owned(),
            predicate_type.to_owned(),
        );
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::MANIFEST.to_owned()),
        artifact_type: Some(bundle.media_type.clone()),
        config: config.clone(),
        layers: vec![layer.clone()],
        subject: Some(subject.bare()),
        annotations: annotations.clone(),
    };
    let bytes = manifest.to_json();
    let mut descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
    descriptor.artifact_type = Some(bundle.media_type.clone());
    descriptor.annotations = annotations;
    Referrer {
        descriptor,
        manifest: bytes,
        blobs: vec![(config, b"{}".to_vec()), (layer, json.to_vec())],
    }
}

/// The statement that is cosign 3's signature of an image: no name, so that it
/// holds in every repository; `annotations` are signed along.
pub fn cosign_sign_statement(digest: Digest, annotations: Map<String, Value>) -> Statement {
    let mut subject = Subject::new("", &Identity::Content(digest));
    subject.annotations = annotations;
    Statement::new(vec![subject], COSIGN_SIGN, Value::Object(Map::new()))
}

/// The tag under which registries without the referrers API, and layouts, keep
/// the index of what hangs on a digest (distribution-spec, "Referrers Tag Schema").
pub fn fallback_tag(digest: &Digest) -> String {
    let hex: String = digest.hex().chars().take(64).collect();
    format!("{}-{hex}", digest.algorithm().name())
}
