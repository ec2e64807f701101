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

#[cfg(feature = "sign")]
pub(super) fn adapters(settings: &Settings, clock: &Arc<dyn Clock>) -> Vec<Box<Adapter>> {
    let context = super::context::Context::new(settings, clock);
    let mut adapters: Vec<Box<Adapter>> = vec![
        Box::new(file::FileKeys),
        Box::new(super::vault::VaultKeys::new(&settings.keys, &context)),
    ];
    #[cfg(feature = "aws")]
    adapters.push(Box::new(super::aws::AwsKeys::new(settings, &context)));
    if let Some(state) = &settings.state {
        let keys = super::embedded::EmbeddedKeys::new(state, Arc::clone(clock));
        adapters.push(Box::new(keys));
    }
    #[cfg(feature = "azure")]
    adapters.push(Box::new(super::azure::AzureKeys::new(
        &settings.keys.azure,
        &context,
    )));
    adapters.push(Box::new(super::pkcs11::Pkcs11Keys::new(settings, context)));
    adapters
}

#[cfg(not(feature = "sign"))]
pub(super) fn adapters(_: &Settings, _: &Arc<dyn Clock>) -> Vec<Box<Adapter>> {
    vec![Box::new(file::FileKeys)]
}

/// The feature that has keys of that scheme, where this build is without it.
pub(super) fn left_out(scheme: &str) -> Option<&'static str> {
    match scheme {
        "awskms" if cfg!(not(feature = "aws")) => Some("aws"),
        _ => None,
    }
}
