//! Attesting: a predicate about an artifact, signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::gather::{self, Reading};
use super::older::{self, Formats, Older};
use super::sign::{self, Both};
use super::{Exit, Failure, SystemClock};
use crate::attestations::{OciReferrers, Referrers};
use crate::canon;
use crate::custody::Caller;
use crate::digest::Identity;
use crate::durable;
use crate::keys::Key;
use crate::limits;
use crate::reference::{ArtifactRef, Select};
use crate::source::Progress;
use crate::source::layout::Layout;
use crate::source::registry::Registries;
use crate::source::tree::Symlinks;
use crate::statement::predicate::{self, PredicateType};
use crate::statement::{Statement, Subject};

/// What to attest.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The artifact.
    pub artifact: &'a ArtifactRef,
    /// A name that [`predicate::resolve`] knows, or a URI.
    pub predicate_type: &'a str,
    /// The file that holds the predicate.
    pub predicate: &'a Path,
    /// What becomes of symlinks in a model.
    pub symlinks: Symlinks,
    /// Where the bundle goes instead of its usual place.
    pub output: Option<&'a Path>,
    /// Replace a bundle that is there.
    pub force: bool,
    /// How registries are reached.
    pub registries: &'a Registries,
    /// In which formats it is written.
    pub formats: Formats,
}

/// What was attested: `obreia.attested/v1`.
#[derive(Clone, Debug, Serialize)]
pub struct Attested {
    schema: &'static str,
    /// The subject's identity.
    pub identity: Identity,
    /// The predicate type that was written.
    pub predicate_type: String,
    /// Where the bundle is.
    pub bundle: String,
    /// What lies under cosign's older tag beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosign_legacy: Option<Older>,
    /// The key, by its name.
    pub key: String,
    /// What keeps two who attach at once from losing one of the two, where
    /// that depends on the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas: Option<&'static str>,
}

/// Signs a statement that `predicate` is true of the artifact.
///
/// # Errors
/// Where the predicate breaks its specification, the artifact cannot be read,
/// the key may not sign, or the bundle not be stored.
pub async fn attest(
    request: &Request<'_>,
    key: &Key,
    caller: &Caller,
    progress: &dyn Progress,
) -> Result<Attested, Failure> {
    let predicate_type = resolve(request.predicate_type)?;
    let predicate = read_predicate(&predicate_type, request.predicate)?;
    let reading = Reading {
        artifact: request.artifact,
        name: None,
        kind: None,
        symlinks: request.symlinks.clone(),
        // Named, and none: what was said before is of no interest here.
        bundles: &[],
        signature: None,
        into: None,
        registries: request.registries,
    };
    let gathered = gather::gather(&reading, &[], progress).await?;
    let identity = gathered.artifact.identity;
    // An image's statement names no repository, so that it holds after a copy.
    let name = match request.artifact {
        ArtifactRef::Path { path, .. } => file_name(path),
        _ => String::new(),
    };
    let statement = Statement::new(
        vec![Subject::new(&name, &identity)],
        predicate_type.uri(),
        predicate,
    );
    let bundle = sign::sign_statement(statement.to_json(), key, caller).await?;
    let mut older = None;
    let both = |bundle| Both {
        bundle,
        older: None,
        output: request.output,
        force: request.force,
    };
    let stored = match request.artifact {
        ArtifactRef::Path { path, .. } => {
            sign::keep_beside(Path::new(path), &bundle, request.output, request.force).await?
        }
        ArtifactRef::Layout { dir, select } => {
            let layout = Layout::open(dir)?;
            let subject = layout.resolve(select)?.descriptor;
            if Identity::Content(subject.digest) != identity {
                return Err(Failure::new(
                    Exit::Undetermined,
                    format!("{} moved while it was read", request.artifact),
                )
                .hint("name it by digest"));
            }
            let store = Referrers::new(layout, Arc::new(SystemClock));
            let kept = both(bundle).keep(&store, subject, key, &mut false).await?;
            kept.0
        }
        ArtifactRef::Registry {
            host, repository, ..
        } => {
            // By the digest that was attested, whatever the tag leads to now.
            let repository = request.registries.repository(host, repository)?;
            let Identity::Content(digest) = identity else {
                return Err(Failure::new(Exit::Bug, "a manifest without a digest"));
            };
            let subject = repository
                .resolve(&Select::Digest(digest))
                .await?
                .descriptor;
            let mut both = both(bundle);
            if request.formats.cosign_legacy {
                let piece =
                    older::attestation(&repository, &identity, &statement, key, caller).await?;
                both.older = Some((&repository, piece));
            }
            let store = OciReferrers::new(repository.clone(), Arc::new(SystemClock));
            let kept = both.keep(&store, subject, key, &mut false).await?;
            older = kept.1;
            kept.0
        }
        ArtifactRef::Digest(_) => match request.output {
            Some(_) => {
                sign::keep_beside(&PathBuf::new(), &bundle, request.output, request.force).await?
            }
            None => {
                return Err(Failure::new(
                    Exit::Usage,
                    "a digest alone has no place to keep its attestation",
                )
                .hint("say where it goes with --output FILE"));
            }
        },
    };
    Ok(Attested {
        schema: "obreia.attested/v1",
        identity,
        predicate_type: predicate_type.uri().to_owned(),
        bundle: stored.origin,
        cosign_legacy: older,
        cas: stored.cas,
        key: key.info().to_string(),
    })
}

fn resolve(name: &str) -> Result<PredicateType, Failure> {
    let predicate_type = predicate::resolve(name).map_err(|e| {
        let names: Vec<_> = predicate::names().collect();
        Failure::new(Exit::Usage, "cannot use --type")
            .cause(e)
            .hint(format!("use one of {}, or a URI", names.join(", ")))
    })?;
    if sign::is_signature_type(predicate_type.uri()) {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{} is a signature, not an attestation",
                predicate_type.uri()
            ),
        )
        .hint("sign with obreia sign"));
    }
    Ok(predicate_type)
}

fn read_predicate(
    predicate_type: &PredicateType,
    path: &Path,
) -> Result<serde_json::Value, Failure> {
    let bytes = durable::read(path, limits::DOCUMENT)?;
    let invalid = |why: String| {
        Failure::new(
            Exit::Usage,
            format!(
                "{} is not a predicate of type {}",
                path.display(),
                predicate_type.uri()
            ),
        )
        .cause(why)
        .hint("correct the document, or attest it under a type URI of your own")
    };
    let value = canon::parse(&bytes, limits::DOCUMENT).map_err(|e| invalid(e.to_string()))?;
    predicate_type
        .validate(&value)
        .map_err(|e| invalid(e.to_string()))?;
    Ok(value)
}

fn file_name(path: &str) -> String {
    let path = Path::new(path);
    let named = path
        .canonicalize()
        .ok()
        .and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
    named.unwrap_or_else(|| path.display().to_string())
}
