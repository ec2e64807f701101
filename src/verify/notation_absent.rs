//! A build without certificates reads no signature of Notation's.

use super::check::{Found, Rejection};
use super::evidence::{NotationSigned, Observed};
use super::reason::ReasonCode;
use crate::time::Timestamp;
use crate::trust::Authority;

pub(super) fn check(
    _: &NotationSigned,
    _: &Observed<'_>,
    _: &[Authority],
    _: Timestamp,
) -> Result<Vec<Found>, Rejection> {
    Err(Rejection::new(
        "unreadable",
        ReasonCode::FormatNotAllowed,
        "a Notation signature, which this build (without feature notation) lists and does not verify",
    ))
}
