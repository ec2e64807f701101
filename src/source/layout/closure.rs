//! Everything that belongs to an image: what it is made of, and what is about it.

use std::collections::{BTreeMap, BTreeSet};

use super::walk::{Walk, WalkError, Want};
use super::{Layout, LayoutError, Resolved};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, Legacy};

/// What a blob is to the manifest that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// An index of manifests.
    Index,
    /// An image manifest, or an artifact's.
    Manifest,
    /// A configuration.
    Config,
    /// A layer.
    Layer,
    /// What an index lists and is neither an index nor a manifest that is known.
    Entry,
}

impl Role {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Entry => "entry",
        }
    }
}

/// A manifest or index with all below it and all about it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its descriptor, as it was listed.
    pub descriptor: Descriptor,
    /// The manifest or index.
    pub document: Document,
    /// cosign's tag and what lies under it, where that led here.
    pub legacy: Option<(String, Legacy)>,
    /// Configuration and layers; an index has none.
    pub blobs: Vec<Piece>,
    /// Layers that nobody but their maker may give out: named, and kept nowhere.
    pub elsewhere: Vec<Descriptor>,
    /// What an index lists.
    pub children: Vec<Node>,
    /// What is about it.
    pub referrers: Vec<Node>,
    /// What says that it is about it and cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// One blob of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is to the manifest that names it.
    pub role: Role,
    /// Its descriptor.
    pub descriptor: Descriptor,
}

/// A referrer that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its digest.
    pub digest: Digest,
    /// Why.
    pub why: String,
}

impl Layout {
    /// Walks everything that belongs to a manifest or index: children, and
    /// referrers of every one of them, and referrers of those. Each manifest
    /// is walked once, so that circles end; what is missing or malformed below
    /// the manifest itself is an error, a referrer in that state is told in
    /// `unreadable`.
    ///
    /// # Errors
    /// `TooDeep` and `TooMany` at the limits, otherwise as reading says.
    pub fn closure(&self, of: &Resolved) -> Result<Node, LayoutError> {
        self.closure_after(of, 0)
    }

    /// The same where that many blobs and manifests were counted already.
    pub(super) fn closure_after(&self, of: &Resolved, pieces: usize) -> Result<Node, LayoutError> {
        let too_much = |error| self.too_much(&error);
        let graph = self.graph()?;
        let mut walk =
            Walk::new(of.descriptor.clone(), of.document.clone(), pieces).map_err(too_much)?;
        loop {
            match walk.want().map_err(too_much)? {
                None => return Ok(walk.end()),
                Some(Want::Document(at)) => {
                    let (document, _) = self.read_document(&at)?;
                    walk.document(document).map_err(too_much)?;
                }
                Some(Want::Referrers(of)) => walk.referrers(graph.referrers(&of)?),
            }
        }
    }

    fn too_much(&self, error: &WalkError) -> LayoutError {
        match error {
            WalkError::TooDeep(digest) => LayoutError::TooDeep {
                dir: self.dir().to_owned(),
                digest: *digest,
            },
            WalkError::TooMany => LayoutError::TooMany {
                dir: self.dir().to_owned(),
                what: "blobs and manifests in one closure",
                limit: limits::CLOSURE,
            },
            WalkError::TooLarge => LayoutError::TooMany {
                dir: self.dir().to_owned(),
                what: "bytes of manifests in one closure",
                limit: usize::try_from(limits::CLOSURE_BYTES).unwrap_or(usize::MAX),
            },
        }
    }
}

impl Node {
    /// Every blob once, each before whatever names it: the order to copy in.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut nodes = Vec::new();
        self.each(&mut |node| nodes.push(node));
        let by_digest: BTreeMap<Digest, &Self> = nodes
            .iter()
            .map(|node| (node.descriptor.digest, *node))
            .collect();
        let (mut begun, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut found = Vec::new();
        // What an index lists may hang somewhere else in the tree.
        nodes.reverse();
        while let Some(node) = nodes.pop() {
            if begun.insert(node.descriptor.digest) {
                nodes.push(node);
                nodes.extend(node.listed().filter_map(|child| by_digest.get(child)));
                continue;
            }
            let own = Piece {
                role: match node.document {
                    Document::Index(_) => Role::Index,
                    Document::Manifest(_) => Role::Manifest,
                },
                descriptor: node.descriptor.clone(),
            };
            for piece in node.blobs.iter().chain([&own]) {
                if seen.insert(piece.descriptor.digest) {
                    found.push(piece.clone());
                }
            }
        }
        found
    }

    /// What an index lists, the last first.
    fn listed(&self) -> impl Iterator<Item = &Digest> {
        let entries = match &self.document {
            Document::Index(index) => index.manifests.as_slice(),
            Document::Manifest(_) => &[],
        };
        entries.iter().rev().map(|entry| &entry.digest)
    }

    /// This node and all below and about it.
    pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        for node in self.children.iter().chain(&self.referrers) {
            node.each(visit);
        }
    }
}
