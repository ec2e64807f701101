//! The adapters, by name: the one place that knows them all, and the features
//! that they need.

use std::sync::Arc;

use super::{Settings, file};
use crate::time::Clock;

/// What an adapter is seen as: a build that only verifies reads public keys.
#[cfg(feature = "sign")]
pub(super) type Adapter = dyn super::KeyProvider;
#[cfg(not(feature = "sign"))]
pub(super) type Adapter = dyn super::KeyReader;

/// All adapters of this build, and what they share.
pub(super) struct Registered {
    pub(super) adapters: Vec<Box<Adapter>>,
    #[cfg(feature = "sign")]
    pub(super) known: super::known::KnownKeys,
}

#[cfg(feature = "sign")]
pub(super) fn open(settings: &Settings, clock: &Arc<dyn Clock>) -> Registered {
    let context = super::context::Context::new(settings, clock);
    let mut adapters: Vec<Box<Adapter>> = vec![
        Box::new(file::FileKeys),
        Box::new(super::vault::VaultKeys::new(&settings.keys, &context)),
    ];
    if let Some(state) = &settings.state {
        let keys = super::embedded::EmbeddedKeys::new(state, Arc::clone(clock));
        adapters.push(Box::new(keys));
    }
    let known = context.known.clone();
    adapters.push(Box::new(super::pkcs11::Pkcs11Keys::new(settings, context)));
    Registered { adapters, known }
}

#[cfg(not(feature = "sign"))]
pub(super) fn open(_: &Settings, _: &Arc<dyn Clock>) -> Registered {
    Registered {
        adapters: vec![Box::new(file::FileKeys)],
    }
}
