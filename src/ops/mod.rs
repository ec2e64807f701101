//! Use cases: what a command or a request does, without knowing which surface
//! asked, and without printing.

mod failure;
pub mod inspect;
mod store_failure;
mod system_clock;

pub use failure::{Exit, Failure};
pub use system_clock::SystemClock;
