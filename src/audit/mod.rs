//! The audit log: what was done with which key, by whom, and why it was let.
//!
//! An event is durable before [`AuditSink::append`] returns, and an error
//! there fails the operation it tells of: no signature leaves without its
//! record. The only adapter so far is a hash-chained file.

#[cfg(feature = "sign")]
mod event;
mod fault;
#[cfg(feature = "sign")]
mod file;
#[cfg(feature = "sign")]
mod sink;

#[cfg(feature = "sign")]
pub use event::{Event, KeyRecord, Phase};
pub use fault::AuditFault;
#[cfg(feature = "sign")]
pub use file::{Chain, check_chain, create, open};
#[cfg(feature = "sign")]
pub use sink::{AuditSink, Receipt};
