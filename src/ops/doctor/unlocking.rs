use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::keys::{KeyFault, Locked, Unlock, UnlockError};
use crate::secret::Secret;

/// Asks once for what several keys are behind, and gives nothing a second
/// time that was refused: a token counts wrong PINs.
pub(super) struct Once<'a> {
    ask: &'a dyn Unlock,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    answers: Vec<(Locked, Result<Secret, UnlockError>)>,
    /// What was asked for since the last key was begun with.
    asked: Option<Locked>,
    spent: Duration,
}

impl<'a> Once<'a> {
    pub(super) fn new(ask: &'a dyn Unlock) -> Self {
        Self {
            ask,
            seen: Mutex::default(),
        }
    }

    /// Another key's turn.
    pub(super) fn begin(&self) {
        let mut seen = self.seen();
        seen.asked = None;
        seen.spent = Duration::ZERO;
    }

    /// How long was waited for somebody since the turn began.
    pub(super) fn spent(&self) -> Duration {
        self.seen().spent
    }

    /// Takes note of how opening ended that this was asked for.
    pub(super) fn ended(&self, fault: &KeyFault) {
        let refused = matches!(
            fault.root(),
            KeyFault::WrongPassphrase(_) | KeyFault::Login { .. } | KeyFault::PinLocked { .. }
        );
        let mut seen = self.seen();
        let Some(asked) = seen.asked.take().filter(|_| refused) else {
            return;
        };
        let known = seen.answers.iter_mut().find(|(what, _)| *what == asked);
        if let Some((_, answer)) = known {
            *answer = Err(UnlockError::Refused);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unlock for Once<'_> {
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError> {
        let mut seen = self.seen();
        seen.asked = Some(what.clone());
        if !seen.answers.iter().any(|(known, _)| known == what) {
            let begun = Instant::now();
            let answer = self.ask.passphrase(what);
            seen.spent += begun.elapsed();
            seen.answers.push((what.clone(), answer));
        }
        let known = seen.answers.iter().find(|(known, _)| known == what);
        match known {
            Some((_, Ok(secret))) => Ok(Secret::new(secret.expose().to_vec())),
            Some((_, Err(why))) => Err(why.clone()),
            None => Err(UnlockError::NotGiven),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(Mutex<u32>);

    impl Unlock for Counting {
        fn passphrase(&self, _: &Locked) -> Result<Secret, UnlockError> {
            *self.0.lock().unwrap() += 1;
            Ok(Secret::from("wrong".to_owned()))
        }
    }

    #[test]
    fn somebody_is_asked_once_and_what_was_refused_is_not_given_again() {
        let asked = Counting(Mutex::new(0));
        let once = Once::new(&asked);
        let store = Locked::Keystore("a".into());
        let token = Locked::Token {
            token: "hsm".into(),
            configured: None,
        };
        for _ in 0..2 {
            once.begin();
            assert_eq!(once.passphrase(&store).unwrap().expose(), b"wrong");
        }
        assert_eq!(*asked.0.lock().unwrap(), 1);
        // Another kind of fault says nothing about the passphrase.
        once.ended(&KeyFault::Busy("a".into()));
        assert!(once.passphrase(&store).is_ok());
        once.ended(&KeyFault::WrongPassphrase("a".into()));
        assert_eq!(once.passphrase(&store).err(), Some(UnlockError::Refused));
        assert!(once.passphrase(&token).is_ok());
        assert_eq!(*asked.0.lock().unwrap(), 2);
        // A fault of a key that asked for nothing is nobody's fault.
        once.begin();
        once.ended(&KeyFault::WrongPassphrase("b".into()));
        assert!(once.passphrase(&token).is_ok());
    }
}
