//! Trusted certificates, from what a document names and what was gathered.

use super::Gathered;
use crate::policy::document::{CertificateSource, CertificatesSource};
use crate::policy::error::PolicyError;
use crate::trust::{CertificateTrust, Given};

pub(super) fn trust(
    source: &CertificatesSource,
    gathered: &Gathered,
) -> Result<CertificateTrust, PolicyError> {
    let given = Given {
        roots: files(&source.roots, gathered)?,
        signing_authority_roots: files(&source.signing_authority_roots, gathered)?,
        timestamp_roots: files(&source.timestamp_roots, gathered)?,
        subjects: source.subjects.clone(),
    };
    CertificateTrust::read(&given).map_err(|detail| PolicyError::Field {
        at: source.at.clone(),
        field: source.field.clone(),
        detail,
    })
}

fn files(
    sources: &[CertificateSource],
    gathered: &Gathered,
) -> Result<Vec<(String, Vec<u8>)>, PolicyError> {
    let mut files = Vec::new();
    for source in sources {
        match source {
            CertificateSource::Inline { pem, field } => {
                files.push((field.clone(), pem.clone().into_bytes()));
            }
            CertificateSource::Reference { text, at, field } => {
                let found = gathered.certificates.get(text);
                let found = found.ok_or_else(|| PolicyError::NotGathered {
                    at: at.clone(),
                    field: field.clone(),
                    wanted: text.clone(),
                })?;
                files.extend(found.iter().cloned());
            }
        }
    }
    Ok(files)
}
