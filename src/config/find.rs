use std::path::PathBuf;

use crate::environment::Environment;

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
