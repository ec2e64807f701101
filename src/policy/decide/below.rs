//! What policies ask for of an index, by what holds for the images below it.

use crate::policy::{OfIndex, Policy};
use crate::verify::{Outcome, Reason, ReasonCode};

/// An image below an index, and what a policy said to it by itself.
#[derive(Clone, Debug)]
pub struct Below<'a> {
    /// How reasons name it: its platform and its digest.
    pub name: String,
    /// What the policy said.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<&'a Reason>,
    /// Whether it is for the platform that was selected.
    pub selected: bool,
    /// Whether the policy only warns, and would deny it.
    pub would_deny: bool,
}

/// What a policy says of an index, where it does not ask for the index itself:
/// every image below it must meet the policy, or the selected one. An index
/// without any is denied, for nothing was verified then.
pub fn of_index(policy: &Policy, below: &[Below<'_>]) -> (Outcome, Vec<Reason>) {
    let asked: Vec<&Below<'_>> = match policy.of_index() {
        OfIndex::Index => return (Outcome::Allowed, Vec::new()),
        OfIndex::Every => below.iter().collect(),
        OfIndex::Platform => below.iter().filter(|one| one.selected).collect(),
    };
    let told = |code, detail: String| Reason {
        policy: Some(policy.id.name.clone()),
        ..Reason::new(code, detail)
    };
    if asked.is_empty() {
        let (code, what) = match policy.of_index() {
            OfIndex::Platform => (ReasonCode::PlatformMissing, "for the selected platform"),
            _ => (ReasonCode::ChildDenied, "at all"),
        };
        let detail = format!("there is no image below the index {what}");
        return (Outcome::Denied, vec![told(code, detail)]);
    }
    let outcome = asked
        .iter()
        .fold(Outcome::Allowed, |all, one| all.and(one.outcome));
    let mut reasons = Vec::new();
    for one in asked {
        match one.outcome {
            Outcome::Allowed => {}
            Outcome::Denied => {
                let why = one.reasons.first();
                let why = why.map(|r| format!("{}: {}", r.code, r.detail));
                let detail = format!("{}: {}", one.name, why.unwrap_or_default());
                reasons.push(told(ReasonCode::ChildDenied, detail).hint(
                    "sign it by its digest, or the index with all below it: obreia sign --recursive",
                ));
            }
            // What could not be looked up is told as what it is.
            Outcome::Undetermined => reasons.extend(one.reasons.iter().map(|reason| Reason {
                detail: format!("{}: {}", one.name, reason.detail),
                policy: Some(policy.id.name.clone()),
                ..(*reason).clone()
            })),
        }
    }
    (outcome, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::decide::tests::policy;

    fn below(outcomes: &[(Outcome, bool)]) -> Vec<Below<'static>> {
        let one = |&(outcome, selected): &(Outcome, bool)| Below {
            name: "linux/amd64".to_owned(),
            outcome,
            reasons: Vec::new(),
            selected,
            would_deny: false,
        };
        outcomes.iter().map(one).collect()
    }

    #[test]
    fn what_is_asked_for_must_hold() {
        use Outcome::{Allowed, Denied, Undetermined};
        let every = policy("  index: every\n");
        let platform = policy("  index: platform\n");
        for (outcomes, of_every, of_platform) in [
            (&[][..], Denied, Denied),
            (&[(Allowed, false)], Allowed, Denied),
            (&[(Allowed, true)], Allowed, Allowed),
            (&[(Allowed, true), (Denied, false)], Denied, Allowed),
            (&[(Denied, true), (Allowed, false)], Denied, Denied),
            (
                &[(Allowed, true), (Undetermined, false)],
                Undetermined,
                Allowed,
            ),
            (
                &[(Undetermined, true), (Denied, false)],
                Denied,
                Undetermined,
            ),
        ] {
            let below = below(outcomes);
            assert_eq!(of_index(&every, &below).0, of_every, "{outcomes:?}");
            assert_eq!(of_index(&platform, &below).0, of_platform, "{outcomes:?}");
            // One that asks for the index has no word of what is below it.
            assert_eq!(of_index(&policy(""), &below).0, Allowed);
        }
    }

    #[test]
    fn a_denial_names_the_image_and_its_own_reason() {
        let why = Reason::new(ReasonCode::NoSignature, "there is none");
        let mut below = below(&[(Outcome::Denied, false)]);
        below[0].reasons.push(&why);
        let (_, reasons) = of_index(&policy("  index: every\n"), &below);
        assert_eq!(reasons[0].code, ReasonCode::ChildDenied);
        assert_eq!(
            reasons[0].detail,
            "linux/amd64: no-signature: there is none"
        );
        below[0].outcome = Outcome::Undetermined;
        let (_, reasons) = of_index(&policy("  index: every\n"), &below);
        assert_eq!(reasons[0].code, ReasonCode::NoSignature);
    }
}
