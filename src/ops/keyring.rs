//! The keys that a configuration gives access to.

use std::sync::Arc;

use super::SystemClock;
use crate::config::{Config, Environment};
#[cfg(feature = "sign")]
pub use crate::keys::{Administer, Key, Locked, NewKey, Unlock, UnlockError};
pub use crate::keys::{Keyring, Settings};

/// The keyring of a configuration; opens nothing.
pub fn of(config: &Config, environment: &Environment, offline: bool) -> Keyring {
    Keyring::new(
        Settings {
            state: config.state.dir.clone(),
            offline,
            environment: environment.clone(),
            keys: config.keys.clone(),
            ..Settings::default()
        },
        Arc::new(SystemClock),
    )
}
