//! A folder of one test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::Obreia;

/// A temporary folder, removed with the last handle to it. `work/` is where
/// commands run, `home/` is what they take for the user's.
#[derive(Clone)]
pub(crate) struct Scratch {
    root: Arc<TempDir>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("obreia-it-")
            .tempdir()
            .expect("a scratch folder");
        fs::create_dir(root.path().join("work")).expect("work/");
        fs::create_dir(root.path().join("home")).expect("home/");
        Self {
            root: Arc::new(root),
        }
    }

    /// The folder that commands run in.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// What commands see as `HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn join(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.path().join(relative)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(relative);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).unwrap_or_else(|e| panic!("{}: {e}", above.display()));
        }
        fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    pub(crate) fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let path = self.join(relative);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub(crate) fn read_text(&self, relative: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(relative)).expect("UTF-8")
    }

    /// Every file and symlink under the working folder, relative, sorted: for
    /// asserting that a refusal left nothing behind.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.path(), &self.path(), &mut found);
        found.sort();
        found
    }

    /// The binary, to be run in this folder.
    pub(crate) fn obreia(&self) -> Obreia {
        Obreia::in_scratch(self)
    }
}

fn list(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let entry = entry.expect("a folder entry");
        if entry.file_type().expect("its type").is_dir() {
            list(root, &entry.path(), found);
        } else {
            let path = entry.path();
            let relative = path.strip_prefix(root).expect("below the root");
            found.push(relative.to_string_lossy().into_owned());
        }
    }
}

#[test]
fn files_lists_what_is_there_and_nothing_else() {
    let scratch = Scratch::new();
    assert!(scratch.files().is_empty());
    scratch.write("b/c.txt", "x");
    scratch.write("a.txt", "y");
    assert_eq!(scratch.files(), ["a.txt", "b/c.txt"]);
}

#[test]
fn two_scratch_folders_are_never_the_same() {
    assert_ne!(Scratch::new().path(), Scratch::new().path());
}
