//! The members of an SPDX 2.3 document (clauses 6 to 12 and the JSON
//! serialisation), as a table of our own.

use super::values::{CATEGORIES, CHECKSUMS, FILE_TYPES, PURPOSES, RELATIONSHIPS};
use crate::shape::Shape::{
    self, Bool, Checked, Closed, Count, List, Map, Name, NonEmpty, OneOf, Text,
};
use crate::shape::{optional, required, text};

pub(super) const DOCUMENT: Shape = Closed(&[
    required("spdxVersion", &Name),
    required("SPDXID", &OneOf(&["SPDXRef-DOCUMENT"])),
    required("name", &Name),
    required("dataLicense", &OneOf(&["CC0-1.0"])),
    required("documentNamespace", &NAMESPACE),
    required("creationInfo", &CREATION),
    optional("$schema", &Text),
    optional("annotations", &List(&ANNOTATION)),
    optional("comment", &Text),
    optional("documentDescribes", &List(&Name)),
    optional("externalDocumentRefs", &List(&EXTERNAL_DOCUMENT)),
    optional("files", &List(&FILE)),
    optional("hasExtractedLicensingInfos", &List(&EXTRACTED)),
    optional("packages", &List(&PACKAGE)),
    optional("relationships", &List(&RELATIONSHIP)),
    optional("revieweds", &List(&REVIEWED)),
    optional("snippets", &List(&SNIPPET)),
]);

const CREATION: Shape = Closed(&[
    required("created", &UTC),
    required("creators", &NonEmpty(&AGENT)),
    optional("comment", &Text),
    optional("licenseListVersion", &Text),
]);

const PACKAGE: Shape = Closed(&[
    required("SPDXID", &ID),
    required("name", &Name),
    required("downloadLocation", &LOCATION),
    optional("annotations", &List(&ANNOTATION)),
    optional("attributionTexts", &List(&Text)),
    optional("builtDate", &UTC),
    optional("checksums", &List(&CHECKSUM)),
    optional("comment", &Text),
    optional("copyrightText", &Text),
    optional("description", &Text),
    optional("externalRefs", &List(&EXTERNAL_REF)),
    optional("filesAnalyzed", &Bool),
    optional("hasFiles", &List(&Name)),
    optional("homepage", &Text),
    optional("licenseComments", &Text),
    optional("licenseConcluded", &Name),
    optional("licenseDeclared", &Name),
    optional("licenseInfoFromFiles", &List(&Name)),
    optional("originator", &SUPPLIER),
    optional("packageFileName", &Text),
    optional("packageVerificationCode", &VERIFICATION_CODE),
    optional("primaryPackagePurpose", &OneOf(&PURPOSES)),
    optional("releaseDate", &UTC),
    optional("sourceInfo", &Text),
    optional("summary", &Text),
    optional("supplier", &SUPPLIER),
    optional("validUntilDate", &UTC),
    optional("versionInfo", &Text),
]);

const FILE: Shape = Closed(&[
    required("SPDXID", &ID),
    required("fileName", &Name),
    required("checksums", &NonEmpty(&CHECKSUM)),
    optional("annotations", &List(&ANNOTATION)),
    optional("artifactOfs", &List(&Map(&Shape::Any))),
    optional("attributionTexts", &List(&Text)),
    optional("comment", &Text),
    optional("copyrightText", &Text),
    optional("fileContributors", &List(&Text)),
    optional("fileDependencies", &List(&Name)),
    optional("fileTypes", &List(&OneOf(&FILE_TYPES))),
    optional("licenseComments", &Text),
    optional("licenseConcluded", &Name),
    optional("licenseInfoInFiles", &List(&Name)),
    optional("noticeText", &Text),
]);

const SNIPPET: Shape = Closed(&[
    required("SPDXID", &ID),
    required("snippetFromFile", &Name),
    required("ranges", &NonEmpty(&RANGE)),
    optional("annotations", &List(&ANNOTATION)),
    optional("attributionTexts", &List(&Text)),
    optional("comment", &Text),
    optional("copyrightText", &Text),
    optional("licenseComments", &Text),
    optional("licenseConcluded", &Name),
    optional("licenseInfoInSnippets", &List(&Name)),
    optional("name", &Text),
]);

const RANGE: Shape = Closed(&[
    required("startPointer", &POINTER),
    required("endPointer", &POINTER),
]);

const POINTER: Shape = Closed(&[
    required("reference", &Name),
    optional("offset", &Count),
    optional("lineNumber", &Count),
]);

const RELATIONSHIP: Shape = Closed(&[
    required("spdxElementId", &Name),
    required("relationshipType", &OneOf(&RELATIONSHIPS)),
    required("relatedSpdxElement", &Name),
    optional("comment", &Text),
]);

const ANNOTATION: Shape = Closed(&[
    required("annotationDate", &UTC),
    required("annotationType", &OneOf(&["OTHER", "REVIEW"])),
    required("annotator", &AGENT),
    required("comment", &Text),
]);

const REVIEWED: Shape = Closed(&[
    required("reviewDate", &UTC),
    optional("reviewer", &AGENT),
    optional("comment", &Text),
]);

const CHECKSUM: Shape = Closed(&[
    required("algorithm", &OneOf(&CHECKSUMS)),
    required("checksumValue", &HEX),
]);

const EXTERNAL_REF: Shape = Closed(&[
    required("referenceCategory", &OneOf(&CATEGORIES)),
    required("referenceType", &Name),
    required("referenceLocator", &LOCATION),
    optional("comment", &Text),
]);

const EXTERNAL_DOCUMENT: Shape = Closed(&[
    required("externalDocumentId", &DOCUMENT_REF),
    required("spdxDocument", &crate::shape::URI),
    required("checksum", &CHECKSUM),
]);

const EXTRACTED: Shape = Closed(&[
    required("licenseId", &LICENCE_REF),
    required("extractedText", &Text),
    optional("comment", &Text),
    optional("crossRefs", &List(&CROSS_REF)),
    optional("name", &Text),
    optional("seeAlsos", &List(&Text)),
]);

const CROSS_REF: Shape = Closed(&[
    required("url", &Text),
    optional("isLive", &Bool),
    optional("isValid", &Bool),
    optional("isWayBackLink", &Bool),
    optional("match", &Text),
    optional("order", &Count),
    optional("timestamp", &UTC),
]);

const VERIFICATION_CODE: Shape = Closed(&[
    required("packageVerificationCodeValue", &HEX),
    optional("packageVerificationCodeExcludedFiles", &List(&Text)),
]);

const ID: Shape = Checked("SPDXRef- and letters, digits, . or -", |s| {
    is_id(s, "SPDXRef-", "")
});
const LICENCE_REF: Shape = Checked("LicenseRef- and letters, digits, . or -", |s| {
    is_id(s, "LicenseRef-", "")
});
const DOCUMENT_REF: Shape = Checked("DocumentRef- and letters, digits, ., - or +", |s| {
    is_id(s, "DocumentRef-", "+")
});
const HEX: Shape = Checked("hexadecimal", text::is_hex);
const UTC: Shape = Checked("a UTC time such as 2026-11-21T10:00:00Z", is_utc);
const NAMESPACE: Shape = Checked("a URI with a scheme and without #", |s| {
    text::is_uri(s) && !s.contains('#')
});
const LOCATION: Shape = Checked("text without spaces", |s| {
    !s.is_empty() && !s.contains(char::is_whitespace)
});
const AGENT: Shape = Checked("Person:, Organization: or Tool: and a name", |s| {
    is_agent(s, &["Person:", "Organization:", "Tool:"])
});
const SUPPLIER: Shape = Checked("NOASSERTION, or Person: or Organization: and a name", |s| {
    s == "NOASSERTION" || is_agent(s, &["Person:", "Organization:"])
});

fn is_id(s: &str, prefix: &str, also: &str) -> bool {
    s.strip_prefix(prefix).is_some_and(|id| {
        !id.is_empty()
            && id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-') || also.contains(c))
    })
}

/// The specification has no fraction of a second; widely used writers do.
fn is_utc(s: &str) -> bool {
    s.ends_with('Z') && text::is_rfc3339(s)
}

fn is_agent(s: &str, kinds: &[&str]) -> bool {
    kinds
        .iter()
        .filter_map(|kind| s.strip_prefix(kind))
        .any(|name| !name.trim().is_empty())
}
