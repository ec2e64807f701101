//! The bundle's protobuf JSON form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{BundleError, Content, Material, decode, is_bundle_media_type};
use crate::digest::{Algorithm, Digest, DigestError};
use crate::dsse;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Bundle {
    media_type: String,
    verification_material: VerificationMaterial,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<dsse::Wire>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerificationMaterial {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<Hint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<RawBytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<Chain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tlog_entries: Option<Vec<serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hint {
    #[serde(default)]
    hint: Option<String>,
    // model-signing before 1.1 put the key itself here. A key that comes with
    // the signature proves nothing, so it is read past.
    #[serde(default, skip_serializing, rename = "rawBytes")]
    _raw_bytes: IgnoredAny,
    #[serde(default, skip_serializing, rename = "keyDetails")]
    _key_details: IgnoredAny,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBytes {
    raw_bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    certificates: Vec<RawBytes>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Timestamps {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rfc3161_timestamps: Option<Vec<SignedTimestamp>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignedTimestamp {
    signed_timestamp: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageSignature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_digest: Option<MessageDigest>,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageDigest {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    digest: String,
}

const fn hash_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha256 => "SHA2_256",
        Algorithm::Sha384 => "SHA2_384",
        Algorithm::Sha512 => "SHA2_512",
    }
}

impl MessageDigest {
    /// `None` where neither is there: protobuf's JSON leaves out what is empty,
    /// and cosign states no digest beside a pure Ed25519 signature.
    fn parse(&self) -> Result<Option<Digest>, BundleError> {
        if self.algorithm.is_empty() && self.digest.is_empty() {
            return Ok(None);
        }
        let algorithm = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
            .into_iter()
            .find(|a| hash_name(*a) == self.algorithm)
            .ok_or_else(|| {
                BundleError::MessageDigest(DigestError::Algorithm(
                    self.algorithm.chars().take(32).collect(),
                ))
            })?;
        let bytes = decode("messageDigest.digest", &self.digest)?;
        Digest::new(algorithm, &bytes)
            .map(Some)
            .map_err(BundleError::MessageDigest)
    }
}

impl TryFrom<Bundle> for super::Bundle {
    type Error = BundleError;

    fn try_from(wire: Bundle) -> Result<Self, Self::Error> {
        if !is_bundle_media_type(&wire.media_type) {
            return Err(BundleError::MediaType(
                wire.media_type.chars().take(128).collect(),
            ));
        }
        let material = wire.verification_material;
        let timestamps = material
            .timestamp_verification_data
            .and_then(|t| t.rfc3161_timestamps)
            .unwrap_or_default()
            .iter()
            .map(|t| decode("signedTimestamp", &t.signed_timestamp))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            material: read_material(
                material.public_key,
                material.certificate,
                material.x509_certificate_chain,
            )?,
            content: read_content(wire.message_signature, wire.dsse_envelope)?,
            tlog_entries: material.tlog_entries.unwrap_or_default(),
            timestamps,
            media_type: wire.media_type,
        })
    }
}

fn read_material(
    key: Option<Hint>,
    certificate: Option<RawBytes>,
    chain: Option<Chain>,
) -> Result<Material, BundleError> {
    match (key, certificate, chain) {
        (Some(key), None, None) => Ok(Material::PublicKey {
            hint: key.hint.unwrap_or_default(),
        }),
        (None, Some(leaf), None) => Ok(Material::Certificates(vec![decode(
            "certificate.rawBytes",
            &leaf.raw_bytes,
        )?])),
        (None, None, Some(chain)) => {
            if chain.certificates.is_empty() {
                return Err(BundleError::Empty {
                    field: "x509CertificateChain.certificates",
                });
            }
            chain
                .certificates
                .iter()
                .map(|c| decode("x509CertificateChain.rawBytes", &c.raw_bytes))
                .collect::<Result<_, _>>()
                .map(Material::Certificates)
        }
        (key, certificate, chain) => Err(BundleError::Material(
            usize::from(key.is_some())
                + usize::from(certificate.is_some())
                + usize::from(chain.is_some()),
        )),
    }
}

fn read_content(
    message: Option<MessageSignature>,
    envelope: Option<dsse::Wire>,
) -> Result<Content, BundleError> {
    let content = match (message, envelope) {
        (Some(message), None) => Content::Message {
            digest: match message.message_digest {
                Some(digest) => digest.parse()?,
                None => None,
            },
            signature: decode("messageSignature.signature", &message.signature)?,
        },
        (None, Some(envelope)) => Content::Envelope(envelope.try_into()?),
        (message, _) => return Err(BundleError::Content(if message.is_some() { 2 } else { 0 })),
    };
    let empty = match &content {
        Content::Message { signature, .. } => signature.is_empty(),
        Content::Envelope(envelope) => envelope.signature.is_empty(),
    };
    if empty {
        return Err(BundleError::Empty { field: "signature" });
    }
    Ok(content)
}

impl From<&super::Bundle> for Bundle {
    fn from(bundle: &super::Bundle) -> Self {
        let raw = |der: &Vec<u8>| RawBytes {
            raw_bytes: STANDARD.encode(der),
        };
        let (public_key, certificate, chain) = match &bundle.material {
            Material::PublicKey { hint } => {
                let hint = Some(hint.clone());
                let key = Hint {
                    hint,
                    _raw_bytes: IgnoredAny,
                    _key_details: IgnoredAny,
                };
                (Some(key), None, None)
            }
            Material::Certificates(certificates) if certificates.len() == 1 => {
                (None, certificates.first().map(raw), None)
            }
            Material::Certificates(certificates) => (
                None,
                None,
                Some(Chain {
                    certificates: certificates.iter().map(raw).collect(),
                }),
            ),
        };
        let (message_signature, dsse_envelope) = match &bundle.content {
            Content::Message { digest, signature } => (
                Some(MessageSignature {
                    message_digest: digest.map(|d| MessageDigest {
                        algorithm: hash_name(d.algorithm()).to_owned(),
                        digest: STANDARD.encode(d.bytes()),
                    }),
                    signature: STANDARD.encode(signature),
                }),
                None,
            ),
            Content::Envelope(envelope) => (None, Some(envelope.into())),
        };
        let rfc3161_timestamps = bundle
            .timestamps
            .iter()
            .map(|der| SignedTimestamp {
                signed_timestamp: STANDARD.encode(der),
            })
            .collect::<Vec<_>>();
        Self {
            media_type: bundle.media_type.clone(),
            verification_material: VerificationMaterial {
                public_key,
                certificate,
                x509_certificate_chain: chain,
                tlog_entries: (!bundle.tlog_entries.is_empty())
                    .then(|| bundle.tlog_entries.clone()),
                timestamp_verification_data: (!rfc3161_timestamps.is_empty()).then_some(
                    Timestamps {
                        rfc3161_timestamps: Some(rfc3161_timestamps),
                    },
                ),
            },
            message_signature,
            dsse_envelope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(algorithm: &str, digest: &str) -> Result<Option<Digest>, BundleError> {
        let [algorithm, digest] = [algorithm, digest].map(ToOwned::to_owned);
        MessageDigest { algorithm, digest }.parse()
    }

    #[test]
    fn a_digest_that_is_not_there_is_none_and_half_of_one_is_refused() {
        let digest = "A".repeat(43) + "=";
        assert_eq!(parse("", ""), Ok(None));
        assert!(parse("SHA2_256", &digest).unwrap().is_some());
        for (algorithm, digest) in [("", digest.as_str()), ("SHA2_256", ""), ("SHA1", "")] {
            assert!(matches!(
                parse(algorithm, digest),
                Err(BundleError::MessageDigest(_))
            ));
        }
    }
}
