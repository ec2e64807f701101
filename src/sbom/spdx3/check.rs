//! Objects of an SPDX 3 document against the classes of the model.

use serde_json::{Map, Value};

use super::model::{Literal, Model, Property};
use super::nodes::Nodes;
use super::top;
use crate::shape::{Path, Violations, text};

/// IRIs of the SPDX licence list need no import.
const LISTED_LICENCES: &str = "https://spdx.org/licenses/";

pub(super) fn document(document: &Value, model: &Model, nodes: &Nodes<'_>, found: &mut Violations) {
    let root = Path::ROOT;
    if let Some(graph) = document.get("@graph") {
        if !graph.is_array() {
            let reason = format!("must be an array, found {}", text::excerpt(graph));
            found.add(&root.key("@graph"), &reason);
            return;
        }
        for key in document.as_object().into_iter().flat_map(Map::keys) {
            if !matches!(key.as_str(), "@context" | "@graph") {
                found.add(&root.key(key), "is no member that stands beside @graph");
            }
        }
    }
    let mut checker = Checker {
        model,
        nodes,
        found,
    };
    let mut documents = 0;
    top(document, |value, at| {
        checker.object(value, None, at);
        if value.get("type").and_then(Value::as_str) == Some("SpdxDocument") {
            documents += 1;
            if documents > 1 {
                checker.found.add(at, "is a second SpdxDocument");
            }
        }
    });
}

struct Checker<'c, 'v> {
    model: &'c Model,
    nodes: &'c Nodes<'v>,
    found: &'c mut Violations,
}

impl Checker<'_, '_> {
    fn object(&mut self, value: &Value, expected: Option<&str>, at: &Path<'_>) {
        let Value::Object(map) = value else {
            let reason = format!("must be an object, found {}", text::excerpt(value));
            return self.found.add(at, &reason);
        };
        let Some(name) = map.get("type").and_then(Value::as_str) else {
            return self
                .found
                .add(&at.key("type"), "is required: the name of a class");
        };
        let extension = expected == Some("extension_Extension");
        let Some(class) = self.model.class(name) else {
            // Others' extensions are of classes that the model does not know.
            if !(extension && text::is_uri(name)) {
                let reason = format!("{} is no class of SPDX 3.0", text::quoted(name));
                self.found.add(&at.key("type"), &reason);
            }
            return;
        };
        if class.is_abstract {
            let reason = format!("{name} is abstract: only classes that extend it have objects");
            self.found.add(&at.key("type"), &reason);
        }
        if let Some(expected) = expected
            && !self.model.is_a(name, expected)
        {
            let reason = format!("must be {expected} or extend it, found {name}");
            self.found.add(&at.key("type"), &reason);
        }
        self.identifier(map, class.element, at);
        for (required, property) in self.model.required(name) {
            if !map.contains_key(required) {
                self.found.add(
                    &at.key(required),
                    &format!("is required: {}", expectation(property)),
                );
            }
        }
        for (key, value) in map {
            let at = at.key(key);
            match self.model.property(name, key) {
                Some(property) => self.values(property, value, &at),
                None if class.open => {}
                None if matches!(key.as_str(), "type" | "spdxId" | "@id") => {}
                None if key == "@context" && expected.is_none() => {}
                None => self.found.add(&at, &format!("is no property of {name}")),
            }
        }
    }

    fn identifier(&mut self, map: &Map<String, Value>, element: bool, at: &Path<'_>) {
        let (member, other) = if element {
            ("spdxId", "@id")
        } else {
            ("@id", "spdxId")
        };
        match map.get(member) {
            Some(Value::String(id)) if text::is_uri(id) => {}
            Some(Value::String(id)) if !element && id.len() > 2 && id.starts_with("_:") => {}
            Some(value) => {
                let what = if element {
                    "an IRI"
                } else {
                    "an IRI, or _: and a name"
                };
                let reason = format!("must be {what}, found {}", text::excerpt(value));
                self.found.add(&at.key(member), &reason);
            }
            None if element => self.found.add(&at.key(member), "is required: an IRI"),
            None => {}
        }
        if map.contains_key(other) {
            let reason = format!("is not the identifier of this class: that is {member}");
            self.found.add(&at.key(other), &reason);
        }
    }

    fn values(&mut self, property: &Property, value: &Value, at: &Path<'_>) {
        match value {
            Value::Array(items) if property.many => {
                if items.len() < property.min {
                    let reason = format!("must have at least {} entries", property.min);
                    self.found.add(at, &reason);
                }
                for (index, item) in items.iter().enumerate() {
                    self.value(property, item, &at.index(index));
                }
            }
            value if property.many => {
                let reason = format!("must be an array, found {}", text::excerpt(value));
                self.found.add(at, &reason);
            }
            value => self.value(property, value, at),
        }
    }

    fn value(&mut self, property: &Property, value: &Value, at: &Path<'_>) {
        let fits = match (&property.class, &property.values, property.literal, value) {
            (Some(class), .., Value::String(reference)) => {
                return self.reference(class, reference, at);
            }
            (Some(class), .., Value::Object(_)) => return self.object(value, Some(class), at),
            (_, Some(values), _, Value::String(s)) => values.contains(s),
            (_, _, Some(literal), value) => literal.fits(value),
            _ => false,
        };
        if !fits {
            let expected = expectation(property);
            let reason = format!("must be {expected}, found {}", text::excerpt(value));
            self.found.add(at, &reason);
        }
    }

    fn reference(&mut self, class: &str, reference: &str, at: &Path<'_>) {
        let object = self.nodes.object(reference);
        let target = match object {
            Some(object) => object.get("type").and_then(Value::as_str),
            None => self.model.individual(reference),
        };
        match target {
            // An object of an unknown class is reported where it stands.
            Some(target) if self.model.class(target).is_none() => {}
            Some(target) if self.model.is_a(target, class) => {}
            Some(target) => {
                let reason = format!(
                    "must refer to {class}, but {} is {target}",
                    text::quoted(reference)
                );
                self.found.add(at, &reason);
            }
            None if object.is_some() || self.nodes.is_imported(reference) => {}
            None if reference.starts_with(LISTED_LICENCES)
                && self.model.is_a("expandedlicensing_ListedLicense", class) => {}
            None => {
                let reference = text::quoted(reference);
                let reason = format!("{reference} is neither in this document nor imported by it");
                self.found.add(at, &reason);
            }
        }
    }
}

fn expectation(property: &Property) -> String {
    let one = match (&property.class, &property.values, property.literal) {
        (Some(class), ..) => format!("{class}, or a reference to one"),
        (_, Some(values), _) => text::one_of(values.iter().map(String::as_str)),
        (.., Some(literal)) => literal.expected().to_owned(),
        _ => "any value".to_owned(),
    };
    if property.many {
        format!("an array, each {one}")
    } else {
        one
    }
}

impl Literal {
    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::Uri, Value::String(s)) => text::is_uri(s),
            (Self::Time, Value::String(s)) => text::is_utc(s),
            (Self::Semver, Value::String(s)) => is_semver(s),
            (Self::MediaType, Value::String(s)) => s
                .split_once('/')
                .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/')),
            (Self::Decimal, Value::Number(_)) => true,
            (Self::Decimal, Value::String(s)) => is_decimal(s),
            (Self::Positive, Value::Number(n)) => n.as_u64().is_some_and(|n| n > 0),
            (Self::Count, Value::Number(n)) => n.is_u64(),
            _ => false,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Uri => "a URI with a scheme",
            Self::Time => "a UTC time such as 2026-11-21T10:00:00Z",
            Self::Semver => "a version such as 3.0.1",
            Self::MediaType => "a media type such as text/plain",
            Self::Bool => "true or false",
            Self::Decimal => "a number",
            Self::Positive => "a whole number above 0",
            Self::Count => "a whole number, not negative",
        }
    }
}

fn is_semver(s: &str) -> bool {
    let core = s.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        !part.is_empty() && digits && (part == "0" || !part.starts_with('0'))
    };
    core.split('.').count() == 3 && core.split('.').all(number) && !s.ends_with(['-', '+', '.'])
}

fn is_decimal(s: &str) -> bool {
    let unsigned = s.strip_prefix('-').unwrap_or(s);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    !whole.is_empty() && digits(whole) && digits(fraction)
}
