use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Tag, TagNumber};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};

use super::der::Elements;
use super::name::Name;
use crate::crypto::{KeyError, PublicKey, sha256};
use crate::digest::Digest;
use crate::limits;
use crate::time::Timestamp;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// One certificate, read and not believed.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    serial: Vec<u8>,
    subject: Name,
    issuer: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    key: Result<PublicKey, KeyError>,
    pub(super) constraints: Option<(bool, BasicConstraints)>,
    pub(super) usage: Option<(bool, KeyUsage)>,
    pub(super) purposes: Option<(bool, Vec<ObjectIdentifier>)>,
    pub(super) key_id: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads one certificate in DER, and nothing behind it.
    ///
    /// # Errors
    /// `CertificateError` where it is none, or over [`limits::CERTIFICATE`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > limits::CERTIFICATE {
            return Err(CertificateError::TooLarge(der.len()));
        }
        let malformed = |error: der::Error| CertificateError::Malformed(error.to_string());
        names_fit(der)?;
        let read = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let read = read.tbs_certificate;
        let spki = read.subject_public_key_info.to_der().map_err(malformed)?;
        let seconds = |time: x509_cert::time::Time| {
            // Beyond the year 2262 is as good as never.
            let seconds = time.to_unix_duration().as_secs();
            Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
        };
        let purposes = read.get::<ExtendedKeyUsage>().map_err(malformed)?;
        let key_id = read.get::<SubjectKeyIdentifier>().map_err(malformed)?;
        Ok(Self {
            der: der.to_vec(),
            serial: read.serial_number.as_bytes().to_vec(),
            subject: Name::read(&read.subject).map_err(malformed)?,
            issuer: Name::read(&read.issuer).map_err(malformed)?,
            not_before: seconds(read.validity.not_before),
            not_after: seconds(read.validity.not_after),
            key: PublicKey::from_spki_der(&spki),
            constraints: read.get::<BasicConstraints>().map_err(malformed)?,
            usage: read.get::<KeyUsage>().map_err(malformed)?,
            purposes: purposes.map(|(critical, list)| (critical, list.0)),
            key_id: key_id.map(|(_, id)| id.0.as_bytes().to_vec()),
        })
    }

    /// Reads the certificates of a file: PEM blocks with any text around them,
    /// or DER, one behind the other.
    ///
    /// # Errors
    /// `CertificateError` where there is none, one is malformed, or something
    /// that is no certificate stands there in PEM.
    pub fn all_from(bytes: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN ") => text,
            _ => return all_from_der(bytes),
        };
        if text.contains("PRIVATE KEY-----") {
            return Err(CertificateError::PrivateKey);
        }
        let blocks = text.matches("-----BEGIN ").count();
        let mut found = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(BEGIN) {
            let length = rest[start..].find(END).ok_or(CertificateError::Pem)? + END.len();
            let block = &rest[start..start + length];
            let (_, der) =
                pem_rfc7468::decode_vec(block.as_bytes()).map_err(|_| CertificateError::Pem)?;
            found.push(Self::from_der(&der)?);
            if found.len() > limits::TRUSTED_CERTIFICATES {
                return Err(CertificateError::TooMany);
            }
            rest = &rest[start + length..];
        }
        match found.len() {
            count if count == blocks => Ok(found),
            _ => Err(CertificateError::Pem),
        }
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As PEM, with a final newline.
    pub fn to_pem(&self) -> String {
        use base64::Engine as _;

        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let mut pem = format!("{BEGIN}\n");
        for (i, c) in text.chars().enumerate() {
            if i > 0 && i % 64 == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        pem.push('\n');
        pem.push_str(END);
        pem.push('\n');
        pem
    }

    /// SHA-256 of the whole certificate: its thumbprint.
    pub fn thumbprint(&self) -> Digest {
        sha256(&self.der)
    }

    /// Whose it is.
    pub const fn subject(&self) -> &Name {
        &self.subject
    }

    /// Who issued it, as it says.
    pub const fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Serial number, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// From when it is valid, and until when.
    pub const fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }

    /// Its key.
    ///
    /// # Errors
    /// Where it is of a kind that signs nothing here.
    pub const fn public_key(&self) -> Result<&PublicKey, &KeyError> {
        self.key.as_ref()
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether it may stand among trusted certificates: it is of a certification
    /// authority, or nobody else's word is behind it.
    pub fn is_root_like(&self) -> bool {
        self.is_self_issued() || self.constraints.as_ref().is_some_and(|(_, c)| c.ca)
    }
}

/// Whether issuer and subject are of a length that can be read: each of their
/// parts is sorted in a time that grows with the square of its length.
fn names_fit(der: &[u8]) -> Result<(), CertificateError> {
    const VERSION: Tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber::N0,
    };
    let names = || {
        let mut signed = Elements::new(der).expect_tag(Tag::Sequence)?.inside();
        let mut fields = signed.expect_tag(Tag::Sequence)?.inside();
        fields.maybe(VERSION)?;
        fields.expect_tag(Tag::Integer)?;
        fields.expect_tag(Tag::Sequence)?;
        let issuer = fields.expect_tag(Tag::Sequence)?;
        fields.expect_tag(Tag::Sequence)?;
        Ok([issuer, fields.expect_tag(Tag::Sequence)?])
    };
    let malformed = |error: der::Error| CertificateError::Malformed(error.to_string());
    for name in names().map_err(malformed)? {
        let mut all = 0;
        for part in name.inside() {
            let part = part.map_err(malformed)?.inside();
            let count = part.take(limits::NAME_PART + 1).count();
            all += count;
            if count > limits::NAME_PART || all > limits::NAME {
                return Err(CertificateError::Name);
            }
        }
    }
    Ok(())
}

fn all_from_der(bytes: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut found = Vec::new();
    for element in Elements::new(bytes) {
        let element = element.map_err(|error| CertificateError::Malformed(error.to_string()))?;
        found.push(Certificate::from_der(element.whole)?);
        if found.len() > limits::TRUSTED_CERTIFICATES {
            return Err(CertificateError::TooMany);
        }
    }
    match found.is_empty() {
        true => Err(CertificateError::Malformed("it is empty".to_owned())),
        false => Ok(found),
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject, self.thumbprint())
    }
}

/// Why bytes are not the certificates they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Over [`limits::CERTIFICATE`].
    #[error("a certificate of {0} bytes, the limit is {limit}", limit = limits::CERTIFICATE)]
    TooLarge(usize),
    /// Over [`limits::TRUSTED_CERTIFICATES`].
    #[error("more than {limit} certificates", limit = limits::TRUSTED_CERTIFICATES)]
    TooMany,
    /// Not a certificate of X.509.
    #[error("not an X.509 certificate: {0}")]
    Malformed(String),
    /// Over [`limits::NAME`] or [`limits::NAME_PART`].
    #[error(
        "a certificate whose subject or issuer has more than {all} attributes, or {part} in one part",
        all = limits::NAME, part = limits::NAME_PART
    )]
    Name,
    /// Not PEM, or of something else.
    #[error("not a PEM file of certificates")]
    Pem,
    /// A private key stands there.
    #[error("holds a private key; take it out and treat the key as exposed")]
    PrivateKey,
}
