//! cosign's older tags in a layout that something is copied to: each is a list
//! of signatures that others add to, and none of theirs may go.

use std::collections::BTreeSet;

use super::index::set_tag;
use super::transfer::untagged;
use super::{Layout, LayoutError, Node};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, Index, Legacy, LegacyStanding, append_legacy};

impl Layout {
    /// Puts an older manifest, whose blobs are here, under its tag; where
    /// something else lies there, both are kept. What of it is no longer found
    /// from the tag, because something else holds all that it holds, goes to
    /// `held`.
    pub(super) fn list_older(
        &self,
        index: &mut Index,
        (tag, what): (&str, Legacy),
        older: &Node,
        held: &mut BTreeSet<Digest>,
    ) -> Result<(), LayoutError> {
        let new = &older.descriptor;
        let there = match self.by_tag(index, tag) {
            Ok(there) if there.digest == new.digest => return Ok(()),
            Ok(there) => there,
            Err(LayoutError::NoTag { .. }) => {
                set_tag(index, tag, &untagged(new));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // One that cannot be read is not replaced in silence.
        let (document, _) = self.read_document(&there)?;
        let lacking = match LegacyStanding::of(what, &document, &older.document) {
            LegacyStanding::Less => {
                set_tag(index, tag, &untagged(new));
                return Ok(());
            }
            LegacyStanding::Holds => Vec::new(),
            LegacyStanding::Lacks(lacking) => lacking,
            LegacyStanding::Apart => return Err(self.apart(tag, what)),
        };
        held.extend(older.without_layers());
        if !lacking.is_empty() {
            let both = self.both(&document, &lacking, &there)?;
            set_tag(index, tag, &both);
        }
        Ok(())
    }

    /// A list of what is there and what it lacks, stored.
    fn both(
        &self,
        document: &Document,
        lacking: &[Descriptor],
        there: &Descriptor,
    ) -> Result<Descriptor, LayoutError> {
        let Document::Manifest(manifest) = document else {
            unreachable!("only manifests lack layers");
        };
        let config = self.read_blob(&manifest.config, limits::MANIFEST)?;
        let list = append_legacy(Some((manifest, &config)), lacking)
            .map_err(|error| self.document_error(&there.digest, error))?;
        self.put_checked(&list.config, &mut list.config_bytes.as_slice())?;
        self.put_checked(&list.descriptor, &mut list.manifest.as_slice())?;
        Ok(list.descriptor)
    }

    fn apart(&self, tag: &str, what: Legacy) -> LayoutError {
        LayoutError::WouldBeLost {
            dir: self.dir().to_owned(),
            tag: tag.to_owned(),
            what: what.as_str(),
        }
    }
}

impl Node {
    /// The digests of what a list of signatures is beside its signatures: they
    /// change with every signature that is added.
    pub fn without_layers(&self) -> impl Iterator<Item = Digest> {
        let layers: BTreeSet<Digest> = match &self.document {
            Document::Manifest(manifest) => manifest.layers.iter().map(|l| l.digest).collect(),
            Document::Index(_) => BTreeSet::new(),
        };
        let blobs = self.blobs.iter().map(|piece| piece.descriptor.digest);
        let all: Vec<Digest> = blobs.chain([self.descriptor.digest]).collect();
        all.into_iter().filter(move |one| !layers.contains(one))
    }
}
