//! Opening below a folder without leaving it, whatever lies there and
//! whoever renames it meanwhile.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;

/// As many symlinks as Linux follows on one path.
const MAX_LINKS: usize = 40;
/// Folders held open at once by [`steps`].
const MAX_OPEN: usize = 256;

/// Enough to look at something, without opening what is behind it.
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// For reading. `NONBLOCK` has no effect on a regular file; should a pipe
/// have taken the file's place since it was looked at, nothing hangs.
pub(super) const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// For listing a folder.
pub(super) const LIST: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// What becomes of symlinks on the way and at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// `LOOP`.
    Refuse,
    /// Followed below the base; `XDEV` where one leads out of it or is absolute.
    Follow,
}

/// Opens `path`, relative to `base` and never outside of it.
///
/// With [`Links::Refuse`] and [`LOOK`], a symlink at the end is `LOOP` too.
pub(super) fn open_below(
    base: BorrowedFd<'_>,
    path: &[u8],
    links: Links,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    // Absent before Linux 5.6, and forbidden (EPERM) by some container filters.
    static ABSENT: AtomicBool = AtomicBool::new(false);
    if !ABSENT.load(Ordering::Relaxed) {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if links == Links::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        match openat2(base, OsStr::from_bytes(path), flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => ABSENT.store(true, Ordering::Relaxed),
            // A rename raced with a "..": walked step by step there is no race.
            Err(Errno::AGAIN) => {}
            settled => return settled,
        }
    }
    steps(base, path, links, flags)
}

/// The same, one part at a time: `..` goes back to the folder that was passed,
/// never up in the file system.
pub(super) fn steps(
    base: BorrowedFd<'_>,
    path: &[u8],
    links: Links,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let mut pending: VecDeque<Vec<u8>> = VecDeque::new();
    prepend(&mut pending, path)?;
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut followed = 0;
    while let Some(part) = pending.pop_front() {
        let here = passed.last().map_or(base, AsFd::as_fd);
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                passed.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let name = OsStr::from_bytes(&part);
        let kind = FileType::from_raw_mode(statat(here, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if kind == FileType::Symlink {
            followed += 1;
            if links == Links::Refuse || followed > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            let target = rustix::fs::readlinkat(here, name, Vec::new())?;
            prepend(&mut pending, target.as_bytes())?;
            continue;
        }
        if pending.is_empty() {
            return openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty());
        }
        if passed.len() >= MAX_OPEN {
            return Err(Errno::LOOP);
        }
        let next = openat(
            here,
            name,
            LOOK | OFlags::DIRECTORY | OFlags::NOFOLLOW,
            Mode::empty(),
        )?;
        passed.push(next);
    }
    // The path ended at a folder that was passed, or at the base itself.
    let here = passed.last().map_or(base, AsFd::as_fd);
    openat(here, ".", flags, Mode::empty())
}

fn prepend(pending: &mut VecDeque<Vec<u8>>, path: &[u8]) -> Result<(), Errno> {
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    for part in path.split(|b| *b == b'/').rev() {
        pending.push_front(part.to_vec());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, fstat};

    use super::*;

    type Open = fn(BorrowedFd<'_>, &[u8], Links, OFlags) -> Result<OwnedFd, Errno>;
    const BOTH: [Open; 2] = [open_below, steps];

    fn scratch() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        fs::create_dir_all(base.join("a/b")).unwrap();
        fs::write(base.join("a/b/file"), "inside").unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        let fd = openat(CWD, &base, LIST, Mode::empty()).unwrap();
        (dir, fd)
    }

    #[test]
    fn links_inside_are_followed_and_links_out_are_not() {
        let (dir, base) = scratch();
        let at = |name: &str| dir.path().join("base").join(name);
        symlink("b/file", at("a/to-file")).unwrap();
        symlink("../a/b", at("a/to-dir")).unwrap();
        symlink("../secret", at("out")).unwrap();
        symlink("../../secret", at("a/out")).unwrap();
        symlink("to-dir/../../../secret", at("a/out2")).unwrap();
        symlink(dir.path().join("base/a/b/file"), at("absolute")).unwrap();
        symlink("self", at("self")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        let inside = fs::metadata(at("a/b/file")).unwrap();
        for open in BOTH {
            for path in [
                "a/b/file",
                "a/to-file",
                "a/to-dir/file",
                "a/to-dir/../b/file",
            ] {
                let fd = open(base.as_fd(), path.as_bytes(), Links::Follow, READ).unwrap();
                use std::os::unix::fs::MetadataExt;
                assert_eq!(fstat(&fd).unwrap().st_ino, inside.ino(), "{path}");
            }
            for (path, errno) in [
                ("out", Errno::XDEV),
                ("a/out", Errno::XDEV),
                ("a/out2", Errno::XDEV),
                ("../secret", Errno::XDEV),
                ("absolute", Errno::XDEV),
                ("/etc/passwd", Errno::XDEV),
                ("self", Errno::LOOP),
                ("dangling", Errno::NOENT),
                ("a/b/file/x", Errno::NOTDIR),
            ] {
                let found = open(base.as_fd(), path.as_bytes(), Links::Follow, READ);
                assert_eq!(found.unwrap_err(), errno, "{path}");
            }
            for path in ["a/to-file", "a/to-dir/file", "out"] {
                for flags in [READ, LOOK] {
                    let found = open(base.as_fd(), path.as_bytes(), Links::Refuse, flags);
                    assert_eq!(found.unwrap_err(), Errno::LOOP, "{path}");
                }
            }
        }
    }

    #[test]
    fn the_base_itself_opens() {
        let (_dir, base) = scratch();
        for open in BOTH {
            assert!(open(base.as_fd(), b".", Links::Follow, LIST).is_ok());
            assert!(open(base.as_fd(), b"a/..", Links::Follow, LIST).is_ok());
        }
    }
}
