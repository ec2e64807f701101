//! DSSE envelopes (secure-systems-lab/dsse, protocol and envelope v1.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::canon::{self, JsonError};
use crate::limits;

/// The payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// An envelope with exactly one signature.
///
/// DSSE allows several; the Sigstore bundle specification does not, and a
/// second signature would be one that nobody checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is; signed together with it.
    pub payload_type: String,
    /// The signed bytes as they were given, never re-serialised.
    pub payload: Vec<u8>,
    /// The signature over [`Envelope::pae`].
    pub signature: Vec<u8>,
    /// The signer's hint at its key; unsigned, so it identifies nothing.
    pub keyid: String,
}

impl Envelope {
    /// Parses the untrusted JSON of an envelope that is in no bundle.
    ///
    /// # Errors
    /// `EnvelopeError`, for anything that is not exactly one readable envelope.
    pub fn parse(json: &[u8]) -> Result<Self, EnvelopeError> {
        let wire: Wire = canon::parse_as(json, limits::BUNDLE)?;
        let envelope = Self::try_from(wire)?;
        if envelope.signature.is_empty() {
            return Err(EnvelopeError::SignatureCount(0));
        }
        Ok(envelope)
    }

    /// The bytes that are signed: pre-authentication encoding, DSSE protocol section "Signature Definition".
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }
}

/// How every signed form of an envelope begins. Bytes of another kind that
/// begin so must not be signed, nor a signature over them be believed: the two
/// uses of a key would be told apart by nothing.
pub const PAE_START: &[u8] = b"DSSEv1 ";

/// `DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    out.extend_from_slice(payload);
    out
}

/// An envelope as JSON has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wire {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    sig: String,
    // Some signers write null for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

impl Wire {
    /// The envelope as JSON, one line.
    pub fn to_json(&self) -> Vec<u8> {
        match serde_json::to_vec(self) {
            Ok(json) => json,
            Err(_) => unreachable!("texts and lists always serialise"),
        }
    }
}

impl TryFrom<Wire> for Envelope {
    type Error = EnvelopeError;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let [signature] = wire.signatures.as_slice() else {
            return Err(EnvelopeError::SignatureCount(wire.signatures.len()));
        };
        if wire.payload_type.is_empty() {
            return Err(EnvelopeError::NoPayloadType);
        }
        let decode = |field, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| EnvelopeError::Base64 { field })
        };
        Ok(Self {
            payload: decode("payload", &wire.payload)?,
            signature: decode("sig", &signature.sig)?,
            keyid: signature.keyid.clone().unwrap_or_default(),
            payload_type: wire.payload_type,
        })
    }
}

impl From<&Envelope> for Wire {
    fn from(envelope: &Envelope) -> Self {
        Self {
            payload: STANDARD.encode(&envelope.payload),
            payload_type: envelope.payload_type.clone(),
            signatures: vec![WireSignature {
                sig: STANDARD.encode(&envelope.signature),
                keyid: (!envelope.keyid.is_empty()).then(|| envelope.keyid.clone()),
            }],
        }
    }
}

/// Why an envelope was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON of the expected shape.
    #[error("not an envelope: {0}")]
    Json(#[from] JsonError),
    /// None, or more than one.
    #[error("the envelope has {0} signatures, exactly one is accepted")]
    SignatureCount(usize),
    /// Empty `payloadType`.
    #[error("the envelope has no payloadType")]
    NoPayloadType,
    /// Not padded standard base64.
    #[error("{field} is not base64")]
    Base64 {
        /// The field's name.
        field: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn two_signatures_are_refused() {
        let wire: Wire = serde_json::from_str(
            r#"{"payload":"","payloadType":"x","signatures":[{"sig":"AA=="},{"sig":"AA=="}]}"#,
        )
        .unwrap();
        assert_eq!(
            Envelope::try_from(wire),
            Err(EnvelopeError::SignatureCount(2))
        );
    }
}
