use std::sync::Arc;

use super::manifests::{holding, manifest_of, referrer_of};
use super::{AttestationStore, BoxFuture, Deposit, Format, StoreError, Stored, Subject, Untrusted};
use crate::limits;
use crate::source::layout::{Attached, Layout, Referring};
use crate::time::Clock;

const PLACE: &str = "OCI layouts";

/// Evidence in an OCI layout: referrers of the manifest that it is about.
#[derive(Clone)]
pub struct Referrers {
    layout: Layout,
    clock: Arc<dyn Clock>,
}

impl Referrers {
    /// The referrers in `layout`; `clock` says when new ones were made.
    pub fn new(layout: Layout, clock: Arc<dyn Clock>) -> Self {
        Self { layout, clock }
    }
}

impl AttestationStore for Referrers {
    fn put<'a>(
        &'a self,
        subject: &'a Subject,
        deposit: Deposit<'a>,
    ) -> BoxFuture<'a, Result<Stored, StoreError>> {
        Box::pin(async move {
            let subject = manifest_of(subject, PLACE)?;
            let referrer = referrer_of(subject, &deposit, &*self.clock)?;
            let attached = self.layout.attach(subject, &referrer)?;
            Ok(Stored {
                origin: self.layout.origin(&attached.descriptor().digest),
                existed: matches!(attached, Attached::Already(_)),
                cas: None,
            })
        })
    }

    fn list<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, StoreError>> {
        Box::pin(async move {
            let subject = manifest_of(subject, PLACE)?;
            let graph = self.layout.graph()?;
            let mut found = Vec::new();
            let about = graph.referrers(&subject.digest)?;
            let told = |one: &&Referring| {
                let digest = one.descriptor.digest;
                about.iter().all(|other| other.descriptor.digest != digest)
            };
            let mut bytes = 0;
            for referring in about.iter().chain(graph.unreadable().iter().filter(told)) {
                let from = found.len();
                self.read(referring, &mut found);
                bytes += found[from..]
                    .iter()
                    .map(|f| f.bytes.len() as u64)
                    .sum::<u64>();
                if found.len() > limits::EVIDENCE || bytes > limits::EVIDENCE_BYTES {
                    break;
                }
            }
            if bytes > limits::EVIDENCE_BYTES {
                let place = self.layout.origin(&subject.digest);
                return Err(StoreError::too_many_bytes(place));
            }
            if found.len() > limits::EVIDENCE {
                let place = self.layout.origin(&subject.digest);
                return Err(StoreError::too_much_evidence(place));
            }
            Ok(found)
        })
    }

    /// Nothing: the list of a layout tells everything.
    fn older<'a>(
        &'a self,
        _: &'a Subject,
    ) -> BoxFuture<'a, Vec<Result<Vec<Untrusted>, StoreError>>> {
        Box::pin(async { Vec::new() })
    }
}

impl Referrers {
    fn read(&self, referring: &Referring, found: &mut Vec<Untrusted>) {
        let origin = self.layout.origin(&referring.descriptor.digest);
        for piece in holding(referring, &origin) {
            // One more than the limit is enough to see that it was passed.
            if found.len() > limits::EVIDENCE {
                return;
            }
            let (mut bytes, mut format) = (Vec::new(), piece.format);
            if let Some(layer) = piece.layer {
                match self.layout.read_blob(layer, limits::BUNDLE) {
                    Ok(read) => bytes = read,
                    Err(error) if error.is_unread() => {
                        format = Format::Unreadable(error.to_string());
                    }
                    Err(error) => format = Format::Malformed(error.to_string()),
                }
            }
            found.push(Untrusted {
                origin: piece.origin,
                bytes,
                format,
            });
        }
    }
}
