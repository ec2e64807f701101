//! Notation's signature envelopes (Notary Project signature specification 1.1,
//! JWS and COSE): bytes in, types out.
//!
//! Both say the same in other words: what is signed, when and until when it is
//! good, and by which certificates. Nothing is verified here.

mod cose;
mod headers;
mod jws;
mod payload;
#[cfg(test)]
mod tests;

use std::fmt;

pub use headers::SigningScheme;
pub use payload::Target;

use self::headers::Headers;
use crate::crypto::Scheme;
use crate::limits;
use crate::time::Timestamp;

/// Media type of the payload, the only one there is.
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";

/// How an envelope is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeFormat {
    /// JSON Web Signature, flattened JSON (RFC 7515, section 7.2.2).
    Jws,
    /// `COSE_Sign1_Tagged` (RFC 9052, section 4.2).
    Cose,
}

impl fmt::Display for EnvelopeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jws => "JWS",
            Self::Cose => "COSE",
        })
    }
}

/// An envelope, read and not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The artifact that it is about.
    pub target: Target,
    /// Who vouches for the time.
    pub scheme: SigningScheme,
    /// The signature's scheme, as the envelope states it.
    pub algorithm: Scheme,
    /// When it was made, as the signer says; a signing authority's word on it
    /// counts, anybody else's does not.
    pub signed_at: Timestamp,
    /// From when on it is not good any more, if ever.
    pub expiry: Option<Timestamp>,
    /// DER of the signer's certificate and those behind it, unchecked.
    pub certificates: Vec<Vec<u8>>,
    /// DER of a timestamp token over [`Envelope::signature`]; anybody may have
    /// put it there.
    pub timestamp: Option<Vec<u8>>,
    /// The bytes that are signed.
    pub message: Vec<u8>,
    /// The signature as it stands in the envelope: of ECDSA r and s one behind
    /// the other.
    pub signature: Vec<u8>,
}

/// An envelope's parts before they are looked at.
struct Parts {
    headers: Headers,
    payload: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope. One reading only: what is unknown and critical, what
    /// stands there twice or is missing, is refused.
    ///
    /// # Errors
    /// `EnvelopeError`, naming the part.
    pub fn parse(bytes: &[u8], format: EnvelopeFormat) -> Result<Self, EnvelopeError> {
        if bytes.len() as u64 > limits::NOTATION {
            return Err(EnvelopeError::Malformed(format!(
                "{} bytes, the limit is {}",
                bytes.len(),
                limits::NOTATION
            )));
        }
        let parts = match format {
            EnvelopeFormat::Jws => jws::parse(bytes),
            EnvelopeFormat::Cose => cose::parse(bytes),
        }?;
        let signed = parts.headers.check()?;
        let found = parts.certificates.len();
        if found == 0 || found > limits::CHAIN {
            return Err(EnvelopeError::Malformed(format!(
                "{found} certificates; 1 to {} are read",
                limits::CHAIN
            )));
        }
        if parts.signature.is_empty() {
            return Err(EnvelopeError::Malformed(
                "the signature is empty".to_owned(),
            ));
        }
        Ok(Self {
            target: Target::parse(&parts.payload)?,
            scheme: signed.scheme,
            algorithm: signed.algorithm,
            signed_at: signed.signed_at,
            expiry: signed.expiry,
            certificates: parts.certificates,
            timestamp: parts.timestamp,
            message: parts.message,
            signature: parts.signature,
        })
    }
}

/// Why bytes are no envelope of Notation's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not of the shape, or not to be read in one way only.
    #[error("not a Notation envelope: {0}")]
    Malformed(String),
    /// The signer demands that something is understood which is not.
    #[error("the signer marked {0:?} as critical, which is not understood here")]
    Critical(String),
    /// Another algorithm than the six there are.
    #[error("the algorithm {0:?} is not PS256, PS384, PS512, ES256, ES384 or ES512")]
    Algorithm(String),
    /// The payload is of another kind.
    #[error("the payload's type is {0:?}, expected {PAYLOAD:?}")]
    Payload(String),
}

impl EnvelopeError {
    fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }
}

/// At most so much of what somebody else wrote, for messages.
fn short(text: &str) -> String {
    text.chars().take(128).collect()
}
