//! Registries (OCI distribution-spec 1.1, and Docker's before it).
//!
//! Nothing that comes from a registry is believed: manifests and blobs are
//! checked against their digests while they arrive, lists of referrers only
//! say where to look. Whatever goes wrong is told apart: not there, not
//! permitted, not reached, not what it should be.

mod fault;
mod settings;

#[cfg(feature = "sign")]
mod address;
#[cfg(feature = "sign")]
mod attach;
#[cfg(feature = "sign")]
mod auth;
#[cfg(feature = "sign")]
mod closure;
#[cfg(feature = "sign")]
mod download;
#[cfg(feature = "sign")]
mod flip;
#[cfg(feature = "sign")]
mod host;
#[cfg(feature = "sign")]
mod legacy;
#[cfg(feature = "sign")]
mod link;
#[cfg(feature = "sign")]
mod manifest;
#[cfg(feature = "sign")]
mod probe;
#[cfg(feature = "sign")]
mod reach;
#[cfg(not(feature = "sign"))]
#[path = "reach_absent.rs"]
mod reach;
#[cfg(feature = "sign")]
mod referrers;
#[cfg(feature = "sign")]
mod tags;
#[cfg(feature = "sign")]
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "sign")]
mod upload;

#[cfg(feature = "sign")]
pub use address::resolved;
#[cfg(feature = "sign")]
pub use attach::{Attached, Cas};
#[cfg(feature = "sign")]
pub use auth::{Challenge, Grant, challenges};
#[cfg(feature = "sign")]
pub use download::Download;
pub use fault::{Asked, Class, RegistryFault, Said, TlsTrouble};
#[cfg(feature = "sign")]
pub use flip::Conditions;
#[cfg(feature = "sign")]
pub use legacy::{Appended, IsOurs};
#[cfg(feature = "sign")]
pub use link::next_pages;
#[cfg(feature = "sign")]
pub use manifest::Put;
#[cfg(feature = "sign")]
pub use probe::{Lists, Pieces, Reached};
#[cfg(feature = "sign")]
pub use reach::Repository;
pub use reach::{Access, Registries};
#[cfg(feature = "sign")]
pub use referrers::Listed;
pub use settings::{Client as ClientCertificate, Settings};
#[cfg(feature = "sign")]
pub use upload::{Source, UploadError};
