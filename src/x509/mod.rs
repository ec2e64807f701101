//! Certificates of signers (RFC 5280) and timestamps (RFC 3161): bytes in,
//! types out; what is trusted, and the time, are arguments.

mod certificate;
mod chain;
mod der;
mod name;
#[cfg(test)]
mod tests;
mod timestamp;

pub use certificate::{Certificate, CertificateError};
pub use chain::{Chain, ChainError, Purpose};
pub use name::{Name, SubjectError, SubjectPattern};
pub use timestamp::{Stamp, TimestampError, Token};
