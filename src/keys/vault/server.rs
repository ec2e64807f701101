//! Where the server is and how it is reached.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::PROVIDER;
use super::name::{Name, is_path};
use super::session::Session;
use crate::durable;
use crate::environment::Environment;
use crate::http::{self, Client, Options};
use crate::keys::context::{Context, from_http};
use crate::keys::{KeyFault, Vault, Warning, expiry};
use crate::limits;
use crate::secret::Secret;

const DEFAULT_MOUNT: &str = "transit";

/// One server, as configured.
pub(super) struct Server {
    /// Without a slash at its end.
    pub(super) address: String,
    /// Scheme, host and port.
    pub(super) endpoint: String,
    pub(super) namespace: Option<String>,
    pub(super) mount: String,
    /// For one request with all its attempts.
    pub(super) deadline: Duration,
    pub(super) session: Session,
    settings: Vault,
    context: Context,
    client: OnceLock<Client>,
}

impl Server {
    /// What the configuration says, and where it is silent the environment.
    /// Connects to nothing.
    pub(super) fn new(settings: &Vault, context: &Context) -> Result<Self, KeyFault> {
        let environment = &context.environment;
        let address = settings
            .address
            .clone()
            .or_else(|| either(environment, "ADDR"))
            .ok_or_else(|| {
                missing("there is no address: set keys.vault.address, VAULT_ADDR or BAO_ADDR")
            })?;
        let address = address.trim_end_matches('/').to_owned();
        let endpoint = http::endpoint(&address).map_err(|fault| from_http(PROVIDER, fault))?;
        if address.contains(['@', '?', '#']) {
            return Err(missing(
                "the address has a user name, a query or a fragment, which it cannot have",
            ));
        }
        let private = reqwest::Url::parse(&endpoint).is_ok_and(|url| http::is_private(&url));
        if !private && !settings.allow_http {
            return Err(missing(&format!(
                "{endpoint} would carry the token in clear: use https://, or set keys.vault.allow_http = true"
            )));
        }
        let namespace = settings
            .namespace
            .clone()
            .or_else(|| either(environment, "NAMESPACE"))
            .map(|namespace| namespace.trim_matches('/').to_owned())
            .filter(|namespace| !namespace.is_empty());
        let mount = settings
            .mount
            .clone()
            .or_else(|| environment.get("TRANSIT_SECRET_ENGINE_PATH"))
            .unwrap_or_else(|| DEFAULT_MOUNT.to_owned());
        let mount = mount.trim_matches('/').to_owned();
        for (what, path) in [("mount", Some(&mount)), ("namespace", namespace.as_ref())] {
            if path.is_some_and(|path| !is_path(path)) {
                return Err(missing(&format!("its {what} is not a path")));
            }
        }
        Ok(Self {
            session: Session::new(settings.auth.clone(), context),
            settings: settings.clone(),
            context: context.clone(),
            client: OnceLock::new(),
            address,
            endpoint,
            namespace,
            mount,
            deadline: context.deadline,
        })
    }

    /// The connections, made for the first request.
    pub(super) fn client(&self) -> Result<&Client, KeyFault> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let options = options(&self.settings, &self.context.environment)?;
        let client = self.context.http(PROVIDER, options)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// What will end of the certificates that the connection is made with.
    pub(super) fn certificates(&self) -> Result<Vec<Warning>, KeyFault> {
        let environment = &self.context.environment;
        let named = |set: Option<&PathBuf>, variable| {
            let file = set.cloned();
            file.or_else(|| either(environment, variable).map(Into::into))
        };
        let client = self.settings.client.as_ref().map(|c| &c.certificate);
        let now = self.context.clock.now();
        let mut told = Vec::new();
        for (what, file) in [
            (
                "authority's certificate",
                named(self.settings.ca.as_ref(), "CACERT"),
            ),
            ("client certificate", named(client, "CLIENT_CERT")),
        ] {
            let Some(file) = file else { continue };
            let end = expiry::of_pem(&read(&file)?);
            let what = format!("the {what} {}", file.display());
            told.extend(expiry::warning(
                "certificate-expires",
                &what,
                end,
                now,
                expiry::MONTH,
            ));
        }
        Ok(told)
    }

    /// The mount that `key` is in.
    pub(super) fn mount<'a>(&'a self, key: &'a Name) -> &'a str {
        key.mount.as_deref().unwrap_or(&self.mount)
    }

    /// The namespace that `key` is in.
    pub(super) fn namespace<'a>(&'a self, key: &'a Name) -> Option<&'a str> {
        key.namespace.as_deref().or(self.namespace.as_deref())
    }

    /// What `sys/health` says with a status that is not 200.
    pub(super) fn unhealthy(&self, status: u16) -> KeyFault {
        let state = match status {
            429 => "in standby",
            472 => "a disaster recovery secondary",
            473 => "a performance standby",
            501 => "not initialised",
            503 => "sealed",
            _ => {
                return KeyFault::Provider {
                    provider: PROVIDER,
                    cause: format!("its health check answered {status}"),
                };
            }
        };
        KeyFault::Sealed {
            provider: PROVIDER,
            endpoint: self.endpoint.clone(),
            state,
        }
    }

    /// The key's identity, by whatever URI it is named.
    pub(super) fn id(&self, key: &Name) -> String {
        let mut id = format!("{}/v1/", self.address);
        if let Some(namespace) = self.namespace(key) {
            id.push_str(namespace);
            id.push('/');
        }
        id.push_str(&format!("{}/keys/{}", self.mount(key), key.name));
        id
    }
}

fn options(settings: &Vault, environment: &Environment) -> Result<Options, KeyFault> {
    let mut options = Options::default();
    let ca = settings
        .ca
        .clone()
        .or_else(|| either(environment, "CACERT").map(Into::into));
    if let Some(ca) = ca {
        options.authorities.push(read(&ca)?);
    }
    let identity = match &settings.client {
        Some(client) => {
            let key = client.key.fetch(environment).map_err(|e| {
                missing(&format!("the client certificate's key cannot be read: {e}"))
            })?;
            Some((client.certificate.clone(), key))
        }
        None => match (
            either(environment, "CLIENT_CERT"),
            either(environment, "CLIENT_KEY"),
        ) {
            (Some(certificate), Some(key)) => {
                Some((certificate.into(), Secret::new(read(Path::new(&key))?)))
            }
            _ => None,
        },
    };
    if let Some((certificate, key)) = identity {
        let mut pem = read(&certificate)?;
        pem.push(b'\n');
        pem.extend_from_slice(key.expose());
        options.identity = Some(Secret::new(pem));
    }
    Ok(options)
}

fn read(path: &Path) -> Result<Vec<u8>, KeyFault> {
    durable::read(path, limits::DOCUMENT).map_err(|e| missing(&e.to_string()))
}

/// `VAULT_…`, or what OpenBao calls the same.
pub(super) fn either(environment: &Environment, name: &str) -> Option<String> {
    environment
        .get(&format!("VAULT_{name}"))
        .or_else(|| environment.get(&format!("BAO_{name}")))
}

pub(super) fn missing(why: &str) -> KeyFault {
    KeyFault::NotConfigured {
        provider: PROVIDER,
        why: why.to_owned(),
    }
}
