use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::{Clock, Timestamp};

/// The machine's clock, the only one that is real.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            // A clock before 1970 is wrong; the earliest time makes everything "in the future".
            Err(_) => 0,
        };
        Timestamp::from_nanos(nanos)
    }
}
