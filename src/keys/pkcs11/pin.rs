//! Where a PIN comes from. It is held in memory for as long as the process
//! may have to log in again, and leaves it over a socket alone.

use std::sync::Arc;

use super::PROVIDER;
use super::module::shown;
use super::place::{Place, not_configured};
use super::uri::Uri;
use super::wire::Token;
use crate::environment::SecretSource;
use crate::keys::{KeyFault, Locked, Unlock};
use crate::secret::Secret;

/// Whether to log in, and with what.
#[derive(Clone, Copy)]
pub(super) enum Pin<'a> {
    /// What is asked needs no login, or must do without.
    NotWanted,
    /// The one that was accepted before.
    Kept,
    /// The one that was accepted before, else the URI's own source, else this.
    From(&'a dyn Unlock),
}

impl Pin<'_> {
    pub(super) fn get(
        self,
        uri: &Uri,
        token: &Token,
        accepted: Option<&Arc<Secret>>,
        place: &Place,
    ) -> Result<Arc<Secret>, KeyFault> {
        if let Some(accepted) = accepted {
            return Ok(Arc::clone(accepted));
        }
        let Self::From(unlock) = self else {
            return Err(KeyFault::Login {
                provider: PROVIDER,
                how: "PIN",
                cause: format!("the PIN of {} is not known any more", shown(token)),
            });
        };
        let secret = match &uri.pin_source {
            Some(file) => SecretSource::File(file.clone())
                .fetch(&crate::environment::Environment::default())
                .map_err(|e| not_configured(format!("pin-source: {e}")))?,
            None => {
                let what = Locked::Token {
                    token: token.label.clone(),
                    configured: place.pin.clone(),
                };
                unlock
                    .passphrase(&what)
                    .map_err(|e| KeyFault::NoPassphrase {
                        what: format!("the token {}", shown(token)),
                        why: e.to_string(),
                    })?
            }
        };
        if secret.is_empty() {
            return Err(KeyFault::NoPassphrase {
                what: format!("the token {}", shown(token)),
                why: "the PIN is empty".to_owned(),
            });
        }
        Ok(Arc::new(secret))
    }
}

/// Whether two are the same, at the same cost wherever they differ.
pub(super) fn same(one: &Secret, two: &Secret) -> bool {
    let (one, two) = (one.expose(), two.expose());
    one.len() == two.len() && one.iter().zip(two).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}
