//! What a file of a model really is: detected by content, never by its name.
//!
//! Every detector looks at every file, so that a file which is two things at
//! once (a zip appended to a safetensors file, a pickle before a zip) is
//! reported as both. What cannot be read is said so: a malformed header is a
//! fact, and whatever may hold code and was not looked into counts as
//! carrying code.

mod archive;
mod compressed;
mod content;
mod facts;
mod flat;
mod gguf;
mod hdf5;
mod json;
mod keras;
mod numpy;
mod onnx;
mod pickle;
mod plain;
mod proto;
mod safetensors;
mod saved_model;
mod scan;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

pub use content::{Content, DetectError};
pub use facts::{Code, Detected, Format, Kind, Reason};
pub use scan::detect;
