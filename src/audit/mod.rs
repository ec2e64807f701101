//! The audit log: what was done with which key, by whom, and why it was let.
//!
//! An event is durable before [`AuditSink::append`] returns, and an error
//! there fails the operation it tells of: no signature leaves without its
//! record. The only adapter so far is a transparency log on the local disk
//! ([`crate::tlog`] has the formats): `audit/` in the state folder holds tiles,
//! entries, a signed checkpoint, and a journal of the newest records, which
//! is what makes them durable. `docs/audit.md` tells the whole of it.

mod fault;

#[cfg(feature = "sign")]
mod check;
#[cfg(feature = "sign")]
mod edge;
#[cfg(feature = "sign")]
mod event;
#[cfg(feature = "sign")]
mod files;
#[cfg(feature = "sign")]
mod journal;
#[cfg(feature = "sign")]
mod place;
#[cfg(feature = "sign")]
mod publish;
#[cfg(feature = "sign")]
mod read;
#[cfg(feature = "sign")]
mod sink;
#[cfg(feature = "sign")]
mod unfinished;
#[cfg(feature = "sign")]
mod write;

#[cfg(test)]
#[cfg(feature = "sign")]
mod tests;

pub use fault::AuditFault;

#[cfg(feature = "sign")]
pub use check::{Problem, Report, verify};
#[cfg(feature = "sign")]
pub use event::{Event, KeyRecord, Phase};
#[cfg(feature = "sign")]
pub use place::{begun, create, folder, head, public_key};
#[cfg(feature = "sign")]
pub use read::AuditLog;
#[cfg(feature = "sign")]
pub use sink::{AuditSink, Generation, Receipt};
#[cfg(feature = "sign")]
pub use unfinished::Unfinished;
#[cfg(feature = "sign")]
pub use write::open;
