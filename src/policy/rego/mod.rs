//! Rules in Rego, evaluated in the process by `regorus`' interpreter.
//!
//! One module per policy, in any package (`package obreia` by custom): its
//! `allow` is asked, a boolean, and its `deny`, a set of texts. Both syntaxes
//! are read: OPA 1.0's first, the older one where that does not parse.

mod syntax;
mod time;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, Value as RegoValue};
use serde_json::{Value, json};

use self::syntax::{parses_as_v0_only, uses_newer_keywords};
use super::document::Syntax;
use super::engine::{Decision, PolicyEngine};
use crate::crypto::sha256;
use crate::digest::Digest;

/// A compiled module.
pub struct Rego {
    engine: Engine,
    allow: String,
    deny: Option<String>,
    syntax: Syntax,
    digest: Digest,
}

impl Rego {
    /// Compiles a module; `name` is what errors call it.
    ///
    /// # Errors
    /// What the compiler says, with line and column where it names one.
    pub fn compile(name: &str, text: &[u8], syntax: Option<Syntax>) -> Result<Self, String> {
        let source = std::str::from_utf8(text).map_err(|_| "not UTF-8 text".to_owned())?;
        let newer = uses_newer_keywords(source);
        match syntax {
            Some(Syntax::V0) if newer => Err(
                "uses if or contains as OPA 1.0 does, and is said to be of the older syntax"
                    .to_owned(),
            ),
            Some(syntax) => Self::with_syntax(name, source, syntax),
            // The older reading must be the only one possible: its parser takes
            // `allow if …` for a bare `allow`, which is always true.
            None if !newer && parses_as_v0_only(source) => {
                Self::with_syntax(name, source, Syntax::V0)
            }
            None => Self::with_syntax(name, source, Syntax::V1),
        }
    }

    fn with_syntax(name: &str, source: &str, syntax: Syntax) -> Result<Self, String> {
        let said = |e: &dyn fmt::Display| one_line(&e.to_string());
        let mut engine = Engine::new();
        engine.set_rego_v0(syntax == Syntax::V0);
        // An error inside a rule must not turn a `not` into true.
        engine.set_strict_builtin_errors(true);
        time::add(&mut engine)?;
        let package = engine
            .add_policy(name.to_owned(), source.to_owned())
            .map_err(|e| said(&e))?;
        let plain = |part: &str| {
            part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !part.starts_with(|c: char| c.is_ascii_digit())
                && !part.is_empty()
        };
        if !package.split('.').all(plain) {
            return Err(format!(
                "package {package:?}: use plain words, as in package obreia"
            ));
        }
        let declares = |rule: &str| {
            engine
                .has_declared_rule_rooted_at(name, rule)
                .map_err(|e| said(&e))
        };
        if !declares("allow")? {
            return Err(format!("{package} has no rule named allow"));
        }
        let allow = format!("{package}.allow");
        let deny = declares("deny")?.then(|| format!("{package}.deny"));
        // Compiling finds what parsing does not: unsafe variables, recursion.
        engine
            .compile_with_entrypoint(&allow.as_str().into())
            .map_err(|e| said(&e))?;
        let compiled = Self {
            engine,
            allow,
            deny,
            syntax,
            digest: sha256(source.as_bytes()),
        };
        // Functions are looked up where they are called, so a slip in the name
        // of one that is reached without input shows only now.
        match compiled.run(&json!({ "now_ns": 0 }), COMPILE_BUDGET) {
            Err(detail) if detail.contains("could not find function") => Err(detail),
            _ => Ok(compiled),
        }
    }

    /// The syntax that it was read in.
    pub const fn syntax(&self) -> Syntax {
        self.syntax
    }
}

impl PolicyEngine for Rego {
    fn id(&self) -> Value {
        json!({
            "rego": match self.syntax {
                Syntax::V1 => "v1",
                Syntax::V0 => "v0",
            },
            "digest": self.digest,
        })
    }

    fn evaluate(&self, input: &Value, budget: Duration) -> Decision {
        match self.run(input, budget) {
            Ok(decision) => decision,
            Err(detail) => Decision::Failed(detail),
        }
    }
}

impl Rego {
    fn run(&self, input: &Value, budget: Duration) -> Result<Decision, String> {
        // A clone shares the compiled module and has its own state.
        let mut engine = self.engine.clone();
        let now = input.get("now_ns").and_then(Value::as_i64);
        let clock = move |_: Vec<RegoValue>| match now {
            Some(now) => Ok(RegoValue::from(now)),
            None => {
                Err(std::io::Error::other("time.now_ns: input.now_ns is not an integer").into())
            }
        };
        let chance = |_: Vec<RegoValue>| {
            Err(std::io::Error::other("rand.intn: a policy decides without chance").into())
        };
        let added = engine
            .add_extension("time.now_ns".to_owned(), 0, Box::new(clock))
            .and_then(|()| engine.add_extension("rand.intn".to_owned(), 2, Box::new(chance)));
        added.map_err(|e| one_line(&e.to_string()))?;
        // Two rules are asked, each for half of the time.
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: budget / 2,
            check_interval: CHECK_EVERY,
        });
        engine.set_input(RegoValue::from(input.clone()));
        let allow = match ask(&mut engine, &self.allow, budget)? {
            RegoValue::Bool(allow) => allow,
            RegoValue::Undefined => {
                return Err("allow is undefined for this input; add default allow := false".into());
            }
            other => return Err(format!("allow is {}, not a boolean", kind(&other))),
        };
        let deny = match &self.deny {
            None => Vec::new(),
            Some(rule) => match ask(&mut engine, rule, budget)? {
                RegoValue::Undefined => Vec::new(),
                RegoValue::Set(messages) => messages
                    .iter()
                    .map(|message| match message {
                        RegoValue::String(text) => Ok(text.chars().take(1024).collect()),
                        other => Err(format!("deny holds {}, not a text", kind(other))),
                    })
                    .collect::<Result<_, _>>()?,
                other => {
                    return Err(format!(
                        "deny is {}, not a set: write deny contains message if {{ … }}",
                        kind(&other)
                    ));
                }
            },
        };
        Ok(Decision::Answered { allow, deny })
    }
}

const COMPILE_BUDGET: Duration = Duration::from_millis(200);
const CHECK_EVERY: NonZeroU32 = NonZeroU32::new(64).unwrap();

fn ask(engine: &mut Engine, rule: &str, budget: Duration) -> Result<RegoValue, String> {
    engine.eval_rule(rule.to_owned()).map_err(|error| {
        if matches!(
            error.downcast_ref::<LimitError>(),
            Some(LimitError::TimeLimitExceeded { .. })
        ) {
            format!("took longer than {} ms", budget.as_millis() / 2)
        } else {
            one_line(&error.to_string())
        }
    })
}

const fn kind(value: &RegoValue) -> &'static str {
    match value {
        RegoValue::Null => "null",
        RegoValue::Bool(_) => "a boolean",
        RegoValue::Number(_) => "a number",
        RegoValue::String(_) => "a text",
        RegoValue::Array(_) => "an array",
        RegoValue::Set(_) => "a set",
        RegoValue::Object(_) => "an object",
        RegoValue::Undefined => "undefined",
    }
}

/// The place and the words of an error that is drawn over several lines.
fn one_line(text: &str) -> String {
    let place = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("--> "));
    let words = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("error: "))
        .or_else(|| text.lines().map(str::trim).find(|line| !line.is_empty()))
        .unwrap_or("unknown error");
    let words: String = words.chars().take(512).collect();
    match place {
        Some(place) => format!("{}: {words}", place.trim()),
        None => words,
    }
}

impl fmt::Debug for Rego {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rego")
            .field("allow", &self.allow)
            .field("syntax", &self.syntax)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
