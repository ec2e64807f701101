//! What an SPDX 3 document defines, and what it imports.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::shape::{Path, Violations, text};

/// Objects by identifier.
pub(super) struct Nodes<'v> {
    objects: HashMap<&'v str, &'v Value>,
    imported: HashSet<&'v str>,
}

impl<'v> Nodes<'v> {
    /// Walks the document, and reports an identifier that stands there twice.
    pub(super) fn collect(document: &'v Value, found: &mut Violations) -> Self {
        let mut nodes = Self {
            objects: HashMap::new(),
            imported: HashSet::new(),
        };
        nodes.walk(document, &Path::ROOT, found);
        nodes
    }

    fn walk(&mut self, value: &'v Value, path: &Path<'_>, found: &mut Violations) {
        match value {
            Value::Object(map) => {
                for member in ["spdxId", "@id"] {
                    if let Some(Value::String(id)) = map.get(member)
                        && self.objects.insert(id, value).is_some()
                    {
                        let reason = format!("{} stands there twice", text::quoted(id));
                        found.add(&path.key(member), &reason);
                    }
                }
                let id = map.get("externalSpdxId").and_then(Value::as_str);
                self.imported.extend(id);
                for (key, value) in map {
                    self.walk(value, &path.key(key), found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &path.index(index), found);
                }
            }
            _ => {}
        }
    }

    /// The object of that identifier.
    pub(super) fn object(&self, id: &str) -> Option<&'v Value> {
        self.objects.get(id).copied()
    }

    /// Whether the document declares that the element lies in another one.
    pub(super) fn is_imported(&self, id: &str) -> bool {
        self.imported.contains(id)
    }
}
