use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::RegistryFault;
use super::super::address::credentials_of;
use super::keychain::{Failed, ask};
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
    /// What helpers are started with, as far as they get to see it.
    environment: Environment,
}

impl Credentials {
    /// In `named` alone, or else where Docker and Podman keep them.
    pub(in super::super) fn new(named: Option<PathBuf>, environment: &Environment) -> Self {
        if let Some(file) = named {
            return Self {
                files: vec![file],
                named: true,
                environment: environment.clone(),
            };
        }
        let path = |name: &str| environment.get(name).map(PathBuf::from);
        if let Some(file) = path("REGISTRY_AUTH_FILE") {
            return Self {
                files: vec![file],
                named: true,
                environment: environment.clone(),
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
            environment: environment.clone(),
        }
    }

    /// What a helper keeps for a host.
    async fn kept(
        &self,
        helper: &str,
        host: &str,
        file: &Path,
    ) -> Result<Option<Credential>, RegistryFault> {
        let asked = ask(helper, credentials_of(host), &self.environment, PATIENCE);
        let told = |what: &str| format!("{}: docker-credential-{helper} {what}", file.display());
        let host = host.to_owned();
        asked.await.map_err(|failed| match failed {
            Failed::NotThere => RegistryFault::Credentials {
                host,
                why: told("is named as credential helper and cannot be run"),
            },
            Failed::Nonsense => RegistryFault::Credentials {
                host,
                why: told("is named as credential helper and prints no credential"),
            },
            Failed::Ended => RegistryFault::Helper {
                host,
                why: told("failed"),
            },
            Failed::Late => RegistryFault::Helper {
                host,
                why: told("does not answer, and was ended"),
            },
        })
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
            let server = credentials_of(host);
            let named =
                Keepers::of(&bytes).map_err(|why| fault(format!("{}: {why}", file.display())))?;
            if let Some(helper) = named.for_server(server) {
                if let Some(found) = self.kept(helper, host, file).await? {
                    return Ok(Some(found));
                }
                continue;
            }
            match docker_credential::get_credential_from_reader(named.rest.as_slice(), server) {
                Ok(DockerCredential::UsernamePassword(name, password)) => {
                    return Ok(Some(Credential::Password {
                        name,
                        password: password.into(),
                    }));
                }
                Ok(DockerCredential::IdentityToken(token)) => {
                    return Ok(Some(Credential::Identity(token.into())));
                }
                Err(CredentialRetrievalError::NoCredentialConfigured) => {}
                Err(error) => return Err(fault(format!("{}: {error}", file.display()))),
            }
            if let Some(helper) = &named.for_all
                && let Some(found) = self.kept(helper, host, file).await?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Which helpers a file names, and what it holds beside.
struct Keepers {
    /// By the servers that they are for.
    by_server: BTreeMap<String, String>,
    for_all: Option<String>,
    /// The file without them: whoever reads it runs nothing.
    rest: Zeroizing<Vec<u8>>,
}

impl Keepers {
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| {
            format!("not JSON as Docker writes it, line {}", error.line())
        };
        let mut file: Map<String, Value> = serde_json::from_slice(bytes).map_err(wrong)?;
        let mut take = |name| file.remove(name).filter(|value| !value.is_null());
        let by_server = take("credHelpers").map(serde_json::from_value).transpose();
        let for_all: Option<String> = take("credsStore")
            .map(serde_json::from_value)
            .transpose()
            .map_err(wrong)?;
        let by_server: Option<BTreeMap<String, String>> = by_server.map_err(wrong)?;
        Ok(Self {
            by_server: by_server.unwrap_or_default(),
            for_all: for_all.filter(|name| !name.is_empty()),
            rest: Zeroizing::new(serde_json::to_vec(&file).map_err(wrong)?),
        })
    }

    fn for_server(&self, server: &str) -> Option<&String> {
        // One without a name takes its host out of the others' hands.
        self.by_server.get(server).filter(|name| !name.is_empty())
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
        assert!(fault.contains("cannot be run"), "{fault}");
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
