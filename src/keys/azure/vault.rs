//! One vault: a client of Microsoft's SDK, and the few calls that are made.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions, Transport as SdkTransport, UserAgentOptions};
use azure_security_keyvault_keys::models::{
    CreateKeyParameters, Key, KeyAttributes, KeyClientGetKeyOptions, KeyClientSignOptions,
    KeyClientUpdateKeyPropertiesOptions, KeyOperationResult, KeyProperties, SignParameters,
    UpdateKeyPropertiesParameters,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use futures_core::Stream;

use super::PROVIDER;
use super::fault::{self, Asked, SIGN};
use super::login::{self, not_configured};
use super::look_up::version_of;
use super::transport::Transport;
use super::uri::{Name, audience};
use crate::http::Options;
use crate::keys::KeyFault;
use crate::keys::context::Context;
use crate::keys::settings::Azure;
use crate::limits;

pub(super) struct Vault {
    client: KeyClient,
    /// Where it is really asked.
    endpoint: String,
    how: &'static str,
    deadline: Duration,
}

impl Vault {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// `NotConfigured`.
    pub(super) fn new(host: &str, settings: &Azure, context: &Context) -> Result<Self, KeyFault> {
        let vault = format!("https://{host}");
        let endpoint = endpoint(host, settings)?;
        let environment = &context.environment;
        let authority = login::authority(settings, environment)?;
        // The SDK takes no plain address, so it never sees that one is meant.
        let shown = authority.replacen("http://", "https://", 1);
        let authorities = match &settings.ca {
            None => Vec::new(),
            Some(file) => vec![
                crate::durable::read(file, limits::KEY_FILE)
                    .map_err(|e| not_configured(format!("ca in [keys.azure]: {e}")))?,
            ],
        };
        let transport = Transport {
            client: context.http(
                PROVIDER,
                Options {
                    authorities,
                    ..Options::default()
                },
            )?,
            deadline: context.deadline,
            vault: vault.clone(),
            audience: audience(host),
            routes: vec![
                (vault.clone(), endpoint.clone()),
                (shown.clone(), authority),
            ],
        };
        let client_options = ClientOptions {
            transport: Some(SdkTransport::new(Arc::new(transport))),
            // The transport knows what may be sent twice.
            retry: RetryOptions::none(),
            user_agent: UserAgentOptions {
                application_id: Some("obreia".to_owned()),
            },
            ..ClientOptions::default()
        };
        let way = login::way(settings, environment)?;
        let credential =
            login::credential(way, settings, environment, shown, client_options.clone())?;
        let options = KeyClientOptions {
            client_options,
            ..KeyClientOptions::default()
        };
        let client = KeyClient::new(&vault, credential, Some(options))
            .map_err(|e| not_configured(e.to_string()))?;
        Ok(Self {
            client,
            endpoint,
            how: login::name(way),
            deadline: context.deadline,
        })
    }

    /// Scheme, host and port of where it is really asked.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The newest version, or that one.
    pub(super) async fn get(&self, name: &Name, version: Option<&str>) -> Result<Key, KeyFault> {
        let options = KeyClientGetKeyOptions {
            key_version: version.map(str::to_owned),
            ..KeyClientGetKeyOptions::default()
        };
        let shown = shown(name, version);
        let got = self
            .within(&shown, "read", async {
                self.client
                    .get_key(&name.key, Some(options))
                    .await?
                    .into_model()
            })
            .await;
        match got {
            Err(KeyFault::NoSuchKey(_)) if self.is_deleted(name).await => {
                Err(KeyFault::PendingDeletion(shown))
            }
            got => got,
        }
    }

    /// Whether the key lies among the deleted ones, from which it can be taken
    /// back. That this cannot be told changes nothing: there is no such key.
    async fn is_deleted(&self, name: &Name) -> bool {
        let asking = async { self.client.get_deleted_key(&name.key, None).await };
        self.within("", "read", asking).await.is_ok()
    }

    /// All versions, whatever their state.
    pub(super) async fn versions(&self, name: &Name) -> Result<Vec<KeyProperties>, KeyFault> {
        let shown = shown(name, None);
        let mut pages = self
            .client
            .list_key_properties_versions(&name.key, None)
            .map_err(|e| fault::fault(&e, &self.asked(&shown, "list the versions of")))?
            .into_pages();
        let mut found = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut pages).poll_next(cx));
            let page = self
                .within(&shown, "list the versions of", async {
                    next.await.map(|page| page?.into_model()).transpose()
                })
                .await?;
            let Some(page) = page else { return Ok(found) };
            found.extend(page.value);
            if found.len() > limits::KEY_VERSIONS {
                return Err(KeyFault::Provider {
                    provider: PROVIDER,
                    cause: format!(
                        "{shown} has more than {} versions: name the one that is meant",
                        limits::KEY_VERSIONS
                    ),
                });
            }
        }
    }

    /// The version that is named, or all, oldest first, each with whether it is
    /// enabled.
    pub(super) async fn states(&self, name: &Name) -> Result<Vec<(String, bool)>, KeyFault> {
        let enabled = |attributes: Option<&KeyAttributes>| {
            attributes.and_then(|attributes| attributes.enabled) != Some(false)
        };
        if let Some(version) = &name.version {
            let key = self.get(name, Some(version)).await?;
            return Ok(vec![(version.clone(), enabled(key.attributes.as_ref()))]);
        }
        let mut found = Vec::new();
        let mut versions = self.versions(name).await?;
        versions.sort_by_key(|version| version.attributes.as_ref().and_then(|a| a.created));
        for listed in versions {
            let version = version_of(name, listed.kid.as_deref())?;
            found.push((version, enabled(listed.attributes.as_ref())));
        }
        if found.is_empty() {
            // Why there are none, or that somebody made one meanwhile.
            let key = self.get(name, None).await?;
            let kid = key.key.as_ref().and_then(|key| key.kid.as_deref());
            let version = version_of(name, kid)?;
            found.push((version, enabled(key.attributes.as_ref())));
        }
        Ok(found)
    }

    /// The names of all keys, whatever their state; `shown` is the vault.
    pub(super) async fn keys(&self, shown: &str) -> Result<Vec<String>, KeyFault> {
        let doing = "list the keys of";
        let mut pages = self
            .client
            .list_key_properties(None)
            .map_err(|e| fault::fault(&e, &self.asked(shown, doing)))?
            .into_pages();
        let mut found = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut pages).poll_next(cx));
            let page = self
                .within(shown, doing, async {
                    next.await.map(|page| page?.into_model()).transpose()
                })
                .await?;
            let Some(page) = page else { return Ok(found) };
            let names = page.value.iter().filter_map(|key| {
                let (_, name) = key.kid.as_deref()?.rsplit_once("/keys/")?;
                let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                let name = name.split('/').next().unwrap_or_default();
                (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_owned())
            });
            found.extend(names);
            if found.len() > limits::KEYS_LISTED {
                return Err(KeyFault::Provider {
                    provider: PROVIDER,
                    cause: format!(
                        "{shown} has more than {} keys: name the one that is meant",
                        limits::KEYS_LISTED
                    ),
                });
            }
        }
    }

    /// Signs once.
    pub(super) async fn sign(
        &self,
        name: &Name,
        version: &str,
        parameters: SignParameters,
    ) -> Result<KeyOperationResult, KeyFault> {
        let options = KeyClientSignOptions {
            key_version: Some(version.to_owned()),
            ..KeyClientSignOptions::default()
        };
        self.within(&shown(name, Some(version)), SIGN, async {
            let content = parameters.try_into()?;
            self.client
                .sign(&name.key, content, Some(options))
                .await?
                .into_model()
        })
        .await
    }

    /// Makes a key, or a new version where there is one.
    pub(super) async fn create(
        &self,
        name: &Name,
        parameters: CreateKeyParameters,
    ) -> Result<Key, KeyFault> {
        self.within(&shown(name, None), "make", async {
            let content = parameters.try_into()?;
            self.client
                .create_key(&name.key, content, None)
                .await?
                .into_model()
        })
        .await
    }

    /// A new version, as the key's rotation policy has it.
    pub(super) async fn rotate(&self, name: &Name) -> Result<Key, KeyFault> {
        self.within(&shown(name, None), "rotate", async {
            self.client.rotate_key(&name.key, None).await?.into_model()
        })
        .await
    }

    /// Changes a version's attributes.
    pub(super) async fn update(
        &self,
        name: &Name,
        version: &str,
        parameters: UpdateKeyPropertiesParameters,
    ) -> Result<Key, KeyFault> {
        let options = KeyClientUpdateKeyPropertiesOptions {
            key_version: Some(version.to_owned()),
            ..KeyClientUpdateKeyPropertiesOptions::default()
        };
        self.within(&shown(name, Some(version)), "change", async {
            let content = parameters.try_into()?;
            self.client
                .update_key_properties(&name.key, content, Some(options))
                .await?
                .into_model()
        })
        .await
    }

    /// The deadline holds for logging in, waiting and asking together.
    async fn within<T>(
        &self,
        key: &str,
        doing: &'static str,
        asking: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T, KeyFault> {
        match tokio::time::timeout(self.deadline, asking).await {
            Ok(answer) => answer.map_err(|e| fault::fault(&e, &self.asked(key, doing))),
            Err(_) => Err(KeyFault::Deadline {
                provider: PROVIDER,
                seconds: self.deadline.as_secs(),
            }),
        }
    }

    fn asked<'a>(&'a self, key: &'a str, doing: &'static str) -> Asked<'a> {
        Asked {
            key,
            doing,
            endpoint: &self.endpoint,
            how: self.how,
        }
    }
}

/// Where a vault is really asked.
///
/// # Errors
/// `NotConfigured`.
pub(super) fn endpoint(host: &str, settings: &Azure) -> Result<String, KeyFault> {
    match &settings.endpoint {
        None => Ok(format!("https://{host}")),
        Some(address) => crate::http::origin(address)
            .map_err(|why| not_configured(format!("endpoint in [keys.azure]: {why}"))),
    }
}

fn shown(name: &Name, version: Option<&str>) -> String {
    match version {
        Some(version) => name.one(version).to_string(),
        None => name.whole().to_string(),
    }
}
