//! A private copy of a model, hashed while it is copied: what was verified is
//! what is used, whatever happens to the original.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, linkat, mkdirat, openat};
use rustix::fs::{renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::error::SourceError;
use super::hash::{hash_and, in_parallel};
use super::progress::Progress;
use super::resolve::{LIST, LOOK, Links, open_below};
use super::tree::{Entry, Tree};
use crate::model::files::{HashRequest, HashedFile};
use crate::model::name;

/// A complete copy that is not in its place yet. Dropped without
/// [`Staged::commit`], it is removed.
#[derive(Debug)]
pub struct Staged {
    folder: tempfile::TempDir,
    folder_fd: OwnedFd,
    parent_fd: OwnedFd,
    name: OsString,
    place: PathBuf,
    single: bool,
}

/// Copies every file of `tree` to a private folder beside `place`, and hashes
/// the very bytes that it writes.
///
/// The copy has regular files and folders only, with mode 0600 and 0700, or
/// 0700 for files that anybody may execute; links have become what they lead
/// to; empty folders are left out, and what is no file below an ignored path. Everything is on the disk when this returns.
///
/// # Errors
/// `Exists` where `place` is taken; `InsideSource`; `Io` with the path for
/// whatever cannot be written, a full disk for one; otherwise as [`Tree::hash`].
/// After an error nothing is left behind.
pub fn copy_into(
    tree: &Tree,
    place: &Path,
    request: &HashRequest,
    progress: &dyn Progress,
) -> Result<(Staged, Vec<HashedFile>), SourceError> {
    let staged = Staged::new(tree, place)?;
    for size in &request.shard_sizes {
        tree.check_shards(*size)?;
    }
    let folders = staged.make_folders(tree)?;
    let (indexes, sizes): (Vec<_>, Vec<_>) = tree
        .entries()
        .iter()
        .enumerate()
        .filter(|(_, e)| e.regular)
        .map(|(index, e)| (index, e.size))
        .unzip();
    let done = in_parallel(&sizes, |index, buffer| {
        let entry = &tree.entries()[indexes[index]];
        let wanted = request
            .wants(&entry.path, entry.standing)
            .then_some(request);
        let from = tree.open_entry(entry)?;
        let mut to = staged.create(entry)?;
        let failed = |source| SourceError::Io {
            action: "write",
            path: staged.final_path(&entry.path),
            source,
        };
        let digests = hash_and(&from, wanted, buffer, progress, |bytes| {
            to.write_all(bytes).map_err(failed)
        })?;
        to.sync_data().map_err(failed)?;
        Ok(digests)
    })?;
    let mut hashed = tree.unhashed();
    for (index, (whole, shards)) in indexes.into_iter().zip(done) {
        (hashed[index].sha256, hashed[index].shards) = (whole, shards);
    }
    staged.sync_folders(&folders)?;
    Ok((staged, hashed))
}

impl Staged {
    fn new(tree: &Tree, place: &Path) -> Result<Self, SourceError> {
        let place = place.components().as_path();
        let write = |source| SourceError::Io {
            action: "write",
            path: place.to_owned(),
            source,
        };
        let Some(name) = place.file_name() else {
            return Err(SourceError::Exists(place.to_owned()));
        };
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent_fd =
            openat(CWD, parent, LIST, Mode::empty()).map_err(SourceError::io("open", parent))?;
        match statat(&parent_fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(SourceError::Exists(place.to_owned())),
            Err(errno) => return Err(write(errno.into())),
        }
        let inside = parent
            .canonicalize()
            .and_then(|p| Ok(p.starts_with(tree.path().canonicalize()?)))
            .map_err(write)?;
        if inside {
            return Err(SourceError::InsideSource {
                path: place.to_owned(),
                source_root: tree.path().to_owned(),
            });
        }
        let folder = tempfile::Builder::new()
            .prefix(".obreia-into-")
            // Stated, or the process's umask would decide who may write into the copy.
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(write)?;
        // Made with mode 0700 and opened through the parent that was opened above.
        let own = folder.path().file_name().unwrap_or_default();
        let folder_fd = openat(&parent_fd, own, LIST | OFlags::NOFOLLOW, Mode::empty())
            .map_err(SourceError::io("open", folder.path()))?;
        Ok(Self {
            folder,
            folder_fd,
            parent_fd,
            name: name.to_owned(),
            place: place.to_owned(),
            single: tree.is_single_file(),
        })
    }

    /// Where the copy is for now; only this user may look.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Puts the copy into its place, in one step, and returns the place.
    ///
    /// # Errors
    /// `Exists` where something has come to stand there since; `Io`. The copy is removed then.
    pub fn commit(self) -> Result<PathBuf, SourceError> {
        let (from, to, name) = (&self.folder_fd, &self.parent_fd, &self.name);
        let moved = match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
            // Not every file system knows how to refuse to replace.
            Err(Errno::INVAL | Errno::NOSYS) if self.single => {
                linkat(from, name, to, name, AtFlags::empty())
                    .and_then(|()| unlinkat(from, name, AtFlags::empty()))
            }
            Err(Errno::INVAL | Errno::NOSYS) => match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => renameat(from, name, to, name),
                Ok(_) => Err(Errno::EXIST),
                Err(errno) => Err(errno),
            },
            moved => moved,
        };
        match moved {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                return Err(SourceError::Exists(self.place.clone()));
            }
            Err(errno) => return Err(SourceError::io("write", &self.place)(errno)),
        }
        fsync(to).map_err(SourceError::io("write", &self.place))?;
        Ok(self.place.clone())
    }

    /// Makes the folders that the files need, outermost first, and returns them.
    fn make_folders(&self, tree: &Tree) -> Result<Vec<String>, SourceError> {
        let mut folders = BTreeSet::new();
        if !self.single {
            folders.insert(String::new());
        }
        for entry in tree.entries() {
            for (end, _) in entry.path.match_indices('/') {
                folders.insert(entry.path[..end].to_owned());
            }
        }
        for folder in &folders {
            let (parent, name) = self.split(folder);
            self.open_folder(&parent)
                .and_then(|fd| mkdirat(fd, name.as_os_str(), Mode::RWXU))
                .map_err(SourceError::io("write", self.final_path(folder)))?;
        }
        Ok(folders.into_iter().collect())
    }

    fn create(&self, entry: &Entry) -> Result<File, SourceError> {
        let (parent, name) = self.split(&entry.path);
        let mode = if entry.executable {
            Mode::RWXU
        } else {
            Mode::RUSR | Mode::WUSR
        };
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.open_folder(&parent)
            .and_then(|fd| openat(fd, name.as_os_str(), flags, mode))
            .map(File::from)
            .map_err(SourceError::io("write", self.final_path(&entry.path)))
    }

    fn sync_folders(&self, folders: &[String]) -> Result<(), SourceError> {
        for folder in folders {
            let mut at = PathBuf::from(&self.name);
            if !folder.is_empty() {
                at.push(folder);
            }
            open_below(
                self.folder_fd.as_fd(),
                at.as_os_str().as_encoded_bytes(),
                Links::Refuse,
                LIST,
            )
            .and_then(fsync)
            .map_err(SourceError::io("write", self.final_path(folder)))?;
        }
        fsync(&self.folder_fd).map_err(SourceError::io("write", &self.place))
    }

    /// The folder, relative to the private one, and the name in it, of a path of the model.
    fn split(&self, path: &str) -> (PathBuf, OsString) {
        if path.is_empty() || path == name::SINGLE {
            return (PathBuf::from("."), self.name.clone());
        }
        let at = Path::new(&self.name).join(path);
        let parent = at.parent().unwrap_or_else(|| Path::new("."));
        (
            parent.to_owned(),
            at.file_name().unwrap_or_default().to_owned(),
        )
    }

    fn open_folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = LOOK | OFlags::DIRECTORY;
        let bytes = path.as_os_str().as_encoded_bytes();
        open_below(self.folder_fd.as_fd(), bytes, Links::Refuse, flags)
    }

    /// The path of a file of the model when it is in its place.
    fn final_path(&self, path: &str) -> PathBuf {
        if path.is_empty() || path == name::SINGLE {
            self.place.clone()
        } else {
            self.place.join(path)
        }
    }
}
