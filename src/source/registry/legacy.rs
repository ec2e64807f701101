//! Writing what cosign keeps under tags of its own.

use super::attach::{ROUNDS, pause};
use super::upload::UploadError;
use super::{Asked, Cas, RegistryFault, Repository, Source};
use crate::dsse::Envelope;
use crate::limits;
use crate::oci::{
    Descriptor, Document, Legacy, LegacyPiece, Manifest, OciError, append_legacy, media_type,
};

/// A signature or an attestation that lies under cosign's tag now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The tag.
    pub tag: String,
    /// Whether one by the same signer that says the same lay there already.
    pub existed: bool,
    /// What kept others' from being lost.
    pub cas: Cas,
}

/// Whether a signature over a message is by the key that signs here.
pub type IsOurs<'a> = dyn Fn(&[u8], &[u8]) -> bool + Sync + 'a;

impl Repository {
    /// Adds a layer to what lies under cosign's tag for `subject`, in the shape
    /// that cosign 2 gives it; what others put there stays. Where one lies
    /// there that says the same and `is_ours`, nothing is written.
    ///
    /// # Errors
    /// As the registry says; `Malformed` where something else lies under the
    /// tag; `Unreachable` where others change it all the time.
    pub async fn append(
        &self,
        subject: &Descriptor,
        piece: &LegacyPiece,
        is_ours: &IsOurs<'_>,
    ) -> Result<Appended, UploadError> {
        let tag = piece.kind.tag(&subject.digest);
        let honours = match self.known() {
            Some(known) => known,
            None => {
                let (_, bytes) = self.document(subject).await?;
                self.relied_on(subject, &bytes).await
            }
        };
        let (mut written, mut held) = (false, Cas::Exact);
        for round in 0..ROUNDS {
            let there = match self.get(&tag, None).await {
                Ok(got) => Some(got),
                Err(RegistryFault::NotFound { .. }) => None,
                Err(fault) => return Err(fault.into()),
            };
            let manifest = match there.as_ref().map(|got| &got.resolved.document) {
                None => None,
                Some(Document::Manifest(manifest)) => Some(&**manifest),
                Some(Document::Index(_)) => {
                    return Err(self.not_theirs(&tag, "an index lies under the tag").into());
                }
            };
            let existed = match manifest {
                Some(manifest) => self.lies_in(manifest, piece, is_ours).await?,
                None => false,
            };
            if existed {
                return Ok(Appended {
                    tag,
                    existed: !written,
                    cas: match written {
                        true => held,
                        false => Cas::of(honours),
                    },
                });
            }
            let config = match manifest {
                Some(manifest) => Some(self.read_blob(&manifest.config, limits::MANIFEST).await?),
                None => None,
            };
            let before = manifest.zip(config.as_deref());
            let list = append_legacy(before, std::slice::from_ref(&piece.layer))
                .map_err(|error| self.too_full(&tag, &error))?;
            for (blob, bytes) in [
                (&piece.layer, &piece.bytes),
                (&list.config, &list.config_bytes),
            ] {
                if !self.has_blob(blob).await? {
                    self.put_blob(blob, Source::Bytes(bytes), None).await?;
                }
            }
            let condition = honours.on(there.as_ref().map(|got| got.etag.clone()));
            let exact = !condition.is_empty();
            if !exact {
                held = Cas::BestEffort;
            }
            let kind = &list.descriptor.media_type;
            let answer = self.put(&tag, kind, &list.manifest, &condition).await?;
            match answer.status() {
                200..=204 if exact => {
                    return Ok(Appended {
                        tag,
                        existed: false,
                        cas: held,
                    });
                }
                // What was written may have been replaced since: looked at again.
                200..=204 => written = true,
                412 => pause(round).await,
                _ => return Err(answer.fault().into()),
            }
        }
        Err(RegistryFault::Unreachable {
            asked: Asked::new("PUT", &format!("{self}:{tag}")),
            cause: "others change what lies there all the time".to_owned(),
        }
        .into())
    }

    /// Whether one of the layers says the same and is by the same signer.
    async fn lies_in(
        &self,
        manifest: &Manifest,
        piece: &LegacyPiece,
        is_ours: &IsOurs<'_>,
    ) -> Result<bool, RegistryFault> {
        let layers = manifest.layers.iter();
        let alike = layers.filter(|layer| layer.media_type == piece.layer.media_type);
        match piece.kind {
            Legacy::Signature => Ok(alike
                .filter(|layer| layer.digest == piece.layer.digest)
                .any(|layer| {
                    let signature = layer.annotation(media_type::COSIGN_SIGNED);
                    signature
                        .and_then(LegacyPiece::signature_of)
                        .is_some_and(|signature| is_ours(&piece.bytes, &signature))
                })),
            Legacy::Attestation | Legacy::Sbom => {
                let Ok(own) = Envelope::parse(&piece.bytes) else {
                    return Ok(false);
                };
                let about = |layer: &&Descriptor| {
                    let kind = |layer: &Descriptor| {
                        layer.annotations.get(media_type::COSIGN_PREDICATE).cloned()
                    };
                    kind(layer) == kind(&piece.layer)
                };
                let alike: Vec<_> = alike.filter(about).cloned().collect();
                if alike.len() > limits::EVIDENCE {
                    return Ok(false);
                }
                let found = self.blobs(&alike, limits::BUNDLE).await;
                Ok(found.into_iter().flatten().any(|bytes| {
                    Envelope::parse(&bytes).is_ok_and(|envelope| {
                        envelope.payload_type == own.payload_type
                            && envelope.payload == own.payload
                            && is_ours(&envelope.pae(), &envelope.signature)
                    })
                }))
            }
        }
    }

    fn not_theirs(&self, tag: &str, why: &str) -> RegistryFault {
        RegistryFault::Malformed {
            asked: Asked::new("GET", &format!("{self}:{tag}")),
            why: why.to_owned(),
        }
    }

    fn too_full(&self, tag: &str, error: &OciError) -> RegistryFault {
        match error {
            OciError::TooMany { .. } => RegistryFault::TooMuch {
                place: format!("{self}:{tag}"),
                what: "signatures under one tag",
                limit: limits::INDEX_ENTRIES as u64,
            },
            _ => RegistryFault::TooMuch {
                place: format!("{self}:{tag}"),
                what: "bytes of signatures under one tag",
                limit: limits::MANIFEST,
            },
        }
    }
}
