use super::{BoxFuture, KeyFault};
use crate::reference::KeyRef;
use crate::trust::TrustedKey;

/// Where public keys to verify with come from. Never unlocks anything.
pub trait KeyReader: Send + Sync {
    /// Whether keys named like this are this reader's.
    fn reads(&self, key: &KeyRef) -> bool;

    /// The versions of `key` that still verify, the active one first, or the
    /// one version that `key` names; never an empty list.
    ///
    /// # Errors
    /// `KeyFault`: a key that is not there and a place that cannot be read
    /// are told apart.
    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>>;
}
