//! Who we are to Microsoft Entra: what Microsoft's own tools would take from
//! the configuration and the environment, in their order.

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use super::PROVIDER;
use crate::environment::Environment;
use crate::keys::settings::{Azure, AzureLogin};
use crate::keys::{KeyFault, Warning, expiry};
use crate::limits;
use crate::time::Timestamp;

const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// Where to log in, as an origin.
///
/// # Errors
/// `NotConfigured` for an address that a secret must not be sent to.
pub(super) fn authority(settings: &Azure, environment: &Environment) -> Result<String, KeyFault> {
    let (named, from) = match &settings.authority {
        Some(authority) => (authority.clone(), "authority in [keys.azure]"),
        None => match environment.get("AZURE_AUTHORITY_HOST") {
            Some(authority) => (authority, "AZURE_AUTHORITY_HOST"),
            None => return Ok(PUBLIC_AUTHORITY.to_owned()),
        },
    };
    let whole = if named.contains("://") {
        named
    } else {
        format!("https://{named}")
    };
    crate::http::origin(&whole).map_err(|why| not_configured(format!("{from}: {why}")))
}

/// The way that is to be gone.
///
/// # Errors
/// `NotConfigured` for one that this build cannot go.
pub(super) fn way(settings: &Azure, environment: &Environment) -> Result<AzureLogin, KeyFault> {
    if let Some(way) = settings.login {
        return Ok(way);
    }
    let set = |name: &str| environment.get(name).is_some();
    // cosign's and Microsoft's own switches.
    match environment.get("AZURE_AUTH_METHOD").as_deref() {
        Some("cli") => return Ok(AzureLogin::Cli),
        Some("environment") if !set("AZURE_FEDERATED_TOKEN_FILE") => {
            return Ok(AzureLogin::ClientSecret);
        }
        _ => {}
    }
    match environment.get("AZURE_TOKEN_CREDENTIALS").as_deref() {
        Some("AzureCliCredential") => return Ok(AzureLogin::Cli),
        Some("EnvironmentCredential") => return Ok(AzureLogin::ClientSecret),
        Some("ManagedIdentityCredential") => return Ok(AzureLogin::ManagedIdentity),
        Some("WorkloadIdentityCredential") => return Ok(AzureLogin::WorkloadIdentity),
        _ => {}
    }
    if settings.client_secret.is_some() || set("AZURE_CLIENT_SECRET") {
        return Ok(AzureLogin::ClientSecret);
    }
    if settings.federated_token_file.is_some() || set("AZURE_FEDERATED_TOKEN_FILE") {
        return Ok(AzureLogin::WorkloadIdentity);
    }
    if set("AZURE_CLIENT_CERTIFICATE_PATH") {
        return Err(not_configured(
            "certificates are no way to log in here (AZURE_CLIENT_CERTIFICATE_PATH): use a secret, or AZURE_FEDERATED_TOKEN_FILE".to_owned(),
        ));
    }
    if set("IDENTITY_ENDPOINT") || set("MSI_ENDPOINT") {
        return Ok(AzureLogin::ManagedIdentity);
    }
    let path = environment.get("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join("az").is_file()) {
        return Ok(AzureLogin::Cli);
    }
    Ok(AzureLogin::ManagedIdentity)
}

/// What says itself when it ends of what is logged in with.
pub(super) fn outlook(
    way: AzureLogin,
    settings: &Azure,
    environment: &Environment,
    now: Timestamp,
) -> Vec<Warning> {
    if way != AzureLogin::WorkloadIdentity {
        return Vec::new();
    }
    let file = settings.federated_token_file.clone();
    let file = file.or_else(|| {
        let file = environment.get("AZURE_FEDERATED_TOKEN_FILE");
        file.map(PathBuf::from)
    });
    let end = file.as_ref().and_then(|file| {
        let token = crate::durable::read(file, limits::KEY_FILE).ok()?;
        expiry::of_jwt(crate::secret::Secret::new(token).expose())
    });
    let told = expiry::warning(
        "token-expires",
        "the federated token",
        end,
        now,
        expiry::SOON,
    );
    told.into_iter().collect()
}

/// What people call the way.
pub(super) const fn name(way: AzureLogin) -> &'static str {
    match way {
        AzureLogin::ClientSecret => "client secret",
        AzureLogin::WorkloadIdentity => "workload identity",
        AzureLogin::ManagedIdentity => "managed identity",
        AzureLogin::Cli => "az",
    }
}

/// The credential; asks for nothing yet. `authority` is an origin with https,
/// as the SDK wants it.
///
/// # Errors
/// `NotConfigured` naming what is missing.
pub(super) fn credential(
    way: AzureLogin,
    settings: &Azure,
    environment: &Environment,
    authority: String,
    mut options: ClientOptions,
) -> Result<Arc<dyn TokenCredential>, KeyFault> {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority;
    options.cloud = Some(Arc::new(CloudConfiguration::from(cloud)));
    let one =
        |set: &Option<String>, variable: &str| set.clone().or_else(|| environment.get(variable));
    let needed = |set: &Option<String>, variable: &str, key: &str| {
        one(set, variable).ok_or_else(|| {
            not_configured(format!(
                "neither {key} in [keys.azure] nor {variable} is set"
            ))
        })
    };
    let tenant = || needed(&settings.tenant_id, "AZURE_TENANT_ID", "tenant_id");
    let client = || needed(&settings.client_id, "AZURE_CLIENT_ID", "client_id");
    let unusable = |e: azure_core::Error| not_configured(e.to_string());
    Ok(match way {
        AzureLogin::ClientSecret => {
            let secret = secret(settings, environment)?;
            let options = ClientSecretCredentialOptions {
                client_options: options,
            };
            ClientSecretCredential::new(&tenant()?, client()?, secret, Some(options))
                .map_err(unusable)?
        }
        AzureLogin::WorkloadIdentity => {
            let file = match &settings.federated_token_file {
                Some(file) => file.clone(),
                None => PathBuf::from(needed(
                    &None,
                    "AZURE_FEDERATED_TOKEN_FILE",
                    "federated_token_file",
                )?),
            };
            let credential_options = ClientAssertionCredentialOptions {
                client_options: options,
            };
            WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options,
                client_id: Some(client()?),
                tenant_id: Some(tenant()?),
                token_file_path: Some(file),
            }))
            .map_err(unusable)?
        }
        AzureLogin::ManagedIdentity => {
            let id = one(&settings.client_id, "AZURE_CLIENT_ID");
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: id.map(UserAssignedId::ClientId),
                client_options: options,
            }))
            .map_err(unusable)?
        }
        AzureLogin::Cli => AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: one(&settings.tenant_id, "AZURE_TENANT_ID"),
            ..AzureCliCredentialOptions::default()
        }))
        .map_err(unusable)?,
    })
}

fn secret(settings: &Azure, environment: &Environment) -> Result<Secret, KeyFault> {
    let Some(source) = &settings.client_secret else {
        return environment
            .get("AZURE_CLIENT_SECRET")
            .map(Secret::from)
            .ok_or_else(|| {
                not_configured(
                    "neither client_secret in [keys.azure] nor AZURE_CLIENT_SECRET is set"
                        .to_owned(),
                )
            });
    };
    let found = source
        .fetch(environment)
        .map_err(|e| not_configured(format!("client_secret: {e}")))?;
    let text = String::from_utf8(found.expose().to_vec())
        .map_err(|_| not_configured("client_secret: it is not UTF-8".to_owned()))?;
    Ok(Secret::from(text))
}

pub(super) fn not_configured(why: String) -> KeyFault {
    KeyFault::NotConfigured {
        provider: PROVIDER,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways<const N: usize>(set: [(&str, &str); N]) -> Result<AzureLogin, KeyFault> {
        way(&Azure::default(), &Environment::from(set))
    }

    #[test]
    fn the_first_way_that_is_set_up_is_gone() {
        let secret = ("AZURE_CLIENT_SECRET", "s");
        let token = ("AZURE_FEDERATED_TOKEN_FILE", "f");
        assert_eq!(ways([secret, token]), Ok(AzureLogin::ClientSecret));
        assert_eq!(ways([token]), Ok(AzureLogin::WorkloadIdentity));
        assert_eq!(
            ways([("MSI_ENDPOINT", "http://127.0.0.1")]),
            Ok(AzureLogin::ManagedIdentity)
        );
        assert_eq!(
            ways([("PATH", "/nowhere")]),
            Ok(AzureLogin::ManagedIdentity)
        );
        assert_eq!(
            ways([secret, ("AZURE_AUTH_METHOD", "cli")]),
            Ok(AzureLogin::Cli)
        );
        let named = ("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential");
        assert_eq!(ways([secret, named]), Ok(AzureLogin::WorkloadIdentity));
        let certificate = ways([("AZURE_CLIENT_CERTIFICATE_PATH", "c.pem")]);
        assert!(matches!(certificate, Err(KeyFault::NotConfigured { .. })));
        let chosen = Azure {
            login: Some(AzureLogin::Cli),
            ..Azure::default()
        };
        assert_eq!(
            way(&chosen, &Environment::from([secret])),
            Ok(AzureLogin::Cli)
        );
    }

    #[test]
    fn a_login_goes_to_no_plain_address_elsewhere() {
        let at = |host: &str| {
            authority(
                &Azure::default(),
                &Environment::from([("AZURE_AUTHORITY_HOST", host)]),
            )
        };
        assert_eq!(
            at("login.microsoftonline.us").unwrap(),
            "https://login.microsoftonline.us"
        );
        assert_eq!(at("http://127.0.0.1:9/").unwrap(), "http://127.0.0.1:9");
        assert!(matches!(
            at("http://login.example"),
            Err(KeyFault::NotConfigured { .. })
        ));
    }
}
