//! cosign's formats before bundles, written beside them for verifiers that
//! know nothing else.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Exit, Failure, transfer};
use crate::custody::Caller;
use crate::digest::{Digest, Identity};
use crate::dsse::{self, Envelope};
use crate::keys::{Key, SignInput};
use crate::oci::{Descriptor, LegacyPiece, SimpleSigning};
use crate::reference::ArtifactRef;
use crate::source::registry::Repository;
use crate::statement::{Statement, Subject, TYPE_V01};

/// In which formats an image's signatures and attestations are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formats {
    /// As cosign 2 kept them, too.
    pub cosign_legacy: bool,
}

impl Formats {
    /// Reads the names of formats, and whether they can be written for `artifact`.
    ///
    /// # Errors
    /// `Usage` for a name that is none, without `bundle`, and for cosign's
    /// older format where there is no registry to keep it.
    pub fn parse(
        names: &[String],
        artifact: &ArtifactRef,
        output: Option<&Path>,
    ) -> Result<Self, Failure> {
        let refused = |what: String, hint: &str| Err(Failure::new(Exit::Usage, what).hint(hint));
        let mut formats = Self::default();
        for name in names {
            match name.as_str() {
                "bundle" => {}
                "cosign-legacy" => formats.cosign_legacy = true,
                other => {
                    return refused(
                        format!("--format {other} cannot be written by this version"),
                        "use bundle, or bundle,cosign-legacy; docs/gaps.md says what is missing",
                    );
                }
            }
        }
        if formats.cosign_legacy && !matches!(artifact, ArtifactRef::Registry { .. }) {
            return refused(
                format!(
                    "--format cosign-legacy cannot be written for {artifact}: it is for images in registries"
                ),
                "leave it out, or push it first; docs/gaps.md says what is missing",
            );
        }
        if formats.cosign_legacy && output.is_some() {
            return refused(
                "--format cosign-legacy lies in the registry, and --output does not".to_owned(),
                "leave one of the two out",
            );
        }
        if !names.iter().any(|name| name == "bundle") {
            return refused(
                "--format without bundle writes nothing that lasts".to_owned(),
                "use --format bundle,cosign-legacy",
            );
        }
        Ok(formats)
    }
}

/// What lies under one of cosign's tags.
#[derive(Clone, Debug, Serialize)]
pub struct Older {
    /// `HOST/REPOSITORY:TAG`.
    pub tag: String,
    /// Whether one by this key that says the same lay there already.
    pub existed: bool,
    /// As [`super::sign::SignedArtifact::cas`].
    pub cas: &'static str,
}

/// Signs a manifest as cosign 2 did.
pub(super) async fn signature(
    repository: &Repository,
    digest: Digest,
    annotations: Map<String, Value>,
    key: &Key,
    caller: &Caller,
) -> Result<LegacyPiece, Failure> {
    let payload = SimpleSigning {
        reference: repository.to_string(),
        digest,
        optional: annotations,
    }
    .to_json();
    // What readers of ours would refuse is not signed.
    SimpleSigning::parse(&payload).map_err(|error| {
        Failure::new(Exit::Usage, "cannot sign in format cosign-legacy")
            .cause(error)
            .hint("shorten the annotations, or leave cosign-legacy out")
    })?;
    let signed = key.sign(SignInput::Message(&payload), caller).await?;
    Ok(LegacyPiece::signature(payload, &signed.signature))
}

/// Attests as cosign 2 did: the same statement in the version before, which
/// also names the repository.
pub(super) async fn attestation(
    repository: &Repository,
    identity: &Identity,
    statement: &Statement,
    key: &Key,
    caller: &Caller,
) -> Result<LegacyPiece, Failure> {
    let statement = Statement {
        kind: TYPE_V01.to_owned(),
        subject: vec![Subject::new(&repository.to_string(), identity)],
        ..statement.clone()
    };
    let payload = statement.to_json();
    let pae = dsse::pae(dsse::IN_TOTO, &payload);
    let signed = key.sign(SignInput::Message(&pae), caller).await?;
    let envelope = Envelope {
        payload_type: dsse::IN_TOTO.to_owned(),
        payload,
        signature: signed.signature,
        keyid: String::new(),
    };
    Ok(LegacyPiece::attestation(
        &envelope,
        &statement.predicate_type,
    ))
}

/// Puts it under cosign's tag; what others put there stays.
pub(super) async fn keep(
    repository: &Repository,
    subject: &Descriptor,
    piece: &LegacyPiece,
    key: &Key,
) -> Result<Older, Failure> {
    let appended = repository
        .append(subject, piece, &|message, signature| {
            is_by(key, message, signature)
        })
        .await
        .map_err(transfer::unsent)?;
    Ok(Older {
        tag: format!("{repository}:{}", appended.tag),
        existed: appended.existed,
        cas: appended.cas.as_str(),
    })
}

/// Whether a signature over a message is by that key.
pub(super) fn is_by(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    key.scheme()
        .verify(key.public_key(), message, signature)
        .is_ok()
}

/// What is stored in part is not done, and can be gone on with.
pub(super) fn in_part(failure: Failure) -> Failure {
    let cause = match &failure.cause {
        Some(cause) => format!("{}: {cause}", failure.what),
        None => failure.what.clone(),
    };
    Failure {
        exit: Exit::Undetermined,
        what: "only a part of what was signed is stored".to_owned(),
        cause: Some(cause),
        hint: Some("run it again: what is there already is not stored twice".to_owned()),
        ..failure
    }
}
