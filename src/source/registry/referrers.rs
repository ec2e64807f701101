//! What a registry says that is about a manifest.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::tags::Pages;
use super::{RegistryFault, Repository};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, Index, fallback_tag};

/// A list of referrers. Nothing in it is proved: an entry only says where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Each once.
    pub entries: Vec<Descriptor>,
    /// Whether the registry keeps the list by itself; else clients do, under
    /// the fallback tag.
    pub by_registry: bool,
}

/// A manifest that was asked for, or why it is not there.
pub(super) type Fetched = Result<(Document, Vec<u8>), RegistryFault>;

impl Repository {
    /// Everything that is listed as being about `subject`: by the registry, or
    /// under the fallback tag where it does not. A registry that lists nothing
    /// is asked for the tag too: clients may have kept the list before it did.
    ///
    /// # Errors
    /// 404 to both is `Ok` and empty; any other answer to either is an error,
    /// and so are a page that fails, pages without an end, and more than
    /// [`limits::INDEX_ENTRIES`].
    pub async fn referrers(&self, subject: &Digest) -> Result<Listed, RegistryFault> {
        match self.by_registry(subject).await? {
            Some(entries) if !entries.is_empty() => Ok(Listed {
                entries,
                by_registry: true,
            }),
            own => {
                let kept = self.kept(subject).await?;
                let entries = kept.map(|(index, _)| index.manifests).unwrap_or_default();
                Ok(Listed {
                    entries: once(entries),
                    by_registry: own.is_some(),
                })
            }
        }
    }

    async fn by_registry(
        &self,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RegistryFault> {
        let mut pages = Pages::new(self, self.path(&format!("referrers/{subject}")));
        let mut found = Vec::new();
        let mut first = true;
        loop {
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(Some(once(found))),
                Err(RegistryFault::NotFound { .. }) if first => return Ok(None),
                Err(RegistryFault::NotFound { asked, .. }) => {
                    return Err(RegistryFault::Malformed {
                        asked,
                        why: "a page of the list of referrers is not there".to_owned(),
                    });
                }
                Err(fault) => return Err(fault),
            };
            first = false;
            let (asked, body) = page;
            let index = Index::parse(&body, limits::MANIFEST).map_err(|error| {
                RegistryFault::Malformed {
                    asked,
                    why: format!("it is no list of referrers: {error}"),
                }
            })?;
            found.extend(index.manifests);
            if found.len() > limits::INDEX_ENTRIES {
                return Err(RegistryFault::TooMuch {
                    place: self.origin(subject),
                    what: "referrers",
                    limit: limits::INDEX_ENTRIES as u64,
                });
            }
        }
    }

    /// The list that clients keep, with its `ETag`.
    pub(super) async fn kept(
        &self,
        subject: &Digest,
    ) -> Result<Option<(Index, Option<String>)>, RegistryFault> {
        let got = match self.get(&fallback_tag(subject), None).await {
            Ok(got) => got,
            Err(RegistryFault::NotFound { .. }) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match got.resolved.document {
            Document::Index(index) => Ok(Some((*index, got.etag))),
            Document::Manifest(_) => Err(RegistryFault::Malformed {
                asked: super::Asked::new("GET", &format!("{self}:{}", fallback_tag(subject))),
                why: "the fallback tag leads to a manifest and not to a list".to_owned(),
            }),
        }
    }

    /// Several manifests at once, in the order asked for.
    pub(super) async fn documents(&self, of: &[Descriptor]) -> Vec<Fetched> {
        let mut under_way = JoinSet::new();
        for (place, at) in of.iter().enumerate() {
            let (repository, at) = (self.clone(), at.clone());
            under_way.spawn(async move { (place, repository.document(&at).await) });
        }
        collected(under_way, of.len()).await
    }

    /// Several small blobs at once, in the order asked for.
    pub async fn blobs(
        &self,
        of: &[Descriptor],
        limit: u64,
    ) -> Vec<Result<Vec<u8>, RegistryFault>> {
        let mut under_way = JoinSet::new();
        for (place, at) in of.iter().enumerate() {
            let (repository, at) = (self.clone(), at.clone());
            under_way.spawn(async move { (place, repository.read_blob(&at, limit).await) });
        }
        collected(under_way, of.len()).await
    }
}

pub(super) async fn collected<T: 'static>(
    mut under_way: JoinSet<(usize, Result<T, RegistryFault>)>,
    count: usize,
) -> Vec<Result<T, RegistryFault>> {
    let mut found: Vec<Option<Result<T, RegistryFault>>> = (0..count).map(|_| None).collect();
    while let Some(done) = under_way.join_next().await {
        if let Ok((place, result)) = done
            && let Some(slot) = found.get_mut(place)
        {
            *slot = Some(result);
        }
    }
    let lost = || Err(RegistryFault::Settings("a request was given up".to_owned()));
    found
        .into_iter()
        .map(|slot| slot.unwrap_or_else(lost))
        .collect()
}

fn once(entries: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = BTreeSet::new();
    entries
        .into_iter()
        .filter(|entry| seen.insert(entry.digest))
        .collect()
}
