use std::sync::Arc;

use super::record::Recorder;
use super::{Key, KeyFault, Keyring, Unlock};
use crate::reference::KeyRef;

impl Keyring {
    /// Opens a key to sign with: its active version, or the one that
    /// `?version=N` names. `unlock` is asked for a passphrase at most once.
    ///
    /// # Errors
    /// `KeyFault`.
    pub async fn open_key(&self, key: &KeyRef, unlock: &dyn Unlock) -> Result<Key, KeyFault> {
        super::harden::no_dumps();
        let signer = self.adapter(key)?.open(key, unlock).await?;
        Ok(Key::new(
            signer,
            Recorder::new(self.settings(), self.clock()),
            Arc::clone(self.clock()),
            self.settings().deadline,
        ))
    }
}
