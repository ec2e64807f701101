//! SPDX 2.3 (ISO/IEC 5962), JSON.

use serde_json::Value;

use super::{SbomDocument, SbomError, SbomKind};

pub(super) fn validate(_document: &Value) -> Result<SbomDocument, SbomError> {
    Err(SbomError::NotCompiled(SbomKind::Spdx2))
}
