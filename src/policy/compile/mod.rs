//! From a document and what was gathered for it to a policy that decides.

mod certificates;
mod distinct;
mod identity;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::distinct::unify;
use self::identity::identity;
use super::document::{
    Binding, ClauseSource, Document, KeySource, Mode, OfIndex, RulesSource, RulesText,
    SignatureRule,
};
use super::engine::PolicyEngine;
use super::error::PolicyError;
use super::pattern::{self, Glob, Pattern};
use super::rego::Rego;
use crate::limits;
use crate::statement::predicate::{VSA, same_family};
use crate::time::Span;
use crate::trust::{Authority, CertificateTrust, TrustedKey};
use crate::verify::{ArtifactKind, PolicyId, SignatureFact, SignatureFormat, Stage};

/// What was fetched for documents, by the reference that names it.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// For each [`super::Want::Key`]: all versions of the key that still verify.
    pub keys: BTreeMap<String, Vec<TrustedKey>>,
    /// For each [`super::Want::Rules`]: the file's bytes.
    pub rules: BTreeMap<String, Vec<u8>>,
    /// For each [`super::Want::Certificates`]: the files' names and bytes.
    pub certificates: BTreeMap<String, Vec<(String, Vec<u8>)>>,
}

/// A policy that decides: nothing in it has to be looked up any more.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name, and the SHA-256 of its canonical form with all it includes.
    pub id: PolicyId,
    origin: Origin,
    matches: Vec<Pattern>,
    stages: Vec<Stage>,
    authorities: Vec<Authority>,
    clauses: Vec<Clause>,
    binding: Option<Binding>,
    ignored: Vec<Glob>,
    signed_time: bool,
    rules: Option<Arc<dyn PolicyEngine>>,
    mode: Mode,
    mutable_allowed: bool,
    of_index: OfIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Document,
    Key,
}

/// One way to be met; a policy is met where any of its clauses is.
#[derive(Clone, Debug)]
pub struct Clause {
    /// The signatures asked for.
    pub signatures: SignatureRule,
    /// The attestations asked for, every one of them.
    pub attestations: Vec<AttestationRule>,
}

/// An attestation that is asked for.
#[derive(Clone, Debug)]
pub struct AttestationRule {
    /// A short name or a type URI, as it was written.
    pub kind: String,
    /// The type URI that it stands for; versions of one family match.
    pub uri: String,
    /// Names of authorities.
    pub from: Vec<String>,
    /// How old it may be, by a trusted time.
    pub max_age: Option<Span>,
    /// What it must say.
    pub rules: Option<Arc<dyn PolicyEngine>>,
}

impl Policy {
    /// Puts together a document and what was gathered for its
    /// [`Document::wants`].
    ///
    /// # Errors
    /// `PolicyError` where something was not gathered, a key reference has no
    /// key, a threshold can never be met, or rules do not compile.
    pub fn compile(document: Document, gathered: &Gathered) -> Result<Self, PolicyError> {
        let mut authorities = Vec::new();
        for source in &document.authorities {
            let mut keys = Vec::new();
            for key in &source.keys {
                keys.extend(resolve(key, gathered)?);
            }
            let certificates = source.certificates.as_ref();
            authorities.push(Authority {
                name: source.name.clone(),
                keys,
                certificates: certificates
                    .map(|source| certificates::trust(source, gathered))
                    .transpose()?,
            });
        }
        unify(&mut authorities);
        let clauses = document
            .clauses
            .iter()
            .map(|clause| compile_clause(&document, clause, &authorities, gathered))
            .collect::<Result<Vec<_>, _>>()?;
        let rules = document
            .rules
            .as_ref()
            .map(|rules| compile_rules(rules, gathered))
            .transpose()?;
        let ignored = ignored(&document.ignore_paths);
        let digest = identity(&document, &authorities, &clauses, rules.as_deref());
        Ok(Self {
            id: PolicyId {
                name: document.name,
                digest: Some(digest),
            },
            origin: Origin::Document,
            matches: document.matches,
            stages: document.stages,
            authorities,
            clauses,
            binding: document.binding,
            ignored,
            signed_time: document.signed_time,
            rules,
            mode: document.mode,
            mutable_allowed: document.mutable_allowed,
            of_index: document.of_index,
        })
    }

    /// What `--key` stands for: one authority, one signature in any format of
    /// this version, at every stage and for every artifact. Files that the
    /// signature leaves out are denied unless `ignore_paths` name them.
    ///
    /// # Errors
    /// What is wrong with an ignored path.
    pub fn for_key(keys: Vec<TrustedKey>, ignore_paths: &[String]) -> Result<Self, String> {
        let authority = Authority {
            name: "key".to_owned(),
            keys,
            certificates: None,
        };
        let formats = vec![
            SignatureFormat::Bundle,
            SignatureFormat::Oms,
            SignatureFormat::Raw,
            SignatureFormat::CosignLegacy,
        ];
        Self::for_one("--key", authority, formats, ignore_paths)
    }

    /// What `--certificate-roots` stands for: as [`Policy::for_key`], for
    /// signatures by certificates.
    ///
    /// # Errors
    /// What is wrong with an ignored path.
    pub fn for_certificates(
        certificates: CertificateTrust,
        ignore_paths: &[String],
    ) -> Result<Self, String> {
        let authority = Authority {
            name: "certificate".to_owned(),
            keys: Vec::new(),
            certificates: Some(certificates),
        };
        let formats = vec![SignatureFormat::Notation];
        Self::for_one("--certificate-roots", authority, formats, ignore_paths)
    }

    fn for_one(
        name: &str,
        authority: Authority,
        formats: Vec<SignatureFormat>,
        ignore_paths: &[String],
    ) -> Result<Self, String> {
        for path in ignore_paths {
            pattern::ignore_path(path)?;
        }
        let from = vec![authority.name.clone()];
        let mut authorities = vec![authority];
        unify(&mut authorities);
        Ok(Self {
            id: PolicyId {
                name: name.to_owned(),
                digest: None,
            },
            origin: Origin::Key,
            matches: vec![Pattern::new(None, "**")?],
            stages: Stage::ALL.to_vec(),
            authorities,
            clauses: vec![Clause {
                signatures: SignatureRule {
                    from,
                    threshold: 1,
                    formats,
                    max_age: None,
                },
                attestations: Vec::new(),
            }],
            binding: None,
            ignored: ignored(ignore_paths),
            signed_time: false,
            rules: None,
            mode: Mode::Enforce,
            mutable_allowed: false,
            of_index: OfIndex::Index,
        })
    }

    /// Whose signatures verification should look for.
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    /// The ways in which it can be met; any one suffices.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// Whether a signature that holds is one of those that some clause counts:
    /// by one of its authorities, in one of its formats.
    pub fn may_count(&self, signature: &SignatureFact) -> bool {
        self.clauses.iter().any(|clause| {
            clause.signatures.from.contains(&signature.authority)
                && clause.signatures.formats.contains(&signature.format)
        })
    }

    /// The stages that it speaks at.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// What it speaks about.
    pub fn matches(&self) -> &[Pattern] {
        &self.matches
    }

    /// What of an index must meet it.
    pub const fn of_index(&self) -> OfIndex {
        self.of_index
    }

    /// What it does when it is not met.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it stands for a bare `--key`, or for certificates named so.
    pub fn is_for_key(&self) -> bool {
        self.origin == Origin::Key
    }

    /// Whether any rule of Rego has a word in it: rules can test absence, so
    /// they need everything to have been looked up.
    pub fn has_rules(&self) -> bool {
        self.rules.is_some()
            || self
                .clauses
                .iter()
                .flat_map(|c| &c.attestations)
                .any(|a| a.rules.is_some())
    }

    /// Whether it asks for signatures, and looks at nothing but evidence and
    /// the digest that it is about.
    pub(super) fn looks_at_evidence_alone(&self) -> bool {
        // Without a signature, what a model's identity leaves out counts.
        !self.has_rules() && self.clauses.iter().all(|c| c.signatures.threshold > 0)
    }

    /// Whether no evidence but signatures has a word in it.
    pub fn asks_for_signatures_alone(&self) -> bool {
        !self.has_rules()
            && self.binding.is_none()
            && self.clauses.iter().all(|c| c.attestations.is_empty())
    }

    /// Whether a file that a signature leaves out may stand in a model.
    pub fn ignores(&self, path: &str) -> bool {
        self.ignored.iter().any(|glob| glob.is_match(path))
    }

    /// Whether it speaks about an artifact of these kinds and that name at a stage.
    pub fn speaks(&self, kinds: &[ArtifactKind], name: &str, stage: Stage) -> bool {
        self.stages.contains(&stage) && self.matches.iter().any(|p| p.matches(kinds, name))
    }

    pub(super) fn rules(&self) -> Option<&dyn PolicyEngine> {
        self.rules.as_deref()
    }

    pub(super) const fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    pub(super) const fn signed_time(&self) -> bool {
        self.signed_time
    }

    pub(super) const fn mutable_allowed(&self) -> bool {
        self.mutable_allowed
    }
}

fn ignored(paths: &[String]) -> Vec<Glob> {
    paths
        .iter()
        .filter_map(|path| pattern::ignore_path(path).ok())
        .flatten()
        .collect()
}

fn resolve(key: &KeySource, gathered: &Gathered) -> Result<Vec<TrustedKey>, PolicyError> {
    match key {
        KeySource::Public(key) => Ok(vec![(**key).clone()]),
        KeySource::Reference { text, at, field } => match gathered.keys.get(text) {
            Some(keys) if !keys.is_empty() => Ok(keys.clone()),
            Some(_) => Err(PolicyError::Field {
                at: at.clone(),
                field: field.clone(),
                detail: format!("{text:?} has no version that may verify"),
            }),
            None => Err(PolicyError::NotGathered {
                at: at.clone(),
                field: field.clone(),
                wanted: text.clone(),
            }),
        },
    }
}

fn compile_clause(
    document: &Document,
    clause: &ClauseSource,
    authorities: &[Authority],
    gathered: &Gathered,
) -> Result<Clause, PolicyError> {
    let rule = &clause.signatures;
    let named = || authorities.iter().filter(|a| rule.from.contains(&a.name));
    // How many signers certificates stand for, nobody can tell.
    let countable = named().all(|a| a.certificates.is_none());
    let mut ids: Vec<&str> = named()
        .flat_map(|a| a.keys.iter().map(|k| k.key_id.as_str()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if countable && rule.threshold > ids.len() {
        return Err(PolicyError::Field {
            at: document.at.clone(),
            field: "spec.signatures.threshold".to_owned(),
            detail: format!(
                "{} distinct keys are asked for, and the authorities in from have {}",
                rule.threshold,
                ids.len()
            ),
        });
    }
    let attestations = clause
        .attestations
        .iter()
        .map(|source| {
            if same_family(&source.uri, VSA) {
                return Err(PolicyError::Unsupported {
                    at: document.at.clone(),
                    field: "spec.attestations.type vsa".to_owned(),
                    detail: "a verification summary counts by what it says, so it is asked for under spec.binding, which names verifier and resourceUri".to_owned(),
                });
            }
            Ok(AttestationRule {
                kind: source.kind.clone(),
                uri: source.uri.clone(),
                from: source.from.clone(),
                max_age: source.max_age.as_ref().map(|(_, span)| *span),
                rules: source
                    .rules
                    .as_ref()
                    .map(|rules| compile_rules(rules, gathered))
                    .transpose()?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Clause {
        signatures: rule.clone(),
        attestations,
    })
}

fn compile_rules(
    rules: &RulesSource,
    gathered: &Gathered,
) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
    let (name, text) = match &rules.text {
        RulesText::Inline { name, rego } => (name, rego.as_bytes()),
        RulesText::File(path) => match gathered.rules.get(path) {
            Some(text) => (path, text.as_slice()),
            None => {
                return Err(PolicyError::NotGathered {
                    at: rules.at.clone(),
                    field: rules.field.clone(),
                    wanted: path.clone(),
                });
            }
        },
    };
    if text.len() as u64 > limits::POLICY {
        return Err(PolicyError::TooLarge {
            file: name.clone(),
            found: text.len() as u64,
            limit: limits::POLICY,
        });
    }
    let rego = Rego::compile(name, text, rules.syntax).map_err(|detail| PolicyError::Rules {
        at: rules.at.clone(),
        field: rules.field.clone(),
        file: name.clone(),
        detail,
    })?;
    Ok(Arc::new(rego))
}
