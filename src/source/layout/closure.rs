//! Everything that belongs to an image: what it is made of, and what is about it.

use std::collections::BTreeSet;

use super::{Graph, Layout, LayoutError, Resolved};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, media_type};

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
}

impl Role {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Layer => "layer",
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
    pub legacy: Option<(String, &'static str)>,
    /// Configuration and layers; an index has none.
    pub blobs: Vec<Piece>,
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
        let graph = self.graph()?;
        let mut walk = Walk {
            layout: self,
            graph: &graph,
            seen: BTreeSet::from([of.descriptor.digest]),
            pieces,
        };
        walk.node(of.descriptor.clone(), of.document.clone(), 0)
    }
}

struct Walk<'a> {
    layout: &'a Layout,
    graph: &'a Graph<'a>,
    seen: BTreeSet<Digest>,
    pieces: usize,
}

impl Walk<'_> {
    fn node(
        &mut self,
        descriptor: Descriptor,
        document: Document,
        depth: usize,
    ) -> Result<Node, LayoutError> {
        if depth > limits::INDEX_DEPTH {
            return Err(LayoutError::TooDeep {
                dir: self.layout.dir().to_owned(),
                digest: descriptor.digest,
            });
        }
        self.count(1)?;
        let mut node = Node {
            descriptor,
            document,
            legacy: None,
            blobs: Vec::new(),
            children: Vec::new(),
            referrers: Vec::new(),
            unreadable: Vec::new(),
        };
        match node.document.clone() {
            Document::Manifest(manifest) => {
                self.count(manifest.layers.len() + 1)?;
                node.blobs.push(Piece {
                    role: Role::Config,
                    descriptor: manifest.config,
                });
                node.blobs
                    .extend(manifest.layers.into_iter().map(|descriptor| Piece {
                        role: Role::Layer,
                        descriptor,
                    }));
            }
            Document::Index(index) => self.children(&mut node, index.manifests, depth)?,
        }
        self.referrers(&mut node, depth)?;
        Ok(node)
    }

    fn children(
        &mut self,
        node: &mut Node,
        listed: Vec<Descriptor>,
        depth: usize,
    ) -> Result<(), LayoutError> {
        for child in listed {
            let known = media_type::is_manifest(&child.media_type)
                || media_type::is_index(&child.media_type);
            if !known {
                self.count(1)?;
                node.blobs.push(Piece {
                    role: Role::Layer,
                    descriptor: child,
                });
            } else if self.seen.insert(child.digest) {
                let (document, _) = self.layout.read_document(&child)?;
                node.children.push(self.node(child, document, depth + 1)?);
            }
        }
        Ok(())
    }

    fn referrers(&mut self, node: &mut Node, depth: usize) -> Result<(), LayoutError> {
        for referring in self.graph.referrers(&node.descriptor.digest)? {
            let digest = referring.descriptor.digest;
            match referring.document {
                Ok(document) => {
                    if self.seen.insert(digest) {
                        let mut about = self.node(referring.descriptor, document, depth + 1)?;
                        about.legacy = referring.legacy;
                        node.referrers.push(about);
                    }
                }
                Err(why) => node.unreadable.push(Unreadable {
                    digest,
                    why: why.to_string(),
                }),
            }
        }
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), LayoutError> {
        self.pieces = self.pieces.saturating_add(more);
        if self.pieces > limits::CLOSURE {
            return Err(LayoutError::TooMany {
                dir: self.layout.dir().to_owned(),
                what: "blobs and manifests in one closure",
                limit: limits::CLOSURE,
            });
        }
        Ok(())
    }
}

impl Node {
    /// Every blob once, each before whatever names it: the order to copy in.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut found = Vec::new();
        self.collect(&mut BTreeSet::new(), &mut found);
        found
    }

    fn collect(&self, seen: &mut BTreeSet<Digest>, found: &mut Vec<Piece>) {
        for child in &self.children {
            child.collect(seen, found);
        }
        for piece in &self.blobs {
            if seen.insert(piece.descriptor.digest) {
                found.push(piece.clone());
            }
        }
        if seen.insert(self.descriptor.digest) {
            found.push(Piece {
                role: match self.document {
                    Document::Index(_) => Role::Index,
                    Document::Manifest(_) => Role::Manifest,
                },
                descriptor: self.descriptor.clone(),
            });
        }
        for referrer in &self.referrers {
            referrer.collect(seen, found);
        }
    }

    /// This node and all below and about it.
    pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        for node in self.children.iter().chain(&self.referrers) {
            node.each(visit);
        }
    }
}
