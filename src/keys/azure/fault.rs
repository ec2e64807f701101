//! What the SDK says, as a fault of a key.

use azure_core::error::{Error, ErrorKind, ErrorResponse};
use azure_core::http::StatusCode;

use super::PROVIDER;
use crate::http::{HttpFault, causes};
use crate::keys::KeyFault;
use crate::keys::context::from_http;
use crate::keys::said::one_line;

/// What was asked of which key, for messages.
pub(super) struct Asked<'a> {
    /// The key as people name it.
    pub(super) key: &'a str,
    /// Infinitive: `sign with`.
    pub(super) doing: &'static str,
    /// Scheme, host and port of the vault.
    pub(super) endpoint: &'a str,
    /// The way of logging in.
    pub(super) how: &'static str,
}

/// What the service said in words and codes.
#[derive(Default)]
struct Said {
    code: String,
    inner: String,
    message: String,
}

pub(super) fn fault(error: &Error, asked: &Asked<'_>) -> KeyFault {
    if let Some(fault) = in_chain::<HttpFault>(error) {
        return from_http(PROVIDER, fault.clone());
    }
    let login = |cause: String| KeyFault::Login {
        provider: PROVIDER,
        how: asked.how,
        cause,
    };
    match error.kind() {
        ErrorKind::Credential => login(words(&error.to_string())),
        ErrorKind::HttpResponse { status, .. } => {
            let said = said(error);
            if *status == StatusCode::Unauthorized {
                return login(said.message);
            }
            of_status(u16::from(*status), &said, asked)
        }
        _ => KeyFault::Provider {
            provider: PROVIDER,
            cause: words(&error.to_string()),
        },
    }
}

fn of_status(status: u16, said: &Said, asked: &Asked<'_>) -> KeyFault {
    let key = asked.key.to_owned();
    let endpoint = asked.endpoint.to_owned();
    match status {
        400 if asked.doing == SIGN => KeyFault::WrongAlgorithm {
            key,
            why: said.message.clone(),
        },
        400 => KeyFault::BadRequest {
            key,
            why: said.message.clone(),
        },
        // What stands between may forbid as well, and no grant helps there.
        403 if !said.code.is_empty() => match said.inner.as_str() {
            "KeyDisabled" => KeyFault::Disabled(key),
            "KeyOperationForbidden" => KeyFault::WrongUsage {
                key,
                usage: "other operations".to_owned(),
            },
            _ => KeyFault::Refused {
                provider: PROVIDER,
                what: format!("to {} {key}", asked.doing),
                cause: said.message.clone(),
            },
        },
        // What answers in the vault's place knows nothing of its keys.
        404 if said.code == "KeyNotFound" => KeyFault::NoSuchKey(key),
        409 if said.inner == "ObjectIsDeletedButRecoverable"
            || said.inner == "ObjectIsBeingDeleted" =>
        {
            KeyFault::PendingDeletion(key)
        }
        429 => KeyFault::Throttled {
            provider: PROVIDER,
            endpoint,
        },
        _ => KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("{endpoint} answered {status}: {}", said.message),
        },
    }
}

/// Infinitive of the operation whose bad request means that key and algorithm
/// do not go together.
pub(super) const SIGN: &str = "sign with";

fn said(error: &Error) -> Said {
    let ErrorKind::HttpResponse {
        raw_response: Some(raw),
        ..
    } = error.kind()
    else {
        return Said {
            message: words(&error.to_string()),
            ..Said::default()
        };
    };
    let parsed = serde_json::from_slice::<ErrorResponse>(raw.body().as_ref());
    let Ok(Some(detail)) = parsed.map(|response| response.error) else {
        return Said {
            message: "it did not say why".to_owned(),
            ..Said::default()
        };
    };
    let code = detail.code.unwrap_or_default();
    let inner = detail.inner_error.and_then(|inner| inner.code);
    let said = Said {
        message: words(detail.message.as_deref().unwrap_or_default()),
        inner: inner.unwrap_or_default(),
        code,
    };
    let names: Vec<&str> = [said.code.as_str(), said.inner.as_str()]
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect();
    Said {
        message: format!("{} ({})", said.message, names.join(", ")),
        ..said
    }
}

fn in_chain<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.or_else(|| causes(error).find_map(|cause| cause.downcast_ref()))
}

/// What came from outside, in one line of bearable length. The SDK's own pointer
/// to a page about its errors would point to options that are not ours.
fn words(text: &str) -> String {
    let text = text.split("\nTo troubleshoot").next().unwrap_or_default();
    one_line(text, 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vault_itself_says_that_there_is_no_key_or_no_right() {
        let asked = Asked {
            key: "azurekms://v/k",
            doing: "read",
            endpoint: "https://v",
            how: "az",
        };
        let told = |status, code: &str| {
            let said = Said {
                code: code.to_owned(),
                ..Said::default()
            };
            of_status(status, &said, &asked).code()
        };
        assert_eq!(told(404, "KeyNotFound"), "no-such-key");
        assert_eq!(told(404, ""), "provider-failed");
        assert_eq!(told(404, "ResourceNotFound"), "provider-failed");
        assert_eq!(told(403, "Forbidden"), "kms-refused");
        assert_eq!(told(403, ""), "provider-failed");
    }
}
