//! A model on disk: every file in it, by descriptors, never led out of it.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::error::SourceError;
use super::file::{RegularFile, Stamp, kind, kind_name};
use super::mount;
use super::resolve::{LIST, LOOK, Links, open_below};
use super::walk::Walk;
use crate::model::files::Standing;
use crate::model::ignore::DEFAULT_SIGNATURE;
use crate::model::name;

/// What becomes of symlinks in a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// One refuses the model.
    #[default]
    Refuse,
    /// They are followed and never lead out of the model, as in a mounted ConfigMap.
    Inside,
    /// They are followed and never lead out of this folder, which holds the
    /// model: a model hub's cache keeps the bytes in `blobs/` beside `snapshots/`.
    Within(PathBuf),
}

/// How a model is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeOptions {
    /// What becomes of symlinks.
    pub symlinks: Symlinks,
    /// Signature files and other evidence inside the model, relative to it:
    /// no part of it, and not asked to be covered by a signature.
    pub evidence: Vec<String>,
}

impl Default for TreeOptions {
    /// Symlinks refused, [`DEFAULT_SIGNATURE`] for evidence.
    fn default() -> Self {
        Self {
            symlinks: Symlinks::Refuse,
            evidence: vec![DEFAULT_SIGNATURE.to_owned()],
        }
    }
}

/// One file found in a model.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path inside the model, or [`name::SINGLE`] where the model is one file.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// What it counts as.
    pub standing: Standing,
    /// Whether anybody may execute it.
    pub executable: bool,
    /// Whether it was reached through a symlink.
    pub linked: bool,
    /// Whether it can be read at all. Only below an ignored path may something
    /// else be listed, a link or a pipe: it is never opened, hashed or copied.
    pub regular: bool,
    pub(super) stamp: Stamp,
}

/// A model found on disk: a folder's files as they were listed, or one file.
///
/// The list holds every file, also what signers ignore. Nothing was read yet;
/// [`Tree::hash`] and [`super::stage::copy_into`] read, and notice any file
/// that is no longer the one listed.
#[derive(Debug)]
pub struct Tree {
    pub(super) base: OwnedFd,
    base_path: PathBuf,
    /// From the base to the model; empty where they are the same.
    prefix: Vec<u8>,
    root: PathBuf,
    links: Links,
    single: bool,
    entries: Vec<Entry>,
}

impl Tree {
    /// Lists the model at `path`: a folder, or one file.
    ///
    /// # Errors
    /// `Symlink`, `Escapes`, `Dangling`, `Loop` for symlinks as the options
    /// have it, `path` itself included; `NotRegular` for pipes, devices and
    /// sockets, unopened; `Name` for names with two readings; `TooMany`,
    /// `Empty`; `Io` where something may not be read.
    pub fn open(path: &Path, options: &TreeOptions) -> Result<Self, SourceError> {
        // Without a final slash, which would follow a symlink that is refused.
        let path = path.components().as_path();
        let mut tree = match &options.symlinks {
            Symlinks::Refuse => Self::unlinked(path)?,
            Symlinks::Inside => Self::linked(path, None)?,
            Symlinks::Within(root) => Self::linked(path, Some(root))?,
        };
        let entries = Walk::new(&tree, &options.evidence).run()?;
        if entries.is_empty() {
            return Err(SourceError::Empty(path.to_owned()));
        }
        tree.entries = entries;
        Ok(tree)
    }

    fn unlinked(path: &Path) -> Result<Self, SourceError> {
        let open = SourceError::io("open", path);
        let look = openat(CWD, path, LOOK | OFlags::NOFOLLOW, Mode::empty()).map_err(open)?;
        let stat = fstat(&look).map_err(SourceError::io("read", path))?;
        match kind(&stat) {
            FileType::Directory => {
                let base = openat(&look, ".", LIST, Mode::empty())
                    .map_err(SourceError::io("open", path))?;
                Ok(Self::at(base, path, Vec::new(), path, Links::Refuse, false))
            }
            FileType::RegularFile => Self::file(path, path, Links::Refuse),
            FileType::Symlink => Err(SourceError::Symlink(path.to_owned())),
            other => Err(SourceError::NotRegular {
                path: path.to_owned(),
                kind: kind_name(other),
            }),
        }
    }

    fn linked(path: &Path, within: Option<&Path>) -> Result<Self, SourceError> {
        let real = canonical(path)?;
        let is_folder = fs::metadata(&real).map(|m| m.is_dir()).unwrap_or(false);
        let (base_path, prefix) = match within {
            Some(within) => {
                let within = canonical(within)?;
                let Ok(prefix) = real.strip_prefix(&within) else {
                    return Err(SourceError::NotWithin {
                        path: path.to_owned(),
                        root: within,
                    });
                };
                let prefix = prefix.as_os_str().as_bytes().to_vec();
                (within, prefix)
            }
            None if is_folder => (real, Vec::new()),
            None => return Self::file(&real, path, Links::Follow),
        };
        let base = openat(CWD, &base_path, LIST, Mode::empty())
            .map_err(SourceError::io("open", &base_path))?;
        Ok(Self::at(
            base,
            &base_path,
            prefix,
            path,
            Links::Follow,
            !is_folder,
        ))
    }

    fn file(real: &Path, shown: &Path, links: Links) -> Result<Self, SourceError> {
        let name = real.file_name().unwrap_or_default();
        let parent = match real.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let base = openat(CWD, parent, LOOK | OFlags::DIRECTORY, Mode::empty())
            .map_err(SourceError::io("open", parent))?;
        Ok(Self::at(
            base,
            parent,
            name.as_bytes().to_vec(),
            shown,
            links,
            true,
        ))
    }

    fn at(
        base: OwnedFd,
        base_path: &Path,
        prefix: Vec<u8>,
        root: &Path,
        links: Links,
        single: bool,
    ) -> Self {
        Self {
            base,
            base_path: base_path.to_owned(),
            prefix,
            root: root.to_owned(),
            links,
            single,
            entries: Vec::new(),
        }
    }

    /// Every file, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the model is one file.
    pub const fn is_single_file(&self) -> bool {
        self.single
    }

    /// Whether symlinks are followed.
    pub fn follows_symlinks(&self) -> bool {
        self.links == Links::Follow
    }

    /// Where it is, as the operator named it.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The last part of its path: what model-signing takes for its name.
    pub fn name(&self) -> String {
        let named = match self.root.components().next_back() {
            Some(Component::Normal(name)) => name.to_owned(),
            _ => fs::canonicalize(&self.root)
                .ok()
                .and_then(|real| real.file_name().map(OsStr::to_owned))
                .unwrap_or_default(),
        };
        named.to_string_lossy().into_owned()
    }

    /// Size of all files together, in bytes.
    pub fn size(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |sum, e| sum.saturating_add(e.size))
    }

    /// Whether nothing in it can change through the paths it was read by: it,
    /// every mount inside it and whatever its symlinks may lead to are mounted
    /// read-only. `false` wherever that cannot be told.
    pub fn is_on_read_only_mounts(&self) -> bool {
        let at = |path: &Path| mount::is_read_only(path);
        at(&self.root) && (self.links == Links::Refuse || at(&self.base_path))
    }

    /// Opens a listed file.
    ///
    /// # Errors
    /// `Changed` where it is no longer the file that was listed; `Io`.
    pub fn open_entry(&self, entry: &Entry) -> Result<RegularFile, SourceError> {
        let below = self.below(&entry.path);
        let shown = self.shown(&entry.path);
        let open = |flags| open_below(self.base.as_fd(), &below, self.links, flags);
        let gone = |errno: Errno| match errno {
            Errno::LOOP | Errno::XDEV | Errno::NOENT | Errno::NOTDIR => {
                SourceError::Changed(shown.clone())
            }
            other => SourceError::io("open", &shown)(other),
        };
        let look = open(LOOK).map_err(gone)?;
        let file = RegularFile::settle(&look, &shown, open)?;
        if file.stamp() == entry.stamp {
            Ok(file)
        } else {
            Err(SourceError::Changed(shown))
        }
    }

    pub(super) const fn links(&self) -> Links {
        self.links
    }

    pub(super) fn base_path(&self) -> &Path {
        &self.base_path
    }

    /// The path of a file of the model, relative to the base.
    pub(super) fn below(&self, path: &str) -> Vec<u8> {
        let mut below = self.prefix.clone();
        if path != name::SINGLE {
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(path.as_bytes());
        }
        if below.is_empty() {
            below.push(b'.');
        }
        below
    }

    /// The path of a file of the model as a person would write it.
    pub(super) fn shown(&self, path: &str) -> PathBuf {
        if path == name::SINGLE {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }
}

/// The place of `file` inside the model at `model`, where it lies inside; for
/// [`TreeOptions::evidence`].
pub fn place_inside(model: &Path, file: &Path) -> Option<String> {
    let model = fs::canonicalize(model).ok()?;
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let place = fs::canonicalize(parent).ok()?.join(file.file_name()?);
    let place = place.strip_prefix(model).ok()?.to_str()?;
    name::check(place).ok()?;
    Some(place.to_owned())
}

fn canonical(path: &Path) -> Result<PathBuf, SourceError> {
    fs::canonicalize(path).map_err(|source| SourceError::Io {
        action: "open",
        path: path.to_owned(),
        source,
    })
}
