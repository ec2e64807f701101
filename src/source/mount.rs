//! Whether a path can be written through this process's mounts.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

/// Whether `path`, every mount inside it and every symlink on the way to it are
/// mounted read-only. `false` wherever that cannot be told.
///
/// Another process may see the same file system through a writable mount; who
/// can do that is for the operator's threat model.
pub fn is_read_only(path: &Path) -> bool {
    let Ok(real) = fs::canonicalize(path) else {
        return false;
    };
    if !links_are_read_only(path) {
        return false;
    }
    let Ok(mounts) = fs::read("/proc/self/mountinfo") else {
        return false;
    };
    let Some(mounts) = parse(&mounts) else {
        return false;
    };
    mounts
        .iter()
        .filter(|mount| mount.starts_with(&real))
        .chain(std::iter::once(&real))
        .all(|at| is_read_only_here(at))
}

/// Whether nobody can point the path elsewhere: each symlink among its parts
/// lies in a folder that is mounted read-only. A link that a link leads
/// through is not followed: it counts as writable.
fn links_are_read_only(path: &Path) -> bool {
    let Ok(whole) = std::path::absolute(path) else {
        return false;
    };
    whole.ancestors().all(|part| {
        if !part.is_symlink() {
            return true;
        }
        let direct = fs::read_link(part).is_ok_and(|target| {
            let lead = part.parent().unwrap_or(Path::new("/")).join(target);
            fs::canonicalize(&lead).is_ok_and(|real| Some(real) == std::path::absolute(&lead).ok())
        });
        direct && part.parent().is_some_and(is_read_only_here)
    })
}

fn is_read_only_here(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|vfs| vfs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The mount points in proc(5)'s `mountinfo`; `None` when a line is not of its form.
fn parse(mountinfo: &[u8]) -> Option<Vec<PathBuf>> {
    mountinfo
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let point = line.split(|b| *b == b' ').nth(4)?;
            Some(PathBuf::from(OsString::from_vec(unescape(point)?)))
        })
        .collect()
}

/// Space, tab, newline and backslash are written as `\` and three octal digits.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'\\' {
            out.push(*first);
            rest = tail;
            continue;
        }
        let digits = str::from_utf8(tail.get(..3)?).ok()?;
        out.push(u8::from_str_radix(digits, 8).ok()?);
        rest = &tail[3..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read() {
        let text = b"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 /x /mnt/a\\040b\\134 ro,relatime shared:1 - tmpfs t rw\n";
        assert_eq!(
            parse(text),
            Some(vec![PathBuf::from("/"), PathBuf::from("/mnt/a b\\")])
        );
        assert_eq!(parse(b"nonsense\n"), None);
        assert_eq!(parse(b"1 0 0:1 / /a\\04 rw\n"), None);
    }

    #[test]
    fn a_scratch_folder_is_writable_and_nowhere_is_not_read_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_read_only(dir.path()));
        assert!(!is_read_only(&dir.path().join("absent")));
    }
}
