//! Signing: an artifact becomes a bundle, and the bundle goes where `verify` looks.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::gather::SNIFFED;
use super::older::{self, Formats, Older};
use super::remote::{self, Named};
use super::{Exit, Failure, SystemClock};
use crate::attestations::{
    AttestationStore, Deposit, OciReferrers, Referrers, Sidecar, Stored, Subject,
};
use crate::bundle::{Bundle, Content};
use crate::custody::Caller;
use crate::digest::{Algorithm, Digest, Identity};
use crate::dsse::{self, Envelope};
use crate::durable::{self, Existing};
use crate::keys::{Key, SignInput};
use crate::limits;
use crate::model::files::{HashRequest, HashedFile};
use crate::model::ignore::IgnoreRules;
use crate::model::manifest::{Method, ModelManifest};
use crate::model::{files, oms};
use crate::oci::{Descriptor, LegacyPiece, SimpleSigning, cosign_sign_statement};
use crate::reference::{ArtifactRef, PathKind, Select};
use crate::sbom;
use crate::source::file::RegularFile;
use crate::source::layout::Layout;
use crate::source::registry::{Registries, Repository};
use crate::source::tree::{Symlinks, Tree, TreeOptions, place_inside};
use crate::source::{Progress, SourceError};
use crate::statement::{self, Statement};
use crate::verify::ArtifactKind;

/// What to sign, and how.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The artifact.
    pub artifact: &'a ArtifactRef,
    /// `Some(Model)` signs one file as a model.
    pub kind: Option<ArtifactKind>,
    /// Signed notes: `stage`, `repository` and whatever else a policy binds to.
    pub annotations: Map<String, Value>,
    /// Paths of a model that are left out, beside the usual ones.
    pub ignore_paths: &'a [String],
    /// What becomes of symlinks in a model.
    pub symlinks: Symlinks,
    /// Cut a model's files into shards of that many bytes.
    pub shard_size: Option<NonZeroU64>,
    /// Sign the children of an index too.
    pub recursive: bool,
    /// Where the bundle goes instead of its usual place.
    pub output: Option<&'a Path>,
    /// Replace a bundle that is there.
    pub force: bool,
    /// How registries are reached.
    pub registries: &'a Registries,
    /// In which formats it is written.
    pub formats: Formats,
}

/// What was signed: one entry of `obreia.signed/v1`.
#[derive(Clone, Debug, Serialize)]
pub struct SignedArtifact {
    /// What kind of artifact.
    pub kind: ArtifactKind,
    /// Its identity.
    pub identity: Identity,
    /// Where the bundle is.
    pub bundle: String,
    /// Whether the very same bundle was there already.
    pub existed: bool,
    /// What keeps two who attach at once from losing one of the two:
    /// `registry`, `exact` or `best-effort`; in a registry only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas: Option<&'static str>,
    /// What lies under cosign's older tag beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosign_legacy: Option<Older>,
    /// The key, by its name.
    pub key: String,
    /// The scheme.
    pub scheme: String,
    /// What the signer should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Signs an artifact, and with `recursive` an index's children.
///
/// # Errors
/// Where the artifact cannot be read, the key may not sign, or the bundle not
/// be stored; then no bundle is left behind.
pub async fn sign(
    request: &Request<'_>,
    key: &Key,
    caller: &Caller,
    progress: &dyn Progress,
) -> Result<Vec<SignedArtifact>, Failure> {
    let signer = Signing {
        request,
        key,
        caller,
    };
    match request.artifact {
        ArtifactRef::Path { path, forced } => {
            let path = PathBuf::from(path);
            let tree = match forced {
                Some(PathKind::Directory) => true,
                Some(PathKind::File) => false,
                None => path.is_dir(),
            } || request.kind == Some(ArtifactKind::Model);
            if path.is_dir() {
                super::folder_as(&path, request.kind)?;
            }
            let signed = if tree {
                signer.model(&path, progress).await?
            } else {
                signer.file(&path, progress).await?
            };
            Ok(vec![signed])
        }
        ArtifactRef::Layout { dir, select } => signer.image(dir, select).await,
        ArtifactRef::Digest(_) => Err(Failure::new(
            Exit::Usage,
            "a digest alone has no place to keep its signature",
        )
        .hint("name the file, or the image in its layout")),
        ArtifactRef::Registry {
            host,
            repository,
            select,
        } => {
            let named = Named {
                host,
                repository,
                select,
            };
            signer.in_registry(named).await
        }
    }
}

struct Signing<'a> {
    request: &'a Request<'a>,
    key: &'a Key,
    caller: &'a Caller,
}

impl Signing<'_> {
    async fn file(&self, path: &Path, progress: &dyn Progress) -> Result<SignedArtifact, Failure> {
        let mut file = RegularFile::open(path)?;
        let start = file.start(SNIFFED)?;
        refuse_envelope(&file, &start)?;
        refuse_payload(&file)?;
        let kind = match self.request.kind {
            Some(kind) => kind,
            None if sbom::looks_like_one(&start) => ArtifactKind::Sbom,
            None => ArtifactKind::Blob,
        };
        if kind == ArtifactKind::Sbom {
            check_sbom(&mut file)?;
        }
        let scheme_hash = self.key.scheme().hash();
        // Pure Ed25519 cannot stream a file, and a message signature has no
        // place for annotations: both sign a statement about the digest.
        let direct = scheme_hash.filter(|_| self.request.annotations.is_empty());
        let mut algorithms = vec![Algorithm::Sha256];
        algorithms.extend(direct.filter(|hash| *hash != Algorithm::Sha256));
        let digests = file.hash(&algorithms, progress)?;
        let sha256 = digest(&digests, Algorithm::Sha256)?;
        let bundle = match direct {
            Some(hash) => self.message(digest(&digests, hash)?).await?,
            None => {
                let mut statement = cosign_sign_statement(sha256, self.request.annotations.clone());
                if let (Some(subject), Some(name)) =
                    (statement.subject.first_mut(), path.file_name())
                {
                    subject.name = name.to_string_lossy().into_owned();
                }
                self.statement(&statement).await?
            }
        };
        let stored = self.keep_beside(path, &bundle).await?;
        Ok(self.report(kind, Identity::Content(sha256), stored))
    }

    async fn model(&self, path: &Path, progress: &dyn Progress) -> Result<SignedArtifact, Failure> {
        let mut options = TreeOptions {
            symlinks: self.request.symlinks.clone(),
            ..TreeOptions::default()
        };
        // An older bundle that this one replaces is no part of the model.
        let inside = self.request.output.and_then(|o| place_inside(path, o));
        options.evidence.extend(inside);
        let tree = Tree::open(path, &options)?;
        let mut ignore = IgnoreRules::defaults();
        // model-signing wants the signature's own place named, also before it is there.
        for path in self.request.ignore_paths.iter().chain(&options.evidence) {
            ignore = ignore.and(path).map_err(|e| {
                Failure::new(
                    Exit::Usage,
                    format!("--ignore-path {path:?} is not a path in the model"),
                )
                .cause(e)
            })?;
        }
        let method = match self.request.shard_size {
            Some(size) => Method::Shards(size),
            None => Method::Files,
        };
        let request = HashRequest {
            shard_sizes: self.request.shard_size.into_iter().collect(),
            ..HashRequest::whole()
        };
        let hashed: Vec<HashedFile> = tree.hash(&request, progress)?;
        let manifest = ModelManifest::of(
            &tree.name(),
            &hashed,
            method,
            &ignore,
            tree.follows_symlinks(),
        )
        .map_err(|e| {
            Failure::new(Exit::Usage, format!("cannot sign {}", path.display())).cause(e)
        })?;
        let payload = manifest.to_statement().to_json();
        let signature = self
            .sign(SignInput::Message(&dsse::pae(dsse::IN_TOTO, &payload)))
            .await?;
        let bundle = oms::bundle(payload, signature, self.key.public_key());
        let stored = self.keep_beside(path, &bundle).await?;
        let identity = files::identity(&hashed).map_err(SourceError::from)?;
        let mut report = self.report(ArtifactKind::Model, identity, stored);
        let kind = self.key.public_key().kind();
        if !oms::fits(kind) {
            report.warnings.push(format!(
                "model_signing verifies ECDSA keys only, so it cannot verify this {kind} signature"
            ));
        }
        Ok(report)
    }

    async fn image(&self, dir: &str, select: &Select) -> Result<Vec<SignedArtifact>, Failure> {
        let layout = Layout::open(dir)?;
        let resolved = layout.resolve(select)?;
        let mut subjects = vec![resolved.descriptor.clone()];
        if self.request.recursive {
            subjects.extend(layout.children(&resolved.document)?);
        }
        let store = Referrers::new(layout, Arc::new(SystemClock));
        self.manifests(&store, subjects, None).await
    }

    async fn in_registry(&self, named: Named<'_>) -> Result<Vec<SignedArtifact>, Failure> {
        let repository = named.repository(self.request.registries)?;
        let resolved = repository.resolve(named.select).await?;
        let mut subjects = vec![resolved.descriptor.clone()];
        if self.request.recursive {
            subjects.extend(remote::children(&repository, &resolved).await?);
        }
        let store = OciReferrers::new(repository.clone(), Arc::new(SystemClock));
        let older = Some(&repository).filter(|_| self.request.formats.cosign_legacy);
        self.manifests(&store, subjects, older).await
    }

    /// Signs all of them, in every format, before the first signature is
    /// stored; under cosign's older tags where a repository is given for them.
    async fn manifests(
        &self,
        store: &dyn AttestationStore,
        subjects: Vec<Descriptor>,
        older: Option<&Repository>,
    ) -> Result<Vec<SignedArtifact>, Failure> {
        let mut signed = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let (digest, annotations) = (subject.digest, self.request.annotations.clone());
            let piece = match older {
                Some(repository) => {
                    let notes = annotations.clone();
                    let piece =
                        older::signature(repository, digest, notes, self.key, self.caller).await?;
                    Some((repository, piece))
                }
                None => None,
            };
            let statement = cosign_sign_statement(digest, annotations);
            signed.push((self.statement(&statement).await?, piece, subject));
        }
        let mut reports = Vec::with_capacity(signed.len());
        let mut begun = false;
        for (bundle, piece, subject) in signed {
            let both = Both {
                bundle,
                older: piece,
                output: self.request.output,
                force: self.request.force,
            };
            let identity = Identity::Content(subject.digest);
            let (stored, older) = both.keep(store, subject, self.key, &mut begun).await?;
            let mut report = self.report(ArtifactKind::Image, identity, stored);
            report.cosign_legacy = older;
            reports.push(report);
        }
        Ok(reports)
    }

    async fn message(&self, digest: Digest) -> Result<Bundle, Failure> {
        let signature = self.sign(SignInput::Digest(digest)).await?;
        Ok(Bundle::by_key(
            self.key.public_key().sigstore_hint(),
            Content::Message {
                digest: Some(digest),
                signature,
            },
        ))
    }

    async fn statement(&self, statement: &Statement) -> Result<Bundle, Failure> {
        sign_statement(statement.to_json(), self.key, self.caller).await
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Vec<u8>, Failure> {
        Ok(self.key.sign(input, self.caller).await?.signature)
    }

    async fn keep_beside(&self, path: &Path, bundle: &Bundle) -> Result<Stored, Failure> {
        keep_beside(path, bundle, self.request.output, self.request.force).await
    }

    fn report(&self, kind: ArtifactKind, identity: Identity, stored: Stored) -> SignedArtifact {
        SignedArtifact {
            kind,
            identity,
            bundle: stored.origin,
            existed: stored.existed,
            cas: stored.cas,
            cosign_legacy: None,
            key: self.key.info().to_string(),
            scheme: self.key.scheme().to_string(),
            warnings: Vec::new(),
        }
    }
}

/// Signs a statement's bytes into a DSSE bundle with Sigstore's key hint.
pub(super) async fn sign_statement(
    payload: Vec<u8>,
    key: &Key,
    caller: &Caller,
) -> Result<Bundle, Failure> {
    let pae = dsse::pae(dsse::IN_TOTO, &payload);
    let signature = key.sign(SignInput::Message(&pae), caller).await?.signature;
    Ok(Bundle::by_key(
        key.public_key().sigstore_hint(),
        Content::Envelope(Envelope {
            payload_type: dsse::IN_TOTO.to_owned(),
            payload,
            signature,
            keyid: String::new(),
        }),
    ))
}

/// Stores a bundle beside a file or in a model's folder, or where `output` says.
pub(super) async fn keep_beside(
    path: &Path,
    bundle: &Bundle,
    output: Option<&Path>,
    force: bool,
) -> Result<Stored, Failure> {
    let json = bundle.to_json();
    match output {
        Some(output) => write_to(output, &json, force),
        None => Ok(Sidecar
            .put(
                &Subject::Path(path.to_owned()),
                Deposit {
                    force,
                    ..Deposit::new(&json)
                },
            )
            .await?),
    }
}

/// What was signed about a manifest, in every format, and where it goes.
pub(super) struct Both<'a> {
    pub(super) bundle: Bundle,
    /// Under cosign's older tag of that repository.
    pub(super) older: Option<(&'a Repository, LegacyPiece)>,
    /// Where the bundle is written instead of being attached.
    pub(super) output: Option<&'a Path>,
    pub(super) force: bool,
}

impl Both<'_> {
    /// Stores all of it. `begun` tells whether anything was stored before, here
    /// or for another manifest: then what fails leaves a part.
    pub(super) async fn keep(
        self,
        store: &dyn AttestationStore,
        subject: Descriptor,
        key: &Key,
        begun: &mut bool,
    ) -> Result<(Stored, Option<Older>), Failure> {
        let part = |failure: Failure, begun| match begun {
            true => older::in_part(failure),
            false => failure,
        };
        let at = Subject::Manifest(Box::new(subject.clone()));
        let stored = match self.output {
            Some(output) => write_to(output, &self.bundle.to_json(), self.force),
            None => attach(store, &at, &self.bundle, key).await,
        };
        let stored = stored.map_err(|failure| part(failure, *begun))?;
        *begun |= !stored.existed;
        let older = match &self.older {
            Some((repository, piece)) => {
                let kept = older::keep(repository, &subject, piece, key).await;
                let kept = kept.map_err(|failure| part(failure, *begun))?;
                *begun |= !kept.existed;
                Some(kept)
            }
            None => None,
        };
        Ok((stored, older))
    }
}

/// Attaches a bundle to a manifest, unless one hangs there that says the same
/// and is by the same key: signatures of most schemes differ each time.
async fn attach(
    store: &dyn AttestationStore,
    subject: &Subject,
    bundle: &Bundle,
    key: &Key,
) -> Result<Stored, Failure> {
    if let Content::Envelope(own) = &bundle.content
        && !key.scheme().is_deterministic()
    {
        let there = store.list(subject).await?.into_iter().find(|one| {
            let known = Bundle::parse(&one.bytes).map(|bundle| bundle.content);
            matches!(known, Ok(Content::Envelope(known))
                if known.payload_type == own.payload_type
                    && known.payload == own.payload
                    && older::is_by(key, &known.pae(), &known.signature))
        });
        if let Some(there) = there {
            return Ok(Stored {
                origin: there.origin,
                existed: true,
                cas: None,
            });
        }
    }
    let json = bundle.to_json();
    Ok(store.put(subject, Deposit::new(&json)).await?)
}

fn write_to(output: &Path, json: &[u8], force: bool) -> Result<Stored, Failure> {
    let existing = if force {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    durable::write(output, json, 0o644, existing)?;
    Ok(Stored {
        origin: output.display().to_string(),
        existed: false,
        cas: None,
    })
}

fn digest(digests: &[Digest], algorithm: Algorithm) -> Result<Digest, Failure> {
    digests
        .iter()
        .copied()
        .find(|d| d.algorithm() == algorithm)
        .ok_or_else(|| Failure::new(Exit::Bug, "a digest that was asked for was not computed"))
}

/// A file that is an envelope's signed form would get a signature that makes
/// that envelope valid, whatever it says.
fn refuse_envelope(file: &RegularFile, start: &[u8]) -> Result<(), Failure> {
    if start.starts_with(dsse::PAE_START) {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{} is the signed form of an envelope; signing it would sign that envelope",
                file.path().display()
            ),
        )
        .hint("sign an archive of it, or attest what the envelope says with obreia attest"));
    }
    Ok(())
}

/// A file that is cosign's payload about an image would get the signature of
/// that image.
fn refuse_payload(file: &RegularFile) -> Result<(), Failure> {
    // One byte more than a payload may have, so that a larger file is none.
    let most = usize::try_from(limits::SIMPLE_SIGNING).unwrap_or(usize::MAX);
    match SimpleSigning::parse(&file.start(most.saturating_add(1))?) {
        Err(_) => Ok(()),
        Ok(payload) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} is a payload of cosign's about {}; signing it would sign that image",
                file.path().display(),
                payload.digest
            ),
        )
        .hint("sign the image itself, or an archive of the file")),
    }
}

/// An SBOM is signed only where it keeps to its specification: whoever reads
/// it later will rely on that. Read through the descriptor that is hashed.
fn check_sbom(file: &mut RegularFile) -> Result<(), Failure> {
    let bytes = file.read_all(limits::DOCUMENT)?;
    sbom::validate(&bytes).map(drop).map_err(|e| {
        Failure::new(
            Exit::Usage,
            format!(
                "{} does not keep to its SBOM specification",
                file.path().display()
            ),
        )
        .cause(e)
        .hint("correct it, or sign it as any other file with --kind blob")
    })
}

/// Predicate types that are signatures and never attestations.
pub(super) fn is_signature_type(predicate_type: &str) -> bool {
    predicate_type == statement::COSIGN_SIGN || oms::is_model_signature(predicate_type)
}
