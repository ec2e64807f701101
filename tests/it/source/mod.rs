//! Artifacts on disk, through the library: what is refused, what is hashed, what is copied.

mod file;
mod links;
mod stage;
mod swapped;
mod tree;

use std::path::Path;

use obreia::model::files::{self, HashRequest, HashedFile};
use obreia::source::SourceError;
use obreia::source::tree::{Tree, TreeOptions};

pub(super) fn open(path: impl AsRef<Path>) -> Result<Tree, SourceError> {
    Tree::open(path.as_ref(), &TreeOptions::default())
}

pub(super) fn hashed(path: impl AsRef<Path>) -> Vec<HashedFile> {
    open(path)
        .unwrap()
        .hash(&HashRequest::whole(), &())
        .unwrap()
}

pub(super) fn identity(path: impl AsRef<Path>) -> String {
    files::identity(&hashed(path)).unwrap().to_string()
}

pub(super) fn paths(tree: &Tree) -> Vec<&str> {
    tree.entries().iter().map(|e| e.path.as_str()).collect()
}

/// Makes a named pipe. Whoever opened it for reading would wait for a writer for ever.
pub(crate) fn pipe(at: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, at, FileType::Fifo, Mode::RWXU, 0).unwrap();
}
