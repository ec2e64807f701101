//! What must be read of an artifact before evidence about it can be checked.

use std::collections::BTreeSet;

use super::evidence::{Evidence, EvidenceBody};
use crate::bundle::{Bundle, Content};
use crate::digest::Algorithm;
use crate::dsse::Envelope;
use crate::limits;
use crate::model::files::HashRequest;
use crate::model::manifest::ModelManifest;
use crate::statement::Statement;
use crate::trust::Authority;

/// What to read, so that no evidence goes unchecked for want of a digest.
///
/// Evidence that nobody trusted signed can ask for the two longer hashes, and
/// for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Hashes of the whole artifact, SHA-256 first.
    pub algorithms: Vec<Algorithm>,
    /// Whether the bytes themselves are needed.
    pub content: bool,
    /// What to hash of a model's files.
    pub files: HashRequest,
}

/// Plans the reading of an artifact.
///
/// A message signature wants the hash of each key's scheme, or the bytes for a
/// key that signs them whole. A model signature wants the files it lists, cut
/// as it cuts them.
pub fn plan(evidence: &[Evidence], authorities: &[&Authority]) -> Wants {
    let mut wants = Wants {
        algorithms: vec![Algorithm::Sha256],
        content: false,
        files: HashRequest::whole(),
    };
    let mut message = false;
    for piece in evidence.iter().take(limits::EVIDENCE) {
        match &piece.body {
            EvidenceBody::Signature(_) => message = true,
            EvidenceBody::Bundle(json) => match Bundle::parse(json).map(|b| b.content) {
                Ok(Content::Message { digest, .. }) => {
                    message = true;
                    if let Some(stated) = digest {
                        want(&mut wants.algorithms, stated.algorithm());
                    }
                }
                Ok(Content::Envelope(envelope)) => {
                    statement(&envelope, authorities, &mut wants);
                }
                Err(_) => {}
            },
            EvidenceBody::Envelope(json) => {
                if let Ok(envelope) = Envelope::parse(json) {
                    statement(&envelope, authorities, &mut wants);
                }
            }
            EvidenceBody::SimpleSigning(_)
            | EvidenceBody::Notation(_)
            | EvidenceBody::Statement(_)
            | EvidenceBody::Foreign(_)
            | EvidenceBody::Malformed(_) => {}
        }
    }
    if message {
        let schemes: BTreeSet<_> = authorities
            .iter()
            .flat_map(|a| &a.keys)
            .map(|k| k.scheme.hash())
            .collect();
        for hash in schemes {
            match hash {
                Some(hash) => want(&mut wants.algorithms, hash),
                None => wants.content = true,
            }
        }
    }
    wants
}

fn statement(envelope: &Envelope, authorities: &[&Authority], wants: &mut Wants) {
    // Only a signer that is trusted may say how files are cut: anybody else's
    // wish would cost, or crowd out the signer's.
    let manifest = Statement::parse(&envelope.payload)
        .ok()
        .filter(|_| is_signed(envelope, authorities))
        .and_then(|s| ModelManifest::from_statement(&s).ok());
    if let Some(manifest) = manifest {
        wants.files = wants.files.clone().and(manifest.request());
    }
}

fn is_signed(envelope: &Envelope, authorities: &[&Authority]) -> bool {
    let pae = envelope.pae();
    authorities.iter().flat_map(|a| &a.keys).any(|key| {
        key.scheme
            .verify(&key.public_key, &pae, &envelope.signature)
            .is_ok()
    })
}

fn want(algorithms: &mut Vec<Algorithm>, algorithm: Algorithm) {
    if !algorithms.contains(&algorithm) {
        algorithms.push(algorithm);
    }
}
