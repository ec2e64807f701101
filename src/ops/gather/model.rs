//! A model's folder, and the formats of a model's files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::evidence::{self, Found};
use super::{Gathered, Reading};
use crate::attestations::{Sidecar, Subject};
use crate::bundle::Bundle;
use crate::digest::Identity;
use crate::model::files::{self, HashRequest, HashedFile, Standing};
use crate::model::format::{self, Kind};
use crate::ops::{Exit, Failure};
use crate::policy::Policy;
use crate::source::file::RegularFile;
use crate::source::tree::{Tree, TreeOptions, place_inside};
use crate::source::{Progress, stage};
use crate::verify::{
    ArtifactFact, ArtifactKind, Evidence, EvidenceBody, ModelFacts, ModelFile, Observed,
};

pub(super) async fn gather(
    path: &Path,
    name: String,
    reading: &Reading<'_>,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    let Found {
        evidence,
        failed,
        wants,
    } = evidence::find(reading, policies, &Sidecar, Subject::Path(path.to_owned())).await?;
    let tree = Tree::open(path, &options(path, reading, &evidence))?;
    let (staged, files) = match reading.into {
        None => (None, tree.hash(&wants.files, progress)?),
        Some(place) => {
            // Everything that is copied is hashed: what nobody signed shall be seen, not only named.
            let every = HashRequest {
                also: tree.entries().iter().map(|e| e.path.clone()).collect(),
                ..wants.files.clone()
            };
            let (staged, files) = stage::copy_into(&tree, place, &every, progress)?;
            (Some(staged), files)
        }
    };
    let identity = files::identity(&files).map_err(crate::source::SourceError::from)?;
    let formats = if policies.iter().any(Policy::has_rules) {
        formats_of_tree(&tree, staged.as_ref().map(|s| s.path()))?
    } else {
        Vec::new()
    };
    let mut model = facts(&files);
    model.formats = formats;
    Ok(Gathered {
        artifact: ArtifactFact {
            kind: ArtifactKind::Model,
            name,
            read_as: "directory",
            identity,
            digests: vec![identity],
            content: None,
            size: Some(tree.size()),
            platform: None,
            media_type: None,
        },
        kinds: vec![ArtifactKind::Model],
        observed: Observed {
            identities: vec![identity],
            manifest: None,
            described: None,
            content: None,
            size: Some(tree.size()),
            envelope_like: false,
            files,
        },
        evidence,
        failed,
        model: Some(model),
        image: None,
        children: None,
        mutable: staged.is_none() && !tree.is_on_read_only_mounts(),
        staged,
        further: None,
        unread: None,
    })
}

/// Evidence that lies inside the model is no part of it; what only has the
/// name of evidence is a file like any other.
fn options(path: &Path, reading: &Reading<'_>, evidence: &[Evidence]) -> TreeOptions {
    let readable = evidence.iter().filter(
        |piece| matches!(&piece.body, EvidenceBody::Bundle(json) if Bundle::parse(json).is_ok()),
    );
    TreeOptions {
        symlinks: reading.symlinks.clone(),
        evidence: readable
            .filter_map(|piece| place_inside(path, Path::new(&piece.origin)))
            .collect(),
    }
}

/// A model's files, as facts.
pub(super) fn facts(files: &[HashedFile]) -> ModelFacts {
    ModelFacts {
        files: files
            .iter()
            .map(|file| ModelFile {
                path: file.path.clone(),
                size: file.size,
                digest: file.sha256,
            })
            .collect(),
        formats: Vec::new(),
        unsigned_files: Vec::new(),
        outside_identity: files
            .iter()
            .filter(|file| file.standing == Standing::Ignored)
            .map(|file| file.path.clone())
            .collect(),
    }
}

/// The facts of a model that is one file.
pub(super) fn facts_of_file(
    file: &mut RegularFile,
    files: &[HashedFile],
) -> Result<ModelFacts, Failure> {
    let mut model = facts(files);
    let path = file.path().display().to_string();
    model.formats = formats_of(&path, file)?;
    Ok(model)
}

/// Whether a file's content is that of a model's weights.
pub(super) fn is_model_file(file: &RegularFile) -> Result<bool, Failure> {
    let found = detect(file)?;
    Ok(found.formats.iter().any(|f| {
        !matches!(
            f.kind,
            Kind::Executable
                | Kind::Script
                | Kind::Zip
                | Kind::Tar
                | Kind::Gzip
                | Kind::Json
                | Kind::Text
                | Kind::Unknown
        )
    }))
}

fn formats_of_tree(tree: &Tree, copy: Option<PathBuf>) -> Result<Vec<Value>, Failure> {
    let mut formats = Vec::with_capacity(tree.entries().len());
    for entry in tree.entries() {
        let file = match &copy {
            // What was copied is what is looked at: it is what was hashed.
            Some(copy) => RegularFile::open(&copy.join(&entry.path))?,
            None => tree.open_entry(entry)?,
        };
        formats.extend(formats_of(&entry.path, &file)?);
    }
    Ok(formats)
}

/// Every format that a file was found to be, one fact each, with the file's path.
pub(super) fn formats_of(path: &str, file: &RegularFile) -> Result<Vec<Value>, Failure> {
    let found = detect(file)?;
    found
        .formats
        .iter()
        .map(|format| match serde_json::to_value(format) {
            Ok(Value::Object(mut fact)) => {
                fact.insert("path".to_owned(), path.into());
                Ok(Value::Object(fact))
            }
            _ => Err(Failure::new(Exit::Bug, "cannot tell a file's format")),
        })
        .collect()
}

fn detect(file: &RegularFile) -> Result<format::Detected, Failure> {
    let mut content = file;
    format::detect(&mut content).map_err(|e| {
        Failure::new(
            Exit::Undetermined,
            format!("cannot look into {}", file.path().display()),
        )
        .cause(e)
    })
}

/// The identity of a model made of these files.
pub(super) fn identity_of(files: &[HashedFile]) -> Result<Identity, Failure> {
    Ok(files::identity(files).map_err(crate::source::SourceError::from)?)
}
