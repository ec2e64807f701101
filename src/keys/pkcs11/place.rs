//! Which module a URI means, and how it is held.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::PROVIDER;
use super::uri::{ModuleName, Uri};
use crate::crypto::Scheme;
use crate::environment::{Environment, SecretSource};
use crate::keys::settings::{Pkcs11, Pkcs11Module};
use crate::keys::{KeyFault, Settings};
use crate::limits;

/// How many calls a module has at once where nothing is configured.
const THREADS: usize = 4;
/// Where a module's path is looked for where neither URI nor configuration
/// has one: ours, then cosign's.
const PATHS: [&str; 2] = ["PKCS11_MODULE_PATH", "COSIGN_PKCS11_MODULE_PATH"];

/// Environment variables that modules of known vendors need, beside those
/// that any program does. No secrets: those of other providers least of all.
const SEEN: &[&str] = &[
    "ChrystokiConfigurationPath",
    "HOME",
    "KMS_PKCS11_CONFIG",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];
const SEEN_PREFIXES: &[&str] = &[
    "CKNFAST_",
    "CLOUDHSM_",
    "CS_PKCS11_",
    "KRYOPTIC_",
    "LC_",
    "NFAST_",
    "OPENSC_",
    "P11_KIT_",
    "PCSCLITE_",
    "PKCS11SPY",
    "PKCS11_PROXY_",
    "SOFTHSM2_",
    "TPM2_PKCS11_",
    "YUBIHSM_",
];

/// One module, and how it is to be held. Two that are equal share a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) helper: PathBuf,
    pub(super) helper_arguments: Vec<OsString>,
    pub(super) path: PathBuf,
    pub(super) threads: usize,
    pub(super) environment: Vec<(String, String)>,
    pub(super) pin: Option<SecretSource>,
    /// The scheme of its RSA keys, where it is configured.
    pub(super) rsa: Option<Scheme>,
}

/// Who names the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Whoever runs obreia.
    ByOperator,
    /// Perhaps a policy, which must not choose the code that is loaded.
    ByAnybody,
}

/// All that decides about places.
pub(super) struct Places {
    pub(super) settings: Pkcs11,
    pub(super) environment: Environment,
    pub(super) helper: Option<PathBuf>,
    pub(super) helper_arguments: Vec<OsString>,
}

impl Place {
    /// What its keys are noted under.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.keys.pkcs11.clone(),
            environment: settings.environment.clone(),
            helper: settings.helper.clone(),
            helper_arguments: Vec::new(),
        }
    }

    /// The module of `uri`.
    ///
    /// # Errors
    /// `NotConfigured`.
    pub(super) fn of(&self, uri: &Uri, named: Named) -> Result<Place, KeyFault> {
        match &uri.module {
            Some(ModuleName::Configured(name)) => self.configured(name),
            Some(ModuleName::Path(path)) => {
                if named == Named::ByAnybody && !self.is_known(path) {
                    return Err(not_configured(format!(
                        "module-path={} stands in the name of a key to verify with, and a name does not choose what code is loaded: configure the module in [keys.pkcs11.modules], or set {}",
                        path.display(),
                        PATHS[0]
                    )));
                }
                self.at(path)
            }
            None => self.default_place(),
        }
    }

    /// Every module that is configured, each once.
    ///
    /// # Errors
    /// `NotConfigured` where one cannot be used so.
    pub(super) fn all(&self) -> Result<Vec<Place>, KeyFault> {
        let mut all = Vec::new();
        let configured = self
            .settings
            .modules
            .keys()
            .map(|name| self.configured(name));
        for place in configured.chain(self.in_environment()) {
            let place = place?;
            if !all.contains(&place) {
                all.push(place);
            }
        }
        Ok(all)
    }

    fn default_place(&self) -> Result<Place, KeyFault> {
        if let Some(place) = self.in_environment() {
            return place;
        }
        if let Some(name) = &self.settings.module {
            return self.configured(name);
        }
        let mut modules = self.settings.modules.keys();
        match (modules.next(), modules.next()) {
            (Some(only), None) => self.configured(only),
            (None, _) => Err(not_configured(format!(
                "no module is named: add module-path=/… to the URI, set {}, or configure one in [keys.pkcs11.modules]",
                PATHS[0]
            ))),
            _ => Err(not_configured(
                "several modules are configured: add module-name=… to the URI, or set module in [keys.pkcs11]"
                    .to_owned(),
            )),
        }
    }

    fn in_environment(&self) -> Option<Result<Place, KeyFault>> {
        let (name, path) = PATHS
            .into_iter()
            .find_map(|name| Some((name, self.environment.get(name)?)))?;
        let path = PathBuf::from(path);
        Some(if path.is_absolute() {
            self.at(&path)
        } else {
            Err(not_configured(format!(
                "{name} is {}, which is not an absolute path",
                path.display()
            )))
        })
    }

    fn is_known(&self, path: &Path) -> bool {
        let configured = self.settings.modules.values().any(|m| m.path == path);
        let in_environment = || {
            let set = PATHS
                .into_iter()
                .find_map(|name| self.environment.get(name));
            set.is_some_and(|set| Path::new(&set) == path)
        };
        configured || in_environment()
    }

    fn configured(&self, name: &str) -> Result<Place, KeyFault> {
        match self.settings.modules.get(name) {
            Some(module) => self.held(&module.path, Some((name, module))),
            None => Err(not_configured(format!(
                "there is no [keys.pkcs11.modules.{name}] in the configuration"
            ))),
        }
    }

    /// The module at `path`, held as it is configured where it is.
    fn at(&self, path: &Path) -> Result<Place, KeyFault> {
        let mut modules = self.settings.modules.iter();
        let module = modules.find(|(_, module)| module.path == path);
        self.held(path, module.map(|(name, module)| (name.as_str(), module)))
    }

    fn held(&self, path: &Path, module: Option<(&str, &Pkcs11Module)>) -> Result<Place, KeyFault> {
        let helper = self.helper.clone().ok_or_else(|| {
            not_configured(
                "this program has no way to hold a module in a process of its own".to_owned(),
            )
        })?;
        let wrong = |what: String| {
            let name = module.map_or("", |(name, _)| name);
            not_configured(format!("[keys.pkcs11.modules.{name}] {what}"))
        };
        let module = module.map(|(_, module)| module);
        let threads = module.and_then(|m| m.threads).unwrap_or(THREADS);
        if !(1..=limits::MODULE_THREADS).contains(&threads) {
            return Err(wrong(format!(
                "threads is {threads}; 1 to {} are possible",
                limits::MODULE_THREADS
            )));
        }
        let more = module.map_or(&[][..], |m| &m.environment);
        if let Some(all) = more.iter().find(|name| name.as_str() == "*") {
            return Err(wrong(format!(
                "environment has {all:?}: the module would see the secrets of everything else"
            )));
        }
        Ok(Place {
            helper,
            helper_arguments: self.helper_arguments.clone(),
            path: path.to_owned(),
            threads,
            environment: self.environment.only(|name| is_seen(name, more)),
            pin: module.and_then(|m| m.pin.clone()),
            rsa: module.and_then(|m| m.rsa).map(|rsa| rsa.0),
        })
    }
}

fn is_seen(name: &str, more: &[String]) -> bool {
    SEEN.contains(&name)
        || SEEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || more.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == wanted,
        })
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

    fn places(toml: &str, environment: Environment) -> Places {
        Places {
            settings: toml::from_str(toml).unwrap(),
            environment,
            helper: Some(PathBuf::from("/bin/obreia")),
            helper_arguments: Vec::new(),
        }
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    const TWO: &str = "[modules.a]\npath = \"/a.so\"\n[modules.b]\npath = \"/b.so\"\nthreads = 1\n";

    #[test]
    fn the_uri_then_the_environment_then_the_configuration() {
        let configured = places(&format!("module = \"a\"\n{TWO}"), Environment::default());
        let at =
            |places: &Places, text: &str| places.of(&uri(text), Named::ByOperator).unwrap().path;
        assert_eq!(at(&configured, "pkcs11:token=t"), Path::new("/a.so"));
        assert_eq!(
            at(&configured, "pkcs11:token=t?module-name=b"),
            Path::new("/b.so")
        );
        let set = places(
            &format!("module = \"a\"\n{TWO}"),
            [("COSIGN_PKCS11_MODULE_PATH", "/b.so")].into(),
        );
        assert_eq!(at(&set, "pkcs11:token=t"), Path::new("/b.so"));
        assert_eq!(
            at(&set, "pkcs11:token=t?module-path=/c.so"),
            Path::new("/c.so")
        );
        // Named by its path, it is held as it is configured.
        let held = set.of(&uri("pkcs11:token=t"), Named::ByOperator).unwrap();
        assert_eq!(held.threads, 1);
        assert_eq!(set.all().unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_configured_is_told() {
        let none = places("", Environment::default());
        let two = places(TWO, Environment::default());
        let relative = places("", [("PKCS11_MODULE_PATH", "m.so")].into());
        for (places, text, says) in [
            (&none, "pkcs11:token=t", "no module is named"),
            (&two, "pkcs11:token=t", "several modules"),
            (
                &two,
                "pkcs11:token=t?module-name=c",
                "no [keys.pkcs11.modules.c]",
            ),
            (&relative, "pkcs11:token=t", "not an absolute path"),
        ] {
            let fault = places.of(&uri(text), Named::ByOperator).unwrap_err();
            assert!(fault.to_string().contains(says), "{text}: {fault}");
        }
        for (toml, says) in [
            ("threads = 0", "threads is 0"),
            ("threads = 1000", "threads is 1000"),
            ("environment = [\"*\"]", "would see the secrets"),
        ] {
            let text = format!("[modules.a]\npath = \"/a.so\"\n{toml}\n");
            let places = places(&text, Environment::default());
            let fault = places
                .of(&uri("pkcs11:token=t"), Named::ByOperator)
                .unwrap_err();
            assert!(fault.to_string().contains(says), "{toml}: {fault}");
        }
        let helpless = Places {
            helper: None,
            ..places(TWO, Environment::default())
        };
        assert!(helpless.all().is_err());
    }

    #[test]
    fn a_name_to_verify_with_chooses_no_code() {
        let two = places(TWO, [("PKCS11_MODULE_PATH", "/e.so")].into());
        let fault = two
            .of(
                &uri("pkcs11:token=t?module-path=/tmp/x.so"),
                Named::ByAnybody,
            )
            .unwrap_err();
        assert!(
            fault.to_string().contains("does not choose what code"),
            "{fault}"
        );
        for known in ["/a.so", "/e.so"] {
            let text = format!("pkcs11:token=t?module-path={known}");
            assert!(two.of(&uri(&text), Named::ByAnybody).is_ok(), "{known}");
        }
    }

    #[test]
    fn a_module_sees_what_it_needs_and_no_secret() {
        let all: Environment = [
            ("SOFTHSM2_CONF", "/x"),
            ("HOME", "/h"),
            ("AWS_REGION", "r"),
            ("AWS_SECRET_ACCESS_KEY", "no"),
            ("PKCS11_PIN", "no"),
            ("COSIGN_PKCS11_PIN", "no"),
            ("COSIGN_PASSWORD", "no"),
            ("OBREIA_PASSPHRASE", "no"),
            ("VAULT_TOKEN", "no"),
        ]
        .into();
        let text = "[modules.a]\npath = \"/a.so\"\nenvironment = [\"AWS_REG*\"]\n";
        let place = places(text, all).all().unwrap().remove(0);
        let names: Vec<&str> = place.environment.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["AWS_REGION", "HOME", "SOFTHSM2_CONF"]);
    }
}
