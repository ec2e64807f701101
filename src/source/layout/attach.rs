use super::{Layout, LayoutError};
use crate::oci::{Descriptor, Document, Index, Referrer, fallback_tag, media_type};

/// Whether something was attached, or hung there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// Attached now, as this manifest.
    New(Descriptor),
    /// The same blob hangs there already, in this manifest.
    Already(Descriptor),
}

impl Attached {
    /// The referrer's manifest.
    pub const fn descriptor(&self) -> &Descriptor {
        match self {
            Self::New(descriptor) | Self::Already(descriptor) => descriptor,
        }
    }
}

impl Layout {
    /// Hangs `referrer` on the manifest that is its subject, so that it is
    /// found by every known way: an entry in `index.json` with artifact type
    /// and annotations (ORAS), and the index under the tag `sha256-<hex>`
    /// (distribution-spec). The same content attaches once, whenever it was
    /// packed; a run that was cut short is completed by the next.
    ///
    /// cosign looks for referrers of the one entry that is marked as its image,
    /// so the first subject in a layout without such an entry is marked.
    ///
    /// # Errors
    /// `BlobMissing` or `BlobChanged` where the subject is not there; as
    /// [`Layout::update`] and [`Layout::put_blob`].
    pub fn attach(
        &self,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Attached, LayoutError> {
        self.check_blob(subject)?;
        self.update(|index| {
            let graph = self.graph_of(index.clone())?;
            let known = graph.referrers(&subject.digest)?.into_iter().find(|known| {
                known
                    .document
                    .as_ref()
                    .is_ok_and(|d| referrer.is_packed_in(d))
            });
            let attached = match known {
                Some(known) => Attached::Already(known.descriptor),
                None => {
                    for (descriptor, bytes) in &referrer.blobs {
                        self.put_checked(descriptor, &mut bytes.as_slice())?;
                    }
                    self.put_checked(&referrer.descriptor, &mut referrer.manifest.as_slice())?;
                    Attached::New(referrer.descriptor.clone())
                }
            };
            let descriptor = attached.descriptor().clone();
            self.list_referrers(index, subject, &[descriptor])?;
            mark_for_cosign(index, subject);
            Ok(attached)
        })
    }

    /// Lists referrers whose blobs are there in both places; entries that
    /// others made stay.
    pub(super) fn list_referrers(
        &self,
        index: &mut Index,
        subject: &Descriptor,
        referrers: &[Descriptor],
    ) -> Result<(), LayoutError> {
        let tag = fallback_tag(&subject.digest);
        let is_fallback = |d: &Descriptor| d.annotation(media_type::REF_NAME) == Some(&*tag);
        let mut list = Index::default();
        for entry in index.manifests.iter().filter(|d| is_fallback(d)) {
            // One that cannot be read is not replaced in silence.
            let (document, _) = self.read_document(entry)?;
            if let Document::Index(old) = document {
                for known in old.manifests {
                    if list.manifests.iter().all(|d| d.digest != known.digest) {
                        list.manifests.push(known);
                    }
                }
            }
        }
        let before = list.manifests.len();
        for referrer in referrers {
            if list.manifests.iter().all(|d| d.digest != referrer.digest) {
                let mut entry = referrer.clone();
                entry.annotations.remove(media_type::REF_NAME);
                list.manifests.push(entry);
            }
            if index.manifests.iter().all(|d| d.digest != referrer.digest) {
                index.manifests.push(referrer.clone());
            }
        }
        if list.manifests.len() == before && index.manifests.iter().any(is_fallback) {
            return Ok(());
        }
        let mut fallback = self.put_blob(media_type::INDEX, &list.to_json())?;
        fallback
            .annotations
            .insert(media_type::REF_NAME.to_owned(), tag.clone());
        index.manifests.retain(|d| !is_fallback(d));
        index.manifests.push(fallback);
        Ok(())
    }
}

fn mark_for_cosign(index: &mut Index, subject: &Descriptor) {
    if index
        .manifests
        .iter()
        .any(|d| d.annotation("kind").is_some())
    {
        return;
    }
    let kind = if media_type::is_index(&subject.media_type) {
        "dev.cosignproject.cosign/imageIndex"
    } else {
        "dev.cosignproject.cosign/image"
    };
    let entry = index
        .manifests
        .iter_mut()
        .find(|d| d.digest == subject.digest);
    if let Some(entry) = entry {
        entry.annotations.insert("kind".to_owned(), kind.to_owned());
    }
}
