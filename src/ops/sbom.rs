//! The ML-BOM of a model: its files, read and told apart by their content.

use std::path::Path;

use serde_json::Value;

use super::{Exit, Failure};
use crate::model::files::{self, HashRequest, Standing};
use crate::model::format;
use crate::model::mlbom::{self, FileEntry, ModelDescription, Serial};
use crate::model::name;
use crate::source::tree::{Symlinks, Tree, TreeOptions};
use crate::source::{Progress, SourceError};
use crate::time::Timestamp;

/// Which model, and what it is called.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// A folder or a file.
    pub path: &'a Path,
    /// Its name, where that is not its path's last part.
    pub name: Option<&'a str>,
    /// Its version, where it has one.
    pub version: Option<&'a str>,
    /// What becomes of symlinks.
    pub symlinks: Symlinks,
    /// The time that stands in the document.
    pub now: Timestamp,
}

/// Reads a model and describes it in CycloneDX 1.6. The same model, name and
/// time give the same bytes.
///
/// # Errors
/// Where the model cannot be read.
pub fn describe(request: &Request<'_>, progress: &dyn Progress) -> Result<Value, Failure> {
    let tree = Tree::open(
        request.path,
        &TreeOptions {
            symlinks: request.symlinks.clone(),
            ..TreeOptions::default()
        },
    )?;
    let hashed = tree.hash(&HashRequest::whole(), progress)?;
    let identity = files::identity(&hashed).map_err(SourceError::from)?;
    let name = match request.name {
        Some(name) => name.to_owned(),
        None => tree.name(),
    };
    let mut entries = Vec::with_capacity(hashed.len());
    for (entry, file) in tree.entries().iter().zip(&hashed) {
        let (Standing::Content, Some(sha256)) = (file.standing, file.sha256) else {
            continue;
        };
        let opened = tree.open_entry(entry)?;
        let mut content = &opened;
        let detected = format::detect(&mut content).map_err(|e| {
            Failure::new(
                Exit::Undetermined,
                format!("cannot look into {}", file.path),
            )
            .cause(e)
        })?;
        entries.push(FileEntry {
            path: if file.path == name::SINGLE {
                tree.name()
            } else {
                file.path.clone()
            },
            size: file.size,
            sha256,
            detected,
        });
    }
    Ok(mlbom::build(&ModelDescription {
        name: &name,
        version: request.version,
        identity,
        files: &entries,
        created: request.now,
        serial: Serial::Derived,
    }))
}
