use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::Client;
use tokio::sync::Mutex;

use super::PROVIDER;
use super::connector::Http;
use super::name::Name;
use crate::durable;
use crate::http::{self, Options};
use crate::keys::context::{Context, from_http};
use crate::keys::{Aws, KeyFault};
use crate::limits;

/// The most attempts for one request, where AWS turns it away or fails.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Endpoint and region, as far as they were said.
type Where = (Option<String>, Option<String>);

/// The endpoints that keys are at, each with its own client.
pub(super) struct Places {
    settings: Aws,
    context: Context,
    made: Mutex<BTreeMap<Where, Arc<Place>>>,
}

/// One endpoint.
pub(super) struct Place {
    pub(super) client: Client,
    /// Scheme, host and port, for messages.
    pub(super) endpoint: String,
    /// For one request with all its attempts, in seconds.
    pub(super) seconds: u64,
}

impl Places {
    pub(super) fn new(settings: Aws, context: Context) -> Self {
        Self {
            settings,
            context,
            made: Mutex::default(),
        }
    }

    /// Where the key is; credentials are asked for with the first request.
    pub(super) async fn of(&self, name: &Name) -> Result<Arc<Place>, KeyFault> {
        self.at((self.endpoint(name.endpoint.as_deref()), self.region(name)))
            .await
    }

    /// Where keys are that say neither endpoint nor region.
    pub(super) async fn usual(&self) -> Result<Arc<Place>, KeyFault> {
        self.at((self.endpoint(None), self.usual_region())).await
    }

    /// What the keys there are noted under. Which account answers is not known
    /// before it does; the profile is what is known of it.
    pub(super) fn name(&self, name: &Name) -> String {
        let profile = self.settings.profile.clone();
        let profile = profile.or_else(|| self.context.environment.get("AWS_PROFILE"));
        let endpoint = self.endpoint(name.endpoint.as_deref());
        [endpoint, self.region(name), profile]
            .map(Option::unwrap_or_default)
            .join(" ")
    }

    /// The region that the name, the configuration or the environment says.
    pub(super) fn region(&self, name: &Name) -> Option<String> {
        name.region.clone().or_else(|| self.usual_region())
    }

    fn usual_region(&self) -> Option<String> {
        let environment = &self.context.environment;
        self.settings
            .region
            .clone()
            .or_else(|| environment.get("AWS_REGION"))
            .or_else(|| environment.get("AWS_DEFAULT_REGION"))
    }

    /// A host in a URI is spoken to by https, unless it is the very one that
    /// is configured with http.
    fn endpoint(&self, host: Option<&str>) -> Option<String> {
        let environment = &self.context.environment;
        let ignored = environment
            .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let of_environment = || {
            let own = environment.get("AWS_ENDPOINT_URL_KMS");
            own.or_else(|| environment.get("AWS_ENDPOINT_URL"))
                .filter(|_| !ignored)
        };
        let configured = self.settings.endpoint.clone().or_else(of_environment);
        let Some(host) = host else { return configured };
        let in_clear = format!("http://{host}");
        configured
            .filter(|url| url.trim_end_matches('/') == in_clear)
            .or_else(|| Some(format!("https://{host}")))
    }

    async fn at(&self, place: Where) -> Result<Arc<Place>, KeyFault> {
        let mut made = self.made.lock().await;
        if let Some(place) = made.get(&place) {
            return Ok(Arc::clone(place));
        }
        let (endpoint, region) = place.clone();
        let making = tokio::time::timeout(self.context.deadline, self.make(endpoint, region));
        let new = making.await.map_err(|_| KeyFault::Deadline {
            provider: PROVIDER,
            seconds: self.context.deadline.as_secs(),
        })?;
        let new = Arc::new(new?);
        made.insert(place, Arc::clone(&new));
        Ok(new)
    }

    async fn make(
        &self,
        endpoint: Option<String>,
        region: Option<String>,
    ) -> Result<Place, KeyFault> {
        let client = Http {
            client: self.context.http(PROVIDER, self.options()?)?,
            deadline: self.context.deadline,
        };
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(client.clone())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(self.context.deadline)
                    .build(),
            )
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_initial_backoff(FIRST_PAUSE)
                    .with_max_backoff(LONGEST_PAUSE),
            );
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Some(profile) = self.profile() {
            loader = loader.profile_name(profile);
        }
        let shared = match self.credentials(&client) {
            Some(provider) => loader.credentials_provider(provider),
            None => loader,
        }
        .load()
        .await;
        let Some(region) = shared.region() else {
            return Err(KeyFault::NotConfigured {
                provider: PROVIDER,
                why: "no region is known: name the key by its ARN, or set AWS_REGION, or region in [keys.aws]".to_owned(),
            });
        };
        let shown = match endpoint.as_deref().or_else(|| shared.endpoint_url()) {
            Some(url) => http::endpoint(url).map_err(|fault| from_http(PROVIDER, fault))?,
            None => format!("https://kms.{region}.amazonaws.com"),
        };
        let mut config = aws_sdk_kms::config::Builder::from(&shared);
        config.set_endpoint_url(endpoint.or_else(|| shared.endpoint_url().map(ToOwned::to_owned)));
        Ok(Place {
            client: Client::from_conf(config.build()),
            endpoint: shown,
            seconds: self.context.deadline.as_secs(),
        })
    }

    fn profile(&self) -> Option<String> {
        let configured = self.settings.profile.clone();
        configured.or_else(|| self.context.environment.get("AWS_PROFILE"))
    }

    /// Credentials that were said; otherwise the SDK looks in all the places
    /// that AWS' tools look in.
    fn credentials(&self, http: &Http) -> Option<SharedCredentialsProvider> {
        if let Some(profile) = &self.settings.profile {
            let config = ProviderConfig::without_region().with_http_client(http.clone());
            let provider = aws_config::profile::ProfileFileCredentialsProvider::builder()
                .configure(&config)
                .profile_name(profile)
                .build();
            return Some(SharedCredentialsProvider::new(provider));
        }
        let environment = &self.context.environment;
        let of = |name| environment.get(name).map(|value| value.trim().to_owned());
        let credentials = Credentials::new(
            of("AWS_ACCESS_KEY_ID")?,
            of("AWS_SECRET_ACCESS_KEY")?,
            of("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Some(SharedCredentialsProvider::new(credentials))
    }

    fn options(&self) -> Result<Options, KeyFault> {
        let of_environment = || self.context.environment.get("AWS_CA_BUNDLE");
        let ca = self.settings.ca.clone();
        let mut options = Options::default();
        if let Some(file) = ca.or_else(|| of_environment().map(Into::into)) {
            let pem = durable::read(&file, limits::KEY_SERVICE);
            options
                .authorities
                .push(pem.map_err(|e| KeyFault::NotConfigured {
                    provider: PROVIDER,
                    why: format!("the certificates of authorities cannot be read: {e}"),
                })?);
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::keys::Settings;
    use crate::time::{Clock, Timestamp};

    fn endpoint<const N: usize>(
        configured: Option<&str>,
        environment: [(&str, &str); N],
        host: Option<&str>,
    ) -> Option<String> {
        let settings = Settings {
            environment: Environment::from(environment),
            ..Settings::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(0));
        let aws = Aws {
            endpoint: configured.map(ToOwned::to_owned),
            ..Aws::default()
        };
        Places::new(aws, Context::new(&settings, &clock)).endpoint(host)
    }

    #[test]
    fn the_name_comes_before_the_configuration_and_that_before_the_environment() {
        let both = [
            ("AWS_ENDPOINT_URL_KMS", "https://k"),
            ("AWS_ENDPOINT_URL", "https://a"),
        ];
        assert_eq!(endpoint(None, [], None), None);
        assert_eq!(endpoint(None, both, None).as_deref(), Some("https://k"));
        assert_eq!(
            endpoint(None, [both[1]], None).as_deref(),
            Some("https://a")
        );
        assert_eq!(
            endpoint(Some("https://c"), both, None).as_deref(),
            Some("https://c")
        );
        assert_eq!(
            endpoint(Some("https://c"), both, Some("n")).as_deref(),
            Some("https://n")
        );
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert_eq!(endpoint(None, [both[0], both[1], ignore], None), None);
    }

    #[test]
    fn a_host_in_a_name_is_https_unless_the_same_is_configured_with_http() {
        let here = Some("http://127.0.0.1:4566/");
        let spoken = |host| endpoint(here, [], Some(host)).unwrap();
        assert_eq!(spoken("127.0.0.1:4566"), "http://127.0.0.1:4566/");
        for host in ["127.0.0.1:4567", "127.0.0.1", "kms.example"] {
            assert_eq!(spoken(host), format!("https://{host}"));
        }
    }
}
