use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::blot::repeated;
use super::cause::{TlsCause, root_cause, tls_cause};
use super::proxy::proxy;
use super::{Attempt, HttpFault, Next, Options, after};
use crate::secret::Secret;

/// What is done to the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// One request.
pub struct Request<'a> {
    /// What is done.
    pub method: Method,
    /// The whole URL.
    pub url: &'a str,
    /// Names and values; all values are treated as secrets.
    pub headers: &'a [(&'a str, &'a Secret)],
    /// The content type and the bytes.
    pub body: Option<(&'a str, Vec<u8>)>,
    /// Whether it does no harm to carry it out twice.
    pub repeatable: bool,
    /// For all attempts together.
    pub deadline: Duration,
    /// The longest answer, in bytes.
    pub limit: u64,
}

/// An answer, of whatever status.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; at most the request's limit.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Reply {
    /// A header of the answer, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer's headers, those that are text.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }
}

impl std::fmt::Debug for Reply {
    // A body may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

/// A pool of connections. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    /// `None` offline.
    inner: Option<reqwest::Client>,
}

impl Client {
    /// A client; connects to nothing yet.
    ///
    /// # Errors
    /// `BadTls` where an authority or the client certificate cannot be read,
    /// `BadProxy` where what is set is no proxy.
    pub fn new(options: &Options) -> Result<Self, HttpFault> {
        if options.offline {
            return Ok(Self { inner: None });
        }
        let bad = |e: reqwest::Error| HttpFault::BadTls(root_cause(&e));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("obreia/", env!("CARGO_PKG_VERSION")))
            // A redirect could carry a token to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Neither what the environment says, but for what is taken from it below.
            .no_proxy()
            .connect_timeout(options.connect);
        if let Some(proxy) = proxy(&options.environment)? {
            builder = builder.proxy(proxy);
        }
        let mut authorities = Vec::new();
        for authority in &options.authorities {
            let found = reqwest::Certificate::from_pem_bundle(authority).map_err(bad)?;
            if found.is_empty() {
                let why = "an authority's file holds no certificate in PEM";
                return Err(HttpFault::BadTls(why.to_owned()));
            }
            authorities.extend(found);
        }
        builder = match options.only_these {
            true => builder.tls_certs_only(authorities),
            false => builder.tls_certs_merge(authorities),
        };
        if let Some(identity) = &options.identity {
            let identity = reqwest::Identity::from_pem(identity.expose()).map_err(bad)?;
            builder = builder.identity(identity);
        }
        Ok(Self {
            inner: Some(builder.build().map_err(bad)?),
        })
    }

    /// Sends, and sends again where that may help and does no harm.
    ///
    /// # Errors
    /// `HttpFault`; an answer of any status but a lasting 429 is none.
    pub async fn send(&self, request: &Request<'_>) -> Result<Reply, HttpFault> {
        let endpoint = endpoint(request.url)?;
        let Some(client) = &self.inner else {
            return Err(HttpFault::Offline { endpoint });
        };
        let begun = Instant::now();
        let mut number = 1;
        loop {
            let left = request.deadline.saturating_sub(begun.elapsed());
            let once = tokio::time::timeout(left, once(client, request, &endpoint)).await;
            let Ok(result) = once else {
                return Err(HttpFault::Deadline {
                    endpoint,
                    seconds: request.deadline.as_secs(),
                });
            };
            let attempt = match &result {
                Ok(reply) => Attempt::Status(reply.status),
                Err(HttpFault::Unreachable { .. }) => Attempt::NotSent,
                Err(HttpFault::Cut { .. }) => Attempt::Cut,
                Err(_) => return result,
            };
            let said = result.as_ref().ok().and_then(|reply| {
                let seconds = reply.header(RETRY_AFTER.as_str())?.parse().ok()?;
                Some(Duration::from_secs(seconds))
            });
            let left = request.deadline.saturating_sub(begun.elapsed());
            let next = after(
                number,
                attempt,
                request.repeatable,
                said,
                left,
                fastrand::f64(),
            );
            match next {
                Next::Again(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp if attempt == Attempt::Status(429) => {
                    return Err(HttpFault::Throttled { endpoint });
                }
                Next::GiveUp => return result,
            }
            number += 1;
        }
    }
}

async fn once(
    client: &reqwest::Client,
    request: &Request<'_>,
    endpoint: &str,
) -> Result<Reply, HttpFault> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        let bad = || HttpFault::BadHeader {
            name: (*name).to_owned(),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut sending = client.request(method, request.url).headers(headers);
    if let Some((kind, bytes)) = &request.body {
        sending = sending
            .header(reqwest::header::CONTENT_TYPE, *kind)
            .body(bytes.clone());
    }
    let failed = |e: reqwest::Error| fault(&e, endpoint);
    let mut response = sending.send().await.map_err(failed)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() as u64 + chunk.len() as u64 > request.limit {
            return Err(HttpFault::TooLarge {
                endpoint: endpoint.to_owned(),
                limit: request.limit,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status,
        body: repeated(request, body),
        headers,
    })
}

fn fault(error: &reqwest::Error, endpoint: &str) -> HttpFault {
    let (endpoint, cause) = (endpoint.to_owned(), root_cause(error));
    match tls_cause(error) {
        Some(TlsCause::Certificate) => HttpFault::Tls { endpoint, cause },
        Some(TlsCause::Refused) => HttpFault::Handshake {
            endpoint,
            cause: format!("it refused our handshake ({cause})"),
        },
        Some(TlsCause::Other) if error.is_connect() => HttpFault::Handshake { endpoint, cause },
        _ if error.is_connect() || error.is_builder() => HttpFault::Unreachable { endpoint, cause },
        _ => HttpFault::Cut { endpoint, cause },
    }
}

/// Scheme, host and port: what messages show of a URL.
///
/// # Errors
/// `BadUrl` for what is no `http` or `https` URL.
pub fn endpoint(url: &str) -> Result<String, HttpFault> {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(reqwest::Url::host_str);
    match (&parsed, host) {
        (Some(parsed), Some(host)) if matches!(parsed.scheme(), "http" | "https") => {
            let port = parsed.port().map(|port| format!(":{port}"));
            Ok(format!(
                "{}://{host}{}",
                parsed.scheme(),
                port.unwrap_or_default()
            ))
        }
        _ => Err(HttpFault::BadUrl {
            url: url.rsplit('@').next().unwrap_or_default().to_owned(),
        }),
    }
}
