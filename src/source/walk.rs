//! Listing a model's files.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::error::SourceError;
use super::file::{Stamp, kind, kind_name};
use super::resolve::{LIST, LOOK, Links, open_below};
use super::tree::{Entry, Tree};
use crate::limits;
use crate::model::files::Standing;
use crate::model::ignore::IgnoreRules;
use crate::model::name::{self, NameError};

/// The link that a Kubernetes volume (ConfigMap, Secret, projected) turns to
/// its present folder, whose name begins with two dots too.
const VOLUME_DATA: &str = "..data";

pub(super) struct Walk<'a> {
    tree: &'a Tree,
    evidence: BTreeSet<&'a str>,
    ignore: IgnoreRules,
    entries: Vec<Entry>,
    seen: usize,
    /// Device and inode of the folders that are being listed, outermost first.
    above: Vec<(u64, u64)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tree: &'a Tree, evidence: &'a [String]) -> Self {
        Self {
            tree,
            evidence: evidence.iter().map(String::as_str).collect(),
            ignore: IgnoreRules::defaults(),
            entries: Vec::new(),
            seen: 0,
            above: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Vec<Entry>, SourceError> {
        if self.tree.is_single_file() {
            let fd = self.open(name::SINGLE, LOOK, self.tree.path())?;
            let stat = fstat(&fd).map_err(SourceError::io("read", self.tree.path()))?;
            if kind(&stat) != FileType::RegularFile {
                return Err(not_regular(self.tree.path(), &stat));
            }
            self.add(name::SINGLE.to_owned(), &stat, false);
        } else {
            let root = self.open(name::SINGLE, LIST, self.tree.path())?;
            self.root(&root)?;
        }
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.entries)
    }

    /// The model's own folder. Where it is a Kubernetes volume, its files are
    /// those that its links show; what lies in the folder behind them and is
    /// shown by no link is listed under its own name.
    fn root(&mut self, folder: &OwnedFd) -> Result<(), SourceError> {
        let behind = match self.tree.links() {
            Links::Follow => volume_folder(folder),
            Links::Refuse => None,
        };
        let Some(behind) = behind else {
            return self.folder(folder, "", 1, &|_| false);
        };
        self.folder(folder, "", 1, &|name| name == VOLUME_DATA || name == behind)?;
        let shown: HashSet<(u64, u64)> = self
            .entries
            .iter()
            .map(|e| (e.stamp.device, e.stamp.inode))
            .collect();
        let first = self.entries.len();
        self.folder(folder, "", 1, &|name| name != behind)?;
        let hidden = self.entries.split_off(first);
        let hidden = hidden
            .into_iter()
            .filter(|e| !shown.contains(&(e.stamp.device, e.stamp.inode)));
        self.entries.extend(hidden);
        Ok(())
    }

    fn folder(
        &mut self,
        folder: &OwnedFd,
        at: &str,
        depth: usize,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<(), SourceError> {
        let shown = self
            .tree
            .shown(if at.is_empty() { name::SINGLE } else { at });
        let stat = fstat(folder).map_err(SourceError::io("read", &shown))?;
        let identity = (Stamp::of(&stat).device, Stamp::of(&stat).inode);
        if self.above.contains(&identity) {
            return Err(SourceError::Loop(shown));
        }
        self.above.push(identity);
        for name in self.names(folder, &shown)? {
            if skip(&name) {
                continue;
            }
            let path = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}/{name}")
            };
            self.found(folder, &name, path, depth)?;
        }
        self.above.pop();
        Ok(())
    }

    /// The names in a folder, sorted, each one refused that has two readings.
    fn names(&mut self, folder: &OwnedFd, shown: &Path) -> Result<Vec<String>, SourceError> {
        let list = |errno: Errno| SourceError::io("list", shown)(errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(list)? {
            let entry = entry.map_err(list)?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            self.seen += 1;
            if self.seen > limits::MODEL_FILES {
                return Err(SourceError::TooMany(self.tree.path().to_owned()));
            }
            let checked = str::from_utf8(bytes)
                .map_err(|_| NameError::NotUtf8)
                .and_then(|name| name::check(name).map(|()| name));
            match checked {
                Ok(name) => names.push(name.to_owned()),
                Err(error) => {
                    let readable = String::from_utf8_lossy(bytes).escape_debug().to_string();
                    return Err(SourceError::Name {
                        path: shown.join(readable),
                        error,
                    });
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn found(
        &mut self,
        folder: &OwnedFd,
        name: &str,
        path: String,
        depth: usize,
    ) -> Result<(), SourceError> {
        let shown = self.tree.shown(&path);
        if let Err(error @ (NameError::TooDeep(_) | NameError::TooLong(_))) = name::check(&path) {
            return Err(SourceError::Name { path: shown, error });
        }
        let stat =
            statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| match errno {
                Errno::NOENT => SourceError::Changed(shown.clone()),
                other => SourceError::io("read", &shown)(other),
            })?;
        match kind(&stat) {
            FileType::RegularFile => self.add(path, &stat, false),
            FileType::Directory => {
                let next = openat(folder, name, LIST | OFlags::NOFOLLOW, Mode::empty())
                    .map_err(SourceError::io("open", &shown))?;
                self.folder(&next, &path, depth + 1, &|_| false)?;
            }
            // What nobody signs is listed, never followed and never opened.
            _ if self.ignore.covers(&path) => self.add(path, &stat, false),
            FileType::Symlink if self.tree.links() == Links::Refuse => {
                return Err(SourceError::Symlink(shown));
            }
            FileType::Symlink => self.linked(folder, name, path, depth, &shown)?,
            _ => return Err(not_regular(&shown, &stat)),
        }
        Ok(())
    }

    fn linked(
        &mut self,
        folder: &OwnedFd,
        name: &str,
        path: String,
        depth: usize,
        shown: &Path,
    ) -> Result<(), SourceError> {
        let below = self.tree.below(&path);
        let look = open_below(self.tree.base.as_fd(), &below, Links::Follow, LOOK);
        let look = look.map_err(|errno| {
            let target = readlinkat(folder, name, Vec::new()).map_or_else(
                |_| PathBuf::from("?"),
                |t| PathBuf::from(OsStr::from_bytes(t.as_bytes())),
            );
            let path = shown.to_owned();
            match errno {
                Errno::XDEV => SourceError::Escapes {
                    path,
                    target,
                    root: self.tree.base_path().to_owned(),
                },
                Errno::NOENT | Errno::LOOP | Errno::NOTDIR => {
                    SourceError::Dangling { path, target }
                }
                other => SourceError::io("open", path)(other),
            }
        })?;
        let stat = fstat(&look).map_err(SourceError::io("read", shown))?;
        match kind(&stat) {
            FileType::RegularFile => self.add(path, &stat, true),
            FileType::Directory => {
                let next = openat(&look, ".", LIST, Mode::empty())
                    .map_err(SourceError::io("open", shown))?;
                self.folder(&next, &path, depth + 1, &|_| false)?;
            }
            _ => return Err(not_regular(shown, &stat)),
        }
        Ok(())
    }

    fn add(&mut self, path: String, stat: &Stat, linked: bool) {
        let stamp = Stamp::of(stat);
        let standing = if self.evidence.contains(path.as_str()) {
            Standing::Evidence
        } else if self.ignore.covers(&path) {
            Standing::Ignored
        } else {
            Standing::Content
        };
        self.entries.push(Entry {
            path,
            size: stamp.size,
            standing,
            executable: stat.st_mode & 0o111 != 0,
            linked,
            regular: kind(stat) == FileType::RegularFile,
            stamp,
        });
    }

    fn open(&self, path: &str, flags: OFlags, shown: &Path) -> Result<OwnedFd, SourceError> {
        let below = self.tree.below(path);
        open_below(self.tree.base.as_fd(), &below, self.tree.links(), flags)
            .map_err(SourceError::io("open", shown))
    }
}

/// The folder behind a Kubernetes volume's links, where `folder` is one.
fn volume_folder(folder: &OwnedFd) -> Option<String> {
    let target = readlinkat(folder, VOLUME_DATA, Vec::new()).ok()?;
    let target = target.to_str().ok()?;
    let plain = target.starts_with("..") && target != ".." && !target.contains('/');
    let stat = statat(folder, target, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    (plain && kind(&stat) == FileType::Directory).then(|| target.to_owned())
}

fn not_regular(path: &Path, stat: &Stat) -> SourceError {
    SourceError::NotRegular {
        path: path.to_owned(),
        kind: kind_name(kind(stat)),
    }
}
