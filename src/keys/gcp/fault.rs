//! What the SDK and the service say, as a fault of a key.

use google_cloud_gax::error::Error;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState as State;
use serde::Deserialize;

use super::PROVIDER;
use super::login::MACHINE;
use crate::http::{HttpFault, TlsCause, causes, root_cause, tls_cause};
use crate::keys::KeyFault;
use crate::keys::context::from_http;
use crate::keys::said::one_line;

/// What was asked of which key, for messages.
pub(super) struct Asked<'a> {
    /// The key as people name it.
    pub(super) key: &'a str,
    /// The version, where it was named.
    pub(super) version: Option<u32>,
    /// Infinitive: `sign with`.
    pub(super) doing: &'static str,
    /// Scheme, host and port of the service.
    pub(super) endpoint: &'a str,
    /// The way of logging in.
    pub(super) how: &'static str,
}

/// Infinitive of the operation that finds nothing where there is no key ring.
pub(super) const MAKE: &str = "make";

/// An answer that is none: status, and what the service said where it spoke as
/// Google's services do.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{http}: {code} {message}")]
pub(super) struct Refusal {
    http: u16,
    /// `NOT_FOUND`, …; empty where somebody else answered.
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Body {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    status: String,
    #[serde(default)]
    message: String,
}

impl Refusal {
    pub(super) fn read(http: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { error }) => Self {
                http,
                code: words(&error.status),
                message: words(&error.message),
            },
            Err(_) => Self {
                http,
                ..Self::default()
            },
        }
    }

    fn fault(&self, asked: &Asked<'_>) -> KeyFault {
        let key = asked.key.to_owned();
        let message = self.message.clone();
        match self.code.as_str() {
            "UNAUTHENTICATED" => login(asked, message),
            "PERMISSION_DENIED" | "FAILED_PRECONDITION" => KeyFault::Refused {
                provider: PROVIDER,
                what: format!("to {} {key}", asked.doing),
                cause: message,
            },
            "NOT_FOUND" if asked.doing == MAKE => KeyFault::BadRequest {
                key,
                why: "its key ring is not there: make it with gcloud kms keyrings create"
                    .to_owned(),
            },
            "NOT_FOUND" => match asked.version {
                Some(version) => KeyFault::NoSuchVersion { key, version },
                None => KeyFault::NoSuchKey(key),
            },
            "ALREADY_EXISTS" => KeyFault::Exists(key),
            "INVALID_ARGUMENT" | "OUT_OF_RANGE" => KeyFault::BadRequest { key, why: message },
            "RESOURCE_EXHAUSTED" => KeyFault::Throttled {
                provider: PROVIDER,
                endpoint: asked.endpoint.to_owned(),
            },
            // Also what somebody in between says: that nothing was found there
            // does not mean that there is no key.
            _ => KeyFault::Provider {
                provider: PROVIDER,
                cause: format!("{} answered {}", asked.endpoint, self.shown()),
            },
        }
    }

    fn shown(&self) -> String {
        match self.code.as_str() {
            "" => format!("{} and did not say why", self.http),
            code => format!("{} ({code}): {}", self.http, self.message),
        }
    }
}

pub(super) fn fault(error: &Error, asked: &Asked<'_>) -> KeyFault {
    if error.is_authentication() {
        return of_login(error, asked);
    }
    if let Some(fault) = in_chain::<HttpFault>(error) {
        return from_http(PROVIDER, fault.clone());
    }
    if let Some(refusal) = in_chain::<Refusal>(error) {
        return refusal.fault(asked);
    }
    KeyFault::Provider {
        provider: PROVIDER,
        cause: format!("its answer cannot be read: {}", words(&root_cause(error))),
    }
}

/// No token: nobody there, or one who does not believe us. What a token service
/// answers may repeat what it was sent, so only its status is shown.
fn of_login(error: &Error, asked: &Asked<'_>) -> KeyFault {
    let endpoint = format!("where {} credentials log in", asked.how);
    let unreachable = |cause: String| KeyFault::Unreachable {
        provider: PROVIDER,
        endpoint: endpoint.clone(),
        cause,
    };
    let status = |status: u16| match status {
        500.. => unreachable(format!("it answered {status}")),
        _ => login(asked, format!("the token service answered {status}")),
    };
    let answered = in_chain::<Error>(error).and_then(Error::http_status_code);
    match in_chain::<reqwest::Error>(error) {
        _ if answered.is_some() => status(answered.unwrap_or_default()),
        Some(http) if tls_cause(http) == Some(TlsCause::Certificate) => KeyFault::Tls {
            provider: PROVIDER,
            endpoint,
            cause: root_cause(http),
        },
        // What the parser says could quote what was answered.
        Some(http) if http.is_decode() => unreachable("its answer cannot be read".to_owned()),
        Some(http) => match http.status() {
            Some(code) => status(code.as_u16()),
            None if asked.how == MACHINE && http.is_connect() => nobody(asked, &root_cause(http)),
            None => unreachable(root_cause(http)),
        },
        None if asked.how == MACHINE => nobody(asked, &root_cause(error)),
        None => login(asked, words(&root_cause(error))),
    }
}

/// The last way to log in is tried where none was set up.
fn nobody(asked: &Asked<'_>, why: &str) -> KeyFault {
    let set_up = "no credentials file is set up, and no service of this machine tells its identity";
    login(asked, format!("{set_up} ({})", words(why)))
}

fn login(asked: &Asked<'_>, cause: String) -> KeyFault {
    KeyFault::Login {
        provider: PROVIDER,
        how: asked.how,
        cause,
    }
}

/// Of what caused `error`, the first of that kind.
fn in_chain<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    causes(error).skip(1).find_map(|cause| cause.downcast_ref())
}

/// Why a version in `state` is of no use; `None` for one that is enabled.
pub(super) fn of_state(state: &State, key: &str, version: u32) -> Option<KeyFault> {
    let shown = format!("{key}?version={version}");
    Some(match state {
        State::Enabled => return None,
        State::Disabled => KeyFault::Disabled(shown),
        State::DestroyScheduled => KeyFault::PendingDeletion(shown),
        State::Destroyed => KeyFault::NoSuchVersion {
            key: key.to_owned(),
            version,
        },
        other => KeyFault::Provider {
            provider: PROVIDER,
            cause: format!(
                "{shown} is not ready ({})",
                other.name().unwrap_or("in a state that is not known here")
            ),
        },
    })
}

/// What came from outside.
fn words(text: &str) -> String {
    one_line(text, 512)
}
