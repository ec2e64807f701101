use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::blot::repeated;
use super::cause::{TlsCause, root_cause, tls_cause};
use super::proxy::proxy;
use super::{Attempt, HttpFault, Next, Options, after};
use crate::secret::Secret;

/// What is done to the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// HEAD
    Head,
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
    /// The content type and the bytes, which are shared and not copied.
    pub body: Option<(&'a str, Bytes)>,
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

    /// Every header of that name; `None` where one of them is no text.
    pub fn all(&self, name: &str) -> Option<Vec<&str>> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().ok()).collect()
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

/// An answer whose body is still to come, where it is one of success; of any
/// other the body was read.
pub struct Incoming {
    /// Status, headers, and the body of what is no success.
    pub reply: Reply,
    rest: Option<reqwest::Response>,
    endpoint: String,
}

impl From<Reply> for Incoming {
    /// An answer whose body was read.
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            rest: None,
            endpoint: String::new(),
        }
    }
}

impl Incoming {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// `Cut` where the connection broke, `Deadline` where nothing came for as
    /// long as `idle`.
    pub async fn chunk(&mut self, idle: Duration) -> Result<Option<Bytes>, HttpFault> {
        let Some(rest) = &mut self.rest else {
            return Ok(None);
        };
        match tokio::time::timeout(idle, rest.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(fault(&error, &self.endpoint)),
            Err(_) => Err(HttpFault::Deadline {
                endpoint: self.endpoint.clone(),
                seconds: idle.as_secs(),
            }),
        }
    }
}

/// A pool of connections. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    /// `None` offline.
    inner: Option<reqwest::Client>,
    /// Until when an endpoint that said 429 is left alone, by all requests.
    held: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Client {
    /// A client; connects to nothing yet.
    ///
    /// # Errors
    /// `BadTls` where an authority or the client certificate cannot be read,
    /// `BadProxy` where what is set is no proxy.
    pub fn new(options: &Options) -> Result<Self, HttpFault> {
        if options.offline {
            return Ok(Self {
                inner: None,
                held: Arc::default(),
            });
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
            held: Arc::default(),
        })
    }

    /// Sends, and sends again where that may help and does no harm.
    ///
    /// # Errors
    /// `HttpFault`; an answer of any status but a lasting 429 is none.
    pub async fn send(&self, request: &Request<'_>) -> Result<Reply, HttpFault> {
        let (reply, _) = self.attempt(request, true).await?;
        Ok(reply)
    }

    /// The same, with the body of a success left to be read piece by piece;
    /// the request's deadline is for the answer to begin.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn open(&self, request: &Request<'_>) -> Result<Incoming, HttpFault> {
        let endpoint = endpoint(request.url)?;
        let (reply, rest) = self.attempt(request, false).await?;
        Ok(Incoming {
            reply,
            rest,
            endpoint,
        })
    }

    async fn attempt(
        &self,
        request: &Request<'_>,
        whole: bool,
    ) -> Result<(Reply, Option<reqwest::Response>), HttpFault> {
        let endpoint = endpoint(request.url)?;
        let Some(client) = &self.inner else {
            return Err(HttpFault::Offline { endpoint });
        };
        let begun = Instant::now();
        let mut number = 1;
        loop {
            let left = request.deadline.saturating_sub(begun.elapsed());
            match self.wait(&endpoint) {
                Some(pause) if pause >= left => return Err(HttpFault::Throttled { endpoint }),
                Some(pause) => tokio::time::sleep(pause).await,
                None => {}
            }
            let left = request.deadline.saturating_sub(begun.elapsed());
            let once = tokio::time::timeout(left, once(client, request, &endpoint, whole)).await;
            let Ok(result) = once else {
                return Err(HttpFault::Deadline {
                    endpoint,
                    seconds: request.deadline.as_secs(),
                });
            };
            let attempt = match &result {
                Ok((reply, _)) => Attempt::Status(reply.status),
                Err(HttpFault::Unreachable { .. }) => Attempt::NotSent,
                Err(HttpFault::Cut { .. }) => Attempt::Cut,
                Err(_) => return result,
            };
            let said = result.as_ref().ok().and_then(|(reply, _)| {
                let text = reply.header(RETRY_AFTER.as_str())?;
                retry_after(text, SystemTime::now())
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
            let throttled = attempt == Attempt::Status(429);
            match next {
                Next::Again(pause) if throttled => self.hold(&endpoint, pause),
                Next::Again(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp if throttled => return Err(HttpFault::Throttled { endpoint }),
                Next::GiveUp => return result,
            }
            number += 1;
        }
    }

    fn wait(&self, endpoint: &str) -> Option<Duration> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let until = held.get(endpoint)?;
        Some(until.saturating_duration_since(Instant::now())).filter(|pause| !pause.is_zero())
    }

    fn hold(&self, endpoint: &str, pause: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + pause;
        let known = held.entry(endpoint.to_owned()).or_insert(until);
        *known = until.max(*known);
    }
}

async fn once(
    client: &reqwest::Client,
    request: &Request<'_>,
    endpoint: &str,
    whole: bool,
) -> Result<(Reply, Option<reqwest::Response>), HttpFault> {
    let method = match request.method {
        Method::Head => reqwest::Method::HEAD,
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
    let mut reply = Reply {
        status,
        body: Vec::new(),
        headers,
    };
    if !whole && response.status().is_success() {
        return Ok((reply, Some(response)));
    }
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if reply.body.len() as u64 + chunk.len() as u64 > request.limit {
            return Err(HttpFault::TooLarge {
                endpoint: endpoint.to_owned(),
                limit: request.limit,
            });
        }
        reply.body.extend_from_slice(&chunk);
    }
    reply.body = repeated(request, status, reply.body);
    Ok((reply, None))
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let then = SystemTime::from(date.timestamp());
    Some(then.duration_since(now).unwrap_or_default())
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
