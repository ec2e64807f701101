//! sigstore's `ClusterImagePolicy`.

use serde_json::Value;

use super::Document;
use super::yaml::Segment;
use crate::policy::error::{Place, PolicyError};

/// Reads one document of this kind.
pub(super) fn read(at: Place, _segment: &Segment, _tree: Value) -> Result<Document, PolicyError> {
    Err(PolicyError::Unsupported {
        at,
        field: "kind".to_owned(),
        detail: "ClusterImagePolicy".to_owned(),
    })
}
