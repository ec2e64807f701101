//! What Rego is shown, and what is made of its answer.

use std::cell::OnceCell;
use std::time::Duration;

use serde_json::Value;

use super::View;
use crate::limits;
use crate::policy::compile::AttestationRule;
use crate::policy::engine::{Decision, PolicyEngine};
use crate::verify::{AttestationFact, Reason, ReasonCode};

/// The facts as `obreia.facts/v1`, made once and only where rules ask for them.
pub(super) struct Input<'a> {
    facts: &'a View<'a>,
    tree: OnceCell<Result<Value, String>>,
}

impl<'a> Input<'a> {
    pub(super) const fn new(facts: &'a View<'a>) -> Self {
        Self {
            facts,
            tree: OnceCell::new(),
        }
    }

    /// The policy's last word.
    pub(super) fn policy_rules(&self, engine: &dyn PolicyEngine) -> Vec<Reason> {
        match self.tree() {
            Ok(tree) => answered(&run(engine, tree), "the policy's rules"),
            Err(detail) => vec![failed("the policy's rules", detail)],
        }
    }

    /// What an attestation's rules say: the facts, and the attestation as
    /// `input.attestation`.
    pub(super) fn attestation_rules(
        &self,
        rule: &AttestationRule,
        attestation: &AttestationFact,
    ) -> Vec<Reason> {
        let Some(engine) = &rule.rules else {
            return Vec::new();
        };
        let subject = format!("{}: the rules for {}", attestation.origin, rule.kind);
        let mut tree = match self.tree() {
            Ok(tree) => tree.clone(),
            Err(detail) => return vec![failed(&subject, detail)],
        };
        match (serde_json::to_value(attestation), &mut tree) {
            (Ok(value), Value::Object(map)) => {
                map.insert("attestation".to_owned(), value);
            }
            _ => return vec![failed(&subject, "the attestation is not JSON")],
        }
        answered(&run(engine.as_ref(), &tree), &subject)
    }

    fn tree(&self) -> Result<&Value, &str> {
        self.tree
            .get_or_init(|| tree(self.facts))
            .as_ref()
            .map_err(String::as_str)
    }
}

fn tree(facts: &View<'_>) -> Result<Value, String> {
    let mut size = Bounded(0);
    serde_json::to_writer(&mut size, facts).map_err(|_| {
        format!(
            "the facts are more than {} bytes of JSON",
            limits::RULES_INPUT
        )
    })?;
    let mut tree = serde_json::to_value(facts).map_err(|e| e.to_string())?;
    if let Value::Object(map) = &mut tree {
        map.insert("schema".to_owned(), "obreia.facts/v1".into());
    }
    Ok(tree)
}

fn run(engine: &dyn PolicyEngine, input: &Value) -> Decision {
    engine.evaluate(input, Duration::from_millis(limits::RULES_MS))
}

fn answered(decision: &Decision, subject: &str) -> Vec<Reason> {
    match decision {
        Decision::Failed(detail) => vec![failed(subject, detail)],
        Decision::Answered { deny, .. } if !deny.is_empty() => deny
            .iter()
            .map(|message| Reason::new(ReasonCode::PolicyDenied, format!("{subject}: {message}")))
            .collect(),
        Decision::Answered { allow: false, .. } => vec![Reason::new(
            ReasonCode::PolicyDenied,
            format!("{subject} do not allow it, and say no more"),
        )],
        Decision::Answered { .. } => Vec::new(),
    }
}

fn failed(subject: &str, detail: &str) -> Reason {
    Reason::new(ReasonCode::RulesFailed, format!("{subject}: {detail}"))
        .hint("allow must be true or false for every input, and deny a set of texts; try the input with obreia policy test")
}

/// Counts bytes and fails past the limit, so that a huge model is not written
/// out in memory first.
struct Bounded(u64);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        if self.0 > limits::RULES_INPUT {
            return Err(std::io::Error::other("limit"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
