use std::sync::Arc;

use super::id::new_id;
use super::{KeyFault, Settings};
use crate::audit::{self, AuditSink, Event, KeyRecord, Phase, Receipt};
use crate::custody::{Caller, Decision, KeyInfo, Operation};
use crate::digest::Digest;
use crate::time::{Clock, Timestamp};

/// Writes intents and outcomes; without a state folder there is no log.
#[derive(Clone)]
pub(super) struct Recorder {
    sink: Option<Arc<dyn AuditSink>>,
    clock: Arc<dyn Clock>,
}

/// What an event is about, the same before and after.
pub(super) struct Subject<'a> {
    pub(super) operation: Operation,
    pub(super) key: Option<KeyRecord>,
    pub(super) provider: Option<&'static str>,
    pub(super) caller: &'a Caller,
    pub(super) decision: &'a Decision,
    pub(super) payload: Option<Digest>,
}

/// An operation whose intent is durable.
pub(super) struct Pending {
    event: Event,
    begun: Timestamp,
}

impl Pending {
    /// The same with the provider's own id of the request, for the outcome.
    pub(super) fn known_as(mut self, provider_request: Option<String>) -> Self {
        self.event.provider_request = provider_request;
        self
    }
}

impl Recorder {
    pub(super) fn new(settings: &Settings, clock: &Arc<dyn Clock>) -> Self {
        let sink = settings
            .state
            .as_ref()
            .map(|state| Arc::from(audit::open(state)));
        Self {
            sink,
            clock: Arc::clone(clock),
        }
    }

    #[cfg(test)]
    pub(super) fn into_sink(sink: Arc<dyn AuditSink>, clock: Arc<dyn Clock>) -> Self {
        Self {
            sink: Some(sink),
            clock,
        }
    }

    /// Makes the intent durable; nothing may be done before this returns.
    pub(super) async fn begin(&self, subject: &Subject<'_>) -> Result<Pending, KeyFault> {
        let pending = self.prepare(subject)?;
        if let Some(sink) = &self.sink {
            sink.append(&pending.event).await?;
        }
        Ok(pending)
    }

    /// Records that the operation was not begun because custody said no.
    pub(super) async fn denied(&self, subject: &Subject<'_>) -> Result<(), KeyFault> {
        let pending = self.prepare(subject)?;
        self.end(pending, "denied", None).await.map(|_| ())
    }

    /// Makes the outcome durable; nothing may be handed out before this returns.
    pub(super) async fn end(
        &self,
        pending: Pending,
        result: &str,
        generation: Option<u64>,
    ) -> Result<Option<Receipt>, KeyFault> {
        let Some(sink) = &self.sink else {
            return Ok(None);
        };
        let mut event = pending.event;
        event.phase = Phase::Outcome;
        event.changes_keystore = false;
        event.time = self.clock.now();
        event.result = Some(result.to_owned());
        event.generation = generation;
        let took = event.time.nanos().saturating_sub(pending.begun.nanos());
        event.latency_us = u64::try_from(took / 1_000).ok();
        Ok(Some(sink.append(&event).await?))
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Pending, KeyFault> {
        let begun = self.clock.now();
        let request_id = match &subject.caller.request_id {
            Some(id) => id.clone(),
            // Nobody will read it without a log.
            None if self.sink.is_none() => String::new(),
            None => new_id()?,
        };
        let event = Event {
            time: begun,
            phase: Phase::Intent,
            request_id,
            front: subject.caller.front.to_owned(),
            caller: subject.caller.id.clone(),
            method: subject.caller.method.as_str().to_owned(),
            operation: subject.operation.as_str().to_owned(),
            key: subject.key.clone(),
            provider: subject.provider.map(str::to_owned),
            decision: subject.decision.as_str().to_owned(),
            rule: subject.decision.rule().to_owned(),
            payload: subject.payload,
            result: None,
            latency_us: None,
            provider_request: None,
            generation: None,
            changes_keystore: subject.operation.changes_keystore(),
        };
        Ok(Pending { event, begun })
    }
}

/// For a fault of [`Recorder::end`]: what had come of the operation by then.
pub(super) fn unrecorded(done: impl Into<String>) -> impl FnOnce(KeyFault) -> KeyFault {
    move |fault| match fault {
        KeyFault::Audit(audit) => KeyFault::Unrecorded {
            done: done.into(),
            audit,
        },
        fault => fault,
    }
}

impl KeyFault {
    /// What went wrong once a change of `key` was acknowledged.
    pub(super) fn after(self, key: &str) -> Self {
        Self::NotShown {
            key: key.to_owned(),
            fault: Box::new(self),
        }
    }

    /// What went wrong once `done` of `of` versions of a key were changed.
    pub fn partly(self, done: usize, of: usize) -> Self {
        match done {
            0 => self,
            _ => Self::Partly {
                done,
                of,
                fault: Box::new(self),
            },
        }
    }
}

impl From<&KeyInfo> for KeyRecord {
    fn from(info: &KeyInfo) -> Self {
        Self {
            id: Some(info.id.clone()),
            path: info.path.clone(),
            uri: None,
            version: info.version,
        }
    }
}
