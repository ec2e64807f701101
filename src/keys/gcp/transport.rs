//! How Google's SDK reaches the network: through the same client as every other
//! provider. Its own would read answers of any length and follow redirects.

use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials};
use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::Result;
use google_cloud_gax::error::Error;
use google_cloud_gax::options::RequestOptions;
use google_cloud_gax::response::Response;
use google_cloud_kms_v1::model::{
    AsymmetricSignRequest, AsymmetricSignResponse, CreateCryptoKeyRequest,
    CreateCryptoKeyVersionRequest, CryptoKey, CryptoKeyVersion, GetCryptoKeyVersionRequest,
    GetPublicKeyRequest, ListCryptoKeyVersionsRequest, ListCryptoKeyVersionsResponse,
    ListCryptoKeysRequest, ListCryptoKeysResponse, PublicKey, UpdateCryptoKeyVersionRequest,
};
use google_cloud_kms_v1::stub::KeyManagementService;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Refusal;
use crate::http::{Client, HttpFault, Method, Request};
use crate::limits;
use crate::secret::Secret;

/// The SDK's requests, one HTTP request each.
pub(super) struct Transport {
    pub(super) client: Client,
    /// Scheme, host and port.
    pub(super) endpoint: String,
    pub(super) credentials: Credentials,
    /// For the token, where the way to log in has a limit of its own.
    pub(super) login: Option<Duration>,
    pub(super) deadline: Duration,
}

impl std::fmt::Debug for Transport {
    // The credentials are nobody's to see.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({})", self.endpoint)
    }
}

/// One of the API's methods.
struct Call<'a> {
    method: Method,
    /// Behind `/v1/`.
    path: String,
    query: Vec<(&'a str, String)>,
    body: Option<Vec<u8>>,
    /// Whether it does no harm to carry it out twice.
    repeatable: bool,
}

impl Call<'_> {
    fn look(path: String) -> Self {
        Self {
            method: Method::Get,
            path,
            query: Vec::new(),
            body: None,
            repeatable: true,
        }
    }

    fn act(path: String, body: &impl Serialize) -> Result<Self> {
        Ok(Self {
            method: Method::Post,
            body: Some(serde_json::to_vec(body).map_err(Error::ser)?),
            repeatable: false,
            ..Self::look(path)
        })
    }
}

impl Transport {
    async fn send<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Response<T>> {
        let url = self.url(&call)?;
        let headers = self.login().await?;
        let headers: Vec<(&str, &Secret)> = headers.iter().map(|(n, v)| (n.as_str(), v)).collect();
        let request = Request {
            method: call.method,
            url: &url,
            headers: &headers,
            body: call.body.map(|bytes| ("application/json", bytes.into())),
            repeatable: call.repeatable,
            deadline: self.deadline,
            limit: limits::KEY_SERVICE,
        };
        let reply = self.client.send(&request).await.map_err(Error::io)?;
        if !(200..300).contains(&reply.status) {
            return Err(Error::io(Refusal::read(reply.status, &reply.body)));
        }
        let answer = serde_json::from_slice(&reply.body).map_err(Error::deser)?;
        Ok(Response::from(answer))
    }

    fn url(&self, call: &Call<'_>) -> Result<String> {
        let bad = || {
            Error::io(HttpFault::BadUrl {
                url: self.endpoint.clone(),
            })
        };
        let mut url = reqwest::Url::parse(&self.endpoint).map_err(|_| bad())?;
        url.set_path(&format!("/v1/{}", call.path));
        // As the SDK itself asks: enumerations as numbers, which its types read.
        url.query_pairs_mut()
            .append_pair("$alt", "json;enum-encoding=int")
            .extend_pairs(call.query.iter().filter(|(_, value)| !value.is_empty()));
        Ok(url.into())
    }

    /// The headers that say who asks, and who pays.
    async fn login(&self) -> Result<Vec<(String, Secret)>> {
        let asking = self.credentials.headers(Default::default());
        let found = match self.login {
            None => asking.await,
            Some(limit) => match tokio::time::timeout(limit, asking).await {
                Ok(found) => found,
                Err(_) => {
                    let why = format!("nobody answered within {} s", limit.as_secs());
                    Err(CredentialsError::from_msg(true, why))
                }
            },
        };
        match found.map_err(Error::authentication)? {
            CacheableResource::New { data, .. } => Ok(data
                .iter()
                .filter_map(|(name, value)| {
                    let value = Secret::from(value.to_str().ok()?.to_owned());
                    Some((name.as_str().to_owned(), value))
                })
                .collect()),
            // Said to those alone who hold an earlier answer.
            CacheableResource::NotModified => Ok(Vec::new()),
        }
    }
}

impl KeyManagementService for Transport {
    async fn list_crypto_keys(
        &self,
        request: ListCryptoKeysRequest,
        _: RequestOptions,
    ) -> Result<Response<ListCryptoKeysResponse>> {
        let call = Call::look(format!("{}/cryptoKeys", request.parent));
        self.send(Call {
            query: vec![
                ("pageSize", request.page_size.to_string()),
                ("pageToken", request.page_token),
            ],
            ..call
        })
        .await
    }

    async fn list_crypto_key_versions(
        &self,
        request: ListCryptoKeyVersionsRequest,
        _: RequestOptions,
    ) -> Result<Response<ListCryptoKeyVersionsResponse>> {
        let call = Call::look(format!("{}/cryptoKeyVersions", request.parent));
        self.send(Call {
            query: vec![
                ("filter", request.filter),
                ("pageSize", request.page_size.to_string()),
                ("pageToken", request.page_token),
            ],
            ..call
        })
        .await
    }

    async fn get_crypto_key_version(
        &self,
        request: GetCryptoKeyVersionRequest,
        _: RequestOptions,
    ) -> Result<Response<CryptoKeyVersion>> {
        self.send(Call::look(request.name)).await
    }

    async fn get_public_key(
        &self,
        request: GetPublicKeyRequest,
        _: RequestOptions,
    ) -> Result<Response<PublicKey>> {
        self.send(Call::look(format!("{}/publicKey", request.name)))
            .await
    }

    async fn asymmetric_sign(
        &self,
        mut request: AsymmetricSignRequest,
        _: RequestOptions,
    ) -> Result<Response<AsymmetricSignResponse>> {
        let path = format!("{}:asymmetricSign", std::mem::take(&mut request.name));
        self.send(Call::act(path, &request)?).await
    }

    async fn create_crypto_key(
        &self,
        request: CreateCryptoKeyRequest,
        _: RequestOptions,
    ) -> Result<Response<CryptoKey>> {
        let path = format!("{}/cryptoKeys", request.parent);
        self.send(Call {
            query: vec![("cryptoKeyId", request.crypto_key_id)],
            ..Call::act(path, &request.crypto_key)?
        })
        .await
    }

    async fn create_crypto_key_version(
        &self,
        request: CreateCryptoKeyVersionRequest,
        _: RequestOptions,
    ) -> Result<Response<CryptoKeyVersion>> {
        let path = format!("{}/cryptoKeyVersions", request.parent);
        self.send(Call::act(path, &request.crypto_key_version)?)
            .await
    }

    async fn update_crypto_key_version(
        &self,
        request: UpdateCryptoKeyVersionRequest,
        _: RequestOptions,
    ) -> Result<Response<CryptoKeyVersion>> {
        let mut version = request.crypto_key_version.unwrap_or_default();
        let path = std::mem::take(&mut version.name);
        let mask = request.update_mask.unwrap_or_default().paths.join(",");
        self.send(Call {
            method: Method::Patch,
            query: vec![("updateMask", mask)],
            // To say twice what it shall be is to say it once.
            repeatable: true,
            ..Call::act(path, &version)?
        })
        .await
    }
}
