use std::sync::Arc;

use super::manifests::{holding, manifest_of, referrer_of};
use super::{AttestationStore, BoxFuture, Deposit, Format, StoreError, Stored, Subject, Untrusted};
use crate::limits;
use crate::oci::{Descriptor, Legacy, media_type};
use crate::source::layout::Referring;
use crate::source::registry::{RegistryFault, Repository, UploadError};
use crate::time::Clock;

const PLACE: &str = "registries";

/// Evidence in a registry: referrers of the manifest that it is about, in the
/// shape that cosign 3 gives them.
#[derive(Clone)]
pub struct OciReferrers {
    repository: Repository,
    clock: Arc<dyn Clock>,
}

impl OciReferrers {
    /// The referrers in `repository`; `clock` says when new ones were made.
    pub fn new(repository: Repository, clock: Arc<dyn Clock>) -> Self {
        Self { repository, clock }
    }
}

impl AttestationStore for OciReferrers {
    fn put<'a>(
        &'a self,
        subject: &'a Subject,
        deposit: Deposit<'a>,
    ) -> BoxFuture<'a, Result<Stored, StoreError>> {
        Box::pin(async move {
            let subject = manifest_of(subject, PLACE)?;
            let referrer = referrer_of(subject, &deposit, &*self.clock)?;
            let attached = self.repository.attach(subject, &referrer).await?;
            Ok(Stored {
                origin: self.repository.origin(&attached.descriptor.digest),
                existed: attached.existed,
                cas: Some(attached.cas.as_str()),
            })
        })
    }

    fn list<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, StoreError>> {
        Box::pin(async move {
            let subject = manifest_of(subject, PLACE)?;
            let listed = self.repository.referrers(&subject.digest).await?;
            let relevant: Vec<Descriptor> =
                listed.entries.into_iter().filter(may_be_evidence).collect();
            self.repository.bounded(&relevant, &subject.digest)?;
            let referring = self.repository.about(relevant, &subject.digest).await;
            self.read(&referring).await
        })
    }

    fn older<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Vec<Result<Vec<Untrusted>, StoreError>>> {
        Box::pin(async move {
            let subject = match manifest_of(subject, PLACE) {
                Ok(subject) => subject,
                Err(error) => return vec![Err(error)],
            };
            // An SBOM there is unsigned, and so no evidence.
            let kinds = [Legacy::Signature, Legacy::Attestation];
            let mut found = Vec::with_capacity(kinds.len());
            for lying in self.repository.legacy_of(&subject.digest, &kinds).await {
                found.push(match lying {
                    Ok(None) => continue,
                    Ok(Some(one)) => self.read(&[one]).await,
                    Err(fault) => Err(fault.into()),
                });
            }
            found
        })
    }
}

/// Whether an entry could be evidence by what it is called; what is called
/// something else (an SBOM, a licence) is not fetched. One that is not called
/// anything may be, and so may one that is called by a configuration's type.
fn may_be_evidence(entry: &Descriptor) -> bool {
    let Some(kind) = entry.artifact_type.as_deref() else {
        return true;
    };
    let words = ["sigstore", "cosign", "in-toto", "dsse", "notary"];
    let general = [media_type::CONFIG, media_type::EMPTY, media_type::OCTETS];
    general.contains(&kind) || words.iter().any(|word| kind.contains(word))
}

impl OciReferrers {
    /// What each referrer holds; all bundles are fetched at once.
    async fn read(&self, referring: &[Referring]) -> Result<Vec<Untrusted>, StoreError> {
        let mut found = Vec::new();
        let (mut layers, mut places) = (Vec::new(), Vec::new());
        for one in referring {
            let origin = self.repository.origin(&one.descriptor.digest);
            for piece in holding(one, &origin) {
                if let Some(layer) = piece.layer {
                    places.push(found.len());
                    layers.push(layer.clone());
                }
                found.push(Untrusted {
                    origin: piece.origin,
                    bytes: Vec::new(),
                    format: piece.format,
                });
                if found.len() > limits::EVIDENCE {
                    let place = self.repository.to_string();
                    return Err(StoreError::too_much_evidence(place));
                }
            }
        }
        let bytes: u64 = layers
            .iter()
            .fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
        if bytes > limits::EVIDENCE_BYTES {
            return Err(StoreError::too_many_bytes(self.repository.to_string()));
        }
        let fetched = self.repository.blobs(&layers, limits::BUNDLE).await;
        for (place, bytes) in places.into_iter().zip(fetched) {
            match bytes {
                Ok(bytes) => found[place].bytes = bytes,
                Err(fault) => found[place].format = unread(&fault),
            }
        }
        Ok(found)
    }
}

impl From<UploadError> for StoreError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Fault(fault) => fault.into(),
            UploadError::Read(error) => Self::Unsent(error),
        }
    }
}

/// What came whole and is wrong is malformed; what did not come, or came
/// damaged, is a failed look-up.
fn unread(fault: &RegistryFault) -> Format {
    match fault.is_of_content() {
        true => Format::Malformed(fault.to_string()),
        false => Format::Unreadable(fault.to_string()),
    }
}
