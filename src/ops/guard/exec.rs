//! Becoming the guarded command.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

use super::{Guarded, Inside};
use crate::digest::Algorithm;
use crate::ops::{Exit, Failure};
use crate::source::file::RegularFile;

/// Replaces this process by `command`: same process id, its own signals and
/// exit code. Comes back only where that failed.
///
/// A program that lies inside a guarded target is opened first, hashed through
/// that descriptor, compared with what was verified and run through the same
/// descriptor, so that a file put in its place meanwhile is not what runs.
///
/// # Errors
/// Where the program cannot be found, is not what was verified, or cannot be run.
pub fn exec(command: &[OsString], guarded: &[Guarded]) -> Result<Infallible, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::new(Exit::Usage, "there is no command to run"));
    };
    let failed = |e: std::io::Error| {
        Failure::new(
            Exit::Undetermined,
            format!("cannot run {}", Path::new(program).display()),
        )
        .cause(e)
    };
    let inside = locate(program, guarded)?;
    let (run, _held) = match inside {
        None => (program.clone(), None),
        Some(inside) => {
            let fd = verified_descriptor(&inside)?;
            (format!("/proc/self/fd/{}", fd.as_raw_fd()).into(), Some(fd))
        }
    };
    Err(failed(
        Command::new(run).arg0(program).args(arguments).exec(),
    ))
}

/// The guarded file that the program is, if it is one.
fn locate(program: &OsString, guarded: &[Guarded]) -> Result<Option<Inside>, Failure> {
    let path = Path::new(program);
    // A bare word is looked up in PATH, which is not part of any target.
    if path.components().count() < 2 && !path.is_absolute() {
        return Ok(None);
    }
    let real = path.canonicalize().map_err(|e| {
        Failure::new(
            Exit::Undetermined,
            format!("cannot find {}", path.display()),
        )
        .cause(e)
    })?;
    for target in guarded {
        if let Some(inside) = target.inside(&real)? {
            return Ok(Some(inside));
        }
    }
    Ok(None)
}

fn verified_descriptor(inside: &Inside) -> Result<OwnedFd, Failure> {
    let changed = || {
        Failure::new(
            Exit::Denied,
            format!("{} is not what was verified", inside.path.display()),
        )
        .hint("it was changed after the verdict, or no signature covers it; use --into, or a read-only mount")
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
    /// The file of this target at the canonical path `real`.
    fn inside(&self, real: &Path) -> Result<Option<Inside>, Failure> {
        let root: PathBuf = self.place.canonicalize().map_err(|e| {
            Failure::new(
                Exit::Undetermined,
                format!("cannot find {}", self.place.display()),
            )
            .cause(e)
        })?;
        let Ok(relative) = real.strip_prefix(&root) else {
            return Ok(None);
        };
        let digest = if relative.as_os_str().is_empty() {
            self.whole
        } else {
            relative.to_str().and_then(|name| {
                self.files
                    .iter()
                    .find(|f| f.path == name)
                    .and_then(|f| f.digest)
            })
        };
        Ok(Some(Inside {
            path: real.to_owned(),
            digest,
        }))
    }
}
