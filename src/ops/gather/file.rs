//! One file, or one digest without the bytes.

use std::borrow::Cow;
use std::path::Path;

use super::evidence::{self, Found};
use super::{Gathered, Reading, SNIFFED, model};
use crate::attestations::{Sidecar, Subject};
use crate::digest::{Algorithm, Digest, Identity};
use crate::dsse;
use crate::limits;
use crate::model::files::{HashedFile, Standing};
use crate::model::name;
use crate::ops::Failure;
use crate::policy::Policy;
use crate::sbom;
use crate::source::file::RegularFile;
use crate::source::tree::{Tree, TreeOptions};
use crate::source::{Progress, mount, stage};
use crate::verify::{ArtifactFact, ArtifactKind, Observed, Wants};

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
    // The copy is what is looked at from here on, where there is one.
    let (staged, at, hashed) = match reading.into {
        None => (None, path.to_owned(), None),
        Some(place) => {
            let tree = Tree::open(path, &TreeOptions::default())?;
            let (staged, files) = stage::copy_into(&tree, place, &wants.files, progress)?;
            let at = staged.path();
            (Some(staged), at, Some(files))
        }
    };
    let mut file = RegularFile::open(&at)?;
    let size = file.size();
    let files = match hashed {
        Some(files) => files,
        None if wants.files.shard_sizes.is_empty() => Vec::new(),
        None => vec![file.hash_as_model(&wants.files, progress)?],
    };
    let identities = identities(&file, &wants, &files, progress)?;
    let files = match identities.first() {
        Some(Identity::Content(sha256)) if files.is_empty() => vec![HashedFile {
            path: name::SINGLE.to_owned(),
            size,
            standing: Standing::Content,
            sha256: Some(*sha256),
            shards: Vec::new(),
        }],
        _ => files,
    };
    let start = file.start(SNIFFED)?;
    let (kind, kinds) = kinds(&file, &start, reading.kind, policies)?;
    let model = match kind {
        ArtifactKind::Model => Some(model::facts_of_file(&mut file, &files)?),
        _ => None,
    };
    let content = if wants.content && size <= limits::ED25519_MESSAGE {
        Some(Cow::Owned(file.read_all(limits::ED25519_MESSAGE)?))
    } else {
        None
    };
    Ok(Gathered {
        artifact: ArtifactFact {
            kind,
            name,
            read_as: "file",
            identity: first(&identities),
            digests: identities.clone(),
            content: None,
            size: Some(size),
            platform: None,
            media_type: None,
        },
        kinds,
        observed: Observed {
            identities,
            manifest: None,
            described: None,
            content,
            size: Some(size),
            envelope_like: start.starts_with(dsse::PAE_START),
            files,
        },
        evidence,
        failed,
        model,
        image: None,
        children: None,
        mutable: staged.is_none() && !mount::is_read_only(path),
        staged,
        further: None,
        unread: None,
    })
}

/// The file's digests, SHA-256 first; not computed again where the copy gave it.
fn identities(
    file: &RegularFile,
    wants: &Wants,
    files: &[HashedFile],
    progress: &dyn Progress,
) -> Result<Vec<Identity>, Failure> {
    let known = files.first().and_then(|f| f.sha256);
    let missing: Vec<Algorithm> = wants
        .algorithms
        .iter()
        .copied()
        .filter(|a| known.is_none() || *a != Algorithm::Sha256)
        .collect();
    let mut digests: Vec<Digest> = known.into_iter().collect();
    if !missing.is_empty() {
        digests.extend(file.hash(&missing, progress)?);
    }
    Ok(digests.into_iter().map(Identity::Content).collect())
}

fn first(identities: &[Identity]) -> Identity {
    match identities.first() {
        Some(identity) => *identity,
        None => unreachable!("SHA-256 is always computed"),
    }
}

/// What a file is, and everything that it counts as. Its content can add a
/// kind and so a policy; it never takes one away.
fn kinds(
    file: &RegularFile,
    start: &[u8],
    stated: Option<ArtifactKind>,
    policies: &[Policy],
) -> Result<(ArtifactKind, Vec<ArtifactKind>), Failure> {
    if let Some(kind) = stated {
        return Ok((kind, vec![kind]));
    }
    let mut kinds = Vec::new();
    // Only a policy's match asks whether a file is a model.
    if policies.iter().any(|p| !p.is_for_key()) && model::is_model_file(file)? {
        kinds.push(ArtifactKind::Model);
    }
    if sbom::looks_like_one(start) {
        kinds.push(ArtifactKind::Sbom);
    }
    kinds.push(ArtifactKind::Blob);
    Ok((kinds[0], kinds))
}

pub(super) fn digest_only(
    digest: &Digest,
    name: String,
    reading: &Reading<'_>,
) -> Result<Gathered, Failure> {
    let evidence = evidence::named(reading)?.unwrap_or_default();
    let identity = Identity::Content(*digest);
    let kind = reading.kind.unwrap_or(ArtifactKind::Blob);
    Ok(Gathered {
        artifact: ArtifactFact {
            kind,
            name,
            read_as: "digest",
            identity,
            digests: vec![identity],
            content: None,
            size: None,
            platform: None,
            media_type: None,
        },
        kinds: vec![kind],
        observed: Observed {
            identities: vec![identity],
            ..Observed::default()
        },
        evidence,
        failed: Vec::new(),
        model: None,
        image: None,
        children: None,
        mutable: false,
        staged: None,
        further: None,
        unread: None,
    })
}
