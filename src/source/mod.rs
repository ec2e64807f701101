//! Where artifacts are: files, directories and OCI layouts. Opened without
//! being led astray, hashed in one pass, copied while they are hashed.

mod error;
pub mod file;
pub mod hash;
pub mod layout;
pub mod mount;
mod progress;
pub mod registry;
mod resolve;
pub mod stage;
pub mod tree;
mod walk;

pub use error::SourceError;
pub use progress::{Counted, Progress};
