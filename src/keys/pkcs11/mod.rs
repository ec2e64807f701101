//! Keys in HSMs and smart cards, through their vendor's PKCS #11 module.
//!
//! A module is somebody else's native code, so it never runs in this process:
//! obreia starts itself once per module (`host`), and the two talk over
//! sockets (`wire`), a line for each call (`line`). A module that crashes, hangs or lies takes its process
//! with it and nothing else; the next use starts another.

mod child;
mod create;
mod describe;
mod fault;
mod host;
mod known;
mod line;
mod module;
mod open;
mod pin;
mod place;
mod public;
mod signer;
mod uri;
mod wire;

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;

pub use host::host;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use self::fault::bad_uri;
use self::module::Module;
use self::place::{Named, Place, Places};
use self::uri::Uri;
use super::context::Context;
use super::{KeyFault, Settings};
use crate::reference::KeyRef;

const PROVIDER: &str = "pkcs11";

/// Keys named `pkcs11:…`.
pub(super) struct Pkcs11Keys {
    places: Places,
    context: Context,
    state: Option<PathBuf>,
    modules: Mutex<Vec<Arc<Module>>>,
}

impl Pkcs11Keys {
    pub(super) fn new(settings: &Settings, context: Context) -> Self {
        Self {
            places: Places::new(settings),
            context,
            state: settings.state.clone(),
            modules: Mutex::default(),
        }
    }

    /// What `key` names, and the module that has it.
    fn named(&self, key: &KeyRef, named: Named) -> Result<(Uri, Arc<Module>), KeyFault> {
        let uri = read(key)?;
        let place = self.places.of(&uri, named)?;
        Ok((uri, self.module(place)))
    }

    fn module(&self, place: Place) -> Arc<Module> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.iter().find(|module| module.place == place) {
            return Arc::clone(module);
        }
        let module = Arc::new(Module::new(place, self.context.deadline));
        modules.push(Arc::clone(&module));
        module
    }
}

fn read(key: &KeyRef) -> Result<Uri, KeyFault> {
    match key {
        KeyRef::Provider { scheme, uri } if scheme == PROVIDER => {
            Uri::parse(uri).map_err(|e| bad_uri(&key.to_string(), e))
        }
        _ => Err(KeyFault::NoProvider(key.to_string())),
    }
}
