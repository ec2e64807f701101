//! Identifiers of an SPDX 2.3 document: each once, and every reference leads
//! to one, or to a document that is declared (clauses 6.6, 10 and 11).

use std::collections::HashSet;

use serde_json::Value;

use crate::shape::{Path, Violations, text};

pub(super) fn check(document: &Value, found: &mut Violations) {
    let root = Path::ROOT;
    let mut ids = HashSet::from(["SPDXRef-DOCUMENT"]);
    for list in ["packages", "files", "snippets"] {
        unique(document, list, "SPDXID", &mut ids, found);
    }
    let mut licences = HashSet::new();
    unique(
        document,
        "hasExtractedLicensingInfos",
        "licenseId",
        &mut licences,
        found,
    );
    let mut documents = HashSet::new();
    unique(
        document,
        "externalDocumentRefs",
        "externalDocumentId",
        &mut documents,
        found,
    );
    let known = Known {
        ids,
        licences,
        documents,
    };

    known.elements(document, "documentDescribes", &root, found);
    each(
        document,
        "relationships",
        |item, at, found| {
            known.element(item, "spdxElementId", at, &[], found);
            known.element(
                item,
                "relatedSpdxElement",
                at,
                &["NONE", "NOASSERTION"],
                found,
            );
        },
        found,
    );
    each(
        document,
        "packages",
        |item, at, found| {
            known.elements(item, "hasFiles", at, found);
            known.licences(
                item,
                &[
                    "licenseConcluded",
                    "licenseDeclared",
                    "licenseInfoFromFiles",
                ],
                at,
                found,
            );
            if item.get("filesAnalyzed") == Some(&Value::Bool(false))
                && item.get("packageVerificationCode").is_some()
            {
                found.add(
                    &at.key("packageVerificationCode"),
                    "must be absent where filesAnalyzed is false",
                );
            }
        },
        found,
    );
    each(
        document,
        "files",
        |item, at, found| {
            known.elements(item, "fileDependencies", at, found);
            known.licences(item, &["licenseConcluded", "licenseInfoInFiles"], at, found);
        },
        found,
    );
    each(
        document,
        "snippets",
        |item, at, found| {
            known.element(item, "snippetFromFile", at, &[], found);
            known.licences(
                item,
                &["licenseConcluded", "licenseInfoInSnippets"],
                at,
                found,
            );
            let ranges_at = at.key("ranges");
            for (index, range) in array(item, "ranges").iter().enumerate() {
                let range_at = ranges_at.index(index);
                for end in ["startPointer", "endPointer"] {
                    known.element(&range[end], "reference", &range_at.key(end), &[], found);
                }
            }
        },
        found,
    );
}

fn array<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    object
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn each(
    document: &Value,
    list: &str,
    mut visit: impl FnMut(&Value, &Path<'_>, &mut Violations),
    found: &mut Violations,
) {
    let root = Path::ROOT;
    let at = root.key(list);
    for (index, item) in array(document, list).iter().enumerate() {
        visit(item, &at.index(index), found);
    }
}

/// Collects the identifiers of a list, and reports one that is there already.
fn unique<'v>(
    document: &'v Value,
    list: &str,
    member: &str,
    ids: &mut HashSet<&'v str>,
    found: &mut Violations,
) {
    let root = Path::ROOT;
    let at = root.key(list);
    for (index, item) in array(document, list).iter().enumerate() {
        if let Some(id) = item.get(member).and_then(Value::as_str)
            && !ids.insert(id)
        {
            let reason = format!("{} stands there twice", text::quoted(id));
            found.add(&at.index(index).key(member), &reason);
        }
    }
}

struct Known<'v> {
    ids: HashSet<&'v str>,
    licences: HashSet<&'v str>,
    documents: HashSet<&'v str>,
}

impl Known<'_> {
    fn elements(&self, object: &Value, member: &str, at: &Path<'_>, found: &mut Violations) {
        let at = at.key(member);
        for (index, item) in array(object, member).iter().enumerate() {
            if let Some(id) = item.as_str() {
                self.look_up(id, &at.index(index), found);
            }
        }
    }

    fn element(
        &self,
        object: &Value,
        member: &str,
        at: &Path<'_>,
        also: &[&str],
        found: &mut Violations,
    ) {
        if let Some(id) = object.get(member).and_then(Value::as_str)
            && !also.contains(&id)
        {
            self.look_up(id, &at.key(member), found);
        }
    }

    fn look_up(&self, id: &str, at: &Path<'_>, found: &mut Violations) {
        match id.split_once(':') {
            Some((document, _)) => self.document(document, at, found),
            None if !self.ids.contains(id) => {
                let reason = format!("{} is no element of this document", text::quoted(id));
                found.add(at, &reason);
            }
            None => {}
        }
    }

    fn document(&self, document: &str, at: &Path<'_>, found: &mut Violations) {
        if !self.documents.contains(document) {
            let reason = format!(
                "{} is not declared in externalDocumentRefs",
                text::quoted(document)
            );
            found.add(at, &reason);
        }
    }

    /// Licences of the document's own in expressions; those of the SPDX list are not looked up.
    fn licences(&self, object: &Value, members: &[&str], at: &Path<'_>, found: &mut Violations) {
        for member in members {
            let at = at.key(member);
            match object.get(*member) {
                Some(Value::String(expression)) => self.expression(expression, &at, found),
                Some(Value::Array(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        if let Some(expression) = item.as_str() {
                            self.expression(expression, &at.index(index), found);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn expression(&self, expression: &str, at: &Path<'_>, found: &mut Violations) {
        let words = expression.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
        for word in words {
            if let Some((document, _)) = word.split_once(':') {
                self.document(document, at, found);
            } else if word.starts_with("LicenseRef-") && !self.licences.contains(word) {
                let reason = format!(
                    "{} is not declared in hasExtractedLicensingInfos",
                    text::quoted(word)
                );
                found.add(at, &reason);
            }
        }
    }
}
