use std::sync::Arc;

use super::deadline::{Asking, within_but};
use super::record::Recorder;
use super::{Key, KeyFault, Keyring, Unlock};
use crate::reference::KeyRef;

impl Keyring {
    /// Opens a key to sign with: its active version, or the one that
    /// `?version=N` names. `unlock` is asked for a passphrase at most once.
    /// Its name is resolved here, once, for as long as the key is open.
    ///
    /// # Errors
    /// `KeyFault`.
    pub async fn open_key(&self, key: &KeyRef, unlock: &dyn Unlock) -> Result<Key, KeyFault> {
        super::harden::no_dumps();
        let route = self.route(key)?;
        let adapter = self.adapter(&route)?;
        let asking = Asking::of(unlock);
        let work = adapter.open(&route.target, &asking);
        let signer = within_but(self.settings().deadline, adapter, &asking, work)
            .await
            .map_err(|fault| route.told(fault))?;
        route.still_its_own(&self.settings().keys, &signer.key().path)?;
        Ok(Key::new(
            signer,
            route,
            Recorder::new(self.settings(), self.clock()),
            Arc::clone(self.clock()),
            self.settings().deadline,
        ))
    }
}
