use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Spanned;

use super::{Hit, Rule};
use crate::reference::{KeyPath, KeyRef};

/// `[[keys.rule]]`, in the order of the file; the first that matches holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Where each one's `match` is in the text that they were read from.
    starts: Vec<usize>,
}

/// `[keys.alias]`: one word for a canonical path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<KeyPath, KeyPath>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "match")]
    matches: Spanned<String>,
    to: String,
}

/// Nothing that an alias at AWS could be taken for.
const RESERVED: [&str; 2] = ["aws", "alias"];

impl Rules {
    /// Rules from pairs of `match` and `to`.
    ///
    /// # Errors
    /// Which rule is wrong, and why.
    pub fn of(pairs: &[(&str, &str)]) -> Result<Self, String> {
        let mut rules = Self::default();
        for (matches, to) in pairs {
            rules.add(matches, to, 0)?;
        }
        Ok(rules)
    }

    /// The same, each naming its line in `text`, which is what `file` holds.
    #[must_use]
    pub fn placed(mut self, file: &Path, text: &str) -> Self {
        for (rule, start) in self.rules.iter_mut().zip(&self.starts) {
            let before = text.get(..*start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            rule.place = format!("{}:{line}", file.display());
        }
        self
    }

    /// What the first rule that matches says of `path`.
    pub fn find(&self, path: &KeyPath) -> Option<Hit<'_>> {
        self.rules.iter().find_map(|rule| {
            let key = rule.key(path)?;
            Some(Hit { rule, key })
        })
    }

    /// All of them.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    fn add(&mut self, matches: &str, to: &str, start: usize) -> Result<(), String> {
        let rule = Rule::read(matches, to, &self.rules)
            .map_err(|why| format!("rule {}: {why}", self.rules.len() + 1))?;
        self.rules.push(rule);
        self.starts.push(start);
        Ok(())
    }
}

impl Aliases {
    /// What `name` stands for.
    pub fn get(&self, name: &KeyPath) -> Option<&KeyPath> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&KeyPath, &KeyPath)> {
        self.0.iter()
    }
}

/// Reads one rule after the other, so that an error is about its own lines.
struct RuleAfter<'a>(&'a mut Rules);

impl<'de> DeserializeSeed<'de> for RuleAfter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

// A visitor, because what it refuses is told with the place of the table.
impl<'de> Visitor<'de> for RuleAfter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule with `match` and `to`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Written { matches, to } = Written::deserialize(MapAccessDeserializer::new(map))?;
        let start = matches.span().start;
        self.0
            .add(matches.get_ref(), &to, start)
            .map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Rules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rules, each with `match` and `to`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rules, A::Error> {
                let mut rules = Rules::default();
                while seq.next_element_seed(RuleAfter(&mut rules))?.is_some() {}
                Ok(rules)
            }
        }
        deserializer.deserialize_seq(All)
    }
}

impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(rename = "match")]
            matches: &'a str,
            to: &'a str,
        }
        let mut seq = serializer.serialize_seq(Some(self.rules.len()))?;
        for Rule { matches, to, .. } in &self.rules {
            seq.serialize_element(&Shown { matches, to })?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Aliases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = BTreeMap::<String, String>::deserialize(deserializer)?;
        let mut aliases = BTreeMap::new();
        for (name, key) in written {
            let (name, path) = alias(&name, &key).map_err(D::Error::custom)?;
            aliases.insert(name, path);
        }
        Ok(Self(aliases))
    }
}

impl Serialize for Aliases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, path) in &self.0 {
            map.serialize_entry(name.as_str(), &format!("kms://{path}"))?;
        }
        map.end()
    }
}

fn alias(name: &str, key: &str) -> Result<(KeyPath, KeyPath), String> {
    let name = KeyPath::parse(name)
        .ok()
        .filter(|name| name.is_alias() && !RESERVED.contains(&name.as_str()))
        .ok_or_else(|| {
            "an alias is one word of a-z, 0-9, '.', '_' and '-', and neither `aws` nor `alias`"
                .to_owned()
        })?;
    match KeyRef::parse(key) {
        Ok(KeyRef::Kms {
            path,
            version: None,
        }) if !path.is_alias() => Ok((name, path)),
        _ => Err(format!(
            "alias {name} stands for no canonical path, as in \"kms://model-sign/prod\""
        )),
    }
}
