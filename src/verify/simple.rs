//! cosign's signatures before bundles.

use super::check::{ANOTHER, Found, Rejection, What, rejected};
use super::evidence::{Observed, SimpleSigned};
use super::facts::SignatureFormat;
use super::keys;
use super::reason::ReasonCode;
use crate::oci::{LegacyPiece, SimpleSigning};
use crate::trust::Authority;

/// In this order, and the first that fails ends it:
///
/// 1. the signature is base64, the payload exactly one of its kind;
/// 2. the signature over the payload's bytes holds under the one scheme of an
///    authority's key, and of a version that still verifies;
/// 3. the manifest that the payload names is the artifact's.
///
/// A certificate beside it changes nothing: it is not signed, and what a key
/// signed is signed.
pub(super) fn check(
    signed: &SimpleSigned,
    artifact: &Observed<'_>,
    authorities: &[Authority],
) -> Result<Found, Rejection> {
    let malformed = |why: String| Rejection::new("signature", ReasonCode::BundleMalformed, why);
    let signature = LegacyPiece::signature_of(&signed.signature)
        .ok_or_else(|| malformed("the annotation with the signature is not base64".to_owned()))?;
    let payload =
        SimpleSigning::parse(&signed.payload).map_err(|error| malformed(error.to_string()))?;
    let candidates = keys::candidates(authorities, "")?;
    let key = keys::signer(&candidates, |candidate| {
        let (key, scheme) = (&candidate.key.public_key, candidate.key.scheme);
        scheme
            .verify(key, &signed.payload, &signature)
            .map_err(|error| rejected(&error, candidate, &signature))
    });
    let key = key.map_err(|rejection| match rejection.reason.code {
        ReasonCode::SignatureInvalid | ReasonCode::SchemeMismatch if signed.certificate => {
            Rejection::new(
                "signature",
                ReasonCode::FormatNotAllowed,
                "signed by a certificate; this version verifies signatures by keys",
            )
        }
        _ => rejection,
    })?;
    let about = payload.digest;
    if artifact.manifest != Some(about) {
        let is = match &artifact.manifest {
            Some(digest) => format!("the artifact is {digest}"),
            None => "the artifact is no manifest".to_owned(),
        };
        return Err(Rejection::new(
            "signature",
            ReasonCode::DigestMismatch,
            format!("the signature is about manifest {about}, {is}"),
        )
        .by(&key)
        .hint(ANOTHER));
    }
    Ok(Found {
        signer: key.into(),
        what: What::Signature {
            format: SignatureFormat::CosignLegacy,
            claims: payload.optional,
            // The manifest names all that is packed in it.
            uncovered: Vec::new(),
        },
    })
}
