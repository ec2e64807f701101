//! One call: the token in its header, a login anew where it ran out, and
//! refusals as faults.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::login;
use super::name::Name;
use super::refusal::{Refusal, doubts_the_token};
use super::server::Server;
use super::session::Held;
use super::{PROVIDER, Vaults};
use crate::canon;
use crate::http::{Method, Reply, Request};
use crate::keys::context::from_http;
use crate::keys::{KeyFault, provenance};
use crate::limits;
use crate::secret::Secret;

/// What is asked of a server about a key.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Behind the mount: `keys/NAME`.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// Whether it does no harm to carry it out twice.
    pub(super) repeatable: bool,
    pub(super) key: &'a Name,
}

impl Vaults {
    /// The body of a successful answer; empty where there is none.
    ///
    /// # Errors
    /// `KeyFault`, with every refusal told apart.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Vec<u8>, KeyFault> {
        let server = self.server()?;
        let mut held = server.session.token(server).await?;
        let path = format!("{}/{}", server.mount(call.key), call.path);
        let mut anew = false;
        loop {
            let sent = Sent {
                method: call.method,
                path: &path,
                namespace: server.namespace(call.key),
                token: Some(&held.token),
                body: call.body.as_ref(),
                repeatable: call.repeatable,
            };
            // What only looks, before or after, is not the operation itself.
            let acts = call.method != Method::Get;
            if acts {
                // Whatever becomes of this attempt, an earlier one's id is not its.
                provenance::note(None);
            }
            let reply = server.send(&sent).await?;
            if acts {
                provenance::note(request_id(&reply.body).as_deref());
            }
            if (200..300).contains(&reply.status) {
                return Ok(reply.body);
            }
            let refusal = Refusal::read(&server.endpoint, &reply);
            if reply.status != 403 || !doubts_the_token(&refusal.said.text) {
                return Err(server.asleep(refusal.fault(Some(call.key))).await);
            }
            // Nothing was done, so that it can be sent again with another token.
            let Some(login) = server.why_refused(&held).await else {
                return Err(refusal.fault(Some(call.key)));
            };
            if anew || !server.session.refused(server, &held).await? {
                return Err(login);
            }
            anew = true;
            held = server.session.token(server).await?;
        }
    }

    /// [`Vaults::call`], its answer read.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, KeyFault> {
        let body = self.call(call).await?;
        canon::parse_as(&body, limits::KEY_SERVICE).map_err(|e| Refusal::garbled(&e.to_string()))
    }
}

/// By which the server's own audit log knows the request; errors have none.
fn request_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        request_id: Option<String>,
    }
    canon::parse_as::<Answer>(body, limits::KEY_SERVICE)
        .ok()?
        .request_id
}

struct Sent<'a> {
    method: Method,
    path: &'a str,
    namespace: Option<&'a str>,
    token: Option<&'a Secret>,
    body: Option<&'a Value>,
    repeatable: bool,
}

impl Server {
    /// Sends to the server's own paths, in its own namespace.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Reply, KeyFault> {
        self.send(&Sent {
            method,
            path,
            namespace: self.namespace.as_deref(),
            token,
            body,
            repeatable: method == Method::Get,
        })
        .await
    }

    pub(super) async fn post(
        &self,
        path: &str,
        token: Option<&Secret>,
        body: &Value,
    ) -> Result<Reply, KeyFault> {
        self.exchange(Method::Put, path, token, Some(body)).await
    }

    async fn send(&self, sent: &Sent<'_>) -> Result<Reply, KeyFault> {
        let url = format!("{}/v1/{}", self.address, sent.path);
        let asked = Secret::from("true".to_owned());
        let namespace = sent.namespace.map(|text| Secret::from(text.to_owned()));
        let mut headers = vec![("x-vault-request", &asked)];
        headers.extend(namespace.as_ref().map(|text| ("x-vault-namespace", text)));
        headers.extend(sent.token.map(|token| ("x-vault-token", token)));
        let request = Request {
            method: sent.method,
            url: &url,
            headers: &headers,
            body: sent
                .body
                .map(|body| ("application/json", body.to_string().into())),
            repeatable: sent.repeatable,
            deadline: self.deadline,
            limit: limits::KEY_SERVICE,
        };
        self.client()?
            .send(&request)
            .await
            .map_err(|fault| from_http(PROVIDER, fault))
    }

    /// Why a token was refused, where it is the token that was.
    async fn why_refused(&self, held: &Held) -> Option<KeyFault> {
        match login::look_up(self, &held.token).await {
            Ok(_) => None,
            Err(KeyFault::Login { cause, .. }) if !doubts_the_token(&cause) => None,
            Err(fault) => Some(match fault {
                KeyFault::Login { cause, .. } => KeyFault::Login {
                    provider: PROVIDER,
                    how: self.session.how(),
                    cause,
                },
                other => other,
            }),
        }
    }

    /// A server that was never initialised calls itself sealed.
    async fn asleep(&self, fault: KeyFault) -> KeyFault {
        let KeyFault::Sealed {
            provider,
            endpoint,
            state: "sealed",
        } = fault
        else {
            return fault;
        };
        let health = self.exchange(Method::Get, "sys/health", None, None).await;
        let state = match health {
            Ok(reply) if reply.status == 501 => "not initialised",
            _ => "sealed",
        };
        KeyFault::Sealed {
            provider,
            endpoint,
            state,
        }
    }
}
