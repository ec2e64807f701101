//! What is noted of a key's versions, where each has a note of its own.

use super::known::{KnownKeys, KnownVersion};
use crate::reference::KeyRef;

impl KnownKeys {
    /// All versions that notes under these names tell of, whatever their state.
    pub(super) fn versions(&self, notes: &[KeyRef], place: &str) -> Vec<KnownVersion> {
        let known = notes.iter().filter_map(|note| self.any(note, place).ok()?);
        known.flat_map(|known| known.versions).collect()
    }
}
