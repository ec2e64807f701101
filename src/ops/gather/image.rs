//! An image, or another artifact, in an OCI layout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Gathered, Reading, evidence, model};
use crate::attestations::{Referrers, Subject};
use crate::digest::Identity;
use crate::limits;
use crate::model::files::{HashedFile, Standing};
use crate::model::ignore::IgnoreRules;
use crate::model::name as model_name;
use crate::oci::{ArtifactFile, Descriptor, Document, Manifest, artifact_files, media_type};
use crate::ops::{Exit, Failure, SystemClock};
use crate::policy::Policy;
use crate::reference::Select;
use crate::source::Progress;
use crate::source::file::RegularFile;
use crate::source::layout::{Layout, Resolved};
use crate::verify::{self, ArtifactFact, ArtifactKind, ModelFacts, Observed};

pub(super) async fn gather(
    dir: &str,
    select: &Select,
    name: String,
    reading: &Reading<'_>,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    let layout = Layout::open(dir)?;
    let resolved = layout.resolve(select)?;
    let (evidence, failed) = match evidence::named(reading)? {
        Some(named) => (named, Vec::new()),
        None => {
            let store = Referrers::new(layout.clone(), Arc::new(SystemClock));
            let subject = Subject::Manifest(Box::new(resolved.descriptor.clone()));
            evidence::kept(&store, &subject).await
        }
    };
    let manifest_identity = Identity::Content(resolved.descriptor.digest);
    let packed = packed_files(&layout, &resolved)?;
    let mut identities = vec![manifest_identity];
    let (mut kind, mut files, mut model) = (ArtifactKind::Image, Vec::new(), None);
    if let Some((packed_kind, packed_files)) = packed {
        kind = packed_kind;
        let inner = model::identity_of(&packed_files)?;
        identities.push(inner);
        if kind == ArtifactKind::Model {
            model = Some(model_facts(&layout, &packed_files)?);
        }
        files = packed_files;
    }
    let content = match (identities.get(1), files.as_slice()) {
        (Some(Identity::Content(digest)), [file]) => {
            let authorities: Vec<_> = policies.iter().flat_map(Policy::authorities).collect();
            let wants = verify::plan(&evidence, &authorities);
            let mut blob = RegularFile::open(&layout.blob_path(digest))?;
            let more: Vec<_> = wants.algorithms.into_iter().skip(1).collect();
            if !more.is_empty() {
                let digests = blob.hash(&more, progress)?;
                identities.extend(digests.into_iter().map(Identity::Content));
            }
            let read = wants.content && file.size <= limits::ED25519_MESSAGE;
            read.then(|| blob.read_all(limits::ED25519_MESSAGE))
                .transpose()?
        }
        _ => None,
    };
    // What a manifest calls itself can add a kind, never take "image" away.
    let mut kinds = vec![ArtifactKind::Image];
    if kind != ArtifactKind::Image {
        kinds.push(kind);
    }
    let platform = layout.platform(&resolved.document)?.map(|p| p.to_string());
    Ok(Gathered {
        artifact: ArtifactFact {
            kind,
            name,
            read_as: "oci-layout",
            identity: manifest_identity,
            digests: identities.clone(),
            size: Some(resolved.bytes.len() as u64),
            platform,
            media_type: Some(resolved.document.media_type().to_owned()),
        },
        kinds,
        observed: Observed {
            identities,
            content: content.map(Cow::Owned),
            size: Some(resolved.bytes.len() as u64),
            files,
        },
        evidence,
        failed,
        model,
        image: Some(image_facts(&layout, &resolved)?),
        mutable: false,
        staged: None,
    })
}

/// The files of a model or another file that was packed, every layer's bytes
/// checked against its digest; `None` for a container image.
fn packed_files(
    layout: &Layout,
    resolved: &Resolved,
) -> Result<Option<(ArtifactKind, Vec<HashedFile>)>, Failure> {
    let Document::Manifest(manifest) = &resolved.document else {
        return Ok(None);
    };
    let files = artifact_files(manifest).map_err(|e| {
        Failure::new(
            Exit::Usage,
            format!(
                "cannot tell the files of {}",
                layout.origin(&resolved.descriptor.digest)
            ),
        )
        .cause(e)
    })?;
    let Some(files) = files else {
        return Ok(None);
    };
    for layer in &manifest.layers {
        layout.check_blob(layer)?;
    }
    let kind = kind_of(manifest);
    let single = kind != ArtifactKind::Model || !manifest.is_directory();
    Ok(Some((
        kind,
        files.iter().map(|f| hashed(f, single)).collect(),
    )))
}

fn kind_of(manifest: &Manifest) -> ArtifactKind {
    match manifest.artifact_type.as_deref() {
        Some(media_type::CYCLONEDX | media_type::SPDX) => ArtifactKind::Sbom,
        Some(media_type::FILE) => ArtifactKind::Blob,
        _ => ArtifactKind::Model,
    }
}

fn hashed(file: &ArtifactFile, single: bool) -> HashedFile {
    let standing = if !single && IgnoreRules::defaults().covers(&file.path) {
        Standing::Ignored
    } else {
        Standing::Content
    };
    HashedFile {
        path: if single {
            model_name::SINGLE.to_owned()
        } else {
            file.path.clone()
        },
        size: file.size,
        standing,
        sha256: Some(file.digest),
        shards: None,
    }
}

fn model_facts(layout: &Layout, files: &[HashedFile]) -> Result<ModelFacts, Failure> {
    let mut facts = model::facts(files);
    for file in files {
        let Some(digest) = &file.sha256 else { continue };
        facts
            .formats
            .extend(model::detected_at(&file.path, &layout.blob_path(digest))?);
    }
    Ok(facts)
}

fn image_facts(layout: &Layout, resolved: &Resolved) -> Result<BTreeMap<String, Value>, Failure> {
    let mut facts = BTreeMap::new();
    match &resolved.document {
        Document::Manifest(manifest) => {
            let config = &manifest.config;
            if config.media_type == media_type::CONFIG
                || config.media_type == media_type::DOCKER_CONFIG
            {
                let bytes = layout.read_blob(config, limits::MANIFEST)?;
                let config = crate::canon::parse(&bytes, limits::MANIFEST).map_err(|e| {
                    Failure::new(Exit::Usage, "cannot read the image's configuration").cause(e)
                })?;
                facts.insert("config".to_owned(), config);
            }
        }
        Document::Index(_) => {
            let children: Vec<Value> = layout
                .children(&resolved.document)?
                .iter()
                .map(child)
                .collect();
            facts.insert("children".to_owned(), children.into());
        }
    }
    Ok(facts)
}

fn child(descriptor: &Descriptor) -> Value {
    json!({
        "digest": descriptor.digest,
        "media_type": descriptor.media_type,
        "platform": descriptor.platform.as_ref().map(ToString::to_string),
    })
}
