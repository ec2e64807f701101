use std::fmt;

/// Which request, as messages name it: the method, and the URL without its
/// query, where secrets may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked(String);

impl Asked {
    /// `GET https://host/v2/name/manifests/v1`
    pub fn new(method: &str, url: &str) -> Self {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        Self(format!("{method} {}", bounded(url, 512)))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the registry says that is wrong: its code and its words, bounded and
/// without control characters. Empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    /// Of an error's body (distribution-spec, "Error Codes").
    pub fn of(body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Errors {
            errors: Vec<One>,
        }
        #[derive(serde::Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let body = body.get(..16 << 10).unwrap_or(body);
        let first = serde_json::from_slice::<Errors>(body)
            .ok()
            .and_then(|found| found.errors.into_iter().next());
        Self(match first {
            Some(one) if one.message.is_empty() => bounded(&one.code, 64),
            Some(one) => format!("{}: {}", bounded(&one.code, 64), bounded(&one.message, 256)),
            None => String::new(),
        })
    }
}

impl Said {
    /// Whether that is its code.
    pub fn is_code(&self, code: &str) -> bool {
        self.0.split(':').next() == Some(code)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.0)
    }
}

/// Why a registry did not give, or take, what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryFault {
    /// No connection may be opened.
    #[error("{host} is a registry, and is not asked: offline")]
    Offline {
        /// The registry.
        host: String,
    },
    /// This build has no client for registries.
    #[error("{host} is a registry, and this build reaches none")]
    NotBuilt {
        /// The registry.
        host: String,
    },
    /// It has no such thing.
    #[error("{asked}: not found{said}")]
    NotFound {
        /// The request.
        asked: Asked,
        /// The registry's words.
        said: Said,
    },
    /// It knows us, or wants to, and does not let us.
    #[error("{asked}: {status}, not permitted{said}")]
    Denied {
        /// The request.
        asked: Asked,
        /// 401 or 403.
        status: u16,
        /// The registry's words.
        said: Said,
    },
    /// No answer, or one that says to try again later.
    #[error("{asked}: {cause}")]
    Unreachable {
        /// The request.
        asked: Asked,
        /// What the network said, or the registry.
        cause: String,
    },
    /// No TLS connection that could be believed.
    #[error("{asked}: {cause}")]
    Tls {
        /// The request.
        asked: Asked,
        /// What happened.
        cause: String,
        /// What kind of trouble it is.
        trouble: TlsTrouble,
    },
    /// An answer that is none.
    #[error("{asked}: {why}")]
    Malformed {
        /// The request.
        asked: Asked,
        /// What is wrong with it.
        why: String,
    },
    /// It does not take what was sent.
    #[error("{asked}: refused with {status}{said}")]
    Refused {
        /// The request.
        asked: Asked,
        /// The status.
        status: u16,
        /// The registry's words.
        said: Said,
    },
    /// The credentials for it cannot be had.
    #[error("the credentials for {host} cannot be used: {why}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why; never what they are.
        why: String,
    },
    /// The settings for registries cannot be used.
    #[error("{0}")]
    Settings(String),
    /// More than is read or followed.
    #[error("{place}: more than {limit} {what}")]
    TooMuch {
        /// Where.
        place: String,
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// Why there is no TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsTrouble {
    /// The registry's certificate was not accepted.
    Certificate,
    /// None came about: none is spoken there, or a client certificate is wanted.
    Handshake,
    /// It is wanted there, and was not spoken.
    Wanted,
}

/// What a fault means to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is not there: proven.
    Absent,
    /// Not permitted.
    Denied,
    /// Could not be asked; trying again may help.
    Unreachable,
    /// What came is not what it should be.
    Malformed,
    /// The request or the settings are wrong.
    Usage,
    /// Over a limit of ours.
    Limit,
}

impl RegistryFault {
    /// What it means.
    pub const fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } => Class::Absent,
            Self::Denied { .. } => Class::Denied,
            Self::Unreachable { .. } | Self::Tls { .. } => Class::Unreachable,
            Self::Malformed { .. } => Class::Malformed,
            Self::TooMuch { .. } => Class::Limit,
            Self::Offline { .. }
            | Self::NotBuilt { .. }
            | Self::Refused { .. }
            | Self::Credentials { .. }
            | Self::Settings(_) => Class::Usage,
        }
    }
}

/// A registry's text as a message may show it.
pub(super) fn bounded(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_bounded_and_holds_no_control_characters() {
        let body = format!(
            r#"{{"errors":[{{"code":"DENIED","message":"no\u001b[31m{}"}}]}}"#,
            "x".repeat(5000)
        );
        let said = Said::of(body.as_bytes()).to_string();
        assert!(said.starts_with(" (DENIED: no [31mxx"), "{said}");
        assert!(said.len() < 400 && !said.contains('\u{1b}'));
        for nothing in ["", "<html>", r#"{"errors":[]}"#, "{"] {
            assert_eq!(Said::of(nothing.as_bytes()).to_string(), "");
        }
    }

    #[test]
    fn a_request_is_named_without_its_query() {
        let asked = Asked::new("PUT", "https://h/v2/x/blobs/uploads/1?_state=secret#f");
        assert_eq!(asked.to_string(), "PUT https://h/v2/x/blobs/uploads/1");
    }
}
