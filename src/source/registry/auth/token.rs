use std::time::{Duration, Instant};

use reqwest::Url;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::host::network;
use super::super::{Asked, RegistryFault, Said};
use super::{Credential, Scope, Token, basic};
use crate::http::{Client, Method, Request};
use crate::secret::Secret;

/// An answer that is longer is no token.
const LONGEST: u64 = 256 << 10;
/// Stopped using that long before it ends, so that it holds on the way.
const MARGIN: Duration = Duration::from_secs(10);
/// Where the answer says nothing (Docker's specification).
const USUAL: u64 = 60;

/// A token as it is given out.
pub struct Grant {
    /// What to send along: `Bearer …`
    pub header: Secret,
    /// How long it holds; at most a day.
    pub lasts: Duration,
}

impl Grant {
    /// Reads the answer of who gives tokens out; `None` where there is no token
    /// in it that could be sent along.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let token = answer.token.or(answer.access_token).map(Zeroizing::new)?;
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        Some(Self {
            header: Secret::from(format!("Bearer {}", *token)),
            lasts: Duration::from_secs(answer.expires_in.unwrap_or(USUAL).min(86_400)),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Gets a token for `scope` from who gives them out.
pub(in super::super) async fn fetch(
    client: &Client,
    realm: &Url,
    service: Option<&str>,
    scope: &Scope,
    credential: Option<&Credential>,
    deadline: Duration,
) -> Result<Token, RegistryFault> {
    let mut url = realm.clone();
    let (mut body, mut header) = (None, None);
    let method = if let Some(Credential::Identity(token)) = credential {
        body = Some(form(service, scope, token));
        Method::Post
    } else {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for word in scope.words() {
            query.append_pair("scope", word);
        }
        drop(query);
        if let Some(Credential::Password { name, password }) = credential {
            header = Some(basic(name, password));
        }
        Method::Get
    };
    let word = if method == Method::Post {
        "POST"
    } else {
        "GET"
    };
    let asked = Asked::new(word, realm.as_str());
    let headers: Vec<_> = header.iter().map(|h| ("authorization", h)).collect();
    let request = Request {
        method,
        url: url.as_str(),
        headers: &headers,
        body: body.map(|bytes| ("application/x-www-form-urlencoded", bytes.into())),
        repeatable: true,
        deadline,
        limit: LONGEST,
    };
    let reply = client.send(&request).await;
    let reply = reply.map_err(|error| network(&asked, &error))?;
    let said = Said::of(&reply.body);
    match reply.status {
        200 => {}
        status @ (400 | 401 | 403) => {
            return Err(RegistryFault::Denied {
                asked,
                status,
                said,
            });
        }
        status => {
            return Err(RegistryFault::Unreachable {
                asked,
                cause: format!("the server of tokens answers {status}{said}"),
            });
        }
    }
    let grant = Grant::parse(&reply.body).ok_or_else(|| RegistryFault::Malformed {
        asked,
        why: "no token is in the answer".to_owned(),
    })?;
    Ok(Token {
        header: grant.header,
        until: Instant::now() + grant.lasts.saturating_sub(MARGIN),
    })
}

/// OAuth 2 with a refresh token, as Docker's specification has it.
fn form(service: Option<&str>, scope: &Scope, token: &Secret) -> Vec<u8> {
    let mut url = match Url::parse("form:x") {
        Ok(url) => url,
        Err(_) => unreachable!("a constant"),
    };
    let scopes: Vec<_> = scope.words().collect();
    url.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "obreia")
        .append_pair("service", service.unwrap_or_default())
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", &String::from_utf8_lossy(token.expose()));
    url.query().unwrap_or_default().as_bytes().to_vec()
}
