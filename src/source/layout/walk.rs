//! The walk through a closure, without any reading: it says what it wants to
//! know next and is told, so that layouts and registries walk alike.

use std::collections::BTreeSet;

use super::{Node, Piece, Referring, Role, Unreadable};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, media_type};

/// What a walk wants to know next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// The manifest or index that this leads to: [`Walk::document`].
    Document(Box<Descriptor>),
    /// What is about this: [`Walk::referrers`].
    Referrers(Digest),
}

/// Where a walk ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// Nested deeper than [`limits::INDEX_DEPTH`].
    TooDeep(Digest),
    /// More blobs and manifests than [`limits::CLOSURE`].
    TooMany,
    /// More bytes of manifests and indexes than [`limits::CLOSURE_BYTES`].
    TooLarge,
}

/// A walk that is under way.
#[derive(Debug)]
pub struct Walk {
    /// In the order in which they were met; a parent before what hangs on it.
    met: Vec<Met>,
    /// The next at the end.
    todo: Vec<Step>,
    asked: Option<Step>,
    seen: BTreeSet<Digest>,
    pieces: usize,
    /// Of the manifests and indexes that were met.
    bytes: u64,
}

#[derive(Debug)]
struct Met {
    node: Node,
    depth: usize,
    /// Whose child or, where the flag is set, whose referrer it is.
    parent: Option<(usize, bool)>,
}

#[derive(Debug)]
enum Step {
    Child(usize, Box<Descriptor>),
    Referrers(usize),
    Referrer(usize, Box<Referring>),
}

impl Walk {
    /// Begins at a manifest or index that was read; that many `pieces` were
    /// counted before.
    ///
    /// # Errors
    /// `TooMany`.
    pub fn new(
        descriptor: Descriptor,
        document: Document,
        pieces: usize,
    ) -> Result<Self, WalkError> {
        let mut walk = Self {
            met: Vec::new(),
            todo: Vec::new(),
            asked: None,
            seen: BTreeSet::from([descriptor.digest]),
            pieces,
            bytes: 0,
        };
        walk.meet(descriptor, document, None)?;
        Ok(walk)
    }

    /// What to tell next; `None` where everything is known. Each manifest is
    /// wanted once, so that circles end.
    ///
    /// # Errors
    /// At the limits.
    pub fn want(&mut self) -> Result<Option<Want>, WalkError> {
        while let Some(step) = self.todo.pop() {
            match &step {
                Step::Child(_, descriptor) => {
                    if self.seen.insert(descriptor.digest) {
                        let want = Want::Document(descriptor.clone());
                        self.asked = Some(step);
                        return Ok(Some(want));
                    }
                }
                Step::Referrers(node) => {
                    let want = Want::Referrers(self.met[*node].node.descriptor.digest);
                    self.asked = Some(step);
                    return Ok(Some(want));
                }
                Step::Referrer(..) => self.referrer(step)?,
            }
        }
        Ok(None)
    }

    /// The document that was wanted.
    ///
    /// # Errors
    /// At the limits.
    pub fn document(&mut self, document: Document) -> Result<(), WalkError> {
        if let Some(Step::Child(parent, descriptor)) = self.asked.take() {
            self.meet(*descriptor, document, Some((parent, false)))?;
        }
        Ok(())
    }

    /// The referrers that were wanted.
    pub fn referrers(&mut self, found: Vec<Referring>) {
        if let Some(Step::Referrers(parent)) = self.asked.take() {
            let steps = found.into_iter().rev();
            self.todo
                .extend(steps.map(|one| Step::Referrer(parent, Box::new(one))));
        }
    }

    /// What was found.
    pub fn end(mut self) -> Node {
        loop {
            let Some(mut last) = self.met.pop() else {
                unreachable!("a walk begins with its root, and ends with it");
            };
            last.node.children.reverse();
            last.node.referrers.reverse();
            match last.parent {
                None => return last.node,
                Some((parent, about)) => {
                    let parent = &mut self.met[parent].node;
                    let list = if about {
                        &mut parent.referrers
                    } else {
                        &mut parent.children
                    };
                    list.push(last.node);
                }
            }
        }
    }

    fn referrer(&mut self, step: Step) -> Result<(), WalkError> {
        let Step::Referrer(parent, one) = step else {
            return Ok(());
        };
        let digest = one.descriptor.digest;
        match one.document {
            Ok(document) => {
                if self.seen.insert(digest) {
                    self.meet(one.descriptor, document, Some((parent, true)))?;
                    if let Some(met) = self.met.last_mut() {
                        met.node.legacy = one.legacy;
                    }
                }
            }
            Err(why) => self.met[parent].node.unreadable.push(Unreadable {
                digest,
                why: why.to_string(),
            }),
        }
        Ok(())
    }

    fn meet(
        &mut self,
        descriptor: Descriptor,
        document: Document,
        parent: Option<(usize, bool)>,
    ) -> Result<(), WalkError> {
        let depth = parent.map_or(0, |(at, _)| self.met[at].depth + 1);
        if depth > limits::INDEX_DEPTH {
            return Err(WalkError::TooDeep(descriptor.digest));
        }
        self.count(1)?;
        self.bytes = self.bytes.saturating_add(descriptor.size);
        if self.bytes > limits::CLOSURE_BYTES {
            return Err(WalkError::TooLarge);
        }
        let here = self.met.len();
        self.todo.push(Step::Referrers(here));
        let (mut blobs, mut elsewhere) = (Vec::new(), Vec::new());
        match &document {
            Document::Manifest(manifest) => {
                self.count(manifest.layers.len() + 1)?;
                blobs.push(Piece {
                    role: Role::Config,
                    descriptor: manifest.config.clone(),
                });
                for layer in &manifest.layers {
                    if may_lie_elsewhere(layer) {
                        elsewhere.push(layer.clone());
                        continue;
                    }
                    blobs.push(Piece {
                        role: Role::Layer,
                        descriptor: layer.clone(),
                    });
                }
            }
            Document::Index(index) => {
                let known = |child: &&Descriptor| {
                    media_type::is_manifest(&child.media_type)
                        || media_type::is_index(&child.media_type)
                };
                let others = index.manifests.iter().filter(|child| !known(child));
                blobs.extend(others.map(|descriptor| Piece {
                    role: Role::Entry,
                    descriptor: descriptor.clone(),
                }));
                self.count(blobs.len())?;
                let children = index.manifests.iter().filter(known).rev();
                self.todo
                    .extend(children.map(|child| Step::Child(here, Box::new(child.clone()))));
            }
        }
        self.met.push(Met {
            node: Node {
                descriptor,
                document,
                legacy: None,
                blobs,
                elsewhere,
                children: Vec::new(),
                referrers: Vec::new(),
                unreadable: Vec::new(),
            },
            depth,
            parent,
        });
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), WalkError> {
        self.pieces = self.pieces.saturating_add(more);
        if self.pieces > limits::CLOSURE {
            return Err(WalkError::TooMany);
        }
        Ok(())
    }
}

/// Where nothing says where else it lies, it is here or nowhere.
fn may_lie_elsewhere(layer: &Descriptor) -> bool {
    let urls = layer.other.get("urls").and_then(|urls| urls.as_array());
    media_type::is_elsewhere(&layer.media_type) && urls.is_some_and(|urls| !urls.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sha256;
    use crate::oci::Index;

    #[test]
    fn manifests_are_not_kept_without_end() {
        let of = |at: u64| {
            let digest = sha256(&at.to_be_bytes());
            Descriptor::new(media_type::INDEX, digest, limits::MANIFEST)
        };
        let empty = || Document::Index(Box::default());
        let root = Index {
            manifests: (1..200).map(of).collect(),
            ..Index::default()
        };
        let mut walk = Walk::new(of(0), Document::Index(Box::new(root)), 0).unwrap();
        let mut met = 1;
        let error = loop {
            match walk.want().unwrap() {
                Some(Want::Document(_)) => match walk.document(empty()) {
                    Ok(()) => met += 1,
                    Err(error) => break error,
                },
                Some(Want::Referrers(_)) => walk.referrers(Vec::new()),
                None => panic!("{met} of them were met"),
            }
        };
        assert_eq!(error, WalkError::TooLarge);
        assert_eq!(met * limits::MANIFEST, limits::CLOSURE_BYTES);
    }
}
