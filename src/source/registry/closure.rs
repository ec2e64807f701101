//! Everything that belongs to an image in a registry.

use tokio::task::JoinSet;

use super::fault::bounded;
use super::referrers::{Fetched, collected};
use super::{Class, RegistryFault, Repository};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, Legacy};
use crate::source::layout::{Node, Referring, Resolved, Trouble, Walk, WalkError, Want};

impl Repository {
    /// Walks everything that belongs to a manifest or index: children, and
    /// referrers of every one of them, and referrers of those. What is missing
    /// or malformed below the manifest itself is an error, a referrer in that
    /// state is told in `unreadable`.
    ///
    /// # Errors
    /// As the registry says; `TooMuch` at the limits.
    pub async fn closure(&self, of: &Resolved) -> Result<Node, RegistryFault> {
        self.walked(of, false).await
    }

    /// The same, for whoever must have all of it: a referrer that could not be
    /// looked up is an error too. One that is listed and not there is none.
    ///
    /// # Errors
    /// As [`Repository::closure`].
    pub async fn whole_closure(&self, of: &Resolved) -> Result<Node, RegistryFault> {
        self.walked(of, true).await
    }

    async fn walked(&self, of: &Resolved, whole: bool) -> Result<Node, RegistryFault> {
        let too_much = |error| self.too_much(&error);
        let mut walk =
            Walk::new(of.descriptor.clone(), of.document.clone(), 0).map_err(too_much)?;
        loop {
            match walk.want().map_err(too_much)? {
                None => return Ok(walk.end()),
                Some(Want::Document(at)) => {
                    let (document, _) = self.document(&at).await?;
                    walk.document(document).map_err(too_much)?;
                }
                Some(Want::Referrers(of)) => {
                    let listed = self.referrers(&of).await?.entries;
                    self.bounded(&listed, &of)?;
                    let documents = self.documents(&listed).await;
                    let mut faults = documents.iter().filter_map(|one| one.as_ref().err());
                    if let Some(fault) = faults.find(|fault| whole && is_unknown(fault)) {
                        return Err(fault.clone());
                    }
                    let mut found = told(listed, documents, &of);
                    found.extend(self.older(&of, whole).await?);
                    walk.referrers(found);
                }
            }
        }
    }

    /// The manifests that a list leads to, each only where it is about `subject`.
    pub async fn about(&self, listed: Vec<Descriptor>, subject: &Digest) -> Vec<Referring> {
        let documents = self.documents(&listed).await;
        told(listed, documents, subject)
    }

    /// What lies under cosign's tags for `subject`.
    ///
    /// # Errors
    /// Where that could not be looked up.
    pub async fn legacy(&self, subject: &Digest) -> Result<Vec<Referring>, RegistryFault> {
        self.older(subject, false).await
    }

    async fn older(&self, subject: &Digest, whole: bool) -> Result<Vec<Referring>, RegistryFault> {
        let mut found = Vec::new();
        let lying = self.legacy_of(subject, &Legacy::ALL).await;
        for (what, lying) in Legacy::ALL.into_iter().zip(lying) {
            match lying {
                Ok(one) => found.extend(one),
                Err(fault)
                    if fault.is_of_content() || fault.class() == Class::Malformed && !whole =>
                {
                    found.push(Referring {
                        descriptor: Descriptor::of("", &[]),
                        document: Err(trouble(&fault)),
                        legacy: Some((what.tag(subject), what)),
                    });
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(found)
    }

    /// The same for some of them, asked for at once; each may be absent, and
    /// each look-up may fail by itself.
    pub async fn legacy_of(
        &self,
        subject: &Digest,
        kinds: &[Legacy],
    ) -> Vec<Result<Option<Referring>, RegistryFault>> {
        let mut under_way = JoinSet::new();
        for (place, what) in kinds.iter().enumerate() {
            let (repository, tag, what) = (self.clone(), what.tag(subject), *what);
            under_way.spawn(async move {
                let found = match repository.get(&tag, None).await {
                    Ok(got) => Ok(Some(Referring {
                        descriptor: got.resolved.descriptor,
                        document: Ok(got.resolved.document),
                        legacy: Some((tag, what)),
                    })),
                    Err(RegistryFault::NotFound { .. }) => Ok(None),
                    Err(fault) => Err(fault),
                };
                (place, found)
            });
        }
        collected(under_way, kinds.len()).await
    }

    /// Refuses more entries, or more bytes of them, than are fetched for one
    /// subject, before any of them is asked for.
    ///
    /// # Errors
    /// `TooMuch`.
    pub(crate) fn bounded(
        &self,
        listed: &[Descriptor],
        subject: &Digest,
    ) -> Result<(), RegistryFault> {
        let too_much = |what, limit| RegistryFault::TooMuch {
            place: self.origin(subject),
            what,
            limit,
        };
        if listed.len() > limits::EVIDENCE {
            return Err(too_much("pieces of evidence", limits::EVIDENCE as u64));
        }
        let bytes = listed
            .iter()
            .fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
        if bytes > limits::EVIDENCE_BYTES {
            return Err(too_much("bytes of evidence", limits::EVIDENCE_BYTES));
        }
        Ok(())
    }

    fn too_much(&self, error: &WalkError) -> RegistryFault {
        match error {
            WalkError::TooDeep(digest) => RegistryFault::TooMuch {
                place: self.origin(digest),
                what: "levels of indexes and referrers",
                limit: limits::INDEX_DEPTH as u64,
            },
            WalkError::TooMany => RegistryFault::TooMuch {
                place: self.to_string(),
                what: "blobs and manifests in one closure",
                limit: limits::CLOSURE as u64,
            },
            WalkError::TooLarge => RegistryFault::TooMuch {
                place: self.to_string(),
                what: "bytes of manifests in one closure",
                limit: limits::CLOSURE_BYTES,
            },
        }
    }
}

fn told(listed: Vec<Descriptor>, documents: Vec<Fetched>, subject: &Digest) -> Vec<Referring> {
    listed
        .into_iter()
        .zip(documents)
        .map(|(descriptor, document)| Referring {
            document: match document {
                Ok(document) => about(&descriptor, document, subject),
                Err(fault) => Err(trouble(&fault)),
            },
            descriptor,
            legacy: None,
        })
        .collect()
}

/// Whether nothing is known of what was asked for: it may well be there.
fn is_unknown(fault: &RegistryFault) -> bool {
    !fault.is_of_content() && fault.class() != Class::Absent
}

/// What a list says of an entry must be what its manifest says itself.
fn about(listed: &Descriptor, document: Document, subject: &Digest) -> Result<Document, Trouble> {
    let malformed = |why: String| Err(Trouble::Malformed(why));
    match document.subject() {
        Some(found) if found.digest == *subject => {}
        Some(found) => {
            let is = found.digest;
            return malformed(format!("listed as about {subject}, its subject is {is}"));
        }
        None => return malformed(format!("listed as about {subject}, it has no subject")),
    }
    // cosign 2.6 puts the configuration's type into the list that clients keep,
    // which is what an artifact was called by before it had a type of its own.
    let former = match &document {
        Document::Manifest(manifest) => Some(&manifest.config.media_type),
        Document::Index(_) => None,
    };
    match (&listed.artifact_type, document.artifact_type()) {
        (Some(listed), Some(own)) if listed != own && Some(listed) != former => {
            let (listed, own) = (bounded(listed, 128), bounded(own, 128));
            malformed(format!("listed as {listed}, it calls itself {own}"))
        }
        _ => Ok(document),
    }
}

/// What came whole and is wrong is malformed; what did not come, or came
/// damaged, is a failed look-up.
fn trouble(fault: &RegistryFault) -> Trouble {
    match fault.is_of_content() {
        true => Trouble::Malformed(fault.to_string()),
        false => Trouble::Unreadable(fault.to_string()),
    }
}
