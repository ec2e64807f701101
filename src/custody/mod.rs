//! Custody: may this caller do this with this key, now?
//!
//! A pure decision in front of every provider, taken before each use of a
//! key; deny is the default, and every answer names the rule that gave it.
//! The rules here are the built-in floor: a key-usage policy (Rego) and
//! grants will be asked after them and can only narrow what they allow.

mod caller;
mod decide;
mod key;
mod purpose;

pub use caller::{Caller, Method};
pub use decide::{Decision, Operation, Request, decide};
pub use key::{KeyInfo, KeyState};
pub use purpose::{KNOWN, Purpose, PurposeError};
