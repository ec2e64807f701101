use std::sync::Arc;

use super::registry::{self, Adapter};
use super::{KeyFault, Settings};
use crate::reference::KeyRef;
use crate::time::Clock;
use crate::trust::TrustedKey;

/// All keys that a configuration gives access to.
pub struct Keyring {
    settings: Settings,
    clock: Arc<dyn Clock>,
    adapters: Vec<Box<Adapter>>,
}

impl Keyring {
    /// The keys that `settings` give access to; nothing is opened yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self {
            adapters: registry::adapters(&settings, &clock),
            settings,
            clock,
        }
    }

    /// The public keys to verify with: all versions of `key` that still
    /// verify, the active one first, or the one that `?version=N` names. Never
    /// unlocks anything, and never returns an empty list.
    ///
    /// # Errors
    /// `KeyFault`; its [`class`](KeyFault::class) tells a key that is not
    /// there from a place that cannot be read.
    pub async fn trusted(&self, key: &KeyRef) -> Result<Vec<TrustedKey>, KeyFault> {
        self.adapter(key)?.trusted(key).await
    }

    /// What it was made from.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock that records and states of grace go by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn adapter(&self, key: &KeyRef) -> Result<&Adapter, KeyFault> {
        self.adapters
            .iter()
            .find(|adapter| adapter.reads(key))
            .map(AsRef::as_ref)
            .ok_or_else(|| match key {
                KeyRef::Kms { .. } => KeyFault::NoKeystore(key.to_string()),
                KeyRef::File(_) | KeyRef::Provider { .. } => KeyFault::NoProvider(key.to_string()),
            })
    }
}
