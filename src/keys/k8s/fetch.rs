use serde::Deserialize;

use super::access::{self, Access};
use super::{K8sKeys, PROVIDER};
use crate::http::{Method, Reply, Request};
use crate::keys::context::from_http;
use crate::keys::said::one_line;
use crate::keys::{KeyFault, Warning};
use crate::limits;
use crate::reference::KeyRef;
use crate::secret::Secret;

/// The secret that a URI names.
pub(super) struct Place {
    namespace: String,
    name: String,
    /// The URI as messages show it.
    pub(super) shown: String,
}

impl Place {
    /// Reads `k8s://NAMESPACE/NAME`.
    pub(super) fn of(key: &KeyRef) -> Result<Self, KeyFault> {
        let shown = key.to_string();
        let uri = match key {
            KeyRef::Provider { scheme, uri } if scheme == PROVIDER => uri,
            _ => return Err(KeyFault::NoProvider(shown)),
        };
        let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
        match rest.split_once('/') {
            Some((namespace, name))
                if is_name(namespace, 63, false) && is_name(name, 253, true) =>
            {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    shown,
                })
            }
            _ => Err(KeyFault::BadUri {
                uri: shown,
                why: "write it k8s://NAMESPACE/SECRET, with names as Kubernetes has them"
                    .to_owned(),
            }),
        }
    }
}

/// A DNS label or subdomain (RFC 1123), as Kubernetes names things. What is
/// none could lead to another path of the API.
fn is_name(text: &str, longest: usize, dots: bool) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= longest
        && text.split('.').count() <= if dots { longest } else { 1 }
        && text.split('.').all(|label| {
            label.bytes().next().is_some_and(inner)
                && label.bytes().last().is_some_and(inner)
                && label.bytes().all(|b| inner(b) || b == b'-')
        })
}

/// Kubernetes API v1, `Status`: what an API server says when it refuses.
#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl Status {
    fn of(reply: &Reply) -> Self {
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }
}

impl K8sKeys {
    /// The secret, as JSON.
    pub(super) async fn fetch(&self, place: &Place) -> Result<Secret, KeyFault> {
        let access = self.access()?;
        let path = format!(
            "/api/v1/namespaces/{}/secrets/{}",
            place.namespace, place.name
        );
        let reply = self.get(&access, &path).await?;
        match reply.status {
            200 => Ok(Secret::new(reply.body)),
            // What answers in the API server's place knows nothing of secrets.
            404 if says_not_found(&reply) => Err(KeyFault::NoSuchKey(place.shown.clone())),
            _ => Err(refusal(&access, &place.shown, &reply)),
        }
    }

    /// Asks the API server something that everybody may ask; what will end of
    /// what proved who asked.
    pub(super) async fn ask_version(&self) -> Result<Vec<Warning>, KeyFault> {
        let access = self.access()?;
        let reply = self.get(&access, "/version").await?;
        match reply.status {
            200 => Ok(access.outlook(self.context.clock.now())),
            _ => Err(refusal(&access, "/version", &reply)),
        }
    }

    fn access(&self) -> Result<Access, KeyFault> {
        // Asked first: without the network there is nothing to read a kubeconfig for.
        if self.context.offline {
            return Err(KeyFault::Offline { provider: PROVIDER });
        }
        access::find(&self.settings, &self.context.environment)
    }

    async fn get(&self, access: &Access, path: &str) -> Result<Reply, KeyFault> {
        let client = self.context.http(PROVIDER, access.options()?)?;
        let json = Secret::from("application/json".to_owned());
        let mut headers = vec![("accept", &json)];
        if let Some(bearer) = &access.bearer {
            headers.push(("authorization", bearer));
        }
        let request = Request {
            method: Method::Get,
            url: &format!("{}{path}", access.server),
            headers: &headers,
            body: None,
            repeatable: true,
            deadline: self.context.deadline,
            limit: limits::KUBERNETES_SECRET,
        };
        let reply = client.send(&request).await;
        reply.map_err(|fault| from_http(PROVIDER, fault))
    }
}

fn says_not_found(reply: &Reply) -> bool {
    let status = Status::of(reply);
    status.kind == "Status" && status.reason == "NotFound"
}

fn refusal(access: &Access, what: &str, reply: &Reply) -> KeyFault {
    let status = Status::of(reply);
    let said = one_line(&status.message, 300);
    let cause = match said.is_empty() {
        true => format!("the API server answers {}", reply.status),
        false => format!("{said} ({})", reply.status),
    };
    match reply.status {
        401 => KeyFault::Login {
            provider: PROVIDER,
            how: access.how,
            cause,
        },
        // What stands between may forbid as well, and no grant helps there.
        403 if status.kind == "Status" => KeyFault::Refused {
            provider: PROVIDER,
            what: what.to_owned(),
            cause,
        },
        _ => KeyFault::Provider {
            provider: PROVIDER,
            cause,
        },
    }
}
