//! Signers that are known by a certificate: who vouches for them, and which of
//! them are meant.

use serde_json::{Value, json};

use crate::limits;
use crate::x509::{Certificate, SubjectPattern};

/// Files of certificates and patterns of subjects, before they are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Who vouches for signers: each file's name and bytes.
    pub roots: Vec<(String, Vec<u8>)>,
    /// Who vouches for signers that vouch for their time of signing.
    pub signing_authority_roots: Vec<(String, Vec<u8>)>,
    /// Who vouches for timestamps.
    pub timestamp_roots: Vec<(String, Vec<u8>)>,
    /// Which signers are meant; any one of them.
    pub subjects: Vec<String>,
}

/// Whose certificates speak for an authority. Being vouched for is not enough:
/// the signer's subject must be one that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTrust {
    /// Notation's trust store `ca`.
    pub roots: Vec<Certificate>,
    /// Notation's trust store `signingAuthority`.
    pub signing_authority_roots: Vec<Certificate>,
    /// Notation's trust store `tsa`.
    pub timestamp_roots: Vec<Certificate>,
    /// Notation's trusted identities.
    pub subjects: Vec<SubjectPattern>,
}

impl CertificateTrust {
    /// Reads what was given.
    ///
    /// # Errors
    /// Which file or subject cannot stand, and why; also where nobody could
    /// ever be meant.
    pub fn read(given: &Given) -> Result<Self, String> {
        let subjects = given
            .subjects
            .iter()
            .map(|text| SubjectPattern::parse(text).map_err(|e| format!("subject {text:?}: {e}")))
            .collect::<Result<Vec<_>, _>>()?;
        if subjects.is_empty() {
            return Err(
                "no subject is named, so that nobody would be meant; \"*\" means any".to_owned(),
            );
        }
        let trust = Self {
            roots: certificates(&given.roots)?,
            signing_authority_roots: certificates(&given.signing_authority_roots)?,
            timestamp_roots: certificates(&given.timestamp_roots)?,
            subjects,
        };
        if trust.roots.is_empty() && trust.signing_authority_roots.is_empty() {
            return Err("no trusted certificate is named that could vouch for a signer".to_owned());
        }
        Ok(trust)
    }

    /// Everything that decides, whatever the order in which it was given.
    pub fn describe(&self) -> Value {
        let thumbprints = |list: &[Certificate]| {
            let mut texts: Vec<_> = list.iter().map(|c| c.thumbprint().to_string()).collect();
            texts.sort_unstable();
            texts.dedup();
            texts
        };
        let mut subjects: Vec<_> = self.subjects.iter().map(ToString::to_string).collect();
        subjects.sort_unstable();
        subjects.dedup();
        json!({
            "roots": thumbprints(&self.roots),
            "signingAuthorityRoots": thumbprints(&self.signing_authority_roots),
            "timestampRoots": thumbprints(&self.timestamp_roots),
            "subjects": subjects,
        })
    }
}

fn certificates(files: &[(String, Vec<u8>)]) -> Result<Vec<Certificate>, String> {
    let mut found: Vec<Certificate> = Vec::new();
    for (name, bytes) in files {
        let wrong = |why: String| format!("{name}: {why}");
        for certificate in Certificate::all_from(bytes).map_err(|e| wrong(e.to_string()))? {
            if !certificate.is_root_like() {
                return Err(wrong(format!(
                    "certificate {:?} is neither an authority's nor its own issuer, so it cannot be trusted as a root",
                    certificate.subject().to_string()
                )));
            }
            if !found.contains(&certificate) {
                found.push(certificate);
            }
        }
        if found.len() > limits::TRUSTED_CERTIFICATES {
            let limit = limits::TRUSTED_CERTIFICATES;
            return Err(wrong(format!("more than {limit} certificates are trusted")));
        }
    }
    Ok(found)
}

/// The certificates of a file, each as PEM.
///
/// # Errors
/// Why it is none.
pub fn pem_of(file: &[u8]) -> Result<Vec<String>, String> {
    let found = Certificate::all_from(file).map_err(|e| e.to_string())?;
    Ok(found.iter().map(Certificate::to_pem).collect())
}
