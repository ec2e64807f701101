//! The port to whatever evaluates a policy's rules.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// What rules said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They came to an answer.
    Answered {
        /// The value of `allow`.
        allow: bool,
        /// The messages in `deny`, sorted.
        deny: Vec<String>,
    },
    /// They came to none: undefined, an error, a time-out, a conflict, or a
    /// value of another type. The text says which; it is a denial.
    Failed(String),
}

impl Decision {
    /// Whether the answer is yes: `allow` is true and nothing is denied.
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Answered { allow: true, deny } if deny.is_empty())
    }
}

/// Rules, compiled and ready.
///
/// `evaluate` is a function of its input: no network, no environment, no
/// clock (the present time is `input.now_ns`), no chance. It never takes much
/// longer than its budget, and calls may run at the same time.
pub trait PolicyEngine: fmt::Debug + Send + Sync {
    /// What is evaluated: part of the policy's identity.
    fn id(&self) -> Value;

    /// Evaluates the rules over `input`, within `budget`.
    fn evaluate(&self, input: &Value, budget: Duration) -> Decision;
}
