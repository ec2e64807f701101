//! How Microsoft's SDK reaches the network: through the same client as every
//! other provider, and to the hosts that were meant and no others.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{AUTHORIZATION, CONTENT_TYPE, Headers, WWW_AUTHENTICATE};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request, StatusCode, Url};

use crate::http::{self, Client, HttpFault, is_loopback};
use crate::keys::provenance;
use crate::secret::Secret;

/// The longest answer that is taken: a list of 25 keys and their attributes
/// has some kilobytes.
const ANSWER: u64 = 1 << 20;
/// By which the vault's own log knows a request; the second is that of the
/// gateway before it.
const REQUEST_ID: [&str; 2] = ["x-ms-request-id", "apim-request-id"];
const RETURNED: [&str; 4] = [
    "content-type",
    "www-authenticate",
    "x-ms-error-code",
    "x-ms-request-id",
];

#[derive(Debug)]
pub(super) struct Transport {
    pub(super) client: Client,
    pub(super) deadline: Duration,
    /// `https://name.vault.azure.net`, and what tokens for it are asked for.
    pub(super) vault: String,
    pub(super) audience: String,
    /// Origins as the SDK names them, and where they really are.
    pub(super) routes: Vec<(String, String)>,
}

impl HttpClient for Transport {
    // Written out: what the SDK's `async_trait` makes of an `async fn`.
    fn execute_request<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: &'life1 Request,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.send(request))
    }
}

impl Transport {
    async fn send(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let origin = request.url().origin().ascii_serialization();
        // A machine's own service may want `Basic` with what lies on the machine.
        let shown = request.headers().get_optional_str(&AUTHORIZATION);
        let signed = shown.is_some_and(|shown| !shown.starts_with("Basic "));
        if origin == self.vault && !signed {
            return Ok(self.challenge());
        }
        let url = self.route(request.url(), &origin, signed)?;
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(
                ErrorKind::Other,
                "a stream is not sent",
            ));
        };
        let values: Vec<(String, Secret)> = request
            .headers()
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "content-type" | "content-length"))
            .map(|(name, value)| {
                let secret = Secret::from(value.as_str().to_owned());
                (name.as_str().to_owned(), secret)
            })
            .collect();
        let headers: Vec<(&str, &Secret)> = values.iter().map(|(n, v)| (n.as_str(), v)).collect();
        let method = match request.method() {
            Method::Get => http::Method::Get,
            Method::Post => http::Method::Post,
            Method::Put => http::Method::Put,
            Method::Patch => http::Method::Patch,
            Method::Delete => http::Method::Delete,
            other => {
                let why = format!("{other} is not sent");
                return Err(Error::with_message(ErrorKind::Other, why));
            }
        };
        let kind = match request.headers().get_optional_str(&CONTENT_TYPE) {
            Some("application/x-www-form-urlencoded") => "application/x-www-form-urlencoded",
            _ => "application/json",
        };
        let has_body = !body.is_empty() || method == http::Method::Post;
        let sent = http::Request {
            method,
            url: url.as_str(),
            headers: &headers,
            body: has_body.then(|| (kind, body.to_vec().into())),
            // A second token or a second look does no harm; a second signature
            // would be one that nobody asked for.
            repeatable: method == http::Method::Get || origin != self.vault,
            deadline: self.deadline,
            limit: ANSWER,
        };
        // What only looks, before or after, is not the operation itself.
        let acts = origin == self.vault && method != http::Method::Get;
        if acts {
            // Whatever becomes of this one, an earlier one's id is not its.
            provenance::note(None);
        }
        let reply = self
            .client
            .send(&sent)
            .await
            .map_err(|fault| Error::new(ErrorKind::Io, fault))?;
        if acts {
            provenance::note(REQUEST_ID.iter().find_map(|name| reply.header(name)));
        }
        let mut headers = Headers::new();
        for name in RETURNED {
            if let Some(value) = reply.header(name) {
                headers.insert(name, value.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::from(reply.status),
            headers,
            reply.body,
        ))
    }

    /// What a vault answers to those who show no token: only where to get one,
    /// which its name already tells. Asking it would double the requests.
    fn challenge(&self) -> AsyncRawResponse {
        let mut headers = Headers::new();
        let resource = format!(
            "Bearer authorization=\"https://login.microsoftonline.com\", resource=\"{}\"",
            self.audience
        );
        headers.insert(WWW_AUTHENTICATE, resource);
        AsyncRawResponse::from_bytes(StatusCode::Unauthorized, headers, Vec::new())
    }

    /// Where the request really goes. A list's link to its next page may name
    /// any host, and the token goes with it: what was not meant is not asked.
    /// What is on the machine is asked for tokens, and is shown none.
    fn route(&self, url: &Url, origin: &str, signed: bool) -> azure_core::Result<Url> {
        let mut target = url.clone();
        if signed && origin != self.vault {
            return Err(stray(origin));
        }
        if let Some((_, real)) = self.routes.iter().find(|(named, _)| named == origin) {
            let whole = format!("{real}{}", &url.as_str()[origin.len()..]);
            target = Url::parse(&whole)?;
        } else if !is_the_machines(url) {
            return Err(stray(origin));
        }
        Ok(target)
    }
}

/// The services that tell a machine its own identity listen at plain HTTP
/// without a name: on the machine or on its own link.
fn is_the_machines(url: &Url) -> bool {
    let link_local = url
        .host_str()
        .and_then(|host| host.parse::<std::net::Ipv4Addr>().ok())
        .is_some_and(|address| address.is_link_local());
    url.scheme() == "http" && (link_local || is_loopback(url))
}

fn stray(origin: &str) -> Error {
    let fault = HttpFault::Unreachable {
        endpoint: origin.to_owned(),
        cause: "an answer pointed there, and it is not the vault".to_owned(),
    };
    Error::new(ErrorKind::Other, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_meant_is_reached() {
        let transport = Transport {
            client: Client::new(&http::Options::default()).unwrap(),
            deadline: Duration::from_secs(1),
            vault: "https://a.vault.azure.net".to_owned(),
            audience: "https://vault.azure.net".to_owned(),
            routes: vec![(
                "https://a.vault.azure.net".to_owned(),
                "http://127.0.0.1:9".to_owned(),
            )],
        };
        let to = |text: &str| {
            let url = Url::parse(text).unwrap();
            let origin = url.origin().ascii_serialization();
            transport
                .route(&url, &origin, false)
                .map(|url| url.to_string())
        };
        assert_eq!(
            to("https://a.vault.azure.net/keys/k?x=1").unwrap(),
            "http://127.0.0.1:9/keys/k?x=1"
        );
        assert!(to("http://169.254.169.254/metadata/identity").is_ok());
        for stray in [
            "https://b.vault.azure.net/",
            "https://a.vault.azure.net:444/",
            "http://a.vault.azure.net/",
            "http://10.0.0.1/",
            "https://169.254.169.254/",
        ] {
            assert!(to(stray).is_err(), "{stray}");
        }
        // The vault's token is the vault's alone, wherever a link points.
        for stray in [
            "http://169.254.169.254/keys/k/versions",
            "http://127.0.0.1:80/keys/k/versions",
            "http://localhost/",
        ] {
            assert!(to(stray).is_ok(), "{stray}");
            let url = Url::parse(stray).unwrap();
            let origin = url.origin().ascii_serialization();
            assert!(transport.route(&url, &origin, true).is_err(), "{stray}");
        }
    }
}
