use std::path::PathBuf;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::super::RegistryFault;
use super::super::address::credentials_of;
use crate::durable;
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;

/// How long a credential helper may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who we are to a registry.
pub(in super::super) enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token that others are got for.
    Identity(Secret),
}

/// Where credentials are looked for.
#[derive(Clone, Debug)]
pub(in super::super) struct Credentials {
    files: Vec<PathBuf>,
    /// Whether the one file was named, and so must be there.
    named: bool,
}

impl Credentials {
    /// In `named` alone, or else where Docker and Podman keep them.
    pub(in super::super) fn new(named: Option<PathBuf>, environment: &Environment) -> Self {
        if let Some(file) = named {
            return Self {
                files: vec![file],
                named: true,
            };
        }
        let path = |name: &str| environment.get(name).map(PathBuf::from);
        if let Some(file) = path("REGISTRY_AUTH_FILE") {
            return Self {
                files: vec![file],
                named: true,
            };
        }
        let docker = path("DOCKER_CONFIG").or(path("HOME").map(|home| home.join(".docker")));
        let podman = path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
        Self {
            files: docker
                .map(|dir| dir.join("config.json"))
                .into_iter()
                .chain(podman)
                .collect(),
            named: false,
        }
    }

    /// Those for a host; `None` where there are none.
    ///
    /// # Errors
    /// `Credentials` where a file is there and cannot be used, `Helper` where a
    /// helper fails.
    pub(in super::super) async fn find(
        &self,
        host: &str,
    ) -> Result<Option<Credential>, RegistryFault> {
        let fault = |why: String| RegistryFault::Credentials {
            host: host.to_owned(),
            why,
        };
        for file in &self.files {
            let bytes = match durable::read(file, limits::CONFIG) {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() && !self.named => continue,
                Err(error) => return Err(fault(error.to_string())),
            };
            let server = credentials_of(host).to_owned();
            let asked = tokio::task::spawn_blocking(move || {
                docker_credential::get_credential_from_reader(&*bytes, &server)
            });
            let found = match tokio::time::timeout(PATIENCE, asked).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) | Err(_) => {
                    return Err(RegistryFault::Helper {
                        host: host.to_owned(),
                        why: "the credential helper does not answer".to_owned(),
                    });
                }
            };
            match found {
                Ok(DockerCredential::UsernamePassword(name, password)) => {
                    return Ok(Some(Credential::Password {
                        name,
                        password: password.into(),
                    }));
                }
                Ok(DockerCredential::IdentityToken(token)) => {
                    return Ok(Some(Credential::Identity(token.into())));
                }
                Err(error) if is_none(&error) => {}
                // It may be locked, or its own service not there just now.
                Err(error @ CredentialRetrievalError::HelperFailure { .. }) => {
                    return Err(RegistryFault::Helper {
                        host: host.to_owned(),
                        why: format!("{}: {}", file.display(), told(&error)),
                    });
                }
                Err(error) => return Err(fault(format!("{}: {}", file.display(), told(&error)))),
            }
        }
        Ok(None)
    }
}

/// Helpers say so in words, and with an exit code that means any failure.
fn is_none(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        CredentialRetrievalError::HelperFailure { stdout, .. } => {
            stdout.contains("credentials not found")
        }
        _ => false,
    }
}

/// Never what a helper wrote: a credential may stand in it.
fn told(error: &CredentialRetrievalError) -> String {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => format!("{helper} failed"),
        CredentialRetrievalError::HelperCommunicationError => {
            "its credential helper cannot be run".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(credentials: &Credentials, host: &str) -> Result<Option<Credential>, RegistryFault> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(credentials.find(host))
    }

    fn in_file(text: &str) -> (tempfile::TempDir, Credentials) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        (dir, Credentials::new(Some(file), &Environment::default()))
    }

    #[test]
    fn as_docker_keeps_them() {
        let (_dir, credentials) = in_file(
            r#"{"auths":{"r.example:5000":{"auth":"bWU6cHc6eA=="},
                "https://index.docker.io/v1/":{"identitytoken":"t"},"empty.example":{}}}"#,
        );
        let Some(Credential::Password { name, password }) =
            find(&credentials, "r.example:5000").unwrap()
        else {
            panic!("none");
        };
        assert_eq!((name.as_str(), password.expose()), ("me", &b"pw:x"[..]));
        let docker = find(&credentials, "docker.io").unwrap();
        assert!(matches!(docker, Some(Credential::Identity(_))));
        assert!(find(&credentials, "other.example").unwrap().is_none());
        assert!(find(&credentials, "r.example").unwrap().is_none());
        assert!(find(&credentials, "empty.example").unwrap().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_used_is_no_absence_of_credentials() {
        let (_dir, broken) = in_file("{ not json");
        assert!(find(&broken, "r.example").is_err());
        let (_dir, helper) =
            in_file(r#"{"credHelpers":{"r.example":"there-is-none-of-that-name"}}"#);
        let fault = find(&helper, "r.example").err().unwrap().to_string();
        assert!(fault.contains("helper cannot be run"), "{fault}");
        assert!(find(&helper, "other.example").unwrap().is_none());
        let gone = Credentials::new(Some("/nowhere/auth.json".into()), &Environment::default());
        assert!(find(&gone, "r.example").is_err());
    }

    #[test]
    fn without_any_file_there_are_none() {
        let environment = Environment::from([("HOME", "/nowhere")]);
        let credentials = Credentials::new(None, &environment);
        assert!(find(&credentials, "r.example").unwrap().is_none());
    }
}
