//! The keys that a configuration gives access to.

use crate::config::{Config, Environment};
#[cfg(feature = "sign")]
pub use crate::keys::{Administer, Key, Locked, NewKey, Unlock, UnlockError};
pub use crate::keys::{Keyring, Keys, Notices, Settings};

/// What a configuration says of keys.
pub fn settings(config: &Config, environment: &Environment, offline: bool) -> Settings {
    Settings {
        state: config.state.dir.clone(),
        offline,
        environment: environment.clone(),
        keys: config.keys.clone(),
        ..Settings::default()
    }
}
