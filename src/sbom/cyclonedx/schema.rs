//! The official schemas, compiled on first use and only in the version asked for.

use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{Draft, PatternOptions, Registry, ValidationError, Validator};
use serde_json::Value;

use crate::sbom::SbomError;
use crate::shape::{Path, Violations, text};

type Compiled = Result<Validator, String>;

macro_rules! schema {
    ($name:literal) => {
        include_str!(concat!("../schemas/", $name, ".json"))
    };
}

static V1_4: LazyLock<Compiled> = LazyLock::new(|| compile(schema!("cyclonedx-1.4")));
static V1_5: LazyLock<Compiled> = LazyLock::new(|| compile(schema!("cyclonedx-1.5")));
static V1_6: LazyLock<Compiled> = LazyLock::new(|| compile(schema!("cyclonedx-1.6")));
static V1_7: LazyLock<Compiled> = LazyLock::new(|| compile(schema!("cyclonedx-1.7")));

/// What the schemas refer to, by the address they use.
const REFERRED: [(&str, &str); 3] = [
    (
        "http://cyclonedx.org/schema/spdx.schema.json",
        schema!("spdx-licences"),
    ),
    (
        "http://cyclonedx.org/schema/jsf-0.82.schema.json",
        schema!("jsf-0.82"),
    ),
    (
        "http://cyclonedx.org/schema/cryptography-defs.schema.json",
        schema!("cryptography-defs"),
    ),
];

pub(super) fn check(version: &str, document: &Value) -> Result<Violations, SbomError> {
    let compiled = match version {
        "1.4" => &V1_4,
        "1.5" => &V1_5,
        "1.6" => &V1_6,
        "1.7" => &V1_7,
        other => unreachable!("{other} is not among SbomKind::versions"),
    };
    let validator = match &**compiled {
        Ok(validator) => validator,
        Err(error) => unreachable!("the embedded schema {version} compiles: {error}"),
    };
    let mut found = Violations::default();
    if !validator.is_valid(document) {
        for error in validator.iter_errors(document) {
            report(&error, &mut found);
        }
    }
    Ok(found)
}

fn compile(schema: &str) -> Compiled {
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
    let mut registry = Registry::new();
    for (uri, text) in REFERRED {
        registry = registry.add(uri, parse(text)?).map_err(|e| e.to_string())?;
    }
    let registry = registry.prepare().map_err(|e| e.to_string())?;
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .with_registry(&registry)
        // Linear time, whatever the document: the other engine backtracks.
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .with_format("idn-email", is_mailbox)
        // RFC 3987 has no `git@host:path`, which widely used writers put into `externalReferences`.
        .with_format("iri-reference", text::has_only_iri_characters)
        .build(&parse(schema)?)
        .map_err(|e| e.to_string())
}

/// The library checks e-mail addresses with a dependency that is not in the
/// build; a local part and a domain are what is asked for here.
fn is_mailbox(s: &str) -> bool {
    s.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains(' ')
    })
}

/// Reports one error of the library at the place that is really wrong.
fn report(error: &ValidationError<'_>, found: &mut Violations) {
    let error = deepest(error);
    let at = error.instance_path();
    let instance = text::excerpt(error.instance());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            add(at, Some(name), "is required", found);
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                add(
                    at,
                    Some(name),
                    "is no member that the specification has",
                    found,
                );
            }
        }
        kind => add(at, None, &reason(kind, &instance), found),
    }
}

fn reason(kind: &ValidationErrorKind, instance: &str) -> String {
    match kind {
        ValidationErrorKind::Type { kind } => match kind {
            TypeKind::Single(expected) => format!("must be of type {expected}, found {instance}"),
            TypeKind::Multiple(expected) => {
                let names: Vec<_> = expected.iter().map(|t| t.to_string()).collect();
                format!("must be of type {}, found {instance}", names.join(" or "))
            }
        },
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let names = options.iter().map(|o| o.as_str().unwrap_or("(no text)"));
            format!("must be {}, found {instance}", text::one_of(names))
        }
        ValidationErrorKind::Constant { expected_value } => {
            format!(
                "must be {}, found {instance}",
                text::excerpt(expected_value)
            )
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("must match {pattern}, found {instance}")
        }
        ValidationErrorKind::Format { format } => {
            format!("must be of format {format}, found {instance}")
        }
        ValidationErrorKind::UniqueItems => "has the same entry twice".into(),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} entries"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} entries"),
        ValidationErrorKind::AdditionalItems { limit } => {
            format!("must have at most {limit} entries")
        }
        ValidationErrorKind::MinLength { limit } => {
            format!("must have at least {limit} characters, found {instance}")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("must have at most {limit} characters, found {instance}")
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("must be at least {limit}, found {instance}")
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("must be at most {limit}, found {instance}")
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "has the members of more than one of the forms that exclude each other".into()
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            alternatives(context, instance)
        }
        ValidationErrorKind::Not { .. } => "is what the specification excludes".into(),
        other => format!("breaks the rule {}, found {instance}", other.keyword()),
    }
}

/// What each of several forms would have needed.
fn alternatives(context: &[Vec<ValidationError<'static>>], instance: &str) -> String {
    let mut needs: Vec<String> = Vec::new();
    for error in context.iter().filter_map(|branch| branch.first()) {
        let need = match error.kind() {
            ValidationErrorKind::Required { property } => {
                format!("needs {}", property.as_str().unwrap_or_default())
            }
            kind => reason(kind, instance),
        };
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    format!("has none of the allowed forms: {}", needs.join(", or "))
}

/// Follows `oneOf` and `anyOf` to the error that matters: in the branch that
/// fits furthest, the error that lies deepest.
fn deepest<'e, 'a>(error: &'e ValidationError<'a>) -> &'e ValidationError<'a> {
    let (ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context }) =
        error.kind()
    else {
        return error;
    };
    let here = error.instance_path().into_iter().count();
    let depth = |e: &ValidationError<'_>| e.instance_path().into_iter().count();
    // The branch whose first departure lies deepest is the one that was meant.
    let meant = context
        .iter()
        .filter_map(|branch| {
            let nearest = branch.iter().map(depth).min()?;
            let found = branch.iter().max_by_key(|e| depth(e))?;
            Some((nearest, std::cmp::Reverse(branch.len()), found))
        })
        .filter(|(nearest, ..)| *nearest > here)
        .max_by_key(|(nearest, fewest, _)| (*nearest, *fewest));
    match meant {
        Some((.., found)) => deepest(found),
        None => error,
    }
}

/// Adds with the library's path and, where there is one, a member of it.
fn add(at: &Location, member: Option<&str>, reason: &str, found: &mut Violations) {
    let segments: Vec<_> = at.into_iter().collect();
    walk(&Path::ROOT, &segments, member, reason, found);
}

fn walk(
    path: &Path<'_>,
    rest: &[LocationSegment<'_>],
    member: Option<&str>,
    reason: &str,
    found: &mut Violations,
) {
    match (rest, member) {
        ([], None) => found.add(path, reason),
        ([], Some(name)) => found.add(&path.key(name), reason),
        ([LocationSegment::Property(name), rest @ ..], _) => {
            walk(&path.key(name), rest, member, reason, found);
        }
        ([LocationSegment::Index(index), rest @ ..], _) => {
            walk(&path.index(*index), rest, member, reason, found);
        }
    }
}
