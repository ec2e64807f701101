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

    /// The newest keystore generation that the log knows of, or `None`.
    ///
    /// # Errors
    /// As for appending; a log that cannot be read says nothing.
    fn generation(&self) -> Result<Option<u64>, AuditFault>;
}

/// Proof that an event is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the log, from 0.
    pub seq: u64,
    /// Its leaf hash in the log's tree (RFC 6962, section 2.1).
    pub digest: Digest,
}
