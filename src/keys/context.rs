use std::sync::Arc;
use std::time::Duration;

use super::known::KnownKeys;
use super::{KeyFault, Settings};
use crate::environment::Environment;
use crate::http::{Client, HttpFault, Options};
use crate::time::Clock;

/// What providers share: the environment, the clock, what is known of keys.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) environment: Environment,
    pub(super) offline: bool,
    pub(super) deadline: Duration,
    pub(super) known: KnownKeys,
    pub(super) clock: Arc<dyn Clock>,
}

impl Context {
    pub(super) fn new(settings: &Settings, clock: &Arc<dyn Clock>) -> Self {
        Self {
            environment: settings.environment.clone(),
            offline: settings.offline,
            deadline: settings.deadline,
            known: KnownKeys::new(settings.state.as_deref(), clock),
            clock: Arc::clone(clock),
        }
    }

    /// A client that opens no socket offline; one per provider, made when its
    /// first key is asked for.
    ///
    /// # Errors
    /// `NotConfigured` where the TLS settings cannot be used.
    pub(super) fn http(
        &self,
        provider: &'static str,
        mut options: Options,
    ) -> Result<Client, KeyFault> {
        options.offline |= self.offline;
        options.environment = self.environment.clone();
        Client::new(&options).map_err(|fault| from_http(provider, fault))
    }
}

/// What went wrong on the way to `provider`, as a fault of a key.
pub(super) fn from_http(provider: &'static str, fault: HttpFault) -> KeyFault {
    let cause = fault.to_string();
    match fault {
        HttpFault::Offline { .. } => KeyFault::Offline { provider },
        HttpFault::BadUrl { .. }
        | HttpFault::BadTls(_)
        | HttpFault::BadHeader { .. }
        | HttpFault::BadProxy { .. } => KeyFault::NotConfigured {
            provider,
            why: cause,
        },
        HttpFault::Unreachable { endpoint, cause } | HttpFault::Handshake { endpoint, cause } => {
            KeyFault::Unreachable {
                provider,
                endpoint,
                cause,
            }
        }
        HttpFault::Cut { endpoint, cause } => KeyFault::Unreachable {
            provider,
            endpoint,
            cause: format!("the connection broke after the request was sent ({cause})"),
        },
        HttpFault::Tls { endpoint, cause } => KeyFault::Tls {
            provider,
            endpoint,
            cause,
        },
        HttpFault::Deadline { seconds, .. } => KeyFault::Deadline { provider, seconds },
        HttpFault::Throttled { endpoint } => KeyFault::Throttled { provider, endpoint },
        HttpFault::TooLarge { .. } => KeyFault::Provider { provider, cause },
    }
}
