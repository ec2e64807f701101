use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::address::{is_local, repository};
use super::auth::{Credentials, Scope};
use super::host::{Clients, Host};
use super::{ClientCertificate, RegistryFault, Settings};
use crate::digest::Digest;
use crate::durable;
use crate::environment::Environment;
use crate::http::{Client, Options};
use crate::limits;
use crate::secret::Secret;

/// How registries are reached by this process.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What the configuration says.
    pub settings: Settings,
    /// Credentials that were named on the command line.
    pub auth_file: Option<PathBuf>,
    /// Hosts, with their ports, that are spoken to without TLS, beside those of
    /// the configuration.
    pub plain_http: Vec<String>,
    /// No connection may be opened.
    pub offline: bool,
    /// The environment at start.
    pub environment: Environment,
}

/// The registries of this process: one pool of connections, and each token got
/// once. Opens nothing by itself.
pub struct Registries {
    access: Access,
    client: Mutex<Option<Client>>,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registries({:?})", self.access)
    }
}

impl Default for Registries {
    fn default() -> Self {
        Self::new(Access::default())
    }
}

impl Registries {
    /// Reads nothing yet.
    pub fn new(access: Access) -> Self {
        Self {
            access,
            client: Mutex::default(),
            hosts: Mutex::default(),
        }
    }

    /// A repository. Asks nobody yet.
    ///
    /// # Errors
    /// `Offline`; `Settings` where an authority or the client certificate
    /// cannot be used.
    pub fn repository(&self, host: &str, name: &str) -> Result<Repository, RegistryFault> {
        if self.access.offline {
            return Err(RegistryFault::Offline {
                host: host.to_owned(),
            });
        }
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = match hosts.get(host) {
            Some(known) => Arc::clone(known),
            None => {
                let new = Arc::new(self.host(host)?);
                hosts.insert(host.to_owned(), Arc::clone(&new));
                new
            }
        };
        Ok(Repository {
            name: repository(&host.name, name).into_owned(),
            host,
        })
    }

    fn host(&self, name: &str) -> Result<Host, RegistryFault> {
        let settings = &self.access.settings;
        let listed = |hosts: &[String]| hosts.iter().any(|host| is(host, name));
        let tls = listed(&settings.tls);
        let clear = [&self.access.plain_http[..], &settings.plain_http].concat();
        if listed(&clear) && tls {
            return Err(RegistryFault::Settings(format!(
                "[registries]: {name} stands in plain_http (or --plain-http) and in tls"
            )));
        }
        let plain = listed(&clear) || is_local(name) && !tls;
        let named = self
            .access
            .auth_file
            .as_ref()
            .or(settings.auth_file.as_ref());
        let credentials = Credentials::new(named.cloned(), &self.access.environment);
        let anybody = self.client()?;
        let mut shown = settings.client.iter().filter(|(host, _)| is(host, name));
        let own = match shown.next() {
            Some((_, certificate)) => self.connecting(Some(certificate))?,
            None => anybody.clone(),
        };
        let clients = Clients { own, anybody };
        Ok(Host::new(name, plain, clear, clients, credentials))
    }

    /// For whoever has no client certificate of ours.
    fn client(&self) -> Result<Client, RegistryFault> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        Ok(client.insert(self.connecting(None)?).clone())
    }

    fn connecting(&self, shown: Option<&ClientCertificate>) -> Result<Client, RegistryFault> {
        let settings = &self.access.settings;
        let unusable = |why: String| RegistryFault::Settings(format!("[registries]: {why}"));
        let mut options = Options {
            environment: self.access.environment.clone(),
            ..Options::default()
        };
        for file in &settings.authorities {
            let pem = durable::read(file, limits::CONFIG).map_err(|e| unusable(e.to_string()))?;
            options.authorities.push(pem);
        }
        if let Some(own) = shown {
            let mut pem = durable::read(&own.certificate, limits::KEY_FILE)
                .map_err(|e| unusable(e.to_string()))?;
            let key = own
                .key
                .fetch(&self.access.environment)
                .map_err(|e| unusable(e.to_string()))?;
            pem.push(b'\n');
            pem.extend_from_slice(key.expose());
            options.identity = Some(Secret::new(pem));
        }
        Client::new(&options).map_err(|e| unusable(e.to_string()))
    }
}

/// Whether a host in the settings is the one: references are in lower case.
pub(super) fn is(listed: &str, host: &str) -> bool {
    listed.eq_ignore_ascii_case(host)
}

/// One repository of a registry. Clones share what is known of the registry.
#[derive(Clone)]
pub struct Repository {
    pub(super) host: Arc<Host>,
    /// As the registry has it.
    pub(super) name: String,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({self})")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host.name, self.name)
    }
}

impl Repository {
    /// How messages name a manifest or blob in it.
    pub fn origin(&self, digest: &Digest) -> String {
        format!("{self}@{digest}")
    }

    /// Whether the other is of the same registry.
    pub fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.host, &other.host)
    }

    pub(super) fn pull(&self) -> Scope {
        Scope::pull(&self.name)
    }

    pub(super) fn push(&self) -> Scope {
        Scope::push(&self.name)
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.name)
    }
}
