//! Timestamps of a third party (RFC 3161): a token says that the bytes it is
//! about were there at its time.

mod info;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest as hash_with};
use der::asn1::ObjectIdentifier;
use der::{Tag, TagNumber};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{EndEntityCert, Error as PathError, aws_lc_rs as native};

use self::info::Info;
use super::certificate::Certificate;
use super::chain::{Chain, ChainError, Purpose};
use super::der::{Element, Elements};
use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest};
use crate::limits;
use crate::time::Timestamp;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// RFC 2634: the signer's certificate by its SHA-1.
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// RFC 5035: by another hash.
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// As many attributes are read; writers known have five.
const ATTRIBUTES: usize = 32;

const N0: Tag = context(TagNumber::N0, true);
const N1: Tag = context(TagNumber::N1, true);
/// The primitive form of [`N0`].
const N0_PRIMITIVE: Tag = context(TagNumber::N0, false);

const fn context(number: TagNumber, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number,
    }
}

/// A timestamp token, read and not believed: CMS signed data (RFC 5652) with a
/// `TSTInfo` in it.
#[derive(Debug)]
pub struct Token {
    info: Info,
    /// The `TSTInfo` as it was signed.
    content: Vec<u8>,
    signer: SignerId,
    /// Signed attributes, as a `SET` again.
    attributes: Vec<u8>,
    content_type: ObjectIdentifier,
    message_digest: Vec<u8>,
    /// Hashes of the signer's certificate; the first algorithm is `None` for SHA-1.
    certificate_hash: (Option<Algorithm>, Vec<u8>),
    digest: Algorithm,
    signed_with: ObjectIdentifier,
    signature: Vec<u8>,
    certificates: Vec<Certificate>,
}

#[derive(Debug)]
enum SignerId {
    Issued { issuer: Vec<u8>, serial: Vec<u8> },
    KeyId(Vec<u8>),
}

/// When something was there already, by the word of a third party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The token's time.
    pub at: Timestamp,
    /// The earliest that its accuracy leaves possible.
    pub earliest: Timestamp,
    /// The latest.
    pub latest: Timestamp,
    /// The subject of the third party's certificate.
    pub by: String,
}

impl Token {
    /// Reads a token in DER.
    ///
    /// # Errors
    /// `Malformed` where it is none, or one of another kind.
    pub fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        if der.len() > limits::TIMESTAMP {
            return Err(TimestampError::malformed(format!(
                "{} bytes, the limit is {}",
                der.len(),
                limits::TIMESTAMP
            )));
        }
        let mut outer = Elements::new(der);
        let mut content = outer.expect_tag(Tag::Sequence)?.inside();
        outer.end()?;
        if content.expect_tag(Tag::ObjectIdentifier)?.oid()? != SIGNED_DATA {
            return Err(TimestampError::malformed("it is no CMS signed data"));
        }
        let mut signed = content
            .expect_tag(N0)?
            .inside()
            .expect_tag(Tag::Sequence)?
            .inside();
        signed.expect_tag(Tag::Integer)?;
        signed.expect_tag(Tag::Set)?;
        let mut encapsulated = signed.expect_tag(Tag::Sequence)?.inside();
        if encapsulated.expect_tag(Tag::ObjectIdentifier)?.oid()? != TST_INFO {
            return Err(TimestampError::malformed(
                "it signs something else than a time",
            ));
        }
        let content = encapsulated
            .expect_tag(N0)?
            .inside()
            .expect_tag(Tag::OctetString)?
            .body;
        let mut certificates = Vec::new();
        if let Some(set) = signed.maybe(N0)? {
            for element in set.inside() {
                let element = element?;
                if certificates.len() == limits::TIMESTAMP_CERTIFICATES {
                    return Err(TimestampError::malformed("it has too many certificates"));
                }
                // Attribute certificates and the like are for nobody here.
                if element.tag == Tag::Sequence {
                    let read = Certificate::from_der(element.whole)
                        .map_err(|error| TimestampError::malformed(error.to_string()))?;
                    certificates.push(read);
                }
            }
        }
        signed.maybe(N1)?;
        let mut signers = signed.expect_tag(Tag::Set)?.inside();
        signed.end()?;
        let signer = signers.expect_tag(Tag::Sequence)?;
        if signers.end().is_err() {
            return Err(TimestampError::malformed("it has several signers"));
        }
        let mut token = Self {
            info: Info::parse(content)?,
            content: content.to_vec(),
            signer: SignerId::KeyId(Vec::new()),
            attributes: Vec::new(),
            content_type: TST_INFO,
            message_digest: Vec::new(),
            certificate_hash: (None, Vec::new()),
            digest: Algorithm::Sha256,
            signed_with: TST_INFO,
            signature: Vec::new(),
            certificates,
        };
        token.read_signer(signer)?;
        Ok(token)
    }

    fn read_signer(&mut self, signer: Element<'_>) -> Result<(), TimestampError> {
        let mut fields = signer.inside();
        fields.expect_tag(Tag::Integer)?;
        let id = fields.any()?;
        self.signer = match id.tag {
            Tag::Sequence => {
                let mut fields = id.inside();
                let issuer = fields.expect_tag(Tag::Sequence)?.whole.to_vec();
                let serial = fields.expect_tag(Tag::Integer)?.body.to_vec();
                SignerId::Issued { issuer, serial }
            }
            tag if tag == N0_PRIMITIVE => SignerId::KeyId(id.body.to_vec()),
            _ => return Err(TimestampError::malformed("its signer is not named")),
        };
        self.digest = hash_of(fields.expect_tag(Tag::Sequence)?.algorithm()?)?;
        let attributes = fields
            .maybe(N0)?
            .ok_or_else(|| TimestampError::malformed("it has no signed attributes"))?;
        self.read_attributes(attributes)?;
        self.signed_with = fields.expect_tag(Tag::Sequence)?.algorithm()?;
        self.signature = fields.expect_tag(Tag::OctetString)?.body.to_vec();
        Ok(())
    }

    fn read_attributes(&mut self, attributes: Element<'_>) -> Result<(), TimestampError> {
        // What is signed is the same with the tag of a set (RFC 5652, section 5.4).
        self.attributes = attributes.whole.to_vec();
        self.attributes[0] = 0x31;
        let (mut kind, mut digest, mut certificate) = (None, None, None);
        for (at, attribute) in attributes.inside().enumerate() {
            if at == ATTRIBUTES {
                return Err(TimestampError::malformed("it has too many attributes"));
            }
            let mut fields = attribute?.inside();
            let oid = fields.expect_tag(Tag::ObjectIdentifier)?.oid()?;
            let mut values = fields.expect_tag(Tag::Set)?.inside();
            let known = [
                CONTENT_TYPE,
                MESSAGE_DIGEST,
                SIGNING_CERTIFICATE,
                SIGNING_CERTIFICATE_V2,
            ];
            if !known.contains(&oid) {
                continue;
            }
            let value = values.any()?;
            values.end()?;
            let again = match oid {
                CONTENT_TYPE => kind.replace(value.oid()?).is_some(),
                MESSAGE_DIGEST => {
                    value.tag.assert_eq(Tag::OctetString)?;
                    digest.replace(value.body.to_vec()).is_some()
                }
                // Where both stand there, the stronger hash counts.
                SIGNING_CERTIFICATE if certificate.is_some() => false,
                SIGNING_CERTIFICATE => {
                    certificate = Some((None, first_hash(value)?.1));
                    false
                }
                _ => {
                    let again = matches!(certificate, Some((Some(_), _)));
                    certificate = Some(first_hash(value).and_then(|(algorithm, hash)| {
                        Ok((
                            Some(algorithm.map_or(Ok(Algorithm::Sha256), hash_of)?),
                            hash,
                        ))
                    })?);
                    again
                }
            };
            if again {
                return Err(TimestampError::malformed("it has an attribute twice"));
            }
        }
        let missing = |what: &str| TimestampError::malformed(format!("it has no {what}"));
        self.content_type = kind.ok_or_else(|| missing("content type"))?;
        self.message_digest = digest.ok_or_else(|| missing("message digest"))?;
        self.certificate_hash =
            certificate.ok_or_else(|| missing("hash of its signer's certificate"))?;
        Ok(())
    }

    /// Whether it is about `message`, and by somebody whom `roots` vouch for.
    ///
    /// In this order, and the first that fails ends it: the message's hash; the
    /// signer's certificate is there, and the one that is signed for; the
    /// signature holds; the certificates lead to one of `roots`, are for
    /// timestamps, and were valid at the token's time.
    ///
    /// # Errors
    /// `TimestampError`; nothing is known of the time then.
    pub fn verify(&self, message: &[u8], roots: &[Certificate]) -> Result<Stamp, TimestampError> {
        if digest(self.info.imprint_hash, message).bytes() != self.info.imprint {
            return Err(TimestampError::OtherMessage);
        }
        let named: Vec<_> = self.certificates.iter().filter(|c| self.is_by(c)).collect();
        // Which certificates stand there is not signed: of several with that
        // name, the one that is signed for.
        let meant = named.iter().find(|c| self.is_signed_for(c));
        let signer = meant.or(named.first()).ok_or_else(|| {
            TimestampError::Signature("its signer's certificate is not there".to_owned())
        })?;
        let content = digest(self.digest, &self.content);
        for (holds, why) in [
            (meant.is_some(), "it was signed for another certificate"),
            (
                self.content_type == TST_INFO,
                "it was signed as something else",
            ),
            (
                content.bytes() == self.message_digest,
                "its content was changed",
            ),
        ] {
            if !holds {
                return Err(TimestampError::Signature(why.to_owned()));
            }
        }
        self.check_signature(signer)?;
        let (at, accuracy) = (self.info.at, self.info.accuracy);
        let chain = Chain::find(signer, &self.certificates, roots, Purpose::TimeStamping, at)?;
        chain.valid_within(at, at)?;
        Ok(Stamp {
            at,
            earliest: Timestamp::from_nanos(at.nanos().saturating_sub(accuracy)),
            latest: Timestamp::from_nanos(at.nanos().saturating_add(accuracy)),
            by: signer.subject().to_string(),
        })
    }

    fn is_signed_for(&self, certificate: &Certificate) -> bool {
        let (algorithm, hash) = &self.certificate_hash;
        match algorithm {
            Some(algorithm) => digest(*algorithm, certificate.der()).bytes() == hash,
            None => hash_with(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref() == hash,
        }
    }

    fn is_by(&self, certificate: &Certificate) -> bool {
        match &self.signer {
            SignerId::Issued { issuer, serial } => {
                certificate.issuer().der() == issuer && certificate.serial() == serial
            }
            SignerId::KeyId(id) => certificate.key_id.as_deref() == Some(id),
        }
    }

    fn check_signature(&self, signer: &Certificate) -> Result<(), TimestampError> {
        let invalid = |why: &str| TimestampError::Signature(why.to_owned());
        let der = CertificateDer::from(signer.der());
        let entity =
            EndEntityCert::try_from(&der).map_err(|error| invalid(&format!("{error:?}")))?;
        for algorithm in algorithms(self.signed_with, self.digest) {
            match entity.verify_signature(algorithm, &self.attributes, &self.signature) {
                Ok(()) => return Ok(()),
                // Of another curve, or another kind of key.
                Err(PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
                Err(_) => return Err(invalid("its signature does not hold")),
            }
        }
        Err(invalid("it is signed in a way that is not accepted"))
    }
}

/// The algorithm, where it is stated, and hash of the first certificate in a
/// `SigningCertificate` of either version.
fn first_hash(
    attribute: Element<'_>,
) -> Result<(Option<ObjectIdentifier>, Vec<u8>), TimestampError> {
    attribute.tag.assert_eq(Tag::Sequence)?;
    let mut list = attribute.inside().expect_tag(Tag::Sequence)?.inside();
    let mut fields = list.expect_tag(Tag::Sequence)?.inside();
    let algorithm = match fields.maybe(Tag::Sequence)? {
        Some(element) => Some(element.algorithm()?),
        None => None,
    };
    Ok((
        algorithm,
        fields.expect_tag(Tag::OctetString)?.body.to_vec(),
    ))
}

fn hash_of(oid: ObjectIdentifier) -> Result<Algorithm, TimestampError> {
    const SHA2: [(ObjectIdentifier, Algorithm); 3] = [
        (
            ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
            Algorithm::Sha256,
        ),
        (
            ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
            Algorithm::Sha384,
        ),
        (
            ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
            Algorithm::Sha512,
        ),
    ];
    let known = SHA2.iter().find(|(known, _)| *known == oid);
    known.map(|(_, algorithm)| *algorithm).ok_or_else(|| {
        TimestampError::malformed(format!("hash {oid} is not SHA-256, SHA-384 or SHA-512"))
    })
}

fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// What a signature of that kind may be; of those for several curves the one
/// that goes with the key.
fn algorithms(
    signed_with: ObjectIdentifier,
    digest: Algorithm,
) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    const RSA: &str = "1.2.840.113549.1.1.1";
    const RSA_PSS: &str = "1.2.840.113549.1.1.10";
    match (signed_with.to_string().as_str(), digest) {
        ("1.2.840.10045.4.3.2", Algorithm::Sha256) => vec![
            native::ECDSA_P256_SHA256,
            native::ECDSA_P384_SHA256,
            native::ECDSA_P521_SHA256,
        ],
        ("1.2.840.10045.4.3.3", Algorithm::Sha384) => vec![
            native::ECDSA_P256_SHA384,
            native::ECDSA_P384_SHA384,
            native::ECDSA_P521_SHA384,
        ],
        ("1.2.840.10045.4.3.4", Algorithm::Sha512) => vec![
            native::ECDSA_P256_SHA512,
            native::ECDSA_P384_SHA512,
            native::ECDSA_P521_SHA512,
        ],
        (RSA | "1.2.840.113549.1.1.11", Algorithm::Sha256) => {
            vec![native::RSA_PKCS1_2048_8192_SHA256]
        }
        (RSA | "1.2.840.113549.1.1.12", Algorithm::Sha384) => {
            vec![native::RSA_PKCS1_2048_8192_SHA384]
        }
        (RSA | "1.2.840.113549.1.1.13", Algorithm::Sha512) => {
            vec![native::RSA_PKCS1_2048_8192_SHA512]
        }
        (RSA_PSS, Algorithm::Sha256) => vec![native::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        (RSA_PSS, Algorithm::Sha384) => vec![native::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        (RSA_PSS, Algorithm::Sha512) => vec![native::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        _ => Vec::new(),
    }
}

/// Why a timestamp proves no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It is no token, or not one that is read.
    #[error("the timestamp cannot be read: {0}")]
    Malformed(String),
    /// It is about other bytes.
    #[error("the timestamp is about something else")]
    OtherMessage,
    /// What it says was not signed so.
    #[error("the timestamp does not hold: {0}")]
    Signature(String),
    /// Its signer's certificates.
    #[error("the timestamp's signer: {0}")]
    Signer(#[from] ChainError),
}

impl TimestampError {
    fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }
}

impl From<der::Error> for TimestampError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}
