//! One registry: how a request gets there, and what its answer means.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::{base, is_local, resolved, same_origin};
use super::auth::{Challenge, Credential, Credentials, Known, Scope, basic, challenges, fetch};
use super::reach::is;
use super::{Asked, Conditions, RegistryFault, Said, TlsTrouble};
use crate::http::{Client, HttpFault, Incoming, Method, Reply, Request};
use crate::secret::Secret;

/// For an answer to begin, unless a test has less of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests under way at one registry.
const AT_ONCE: usize = 8;
/// Redirects that are followed, one after the other.
const REDIRECTS: usize = 5;

/// A registry, with what is known of how to get in.
pub(super) struct Host {
    /// As references name it.
    pub(super) name: String,
    /// Scheme, host and port.
    pub(super) base: String,
    /// Hosts that may be spoken to without TLS.
    clear: Vec<String>,
    clients: Clients,
    credentials: Credentials,
    /// For an answer to begin, with all attempts.
    pub(super) patience: Duration,
    known: Mutex<Known>,
    /// One log-in at a time: those that wait find its token.
    entering: tokio::sync::Mutex<()>,
    /// What was found to log in with, or why nothing was: a helper that hangs
    /// or fails is not asked again for each request.
    found: tokio::sync::OnceCell<Result<Option<Credential>, RegistryFault>>,
    permits: Semaphore,
    /// Bodies under way. Whoever waits for one has no other permit.
    pub(super) bodies: Arc<Semaphore>,
    /// Which conditions are honoured, once that was tried.
    pub(super) cas: Mutex<Option<Conditions>>,
}

/// What connects.
pub(super) struct Clients {
    /// To the registry itself, with our certificate where there is one for it.
    pub(super) own: Client,
    /// To whoever else it sends us to: without.
    pub(super) anybody: Client,
}

/// One request to a registry.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// A path under the registry, or a whole URL that it gave.
    pub(super) url: &'a str,
    pub(super) scope: &'a Scope,
    pub(super) headers: &'a [(&'a str, String)],
    pub(super) body: Option<(&'a str, Bytes)>,
    /// Whether it does no harm to carry it out twice.
    pub(super) repeatable: bool,
    /// The longest answer that is read whole.
    pub(super) limit: u64,
    /// Whether a redirect may lead anywhere, for what comes is held against a
    /// digest. Else it may only to where TLS proves who answers.
    pub(super) anywhere: bool,
    /// Whether the body of a success is left to be read piece by piece; else
    /// one that breaks off is asked for again.
    pub(super) in_pieces: bool,
}

impl<'a> Ask<'a> {
    /// A reading request without headers.
    pub(super) fn get(url: &'a str, scope: &'a Scope, limit: u64) -> Self {
        Self {
            method: Method::Get,
            url,
            scope,
            headers: &[],
            body: None,
            repeatable: true,
            limit,
            anywhere: false,
            in_pieces: false,
        }
    }
}

/// An answer, with what was asked.
pub(super) struct Answer {
    pub(super) asked: Asked,
    /// Where it came from, after redirects.
    pub(super) url: String,
    /// Whether what it says is the registry's own word: it came from there, or
    /// from where the registry itself sent us, all by TLS.
    own_word: bool,
    /// Held until the body was read, where that is left to be done.
    _body: Option<OwnedSemaphorePermit>,
    pub(super) incoming: Incoming,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.incoming.reply.status
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.incoming.reply.header(name)
    }

    /// Whether it has this status, and the registry's words begin with this code.
    pub(super) fn says(&self, status: u16, code: &str) -> bool {
        let reply = &self.incoming.reply;
        reply.status == status && Said::of(&reply.body).is_code(code)
    }

    /// Every header of that name; `None` where one of them is no text.
    pub(super) fn all(&self, name: &str) -> Option<Vec<&str>> {
        self.incoming.reply.all(name)
    }

    /// The whole body; empty where it was left to be read piece by piece.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.incoming.reply.body
    }

    /// The fault that a status stands for.
    pub(super) fn fault(self) -> RegistryFault {
        let said = Said::of(&self.incoming.reply.body);
        if wants_tls(&self.url, &self.incoming.reply) {
            return RegistryFault::Tls {
                asked: self.asked,
                cause: "it speaks TLS, and was spoken to without".to_owned(),
                trouble: TlsTrouble::Wanted,
            };
        }
        let (asked, status) = (self.asked, self.incoming.reply.status);
        match status {
            404 if self.own_word && Said::is_absence(&self.incoming.reply.body) => {
                RegistryFault::NotFound { asked, said }
            }
            404 => RegistryFault::Malformed {
                asked,
                why: format!("404, and not in the registry's own words{said}"),
            },
            401 | 403 => RegistryFault::Denied {
                asked,
                status,
                said,
            },
            408 | 429 | 500.. => RegistryFault::Unreachable {
                asked,
                cause: format!("the registry answers {status}{said}"),
            },
            400..500 => RegistryFault::Refused {
                asked,
                status,
                said,
            },
            _ => RegistryFault::Malformed {
                asked,
                why: format!("the status {status} is no answer to it"),
            },
        }
    }
}

/// What a transport's fault means.
pub(super) fn network(asked: &Asked, error: &HttpFault) -> RegistryFault {
    let asked = asked.clone();
    match error {
        HttpFault::TooLarge { limit, .. } => RegistryFault::Malformed {
            asked,
            why: format!("the answer is longer than {limit} bytes"),
        },
        HttpFault::Offline { endpoint } => RegistryFault::Offline {
            host: endpoint.clone(),
        },
        HttpFault::Tls { .. } => RegistryFault::Tls {
            asked,
            cause: error.to_string(),
            trouble: TlsTrouble::Certificate,
        },
        HttpFault::Handshake { .. } => RegistryFault::Tls {
            asked,
            cause: error.to_string(),
            trouble: TlsTrouble::Handshake,
        },
        other => RegistryFault::Unreachable {
            asked,
            cause: other.to_string(),
        },
    }
}

/// As servers in Go answer who speaks no TLS to them: in these words, which
/// are no answer to HEAD, and without a single header.
fn wants_tls(url: &str, reply: &Reply) -> bool {
    let words = b"HTTP request to an HTTPS server";
    let said = reply.body.windows(words.len()).any(|found| found == words);
    reply.status == 400 && url.starts_with("http://") && (said || reply.headers().next().is_none())
}

impl Host {
    pub(super) fn new(
        name: &str,
        plain: bool,
        clear: Vec<String>,
        clients: Clients,
        credentials: Credentials,
    ) -> Self {
        Self {
            name: name.to_owned(),
            base: base(name, plain),
            clear,
            clients,
            credentials,
            patience: PATIENCE,
            known: Mutex::default(),
            entering: tokio::sync::Mutex::default(),
            found: tokio::sync::OnceCell::new(),
            permits: Semaphore::new(AT_ONCE),
            bodies: Arc::new(Semaphore::new(AT_ONCE)),
            cas: Mutex::default(),
        }
    }

    /// Asks, after having been let in where the registry wants that, and
    /// follows redirects. Credentials go to the registry's own origin alone.
    ///
    /// # Errors
    /// Where no answer came; an answer of any status is none, but a 401 that
    /// no credential changes.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, RegistryFault> {
        let mut url = match ask.url.strip_prefix('/') {
            Some(_) => format!("{}{}", self.base, ask.url),
            None => ask.url.to_owned(),
        };
        let asked = Asked::new(word(ask.method), &url);
        let body = match ask.in_pieces {
            true => Arc::clone(&self.bodies).acquire_owned().await.ok(),
            false => None,
        };
        let permit = self.permits.acquire().await;
        let (mut entered, mut redirects) = (false, 0);
        let mut header = self.known(ask.scope);
        loop {
            let own = self.is_own(&url);
            let answer = self
                .once(&ask, &url, header.as_ref().filter(|_| own), &asked)
                .await?;
            let status = answer.status();
            if status == 401 && own && !entered {
                entered = true;
                // Each way in may have a header of its own.
                let said = answer.all("www-authenticate").unwrap_or_default();
                match self
                    .enter(&said.join(", "), ask.scope, header.is_some(), &asked)
                    .await?
                {
                    Some(new) => header = Some(new),
                    None => return Ok(answer),
                }
                continue;
            }
            let reads = matches!(ask.method, Method::Get | Method::Head);
            if !(reads && matches!(status, 301 | 302 | 303 | 307 | 308)) {
                drop(permit);
                return Ok(Answer {
                    _body: body,
                    ..answer
                });
            }
            redirects += 1;
            let to = answer.header("location").and_then(|to| resolved(&url, to));
            let wrong = |why: &str| RegistryFault::Malformed {
                asked: asked.clone(),
                why: why.to_owned(),
            };
            if redirects > REDIRECTS {
                return Err(wrong("it redirects without an end"));
            }
            let to = to.filter(|to| ask.anywhere || self.speaks_for(to.as_str()));
            let to = to.ok_or_else(|| wrong("it redirects to where nobody goes"))?;
            url = to.into();
        }
    }

    async fn once(
        &self,
        ask: &Ask<'_>,
        url: &str,
        header: Option<&Secret>,
        asked: &Asked,
    ) -> Result<Answer, RegistryFault> {
        let more: Vec<(&str, Secret)> = ask
            .headers
            .iter()
            .map(|(name, value)| (*name, Secret::from(value.clone())))
            .collect();
        let mut headers: Vec<(&str, &Secret)> = more.iter().map(|(n, v)| (*n, v)).collect();
        headers.extend(header.map(|header| ("authorization", header)));
        let request = Request {
            method: ask.method,
            url,
            headers: &headers,
            body: ask.body.clone(),
            repeatable: ask.repeatable,
            deadline: self.patience,
            limit: ask.limit,
        };
        let client = self.client_for(url);
        let incoming = if ask.in_pieces {
            client.open(&request).await
        } else {
            client.send(&request).await.map(Incoming::from)
        };
        let incoming = incoming.map_err(|e| network(asked, &e))?;
        Ok(Answer {
            asked: asked.clone(),
            own_word: self.speaks_for(url),
            url: url.to_owned(),
            _body: None,
            incoming,
        })
    }

    /// What let us in; `None` where nothing was wanted so far.
    pub(super) fn entered(&self) -> Option<&'static str> {
        self.lock().kind()
    }

    /// Whether that is the registry's own origin, where credentials go.
    fn is_own(&self, url: &str) -> bool {
        resolved(&self.base, url).is_some_and(|url| same_origin(&self.base, &url))
    }

    /// Whether what is said there is the registry's own word, once it sent us.
    fn speaks_for(&self, url: &str) -> bool {
        self.is_own(url) || self.base.starts_with("https://") && url.starts_with("https://")
    }

    /// A client certificate is a credential too.
    fn client_for(&self, url: &str) -> &Client {
        match self.is_own(url) {
            true => &self.clients.own,
            false => &self.clients.anybody,
        }
    }

    fn known(&self, scope: &Scope) -> Option<Secret> {
        self.lock().header(scope, Instant::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a 401 asks for; `None` where there is nothing to be tried.
    async fn enter(
        &self,
        said: &str,
        scope: &Scope,
        was_sent: bool,
        asked: &Asked,
    ) -> Result<Option<Secret>, RegistryFault> {
        let _one = self.entering.lock().await;
        if was_sent {
            self.lock().forget(scope);
        } else if let Some(known) = self.known(scope) {
            // Somebody else was let in meanwhile.
            return Ok(Some(known));
        }
        let challenges = challenges(said);
        let found = self.found.get_or_init(|| self.credentials.find(&self.name));
        let credential = found.await.as_ref().map_err(Clone::clone)?.as_ref();
        for challenge in &challenges {
            let Challenge::Bearer { realm, service } = challenge else {
                continue;
            };
            let realm = self.realm(realm, asked)?;
            let token = fetch(
                self.client_for(realm.as_str()),
                &realm,
                service.as_deref(),
                scope,
                credential,
                self.patience,
            )
            .await?;
            let header = token.copy();
            self.lock().learn(scope.clone(), token);
            return Ok(Some(header));
        }
        let (Some(Challenge::Basic), Some(Credential::Password { name, password })) =
            (challenges.first(), credential)
        else {
            return Ok(None);
        };
        let header = basic(name, password);
        self.lock().basic = Some(basic(name, password));
        Ok(Some(header))
    }

    /// Who gives tokens out: by TLS, unless it is the registry itself, on this
    /// machine, or a host that may be spoken to in clear.
    fn realm(&self, realm: &str, asked: &Asked) -> Result<Url, RegistryFault> {
        let wrong = |why: &str| RegistryFault::Malformed {
            asked: asked.clone(),
            why: format!("{why}: {}", super::fault::bounded(realm, 256)),
        };
        let url = Url::parse(realm).map_err(|_| wrong("its realm is no address"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("its realm holds a user name or a password"));
        }
        let host = url.host_str().unwrap_or_default();
        let named = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let listed = self.clear.iter().any(|clear| is(clear, &named));
        let clear = self.is_own(url.as_str()) || is_local(host) || listed;
        if url.scheme() == "https" || url.scheme() == "http" && clear {
            return Ok(url);
        }
        Err(wrong("its realm would be told the password in clear"))
    }
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Head => "HEAD",
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::http::Options;

    fn host(name: &str, plain: bool, clear: &[&str]) -> Host {
        let options = Options {
            environment: Environment::default(),
            ..Options::default()
        };
        let client = Client::new(&options).unwrap();
        let clients = Clients {
            own: client.clone(),
            anybody: client,
        };
        let clear = clear.iter().map(|host| (*host).to_owned()).collect();
        let credentials = Credentials::new(None, &Environment::default());
        Host::new(name, plain, clear, clients, credentials)
    }

    #[test]
    fn a_password_goes_in_clear_only_to_where_that_was_said() {
        let asked = Asked::new("GET", "x");
        let goes = |host: &Host, realm: &str| host.realm(realm, &asked).is_ok();
        let local = host("localhost:5000", true, &[]);
        let listed = host("r.example", true, &["r.example", "Auth.example:5001"]);
        let tls = host("r.example", false, &[]);
        for host in [&local, &listed, &tls] {
            assert!(goes(host, "https://auth.example/token"));
            assert!(goes(host, "http://127.0.0.1:1/token"));
            for refused in [
                "http://auth.example/token",
                "http://localhost.example/token",
                "ftp://localhost/token",
                "https://me:pw@auth.example/token",
                "token",
            ] {
                assert!(!goes(host, refused), "{} to {refused}", host.base);
            }
        }
        assert!(goes(&listed, "http://auth.example:5001/token"));
        assert!(goes(&listed, "http://r.example/token"));
        assert!(!goes(&tls, "http://r.example/token"));
        assert!(!goes(&local, "http://auth.example:5001/token"));
    }
}
