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
pub(super) fn adapters(_: &Settings, _: &Arc<dyn Clock>) -> Vec<Box<Adapter>> {
    vec![Box::new(file::FileKeys)]
}

#[cfg(not(feature = "sign"))]
pub(super) fn adapters(_: &Settings, _: &Arc<dyn Clock>) -> Vec<Box<Adapter>> {
    vec![Box::new(file::FileKeys)]
}
