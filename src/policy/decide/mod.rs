//! One policy held against what verification proved.

mod age;
mod attestations;
mod below;
mod binding;
mod rejections;
mod rules;
mod signatures;
mod view;

pub use self::below::{Below, of_index};
use self::rejections::Rejections;
use self::rules::Input;
pub(super) use self::view::View;
use super::compile::{Clause, Policy};
use super::document::Mode;
use crate::verify::{EvidenceReport, Facts, Outcome, Reason, ReasonCode, Stage};

/// What was looked for and not found out, and what became of each piece of evidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookups<'a> {
    /// Look-ups that failed; while there is one, absence proves nothing.
    pub failed: &'a [Reason],
    /// What verification made of each piece of evidence, under this policy's
    /// authorities: explains a denial, never decides.
    pub evidence: &'a [EvidenceReport],
    /// Whether the artifact is read at the source of a promotion, where its
    /// binding to the destination does not exist yet.
    pub source_of_promotion: bool,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyDecision {
    /// The answer.
    pub outcome: Outcome,
    /// Why; empty where it is allowed. The nearest miss comes first.
    pub reasons: Vec<Reason>,
    /// What is worth knowing and did not decide.
    pub notes: Vec<Reason>,
    /// Whether the policy only warns and would have denied.
    pub would_deny: bool,
    /// What would have to differ, for people.
    pub nearest: Vec<String>,
}

/// Holds `policy` against `facts`.
///
/// 1. A violation that no further evidence could undo (the target can change
///    before it is used) is denied.
/// 2. Otherwise, while a look-up failed, the answer is undetermined, unless
///    what was verified suffices and no Rego has a word in it: rules can test
///    absence.
/// 3. Otherwise it is allowed where one clause is met whole (signatures by
///    enough distinct keys, every attestation), the binding is met, and the
///    rules say `allow` and deny nothing. All else is denied.
///
/// Evidence that does not count changes nothing but the explanation.
pub fn evaluate(policy: &Policy, facts: &Facts, lookups: &Lookups<'_>) -> PolicyDecision {
    decide(policy, &View::from(facts), lookups)
}

pub(super) fn decide(policy: &Policy, facts: &View<'_>, lookups: &Lookups<'_>) -> PolicyDecision {
    let mut finding = Finding::default();
    let input = Input::new(facts);
    finding.mutable(policy, facts);
    finding.clauses(policy, facts, lookups, &input);
    if let Some(bound) = policy.binding()
        && !lookups.source_of_promotion
    {
        binding::check(policy, bound, facts, &mut finding);
    }
    if let Some(engine) = policy.rules()
        && lookups.failed.is_empty()
    {
        finding.unmet.extend(input.policy_rules(engine));
    }
    finding.conclude(policy, facts.stage, lookups)
}

#[derive(Default)]
struct Finding {
    /// Violations that no further evidence could undo.
    proven: Vec<Reason>,
    /// What is missing; further evidence might bring it.
    unmet: Vec<Reason>,
    notes: Vec<Reason>,
    nearest: Vec<String>,
}

impl Finding {
    fn mutable(&mut self, policy: &Policy, facts: &View<'_>) {
        if !facts.mutable || facts.stage != Stage::Startup || policy.mutable_allowed() {
            return;
        }
        let reason = Reason::new(
            ReasonCode::Mutable,
            format!(
                "{} is neither a private copy nor on a read-only mount: what was verified can change before it is used",
                facts.artifact.name
            ),
        )
        .hint("copy it with --into DIR, mount it read-only, or let a policy say mutable: allow");
        if policy.is_for_key() {
            self.notes.push(reason);
        } else {
            self.proven.push(reason);
        }
    }

    fn clauses(
        &mut self,
        policy: &Policy,
        facts: &View<'_>,
        lookups: &Lookups<'_>,
        input: &Input<'_>,
    ) {
        let mut nearest: Option<Rejections> = None;
        for clause in policy.clauses() {
            let mut missed = Rejections::default();
            let mut notes = Vec::new();
            signatures::check(policy, clause, facts, lookups, &mut missed, &mut notes);
            attestations::check(policy, clause, facts, lookups, input, &mut missed);
            if missed.is_empty() {
                self.notes.extend(notes);
                return;
            }
            self.nearest
                .extend(missed.explained(clause_name(policy, clause)));
            if nearest.as_ref().is_none_or(|best| missed.nearer_than(best)) {
                nearest = Some(missed);
            }
        }
        self.unmet
            .extend(nearest.map(Rejections::into_reasons).unwrap_or_default());
    }

    fn conclude(mut self, policy: &Policy, stage: Stage, lookups: &Lookups<'_>) -> PolicyDecision {
        let waits = !lookups.failed.is_empty() && (!self.unmet.is_empty() || policy.has_rules());
        let (mut outcome, mut reasons) = if !self.proven.is_empty() {
            self.proven.append(&mut self.unmet);
            (Outcome::Denied, self.proven)
        } else if waits {
            self.notes.append(&mut self.unmet);
            (Outcome::Undetermined, lookups.failed.to_vec())
        } else if self.unmet.is_empty() {
            // What could not be looked up was not needed, and is worth knowing.
            self.notes.extend_from_slice(lookups.failed);
            (Outcome::Allowed, Vec::new())
        } else {
            (Outcome::Denied, self.unmet)
        };
        let mut notes = self.notes;
        // Where something runs or is released on this word, a warning stops
        // nothing, so the mode is not honoured there; `select` refuses it by name.
        let would_deny =
            outcome != Outcome::Allowed && policy.mode() == Mode::Warn && !stage.is_enforcing();
        if would_deny {
            let detail = format!(
                "policy {:?} only warns; it would have said {}",
                policy.id.name,
                outcome.as_str()
            );
            outcome = Outcome::Allowed;
            notes.insert(0, Reason::new(ReasonCode::WouldDeny, detail));
            notes.append(&mut reasons);
        }
        for reason in reasons.iter_mut().chain(&mut notes) {
            reason.policy = Some(policy.id.name.clone());
        }
        PolicyDecision {
            outcome,
            reasons,
            notes,
            would_deny,
            nearest: self.nearest,
        }
    }
}

/// What to call a clause where a policy has several.
fn clause_name<'a>(policy: &Policy, clause: &'a Clause) -> Option<&'a str> {
    let several = policy.clauses().len() > 1;
    several
        .then(|| clause.signatures.from.first().map(String::as_str))
        .flatten()
}

/// "a", "a and b", "a, b and c".
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests;
