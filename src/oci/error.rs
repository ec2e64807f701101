use crate::canon::JsonError;
use crate::limits;

/// Why bytes are not a manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OciError {
    /// Not strict JSON, or too large or too deep.
    #[error("not a manifest: {0}")]
    Json(#[from] JsonError),
    /// A field is missing, of the wrong type, or not a digest.
    #[error("not a manifest: {0}")]
    Shape(String),
    /// `schemaVersion` is not 2.
    #[error("schemaVersion is {0}, only 2 is read")]
    SchemaVersion(u32),
    /// Neither a manifest nor an index, by media type.
    #[error("media type {0:?} is neither an OCI or Docker v2 image manifest nor an index of them")]
    MediaType(String),
    /// The document and the descriptor that led to it disagree.
    #[error("the document calls itself {stated:?}, its descriptor says {expected:?}")]
    MediaTypeDiffers {
        /// What the document says.
        stated: String,
        /// What its descriptor says.
        expected: String,
    },
    /// Both a manifest and an index.
    #[error("the document holds both layers or config and manifests: it could be read two ways")]
    TwoReadings,
    /// A media type that is not one.
    #[error("{field} holds the media type {text:?}, which is not of the form type/subtype")]
    BadMediaType {
        /// The field's name.
        field: &'static str,
        /// The text, shortened.
        text: String,
    },
    /// A size outside the specification's range.
    #[error("{field} holds a size that no blob can have")]
    Size {
        /// The field's name.
        field: &'static str,
    },
    /// More entries than are read.
    #[error("{field} has {found} entries, the limit is {}", limits::INDEX_ENTRIES)]
    TooMany {
        /// The field's name.
        field: &'static str,
        /// Entries found.
        found: usize,
    },
    /// More files than one manifest can list.
    #[error(
        "the manifest would be {found} bytes, registries take {} at most",
        limits::MANIFEST
    )]
    TooLarge {
        /// Bytes that the manifest would have.
        found: u64,
    },
}
