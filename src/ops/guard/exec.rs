//! Becoming the guarded command.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

use super::Guarded;
use crate::digest::{Algorithm, Digest};
use crate::ops::{Exit, Failure};
use crate::source::file::RegularFile;

/// A program that lies inside a guarded target.
struct Inside {
    /// The file to run: in the copy, where one was made.
    path: PathBuf,
    /// What was verified; `None` where no counted signature covers it.
    digest: Option<Digest>,
}

/// Replaces this process by `command`: same process id, its own signals and
/// exit code. Comes back only where that failed.
///
/// A program inside a guarded target, by whatever path it is named, is opened
/// first (in the copy, where one was made), hashed through that descriptor,
/// compared with what was verified and run through the same descriptor, so
/// that a file put in its place meanwhile is not what runs. `search` is where
/// a bare word is looked for: the value of `PATH`.
///
/// # Errors
/// Where the program cannot be found, is not what was verified, or cannot be run.
pub fn exec(
    command: &[OsString],
    guarded: &[Guarded],
    search: Option<&OsStr>,
) -> Result<Infallible, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::new(Exit::Usage, "there is no command to run"));
    };
    let path = find(program, search)?;
    let mut inside = None;
    for target in guarded {
        if let Some(found) = target.inside(&path)? {
            inside = Some(found);
            break;
        }
    }
    let (run, _held) = match inside {
        None => (path.into_os_string(), None),
        Some(inside) => {
            let fd = verified_descriptor(&inside)?;
            (format!("/proc/self/fd/{}", fd.as_raw_fd()).into(), Some(fd))
        }
    };
    let refused = Command::new(run).arg0(program).args(arguments).exec();
    Err(Failure::new(
        Exit::Undetermined,
        format!("cannot run {}", Path::new(program).display()),
    )
    .cause(refused))
}

/// The program's path. A bare word is looked up here and not left to the
/// system, so that what is run is what was compared with the targets.
fn find(program: &OsStr, search: Option<&OsStr>) -> Result<PathBuf, Failure> {
    let path = Path::new(program);
    let missing = |cause: String| {
        Failure::new(
            Exit::Undetermined,
            format!("cannot find {}", path.display()),
        )
        .cause(cause)
    };
    if path.components().count() > 1 || path.is_absolute() || program.is_empty() {
        return match path.metadata() {
            Ok(_) => Ok(path.to_owned()),
            Err(e) => Err(missing(e.to_string())),
        };
    }
    let folders = search.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    std::env::split_paths(folders)
        .map(|folder| folder.join(path))
        .find(|candidate| {
            candidate
                .metadata()
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| missing("it is in no folder of PATH".to_owned()))
}

fn verified_descriptor(inside: &Inside) -> Result<OwnedFd, Failure> {
    let changed = || {
        Failure::new(
            Exit::Denied,
            format!("{} is not what was verified", inside.path.display()),
        )
        .hint("it was changed after the verdict, or no signature that counts covers it; use --into, or a read-only mount")
    };
    let wanted = inside.digest.ok_or_else(changed)?;
    let file = RegularFile::open(&inside.path)?;
    let found = file.hash(&[Algorithm::Sha256], &())?;
    if found.first() != Some(&wanted) {
        return Err(changed());
    }
    let fd = OwnedFd::from(file.into_file());
    fcntl_setfd(&fd, FdFlags::empty()).map_err(|e| {
        Failure::new(Exit::Undetermined, "cannot keep the program's descriptor").cause(e)
    })?;
    Ok(fd)
}

impl Guarded {
    /// The file of this target that `program` is, by any of its names: as
    /// written, with its folder's links followed, or with all links followed;
    /// below the target as named, below what that leads to, or below the copy.
    fn inside(&self, program: &Path) -> Result<Option<Inside>, Failure> {
        let mut names = vec![plain(program)?, real(program)?];
        if let (Some(folder), Some(file)) = (program.parent(), program.file_name()) {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            names.push(real(folder)?.join(file));
        }
        let mut roots = vec![plain(&self.target)?, real(&self.target)?];
        if let Some(copy) = &self.copy {
            roots.push(plain(copy)?);
            roots.push(real(copy)?);
        }
        for name in &names {
            for root in &roots {
                if let Ok(relative) = name.strip_prefix(root) {
                    return Ok(Some(self.file(relative)));
                }
            }
        }
        Ok(None)
    }

    fn file(&self, relative: &Path) -> Inside {
        let root = self.copy.as_ref().unwrap_or(&self.target);
        if relative.as_os_str().is_empty() {
            return Inside {
                path: root.clone(),
                digest: self.whole,
            };
        }
        Inside {
            path: root.join(relative),
            digest: relative
                .to_str()
                .and_then(|name| self.files.get(name))
                .copied(),
        }
    }
}

/// The path as written, from the root.
fn plain(path: &Path) -> Result<PathBuf, Failure> {
    absolute(path).map_err(|e| not_found(path, e))
}

/// The path with every link followed.
fn real(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|e| not_found(path, e))
}

fn not_found(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(
        Exit::Undetermined,
        format!("cannot find {}", path.display()),
    )
    .cause(error)
}
