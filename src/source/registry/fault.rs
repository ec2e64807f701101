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

    fn reads(&self) -> bool {
        ["GET ", "HEAD "]
            .iter()
            .any(|word| self.0.starts_with(word))
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
        Self(match errors(body).into_iter().next() {
            Some(one) if one.message.is_empty() => bounded(&one.code, 64),
            Some(one) => format!("{}: {}", bounded(&one.code, 64), bounded(&one.message, 256)),
            None => String::new(),
        })
    }

    /// Whether that error's body says, in a registry's own words, that there is
    /// no such thing: the status 404 alone is what any server before it says of
    /// what it does not know.
    pub fn is_absence(body: &[u8]) -> bool {
        errors(body)
            .iter()
            .any(|error| ABSENT.contains(&error.code.as_str()))
    }

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

#[derive(serde::Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

fn errors(body: &[u8]) -> Vec<OneError> {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<OneError>,
    }
    let body = body.get(..16 << 10).unwrap_or(body);
    serde_json::from_slice::<Errors>(body).map_or_else(|_| Vec::new(), |found| found.errors)
}

/// Codes by which a registry says that there is no such thing. Quay has a code
/// of its own for a tag that was there.
const ABSENT: &[&str] = &[
    "MANIFEST_UNKNOWN",
    "NAME_UNKNOWN",
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_UNKNOWN",
    "NOT_FOUND",
    "TAG_INVALID",
    "TAG_EXPIRED",
];

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
    /// What it has under a digest came whole, and is not what it is said to be.
    #[error("{asked}: {why}")]
    Wrong {
        /// The request.
        asked: Asked,
        /// What is wrong with it.
        why: String,
    },
    /// An answer that is none, or one that was damaged on its way.
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
    /// A credential helper fails, or does not answer.
    #[error("the credentials for {host} cannot be had: {why}")]
    Helper {
        /// The registry.
        host: String,
        /// Why; never what it wrote.
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
            Self::Unreachable { .. } | Self::Helper { .. } | Self::Tls { .. } => Class::Unreachable,
            Self::Malformed { .. } | Self::Wrong { .. } => Class::Malformed,
            Self::TooMuch { .. } => Class::Limit,
            Self::Offline { .. }
            | Self::NotBuilt { .. }
            | Self::Refused { .. }
            | Self::Credentials { .. }
            | Self::Settings(_) => Class::Usage,
        }
    }
}

impl RegistryFault {
    /// Whether something was to be read, and not written.
    pub fn is_of_reading(&self) -> bool {
        matches!(self, Self::Refused { asked, .. } if asked.reads())
    }

    /// Whether it is known what the registry has there, and that it is not
    /// what it should be. Any other fault leaves open what it has.
    pub const fn is_of_content(&self) -> bool {
        matches!(self, Self::Wrong { .. } | Self::TooMuch { .. })
    }
}

/// A registry's text as a message may show it: nothing in it moves the cursor,
/// turns the direction of what follows, or cannot be seen.
pub(super) fn bounded(text: &str, most: usize) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if hidden(c) { ' ' } else { c })
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_bounded_and_holds_no_control_characters() {
        let body = format!(
            r#"{{"errors":[{{"code":"DENIED","message":"no\u001b[31m\u202e\u200b{}"}}]}}"#,
            "x".repeat(5000)
        );
        let said = Said::of(body.as_bytes()).to_string();
        assert!(said.starts_with(" (DENIED: no [31m  xx"), "{said}");
        assert!(said.len() < 400 && !said.contains('\u{1b}'));
        for nothing in ["", "<html>", r#"{"errors":[]}"#, "{"] {
            assert_eq!(Said::of(nothing.as_bytes()).to_string(), "");
        }
    }

    #[test]
    fn only_a_registry_says_that_it_has_no_such_thing() {
        let said = |code: &str| format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
        for code in ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"] {
            assert!(Said::is_absence(said(code).as_bytes()), "{code}");
        }
        for code in ["UNKNOWN", "DENIED", "manifest_unknown", ""] {
            assert!(!Said::is_absence(said(code).as_bytes()), "{code}");
        }
        for body in ["", "404 page not found", "<html>", "{}", r#"{"errors":[]}"#] {
            assert!(!Said::is_absence(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_request_is_named_without_its_query() {
        let asked = Asked::new("PUT", "https://h/v2/x/blobs/uploads/1?_state=secret#f");
        assert_eq!(asked.to_string(), "PUT https://h/v2/x/blobs/uploads/1");
    }
}
