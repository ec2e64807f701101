use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::registry::Adapter;
use super::{BoxFuture, KeyFault, Locked, Unlock, UnlockError};
use crate::secret::Secret;

/// Waits for an adapter's `work`, but no longer than `limit`.
///
/// # Errors
/// `Deadline`, and what the work ends with.
pub(super) async fn within<T>(
    limit: Duration,
    adapter: &Adapter,
    work: BoxFuture<'_, Result<T, KeyFault>>,
) -> Result<T, KeyFault> {
    within_but(limit, adapter, &Asking::nobody(), work).await
}

/// The same, not counting the time in which somebody types a passphrase.
///
/// # Errors
/// As [`within`].
pub(super) async fn within_but<T>(
    limit: Duration,
    adapter: &Adapter,
    asking: &Asking<'_>,
    mut work: BoxFuture<'_, Result<T, KeyFault>>,
) -> Result<T, KeyFault> {
    let begun = Instant::now();
    loop {
        let end = begun + limit + asking.spent();
        if let Ok(done) = timeout_at(end, &mut work).await {
            return done;
        }
        if Instant::now() >= begun + limit + asking.spent() {
            return Err(KeyFault::Deadline {
                provider: adapter.name(),
                seconds: limit.as_secs(),
            });
        }
    }
}

/// Asks for passphrases and notes how long that took.
pub(super) struct Asking<'a> {
    unlock: Option<&'a dyn Unlock>,
    spent: Mutex<Duration>,
}

impl<'a> Asking<'a> {
    pub(super) fn of(unlock: &'a dyn Unlock) -> Self {
        Self {
            unlock: Some(unlock),
            spent: Mutex::default(),
        }
    }

    fn nobody() -> Self {
        Self {
            unlock: None,
            spent: Mutex::default(),
        }
    }

    fn spent(&self) -> Duration {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unlock for Asking<'_> {
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError> {
        let begun = Instant::now();
        let answer = match self.unlock {
            Some(unlock) => unlock.passphrase(what),
            None => Err(UnlockError::NotGiven),
        };
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) += begun.elapsed();
        answer
    }
}
