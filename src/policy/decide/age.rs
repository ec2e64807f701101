//! How old evidence may be.

use crate::time::{Span, Timestamp};
use crate::verify::{Reason, ReasonCode};

/// How far ahead of the present time a trusted time may be, in nanoseconds.
const SKEW: i64 = 300 * 1_000_000_000;

/// Why something of `signed_at`, a trusted time, is too old, or from the
/// future; `what` says what it is.
pub(super) fn check(
    what: &str,
    signed_at: Timestamp,
    max_age: Span,
    now_ns: i64,
) -> Option<Reason> {
    let age = now_ns.saturating_sub(signed_at.nanos());
    if age < -SKEW {
        return Some(Reason::new(
            ReasonCode::TimeUntrusted,
            format!("{what} bears the time {signed_at}, which is in the future"),
        ));
    }
    (age > max_age.nanos()).then(|| {
        let until = Timestamp::from_nanos(signed_at.nanos().saturating_add(max_age.nanos()));
        Reason::new(
            ReasonCode::TooOld,
            format!("{what} was made {signed_at} and counted until {until}"),
        )
    })
}
