//! The keys that a configuration gives access to.

use serde_json::Value;

use crate::config::{Config, Environment, SecretSource};
#[cfg(feature = "sign")]
pub use crate::keys::{Administer, Key, Locked, NewKey, Unlock, UnlockError};
pub use crate::keys::{Keyring, Keys, Notices, Settings};

/// What a configuration says of keys.
pub fn settings(config: &Config, environment: &Environment, offline: bool) -> Settings {
    Settings {
        state: config.state.dir.clone(),
        offline,
        environment: environment.clone(),
        keys: config.keys.clone(),
        withheld: withheld(config),
        ..Settings::default()
    }
}

/// The environment variables that the configuration says hold secrets, of the
/// keystore and of every provider.
fn withheld(config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(SecretSource::Env(name)) = &config.keystore.passphrase {
        names.push(name.clone());
    }
    // Whatever provider there is by now: a secret is written `{ env = "…" }`
    // everywhere, and nothing else is.
    if let Ok(keys) = serde_json::to_value(&config.keys) {
        collect(&keys, &mut names);
    }
    names
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let (1, Some(Value::String(name))) = (members.len(), members.get("env")) {
                names.push(name.clone());
            }
            members.values().for_each(|member| collect(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_variable_that_holds_a_secret_is_withheld() {
        let text = r#"
version = 1
[keystore]
passphrase = { env = "STORE" }
[keys.pkcs11.modules.a]
path = "/a.so"
environment = ["SEEN"]
pin = { env = "PIN" }
[keys.azure]
client_secret = { env = "SECRET" }
"#;
        let config = Config::parse(Path::new("/x/obreia.toml"), text.as_bytes()).unwrap();
        let mut names = withheld(&config);
        names.sort();
        assert_eq!(names, ["PIN", "SECRET", "STORE"]);
    }
}
