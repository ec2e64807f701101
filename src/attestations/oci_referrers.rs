use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::manifests::{holding, manifest_of, referrer_of};
use super::{AttestationStore, BoxFuture, Deposit, Format, StoreError, Stored, Subject, Untrusted};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Legacy, media_type};
use crate::source::layout::Referring;
use crate::source::registry::{RegistryFault, Repository, UploadError};
use crate::statement::{COSIGN_SIGN, MODEL_SIGNATURE};
use crate::time::Clock;

const PLACE: &str = "registries";

/// Evidence in a registry: referrers of the manifest that it is about, in the
/// shape that cosign 3 gives them.
#[derive(Clone)]
pub struct OciReferrers {
    repository: Repository,
    clock: Arc<dyn Clock>,
    /// Which evidence is looked at first; `None`: whatever is listed.
    first: Option<Seek>,
    later: Arc<Mutex<Later>>,
}

/// What is looked at first by whoever may not need the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// Everything in one list: the registry's own, or else the clients'.
    OneList,
    /// Of that, what may be a signature by what the list says of it.
    Signatures,
}

/// What was left for later.
#[derive(Default)]
struct Later {
    /// Entries that were not looked into.
    entries: Vec<Descriptor>,
    /// What was listed so far, where the clients' list was not looked at.
    unseen: Option<BTreeSet<Digest>>,
    /// The media type that a referrer says its subject is of.
    about: Option<String>,
}

impl OciReferrers {
    /// The referrers in `repository`; `clock` says when new ones were made.
    pub fn new(repository: Repository, clock: Arc<dyn Clock>) -> Self {
        Self {
            repository,
            clock,
            first: None,
            later: Arc::default(),
        }
    }

    /// The same with as much of it left to [`AttestationStore::older`] as
    /// `first` leaves out. One subject at a time.
    #[must_use]
    pub fn seeking(self, first: Seek) -> Self {
        Self {
            first: Some(first),
            later: Arc::default(),
            ..self
        }
    }

    /// What referrers that were listed say that the subject is. A hint: the
    /// subject itself was not read.
    pub fn said_of_subject(&self) -> Option<String> {
        self.left().about.clone()
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be looked at now; the rest is noted.
    async fn listed(&self, subject: &Digest) -> Result<Vec<Descriptor>, RegistryFault> {
        let Some(first) = self.first else {
            let listed = self.repository.referrers(subject).await?;
            return Ok(listed.entries);
        };
        let own = self.repository.by_registry(subject).await?;
        let unseen = own
            .as_ref()
            .map(|own| own.iter().map(|entry| entry.digest).collect());
        let entries = match own {
            Some(own) => own,
            None => self.repository.by_clients(subject).await?,
        };
        let now = |entry: &Descriptor| first == Seek::OneList || may_be_a_signature(entry);
        let (entries, rest) = entries.into_iter().partition(now);
        *self.left() = Later {
            entries: rest,
            unseen,
            about: None,
        };
        Ok(entries)
    }

    /// What `entries` lead to, of what may be evidence.
    async fn led_to(
        &self,
        entries: Vec<Descriptor>,
        subject: &Digest,
    ) -> Result<Vec<Untrusted>, StoreError> {
        let relevant: Vec<Descriptor> = entries.into_iter().filter(may_be_evidence).collect();
        self.repository.bounded(&relevant, subject)?;
        let referring = self.repository.about(relevant, subject).await;
        let mut said = referring
            .iter()
            .filter_map(|one| Some(&one.document.as_ref().ok()?.subject()?.media_type));
        // An index is told as one if anybody does: then it is looked at.
        let index = said.clone().find(|kind| media_type::is_index(kind));
        if let Some(kind) = index.or_else(|| said.next()) {
            self.left().about = Some(kind.clone());
        }
        self.read(&referring).await
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
            let entries = self.listed(&subject.digest).await?;
            self.led_to(entries, &subject.digest).await
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
            let later = std::mem::take(&mut *self.left());
            let mut found = Vec::new();
            if !later.entries.is_empty() {
                found.push(self.led_to(later.entries, &subject.digest).await);
            }
            if let Some(seen) = later.unseen {
                found.push(match self.repository.by_clients(&subject.digest).await {
                    Ok(kept) => {
                        let new = kept.into_iter().filter(|one| !seen.contains(&one.digest));
                        self.led_to(new.collect(), &subject.digest).await
                    }
                    Err(fault) => Err(fault.into()),
                });
            }
            // An SBOM there is unsigned, and so no evidence.
            let kinds = [Legacy::Signature, Legacy::Attestation];
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

/// Whether an entry may be a signature by what its list says of it: cosign and
/// we note there what is stated. Nothing is proved by that, but that it need
/// not be looked at first.
fn may_be_a_signature(entry: &Descriptor) -> bool {
    let stated = entry.annotation(media_type::BUNDLE_PREDICATE);
    stated.is_none_or(|stated| [COSIGN_SIGN, MODEL_SIGNATURE].contains(&stated))
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
