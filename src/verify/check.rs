//! One piece of evidence against one artifact.

use serde_json::{Map, Value};

use super::evidence::{Evidence, EvidenceBody, Observed};
use super::facts::{
    AttestationFact, CertificateFact, SignatureFact, SignatureFormat, SignerKey, Verified,
};
use super::keys::{self, Candidate};
use super::notation;
use super::reason::{Reason, ReasonCode};
use super::signers;
use super::simple;
use super::verdict::EvidenceReport;
use crate::bundle::{Bundle, BundleError, Content, Material};
use crate::crypto::{SignatureError, sha256};
use crate::digest::{Algorithm, Digest, Identity};
use crate::dsse::{self, Envelope};
use crate::limits;
use crate::statement::{self, Statement};
use crate::time::Timestamp;
use crate::trust::Authority;

/// What to do about evidence that belongs elsewhere.
pub(super) const ANOTHER: &str =
    "it belongs to another artifact or another version of this one; get both from the same place";

/// What became of all evidence under one policy's authorities.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Signatures that hold.
    pub signatures: Vec<Verified<SignatureFact>>,
    /// Attestations that hold.
    pub attestations: Vec<Verified<AttestationFact>>,
    /// What became of each piece, in the order given.
    pub reports: Vec<EvidenceReport>,
}

/// Verifies evidence.
///
/// For each piece, in this order, and the first that fails ends it:
///
/// 1. it is read as what it calls itself: a bundle, an envelope, a payload of
///    cosign's before bundles (sizes, one signature, one content, one material);
/// 2. it is signed by a key, not by a certificate;
/// 3. the key that its hint names, or where it names none every key, is one of
///    an authority's, and of a version that still verifies;
/// 4. the signature holds under that key's one scheme: of a message, over the
///    artifact's digest as we computed it; of an envelope, over its
///    pre-authentication encoding;
/// 5. a message digest that the bundle states is the artifact's;
/// 6. an envelope's payload type is in-toto's and its payload a statement;
/// 7. one of the statement's subjects is the artifact, by digest; for an
///    OpenSSF model signature every file it lists is there and the same;
/// 8. it is a signature (message, cosign's `sign/v1`, OpenSSF) or else an
///    attestation, never both.
///
/// Notation's signatures are by certificates, and have steps of their own.
/// `now` is the present time, at which what has an end must not have ended.
///
/// It does not establish that the signer was allowed to sign this, nor when it
/// signed: the first is the policy's to say, the second needs a trusted time.
pub fn check(
    evidence: &[Evidence],
    artifact: &Observed<'_>,
    authorities: &[Authority],
    now: Timestamp,
) -> Checked {
    let mut checked = Checked::default();
    for piece in evidence.iter().take(limits::EVIDENCE) {
        let found = match &piece.body {
            EvidenceBody::Notation(signed) => notation::check(signed, artifact, authorities, now),
            _ => examine(piece, artifact, authorities).map(|found| vec![found]),
        };
        let report = match found {
            Ok(found) => record(piece, found, &mut checked),
            Err(rejection) => EvidenceReport {
                origin: piece.origin.clone(),
                kind: rejection.kind,
                predicate_type: rejection.predicate_type,
                signer: rejection.signer,
                verified: false,
                reasons: vec![*rejection.reason],
                near_miss: rejection.near_miss,
            },
        };
        checked.reports.push(report);
    }
    signers::unify(&mut checked.signatures);
    checked
}

/// A piece that holds.
pub(super) struct Found {
    pub(super) signer: Signer,
    pub(super) what: What,
}

/// By whom it is.
pub(super) struct Signer {
    /// The authorities that it speaks for.
    pub(super) authorities: Vec<String>,
    /// What people call it.
    pub(super) label: String,
    pub(super) key: SignerKey,
    pub(super) certificate: Option<CertificateFact>,
    /// When, and who says so.
    pub(super) signed_at: Option<(Timestamp, &'static str)>,
    /// What is worth knowing about it.
    pub(super) notes: Vec<Reason>,
}

impl From<Candidate> for Signer {
    fn from(candidate: Candidate) -> Self {
        Self {
            label: candidate.label(),
            authorities: candidate.authorities,
            key: SignerKey {
                id: candidate.key.key_id,
                path: candidate.key.path,
                version: candidate.key.version,
                state: candidate.key.state.as_str(),
                marks: Vec::new(),
            },
            certificate: None,
            signed_at: None,
            notes: Vec::new(),
        }
    }
}

pub(super) enum What {
    Signature {
        format: SignatureFormat,
        claims: Map<String, Value>,
        uncovered: Vec<String>,
    },
    Attestation {
        statement: Statement,
        digest: Digest,
        claims: Map<String, Value>,
    },
}

/// A piece that does not.
pub(super) struct Rejection {
    pub(super) kind: &'static str,
    pub(super) predicate_type: Option<String>,
    pub(super) signer: Option<String>,
    pub(super) reason: Box<Reason>,
    pub(super) near_miss: Vec<String>,
}

impl Rejection {
    pub(super) fn new(kind: &'static str, code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            kind,
            predicate_type: None,
            signer: None,
            reason: Box::new(Reason::new(code, detail)),
            near_miss: Vec::new(),
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.reason.hint = hint.into();
        self
    }

    pub(super) fn near(mut self, near: impl Into<String>) -> Self {
        self.near_miss.push(near.into());
        self
    }

    fn of(mut self, statement: &Statement) -> Self {
        self.predicate_type = Some(statement.predicate_type.clone());
        self
    }

    pub(super) fn by(self, key: &Candidate) -> Self {
        self.by_label(&key.label())
    }

    pub(super) fn by_label(mut self, label: &str) -> Self {
        self.signer = Some(label.to_owned());
        self
    }
}

fn record(piece: &Evidence, found: Vec<Found>, checked: &mut Checked) -> EvidenceReport {
    let labels: Vec<&str> = found.iter().map(|f| f.signer.label.as_str()).collect();
    let mut report = EvidenceReport {
        origin: piece.origin.clone(),
        kind: "signature",
        predicate_type: None,
        signer: Some(labels.join("; ")),
        verified: true,
        reasons: Vec::new(),
        near_miss: Vec::new(),
    };
    for Found { signer, what } in found {
        for note in signer.notes {
            if !report.reasons.contains(&note) {
                report.reasons.push(note);
            }
        }
        // One key may speak for several authorities; the fact is told for each.
        for authority in &signer.authorities {
            match &what {
                What::Signature {
                    format,
                    claims,
                    uncovered,
                } => checked.signatures.push(Verified::new(SignatureFact {
                    authority: authority.clone(),
                    key: signer.key.clone(),
                    format: *format,
                    signed_at: signer.signed_at.map(|(at, _)| at),
                    time_source: signer.signed_at.map(|(_, source)| source),
                    certificate: signer.certificate.clone(),
                    claims: claims.clone(),
                    uncovered: uncovered.clone(),
                    origin: piece.origin.clone(),
                })),
                What::Attestation {
                    statement,
                    digest,
                    claims,
                } => {
                    report.kind = "attestation";
                    report.predicate_type = Some(statement.predicate_type.clone());
                    checked.attestations.push(Verified::new(AttestationFact {
                        predicate_type: statement.predicate_type.clone(),
                        predicate: statement.predicate.clone(),
                        authority: authority.clone(),
                        key: signer.key.clone(),
                        signed_at: None,
                        digest: *digest,
                        claims: claims.clone(),
                        origin: piece.origin.clone(),
                    }));
                }
            }
        }
    }
    report
}

fn examine(
    piece: &Evidence,
    artifact: &Observed<'_>,
    authorities: &[Authority],
) -> Result<Found, Rejection> {
    match &piece.body {
        EvidenceBody::Bundle(json) => {
            // Step 1.
            let bundle = Bundle::parse(json).map_err(|error| malformed(&error))?;
            bundle_content(&bundle, artifact, authorities)
        }
        EvidenceBody::Signature(signature) => {
            let candidates = keys::candidates(authorities, "")?;
            let key = message(&candidates, signature, artifact)?;
            Ok(Found {
                signer: key.into(),
                what: What::Signature {
                    format: SignatureFormat::Raw,
                    claims: Map::new(),
                    uncovered: Vec::new(),
                },
            })
        }
        EvidenceBody::SimpleSigning(signed) => simple::check(signed, artifact, authorities),
        EvidenceBody::Envelope(json) => {
            let envelope = Envelope::parse(json).map_err(|error| {
                Rejection::new("unreadable", ReasonCode::BundleMalformed, error.to_string())
            })?;
            // Its key id is a hint in nobody's form, and rules out no key.
            let candidates = keys::candidates(authorities, "")?;
            statement(
                &candidates,
                &envelope,
                artifact,
                SignatureFormat::CosignLegacy,
            )
        }
        EvidenceBody::Statement(json) => Err(unsigned(json)),
        EvidenceBody::Notation(_) => unreachable!("it is looked at before"),
        EvidenceBody::Foreign(what) => Err(Rejection::new(
            "unreadable",
            ReasonCode::FormatNotAllowed,
            format!("{what} is listed but not verified by this version"),
        )),
        EvidenceBody::Malformed(why) => Err(Rejection::new(
            "unreadable",
            ReasonCode::BundleMalformed,
            why.clone(),
        )),
    }
}

/// What nobody signed proves nothing, whatever it says.
fn unsigned(json: &[u8]) -> Rejection {
    match Statement::parse(json) {
        Ok(statement) => Rejection::new(
            "attestation",
            ReasonCode::FormatNotAllowed,
            "an in-toto statement that nobody signed",
        )
        .hint("attest what it says with obreia attest, or have its builder sign it")
        .of(&statement),
        Err(error) => Rejection::new(
            "attestation",
            ReasonCode::StatementMalformed,
            error.to_string(),
        ),
    }
}

fn malformed(error: &BundleError) -> Rejection {
    Rejection::new("unreadable", ReasonCode::BundleMalformed, error.to_string())
        .hint("obreia inspect shows what a bundle holds")
}

fn bundle_content(
    bundle: &Bundle,
    artifact: &Observed<'_>,
    authorities: &[Authority],
) -> Result<Found, Rejection> {
    // Step 2.
    let hint = match &bundle.material {
        Material::PublicKey { hint } => hint,
        Material::Certificates(_) => {
            return Err(Rejection::new(
                "signature",
                ReasonCode::FormatNotAllowed,
                "signed by a certificate; this version verifies signatures by keys",
            ));
        }
    };
    // Step 3.
    let candidates = keys::candidates(authorities, hint)?;
    match &bundle.content {
        Content::Message { digest, signature } => {
            // Steps 4 and 5.
            let key = match message(&candidates, signature, artifact) {
                Ok(key) => key,
                Err(rejection) => {
                    return Err(another_artifact(
                        rejection,
                        digest.as_ref(),
                        signature,
                        &candidates,
                        artifact,
                    ));
                }
            };
            if let Some(stated) = digest
                && is_another(stated, artifact)
            {
                return Err(Rejection::new(
                    "signature",
                    ReasonCode::MessageDigestMismatch,
                    format!("the bundle states {stated}, which is not what it signed"),
                )
                .by(&key)
                .hint("the bundle was altered after signing; get it again from its source"));
            }
            Ok(Found {
                signer: key.into(),
                what: What::Signature {
                    format: SignatureFormat::Bundle,
                    claims: Map::new(),
                    uncovered: artifact.never_covered(),
                },
            })
        }
        Content::Envelope(envelope) => {
            statement(&candidates, envelope, artifact, SignatureFormat::Bundle)
        }
    }
}

/// Step 4 for a message: the first candidate whose scheme accepts.
fn message(
    candidates: &[Candidate],
    signature: &[u8],
    artifact: &Observed<'_>,
) -> Result<Candidate, Rejection> {
    if artifact.envelope_like {
        return Err(Rejection::new(
            "signature",
            ReasonCode::FormatNotAllowed,
            "the artifact begins as the signed form of an envelope does, so a signature over its bytes may have been made for that envelope",
        ));
    }
    keys::signer(candidates, |candidate| {
        let (key, scheme) = (&candidate.key.public_key, candidate.key.scheme);
        let result = match scheme.hash() {
            Some(hash) => {
                let mut digests = artifact.digests(hash).peekable();
                if digests.peek().is_none() {
                    return Err(needs_digest(candidate, hash));
                }
                let mut held = Err(SignatureError::Invalid);
                for digest in digests {
                    held = scheme.verify_digest(key, digest, signature);
                    if held.is_ok() {
                        break;
                    }
                }
                held
            }
            None => {
                let bytes = artifact.content.as_ref();
                let bytes = bytes.ok_or_else(|| needs_bytes(artifact))?;
                scheme.verify(key, bytes, signature)
            }
        };
        result.map_err(|error| rejected(&error, candidate, signature))
    })
}

fn needs_digest(candidate: &Candidate, hash: Algorithm) -> Rejection {
    Rejection::new(
        "signature",
        ReasonCode::SchemeMismatch,
        format!(
            "{} signs a {} digest of the artifact, which is not at hand",
            candidate.key.scheme,
            hash.name()
        ),
    )
    .hint("verify the bytes themselves instead of a digest")
}

fn needs_bytes(artifact: &Observed<'_>) -> Rejection {
    match artifact.size {
        Some(size) if size > limits::ED25519_MESSAGE => Rejection::new(
            "signature",
            ReasonCode::MessageTooLarge,
            format!(
                "ed25519 signs the message itself: {size} bytes, of which at most {} are taken into memory",
                limits::ED25519_MESSAGE
            ),
        )
        .hint("sign with obreia, which signs a statement about the digest, or with an ECDSA key"),
        _ => Rejection::new(
            "signature",
            ReasonCode::SchemeMismatch,
            "ed25519 signs the message itself, and only a digest is at hand",
        )
        .hint("verify the bytes themselves instead of a digest"),
    }
}

pub(super) fn rejected(
    error: &SignatureError,
    candidate: &Candidate,
    signature: &[u8],
) -> Rejection {
    let scheme = candidate.key.scheme;
    let checked = format!("checked as {scheme} with {}", candidate.label());
    let (code, detail) = match error {
        SignatureError::Invalid if !scheme.can_be(&candidate.key.public_key, signature) => (
            ReasonCode::SchemeMismatch,
            format!(
                "the signature has {} bytes, which no {scheme} signature has",
                signature.len()
            ),
        ),
        SignatureError::Invalid => (ReasonCode::SignatureInvalid, error.to_string()),
        SignatureError::KeyMismatch { .. }
        | SignatureError::NeedsMessage
        | SignatureError::WrongHash { .. } => (ReasonCode::SchemeMismatch, error.to_string()),
    };
    Rejection::new("signature", code, detail).near(checked)
}

/// Whether a stated digest is known to be of other bytes.
fn is_another(stated: &Digest, artifact: &Observed<'_>) -> bool {
    let mut ours = artifact.digests(stated.algorithm()).peekable();
    ours.peek().is_some() && !ours.any(|digest| digest == stated)
}

/// Turns "does not hold" into "holds, but for another artifact" where that is so.
fn another_artifact(
    rejection: Rejection,
    stated: Option<&Digest>,
    signature: &[u8],
    candidates: &[Candidate],
    artifact: &Observed<'_>,
) -> Rejection {
    // A signature by a retired key is not explained by another artifact.
    let failed = matches!(
        rejection.reason.code,
        ReasonCode::SignatureInvalid | ReasonCode::SchemeMismatch
    );
    let Some(stated) = stated.filter(|_| failed) else {
        return rejection;
    };
    if !is_another(stated, artifact) {
        return rejection;
    }
    let ours: Vec<_> = artifact
        .digests(stated.algorithm())
        .map(ToString::to_string)
        .collect();
    let ours = ours.join(" or ");
    let holds = candidates.iter().find(|c| {
        c.key
            .scheme
            .verify_digest(&c.key.public_key, stated, signature)
            .is_ok()
    });
    match holds {
        Some(candidate) => Rejection::new(
            "signature",
            ReasonCode::DigestMismatch,
            format!("the signature is about {stated}, the artifact is {ours}"),
        )
        .by(candidate)
        .hint(ANOTHER)
        .near("the signature itself is valid: it belongs to other bytes"),
        None => rejection.near(format!(
            "the bundle says it is about {stated}, the artifact is {ours}"
        )),
    }
}

/// Steps 4, 6, 7 and 8 for an envelope.
fn statement(
    candidates: &[Candidate],
    envelope: &Envelope,
    artifact: &Observed<'_>,
    format: SignatureFormat,
) -> Result<Found, Rejection> {
    let key = envelope_signer(candidates, envelope)?;
    if envelope.payload_type != dsse::IN_TOTO {
        return Err(Rejection::new(
            "unreadable",
            ReasonCode::PayloadType,
            format!(
                "the envelope's payloadType is {:?}, expected {:?}",
                envelope.payload_type.chars().take(128).collect::<String>(),
                dsse::IN_TOTO
            ),
        )
        .by(&key));
    }
    let statement = Statement::parse(&envelope.payload).map_err(|error| {
        Rejection::new(
            "unreadable",
            ReasonCode::StatementMalformed,
            error.to_string(),
        )
        .by(&key)
    })?;
    if super::model::is_model_signature(&statement) {
        let uncovered = super::model::check(&statement, artifact)
            .map_err(|rejection| rejection.of(&statement).by(&key))?;
        return Ok(Found {
            signer: key.into(),
            what: What::Signature {
                format: SignatureFormat::Oms,
                claims: Map::new(),
                uncovered,
            },
        });
    }
    let claims = subject_claims(&statement, artifact).ok_or_else(|| {
        let theirs: Vec<_> = statement
            .subject
            .iter()
            .take(4)
            .flat_map(|s| s.digest.iter().map(|(name, hex)| format!("{name}:{hex}")))
            .collect();
        let ours: Vec<_> = artifact
            .identities
            .iter()
            .map(ToString::to_string)
            .collect();
        Rejection::new(
            if statement.predicate_type == statement::COSIGN_SIGN {
                "signature"
            } else {
                "attestation"
            },
            ReasonCode::DigestMismatch,
            format!(
                "the statement is about {}, the artifact is {}",
                theirs.join(", "),
                ours.join(", ")
            ),
        )
        .hint(ANOTHER)
        .of(&statement)
        .by(&key)
    })?;
    let what = if statement.predicate_type == statement::COSIGN_SIGN {
        What::Signature {
            format,
            claims,
            uncovered: match is_about_manifest(&statement, artifact) {
                // It names all that is packed in it.
                true => Vec::new(),
                false => artifact.never_covered(),
            },
        }
    } else {
        What::Attestation {
            digest: sha256(&envelope.payload),
            statement,
            claims,
        }
    };
    Ok(Found {
        signer: key.into(),
        what,
    })
}

fn envelope_signer(candidates: &[Candidate], envelope: &Envelope) -> Result<Candidate, Rejection> {
    let pae = envelope.pae();
    keys::signer(candidates, |candidate| {
        let (key, scheme) = (&candidate.key.public_key, candidate.key.scheme);
        scheme
            .verify(key, &pae, &envelope.signature)
            .map_err(|error| rejected(&error, candidate, &envelope.signature))
    })
}

fn is_about_manifest(statement: &Statement, artifact: &Observed<'_>) -> bool {
    let manifest = artifact.manifest.map(Identity::Content);
    manifest.is_some_and(|manifest| statement.subject.iter().any(|s| s.is(&[manifest])))
}

/// The signed annotations of the subject that is the artifact, or `None` where none is.
fn subject_claims(statement: &Statement, artifact: &Observed<'_>) -> Option<Map<String, Value>> {
    statement
        .subject
        .iter()
        .find(|subject| subject.is(&artifact.identities))
        .map(|subject| subject.annotations.clone())
}
