use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::PROVIDER;
use super::connector::InClear;
use super::place::Place;
use crate::http::{HttpFault, causes};
use crate::keys::context::from_http;
use crate::keys::said::one_line;
use crate::keys::{KeyFault, provenance};

/// Most characters of what AWS says that are kept.
const LONGEST: usize = 512;

/// Takes note of AWS' id of a request that acts, for the record.
pub(super) fn note<T: RequestId, E>(sent: &Result<T, SdkError<E, HttpResponse>>) {
    provenance::note(match sent {
        Ok(answer) => answer.request_id(),
        Err(error) => error.request_id(),
    });
}

/// What was asked, for messages.
pub(super) struct Asked<'a> {
    pub(super) place: &'a Place,
    /// The key.
    pub(super) key: &'a str,
    /// The action, as AWS names it in policies: `kms:Sign`.
    pub(super) action: &'static str,
}

impl Asked<'_> {
    /// What an error of the SDK means for the key.
    pub(super) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> KeyFault
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let said = Said {
                    code: error.code().unwrap_or_default(),
                    message: error.message().unwrap_or_default(),
                    request: error.request_id(),
                    status: answer.raw().status().as_u16(),
                };
                self.answered(&said)
            }
            SdkError::TimeoutError(_) => self.too_late(),
            _ => self.unanswered(error),
        }
    }

    fn answered(&self, said: &Said<'_>) -> KeyFault {
        let key = self.key.to_owned();
        let pending = said
            .message
            .to_ascii_lowercase()
            .contains("pending deletion")
            || said.message.contains("PendingDeletion");
        match said.code {
            "NotFoundException" => KeyFault::NoSuchKey(key),
            // A key that is to be deleted was told of with either code over the years.
            "DisabledException" | "KMSInvalidStateException" if pending => {
                KeyFault::PendingDeletion(key)
            }
            "DisabledException" => KeyFault::Disabled(key),
            "AlreadyExistsException" => KeyFault::Exists(key),
            "InvalidKeyUsageException" | "UnsupportedOperationException" => {
                match usage(said.message) {
                    Some(usage) => KeyFault::WrongUsage {
                        key,
                        usage: usage.to_owned(),
                    },
                    None => KeyFault::WrongAlgorithm {
                        key,
                        why: said.text(),
                    },
                }
            }
            "AccessDeniedException" | "LimitExceededException" => self.refused(said),
            "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException" => KeyFault::Throttled {
                provider: PROVIDER,
                endpoint: self.place.endpoint.clone(),
            },
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "RequestExpired" => KeyFault::Login {
                provider: PROVIDER,
                how: "credentials",
                // Not the message: on a signature that does not fit it repeats
                // the request's headers, a session token among them.
                cause: said.coded(),
            },
            "InvalidArnException" | "ValidationException" | "InvalidAliasNameException" => {
                KeyFault::BadRequest {
                    key,
                    why: said.text(),
                }
            }
            // What stands between may forbid as well, and no grant helps there.
            code if !code.is_empty() && matches!(said.status, 401 | 403) => self.refused(said),
            _ => KeyFault::Provider {
                provider: PROVIDER,
                cause: format!("{} of {key}: {}", self.action, said.text()),
            },
        }
    }

    fn refused(&self, said: &Said<'_>) -> KeyFault {
        KeyFault::Refused {
            provider: PROVIDER,
            what: format!("{} of {}", self.action, self.key),
            cause: said.text(),
        }
    }

    /// No answer came, or none that can be read.
    fn unanswered(&self, error: &(dyn Error + 'static)) -> KeyFault {
        for source in causes(error) {
            if let Some(error) = source.downcast_ref::<CredentialsError>() {
                return KeyFault::Login {
                    provider: PROVIDER,
                    how: "credentials",
                    cause: no_credentials(error),
                };
            }
            if source.is::<InClear>() {
                return KeyFault::NotConfigured {
                    provider: PROVIDER,
                    why: source.to_string(),
                };
            }
            match source.downcast_ref::<HttpFault>() {
                Some(HttpFault::Deadline { .. }) => return self.too_late(),
                Some(fault) => return from_http(PROVIDER, fault.clone()),
                None => {}
            }
        }
        KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("{} of {}: {}", self.action, self.key, spelled(error)),
        }
    }

    fn too_late(&self) -> KeyFault {
        KeyFault::Deadline {
            provider: PROVIDER,
            seconds: self.place.seconds,
        }
    }
}

/// An error that AWS answered with.
struct Said<'a> {
    code: &'a str,
    message: &'a str,
    request: Option<&'a str>,
    status: u16,
}

impl Said<'_> {
    /// All of it, and the id that AWS' own records have the request under.
    fn text(&self) -> String {
        let message = one_line(self.message, LONGEST);
        match message.is_empty() {
            true => self.coded(),
            false => format!("{message} ({})", self.coded()),
        }
    }

    fn coded(&self) -> String {
        let mut text = match self.code.is_empty() {
            true => format!("status {}", self.status),
            false => one_line(self.code, LONGEST),
        };
        if let Some(request) = self.request {
            text.push_str(", request ");
            text.push_str(&one_line(request, LONGEST));
        }
        text
    }
}

/// What the key is for, where the message says that it is not for signing.
fn usage(message: &str) -> Option<&'static str> {
    [
        "ENCRYPT_DECRYPT",
        "GENERATE_VERIFY_MAC",
        "KEY_AGREEMENT",
        "ENCAPSULATE_DECAPSULATE",
    ]
    .into_iter()
    .find(|usage| message.contains(usage))
}

fn no_credentials(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "none were found in the environment, the profile, a web identity, the container or the instance".to_owned()
        }
        _ => spelled(error),
    }
}

/// An error with its causes, outermost first.
fn spelled(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for source in causes(error) {
        let said = source.to_string();
        if text.ends_with(&said) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&said);
    }
    // What a program that gives credentials says may hold them.
    one_line(text.split("Stderr:").next().unwrap_or_default(), LONGEST)
}
