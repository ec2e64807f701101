//! `apiVersion: obreia/v1`, `kind: VerificationPolicy`.

mod certificates;
mod keys;
mod wire;

use serde_json::Value;
use serde_saphyr::Spanned;

use self::wire::{Attestation, BindingWire, Match, Mutable, Rules, Signatures, TimeRequired, Wire};
use super::yaml::{Segment, place};
use super::{
    AttestationSource, Binding, ClauseSource, Dialect, Document, ResourcePattern, RulesSource,
    RulesText, SignatureRule,
};
use crate::policy::error::{Place, PolicyError};
use crate::policy::pattern::{self, Pattern};
use crate::policy::suggest::nearest;
use crate::statement::{COSIGN_SIGN, MODEL_SIGNATURE, predicate};
use crate::time::Span;
use crate::verify::{SignatureFormat, Stage};

/// Reads one document of this kind.
pub(super) fn read(at: Place, segment: &Segment, tree: Value) -> Result<Document, PolicyError> {
    let wire: Wire = segment.read(&at.file)?;
    let reader = Reader { file: &at.file };
    let spec = wire.spec;
    let name = reader.name(&wire.metadata.name, "metadata.name")?;
    let matches = reader.matches(&spec.matches)?;
    let stages = match &spec.stages {
        None => Stage::ALL.to_vec(),
        Some(stages) if stages.value.is_empty() => {
            return Err(reader.field(
                place(&at.file, stages),
                "spec.stages",
                "is empty, so that the policy would never speak; leave it out for all stages",
            ));
        }
        Some(stages) => stages.value.clone(),
    };
    let authorities = reader.authorities(&spec.authorities)?;
    let names: Vec<&str> = authorities.iter().map(|a| a.name.as_str()).collect();
    let signatures = reader.signatures(spec.signatures, &names, !spec.attestations.is_empty())?;
    let attestations = spec
        .attestations
        .iter()
        .enumerate()
        .map(|(i, a)| reader.attestation(i, &a.value, &names))
        .collect::<Result<_, _>>()?;
    let binding = spec
        .binding
        .as_ref()
        .map(|b| reader.binding(b, &names))
        .transpose()?;
    let ignore_paths = spec
        .ignore_paths
        .iter()
        .enumerate()
        .map(|(i, path)| {
            pattern::ignore_path(&path.value)
                .map(|_| path.value.clone())
                .map_err(|detail| {
                    reader.field(
                        place(&at.file, path),
                        format!("spec.ignorePaths[{i}]"),
                        detail,
                    )
                })
        })
        .collect::<Result<_, _>>()?;
    let rules = spec
        .rules
        .map(|r| reader.rules("spec.rules".to_owned(), r))
        .transpose()?;
    Ok(Document {
        dialect: Dialect::VerificationPolicy,
        name,
        matches,
        stages,
        authorities,
        clauses: vec![ClauseSource {
            signatures,
            attestations,
        }],
        binding,
        ignore_paths,
        signed_time: spec.time.is_some_and(|t| t.require == TimeRequired::Signed),
        rules,
        mode: spec.mode,
        mutable_allowed: spec.mutable == Mutable::Allow,
        of_index: spec.index,
        tree,
        at,
    })
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn field(&self, at: Place, field: impl Into<String>, detail: impl Into<String>) -> PolicyError {
        PolicyError::Field {
            at,
            field: field.into(),
            detail: detail.into(),
        }
    }

    fn name(&self, name: &Spanned<String>, field: &str) -> Result<String, PolicyError> {
        let text = &name.value;
        let fits = !text.is_empty()
            && text.len() <= 253
            && !text.starts_with('-')
            && text.chars().all(|c| !c.is_control());
        if fits {
            Ok(text.clone())
        } else {
            Err(self.field(
                place(self.file, name),
                field,
                "a name has 1 to 253 characters, none of them a control character, and does not begin with '-'",
            ))
        }
    }

    fn matches(&self, list: &Spanned<Vec<Spanned<Match>>>) -> Result<Vec<Pattern>, PolicyError> {
        if list.value.is_empty() {
            return Err(self.field(
                place(self.file, list),
                "spec.match",
                "is empty, so that the policy would match nothing; for all models write { kind: model }",
            ));
        }
        list.value
            .iter()
            .enumerate()
            .map(|(i, entry)| {
                let fail = |detail: String| {
                    self.field(place(self.file, entry), format!("spec.match[{i}]"), detail)
                };
                if entry.value.kind.is_none() && entry.value.name.is_none() {
                    return Err(fail("names neither kind nor name".to_owned()));
                }
                Pattern::new(
                    entry.value.kind,
                    entry.value.name.as_deref().unwrap_or("**"),
                )
                .map_err(fail)
            })
            .collect()
    }

    /// Names of authorities, each of them known and none twice.
    fn from(
        &self,
        field: &str,
        list: &Spanned<Vec<Spanned<String>>>,
        known: &[&str],
    ) -> Result<Vec<String>, PolicyError> {
        if list.value.is_empty() {
            return Err(self.field(place(self.file, list), field, "names no authority"));
        }
        let mut names: Vec<String> = Vec::new();
        for (i, name) in list.value.iter().enumerate() {
            let fail = |detail: String| {
                self.field(place(self.file, name), format!("{field}[{i}]"), detail)
            };
            if !known.contains(&name.value.as_str()) {
                let hint = nearest(&name.value, known.iter().copied())
                    .map(|near| format!("; did you mean {near:?}?"))
                    .unwrap_or_default();
                return Err(fail(format!(
                    "{:?} is not an authority of this policy{hint}",
                    name.value
                )));
            }
            if names.contains(&name.value) {
                return Err(fail(format!("{:?} stands twice", name.value)));
            }
            names.push(name.value.clone());
        }
        Ok(names)
    }

    fn signatures(
        &self,
        wire: Option<Signatures>,
        known: &[&str],
        attested: bool,
    ) -> Result<SignatureRule, PolicyError> {
        let wire = wire.unwrap_or(Signatures {
            from: None,
            threshold: None,
            formats: None,
            max_age: None,
        });
        let from = match &wire.from {
            Some(from) => self.from("spec.signatures.from", from, known)?,
            None => known.iter().map(|&n| n.to_owned()).collect(),
        };
        let threshold = wire.threshold.as_ref().map_or(1, |t| t.value);
        if let Some(at) = wire.threshold.as_ref()
            && threshold == 0
            && !attested
        {
            return Err(self.field(
                place(self.file, at),
                "spec.signatures.threshold",
                "0 asks for no signature, which is accepted only where attestations are asked for",
            ));
        }
        let formats = match wire.formats {
            Some(formats) if formats.value.is_empty() => {
                return Err(self.field(
                    place(self.file, &formats),
                    "spec.signatures.formats",
                    "is empty: no signature would ever count",
                ));
            }
            Some(formats) => formats.value,
            None => vec![SignatureFormat::Bundle, SignatureFormat::Oms],
        };
        let max_age = self.span("spec.signatures.maxAge", wire.max_age.as_ref())?;
        Ok(SignatureRule {
            from,
            threshold,
            formats,
            max_age: max_age.map(|(_, span)| span),
        })
    }

    fn attestation(
        &self,
        i: usize,
        wire: &Attestation,
        known: &[&str],
    ) -> Result<AttestationSource, PolicyError> {
        let path = format!("spec.attestations[{i}]");
        let kind = wire.kind.value.clone();
        let uri = predicate_uri(&kind).map_err(|detail| {
            self.field(place(self.file, &wire.kind), format!("{path}.type"), detail)
        })?;
        let from = self.from(&format!("{path}.from"), &wire.from, known)?;
        let max_age = self.span(&format!("{path}.maxAge"), wire.max_age.as_ref())?;
        let rules = match &wire.rules {
            None => None,
            Some(rules) => Some(self.rules_ref(format!("{path}.rules"), rules)?),
        };
        Ok(AttestationSource {
            kind,
            uri,
            from,
            max_age,
            rules,
        })
    }

    fn span(
        &self,
        field: &str,
        text: Option<&Spanned<String>>,
    ) -> Result<Option<(String, Span)>, PolicyError> {
        let Some(text) = text else { return Ok(None) };
        let span = text.value.parse().map_err(|e: crate::time::TimeError| {
            self.field(place(self.file, text), field, e.to_string())
        })?;
        Ok(Some((text.value.clone(), span)))
    }

    fn binding(&self, wire: &Spanned<BindingWire>, known: &[&str]) -> Result<Binding, PolicyError> {
        let value = &wire.value;
        let from = self.from("spec.binding.from", &value.from, known)?;
        if value.repository.is_none() && value.stage.is_none() && value.resource_uri.is_none() {
            return Err(self.field(
                place(self.file, wire),
                "spec.binding",
                "names none of repository, stage and resourceUri",
            ));
        }
        if value.resource_uri.is_some() && value.verifiers.is_empty() {
            return Err(self.field(
                place(self.file, wire),
                "spec.binding.verifiers",
                "is empty, so that no verification summary would count; name the verifier.id of yours",
            ));
        }
        let resource_uri = match &value.resource_uri {
            None => None,
            Some(text) => Some(ResourcePattern {
                glob: pattern::glob(&text.value).map_err(|detail| {
                    self.field(place(self.file, text), "spec.binding.resourceUri", detail)
                })?,
            }),
        };
        Ok(Binding {
            from,
            repository: value.repository.clone(),
            stage: value.stage.clone(),
            verifiers: value.verifiers.clone(),
            resource_uri,
        })
    }

    fn rules(&self, field: String, rules: Spanned<Rules>) -> Result<RulesSource, PolicyError> {
        self.rules_ref(field, &rules)
    }

    fn rules_ref(&self, field: String, rules: &Spanned<Rules>) -> Result<RulesSource, PolicyError> {
        let at = place(self.file, rules);
        let (text, syntax) = match &rules.value {
            Rules::File(path) => (RulesText::File(path.clone()), None),
            Rules::Map(map) => {
                let text = match (&map.file, &map.rego) {
                    (Some(path), None) if map.name.is_none() => RulesText::File(path.clone()),
                    (None, Some(rego)) => RulesText::Inline {
                        name: map.name.clone().unwrap_or_else(|| field.clone()),
                        rego: rego.clone(),
                    },
                    _ => {
                        return Err(self.field(
                            at,
                            field,
                            "needs exactly one of file and rego; name goes with rego",
                        ));
                    }
                };
                (text, map.syntax)
            }
        };
        if let RulesText::File(path) = &text
            && (path.is_empty() || path.contains('\0'))
        {
            return Err(self.field(at, field, "names no file"));
        }
        Ok(RulesSource {
            at,
            field,
            syntax,
            text,
        })
    }
}

/// The type URI that a name or a URI under `attestations` stands for.
pub(super) fn predicate_uri(kind: &str) -> Result<String, String> {
    let found = predicate::resolve(kind).map_err(|e| {
        let hint = nearest(kind, predicate::names())
            .map(|near| format!("; did you mean {near:?}?"))
            .unwrap_or_default();
        format!("{e}{hint}")
    })?;
    if [COSIGN_SIGN, MODEL_SIGNATURE].contains(&found.uri()) {
        return Err(format!(
            "{kind:?} is a signature, not an attestation; ask for it under signatures"
        ));
    }
    Ok(found.uri().to_owned())
}
