//! What the URIs of providers have in common: `scheme://NAME[?PARAMETERS]`.

use super::KeyFault;
use crate::reference::KeyRef;

/// What names the key, and the parameters behind it.
///
/// # Errors
/// `NoProvider` where it is no provider's URI.
pub(super) fn parts(key: &KeyRef) -> Result<(&str, &str), KeyFault> {
    let KeyRef::Provider { uri, .. } = key else {
        return Err(KeyFault::NoProvider(key.to_string()));
    };
    let (_, rest) = uri.split_once("://").unwrap_or_default();
    Ok(rest.split_once('?').unwrap_or((rest, "")))
}

/// A URI that its provider cannot read; shown without credentials.
pub(super) fn bad(key: &KeyRef, why: &str) -> KeyFault {
    KeyFault::BadUri {
        uri: key.to_string(),
        why: why.to_owned(),
    }
}
