//! How a registry lets us in: nothing at all, a name and a password, or a
//! token that another server gives out for them (distribution-spec and
//! Docker's "Token Authentication Specification").

mod challenge;
mod credentials;
mod keychain;
mod token;

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub use challenge::{Challenge, challenges};
pub(super) use credentials::{Credential, Credentials};
pub use token::Grant;
pub(super) use token::fetch;

use crate::secret::Secret;

/// What a request is to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    pub(super) fn pull(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull")])
    }

    pub(super) fn push(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull,push")])
    }

    /// And to read another repository, to mount a blob from it.
    #[must_use]
    pub(super) fn and_pull(mut self, repository: &str) -> Self {
        self.0.push(format!("repository:{repository}:pull"));
        self
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// A token and until when it is used.
pub(super) struct Token {
    header: Secret,
    until: Instant,
}

impl Token {
    /// What to send along.
    pub(super) fn copy(&self) -> Secret {
        copy(&self.header)
    }
}

/// What is known of how to get in.
#[derive(Default)]
pub(super) struct Known {
    /// The `Authorization` of name and password, where the registry wants that.
    pub(super) basic: Option<Secret>,
    /// By what they allow.
    tokens: BTreeMap<Scope, Token>,
}

impl Known {
    /// What to send along, as far as it is known. A token that allows more
    /// serves as well.
    pub(super) fn header(&self, scope: &Scope, now: Instant) -> Option<Secret> {
        if let Some(basic) = &self.basic {
            return Some(copy(basic));
        }
        let covers = |token: &Scope| {
            scope.0.iter().all(|wanted| {
                let more = wanted.replace(":pull", ":pull,push");
                token.0.contains(wanted) || token.0.contains(&more)
            })
        };
        self.tokens
            .iter()
            .find(|(known, token)| covers(known) && token.until > now)
            .map(|(_, token)| copy(&token.header))
    }

    /// What is sent along, in words.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match (&self.basic, self.tokens.is_empty()) {
            (Some(_), _) => Some("a name and a password"),
            (None, false) => Some("a token"),
            (None, true) => None,
        }
    }

    pub(super) fn learn(&mut self, scope: Scope, token: Token) {
        // A session asks for few scopes; one that asks for many starts anew.
        if self.tokens.len() >= 64 {
            self.tokens.clear();
        }
        self.tokens.insert(scope, token);
    }

    /// Forgets what was not accepted.
    pub(super) fn forget(&mut self, scope: &Scope) {
        self.basic = None;
        self.tokens
            .retain(|known, _| !scope.0.iter().any(|word| known.0.contains(word)));
        self.tokens.remove(scope);
    }
}

/// `Basic …`
pub(super) fn basic(name: &str, password: &Secret) -> Secret {
    let mut pair = Zeroizing::new(name.as_bytes().to_vec());
    pair.push(b':');
    pair.extend_from_slice(password.expose());
    let encoded = Zeroizing::new(STANDARD.encode(&*pair));
    Secret::from(format!("Basic {}", &*encoded))
}

fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_serves_for_what_it_allows_and_no_longer_than_it_says() {
        let now = Instant::now();
        let mut known = Known::default();
        let token = |header: &str| Token {
            header: Secret::from(header.to_owned()),
            until: now + Duration::from_secs(10),
        };
        known.learn(Scope::push("a"), token("Bearer 1"));
        let seen = |scope: &Scope, at| known.header(scope, at).map(|s| s.expose().to_vec());
        assert_eq!(seen(&Scope::pull("a"), now).unwrap(), b"Bearer 1");
        assert_eq!(seen(&Scope::push("a"), now).unwrap(), b"Bearer 1");
        assert_eq!(seen(&Scope::pull("b"), now), None);
        assert_eq!(seen(&Scope::push("a").and_pull("b"), now), None);
        let later = now + Duration::from_secs(11);
        assert_eq!(seen(&Scope::pull("a"), later), None);
        known.forget(&Scope::push("a"));
        assert!(known.header(&Scope::pull("a"), now).is_none());
    }
}
