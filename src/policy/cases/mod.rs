//! Cases beside a policy: supposed facts, and the verdict expected of them.
//!
//! A supposition never becomes a verdict about anything: [`Suite::run`] says
//! only whether the policy answered as expected.

mod suppose;
mod wire;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use self::wire::{Case, Expected, Question};
use super::compile::{Gathered, Policy};
use super::decide::{Lookups, View, decide};
use super::document::Document;
use super::engine::{Decision, PolicyEngine};
use super::error::{Place, PolicyError};
use super::{document, select};
use crate::limits;
use crate::verify::{Outcome, Reason, ReasonCode};

/// The cases of one file.
#[derive(Debug)]
pub struct Suite {
    file: String,
    policy: Option<String>,
    cases: Vec<Case>,
}

/// What became of one case: part of `obreia.policy-test/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Whether the policy answered as expected.
    pub passed: bool,
    /// The verdict that it gave.
    pub verdict: Outcome,
    /// The reasons that it gave.
    pub reasons: Vec<Reason>,
    /// What differs from what was expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
}

impl Suite {
    /// Parses a file of cases (`kind: PolicyCases`), as strictly as a policy.
    ///
    /// # Errors
    /// `PolicyError` with file, line and field.
    pub fn parse(file: &str, yaml: &[u8]) -> Result<Self, PolicyError> {
        let wire: wire::Suite = document::read_one(file, yaml)?;
        let at = Place {
            file: file.to_owned(),
            ..Place::default()
        };
        let fail = |field: &str, detail: &str| PolicyError::Field {
            at: at.clone(),
            field: field.to_owned(),
            detail: detail.to_owned(),
        };
        if wire.api_version != "obreia/v1" || wire.kind != "PolicyCases" {
            return Err(fail(
                "kind",
                "cases are apiVersion obreia/v1, kind PolicyCases",
            ));
        }
        if wire.cases.is_empty() {
            return Err(fail("cases", "is empty: a test that tests nothing"));
        }
        for (i, case) in wire.cases.iter().enumerate() {
            if wire.cases[..i].iter().any(|other| other.name == case.name) {
                return Err(fail(
                    &format!("cases[{i}].name"),
                    "is the name of an earlier case",
                ));
            }
            if case.given.is_some() == case.input.is_some() {
                return Err(fail(
                    &format!("cases[{i}]"),
                    "needs exactly one of given (facts, for a policy) and input (for a file of rules)",
                ));
            }
        }
        Ok(Self {
            file: file.to_owned(),
            policy: wire.policy,
            cases: wire.cases,
        })
    }

    /// The file of the policy or the rules that the cases are about, where
    /// they name one; relative to their own folder.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Holds every case against the documents of a policy file. Keys are not
    /// looked up: the facts say whose signature holds.
    ///
    /// # Errors
    /// `PolicyError` where a document does not compile, or a case cannot be
    /// put to it (a policy that only warns, asked at startup).
    pub fn run(
        &self,
        documents: Vec<Document>,
        gathered: &Gathered,
    ) -> Result<Vec<CaseResult>, PolicyError> {
        let policies = documents
            .into_iter()
            .map(|document| Policy::compile(document.with_supposed_keys(), gathered))
            .collect::<Result<Vec<_>, _>>()?;
        self.cases
            .iter()
            .map(|case| match &case.question() {
                Question::Facts(given) => {
                    let facts = given.facts().map_err(|detail| self.refused(case, detail))?;
                    let view = facts.view();
                    let chosen = policies
                        .iter()
                        .filter(|p| case.policy.as_ref().is_none_or(|name| *name == p.id.name));
                    let chosen: Vec<Policy> = chosen.cloned().collect();
                    if let Some(name) = case.policy.as_ref().filter(|_| chosen.is_empty()) {
                        return Err(self.refused(case, format!("there is no policy {name:?}")));
                    }
                    let selected = select(&chosen, &facts.kinds, &view.artifact.name, view.stage);
                    let selected = selected.map_err(|e| self.refused(case, e.to_string()))?;
                    let (failed, evidence) = given
                        .lookups()
                        .map_err(|detail| self.refused(case, detail))?;
                    let lookups = Lookups {
                        failed: &failed,
                        evidence: &evidence,
                        source_of_promotion: given.source_of_promotion,
                    };
                    Ok(answer(case, &selected, &view, &lookups))
                }
                Question::Input(_) => Err(self.refused(
                    case,
                    "input is for files of rules; a policy is given facts".to_owned(),
                )),
            })
            .collect()
    }

    /// Holds every case against a file of rules.
    ///
    /// # Errors
    /// `PolicyError` where a case gives facts in place of an input.
    pub fn run_rules(&self, rules: &dyn PolicyEngine) -> Result<Vec<CaseResult>, PolicyError> {
        self.cases
            .iter()
            .map(|case| match case.question() {
                Question::Facts(_) => Err(self.refused(
                    case,
                    "facts are for policies; a file of rules is given its input".to_owned(),
                )),
                Question::Input(input) => Ok(answer_of_rules(case, rules, input)),
            })
            .collect()
    }

    fn refused(&self, case: &Case, detail: String) -> PolicyError {
        PolicyError::Field {
            at: Place {
                file: self.file.clone(),
                ..Place::default()
            },
            field: format!("case {:?}", case.name),
            detail,
        }
    }
}

fn answer(case: &Case, selected: &[&Policy], view: &View<'_>, lookups: &Lookups<'_>) -> CaseResult {
    let mut outcome = Outcome::Allowed;
    let mut reasons = Vec::new();
    let mut notes = Vec::new();
    let mut would_deny = false;
    if selected.is_empty() {
        outcome = Outcome::Denied;
        reasons.push(Reason::new(
            ReasonCode::NoPolicy,
            "no policy of the file matches the artifact at this stage",
        ));
    }
    for policy in selected {
        let decision = decide(policy, view, lookups);
        outcome = outcome.and(decision.outcome);
        reasons.extend(decision.reasons);
        notes.extend(decision.notes);
        would_deny |= decision.would_deny;
    }
    compare(case, outcome, reasons, &notes, would_deny)
}

fn answer_of_rules(case: &Case, rules: &dyn PolicyEngine, input: &Value) -> CaseResult {
    let decision = rules.evaluate(input, Duration::from_millis(limits::RULES_MS));
    let (outcome, reasons) = match decision {
        Decision::Failed(detail) => (
            Outcome::Denied,
            vec![Reason::new(ReasonCode::RulesFailed, detail)],
        ),
        Decision::Answered { allow, deny } if allow && deny.is_empty() => {
            (Outcome::Allowed, Vec::new())
        }
        Decision::Answered { deny, .. } if deny.is_empty() => (
            Outcome::Denied,
            vec![Reason::new(ReasonCode::PolicyDenied, "allow is false")],
        ),
        Decision::Answered { deny, .. } => {
            let said = |message| Reason::new(ReasonCode::PolicyDenied, message);
            (Outcome::Denied, deny.into_iter().map(said).collect())
        }
    };
    compare(case, outcome, reasons, &[], false)
}

fn compare(
    case: &Case,
    verdict: Outcome,
    reasons: Vec<Reason>,
    notes: &[Reason],
    would_deny: bool,
) -> CaseResult {
    let Expected {
        verdict: expected,
        reasons: codes,
        notes: noted,
        would_deny: warned,
        says,
    } = &case.expect;
    let mut differs = Vec::new();
    if expected.outcome() != verdict {
        differs.push(format!(
            "the verdict is {}, not {}",
            verdict.as_str(),
            expected.outcome().as_str()
        ));
    }
    let found: Vec<&str> = reasons.iter().map(|r| r.code.as_str()).collect();
    if let Some(codes) = codes
        && *codes != found
    {
        differs.push(format!(
            "the reasons are [{}], not [{}]",
            found.join(", "),
            codes.join(", ")
        ));
    }
    for code in noted {
        if !notes.iter().any(|n| n.code.as_str() == code) {
            differs.push(format!("there is no note {code}"));
        }
    }
    if *warned != would_deny {
        differs.push(format!("would_deny is {would_deny}"));
    }
    for words in says {
        if !reasons.iter().any(|r| r.detail.contains(words.as_str())) {
            differs.push(format!("no reason says {words:?}"));
        }
    }
    CaseResult {
        name: case.name.clone(),
        passed: differs.is_empty(),
        verdict,
        reasons,
        differs,
    }
}
