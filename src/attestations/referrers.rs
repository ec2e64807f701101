use std::sync::Arc;

use super::label::Holds;
use super::{AttestationStore, BoxFuture, Deposit, Format, StoreError, Stored, Subject, Untrusted};
use crate::bundle::{Bundle, is_bundle_media_type};
use crate::limits;
use crate::oci::{self, Descriptor, Document, Manifest, media_type};
use crate::source::layout::{Attached, Layout, Referring, Trouble};
use crate::time::Clock;

/// As many bundles are read of one referrer; every writer known puts one there.
pub(super) const MOST_BUNDLES: usize = 4;

/// Evidence in an OCI layout: referrers of the manifest that it is about.
#[derive(Clone)]
pub struct Referrers {
    layout: Layout,
    clock: Arc<dyn Clock>,
}

impl Referrers {
    /// The referrers in `layout`; `clock` says when new ones were made.
    pub fn new(layout: Layout, clock: Arc<dyn Clock>) -> Self {
        Self { layout, clock }
    }
}

impl AttestationStore for Referrers {
    fn put<'a>(
        &'a self,
        subject: &'a Subject,
        deposit: Deposit<'a>,
    ) -> BoxFuture<'a, Result<Stored, StoreError>> {
        Box::pin(async move {
            let subject = manifest_of(subject)?;
            let bundle = Bundle::parse(deposit.bundle)?;
            let holds = Holds::of(&bundle)?;
            let referrer = oci::referrer(
                deposit.bundle,
                &bundle,
                subject,
                holds.predicate_type(),
                self.clock.now(),
            );
            let attached = self.layout.attach(subject, &referrer)?;
            Ok(Stored {
                origin: self.layout.origin(&attached.descriptor().digest),
                existed: matches!(attached, Attached::Already(_)),
                cas: None,
            })
        })
    }

    fn list<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, StoreError>> {
        Box::pin(async move {
            let subject = manifest_of(subject)?;
            let graph = self.layout.graph()?;
            let mut found = Vec::new();
            let about = graph.referrers(&subject.digest)?;
            let told = |one: &&Referring| {
                let digest = one.descriptor.digest;
                about.iter().all(|other| other.descriptor.digest != digest)
            };
            let mut bytes = 0;
            for referring in about.iter().chain(graph.unreadable().iter().filter(told)) {
                let from = found.len();
                self.read(referring, &mut found);
                bytes += found[from..]
                    .iter()
                    .map(|f| f.bytes.len() as u64)
                    .sum::<u64>();
                if found.len() > limits::EVIDENCE || bytes > limits::EVIDENCE_BYTES {
                    break;
                }
            }
            if bytes > limits::EVIDENCE_BYTES {
                let place = self.layout.origin(&subject.digest);
                return Err(StoreError::too_many_bytes(place));
            }
            if found.len() > limits::EVIDENCE {
                let place = self.layout.origin(&subject.digest);
                return Err(StoreError::too_much_evidence(place));
            }
            Ok(found)
        })
    }
}

fn manifest_of(subject: &Subject) -> Result<&Descriptor, StoreError> {
    match subject {
        Subject::Manifest(descriptor) => Ok(descriptor),
        Subject::Path(path) => Err(StoreError::NotHere {
            subject: path.display().to_string(),
            place: "OCI layouts",
        }),
    }
}

impl Referrers {
    fn read(&self, referring: &Referring, found: &mut Vec<Untrusted>) {
        let origin = self.layout.origin(&referring.descriptor.digest);
        let mut told = |bytes, format| {
            // One more than the limit is enough to see that it was passed.
            if found.len() <= limits::EVIDENCE {
                found.push(Untrusted {
                    origin: origin.clone(),
                    bytes,
                    format,
                });
            }
        };
        let manifest = match &referring.document {
            Ok(Document::Manifest(manifest)) => manifest,
            // An index that is about the image is of no format that signs.
            Ok(Document::Index(_)) => return,
            Err(Trouble::Malformed(why)) => {
                return told(Vec::new(), Format::Malformed(why.clone()));
            }
            Err(Trouble::Unreadable(why)) => {
                return told(Vec::new(), Format::Unreadable(why.clone()));
            }
        };
        if let Some((tag, what)) = &referring.legacy {
            let name = format!("{what} (tag {tag})");
            return told(Vec::new(), Format::Foreign(name));
        }
        let is_bundle = |layer: &&Descriptor| is_bundle_media_type(&layer.media_type);
        if let Some(name) = foreign(manifest) {
            told(Vec::new(), Format::Foreign(name.to_owned()));
        } else if manifest.layers.iter().any(|layer| is_bundle(&layer)) {
            for layer in manifest.layers.iter().filter(is_bundle).take(MOST_BUNDLES) {
                match self.layout.read_blob(layer, limits::BUNDLE) {
                    Ok(bytes) => told(bytes, Format::Bundle),
                    Err(error) if error.is_unread() => {
                        told(Vec::new(), Format::Unreadable(error.to_string()));
                    }
                    Err(error) => told(Vec::new(), Format::Malformed(error.to_string())),
                }
            }
        } else if let Some(why) = is_empty_bundle(manifest) {
            told(Vec::new(), Format::Malformed(why.to_owned()));
        }
        // Anything else (an SBOM, a licence) hangs there and is no evidence.
    }
}

/// What is wrong with a manifest that calls itself a bundle and holds none.
pub(super) fn is_empty_bundle(manifest: &Manifest) -> Option<&'static str> {
    let kind = manifest.artifact_type.as_deref();
    let holds = |layer: &Descriptor| is_bundle_media_type(&layer.media_type);
    (kind.is_some_and(is_bundle_media_type) && !manifest.layers.iter().any(holds))
        .then_some("its artifact type is a bundle's, and no layer is one")
}

/// The name of a kind of evidence that other tools attach and that is not verified yet.
pub(super) fn foreign(manifest: &Manifest) -> Option<&'static str> {
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
