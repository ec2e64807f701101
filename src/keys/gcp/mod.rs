//! Keys in Google Cloud KMS: `gcpkms://…`.
//!
//! One request per signature, none per verification once a key is known;
//! checksums are sent and checked in both directions.

mod algorithm;
mod change;
mod crc32c;
mod describe;
mod fault;
mod login;
mod look_up;
mod service;
mod signer;
mod transport;
mod uri;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use look_up::{LookUp, Seen};
use service::Service;
use signer::GcpSigner;
use uri::Name;

use super::context::Context;
use super::settings::Gcp;
use super::{BoxFuture, Capabilities, KeyFault, KeyProvider, KeyReader, Signer, Unlock, Warning};
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};

const PROVIDER: &str = "gcp";

/// Connected to when the first key is asked for.
pub(super) struct GcpKeys {
    settings: Gcp,
    context: Context,
    service: Mutex<Option<Arc<Service>>>,
}

impl GcpKeys {
    pub(super) fn new(settings: &Gcp, context: &Context) -> Self {
        Self {
            settings: settings.clone(),
            context: context.clone(),
            service: Mutex::default(),
        }
    }

    /// # Errors
    /// `Offline` before anything of the SDK is touched, so that nothing looks
    /// for a machine's identity; else as [`Service::new`].
    fn service(&self) -> Result<Arc<Service>, KeyFault> {
        if self.context.offline {
            return Err(KeyFault::Offline { provider: PROVIDER });
        }
        let mut made = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = made.as_ref().filter(|service| service.is_alive()) {
            return Ok(Arc::clone(service));
        }
        let service = Service::new(&self.settings, &self.context)?;
        *made = Some(Arc::clone(&service));
        Ok(service)
    }

    fn look_up<'a>(&'a self, service: &'a Service) -> LookUp<'a> {
        LookUp {
            service,
            known: &self.context.known,
        }
    }

    /// The version to sign with: remembered, or asked for.
    async fn version(&self, name: &Name, service: &Service) -> Result<Seen, KeyFault> {
        if let Some(seen) = self.remembered(name)? {
            return Ok(seen);
        }
        let look_up = self.look_up(service);
        match name.version {
            Some(version) => look_up.one(name, version).await,
            None => look_up.newest(name).await,
        }
    }

    fn remembered(&self, name: &Name) -> Result<Option<Seen>, KeyFault> {
        let notes = match name.version {
            Some(version) => vec![name.note(version)],
            None => vec![name.whole(), name.newest()],
        };
        let place = service::endpoint(&self.settings)?;
        for note in &notes {
            if let Some(known) = self.context.known.fresh(note, &place)? {
                let first = known.versions.first();
                let active = first.filter(|first| first.state == VersionState::Active.as_str());
                return Ok(active.and_then(Seen::noted));
            }
        }
        Ok(None)
    }
}

impl KeyReader for GcpKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == "gcpkms")
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let note = match name.version {
                Some(version) => name.note(version),
                None => name.whole(),
            };
            let known = &self.context.known;
            let place = service::endpoint(&self.settings)?;
            let found = match self.context.offline {
                true => known.any(&note, &place)?,
                false => known.fresh(&note, &place)?,
            };
            let found = match found {
                Some(found) => found,
                None => {
                    let service = self.service()?;
                    let look_up = self.look_up(&service);
                    let seen = match name.version {
                        Some(version) => vec![look_up.one(&name, version).await?],
                        None => look_up.all(&name).await?,
                    };
                    // What was seen now, and no older note.
                    look_up.known(&name, &seen)
                }
            };
            found.trusted(PROVIDER, &name.asked())
        })
    }
}

impl KeyProvider for GcpKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &["gcpkms"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let service = self.service()?;
            let seen = self.version(&name, &service).await?;
            let known = self.context.known.clone();
            Ok(Box::new(GcpSigner::new(name, seen, service, known)) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        // There is no one key ring to ask; what is set up is checked.
        Box::pin(async {
            self.service()?;
            let (settings, now) = (&self.settings, self.context.clock.now());
            Ok(login::outlook(settings, &self.context.environment, now))
        })
    }

    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let service = self.service()?;
            self.look_up(&service).outlook(&name).await
        })
    }

    fn noted_as(&self, key: &KeyRef) -> Result<Vec<KeyRef>, KeyFault> {
        let name = Name::parse(key)?;
        let own = [name.whole(), name.newest()];
        let place = service::endpoint(&self.settings)?;
        let listed = self.context.known.versions(&own, &place);
        let numbers = listed.into_iter().filter_map(|version| version.version);
        let versions = numbers.chain(name.version);
        let mut notes: Vec<KeyRef> = versions.map(|v| name.note(v)).collect();
        notes.extend(own);
        Ok(notes)
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            import: None,
            rotate: Some(self),
            lifecycle: Some(self),
            retire: None,
        }
    }
}

fn broken(cause: &str) -> KeyFault {
    KeyFault::Provider {
        provider: PROVIDER,
        cause: cause.to_owned(),
    }
}
