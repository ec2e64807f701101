//! The classes of SPDX 3.0.1 and their properties, read from an embedded table on first use.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    classes: HashMap<String, Class>,
    /// Individuals that the model itself defines, by the end of their IRI, with their class.
    individuals: HashMap<String, String>,
}

/// A class.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    parent: Option<String>,
    /// No object is of this class itself.
    #[serde(default, rename = "abstract")]
    pub(super) is_abstract: bool,
    /// Has an IRI of its own in `spdxId`.
    #[serde(default)]
    pub(super) element: bool,
    /// Members that the model does not know may stand there.
    #[serde(default)]
    pub(super) open: bool,
    #[serde(default)]
    properties: HashMap<String, Property>,
}

/// A property of a class.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Property {
    /// Objects of this class, or references to them.
    pub(super) class: Option<String>,
    /// Texts of a list.
    pub(super) values: Option<Vec<String>>,
    /// A literal.
    #[serde(rename = "type")]
    pub(super) literal: Option<Literal>,
    /// An array of such values.
    #[serde(default)]
    pub(super) many: bool,
    /// How many there must be; 0 where it may be absent.
    #[serde(default)]
    pub(super) min: usize,
}

/// A literal's type.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Literal {
    Text,
    Uri,
    Time,
    Semver,
    MediaType,
    Bool,
    Decimal,
    Positive,
    Count,
}

static MODEL: LazyLock<Result<Model, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../schemas/spdx-3.0.1.json")).map_err(|e| e.to_string())
});

impl Model {
    pub(super) fn get() -> &'static Self {
        match &*MODEL {
            Ok(model) => model,
            Err(error) => unreachable!("the embedded table can be read: {error}"),
        }
    }

    pub(super) fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// The class and those that it extends, the nearest first.
    fn lineage<'m>(&'m self, class: &str) -> impl Iterator<Item = (&'m str, &'m Class)> {
        std::iter::successors(self.classes.get_key_value(class), |(_, class)| {
            self.classes.get_key_value(class.parent.as_ref()?)
        })
        .map(|(name, class)| (name.as_str(), class))
    }

    pub(super) fn is_a(&self, class: &str, ancestor: &str) -> bool {
        self.lineage(class).any(|(name, _)| name == ancestor)
    }

    pub(super) fn property(&self, class: &str, name: &str) -> Option<&Property> {
        self.lineage(class)
            .find_map(|(_, class)| class.properties.get(name))
    }

    /// Every property that an object of the class must have.
    pub(super) fn required<'m>(
        &'m self,
        class: &str,
    ) -> impl Iterator<Item = (&'m str, &'m Property)> {
        self.lineage(class)
            .flat_map(|(_, class)| &class.properties)
            .filter(|(_, property)| property.min > 0)
            .map(|(name, property)| (name.as_str(), property))
    }

    /// The class of an individual of the model: `NoneElement`, or its whole IRI.
    pub(super) fn individual(&self, reference: &str) -> Option<&str> {
        let name = match reference.strip_prefix("https://spdx.org/rdf/") {
            Some(iri) => iri.split_once("/terms/")?.1.to_owned(),
            None => match reference.strip_prefix("expandedlicensing_") {
                Some(name) => format!("ExpandedLicensing/{name}"),
                None => format!("Core/{reference}"),
            },
        };
        self.individuals.get(&name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let model = Model::get();
        assert_eq!(model.classes.len(), 67);
        for (name, class) in &model.classes {
            if let Some(parent) = &class.parent {
                assert!(model.class(parent).is_some(), "{name}: {parent}");
            }
            for (property, of) in &class.properties {
                let kinds = [
                    of.class.is_some(),
                    of.values.is_some(),
                    of.literal.is_some(),
                ];
                assert_eq!(kinds.iter().filter(|k| **k).count(), 1, "{name}/{property}");
                if let Some(class) = &of.class {
                    assert!(model.class(class).is_some(), "{name}/{property}: {class}");
                }
            }
        }
        assert!(model.is_a("ai_AIPackage", "Element"));
        assert!(!model.is_a("Element", "software_Package"));
    }

    #[test]
    fn individuals() {
        let model = Model::get();
        assert_eq!(model.individual("NoneElement"), Some("IndividualElement"));
        assert_eq!(
            model.individual("https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoneLicense"),
            Some("expandedlicensing_IndividualLicensingInfo")
        );
        assert_eq!(model.individual("Nobody"), None);
    }
}
