//! Trusted certificates, read from files and folders.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Exit, Failure};
use crate::durable;
use crate::limits;
use crate::trust::{CertificateTrust, Given};

/// How files of certificates in a folder end; others are none of ours.
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "der"];

/// Where trusted certificates lie, and who is meant: what the command line names.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Files or folders of certificates that vouch for signers.
    pub roots: &'a [PathBuf],
    /// The same, for signers that vouch for their time of signing.
    pub signing_authority_roots: &'a [PathBuf],
    /// The same, for timestamps.
    pub timestamp_roots: &'a [PathBuf],
    /// Patterns of the signers' subjects.
    pub subjects: &'a [String],
}

/// Reads them all.
///
/// # Errors
/// Exit 3 where a file cannot be read or holds something else, or a subject is
/// no pattern.
pub fn trust(places: &Places<'_>) -> Result<CertificateTrust, Failure> {
    let all = |paths: &[PathBuf]| -> Result<Vec<_>, Failure> {
        let mut files = Vec::new();
        for path in paths {
            files.extend(read(path)?);
        }
        Ok(files)
    };
    let given = Given {
        roots: all(places.roots)?,
        signing_authority_roots: all(places.signing_authority_roots)?,
        timestamp_roots: all(places.timestamp_roots)?,
        subjects: places.subjects.to_vec(),
    };
    CertificateTrust::read(&given).map_err(|why| {
        Failure::new(Exit::Config, "the trusted certificates cannot be used").cause(why)
    })
}

/// The names and bytes of a file of certificates, or of all such files in a
/// folder, sorted by name; folders in it are passed over.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let metadata = path.metadata().map_err(|e| unreadable(path, e))?;
    if !metadata.is_dir() {
        return Ok(vec![file(path)?]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| unreadable(path, e))? {
        let entry = entry.map_err(|e| unreadable(path, e))?.path();
        let ending = entry.extension().and_then(|e| e.to_str());
        let is_ours = ending.is_some_and(|e| ENDINGS.iter().any(|o| o.eq_ignore_ascii_case(e)));
        if is_ours && !entry.is_dir() {
            paths.push(entry);
        }
        if paths.len() > limits::TRUSTED_CERTIFICATES {
            let limit = limits::TRUSTED_CERTIFICATES;
            let why = format!("more than {limit} files of certificates are in it");
            return Err(unreadable(path, why));
        }
    }
    if paths.is_empty() {
        let why = format!("no file in it ends with .{}", ENDINGS.join(", ."));
        return Err(unreadable(path, why));
    }
    paths.sort_unstable();
    paths.iter().map(|path| file(path)).collect()
}

fn file(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let bytes = durable::read(path, limits::CERTIFICATE_FILE).map_err(|e| unreadable(path, e))?;
    Ok((path.display().to_string(), bytes))
}

fn unreadable(path: &Path, cause: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Config,
        format!("cannot read trusted certificates from {}", path.display()),
    )
    .cause(cause)
    .hint("name a file of certificates in PEM or DER, or a folder of such files")
}
