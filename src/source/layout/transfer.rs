//! A closure moved from one layout to another.

use std::collections::BTreeSet;

use super::{Layout, LayoutError, Node, Piece};
use crate::digest::Digest;
use crate::oci::{Descriptor, media_type};
use crate::reference::{Select, is_tag};
use crate::source::{Counted, Progress};

/// What became of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The blob.
    pub piece: Piece,
    /// Whether the destination had it already, whole.
    pub present: bool,
}

impl Layout {
    /// Whether a blob is here, by name and size; its bytes are not read.
    ///
    /// # Errors
    /// As [`Layout::blob_size`].
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool, LayoutError> {
        Ok(self.blob_size(&blob.digest)? == Some(blob.size))
    }

    /// Takes a closure from `source`: every blob, hashed on the way; then the
    /// lists of referrers and cosign's older tags; and no other tag. What is
    /// here already stays. Run again after an interruption, it completes.
    ///
    /// Blobs are durable before anything leads to them.
    ///
    /// # Errors
    /// As [`Layout::put_checked`] and [`Layout::update`], and as
    /// [`Layout::holds`] afterwards.
    pub fn take(
        &self,
        source: &Self,
        closure: &Node,
        progress: &dyn Progress,
    ) -> Result<Vec<Moved>, LayoutError> {
        let mut moved = Vec::new();
        for piece in closure.pieces() {
            let blob = &piece.descriptor;
            let present = self.has_blob(blob)? && self.check_blob(blob).is_ok();
            if !present {
                let mut reader = Counted::new(source.open_blob(blob)?, progress);
                self.put_checked(blob, &mut reader)?;
            }
            moved.push(Moved { piece, present });
        }
        let held = self.list_closure(closure)?;
        self.holds(closure, &held)?;
        Ok(moved)
    }

    /// Lists a closure whose blobs are here: its root, what is about it, and
    /// cosign's older tags, to which it adds; and no other tag. Gives those of
    /// its pieces in whose place something else is found that holds all that
    /// they hold.
    ///
    /// # Errors
    /// As [`Layout::update`]; `WouldBeLost` where an older tag holds what cannot
    /// be kept beside what is copied.
    pub fn list_closure(&self, closure: &Node) -> Result<BTreeSet<Digest>, LayoutError> {
        self.update(|index| {
            let root = &closure.descriptor.digest;
            if index.manifests.iter().all(|d| d.digest != *root) {
                index.manifests.push(untagged(&closure.descriptor));
            }
            let (mut result, mut held) = (Ok(()), BTreeSet::new());
            closure.each(&mut |node| {
                let about: Vec<Descriptor> = node
                    .referrers
                    .iter()
                    .filter(|r| r.legacy.is_none())
                    .map(listed)
                    .collect();
                if !about.is_empty() && result.is_ok() {
                    result = self.list_referrers(index, &node.descriptor, &about);
                }
                for referrer in &node.referrers {
                    // cosign's marks of what it saved are no tags.
                    if let Some((tag, what)) = &referrer.legacy
                        && is_tag(tag)
                        && result.is_ok()
                    {
                        result = self.list_older(index, (tag, *what), referrer, &mut held);
                    }
                }
            });
            result.map(|()| held)
        })
    }

    /// Compares a closure with what is here, digest by digest: everything that
    /// belonged to the root there belongs to it here, but for what is `held` by
    /// something else.
    ///
    /// # Errors
    /// `BlobMissing` for the first that is not found from the root, `BlobSize`
    /// where a blob is not as long as it was.
    pub fn holds(&self, closure: &Node, held: &BTreeSet<Digest>) -> Result<(), LayoutError> {
        let root = self.resolve(&Select::Digest(closure.descriptor.digest))?;
        let here: BTreeSet<Digest> = self
            .closure(&root)?
            .pieces()
            .iter()
            .map(|p| p.descriptor.digest)
            .collect();
        for piece in closure.pieces() {
            let blob = &piece.descriptor;
            match self.blob_size(&blob.digest)? {
                Some(size) if size != blob.size => {
                    return Err(LayoutError::BlobSize {
                        dir: self.dir().to_owned(),
                        digest: blob.digest,
                        expected: blob.size,
                        found: size,
                    });
                }
                Some(_) if here.contains(&blob.digest) || held.contains(&blob.digest) => {}
                _ => {
                    return Err(LayoutError::BlobMissing {
                        dir: self.dir().to_owned(),
                        digest: blob.digest,
                    });
                }
            }
        }
        Ok(())
    }
}

pub(super) fn untagged(descriptor: &Descriptor) -> Descriptor {
    let mut entry = descriptor.clone();
    entry.annotations.remove(media_type::REF_NAME);
    entry
}

/// A referrer as lists of them have it: with what its manifest says about itself.
pub(crate) fn listed(node: &Node) -> Descriptor {
    let mut entry = untagged(&node.descriptor);
    entry.artifact_type = node.document.artifact_type().map(str::to_owned);
    for (name, value) in node.document.annotations() {
        entry
            .annotations
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    entry
}
