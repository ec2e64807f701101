//! What TOML refuses, without what stands in the file: a secret may have been
//! written where none belongs.

/// Where and why `text` was refused, without quoting its values.
pub(super) fn told(text: &str, error: &toml::de::Error) -> String {
    let why = without_values(error.message());
    let Some(at) = error.span() else {
        return why;
    };
    let before = text.get(..at.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {why}")
}

/// What serde says of a value begins with what it found; what it expected
/// stands after that, and names of keys are no secrets.
fn without_values(message: &str) -> String {
    for found in ["invalid type: ", "invalid value: ", "unknown variant "] {
        let Some(rest) = message.strip_prefix(found) else {
            continue;
        };
        let kind = rest.split([' ', '`', '"']).next().unwrap_or_default();
        let expected = rest
            .rsplit_once(", expected ")
            .map_or("something else", |(_, expected)| expected);
        let found = found.trim_end_matches([':', ' ']);
        return match kind {
            "" => format!("{found}, expected {expected}"),
            kind => format!("{found}: {kind}, expected {expected}"),
        };
    }
    message.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, ConfigError};

    fn refused(text: &str) -> String {
        match Config::parse(Path::new("obreia.toml"), text.as_bytes()) {
            Err(ConfigError::Invalid { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_where_none_belongs_is_not_repeated() {
        for text in [
            "version = 1\n[keystore]\npassphrase = \"hunter2\"",
            "version = 1\n[keystore]\npassphrase = { hunter2 = \"a\" }",
            "version = 1\n[keystore]\npassphrase = [\"hunter2\"]",
            "version = 1\n[keystore]\npassphrase = { file = [\"hunter2\"] }",
            "version = 1\n[keystore]\npassphrase = \"hunter2",
            "version = 1\n[keystore]\npassphrase = hunter2",
            "version = \"hunter2\"",
            "version = 1\nstate = \"hunter2, expected x\"",
            "version = 1\n[[keys.rule]]\nmatch = \"model-sign/a\"\nto = \"vault://me:hunter2@host/a\"",
            "version = 1\n[keys.alias]\na = \"vault://me:hunter2@host/a\"",
        ] {
            let why = refused(text);
            assert!(!why.contains("hunter2"), "{text}: {why}");
            assert!(why.starts_with("line "), "{why}");
        }
    }

    #[test]
    fn misspelt_keys_are_named() {
        let why = refused("version = 1\n\n[keystroe]\na = 1");
        assert!(
            why.starts_with("line 3, column 2: unknown field `keystroe`"),
            "{why}"
        );
    }

    #[test]
    fn a_rule_is_refused_at_its_own_line() {
        let rule = |to: &str| format!("[[keys.rule]]\nmatch = \"model-sign/a\"\nto = \"{to}\"\n");
        let why = refused(&format!(
            "version = 1\n{}{}",
            rule("openbao://a"),
            rule("kms://b/c")
        ));
        assert!(why.starts_with("line 5, column 1: rule 2: "), "{why}");
    }

    #[test]
    fn rules_know_their_line() {
        let text = "version = 1\n\n[[keys.rule]]\nmatch = \"model-sign/a\"\nto = \"openbao://a\"\n[[keys.rule]]\nmatch = \"model-sign/*\"\nto = \"openbao://x-{1}\"\n";
        let config = Config::parse(Path::new("obreia.toml"), text.as_bytes()).unwrap();
        let places: Vec<&str> = config.keys.rules.all().iter().map(|r| r.place()).collect();
        assert_eq!(places, ["obreia.toml:4", "obreia.toml:7"]);
    }
}
