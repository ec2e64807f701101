//! A signer's certificates, from its own to the root, by the rules that the
//! Notary Project has for them ("Certificate Requirements").

use std::time::Duration;

use der::asn1::ObjectIdentifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error as PathError, KeyUsage};

use super::certificate::Certificate;
use crate::limits;
use crate::time::Timestamp;

/// id-kp-codeSigning and id-kp-timeStamping (RFC 5280, section 4.2.1.12).
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// Purposes that a certificate for code has not got beside its own.
const OTHERS: [(&str, ObjectIdentifier); 6] = [
    ("any", ObjectIdentifier::new_unwrap("2.5.29.37.0")),
    (
        "serverAuth",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ),
    (
        "clientAuth",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ),
    (
        "emailProtection",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    ),
    ("timeStamping", TIME_STAMPING),
    (
        "OCSPSigning",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
    ),
];

/// What the first certificate of a chain signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Software and other artifacts.
    CodeSigning,
    /// Timestamps.
    TimeStamping,
}

/// Certificates of which each names the next as its issuer, the last one
/// itself, and that are fit for their purpose. Who is trusted is not looked at,
/// and no signature either: [`Chain::leads_to`] does both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<Certificate>,
    purpose: Purpose,
}

impl Chain {
    /// A chain of these, the signer's own certificate first.
    ///
    /// # Errors
    /// `ChainError` for the first rule that one of them breaks.
    pub fn new(certificates: Vec<Certificate>, purpose: Purpose) -> Result<Self, ChainError> {
        let chain = Self::ruled(certificates, purpose)?;
        match chain.certificates.last() {
            Some(last) if !last.is_self_issued() => Err(ChainError::Incomplete {
                subject: last.subject().to_string(),
                issuer: last.issuer().to_string(),
            }),
            _ => Ok(chain),
        }
    }

    /// The same, where the last one need not be its own issuer.
    fn ruled(certificates: Vec<Certificate>, purpose: Purpose) -> Result<Self, ChainError> {
        let found = certificates.len();
        if found == 0 || found > limits::CHAIN {
            return Err(ChainError::Length(found));
        }
        for (certificate, next) in certificates.iter().zip(certificates.iter().skip(1)) {
            if certificate.is_self_issued() {
                return Err(ChainError::SelfIssued(certificate.subject().to_string()));
            }
            if certificate.issuer() != next.subject() {
                return Err(ChainError::Order {
                    subject: certificate.subject().to_string(),
                    issuer: certificate.issuer().to_string(),
                    next: next.subject().to_string(),
                });
            }
        }
        for (at, certificate) in certificates.iter().enumerate() {
            let rules = match at.checked_sub(1) {
                None => leaf(certificate, purpose),
                Some(below) => authority(certificate, below, purpose),
            };
            rules?;
        }
        Ok(Self {
            certificates,
            purpose,
        })
    }

    /// The signer's own certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// From when on all of it is valid, if it ever is at once.
    pub fn valid_from(&self) -> Timestamp {
        let (first, _) = self.leaf().validity();
        let starts = self.certificates.iter().map(|c| c.validity().0);
        starts.fold(first, Ord::max)
    }

    /// Whether every one is valid from `from` until `until`.
    ///
    /// # Errors
    /// `Validity`, naming the first that is not.
    pub fn valid_within(&self, from: Timestamp, until: Timestamp) -> Result<(), ChainError> {
        for certificate in &self.certificates {
            let (start, end) = certificate.validity();
            // A certificate is valid to the end of its last second.
            let at = if from < start { from } else { until };
            if from < start || until.whole_second() > end {
                return Err(ChainError::Validity {
                    subject: certificate.subject().to_string(),
                    start,
                    end,
                    at,
                });
            }
        }
        Ok(())
    }

    /// Those of `trusted` that stand in the chain themselves; the signer's own
    /// only where nobody else's word is behind it.
    ///
    /// # Errors
    /// `NotTrusted` where there is none.
    pub fn trusted_of<'a>(
        &self,
        trusted: &'a [Certificate],
    ) -> Result<Vec<&'a Certificate>, ChainError> {
        let skipped = usize::from(self.certificates.len() > 1);
        let found: Vec<_> = trusted
            .iter()
            .filter(|root| self.certificates.iter().skip(skipped).any(|c| c == *root))
            .collect();
        match (found.is_empty(), self.certificates.last()) {
            (true, Some(last)) => Err(ChainError::NotTrusted {
                root: last.subject().to_string(),
                thumbprint: last.thumbprint().to_string(),
            }),
            _ => Ok(found),
        }
    }

    /// The one of `trusted` that every signature up the chain leads to, at a
    /// time when all of it is valid.
    ///
    /// What stands in the chain is proved by nothing but its signatures: a
    /// trusted certificate that an attacker has put among others of the same
    /// name is one that no signature leads to.
    ///
    /// # Errors
    /// `NotTrusted` where none stands in the chain, otherwise what is wrong on
    /// the way there.
    pub fn leads_to<'a>(
        &self,
        trusted: &'a [Certificate],
        at: Timestamp,
    ) -> Result<&'a Certificate, ChainError> {
        let trusted = self.trusted_of(trusted)?;
        if let Some(root) = trusted.iter().find(|root| **root == self.leaf()) {
            return Ok(root);
        }
        let between = self.certificates.iter().skip(1);
        path(self.leaf(), between, trusted, self.purpose, at).map(|(_, root)| root)
    }

    /// The chain from `leaf` to one of `roots`, put together from `others`,
    /// which may hold anything.
    ///
    /// # Errors
    /// `ChainError`; `NotTrusted` where none leads there.
    pub(super) fn find(
        leaf: &Certificate,
        others: &[Certificate],
        roots: &[Certificate],
        purpose: Purpose,
        at: Timestamp,
    ) -> Result<Self, ChainError> {
        self::leaf(leaf, purpose)?;
        let (start, end) = leaf.validity();
        if at < start || at.whole_second() > end {
            let subject = leaf.subject().to_string();
            return Err(ChainError::Validity {
                subject,
                start,
                end,
                at,
            });
        }
        if roots.contains(leaf) {
            return Self::new(vec![leaf.clone()], purpose);
        }
        let between = others.iter().filter(|c| *c != leaf);
        match path(leaf, between, roots.iter().collect(), purpose, at) {
            Ok((mut certificates, root)) => {
                certificates.insert(0, leaf.clone());
                certificates.push(root.clone());
                Self::ruled(certificates, purpose)
            }
            Err(ChainError::Signature { .. }) => Err(ChainError::NotTrusted {
                root: leaf.issuer().to_string(),
                thumbprint: leaf.thumbprint().to_string(),
            }),
            Err(error) => Err(error),
        }
    }
}

/// Signatures from `leaf` to one of `roots` by way of some of `between`, which
/// are returned in order, with that root.
///
/// All roots are tried in one search, which has one budget.
fn path<'a, 'r>(
    leaf: &Certificate,
    between: impl Iterator<Item = &'a Certificate>,
    roots: Vec<&'r Certificate>,
    purpose: Purpose,
    at: Timestamp,
) -> Result<(Vec<Certificate>, &'r Certificate), ChainError> {
    let failed = |error: PathError| ChainError::of(&error, leaf);
    let der = CertificateDer::from(leaf.der());
    let entity = EndEntityCert::try_from(&der).map_err(failed)?;
    let ders: Vec<_> = roots
        .iter()
        .map(|c| CertificateDer::from(c.der()))
        .collect();
    let (mut anchors, mut of) = (Vec::new(), Vec::new());
    for (der, root) in ders.iter().zip(&roots) {
        // One that is unfit to vouch for anything leaves the others.
        if let Ok(anchor) = webpki::anchor_from_trusted_cert(der) {
            anchors.push(anchor);
            of.push(*root);
        }
    }
    // One that is its own issuer leads nowhere else, and many of one name are
    // what makes a search long.
    let between: Vec<_> = between
        .filter(|c| !c.is_self_issued())
        .map(|c| CertificateDer::from(c.der()))
        .collect();
    // Authorities need not say what they issue for; where they do, it holds. Of
    // the first certificate more is asked, above.
    let usage = KeyUsage::required_if_present(match purpose {
        Purpose::CodeSigning => CODE_SIGNING.as_bytes(),
        Purpose::TimeStamping => TIME_STAMPING.as_bytes(),
    });
    let at = u64::try_from(at.secs()).unwrap_or_default();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let found = entity
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &between,
            at,
            usage,
            None,
            None,
        )
        .map_err(failed)?;
    let root = anchors
        .iter()
        .position(|anchor| std::ptr::eq(anchor, found.anchor()))
        .and_then(|at| of.get(at))
        .ok_or_else(|| failed(PathError::UnknownIssuer))?;
    let found = found.intermediate_certificates();
    let found = found.map(|c| {
        Certificate::from_der(c.der().as_ref()).map_err(|error| ChainError::Signature {
            subject: leaf.subject().to_string(),
            why: error.to_string(),
        })
    });
    Ok((found.collect::<Result<_, _>>()?, root))
}

fn leaf(certificate: &Certificate, purpose: Purpose) -> Result<(), ChainError> {
    let unfit = |why: String| ChainError::Purpose {
        subject: certificate.subject().to_string(),
        why,
    };
    if certificate.constraints.as_ref().is_some_and(|(_, c)| c.ca) {
        return Err(unfit("it is a certification authority's".to_owned()));
    }
    let usage = match &certificate.usage {
        Some((critical, usage)) if *critical || purpose == Purpose::TimeStamping => usage,
        Some(_) => return Err(unfit("its key usage is not marked critical".to_owned())),
        None => {
            return Err(unfit(
                "it does not say what its key is for (key usage)".to_owned(),
            ));
        }
    };
    if !usage.digital_signature() {
        return Err(unfit(
            "its key is not for digital signatures (key usage)".to_owned(),
        ));
    }
    let others = [
        ("keyEncipherment", usage.key_encipherment()),
        ("dataEncipherment", usage.data_encipherment()),
        ("keyAgreement", usage.key_agreement()),
        ("keyCertSign", usage.key_cert_sign()),
        ("cRLSign", usage.crl_sign()),
        ("encipherOnly", usage.encipher_only()),
        ("decipherOnly", usage.decipher_only()),
    ];
    if let Some((name, _)) = others.iter().find(|(_, set)| *set) {
        return Err(unfit(format!("its key is for {name} too (key usage)")));
    }
    match (purpose, &certificate.purposes) {
        (Purpose::CodeSigning, None) => Ok(()),
        (Purpose::CodeSigning, Some((_, purposes))) => {
            let other = OTHERS.iter().find(|(_, oid)| purposes.contains(oid));
            if let Some((name, _)) = other {
                return Err(unfit(format!("it is for {name} (extended key usage)")));
            }
            match purposes.contains(&CODE_SIGNING) {
                true => Ok(()),
                false => Err(unfit(
                    "it is not for signing code (extended key usage)".to_owned(),
                )),
            }
        }
        // RFC 3161, section 2.3.
        (Purpose::TimeStamping, Some((true, purposes))) if purposes[..] == [TIME_STAMPING] => {
            Ok(())
        }
        (Purpose::TimeStamping, _) => Err(unfit(
            "it is not for timestamps, critically and alone (extended key usage)".to_owned(),
        )),
    }
}

/// `below` is the number of authorities between this one and the signer.
fn authority(certificate: &Certificate, below: usize, purpose: Purpose) -> Result<(), ChainError> {
    let broken = |why| {
        Err(ChainError::Authority {
            subject: certificate.subject().to_string(),
            why,
        })
    };
    match &certificate.constraints {
        Some((true, constraints)) if constraints.ca => {
            let most = constraints.path_len_constraint.map(usize::from);
            if most.is_some_and(|most| below > most) {
                return broken("more authorities are below it than it allows (path length)");
            }
        }
        Some((false, constraints)) if constraints.ca => {
            return broken("its basic constraints are not marked critical");
        }
        _ => return broken("it is no certification authority's (basic constraints)"),
    }
    match &certificate.usage {
        None => broken("it does not say what its key is for (key usage)"),
        Some((false, _)) if purpose == Purpose::CodeSigning => {
            broken("its key usage is not marked critical")
        }
        Some((_, usage)) if !usage.key_cert_sign() => {
            broken("its key is not for signing certificates (key usage)")
        }
        Some(_) => Ok(()),
    }
}

/// Why certificates are no chain to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// None at all, or more than [`limits::CHAIN`].
    #[error("a chain of {0} certificates; 1 to {limit} are read", limit = limits::CHAIN)]
    Length(usize),
    /// They are not in order, or one of them is missing or does not belong there.
    #[error("certificate {subject:?} is issued by {issuer:?}, and behind it stands {next:?}")]
    Order {
        /// Whose certificate.
        subject: String,
        /// Who issued it.
        issuer: String,
        /// Whose certificate is the next.
        next: String,
    },
    /// One that names itself as its issuer is not the last.
    #[error("certificate {0:?} is its own issuer and not the last of the chain")]
    SelfIssued(String),
    /// The root is missing.
    #[error("the chain ends with {subject:?}, issued by {issuer:?}: the root is missing")]
    Incomplete {
        /// Whose certificate is the last.
        subject: String,
        /// Who issued it.
        issuer: String,
    },
    /// A certificate that issues others may not do that.
    #[error("certificate {subject:?} in the place of an authority's: {why}")]
    Authority {
        /// Whose certificate.
        subject: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The signer's certificate is not for this.
    #[error("certificate {subject:?}: {why}")]
    Purpose {
        /// Whose certificate.
        subject: String,
        /// What it is for instead.
        why: String,
    },
    /// Not valid at a time that matters.
    #[error("certificate {subject:?} is valid from {start} to {end}, which {at} is not within")]
    Validity {
        /// Whose certificate.
        subject: String,
        /// From when.
        start: Timestamp,
        /// Until when.
        end: Timestamp,
        /// The time that matters.
        at: Timestamp,
    },
    /// A signature on the way does not hold, or something forbids the way.
    #[error("the certificates from {subject:?} on do not hold: {why}")]
    Signature {
        /// Whose certificate.
        subject: String,
        /// What is wrong.
        why: String,
    },
    /// It leads to nobody who is trusted.
    #[error("no certificate of the chain is a trusted one; it ends with {root:?}, {thumbprint}")]
    NotTrusted {
        /// Whose certificate is the last.
        root: String,
        /// Its thumbprint.
        thumbprint: String,
    },
}

impl ChainError {
    fn of(error: &PathError, leaf: &Certificate) -> Self {
        let subject = leaf.subject().to_string();
        let why = match error {
            PathError::RequiredEkuNotFoundContext(_) => {
                return Self::Purpose {
                    subject,
                    why: "one of the chain is not for this (extended key usage)".to_owned(),
                };
            }
            PathError::UnknownIssuer | PathError::InvalidSignatureForPublicKey => {
                "a signature on the way to the root was not made by the issuer".to_owned()
            }
            PathError::UnsupportedCriticalExtension => {
                "one has a critical extension that is not understood".to_owned()
            }
            PathError::UnsupportedSignatureAlgorithmContext(_)
            | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                "one is signed in a way that is not accepted, as with SHA-1".to_owned()
            }
            PathError::NameConstraintViolation => {
                "an authority may not issue for that name".to_owned()
            }
            other => format!("{other:?}"),
        };
        Self::Signature { subject, why }
    }
}
