//! Who we are to Google: what Google's own tools would take from the
//! configuration, the environment and what `gcloud` left, in their order
//! (Application Default Credentials).

use std::path::{Path, PathBuf};

use google_cloud_auth::credentials::{
    Credentials, external_account, impersonated, mds, service_account, user_account,
};
use serde_json::Value;

use super::PROVIDER;
use crate::environment::Environment;
use crate::keys::settings::Gcp;
use crate::keys::{KeyFault, Warning, expiry};
use crate::limits;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The way of those who set up none.
pub(super) const MACHINE: &str = "the machine's own identity";

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    /// The service that tells a machine its own identity.
    Machine,
}

/// The first that is set up.
pub(super) fn source(settings: &Gcp, environment: &Environment) -> Source {
    if let Some(file) = &settings.credentials_file {
        return Source::File(file.clone());
    }
    if let Some(file) = environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
        return Source::File(PathBuf::from(file));
    }
    let folder = match (environment.get("CLOUDSDK_CONFIG"), environment.get("HOME")) {
        (Some(folder), _) => Some(PathBuf::from(folder)),
        (None, Some(home)) => Some(Path::new(&home).join(".config/gcloud")),
        (None, None) => None,
    };
    match folder.map(|folder| folder.join("application_default_credentials.json")) {
        Some(file) if file.is_file() => Source::File(file),
        _ => Source::Machine,
    }
}

/// The credential and what people call the way; asks for nothing yet, but must
/// be called where a runtime runs.
///
/// # Errors
/// `NotConfigured` for a file that is no credential.
pub(super) fn credentials(
    settings: &Gcp,
    environment: &Environment,
) -> Result<(Credentials, &'static str), KeyFault> {
    let quota = settings
        .quota_project
        .clone()
        .or_else(|| environment.get("GOOGLE_CLOUD_QUOTA_PROJECT"));
    // What all builders have, which is no trait of the SDK's.
    macro_rules! built {
        ($builder:expr) => {{
            let builder = $builder;
            match quota {
                Some(project) => builder.with_quota_project_id(project).build(),
                None => builder.build(),
            }
        }};
    }
    let file = match source(settings, environment) {
        Source::File(file) => file,
        Source::Machine => {
            let mut builder = mds::Builder::default();
            if let Some(host) = environment.get("GCE_METADATA_HOST") {
                builder = builder.with_endpoint(format!("http://{host}"));
            }
            let credentials = built!(builder).map_err(|e| not_configured(e.to_string()))?;
            return Ok((credentials, MACHINE));
        }
    };
    let unusable = |why: String| not_configured(format!("{}: {why}", file.display()));
    let bytes = crate::durable::read(&file, limits::KEY_FILE)
        .map_err(|e| not_configured(format!("the credentials cannot be read: {e}")))?;
    // What the parser says could quote what stands in the file.
    let json: Value =
        serde_json::from_slice(&bytes).map_err(|_| unusable("it is not JSON".to_owned()))?;
    if let Some(field) = leaks(&json) {
        let why = "is no https:// address, and a secret would be sent there";
        return Err(unusable(format!("its {field} {why}")));
    }
    let kind = json.get("type").and_then(Value::as_str).unwrap_or_default();
    let (built, how) = match kind {
        "service_account" => (
            built!(service_account::Builder::new(json)),
            "service account",
        ),
        "authorized_user" => (built!(user_account::Builder::new(json)), "user"),
        "impersonated_service_account" => (
            built!(impersonated::Builder::new(json)),
            "impersonated service account",
        ),
        "external_account" => (
            built!(external_account::Builder::new(json)),
            "workload identity",
        ),
        other => {
            let other: String = other.chars().take(64).collect();
            return Err(unusable(format!(
                "{other:?} is no type of credentials that is used here"
            )));
        }
    };
    let lacks = |_| unusable(format!("it lacks what {how} credentials need"));
    Ok((built.map_err(lacks)?, how))
}

/// What says itself when it ends of what is logged in with: a token of another
/// issuer that lies in a file.
pub(super) fn outlook(settings: &Gcp, environment: &Environment, now: Timestamp) -> Vec<Warning> {
    let Source::File(file) = source(settings, environment) else {
        return Vec::new();
    };
    let read = |file: &Path| {
        crate::durable::read(file, limits::KEY_FILE)
            .ok()
            .map(Secret::new)
    };
    let end = || {
        let json: Value = serde_json::from_slice(read(&file)?.expose()).ok()?;
        let lies_in = &json["credential_source"];
        let token = read(Path::new(lies_in["file"].as_str()?))?;
        match lies_in["format"]["subject_token_field_name"].as_str() {
            None => expiry::of_jwt(token.expose()),
            Some(field) => {
                let inside: Value = serde_json::from_slice(token.expose()).ok()?;
                expiry::of_jwt(inside[field].as_str()?.as_bytes())
            }
        }
    };
    let what = "the federated token";
    let told = expiry::warning("token-expires", what, end(), now, expiry::SOON);
    told.into_iter().collect()
}

/// The first address in a credentials file that a secret would be sent to in
/// clear, and over a network.
fn leaks(json: &Value) -> Option<&'static str> {
    let sent_to = [
        "token_uri",
        "token_url",
        "token_info_url",
        "service_account_impersonation_url",
    ];
    let is_open = |address: &str| {
        reqwest::Url::parse(address)
            .is_ok_and(|url| url.scheme() != "https" && !crate::http::is_loopback(&url))
    };
    let own = sent_to
        .into_iter()
        .find(|field| json[field].as_str().is_some_and(is_open));
    // Who is impersonated is so by somebody with credentials of their own.
    own.or_else(|| leaks(json.get("source_credentials")?))
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

    #[test]
    fn the_first_that_is_set_up_counts() {
        let named = ("GOOGLE_APPLICATION_CREDENTIALS", "/c.json");
        let of = |settings: &Gcp, set| source(settings, &Environment::from(set));
        let plain = Gcp::default();
        assert_eq!(of(&plain, [named]), Source::File("/c.json".into()));
        let configured = Gcp {
            credentials_file: Some("/d.json".into()),
            ..Gcp::default()
        };
        assert_eq!(of(&configured, [named]), Source::File("/d.json".into()));
        assert_eq!(of(&plain, [("HOME", "/nowhere")]), Source::Machine);
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/gcloud");
        std::fs::create_dir_all(&folder).unwrap();
        let left = folder.join("application_default_credentials.json");
        std::fs::write(&left, "{}").unwrap();
        let at = home.path().to_str().unwrap();
        assert_eq!(of(&plain, [("HOME", at)]), Source::File(left));
    }

    #[test]
    fn no_secret_is_sent_in_clear_to_somebody_else() {
        let file = |field: &str, address: &str| serde_json::json!({"type": "x", field: address});
        for field in [
            "token_uri",
            "token_url",
            "token_info_url",
            "service_account_impersonation_url",
        ] {
            for address in [
                "http://token.example",
                "http://10.0.0.1/",
                "ftp://127.0.0.2.x/",
            ] {
                let json = file(field, address);
                assert_eq!(leaks(&json), Some(field), "{json}");
                let nested = serde_json::json!({ "source_credentials": json });
                assert_eq!(leaks(&nested), Some(field), "{nested}");
            }
            for address in [
                "https://oauth2.googleapis.com/token",
                "http://127.0.0.1:9/t",
            ] {
                assert_eq!(leaks(&file(field, address)), None, "{address}");
            }
        }
    }
}
