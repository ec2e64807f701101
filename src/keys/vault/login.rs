//! How a token is had: given, or by logging in.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::PROVIDER;
use super::name::is_path;
use super::refusal::Refusal;
use super::server::{Server, missing};
use super::session::Lease;
use crate::canon;
use crate::environment::{Environment, SecretSource};
use crate::http::{Method, Reply, blot};
use crate::keys::{KeyFault, VaultAuth, Warning, expiry};
use crate::limits;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Where Kubernetes puts a pod's token.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const VARIABLES: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];

/// A way of logging in.
pub(super) struct Login {
    way: Way,
    environment: Environment,
}

enum Way {
    /// A token that is there already; where nothing says where, Vault's own
    /// tools' places are looked at.
    Given(Option<SecretSource>),
    /// What is sent to `auth/MOUNT/login`.
    Method {
        how: &'static str,
        mount: String,
        role: Option<String>,
        secrets: Vec<(&'static str, SecretSource)>,
    },
}

impl Login {
    /// Reads nothing yet: verifying by known keys takes no login.
    pub(super) fn new(auth: Option<VaultAuth>, environment: &Environment) -> Self {
        let way = match auth {
            None => Way::Given(None),
            Some(VaultAuth::Token { token }) => Way::Given(Some(token)),
            Some(VaultAuth::AppRole {
                mount,
                role_id,
                secret_id,
            }) => {
                let mut secrets = vec![("role_id", role_id)];
                secrets.extend(secret_id.map(|source| ("secret_id", source)));
                method("approle", mount, None, secrets)
            }
            Some(VaultAuth::Jwt { mount, role, jwt }) => {
                method("jwt", mount, role, vec![("jwt", jwt)])
            }
            Some(VaultAuth::Kubernetes { mount, role, jwt }) => {
                let jwt = jwt.unwrap_or_else(|| SecretSource::File(PathBuf::from(SERVICE_ACCOUNT)));
                method("kubernetes", mount, Some(role), vec![("jwt", jwt)])
            }
            Some(VaultAuth::Cert { mount, role }) => method("cert", mount, role, Vec::new()),
        };
        Self {
            way,
            environment: environment.clone(),
        }
    }

    /// In one word.
    pub(super) const fn how(&self) -> &'static str {
        match &self.way {
            Way::Given(_) => "token",
            Way::Method { how, .. } => how,
        }
    }

    /// Whether the token comes from elsewhere.
    pub(super) const fn is_given(&self) -> bool {
        matches!(self.way, Way::Given(_))
    }

    /// Whether doing it again may give another token: a variable does not
    /// change while a process runs.
    pub(super) fn can_repeat(&self) -> bool {
        match &self.way {
            Way::Given(Some(source)) => matches!(source, SecretSource::File(_)),
            Way::Given(None) => !VARIABLES.iter().any(|n| self.environment.get(n).is_some()),
            Way::Method { .. } => true,
        }
    }

    /// A token, and for how long.
    pub(super) async fn token(&self, server: &Server) -> Result<(Secret, Lease), KeyFault> {
        let (how, mount, role, secrets) = match &self.way {
            Way::Given(source) => {
                let source = match source {
                    Some(source) => source.clone(),
                    None => default_token(&self.environment)?,
                };
                return Ok((self.fetch("token", &source)?, Lease::Unknown));
            }
            Way::Method {
                how,
                mount,
                role,
                secrets,
            } => (how, mount, role, secrets),
        };
        let mut body = serde_json::Map::new();
        if let Some(role) = role {
            // The certificate method calls its role a name.
            let field = if *how == "cert" { "name" } else { "role" };
            body.insert(field.to_owned(), json!(role));
        }
        let mut sent = Vec::new();
        for (field, source) in secrets {
            let secret = self.fetch(field, source)?;
            let text = std::str::from_utf8(secret.expose())
                .map_err(|_| missing(&format!("the {field} for the {how} login is not text")))?;
            body.insert((*field).to_owned(), json!(text));
            sent.push(secret);
        }
        if !is_path(mount) {
            return Err(missing("keys.vault.auth.mount is not a path"));
        }
        let path = format!("auth/{mount}/login");
        let mut reply = server.post(&path, None, &Value::Object(body)).await?;
        // No server should say it again; what one says of it is not passed on.
        reply.body = blot(reply.body, &sent.iter().collect::<Vec<_>>());
        if !(200..300).contains(&reply.status) {
            return Err(refused(server, how, &path, &reply));
        }
        let auth = read_auth(reply)?;
        if auth.mfa_requirement.is_some() {
            return Err(KeyFault::Login {
                provider: PROVIDER,
                how,
                cause: "the server wants a second factor".to_owned(),
            });
        }
        let lease = Lease::new(auth.lease_duration, auth.renewable);
        Ok((checked(Secret::from(auth.client_token), how)?, lease))
    }

    /// What is logged in with, where it says itself when it ends. One that
    /// cannot be read is told when it is needed.
    pub(super) fn outlook(&self, now: Timestamp) -> Vec<Warning> {
        let Way::Method { secrets, .. } = &self.way else {
            return Vec::new();
        };
        let ends = secrets.iter().filter_map(|(field, source)| {
            let secret = self.fetch(field, source).ok()?;
            let end = expiry::of_jwt(secret.expose());
            let what = format!("the {field} that is logged in with");
            expiry::warning("token-expires", &what, end, now, expiry::SOON)
        });
        ends.collect()
    }

    fn fetch(&self, what: &str, source: &SecretSource) -> Result<Secret, KeyFault> {
        let unreadable = |e| {
            let place = match source {
                SecretSource::File(path) => path.display().to_string(),
                SecretSource::Env(name) => name.clone(),
            };
            missing(&format!("the {what} at {place} cannot be read: {e}"))
        };
        let secret = source.fetch(&self.environment).map_err(unreadable)?;
        let trimmed = secret.expose().trim_ascii();
        if trimmed.len() == secret.expose().len() {
            checked(secret, what)
        } else {
            checked(Secret::new(trimmed.to_vec()), what)
        }
    }
}

fn method(
    how: &'static str,
    mount: Option<String>,
    role: Option<String>,
    secrets: Vec<(&'static str, SecretSource)>,
) -> Way {
    let mount = mount.unwrap_or_else(|| how.to_owned());
    Way::Method {
        how,
        mount: mount.trim_matches('/').to_owned(),
        role,
        secrets,
    }
}

/// Where Vault's own tools keep a token.
fn default_token(environment: &Environment) -> Result<SecretSource, KeyFault> {
    for name in VARIABLES {
        if environment.get(name).is_some() {
            return Ok(SecretSource::Env(name.to_owned()));
        }
    }
    let file = environment
        .get("HOME")
        .map(|home| PathBuf::from(home).join(".vault-token"))
        .filter(|file| file.exists());
    file.map(SecretSource::File).ok_or_else(|| {
        missing("there is no token: set keys.vault.auth, VAULT_TOKEN or BAO_TOKEN, or log in with bao or vault, which leave one in ~/.vault-token")
    })
}

/// What can stand in a header.
fn checked(secret: Secret, what: &str) -> Result<Secret, KeyFault> {
    let usable = !secret.is_empty() && secret.expose().iter().all(u8::is_ascii_graphic);
    if usable {
        Ok(secret)
    } else {
        Err(missing(&format!(
            "the {what} is empty, or holds something else than letters, digits and signs"
        )))
    }
}

/// Makes a token last longer; `Login` where the server will not.
pub(super) async fn renew(server: &Server, token: &Secret) -> Result<Lease, KeyFault> {
    let path = "auth/token/renew-self";
    let reply = server.post(path, Some(token), &json!({})).await?;
    if !(200..300).contains(&reply.status) {
        return Err(refused(server, "token", path, &reply));
    }
    let auth = read_auth(reply)?;
    Ok(Lease::new(auth.lease_duration, auth.renewable))
}

/// What the server says of a token.
pub(super) struct LookedUp {
    pub(super) lease: Lease,
    /// It may do everything.
    pub(super) is_root: bool,
}

/// What a token is good for, and how long; `Login` where it is not, or may not ask.
pub(super) async fn look_up(server: &Server, token: &Secret) -> Result<LookedUp, KeyFault> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        ttl: i64,
        #[serde(default)]
        renewable: bool,
        #[serde(default)]
        policies: Option<Vec<String>>,
    }
    let path = "auth/token/lookup-self";
    let reply = server
        .exchange(Method::Get, path, Some(token), None)
        .await?;
    if !(200..300).contains(&reply.status) {
        return Err(refused(server, "token", path, &reply));
    }
    let body = Secret::new(reply.body);
    let answer: Answer = canon::parse_as(body.expose(), limits::KEY_SERVICE)
        .map_err(|e| Refusal::garbled(&e.to_string()))?;
    let policies = answer.data.policies.unwrap_or_default();
    Ok(LookedUp {
        lease: Lease::new(answer.data.ttl, answer.data.renewable),
        is_root: policies.iter().any(|policy| policy == "root"),
    })
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: i64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    mfa_requirement: Option<Value>,
}

fn read_auth(reply: Reply) -> Result<Auth, KeyFault> {
    #[derive(Deserialize)]
    struct Answer {
        auth: Option<Auth>,
    }
    let body = Secret::new(reply.body);
    let answer: Answer = canon::parse_as(body.expose(), limits::KEY_SERVICE)
        .map_err(|e| Refusal::garbled(&e.to_string()))?;
    answer
        .auth
        .ok_or_else(|| Refusal::garbled("the answer to a login holds no token"))
}

fn refused(server: &Server, how: &'static str, path: &str, reply: &Reply) -> KeyFault {
    let refusal = Refusal::read(&server.endpoint, reply);
    let said = refusal.said.text.clone();
    match reply.status {
        404 => missing(&format!("there is no login at {path}: {said}")),
        400..=499 if reply.status != 429 => KeyFault::Login {
            provider: PROVIDER,
            how,
            cause: said,
        },
        _ => refusal.fault(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_where_vaults_tools_keep_them() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().display().to_string();
        let with = |name: &str| Environment::from([("HOME", path.as_str()), (name, "s.x")]);
        let none = default_token(&with("OTHER"));
        assert!(matches!(none, Err(KeyFault::NotConfigured { .. })));
        for name in ["VAULT_TOKEN", "BAO_TOKEN"] {
            let found = default_token(&with(name)).unwrap();
            assert_eq!(found, SecretSource::Env(name.to_owned()));
        }
        std::fs::write(home.path().join(".vault-token"), "s.file\n").unwrap();
        let found = default_token(&with("OTHER")).unwrap();
        assert_eq!(found, SecretSource::File(home.path().join(".vault-token")));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused_and_not_shown() {
        for bad in ["", "hunter2\nX-Other: 1", "hunter2 x", "hunter2é"] {
            let refused = checked(Secret::from(bad.to_owned()), "token").unwrap_err();
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }
}
