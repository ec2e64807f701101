//! Arguments that every command which uses a key takes.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use super::passphrase::Passphrases;
use crate::custody::Caller;
use crate::ops::Failure;
use crate::ops::keyring::{Key, Keyring};
use crate::reference::KeyRef;

/// The key to sign with.
#[derive(Debug, Args)]
pub(super) struct SigningKey {
    /// The key: kms://purpose/env/…[?version=N], or a PEM or cosign key file
    #[arg(long, value_name = "KEY")]
    key: String,
    /// File that holds the keystore's or key file's passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl SigningKey {
    /// Opens the key, asking for its passphrase where none was given.
    ///
    /// # Errors
    /// Where there is no such key, or it cannot be unlocked.
    pub(super) async fn open(&self, context: &Context) -> Result<Key, Failure> {
        let key = KeyRef::parse(&self.key)?;
        let config = context.config()?;
        let keyring: Keyring = context.keyring_of(&config);
        let passphrases = Passphrases::new(self.passphrase_file.clone(), &config, context);
        Ok(keyring.open_key(&key, &passphrases).await?)
    }

    /// Who signs: the user of this process.
    pub(super) fn caller() -> Caller {
        Caller::local(rustix::process::getuid().as_raw())
    }
}
