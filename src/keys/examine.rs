//! What is asked about keys and their providers without using them.

use super::deadline::within;
use super::{KeyFault, Keyring, Warning};
use crate::reference::KeyRef;

impl Keyring {
    /// Whether the provider that `place` leads to answers, and what works now
    /// and will not for long: of it, and of what was opened through this
    /// keyring. `place` is a key, or no more than a scheme: `openbao://`.
    ///
    /// # Errors
    /// `KeyFault`.
    pub async fn probe_provider(&self, place: &KeyRef) -> Result<Vec<Warning>, KeyFault> {
        let route = self.route(place)?;
        let adapter = self.adapter(&route)?;
        within(self.settings().deadline, adapter, adapter.probe()).await
    }

    /// Whether [`Keyring::probe_provider`] asks somebody at `place`.
    ///
    /// # Errors
    /// `KeyFault`, where no provider is there.
    pub fn is_asked(&self, place: &KeyRef) -> Result<bool, KeyFault> {
        Ok(self.adapter(&self.route(place)?)?.is_asked())
    }

    /// What works now with `key` and will not for long, as its provider shows
    /// it now. Nothing is signed.
    ///
    /// # Errors
    /// `KeyFault`; `Refused` where the provider does not let it be read.
    pub async fn outlook(&self, key: &KeyRef) -> Result<Vec<Warning>, KeyFault> {
        let route = self.route(key)?;
        let adapter = self.adapter(&route)?;
        let work = adapter.outlook(&route.target);
        within(self.settings().deadline, adapter, work)
            .await
            .map_err(|fault| route.told(fault))
    }
}
