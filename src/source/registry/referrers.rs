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
    /// Each once: those that the registry lists by itself, then those that only
    /// clients do, under the fallback tag.
    pub entries: Vec<Descriptor>,
    /// Whether the registry keeps a list by itself.
    pub by_registry: bool,
    /// How many of the entries stand in it.
    own: usize,
}

impl Listed {
    /// Whether the registry itself lists that manifest.
    pub fn is_by_registry(&self, digest: &Digest) -> bool {
        let mut own = self.entries.iter().take(self.own);
        own.any(|entry| entry.digest == *digest)
    }
}

/// A manifest that was asked for, or why it is not there.
pub(super) type Fetched = Result<Document, RegistryFault>;

impl Repository {
    /// Everything that is listed as being about `subject`: by the registry, and
    /// under the fallback tag. A registry that keeps the list is asked for the
    /// tag too: clients may have kept it before the registry did.
    ///
    /// # Errors
    /// 404 to both is `Ok` and empty, where the second is the registry's own
    /// word; any other answer to either is an error, and so are a page that fails, pages without an end, and more than
    /// [`limits::INDEX_ENTRIES`].
    pub async fn referrers(&self, subject: &Digest) -> Result<Listed, RegistryFault> {
        let found = self.by_registry(subject).await?;
        let by_registry = found.is_some();
        let mut entries = found.unwrap_or_default();
        let own = entries.len();
        if let Some((kept, _)) = self.kept(subject).await? {
            entries.extend(kept.manifests);
        }
        Ok(Listed {
            entries: once(entries),
            by_registry,
            own,
        })
    }

    /// The registry's own list; `None` where it keeps none.
    ///
    /// # Errors
    /// As [`Repository::referrers`].
    pub(crate) async fn by_registry(
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
                // One that keeps no such list need not know that there are any.
                Err(_) if first && pages.missing => return Ok(None),
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

    /// What only clients list as being about `subject`, under the fallback tag.
    ///
    /// # Errors
    /// As [`Repository::referrers`].
    pub(crate) async fn by_clients(
        &self,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryFault> {
        let kept = self.kept(subject).await?;
        Ok(once(
            kept.map_or_else(Vec::new, |(index, _)| index.manifests),
        ))
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

    /// Several manifests at once, in the order asked for; as many as
    /// [`Repository::bounded`] lets pass.
    pub(super) async fn documents(&self, of: &[Descriptor]) -> Vec<Fetched> {
        let mut under_way = JoinSet::new();
        for (place, at) in of.iter().enumerate() {
            let (repository, at) = (self.clone(), at.clone());
            // Their bytes are not kept: a thousand may be under way.
            under_way.spawn(async move {
                let fetched = repository.document(&at).await;
                (place, fetched.map(|(document, _)| document))
            });
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
