//! What a refusal means: the server's status and words, as faults.

use serde::Deserialize;

use super::PROVIDER;
use super::name::Name;
use crate::canon;
use crate::http::{self, Reply};
use crate::keys::KeyFault;
use crate::keys::said::one_line;
use crate::limits;

/// Longest text of the server's that is shown, in characters.
const SHOWN: usize = 512;

/// An answer of a status that is no success.
pub(super) struct Refusal<'a> {
    pub(super) endpoint: &'a str,
    pub(super) status: u16,
    pub(super) said: Said,
    /// Where it sends its callers.
    location: Option<&'a str>,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// In one line.
    pub(super) text: String,
    /// Whether it is in the form of the server's own errors. What answers in
    /// its place, a gateway say, knows nothing of keys.
    own: bool,
}

impl<'a> Refusal<'a> {
    /// Reads `reply`.
    pub(super) fn read(endpoint: &'a str, reply: &'a Reply) -> Self {
        Self {
            endpoint,
            status: reply.status,
            said: said(&reply.body),
            location: reply.header("location"),
        }
    }

    /// As a fault, about `key` where it was about one.
    pub(super) fn fault(self, key: Option<&Name>) -> KeyFault {
        if let Some(state) = self.state() {
            return KeyFault::Sealed {
                provider: PROVIDER,
                endpoint: match self.target() {
                    Some((origin, _)) => format!("{} (which points to {origin})", self.endpoint),
                    None => self.endpoint.to_owned(),
                },
                state,
            };
        }
        if let Some(fault) = key.and_then(|key| self.about(key)) {
            return fault;
        }
        let cause = match self.target() {
            Some((origin, _)) => format!(
                "it answered {} and points to {origin}, as no Vault does: check the address",
                self.status
            ),
            None => format!("it answered {}: {}", self.status, self.said.text),
        };
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
        self.said.text.contains(text)
    }

    /// That the server is not one that serves now.
    fn state(&self) -> Option<&'static str> {
        match self.status {
            // A node that is not the active one sends its callers there.
            307 | 308
                if self
                    .target()
                    .is_some_and(|(_, path)| path.starts_with("/v1/")) =>
            {
                Some("in standby")
            }
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

    /// Origin and path of where it sends its callers.
    fn target(&self) -> Option<(String, String)> {
        let location = self
            .location
            .filter(|_| (300..400).contains(&self.status))?;
        let url = reqwest::Url::parse(self.endpoint)
            .ok()?
            .join(location)
            .ok()?;
        Some((http::endpoint(url.as_str()).ok()?, url.path().to_owned()))
    }

    fn about(&self, key: &Name) -> Option<KeyFault> {
        let shown = || key.shown.clone();
        // What stands between may forbid as well, and no grant helps there.
        if !self.said.own {
            return None;
        }
        if self.status == 403 {
            return Some(KeyFault::Refused {
                provider: PROVIDER,
                what: shown(),
                cause: self.said.text.clone(),
            });
        }
        let gone = [
            "signing key not found",
            "key not found",
            "no existing key named",
        ];
        if self.status == 404 && self.has("route") || self.has("unsupported path") {
            return Some(super::server::missing(&format!(
                "there is no transit engine where {} is looked for ({}): set keys.vault.mount or TRANSIT_SECRET_ENGINE_PATH, or name the mount in the URI",
                key.shown, self.said.text
            )));
        }
        if self.status == 404 || gone.iter().any(|text| self.has(text)) {
            return Some(KeyFault::NoSuchKey(shown()));
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
                why: self.said.text.clone(),
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
                cause: self.said.text.clone(),
            });
        }
        None
    }

    /// An answer that is none.
    pub(super) fn garbled(why: &str) -> KeyFault {
        KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("its answer cannot be read: {}", shown(why)),
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

/// What a body of an error says.
fn said(body: &[u8]) -> Said {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    match canon::parse_as::<Errors>(body, limits::KEY_SERVICE) {
        Ok(said) => Said {
            text: shown(&said.errors.join("; ")),
            own: true,
        },
        Err(_) => Said {
            text: shown(&String::from_utf8_lossy(body)),
            own: false,
        },
    }
}

fn shown(text: &str) -> String {
    match one_line(text, SHOWN) {
        line if line.is_empty() => "nothing more".to_owned(),
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::KeyRef;

    fn refused(status: u16, text: &str, own: bool, location: Option<&str>) -> KeyFault {
        let key = KeyRef::parse("openbao://k?version=7").unwrap();
        let said = Said {
            text: text.to_owned(),
            own,
        };
        Refusal {
            endpoint: "https://h",
            status,
            said,
            location,
        }
        .fault(Some(&Name::parse(&key).unwrap()))
    }

    fn fault(status: u16, said: &str) -> KeyFault {
        refused(status, said, true, None)
    }

    #[test]
    fn only_the_server_itself_says_that_there_is_no_key() {
        for (status, text) in [
            (404, "nothing more"),
            (404, "<html>key not found"),
            (404, "no route"),
            (403, "<html>not from here"),
            (400, "no existing key named k"),
        ] {
            let code = refused(status, text, false, None).code();
            assert!(matches!(code, "provider-failed" | "bad-request"), "{code}");
        }
    }

    #[test]
    fn a_redirect_is_a_standbys_only_where_it_keeps_to_the_api() {
        let to = |status, location| refused(status, "nothing more", false, Some(location));
        for location in [
            "https://active:8200/v1/transit/sign/k",
            "/v1/transit/sign/k",
        ] {
            for status in [307, 308] {
                let fault = to(status, location);
                assert_eq!(fault.code(), "kms-sealed", "{location}");
            }
        }
        let named = to(307, "https://active:8200/v1/transit/sign/k");
        assert!(named.to_string().contains("https://active:8200"), "{named}");
        for (status, location) in [
            (302, "https://login.example/v1/"),
            (301, "https://h/v1/transit/sign/k"),
            (307, "https://login.example/?next=/v1/"),
        ] {
            let fault = to(status, location);
            assert_eq!(fault.code(), "provider-failed", "{location}");
            assert!(fault.to_string().contains("check the address"), "{fault}");
        }
        assert_eq!(fault(307, "nothing more").code(), "provider-failed");
    }

    // What OpenBao 2.7 and Vault answer, word for word.
    #[test]
    fn each_refusal_has_its_own_code() {
        for (status, said, code) in [
            (503, "Vault is sealed", "kms-sealed"),
            (503, "OpenBao is sealed", "kms-sealed"),
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
        let errors = |body: &[u8]| said(body).text;
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
