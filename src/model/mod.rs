//! Models: what their files really are, how they are described and signed.

pub mod dirhash;
pub mod files;
pub mod format;
pub mod ignore;
pub mod manifest;
pub mod mlbom;
pub mod name;
pub mod oms;
