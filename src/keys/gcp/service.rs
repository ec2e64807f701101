//! A client of Google's SDK, and the few calls that are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use google_cloud_kms_v1::client::KeyManagementService;
use google_cloud_kms_v1::model::crypto_key::CryptoKeyPurpose;
use google_cloud_kms_v1::model::{
    AsymmetricSignRequest, AsymmetricSignResponse, CryptoKey, CryptoKeyVersion, PublicKey,
    UpdateCryptoKeyVersionRequest,
};
use tokio::task::JoinHandle;

use super::PROVIDER;
use super::fault::{self, Asked, MAKE};
use super::login::{self, MACHINE, not_configured};
use super::transport::Transport;
use super::uri::Name;
use crate::http::Options;
use crate::keys::KeyFault;
use crate::keys::context::Context;
use crate::keys::settings::Gcp;
use crate::limits;

const ENDPOINT: &str = "https://cloudkms.googleapis.com";
/// How many versions are asked for at once; the service gives no more.
const PAGE: i32 = 1000;
/// How many times one asks for the next ones.
const PAGES: u32 = 20;
/// How long the service that tells a machine its identity may take: where there
/// is none, nobody should wait for the whole deadline to be told.
const IDENTITY: Duration = Duration::from_secs(10);

pub(super) struct Service {
    client: KeyManagementService,
    endpoint: String,
    how: &'static str,
    deadline: Duration,
    /// Set once a login failed: the SDK keeps what came of it for good, also a
    /// page that somebody in between sent.
    refused: AtomicBool,
    /// Ends with the runtime in which the SDK's own tasks run.
    runtime: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

/// Where the service is asked, and what it showed is noted under.
///
/// # Errors
/// `NotConfigured`.
pub(super) fn endpoint(settings: &Gcp) -> Result<String, KeyFault> {
    match &settings.endpoint {
        None => Ok(ENDPOINT.to_owned()),
        Some(address) => crate::http::origin(address)
            .map_err(|why| not_configured(format!("endpoint in [keys.gcp]: {why}"))),
    }
}

impl Service {
    /// Scheme, host and port.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Connects to nothing yet; must be called where a runtime runs.
    ///
    /// # Errors
    /// `NotConfigured`.
    pub(super) fn new(settings: &Gcp, context: &Context) -> Result<Arc<Self>, KeyFault> {
        let endpoint = endpoint(settings)?;
        let authorities = match &settings.ca {
            None => Vec::new(),
            Some(file) => vec![
                crate::durable::read(file, limits::KEY_FILE)
                    .map_err(|e| not_configured(format!("ca in [keys.gcp]: {e}")))?,
            ],
        };
        let options = Options {
            authorities,
            ..Options::default()
        };
        let client = context.http(PROVIDER, options)?;
        let (credentials, how) = login::credentials(settings, &context.environment)?;
        let transport = Transport {
            client,
            endpoint: endpoint.clone(),
            credentials,
            login: (how == MACHINE).then_some(IDENTITY),
            deadline: context.deadline,
        };
        Ok(Arc::new(Self {
            client: KeyManagementService::from_stub(transport),
            endpoint,
            how,
            deadline: context.deadline,
            refused: AtomicBool::new(false),
            runtime: tokio::spawn(std::future::pending()),
        }))
    }

    /// Whether it can be asked again. Its tokens are renewed by tasks of the
    /// runtime that it was made in.
    pub(super) fn is_alive(&self) -> bool {
        !self.runtime.is_finished() && !self.refused.load(Ordering::Relaxed)
    }

    pub(super) async fn public_key(
        &self,
        name: &Name,
        version: u32,
    ) -> Result<PublicKey, KeyFault> {
        let request = self.client.get_public_key();
        let sending = request.set_name(name.resource(version)).send();
        self.ask(name, Some(version), "read the public key of", sending)
            .await
    }

    pub(super) async fn version(
        &self,
        name: &Name,
        version: u32,
    ) -> Result<CryptoKeyVersion, KeyFault> {
        let request = self.client.get_crypto_key_version();
        let sending = request.set_name(name.resource(version)).send();
        self.ask(name, Some(version), "look at", sending).await
    }

    /// The versions that `filter` lets through, in no order.
    pub(super) async fn versions(
        &self,
        name: &Name,
        filter: &str,
    ) -> Result<Vec<CryptoKeyVersion>, KeyFault> {
        let mut found = Vec::new();
        let mut token = String::new();
        for _ in 0..PAGES {
            let request = self.client.list_crypto_key_versions();
            let request = request.set_parent(name.key.clone()).set_filter(filter);
            let sending = request.set_page_size(PAGE).set_page_token(token).send();
            let page = self
                .ask(name, None, "list the versions of", sending)
                .await?;
            found.extend(page.crypto_key_versions);
            if found.len() > limits::KEY_VERSIONS {
                return Err(KeyFault::Provider {
                    provider: PROVIDER,
                    cause: format!(
                        "{} has more than {} versions: name the one that is meant",
                        name.whole(),
                        limits::KEY_VERSIONS
                    ),
                });
            }
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            token = page.next_page_token;
        }
        // Pages may be empty where a filter lets nothing through.
        Err(super::broken("its list of versions does not end"))
    }

    /// The keys of `ring` that sign, in no order; `shown` is the key ring.
    pub(super) async fn keys(&self, ring: &str, shown: &str) -> Result<Vec<Name>, KeyFault> {
        let mut found = Vec::new();
        let mut token = String::new();
        for _ in 0..PAGES {
            let request = self.client.list_crypto_keys().set_parent(ring);
            let sending = request.set_page_size(PAGE).set_page_token(token).send();
            let page = self.asked(shown, None, "list the keys of", sending).await;
            let page = page.map_err(|fault| match fault {
                KeyFault::NoSuchKey(_) => not_configured(format!("there is no key ring {ring}")),
                fault => fault,
            })?;
            for key in page.crypto_keys {
                if key.purpose == CryptoKeyPurpose::AsymmetricSign {
                    found.push(
                        Name::of(ring, &key.name)
                            .ok_or_else(|| super::broken("it listed a key of another key ring"))?,
                    );
                }
            }
            if found.len() > limits::KEYS_LISTED {
                return Err(KeyFault::Provider {
                    provider: PROVIDER,
                    cause: format!(
                        "{shown} has more than {} keys: name the one that is meant",
                        limits::KEYS_LISTED
                    ),
                });
            }
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            token = page.next_page_token;
        }
        Err(super::broken("its list of keys does not end"))
    }

    /// Signs once.
    pub(super) async fn sign(
        &self,
        name: &Name,
        version: u32,
        request: AsymmetricSignRequest,
    ) -> Result<AsymmetricSignResponse, KeyFault> {
        let sending = self.client.asymmetric_sign().with_request(request).send();
        self.ask(name, Some(version), "sign with", sending).await
    }

    pub(super) async fn create(&self, name: &Name, key: CryptoKey) -> Result<CryptoKey, KeyFault> {
        let (parent, id) = name.key.split_once("/cryptoKeys/").unwrap_or_default();
        let request = self.client.create_crypto_key().set_parent(parent);
        let sending = request.set_crypto_key_id(id).set_crypto_key(key).send();
        self.ask(name, None, MAKE, sending).await
    }

    pub(super) async fn rotate(&self, name: &Name) -> Result<CryptoKeyVersion, KeyFault> {
        let request = self.client.create_crypto_key_version();
        let sending = request
            .set_parent(name.key.clone())
            .set_crypto_key_version(CryptoKeyVersion::new())
            .send();
        self.ask(name, None, "rotate", sending).await
    }

    pub(super) async fn update(
        &self,
        name: &Name,
        version: u32,
        request: UpdateCryptoKeyVersionRequest,
    ) -> Result<CryptoKeyVersion, KeyFault> {
        let request = self
            .client
            .update_crypto_key_version()
            .with_request(request);
        self.ask(name, Some(version), "change", request.send())
            .await
    }

    async fn ask<T>(
        &self,
        name: &Name,
        version: Option<u32>,
        doing: &'static str,
        sending: impl Future<Output = google_cloud_gax::Result<T>>,
    ) -> Result<T, KeyFault> {
        let key = name.whole().to_string();
        self.asked(&key, version, doing, sending).await
    }

    /// Sends, within the deadline for logging in and asking together; `key` is
    /// what is asked of.
    async fn asked<T>(
        &self,
        key: &str,
        version: Option<u32>,
        doing: &'static str,
        sending: impl Future<Output = google_cloud_gax::Result<T>>,
    ) -> Result<T, KeyFault> {
        let answer = tokio::time::timeout(self.deadline, sending)
            .await
            .map_err(|_| KeyFault::Deadline {
                provider: PROVIDER,
                seconds: self.deadline.as_secs(),
            })?;
        answer.map_err(|error| {
            let asked = Asked {
                key,
                version,
                doing,
                endpoint: &self.endpoint,
                how: self.how,
            };
            let fault = fault::fault(&error, &asked);
            // Whatever kept it from logging in, and where the service does not
            // take what it logged in with.
            if error.is_authentication() || matches!(fault, KeyFault::Login { .. }) {
                self.refused.store(true, Ordering::Relaxed);
            }
            fault
        })
    }
}
