use std::net::IpAddr;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::http::{self, Client, HttpFault, Method, Request};
use crate::limits;
use crate::secret::Secret;

/// Our HTTP client, as the SDK wants to see one.
#[derive(Clone, Debug)]
pub(super) struct Http {
    pub(super) client: Client,
    /// For one request, where the SDK does not say.
    pub(super) deadline: Duration,
}

/// A request that is not sent, because anybody on the way could read and change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not encrypted: http:// is for this machine alone, use https://")]
pub(super) struct InClear(String);

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // Only requests to the machine's own metadata come with both: seconds.
        let deadline = match (settings.connect_timeout(), settings.read_timeout()) {
            (Some(connect), Some(read)) => self.deadline.min(connect.saturating_add(read)),
            _ => self.deadline,
        };
        SharedHttpConnector::new(Self {
            client: self.client.clone(),
            deadline,
        })
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.clone();
        HttpConnectorFuture::new(async move { http.send(&request).await })
    }
}

impl Http {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user = |why: String| ConnectorError::user(why.into());
        let url = request.uri();
        if !is_private(url) {
            return Err(ConnectorError::user(Box::new(InClear(bare(url)))));
        }
        let method = match request.method() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            other => return Err(user(format!("method {other}"))),
        };
        let bytes = request.body().bytes();
        let bytes = bytes.ok_or_else(|| user("a body of unknown length".to_owned()))?;
        // The client sets these itself, from the URL and the body.
        let own = ["content-type", "content-length", "host"];
        let headers: Vec<(&str, Secret)> = request
            .headers()
            .iter()
            .filter(|(name, _)| !own.contains(name))
            .map(|(name, value)| (name, Secret::from(value.to_owned())))
            .collect();
        let headers: Vec<(&str, &Secret)> = headers.iter().map(|(n, v)| (*n, v)).collect();
        let kind = request.headers().get("content-type").unwrap_or_default();
        let reply = self
            .client
            .send(&Request {
                method,
                url,
                headers: &headers,
                body: (!kind.is_empty()).then(|| (kind, bytes.to_vec().into())),
                // What may have been done is not done again; the SDK decides
                // on answers, and signs the request anew.
                repeatable: false,
                deadline: self.deadline,
                limit: limits::KEY_SERVICE,
            })
            .await
            .map_err(|fault| self.failed(fault))?;
        let status = reply.status.try_into();
        let status = status.map_err(|_| user(format!("status {}", reply.status)))?;
        let mut response = HttpResponse::new(status, SdkBody::from(reply.body.clone()));
        for (name, value) in reply.headers() {
            let kept = response
                .headers_mut()
                .try_append(name.to_owned(), value.to_owned());
            kept.map_err(|e| user(e.to_string()))?;
        }
        Ok(response)
    }

    fn failed(&self, fault: HttpFault) -> ConnectorError {
        match fault {
            // The SDK asks the machine's metadata again, as its own rules say.
            HttpFault::Deadline { .. } => ConnectorError::timeout(Box::new(fault)),
            _ => ConnectorError::other(Box::new(fault), None),
        }
    }
}

/// Encrypted, or not leaving this machine and its hypervisor: containers and
/// instances have their credentials from link-local addresses.
fn is_private(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    let of_the_hypervisor = match address {
        Ok(IpAddr::V4(v4)) => v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.segments().starts_with(&[0xfd00, 0x0ec2]),
        Err(_) => false,
    };
    http::is_private(&url) || url.scheme() == "http" && of_the_hypervisor
}

/// Without user name, path and query.
fn bare(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
        Err(_) => "the endpoint".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_clear() {
        for url in [
            "https://kms.us-east-1.amazonaws.com/",
            "http://127.0.0.1:4566/",
            "http://localhost:4566/",
            "http://[::1]:4566/",
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::254]/latest/api/token",
        ] {
            assert!(is_private(url), "{url}");
        }
        for url in [
            "http://kms.us-east-1.amazonaws.com/",
            "http://localstack:4566/",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "http://[fd00::1]/",
            "http://0.0.0.0/",
            "ftp://localhost/",
            "localhost:4566",
            "",
        ] {
            assert!(!is_private(url), "{url}");
        }
    }
}
