//! Models, SBOMs and files as OCI artifacts: one layer per file, neither
//! archived nor compressed, so that a layer's digest is the file's.

use std::collections::BTreeSet;

use serde_json::json;

use super::descriptor::{Annotations, Descriptor};
use super::document::Manifest;
use super::error::OciError;
use super::media_type;
use crate::canon;
use crate::crypto::sha256;
use crate::digest::Digest;
use crate::limits;
use crate::model::name::{self, NameError};

/// One file of an artifact, as its manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Path inside the artifact, `/`-separated; checked: relative, no `..`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// The layer's digest, which is the file's.
    pub digest: Digest,
}

/// An artifact's manifest, ready to be stored after its files.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Small blobs that belong to it beside the files.
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

/// A model as the CNCF ModelPack specification packs it: artifact type, a
/// configuration that names the model and repeats every layer's digest, and
/// one raw layer per file with its path as annotation.
///
/// `directory` tells whether the model is a directory or one file: its
/// identity differs (`dirHash`, or the file's digest). Equal input gives equal
/// bytes: no time is written.
///
/// # Errors
/// `TooLarge` where the manifest would exceed what registries take.
pub fn model_artifact(
    name: &str,
    files: &[ArtifactFile],
    directory: bool,
) -> Result<Artifact, OciError> {
    let digests: Vec<_> = files.iter().map(|f| f.digest).collect();
    let config = canon::canonical(&json!({
        "descriptor": {"name": name},
        "config": {},
        "modelfs": {"type": "layers", "diffIds": digests},
    }));
    let config_descriptor = Descriptor::of(media_type::MODEL_CONFIG, &config);
    let layers = files
        .iter()
        .map(|file| {
            let mut layer = layer_of(layer_type(&file.path), file);
            layer
                .annotations
                .insert(media_type::MODEL_PATH.to_owned(), file.path.clone());
            layer
                .annotations
                .insert(media_type::MODEL_UNTESTED.to_owned(), "true".to_owned());
            layer
        })
        .collect();
    assemble(
        media_type::MODEL,
        (config_descriptor, config),
        layers,
        directory,
    )
}

/// One file as an artifact: an SBOM by its own media type, any other file as
/// [`media_type::FILE`].
///
/// # Errors
/// As [`model_artifact`].
pub fn file_artifact(
    artifact_type: &str,
    layer_type: &str,
    file: &ArtifactFile,
) -> Result<Artifact, OciError> {
    let config = Descriptor::of(media_type::EMPTY, b"{}");
    assemble(
        artifact_type,
        (config, b"{}".to_vec()),
        vec![layer_of(layer_type, file)],
        false,
    )
}

fn layer_of(media_type: &str, file: &ArtifactFile) -> Descriptor {
    let mut layer = Descriptor::new(media_type, file.digest, file.size);
    layer
        .annotations
        .insert(media_type::TITLE.to_owned(), file.path.clone());
    layer
}

fn assemble(
    artifact_type: &str,
    config: (Descriptor, Vec<u8>),
    layers: Vec<Descriptor>,
    directory: bool,
) -> Result<Artifact, OciError> {
    let count = layers.len();
    if count > limits::INDEX_ENTRIES {
        return Err(OciError::TooMany {
            field: "layers",
            found: count,
        });
    }
    let read_as = if directory { "directory" } else { "file" };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::MANIFEST.to_owned()),
        artifact_type: Some(artifact_type.to_owned()),
        config: config.0.clone(),
        layers,
        subject: None,
        annotations: Annotations::from([(media_type::READ_AS.to_owned(), read_as.to_owned())]),
    }
    .to_json();
    let found = manifest.len() as u64;
    if found > limits::MANIFEST {
        return Err(OciError::TooLarge { found });
    }
    let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    descriptor.artifact_type = Some(artifact_type.to_owned());
    Ok(Artifact {
        descriptor,
        manifest,
        blobs: vec![config],
    })
}

/// What ModelPack calls a file by its name: a guess, and marked as one.
fn layer_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, ext)| ext);
    match extension {
        "md" | "txt" | "pdf" | "rst" | "html" => media_type::MODEL_DOC,
        "py" | "sh" | "ipynb" | "js" | "lua" => media_type::MODEL_CODE,
        "csv" | "parquet" | "jsonl" | "arrow" => media_type::MODEL_DATASET,
        "json" | "yaml" | "yml" | "toml" | "jinja" | "model" | "vocab" => {
            media_type::MODEL_WEIGHT_CONFIG
        }
        _ if name.starts_with("license") || name.starts_with("readme") => media_type::MODEL_DOC,
        _ => media_type::MODEL_WEIGHT,
    }
}

/// The files of a model, SBOM or plain file that was packed with one raw layer
/// per file, sorted by path; `Ok(None)` where the manifest is of another kind,
/// a container image for example.
///
/// The layers' digests are the files', so a signature over the files and one
/// over the manifest are about the same bytes.
///
/// # Errors
/// `FilesError` where it is of that kind and a layer is archived or has no
/// usable path.
pub fn artifact_files(manifest: &Manifest) -> Result<Option<Vec<ArtifactFile>>, FilesError> {
    let kind = manifest.artifact_type.as_deref().unwrap_or_default();
    let is_model = kind == media_type::MODEL;
    let is_file = [media_type::FILE, media_type::CYCLONEDX, media_type::SPDX].contains(&kind);
    if !is_model && !is_file {
        return Ok(None);
    }
    if !is_only_files(manifest, is_model) {
        return Ok(None);
    }
    if is_file && manifest.layers.len() != 1 {
        return Err(FilesError::LayerCount(manifest.layers.len()));
    }
    let mut files = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        if is_model && !layer.media_type.ends_with(".raw") {
            return Err(FilesError::Archived(layer.media_type.clone()));
        }
        let path = layer
            .annotation(media_type::MODEL_PATH)
            .or(layer.annotation(media_type::TITLE))
            .ok_or(FilesError::NoPath(layer.digest))?;
        name::check(path).map_err(|error| FilesError::Path {
            path: path.chars().take(256).collect(),
            error,
        })?;
        files.push(ArtifactFile {
            path: path.to_owned(),
            size: layer.size,
            digest: layer.digest,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for file in &files {
        if !seen.insert(&file.path) {
            return Err(FilesError::Twice(file.path.clone()));
        }
    }
    for file in &files {
        // `a` cannot be a file and the folder of `a/b`.
        let above = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
        if let Some(both) = above.into_iter().find(|above| seen.contains(above)) {
            return Err(FilesError::Twice(both.to_owned()));
        }
    }
    Ok(Some(files))
}

/// Whether nothing in the manifest has another meaning to somebody else: a
/// configuration that a container runtime would run, a layer that it would
/// unpack, or a second name for a file. Such a manifest is an image, whatever
/// it calls itself: what was signed of its files says nothing about the rest.
fn is_only_files(manifest: &Manifest, is_model: bool) -> bool {
    let config = &manifest.config.media_type;
    let config_fits = if is_model {
        config == media_type::MODEL_CONFIG
    } else {
        config == media_type::EMPTY && manifest.config.digest == sha256(b"{}")
    };
    config_fits
        && manifest.layers.iter().all(|layer| {
            let kind = layer.media_type.as_str();
            let runs = kind.contains("image.layer") || kind.contains("image.rootfs");
            let names =
                [media_type::MODEL_PATH, media_type::TITLE].map(|name| layer.annotation(name));
            let two_names = matches!(names, [Some(a), Some(b)] if a != b);
            !runs && !two_names
        })
}

impl Manifest {
    /// Whether a packed model is a directory. One that says nothing was packed
    /// by somebody else and counts as a directory, where names matter too.
    pub fn is_directory(&self) -> bool {
        self.annotations
            .get(media_type::READ_AS)
            .is_none_or(|read_as| read_as != "file")
            || self.layers.len() != 1
    }
}

/// Why an artifact's files cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// An SBOM or file artifact without exactly one layer.
    #[error("the artifact has {0} layers, a file has exactly one")]
    LayerCount(usize),
    /// A layer that is an archive or compressed.
    #[error("a layer is of media type {0:?}; only raw files are read, archives are not unpacked")]
    Archived(String),
    /// A layer without a path.
    #[error("layer {0} has neither org.cncf.model.filepath nor org.opencontainers.image.title")]
    NoPath(Digest),
    /// A path that leads out of the artifact, or holds what no path should.
    #[error("a layer's path is {path:?}: {error}")]
    Path {
        /// The path, shortened.
        path: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// Two layers with one path, or one path as file and folder.
    #[error("the path {0:?} stands twice")]
    Twice(String),
}
