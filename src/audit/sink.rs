use std::pin::Pin;

use super::{AuditFault, Event};
use crate::digest::Digest;

/// Where events go.
pub trait AuditSink: Send + Sync {
    /// Appends one event and returns once it is durable.
    ///
    /// Not idempotent: an event appended twice stands twice. Events are
    /// bounded in size. Any error is final for the operation it tells of; only
    /// `Busy` may be tried again.
    fn append<'a>(
        &'a self,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, AuditFault>> + Send + 'a>>;

    /// What the log knows of the embedded keystore's generation.
    ///
    /// # Errors
    /// As for appending; a log that cannot be read says nothing.
    fn generation(&self) -> Result<Generation, AuditFault>;
}

/// Between what and what the embedded keystore's generation must be; both are
/// `None` where no record told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// The newest that an outcome told of: a keystore below it is an older copy.
    pub newest: Option<u64>,
    /// The newest that intents allow for: above it the log is an older copy.
    pub limit: Option<u64>,
}

/// Proof that an event is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the log, from 0.
    pub seq: u64,
    /// Its leaf hash in the log's tree (RFC 6962, section 2.1).
    pub digest: Digest,
}
