//! What a signer says beside the payload, whatever the envelope.

use std::collections::BTreeSet;

use super::{EnvelopeError, PAYLOAD, short};
use crate::crypto::Scheme;
use crate::digest::Algorithm;
use crate::time::Timestamp;

pub(super) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
/// Whoever signs with it wants that program to have a say in verification.
const PLUGIN: &str = "io.cncf.notary.verificationPlugin";

/// The algorithms there are, by their names in both envelopes.
const ALGORITHMS: [(&str, Scheme); 6] = [
    ("PS256", Scheme::RsaPss(Algorithm::Sha256)),
    ("PS384", Scheme::RsaPss(Algorithm::Sha384)),
    ("PS512", Scheme::RsaPss(Algorithm::Sha512)),
    ("ES256", Scheme::EcdsaP256Sha256),
    ("ES384", Scheme::EcdsaP384Sha384),
    ("ES512", Scheme::EcdsaP521Sha512),
];

/// Who vouches for the time of signing (Notary Project, "Signing Scheme").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningScheme {
    /// Nobody, or a timestamp: `notary.x509`.
    X509,
    /// The signer, who is trusted to: `notary.x509.signingAuthority`.
    SigningAuthority,
}

impl SigningScheme {
    /// As envelopes spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "notary.x509",
            Self::SigningAuthority => "notary.x509.signingAuthority",
        }
    }
}

/// Signed headers as they were read.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) algorithm: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) critical: Vec<String>,
    pub(super) scheme: Option<String>,
    pub(super) signing_time: Option<Timestamp>,
    pub(super) authentic_time: Option<Timestamp>,
    pub(super) expiry: Option<Timestamp>,
    /// The names of all that are there but the registered ones.
    pub(super) names: BTreeSet<String>,
}

/// What they come to.
pub(super) struct Signed {
    pub(super) algorithm: Scheme,
    pub(super) scheme: SigningScheme,
    pub(super) signed_at: Timestamp,
    pub(super) expiry: Option<Timestamp>,
}

impl Headers {
    pub(super) fn check(self) -> Result<Signed, EnvelopeError> {
        let missing =
            |what: &str| EnvelopeError::malformed(format!("the header {what} is missing"));
        let scheme = match self.scheme.as_deref() {
            Some("notary.x509") => SigningScheme::X509,
            Some("notary.x509.signingAuthority") => SigningScheme::SigningAuthority,
            Some(other) => {
                return Err(EnvelopeError::malformed(format!(
                    "the signing scheme {:?} is not known",
                    short(other)
                )));
            }
            None => return Err(missing(SCHEME)),
        };
        self.check_critical(scheme)?;
        let algorithm = self.algorithm.as_deref().ok_or_else(|| missing("alg"))?;
        let known = ALGORITHMS.iter().find(|(name, _)| *name == algorithm);
        let Some((_, algorithm)) = known else {
            return Err(EnvelopeError::Algorithm(short(algorithm)));
        };
        match self.content_type.as_deref() {
            Some(PAYLOAD) => {}
            Some(other) => return Err(EnvelopeError::Payload(short(other))),
            None => return Err(missing("content type")),
        }
        let (own, others) = match scheme {
            SigningScheme::X509 => (
                (SIGNING_TIME, self.signing_time),
                (AUTHENTIC_TIME, self.authentic_time),
            ),
            SigningScheme::SigningAuthority => (
                (AUTHENTIC_TIME, self.authentic_time),
                (SIGNING_TIME, self.signing_time),
            ),
        };
        if others.1.is_some() {
            return Err(EnvelopeError::malformed(format!(
                "the header {} does not go with the scheme {}",
                others.0,
                scheme.as_str()
            )));
        }
        Ok(Signed {
            algorithm: *algorithm,
            scheme,
            signed_at: own.1.ok_or_else(|| missing(own.0))?,
            expiry: self.expiry,
        })
    }

    /// Everything that is marked is there and understood, and everything that
    /// must be marked is.
    fn check_critical(&self, scheme: SigningScheme) -> Result<(), EnvelopeError> {
        let understood = [SCHEME, SIGNING_TIME, AUTHENTIC_TIME, EXPIRY];
        let mut seen = BTreeSet::new();
        for name in &self.critical {
            if !understood.contains(&name.as_str()) {
                return Err(EnvelopeError::Critical(short(name)));
            }
            if !self.names.contains(name) {
                return Err(EnvelopeError::malformed(format!(
                    "{name} is marked as critical and is not there"
                )));
            }
            if !seen.insert(name.as_str()) {
                return Err(EnvelopeError::malformed(format!(
                    "{name} is marked as critical twice"
                )));
            }
        }
        if let Some(plugin) = self.names.iter().find(|name| name.starts_with(PLUGIN)) {
            return Err(EnvelopeError::Critical(short(plugin)));
        }
        let needed = [
            (SCHEME, true),
            (EXPIRY, self.expiry.is_some()),
            (AUTHENTIC_TIME, scheme == SigningScheme::SigningAuthority),
        ];
        match needed
            .iter()
            .find(|(name, must)| *must && !seen.contains(name))
        {
            Some((name, _)) => Err(EnvelopeError::malformed(format!(
                "{name} must be marked as critical"
            ))),
            None => Ok(()),
        }
    }
}
