//! Authorities that are known by certificates.

use serde_saphyr::Spanned;

use super::super::yaml::place;
use super::super::{CertificateSource, CertificatesSource};
use super::Reader;
use super::wire::Certificates;
use crate::policy::error::PolicyError;

impl Reader<'_> {
    /// What is named; whether it can stand is seen when it was gathered.
    pub(super) fn certificates(
        &self,
        wire: &Spanned<Certificates>,
        field: &str,
    ) -> Result<CertificatesSource, PolicyError> {
        let value = &wire.value;
        let list = |name: &str, entries: &[Spanned<String>]| {
            let entries = entries.iter().enumerate();
            entries
                .map(|(i, entry)| self.certificate(entry, format!("{field}.{name}[{i}]")))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(CertificatesSource {
            roots: list("roots", &value.roots)?,
            signing_authority_roots: list("signingAuthorityRoots", &value.signing_authority_roots)?,
            timestamp_roots: list("timestampRoots", &value.timestamp_roots)?,
            subjects: value.subjects.iter().map(|s| s.value.clone()).collect(),
            at: place(self.file, wire),
            field: field.to_owned(),
        })
    }

    fn certificate(
        &self,
        entry: &Spanned<String>,
        field: String,
    ) -> Result<CertificateSource, PolicyError> {
        let at = place(self.file, entry);
        let text = entry.value.clone();
        if text.contains("-----BEGIN") {
            return Ok(CertificateSource::Inline { pem: text, field });
        }
        if text.is_empty() || text.contains('\0') {
            return Err(self.field(at, field, "names no file or folder of certificates"));
        }
        Ok(CertificateSource::Reference { text, at, field })
    }
}
