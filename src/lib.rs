//! obreia signs, attests, promotes and guards container images, SBOMs and ML
//! models with keys that stay in a KMS or an HSM.
//!
//! The crate is layered, and imports go down only (`tests/it/tidy/layers.rs` holds
//! the table):
//!
//! - L0, types: [`digest`], [`time`], [`secret`], [`canon`], [`shape`], [`limits`]
//! - L1, bytes in and types out: [`crypto`], [`dsse`], [`statement`],
//!   [`bundle`], [`notation`], [`x509`], [`model`], [`sbom`], [`oci`], [`tlog`],
//!   [`reference`]
//! - L2, decisions: [`trust`], [`verify`], [`policy`], [`custody`]
//! - L3, ports and their adapters: [`storage`], [`keys`], [`audit`],
//!   [`source`], [`attestations`], [`durable`], [`environment`], [`http`]
//! - L4, use cases: [`ops`], [`config`]
//! - L5, surfaces: [`cli`]

// Files of the integration tests are used by unit tests too.
#[cfg(test)]
extern crate self as obreia;

pub mod attestations;
pub mod audit;
pub mod bundle;
pub mod canon;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod custody;
pub mod digest;
pub mod dsse;
pub mod durable;
pub mod environment;
#[cfg(feature = "sign")]
pub mod http;
pub mod keys;
pub mod limits;
pub mod model;
#[cfg(feature = "notation")]
pub mod notation;
pub mod oci;
pub mod ops;
pub mod policy;
#[cfg(feature = "sign")]
mod process;
pub mod reference;
pub mod sbom;
pub mod secret;
pub mod shape;
pub mod source;
pub mod statement;
#[cfg(feature = "sign")]
pub mod storage;
pub mod time;
pub mod tlog;
pub mod trust;
pub mod verify;
#[cfg(feature = "notation")]
pub mod x509;
