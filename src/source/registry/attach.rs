//! Hanging a referrer on a manifest.

use std::time::Duration;

use super::upload::UploadError;
use super::{Asked, Conditions, RegistryFault, Repository, Said, Source};
use crate::limits;
use crate::oci::{Descriptor, Index, Referrer, fallback_tag, media_type};

/// How often the fallback list is written when others write it too.
pub(super) const ROUNDS: u32 = 10;
/// How often a registry's own list is looked at for what was put.
const SEEN: u32 = 5;

/// What keeps two who attach at once from losing one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cas {
    /// The registry keeps the list of referrers itself.
    Registry,
    /// Clients keep it, and the registry refuses to replace one that changed:
    /// that was tried, not believed.
    Exact,
    /// Clients keep it, and it is looked at again after writing.
    BestEffort,
}

impl Cas {
    /// As reports name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Exact => "exact",
            Self::BestEffort => "best-effort",
        }
    }
}

/// A referrer that hangs on its subject now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The referrer's manifest.
    pub descriptor: Descriptor,
    /// Whether the same hung there already.
    pub existed: bool,
    /// How it was listed.
    pub cas: Cas,
}

impl Repository {
    /// Hangs `referrer` on `subject`, so that it is found: by the registry's
    /// own list, or by the one under the fallback tag where the registry keeps
    /// none. The same content attaches once, whenever it was packed.
    ///
    /// # Errors
    /// `NotFound` where the subject is not there; as the registry says.
    pub async fn attach(
        &self,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Attached, UploadError> {
        if !self.has_manifest(&subject.digest.to_string()).await? {
            let url = format!("{}{}", self.host.base, self.path("manifests/"));
            return Err(RegistryFault::NotFound {
                asked: Asked::new("HEAD", &format!("{url}{}", subject.digest)),
                said: Said::default(),
            }
            .into());
        }
        let listed = self.referrers(&subject.digest).await?;
        let like = |entry: &&Descriptor| {
            let kind = entry.artifact_type.as_ref();
            kind.is_none() || kind == referrer.descriptor.artifact_type.as_ref()
        };
        let like: Vec<_> = listed.entries.iter().filter(like).cloned().collect();
        self.bounded(&like, &subject.digest)?;
        let documents = self.documents(&like).await;
        for (entry, document) in like.into_iter().zip(documents) {
            let same = document.is_ok_and(|document| referrer.is_packed_in(&document));
            if same {
                let cas = match listed.is_by_registry(&entry.digest) {
                    true => Cas::Registry,
                    false => self.cas_of(&entry).await?,
                };
                return Ok(Attached {
                    descriptor: entry,
                    existed: true,
                    cas,
                });
            }
        }
        for (blob, bytes) in &referrer.blobs {
            if !self.has_blob(blob).await? {
                self.put_blob(blob, Source::Bytes(bytes), None).await?;
            }
        }
        let put = self
            .put_manifest(None, &referrer.descriptor, &referrer.manifest)
            .await?;
        let cas = if put.lists_subject {
            self.see_listed(subject, referrer).await?
        } else {
            let honours = self.relied_on(&referrer.descriptor, &referrer.manifest);
            let honours = honours.await;
            self.list(subject, std::slice::from_ref(&referrer.descriptor), honours)
                .await?
        };
        Ok(Attached {
            descriptor: referrer.descriptor.clone(),
            existed: false,
            cas,
        })
    }

    /// Holds a registry to its word that it lists what was put: of two that
    /// attach at once some list one, and list the other when it is put again.
    /// One that has not listed it in the end may yet do so, or not.
    async fn see_listed(
        &self,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Cas, RegistryFault> {
        let new = &referrer.descriptor;
        for round in 0..SEEN {
            let listed = self.by_registry(&subject.digest).await?;
            let mut listed = listed.iter().flatten();
            if listed.any(|entry| entry.digest == new.digest) {
                return Ok(Cas::Registry);
            }
            pause(round).await;
            self.put_manifest(None, new, &referrer.manifest).await?;
        }
        Ok(Cas::BestEffort)
    }

    /// Adds entries to the list under the fallback tag; those of others stay.
    /// Tells what kept others' entries while it was written: `Exact` where that
    /// was under conditions that the registry `honours`, and less where its
    /// answers give nothing to hold on to.
    ///
    /// # Errors
    /// As the registry says; `Unreachable` where others change it all the time.
    pub async fn list(
        &self,
        subject: &Descriptor,
        entries: &[Descriptor],
        honours: Conditions,
    ) -> Result<Cas, RegistryFault> {
        let tag = fallback_tag(&subject.digest);
        let (mut held, mut lost) = (Cas::Exact, None);
        for round in 0..ROUNDS {
            let kept = self.kept(&subject.digest).await?;
            let there = kept.is_some();
            let (mut index, etag) = kept.unwrap_or_default();
            let missing: Vec<_> = entries
                .iter()
                .filter(|new| {
                    index
                        .manifests
                        .iter()
                        .all(|known| known.digest != new.digest)
                })
                .cloned()
                .collect();
            if missing.is_empty() {
                let looked = if round == 0 { Cas::of(honours) } else { held };
                return Ok(looked);
            }
            index.manifests.extend(missing);
            // As it is sent, whatever it called itself before.
            index.media_type = Some(media_type::INDEX.to_owned());
            let bytes = bounded(&index, self, subject)?;
            let condition = honours.on(there.then_some(etag));
            let exact = !condition.is_empty();
            if !exact {
                held = Cas::BestEffort;
            }
            let asked = self.put(&tag, media_type::INDEX, &bytes, &condition);
            match asked.await {
                Ok(answer) => match answer.status() {
                    200..=204 if exact => return Ok(held),
                    // What was written may have been replaced since: looked at again.
                    200..=204 | 412 => {}
                    500.. => lost = Some(answer.fault()),
                    // Not taken while somebody else writes it: read again.
                    400 if answer.says(400, "DIGEST_INVALID") => lost = Some(answer.fault()),
                    _ => return Err(answer.fault()),
                },
                // So may what was written without our knowing; the list that was
                // read is too old to be sent once more.
                Err(fault @ RegistryFault::Unreachable { .. }) => lost = Some(fault),
                Err(fault) => return Err(fault),
            }
            pause(round).await;
        }
        let kept = self.kept(&subject.digest).await?;
        let listed = |new: &Descriptor| {
            let mut known = kept.iter().flat_map(|(index, _)| &index.manifests);
            known.any(|known| known.digest == new.digest)
        };
        if entries.iter().all(listed) {
            return Ok(held);
        }
        Err(lost.unwrap_or_else(|| RegistryFault::Unreachable {
            asked: Asked::new("PUT", &format!("{self}:{tag}")),
            cause: "others change the list of referrers all the time".to_owned(),
        }))
    }

    /// The same for what hangs there already.
    pub(super) async fn cas_of(&self, there: &Descriptor) -> Result<Cas, RegistryFault> {
        if let Some(known) = self.known() {
            return Ok(Cas::of(known));
        }
        let (_, bytes) = self.document(there).await?;
        Ok(self.cas(there, &bytes).await)
    }

    /// Lists referrers that were put by their digests, as far as the registry
    /// does not list them itself.
    ///
    /// # Errors
    /// As [`Repository::list`], and as the registry says.
    pub async fn list_missing(
        &self,
        subject: &Descriptor,
        entries: &[Descriptor],
    ) -> Result<(), RegistryFault> {
        let there = self.referrers(&subject.digest).await?.entries;
        let missing: Vec<_> = entries
            .iter()
            .filter(|new| there.iter().all(|known| known.digest != new.digest))
            .cloned()
            .collect();
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let (_, bytes) = self.document(first).await?;
        let honours = self.relied_on(first, &bytes).await;
        self.list(subject, &missing, honours).await?;
        Ok(())
    }
}

fn bounded(
    index: &Index,
    repository: &Repository,
    subject: &Descriptor,
) -> Result<Vec<u8>, RegistryFault> {
    let bytes = index.to_json();
    if bytes.len() as u64 > limits::MANIFEST || index.manifests.len() > limits::INDEX_ENTRIES {
        return Err(RegistryFault::TooMuch {
            place: repository.origin(&subject.digest),
            what: "bytes of referrers in one list",
            limit: limits::MANIFEST,
        });
    }
    Ok(bytes)
}

pub(super) async fn pause(round: u32) {
    let most = 40 << round.min(5);
    tokio::time::sleep(Duration::from_millis(fastrand::u64(most / 4..most))).await;
}
