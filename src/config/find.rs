use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment as it was when the process started.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the process's environment; variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// The same without one variable.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut rest = self.clone();
        rest.0.remove(name);
        rest
    }

    /// A variable that is set, also to nothing.
    pub fn get_even_empty(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|v| !v.is_empty()).cloned()
    }
}

impl std::fmt::Debug for Environment {
    // Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        )
    }
}

/// Where a configuration is looked for, first match first.
pub fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("obreia.toml")];
    let user = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            environment
                .get("HOME")
                .map(|h| PathBuf::from(h).join(".config"))
        });
    places.extend(user.map(|dir| dir.join("obreia/obreia.toml")));
    places.push(PathBuf::from("/etc/obreia/obreia.toml"));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let environment = Environment::from([("HOME", "/h"), ("XDG_CONFIG_HOME", "")]);
        assert_eq!(
            candidates(&environment),
            [
                "obreia.toml",
                "/h/.config/obreia/obreia.toml",
                "/etc/obreia/obreia.toml"
            ]
            .map(PathBuf::from)
        );
        assert!(!format!("{:?}", Environment::from([("A", "secret")])).contains("secret"));
    }
}
