//! Software bills of materials: what a document is, and whether it keeps to its specification.
//!
//! CycloneDX 1.4 to 1.7 and SPDX 2.3 and 3.0, each in JSON. What a document
//! says is not judged here; that its references lead somewhere is.

mod cyclonedx;
mod spdx2;
mod spdx3;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::canon::{self, JsonError};
use crate::limits;
use crate::shape::{Violations, text};

/// The format of a bill of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SbomKind {
    /// CycloneDX, any version (`bomFormat`).
    CycloneDx,
    /// SPDX 2 (`spdxVersion`).
    Spdx2,
    /// SPDX 3, JSON-LD (`@context`).
    Spdx3,
}

impl SbomKind {
    /// The versions that [`validate`] knows.
    pub const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::CycloneDx => &["1.4", "1.5", "1.6", "1.7"],
            Self::Spdx2 => &["2.3"],
            Self::Spdx3 => &["3.0.0", "3.0.1"],
        }
    }

    /// The media type of a document in JSON.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Spdx2 | Self::Spdx3 => "application/spdx+json",
        }
    }
}

impl fmt::Display for SbomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CycloneDx => "CycloneDX",
            Self::Spdx2 | Self::Spdx3 => "SPDX",
        })
    }
}

/// Whether the beginning of a file is that of an SBOM in JSON: it names a
/// format before anything is parsed. A guess that only adds policies to ask.
pub fn looks_like_one(start: &[u8]) -> bool {
    let has = |needle: &[u8]| start.windows(needle.len()).any(|w| w == needle);
    start.trim_ascii_start().first() == Some(&b'{')
        && (has(b"\"bomFormat\"") || has(b"\"spdxVersion\"") || has(b"spdx.org/rdf/3"))
}

/// What a valid document says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SbomDocument {
    /// Its format.
    pub kind: SbomKind,
    /// Version of the specification it keeps to, for example `1.6` or `3.0.1`.
    pub version: String,
    /// Its own name in the world: CycloneDX `serialNumber`, SPDX 2
    /// `documentNamespace`, SPDX 3 the `SpdxDocument`'s `spdxId`.
    pub id: Option<String>,
    /// CycloneDX `version`: which edition under the same serial number, 1 where it is not said.
    pub revision: Option<u64>,
    /// What it describes: the name of CycloneDX's `metadata.component`, or of the SPDX document.
    pub name: Option<String>,
    /// When it was made, as it stands there.
    pub created: Option<String>,
    /// CycloneDX components at every depth, or SPDX packages; files are not counted.
    pub component_count: usize,
    /// CycloneDX `dependencies` entries, or SPDX relationships.
    pub relationship_count: usize,
}

/// What kind of bill of materials the tree claims to be; `None` where it claims none.
pub fn detect(document: &Value) -> Option<SbomKind> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if text("bomFormat") == Some("CycloneDX") {
        Some(SbomKind::CycloneDx)
    } else if text("spdxVersion").is_some_and(|v| v.starts_with("SPDX-")) {
        Some(SbomKind::Spdx2)
    } else if text("@context").is_some_and(|c| spdx3::version(c).is_some()) {
        Some(SbomKind::Spdx3)
    } else {
        None
    }
}

/// Parses and validates a document of at most [`limits::DOCUMENT`] bytes.
///
/// # Errors
/// As [`validate_tree`], and `Json` where it is not JSON with one reading.
pub fn validate(bytes: &[u8]) -> Result<SbomDocument, SbomError> {
    validate_tree(&canon::parse(bytes, limits::DOCUMENT)?)
}

/// Validates a tree against the specification it claims: required fields,
/// types, enumerations, formats, and that identifiers are unique and
/// references lead to one.
///
/// # Errors
/// `Unknown`, `Version`, `Invalid` with the places and reasons, or
/// `NotCompiled` in a build that only verifies.
pub fn validate_tree(document: &Value) -> Result<SbomDocument, SbomError> {
    match detect(document).ok_or(SbomError::Unknown)? {
        SbomKind::CycloneDx => cyclonedx::validate(document),
        SbomKind::Spdx2 => spdx2::validate(document),
        SbomKind::Spdx3 => spdx3::validate(document),
    }
}

fn text_at<'v>(document: &'v Value, pointer: &str) -> Option<&'v str> {
    document.pointer(pointer).and_then(Value::as_str)
}

/// Why a document is not a bill of materials that obreia vouches for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SbomError {
    /// Not JSON, or JSON with more than one reading.
    #[error("not a bill of materials: {0}")]
    Json(#[from] JsonError),
    /// Neither of the known formats.
    #[error(
        "not a bill of materials: neither CycloneDX (bomFormat) nor SPDX (spdxVersion, or an SPDX 3 @context) in JSON"
    )]
    Unknown,
    /// A version that is not validated here.
    #[error(
        "{kind} version {} is not one of {}; convert the document to one of them",
        text::quoted(.found),
        .kind.versions().join(", ")
    )]
    Version {
        /// The format.
        kind: SbomKind,
        /// The version it claims.
        found: String,
    },
    /// It departs from its specification.
    #[error("not valid {kind} {version}: {violations}")]
    Invalid {
        /// The format.
        kind: SbomKind,
        /// The version of the specification.
        version: String,
        /// Where, and how.
        violations: Violations,
    },
    /// This build has no validator for the format.
    #[error(
        "this build of obreia only verifies and cannot validate {0} documents; use one with feature `sign`"
    )]
    NotCompiled(SbomKind),
}
