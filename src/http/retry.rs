//! Whether to ask again: a pure decision, so that every case has a test.

use std::time::Duration;

/// The most attempts for one request.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How an attempt ended without what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// No connection: nothing was sent.
    NotSent,
    /// It broke after sending: it may have been carried out.
    Cut,
    /// An answer with this status.
    Status(u16),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the same again after this long.
    Again(Duration),
    /// Take it as it is.
    GiveUp,
}

/// What follows the attempt number `number`, from 1.
///
/// `repeatable` tells whether it does no harm to carry the request out twice;
/// what was surely not carried out is sent again in any case. `said` is the
/// server's `Retry-After`, `left` what remains of the deadline, and `jitter`,
/// from 0 to 1, spreads those who were turned away together.
pub fn after(
    number: u32,
    attempt: Attempt,
    repeatable: bool,
    said: Option<Duration>,
    left: Duration,
    jitter: f64,
) -> Next {
    let again = match attempt {
        // 429: turned away before anything was done (RFC 6585, section 4).
        Attempt::NotSent | Attempt::Status(429) => true,
        Attempt::Cut | Attempt::Status(500 | 502 | 503 | 504) => repeatable,
        Attempt::Status(_) => false,
    };
    if !again || number >= ATTEMPTS {
        return Next::GiveUp;
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << (number - 1).min(16));
    let spread = doubled
        .min(LONGEST_PAUSE)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    let pause = said.unwrap_or(spread);
    if pause >= left {
        return Next::GiveUp;
    }
    Next::Again(pause)
}
