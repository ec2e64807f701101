use std::sync::Arc;

use super::deadline::within;
use super::registry::{self, Adapter, Registered};
use super::{KeyFault, Route, Settings};
use crate::reference::KeyRef;
use crate::time::Clock;
use crate::trust::TrustedKey;

/// All keys that a configuration gives access to.
pub struct Keyring {
    settings: Settings,
    clock: Arc<dyn Clock>,
    pub(super) registered: Registered,
}

impl Keyring {
    /// The keys that `settings` give access to; nothing is opened yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self {
            registered: registry::open(&settings, &clock),
            settings,
            clock,
        }
    }

    /// The same with one more adapter, which is asked first.
    #[cfg(test)]
    pub(super) fn with(mut self, adapter: Box<Adapter>) -> Self {
        self.registered.adapters.insert(0, adapter);
        self
    }

    /// The public keys to verify with: all versions of `key` that still
    /// verify, the active one first, or the one that `?version=N` names. Never
    /// unlocks anything, and never returns an empty list.
    ///
    /// # Errors
    /// `KeyFault`; its [`class`](KeyFault::class) tells a key that is not
    /// there from a place that cannot be read.
    pub async fn trusted(&self, key: &KeyRef) -> Result<Vec<TrustedKey>, KeyFault> {
        let route = self.route(key)?;
        let adapter = self.adapter(&route)?;
        let found = within(
            self.settings.deadline,
            adapter,
            adapter.trusted(&route.target),
        )
        .await;
        let mut trusted = found.map_err(|fault| route.told(fault))?;
        for key in &mut trusted {
            route.still_its_own(&self.settings.keys, &key.path)?;
            if let Some((path, _)) = route.names() {
                key.path = path;
            }
        }
        Ok(trusted)
    }

    /// The way from a name to a provider's key. Asks nobody.
    ///
    /// # Errors
    /// `KeyFault`, where a rule matches and makes no key of the name.
    pub fn route(&self, key: &KeyRef) -> Result<Route, KeyFault> {
        Route::of(&self.settings.keys, key)
    }

    /// What it was made from.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock that records and states of grace go by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn adapter(&self, route: &Route) -> Result<&Adapter, KeyFault> {
        let key = &route.target;
        self.registered
            .adapters
            .iter()
            .find(|adapter| adapter.reads(key))
            .map(AsRef::as_ref)
            .ok_or_else(|| route.told(registry::absent(key)))
    }
}
