//! What a refusal means: the server's status and words, as faults.

use serde::Deserialize;

use super::PROVIDER;
use super::name::Name;
use crate::canon;
use crate::keys::KeyFault;
use crate::limits;

/// Longest text of the server's that is shown, in characters.
const SHOWN: usize = 512;

/// An answer of a status that is no success.
pub(super) struct Refusal<'a> {
    pub(super) endpoint: &'a str,
    pub(super) status: u16,
    /// What [`errors`] made of the body.
    pub(super) said: String,
}

impl Refusal<'_> {
    /// As a fault, about `key` where it was about one.
    pub(super) fn fault(self, key: Option<&Name>) -> KeyFault {
        if let Some(state) = self.state() {
            return KeyFault::Sealed {
                provider: PROVIDER,
                endpoint: self.endpoint.to_owned(),
                state,
            };
        }
        if let Some(fault) = key.and_then(|key| self.about(key)) {
            return fault;
        }
        let cause = format!("it answered {}: {}", self.status, self.said);
        match (self.status, key) {
            (400 | 413, Some(key)) => KeyFault::BadRequest {
                key: key.shown.clone(),
                why: cause,
            },
            _ => KeyFault::Provider {
                provider: PROVIDER,
                cause,
            },
        }
    }

    fn has(&self, text: &str) -> bool {
        self.said.contains(text)
    }

    /// That the server is not one that serves now.
    fn state(&self) -> Option<&'static str> {
        match self.status {
            // A node that is not the active one sends its callers there.
            301 | 302 | 307 | 308 => Some("in standby"),
            472 => Some("a disaster recovery secondary"),
            473 => Some("a performance standby"),
            500 | 503 if self.has("sealed") => Some("sealed"),
            _ if self.has("not initialized") => Some("not initialised"),
            500 | 503 if self.has("node not active") || self.has("in standby") => {
                Some("without an active node")
            }
            _ => None,
        }
    }

    fn about(&self, key: &Name) -> Option<KeyFault> {
        let shown = || key.shown.clone();
        let gone = [
            "signing key not found",
            "key not found",
            "no existing key named",
        ];
        if self.status == 404 && self.has("route") || self.has("unsupported path") {
            return Some(super::server::missing(&format!(
                "there is no transit engine where {} is looked for ({}): set keys.vault.mount or TRANSIT_SECRET_ENGINE_PATH, or name the mount in the URI",
                key.shown, self.said
            )));
        }
        if self.status == 404 || gone.iter().any(|text| self.has(text)) {
            return Some(KeyFault::NoSuchKey(shown()));
        }
        if self.status == 403 {
            return Some(KeyFault::Refused {
                provider: PROVIDER,
                what: shown(),
                cause: self.said.clone(),
            });
        }
        if self.status == 405 || self.has("unsupported operation") {
            return Some(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "used in this way",
            });
        }
        if self.has("existing key") {
            return Some(KeyFault::Exists(shown()));
        }
        if self.has("soft-deleted") {
            return Some(KeyFault::Disabled(shown()));
        }
        if self.has("does not support signing") {
            return Some(KeyFault::WrongUsage {
                key: shown(),
                usage: "encryption".to_owned(),
            });
        }
        if self.has("key derivation") {
            return Some(derived(key));
        }
        if self.has("unknown key type") || self.has("unsupported key type") {
            return Some(KeyFault::WrongAlgorithm {
                key: shown(),
                why: self.said.clone(),
            });
        }
        let version = key.version?;
        if self.has("higher than the latest") || self.has("no such key version") {
            return Some(KeyFault::NoSuchVersion {
                key: shown(),
                version,
            });
        }
        if self.has("minimum encryption key version") || self.has("min encryption version") {
            return Some(KeyFault::Refused {
                provider: PROVIDER,
                what: key.with_version(),
                cause: self.said.clone(),
            });
        }
        None
    }

    /// An answer that is none.
    pub(super) fn garbled(why: &str) -> KeyFault {
        KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("its answer cannot be read: {}", clean(why)),
        }
    }
}

/// A key that has another signing key for each context that it is given.
pub(super) fn derived(key: &Name) -> KeyFault {
    KeyFault::WrongUsage {
        key: key.shown.clone(),
        usage: "derivation (another key for each context)".to_owned(),
    }
}

/// Whether words with status 403 may be about the token. Where it is the key
/// that is withheld, the server counts its errors.
pub(super) fn doubts_the_token(said: &str) -> bool {
    said.contains("invalid token") || !said.contains("occurred")
}

/// What a body of an error says, in one line.
pub(super) fn errors(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    match canon::parse_as::<Errors>(body, limits::KEY_SERVICE) {
        Ok(said) => clean(&said.errors.join("; ")),
        Err(_) => clean(&String::from_utf8_lossy(&body[..body.len().min(SHOWN)])),
    }
}

fn clean(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect();
    if line.is_empty() {
        return "nothing more".to_owned();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::KeyRef;

    fn fault(status: u16, said: &str) -> KeyFault {
        let key = KeyRef::parse("openbao://k?version=7").unwrap();
        Refusal {
            endpoint: "https://h",
            status,
            said: said.to_owned(),
        }
        .fault(Some(&Name::parse(&key).unwrap()))
    }

    // What OpenBao 2.7 and Vault answer, word for word.
    #[test]
    fn each_refusal_has_its_own_code() {
        for (status, said, code) in [
            (503, "Vault is sealed", "kms-sealed"),
            (503, "OpenBao is sealed", "kms-sealed"),
            (307, "nothing more", "kms-sealed"),
            (472, "nothing more", "kms-sealed"),
            (473, "nothing more", "kms-sealed"),
            (400, "Vault is not initialized", "kms-sealed"),
            (
                500,
                "local node not active but active cluster node not found",
                "kms-sealed",
            ),
            (503, "no healthy upstream", "provider-failed"),
            (500, "internal error", "provider-failed"),
            (502, "<html>", "provider-failed"),
            (403, "1 error occurred: * permission denied", "kms-refused"),
            (404, "nothing more", "no-such-key"),
            (400, "signing key not found", "no-such-key"),
            (
                404,
                "no handler for route \"x/sign/k\". route entry not found.",
                "not-configured",
            ),
            (
                404,
                "1 error occurred: * unsupported path",
                "not-configured",
            ),
            (
                400,
                "key type aes256-gcm96 does not support signing",
                "wrong-usage",
            ),
            (
                500,
                "1 error occurred: * error deriving key: missing 'context' for key derivation; the key was created",
                "wrong-usage",
            ),
            (
                500,
                "1 error occurred: * refusing to use soft-deleted key",
                "disabled",
            ),
            (
                500,
                "1 error occurred: * no such key version",
                "no-such-key",
            ),
            (
                500,
                "1 error occurred: * requested version for signing is higher than the latest key version",
                "no-such-key",
            ),
            (
                500,
                "1 error occurred: * requested version for signing is less than the minimum encryption key version",
                "kms-refused",
            ),
            (
                405,
                "1 error occurred: * unsupported operation",
                "unsupported",
            ),
            (
                500,
                "1 error occurred: * the import path cannot be used with an existing key; use import-version",
                "exists",
            ),
            (400, "unknown key type xx", "wrong-algorithm"),
            (400, "illegal base64 data at input byte 5", "bad-request"),
            (413, "request body too large", "bad-request"),
            (418, "nothing more", "provider-failed"),
        ] {
            assert_eq!(fault(status, said).code(), code, "{status} {said}");
        }
    }

    #[test]
    fn bodies_are_shown_in_one_short_line() {
        let body = br#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        assert_eq!(errors(body), "1 error occurred: * permission denied");
        assert_eq!(errors(br#"{"errors":[]}"#), "nothing more");
        assert_eq!(errors(b""), "nothing more");
        let page = "\u{1b}[31m<html>".repeat(10_000);
        let shown = errors(page.as_bytes());
        assert!(shown.len() <= 2 * SHOWN && !shown.contains('\u{1b}'));
    }

    #[test]
    fn a_bad_token_and_a_missing_right_are_told_apart_by_the_words() {
        assert!(doubts_the_token("permission denied"));
        assert!(doubts_the_token(
            "2 errors occurred: * permission denied * invalid token"
        ));
        assert!(!doubts_the_token("1 error occurred: * permission denied"));
    }
}
