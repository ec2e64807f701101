//! An image, or another artifact, in an OCI layout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::evidence::{self, Looked};
use super::{Gathered, Reading, model};
use crate::attestations::{Referrers, Subject};
use crate::digest::Identity;
use crate::dsse;
use crate::limits;
use crate::model::files::{HashedFile, Standing};
use crate::model::ignore::IgnoreRules;
use crate::model::name as model_name;
use crate::oci::{ArtifactFile, Descriptor, Document, Manifest, artifact_files, media_type};
use crate::ops::{Exit, Failure, SystemClock};
use crate::policy::Policy;
use crate::reference::Select;
use crate::source::file::RegularFile;
use crate::source::layout::{Layout, Resolved};
use crate::source::{Progress, mount};
use crate::verify::{ArtifactFact, ArtifactKind, Described, ModelFacts, Observed, Wants};

/// What a manifest packs, beside being a manifest.
#[derive(Default)]
struct Packed {
    files: Vec<HashedFile>,
    /// The identity of the model or file; `None` for a container image.
    identity: Option<Identity>,
    /// A single file's digests in longer hashes.
    more: Vec<Identity>,
    content: Option<Vec<u8>>,
    envelope_like: bool,
    formats: Vec<Value>,
    kinds: Vec<ArtifactKind>,
}

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
    let found = Found {
        origin: layout.origin(&resolved.descriptor.digest),
        read_as: "oci-layout",
        mutable: !mount::is_read_only(layout.dir()),
        configured: true,
        layout: &layout,
        resolved: &resolved,
    };
    let subject = Subject::Manifest(Box::new(resolved.descriptor.clone()));
    let store = Referrers::new(layout.clone(), Arc::new(SystemClock));
    let looked = evidence::look(reading, &store, &subject).await?;
    read(found, name, looked, policies, progress)
}

/// A manifest that was found, with where to look for the rest.
pub(in crate::ops) struct Found<'a> {
    /// Where what it is made of lies.
    pub(in crate::ops) layout: &'a Layout,
    /// The manifest.
    pub(in crate::ops) resolved: &'a Resolved,
    /// How messages name it.
    pub(in crate::ops) origin: String,
    /// As what the operator's name was read.
    pub(in crate::ops) read_as: &'static str,
    /// Whether the name can lead to something else before it is used.
    pub(in crate::ops) mutable: bool,
    /// Whether its configuration is at hand; where a key alone decides, nobody
    /// asks for it.
    pub(in crate::ops) configured: bool,
}

/// Reads what a manifest packs, as far as the evidence about it asks for it.
pub(in crate::ops) fn read(
    found: Found<'_>,
    name: String,
    looked: Looked,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    let (layout, resolved) = (found.layout, found.resolved);
    let evidence::Found {
        evidence,
        failed,
        wants,
    } = looked.planned(policies);
    let packed = Packed::read(&found, &wants, policies, progress)?;
    let identity = Identity::Content(resolved.descriptor.digest);
    let mut identities = vec![identity];
    identities.extend(packed.identity);
    identities.extend(packed.more);
    let kind = match (packed.identity, packed.kinds.first()) {
        (Some(_), Some(kind)) => *kind,
        _ => ArtifactKind::Image,
    };
    // What a manifest calls itself can add a kind, never take "image" away.
    let mut kinds = packed.kinds;
    kinds.push(ArtifactKind::Image);
    let size = Some(resolved.bytes.len() as u64);
    let model = (kind == ArtifactKind::Model && packed.identity.is_some()).then(|| ModelFacts {
        formats: packed.formats,
        ..model::facts(&packed.files)
    });
    Ok(Gathered {
        artifact: ArtifactFact {
            kind,
            name,
            read_as: found.read_as,
            identity,
            digests: vec![identity],
            content: packed.identity,
            size,
            platform: match found.configured {
                true => layout.platform(&resolved.document)?.map(|p| p.to_string()),
                false => None,
            },
            media_type: Some(resolved.document.media_type().to_owned()),
        },
        kinds,
        observed: Observed {
            identities,
            manifest: Some(resolved.descriptor.digest),
            described: Some(Described {
                media_type: resolved.document.media_type().to_owned(),
                size: resolved.bytes.len() as u64,
            }),
            content: packed.content.map(Cow::Owned),
            size: packed.files.first().map(|f| f.size).or(size),
            envelope_like: packed.envelope_like,
            files: packed.files,
        },
        evidence,
        failed,
        model,
        image: Some(image_facts(&found)?),
        children: match &resolved.document {
            Document::Index(_) => Some(layout.entries(&resolved.document)?),
            Document::Manifest(_) => None,
        },
        mutable: found.mutable,
        staged: None,
        further: None,
        unread: None,
    })
}

impl Packed {
    /// Reads every file that a manifest packs, each through one descriptor:
    /// digests, format and bytes are of the same file.
    fn read(
        found: &Found<'_>,
        wants: &Wants,
        policies: &[Policy],
        progress: &dyn Progress,
    ) -> Result<Self, Failure> {
        let layout = found.layout;
        let Document::Manifest(manifest) = &found.resolved.document else {
            return Ok(Self::default());
        };
        let files = artifact_files(manifest).map_err(|e| {
            let origin = &found.origin;
            Failure::new(Exit::Usage, format!("cannot tell the files of {origin}")).cause(e)
        })?;
        let Some(files) = files else {
            return Self::of_image(layout, manifest, policies);
        };
        let kind = kind_of(manifest);
        let single = kind != ArtifactKind::Model || !manifest.is_directory();
        let with_formats = policies.iter().any(Policy::has_rules);
        let mut packed = Self {
            kinds: vec![kind],
            ..Self::default()
        };
        for file in &files {
            let mut blob = RegularFile::open(&layout.blob_path(&file.digest))?;
            let mut algorithms = vec![file.digest.algorithm()];
            if single {
                let first = file.digest.algorithm();
                algorithms.extend(wants.algorithms.iter().filter(|a| **a != first));
            }
            let digests = blob.hash(&algorithms, progress)?;
            if digests.first() != Some(&file.digest) || blob.size() != file.size {
                return Err(changed(layout, file));
            }
            if single {
                packed.more = digests[1..]
                    .iter()
                    .copied()
                    .map(Identity::Content)
                    .collect();
                packed.envelope_like = blob.start(dsse::PAE_START.len())? == dsse::PAE_START;
                if wants.content && file.size <= limits::ED25519_MESSAGE {
                    packed.content = Some(blob.read_all(limits::ED25519_MESSAGE)?);
                }
            }
            if with_formats && kind == ArtifactKind::Model {
                packed.formats.extend(model::formats_of(&file.path, &blob)?);
            }
            blob.recheck()?;
            packed.files.push(hashed(file, single));
        }
        packed.identity = Some(model::identity_of(&packed.files)?);
        Ok(packed)
    }

    /// An image is a model too, to a policy about models, where one of its raw
    /// layers is one: what it calls itself does not count.
    fn of_image(
        layout: &Layout,
        manifest: &Manifest,
        policies: &[Policy],
    ) -> Result<Self, Failure> {
        let mut packed = Self::default();
        if manifest.artifact_type.as_deref() == Some(media_type::MODEL) {
            packed.kinds.push(ArtifactKind::Model);
        }
        if policies.iter().all(Policy::is_for_key) {
            return Ok(packed);
        }
        for layer in manifest.layers.iter().take(limits::INDEX_ENTRIES) {
            if packed.kinds.contains(&ArtifactKind::Model) {
                break;
            }
            // A layer that is not in the layout is for whoever uses it to miss.
            if layout.blob_size(&layer.digest)?.is_none() {
                continue;
            }
            if model::is_model_file(&RegularFile::open(&layout.blob_path(&layer.digest))?)? {
                packed.kinds.push(ArtifactKind::Model);
            }
        }
        Ok(packed)
    }
}

fn changed(layout: &Layout, file: &ArtifactFile) -> Failure {
    Failure::new(
        Exit::Denied,
        format!(
            "{} is not what its digest says",
            layout.origin(&file.digest)
        ),
    )
    .hint("the layout was changed or damaged; fetch it again from where it came")
}

/// What the files are that a manifest packs.
pub(in crate::ops) fn kind_of(manifest: &Manifest) -> ArtifactKind {
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
        shards: Vec::new(),
    }
}

fn image_facts(found: &Found<'_>) -> Result<BTreeMap<String, Value>, Failure> {
    let (layout, resolved) = (found.layout, found.resolved);
    let mut facts = BTreeMap::new();
    match &resolved.document {
        Document::Manifest(manifest) => {
            let config = &manifest.config;
            let known = [media_type::CONFIG, media_type::DOCKER_CONFIG];
            if found.configured && known.contains(&config.media_type.as_str()) {
                let bytes = layout.read_blob(config, limits::MANIFEST)?;
                let config = crate::canon::parse(&bytes, limits::MANIFEST).map_err(|e| {
                    Failure::new(Exit::Usage, "cannot read the image's configuration").cause(e)
                })?;
                facts.insert("config".to_owned(), config);
            }
        }
        Document::Index(_) => {
            let children: Vec<Value> = layout
                .entries(&resolved.document)?
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
