//! Supposed facts, from what a case gives.

use std::collections::BTreeMap;

use serde_json::Value;

use super::wire::{Attestation, Given, RejectedKind, Signature};
use crate::crypto::sha256;
use crate::digest::Identity;
use crate::policy::decide::View;
use crate::statement::predicate;
use crate::time::Timestamp;
use crate::verify::{
    ArtifactFact, ArtifactKind, AttestationFact, EvidenceReport, ModelFacts, ModelFile, Reason,
    ReasonCode, SignatureFact, SignatureFormat, SignerKey, Stage,
};

/// The present time of a case that states none.
const NOW: &str = "2026-11-21T10:00:00Z";

/// Facts that nobody verified.
#[derive(Debug)]
pub(super) struct Supposed {
    pub(super) kinds: Vec<ArtifactKind>,
    artifact: ArtifactFact,
    stage: Stage,
    signatures: Vec<SignatureFact>,
    attestations: Vec<AttestationFact>,
    model: Option<ModelFacts>,
    mutable: bool,
    image: Option<BTreeMap<String, Value>>,
    now: Timestamp,
}

impl Supposed {
    pub(super) fn view(&self) -> View<'_> {
        View {
            artifact: &self.artifact,
            stage: self.stage,
            signatures: self.signatures.iter().collect(),
            attestations: self.attestations.iter().collect(),
            model: self.model.as_ref(),
            mutable: self.mutable,
            image: self.image.as_ref(),
            now_ns: self.now.nanos(),
            supposed: true,
        }
    }
}

impl Given {
    pub(super) fn facts(&self) -> Result<Supposed, String> {
        let identity = self.identity()?;
        let now = match self.now {
            Some(now) => now,
            None => NOW.parse().map_err(|_| "no present time".to_owned())?,
        };
        let mut kinds = vec![self.artifact.kind];
        kinds.extend(&self.artifact.also);
        let artifact = ArtifactFact {
            kind: self.artifact.kind,
            name: self.artifact.name.clone(),
            read_as: "supposed",
            identity,
            digests: vec![identity],
            content: None,
            size: self.artifact.size,
            platform: self.artifact.platform.clone(),
            media_type: self.artifact.media_type.clone(),
        };
        let format = match self.artifact.kind {
            ArtifactKind::Model => SignatureFormat::Oms,
            _ => SignatureFormat::Bundle,
        };
        Ok(Supposed {
            kinds,
            artifact,
            stage: self.stage,
            signatures: self.signatures.iter().map(|s| s.fact(format)).collect(),
            attestations: self
                .attestations
                .iter()
                .map(Attestation::fact)
                .collect::<Result<_, _>>()?,
            model: self.model.as_ref().map(|model| ModelFacts {
                files: model
                    .files
                    .iter()
                    .map(|file| ModelFile {
                        path: file.path.clone(),
                        size: file.size,
                        digest: None,
                    })
                    .collect(),
                formats: model.formats.clone(),
                unsigned_files: model.unsigned_files.clone(),
                outside_identity: model.outside_identity.clone(),
            }),
            mutable: self.mutable,
            image: self.image.clone(),
            now,
        })
    }

    fn identity(&self) -> Result<Identity, String> {
        match &self.artifact.digest {
            Some(text) => text.parse().map_err(|e| format!("artifact.digest: {e}")),
            // Any will do, as long as it is always the same.
            None => Ok(Identity::Content(sha256(self.artifact.name.as_bytes()))),
        }
    }

    /// Failed look-ups, and what became of evidence that did not verify.
    pub(super) fn lookups(&self) -> Result<(Vec<Reason>, Vec<EvidenceReport>), String> {
        let failed = self
            .failed
            .iter()
            .map(|code| Ok(Reason::new(code_of(code)?, "a look-up failed")));
        let evidence = self.evidence.iter().enumerate().map(|(i, rejected)| {
            Ok(EvidenceReport {
                origin: format!("evidence-{i}"),
                kind: match rejected.kind {
                    RejectedKind::Signature => "signature",
                    RejectedKind::Attestation => "attestation",
                    RejectedKind::Unreadable => "unreadable",
                },
                predicate_type: rejected.predicate_type.as_deref().map(uri_of),
                signer: None,
                verified: false,
                reasons: vec![Reason::new(code_of(&rejected.reason)?, "does not verify")],
                near_miss: Vec::new(),
            })
        });
        Ok((
            failed.collect::<Result<_, String>>()?,
            evidence.collect::<Result<_, String>>()?,
        ))
    }
}

fn code_of(text: &str) -> Result<ReasonCode, String> {
    ReasonCode::ALL
        .iter()
        .copied()
        .find(|code| code.as_str() == text)
        .ok_or_else(|| format!("{text:?} is not a reason code"))
}

fn uri_of(kind: &str) -> String {
    predicate::resolve(kind).map_or_else(|_| kind.to_owned(), |found| found.uri().to_owned())
}

fn key(id: &Option<String>, authority: &str, version: Option<u32>) -> SignerKey {
    let id = id.clone().unwrap_or_else(|| format!("key-of-{authority}"));
    SignerKey {
        path: id.clone(),
        id,
        version,
        state: "active",
        marks: Vec::new(),
    }
}

impl Signature {
    fn fact(&self, usual: SignatureFormat) -> SignatureFact {
        SignatureFact {
            authority: self.authority.clone(),
            key: key(&self.key, &self.authority, self.version),
            format: self.format.unwrap_or(usual),
            signed_at: self.signed_at,
            time_source: self.signed_at.map(|_| "supposed"),
            certificate: None,
            claims: self.claims.clone(),
            uncovered: self.uncovered.clone(),
            origin: format!("signature by {}", self.authority),
        }
    }
}

impl Attestation {
    fn fact(&self) -> Result<AttestationFact, String> {
        let kind = predicate::resolve(&self.kind).map_err(|e| format!("attestations: {e}"))?;
        let bytes = serde_json::to_vec(&self.predicate).map_err(|e| e.to_string())?;
        Ok(AttestationFact {
            predicate_type: kind.uri().to_owned(),
            predicate: self.predicate.clone(),
            authority: self.authority.clone(),
            key: key(&self.key, &self.authority, None),
            signed_at: self.signed_at,
            digest: sha256(&bytes),
            claims: self.claims.clone(),
            origin: format!("{} by {}", self.kind, self.authority),
        })
    }
}
