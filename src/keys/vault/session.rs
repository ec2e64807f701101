//! The token: had, renewed below half its time, replaced once when refused.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::login::{self, Login};
use super::refusal::doubts_the_token;
use super::server::Server;
use crate::keys::context::Context;
use crate::keys::expiry::SOON;
use crate::keys::{KeyFault, VaultAuth, Warning};
use crate::secret::Secret;
use crate::time::{Clock, Timestamp};

/// After how long it is asked for how long a given token is good, in seconds:
/// a process that signs once and ends does not need to know.
const LOOK_AFTER: i64 = 60;

/// A token in use.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) token: Arc<Secret>,
    /// Tells tokens apart without looking at them.
    pub(super) serial: u64,
    since: Timestamp,
    lease: Lease,
}

/// How long a token is good, in seconds from when it was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// Nobody said.
    Unknown,
    /// It never ends, or nothing can be done about that.
    Settled,
    /// So long, and it can be made longer.
    Renewable(i64),
    /// So long.
    Fixed(i64),
}

impl Lease {
    pub(super) fn new(seconds: i64, renewable: bool) -> Self {
        match (seconds, renewable) {
            (..=0, _) => Self::Settled,
            (seconds, true) => Self::Renewable(seconds),
            (seconds, false) => Self::Fixed(seconds),
        }
    }
}

impl Lease {
    const fn is_over(self, age: i64) -> bool {
        match self {
            Self::Unknown | Self::Settled => false,
            Self::Renewable(seconds) | Self::Fixed(seconds) => age >= seconds,
        }
    }
}

/// What there is to do about a token of that age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    LookUp,
    Renew(i64),
    Login,
}

fn due(lease: Lease, age: i64, can_login: bool) -> Due {
    match lease {
        Lease::Unknown if age >= LOOK_AFTER => Due::LookUp,
        Lease::Renewable(seconds) if age.saturating_mul(2) >= seconds => Due::Renew(seconds),
        Lease::Fixed(seconds) if age.saturating_mul(2) >= seconds && can_login => Due::Login,
        Lease::Unknown | Lease::Settled | Lease::Renewable(_) | Lease::Fixed(_) => Due::Nothing,
    }
}

/// The one session of a process with a server.
pub(super) struct Session {
    login: Login,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

impl Session {
    pub(super) fn new(auth: Option<VaultAuth>, context: &Context) -> Self {
        Self {
            login: Login::new(auth, &context.environment),
            clock: Arc::clone(&context.clock),
            held: Mutex::default(),
        }
    }

    /// The way of logging in, in one word.
    pub(super) const fn how(&self) -> &'static str {
        self.login.how()
    }

    /// A token that is good as far as is known. Of several that ask at once,
    /// one logs in or renews and the others wait for it.
    pub(super) async fn token(&self, server: &Server) -> Result<Held, KeyFault> {
        let mut held = self.held.lock().await;
        let Some(current) = held.clone() else {
            let first = self.obtain(server, 1).await?;
            return Ok(held.insert(first).clone());
        };
        let age = self.clock.now().secs() - current.since.secs();
        let next = match due(current.lease, age, self.login.can_repeat()) {
            Due::Nothing => return Ok(current),
            Due::LookUp => Held {
                lease: match login::look_up(server, &current.token).await {
                    Ok(token) => token.lease,
                    // It may do its work and not look itself up.
                    Err(KeyFault::Login { .. } | KeyFault::Refused { .. }) => Lease::Settled,
                    // Asked again later: the server is away for now.
                    Err(_) => Lease::Unknown,
                },
                since: self.clock.now(),
                ..current
            },
            due => {
                let next = match due {
                    Due::Renew(seconds) => self.renew(server, current.clone(), seconds).await,
                    _ => self.obtain(server, current.serial + 1).await,
                };
                match next {
                    Ok(next) => next,
                    // The one at hand is good until it ends.
                    Err(_) if !current.lease.is_over(age) => return Ok(current),
                    Err(fault) => return Err(fault),
                }
            }
        };
        Ok(held.insert(next).clone())
    }

    /// What will become of a given token; one that was logged in for is
    /// replaced when it ends.
    pub(super) async fn outlook(&self, server: &Server) -> Result<Vec<Warning>, KeyFault> {
        let mut told = self.login.outlook(self.clock.now());
        let held = self.token(server).await?;
        let token = match login::look_up(server, &held.token).await {
            Ok(token) => token,
            // A token may do its work and not look itself up.
            Err(KeyFault::Login { cause, .. }) if !doubts_the_token(&cause) => {
                return Ok(told);
            }
            Err(fault) => return Err(fault),
        };
        if token.is_root {
            told.push(Warning {
                code: "token-root",
                text: "the token is a root token".to_owned(),
            });
        }
        // One that was logged in for is had anew when it ends.
        if !self.login.is_given() {
            return Ok(told);
        }
        let (seconds, how) = match token.lease {
            Lease::Renewable(seconds) => (seconds, "and can be renewed"),
            Lease::Fixed(seconds) => (seconds, "and cannot be renewed"),
            Lease::Settled | Lease::Unknown => return Ok(told),
        };
        if seconds <= SOON {
            told.push(Warning {
                code: "token-expires",
                text: format!("the token is good for {seconds} s more, {how}"),
            });
        }
        Ok(told)
    }

    /// Whether there is another token now than the one that was refused.
    pub(super) async fn refused(&self, server: &Server, refused: &Held) -> Result<bool, KeyFault> {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|h| h.serial != refused.serial) {
            return Ok(true);
        }
        if !self.login.can_repeat() {
            return Ok(false);
        }
        let next = self.obtain(server, refused.serial + 1).await?;
        // A file with a token in it may hold the same one still.
        let another = next.token.expose() != refused.token.expose();
        *held = Some(next);
        Ok(another)
    }

    async fn obtain(&self, server: &Server, serial: u64) -> Result<Held, KeyFault> {
        let since = self.clock.now();
        let (token, lease) = self.login.token(server).await?;
        Ok(Held {
            token: Arc::new(token),
            serial,
            since,
            lease,
        })
    }

    async fn renew(&self, server: &Server, current: Held, seconds: i64) -> Result<Held, KeyFault> {
        let since = self.clock.now();
        match login::renew(server, &current.token).await {
            // Near its last day a token is given less and less.
            Ok(Lease::Renewable(given)) if given.saturating_mul(2) >= seconds => Ok(Held {
                since,
                lease: Lease::Renewable(given),
                ..current
            }),
            // The server is away for now; the token may be good still.
            Err(fault) if !matches!(fault, KeyFault::Login { .. }) => Ok(current),
            Ok(_) | Err(_) if self.login.can_repeat() => {
                self.obtain(server, current.serial + 1).await
            }
            Ok(_) | Err(_) => Ok(Held {
                lease: Lease::Settled,
                ..current
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewed_below_half_its_time() {
        let renewable = Lease::new(100, true);
        assert_eq!(due(renewable, 49, true), Due::Nothing);
        assert_eq!(due(renewable, 50, false), Due::Renew(100));
        // A clock that was put back renews nothing, and breaks nothing.
        assert_eq!(due(renewable, -100, true), Due::Nothing);
    }

    #[test]
    fn what_cannot_be_renewed_is_had_anew_where_that_is_possible() {
        let fixed = Lease::new(100, false);
        assert_eq!(due(fixed, 49, true), Due::Nothing);
        assert_eq!(due(fixed, 50, true), Due::Login);
        assert_eq!(due(fixed, 5_000, false), Due::Nothing);
    }

    #[test]
    fn a_given_token_is_looked_up_only_in_a_process_that_lasts() {
        assert_eq!(due(Lease::Unknown, 59, true), Due::Nothing);
        assert_eq!(due(Lease::Unknown, 60, true), Due::LookUp);
        // Root tokens have no end.
        assert_eq!(due(Lease::new(0, false), i64::MAX, true), Due::Nothing);
    }
}
