//! One module: its process, started when needed and anew when it broke, and
//! the logins to its tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::PROVIDER;
use super::child::{CallFault, Child};
use super::fault::{About, bad_uri};
use super::pin::{Pin, same};
use super::place::Place;
use super::uri::{TokenName, Uri};
use super::wire::{Answer, Ask, Library, Object, Token, Trouble, TroubleKind};
use crate::keys::KeyFault;
use crate::secret::Secret;

/// A module and what this process has of it.
pub(super) struct Module {
    pub(super) place: Place,
    pub(super) deadline: Duration,
    child: tokio::sync::Mutex<Option<Arc<Child>>>,
    /// By serial number and label. Held while logging in: of many that come
    /// with a wrong PIN at once, one tries it.
    logins: tokio::sync::Mutex<BTreeMap<(String, String), Login>>,
}

#[derive(Default)]
struct Login {
    accepted: Option<Arc<Secret>>,
    refused: Option<Arc<Secret>>,
}

/// A token that was found, in a process that can be asked.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) child: Arc<Child>,
    pub(super) token: Token,
}

/// Why something did not work, while it may still be tried otherwise.
#[derive(Debug)]
enum Stumble {
    Call(CallFault),
    Fault(KeyFault),
    /// A PIN may have been spent: not tried again, whatever it was.
    Final(KeyFault),
}

impl From<CallFault> for Stumble {
    fn from(fault: CallFault) -> Self {
        Self::Call(fault)
    }
}

impl From<KeyFault> for Stumble {
    fn from(fault: KeyFault) -> Self {
        Self::Fault(fault)
    }
}

impl Stumble {
    fn is_loss(&self) -> bool {
        match self {
            Self::Call(fault) => fault.is_loss(),
            Self::Fault(fault) => matches!(fault, KeyFault::NoToken { .. }),
            Self::Final(_) => false,
        }
    }
}

impl Module {
    pub(super) fn new(place: Place, deadline: Duration) -> Self {
        Self {
            place,
            deadline,
            child: tokio::sync::Mutex::default(),
            logins: tokio::sync::Mutex::default(),
        }
    }

    pub(super) const fn about<'a>(&'a self, uri: &'a Uri) -> About<'a> {
        About {
            place: &self.place,
            uri,
            deadline: self.deadline,
        }
    }

    fn settle(&self, uri: &Uri, stumble: Stumble) -> KeyFault {
        match stumble {
            Stumble::Call(fault) => self.about(uri).fault(fault),
            Stumble::Fault(fault) | Stumble::Final(fault) => fault,
        }
    }

    /// The process; started where there is none that lives.
    pub(super) async fn child(&self) -> Result<Arc<Child>, CallFault> {
        let mut current = self.child.lock().await;
        if let Some(child) = &*current
            && child.is_alive()
        {
            return Ok(Arc::clone(child));
        }
        let child = Child::start(&self.place, self.deadline).await?;
        *current = Some(Arc::clone(&child));
        Ok(child)
    }

    /// Lets go of a process that lost its token: the next use starts another.
    /// What it still does for others, it does.
    async fn leave(&self, child: &Arc<Child>) {
        let mut current = self.child.lock().await;
        if current.as_ref().is_some_and(|now| Arc::ptr_eq(now, child)) {
            *current = None;
        }
    }

    /// Asks about the token of `uri`, logged in where `pin` says so. Where a
    /// session or the token was lost, it is asked once more in a new process:
    /// some modules notice a token that came back in no other way.
    ///
    /// # Errors
    /// `KeyFault`.
    pub(super) async fn ask(
        &self,
        uri: &Uri,
        pin: Pin<'_>,
        ask: impl Fn(u64) -> Ask + Send + Sync,
    ) -> Result<(Found, Answer), KeyFault> {
        let mut again = true;
        loop {
            let child = self.child().await;
            let child = child.map_err(|fault| self.about(uri).fault(fault))?;
            let done = async {
                let found = self.token(&child, uri).await?;
                self.login(&found, uri, pin).await?;
                let ask = ask(found.token.slot);
                let (answer, _) = child.ask(ask, &[], self.deadline).await?;
                Ok::<_, Stumble>((found, answer))
            };
            match done.await {
                Ok(done) => return Ok(done),
                Err(stumble) if again && stumble.is_loss() => self.leave(&child).await,
                Err(stumble) => return Err(self.settle(uri, stumble)),
            }
            again = false;
        }
    }

    /// All tokens, without logging in.
    ///
    /// # Errors
    /// `CallFault`.
    pub(super) async fn tokens(&self, child: &Arc<Child>) -> Result<Vec<Token>, CallFault> {
        match child.ask(Ask::Tokens, &[], self.deadline).await? {
            (Answer::Tokens(tokens), _) => Ok(tokens),
            _ => Err(beside_the_point()),
        }
    }

    async fn token(&self, child: &Arc<Child>, uri: &Uri) -> Result<Found, Stumble> {
        let all = self.tokens(child).await?;
        let library = child.library();
        let mut fitting = all.iter().filter(|token| fits(&uri.token, token, library));
        let Some(token) = fitting.next() else {
            let labels: Vec<&str> = all.iter().map(|token| token.label.as_str()).collect();
            let cause = if labels.is_empty() {
                format!("{} shows no token at all", self.place.path.display())
            } else {
                format!("{} shows {}", self.place.path.display(), labels.join(", "))
            };
            return Err(Stumble::Fault(KeyFault::NoToken {
                token: uri.token_shown(),
                cause,
            }));
        };
        if let Some(other) = fitting.next() {
            return Err(Stumble::Fault(bad_uri(
                &uri.canonical(),
                format!(
                    "it fits several tokens: {:?} with serial number {} in slot {}, {:?} with serial number {} in slot {}; add token=…, serial=… or slot-id=…",
                    token.label, token.serial, token.slot, other.label, other.serial, other.slot
                ),
            )));
        }
        Ok(Found {
            child: Arc::clone(child),
            token: token.clone(),
        })
    }

    /// Logs in where that is wanted, needed and not done. Whatever a login
    /// comes to, it is not tried a second time.
    async fn login(&self, found: &Found, uri: &Uri, pin: Pin<'_>) -> Result<(), Stumble> {
        if matches!(pin, Pin::NotWanted) || !found.token.login_required {
            return Ok(());
        }
        let mut logins = self.logins.lock().await;
        // Another may have logged in, or spent a try, while this one waited.
        let token = self.token(&found.child, uri).await?.token;
        if token.logged_in {
            return Ok(());
        }
        for (is, state) in [
            (token.locked, "is locked"),
            (token.final_try, "has one try left, which is not spent here"),
        ] {
            if is {
                return Err(Stumble::Fault(KeyFault::PinLocked {
                    token: shown(&token),
                    state,
                }));
            }
        }
        let login = logins
            .entry((token.serial.clone(), token.label.clone()))
            .or_default();
        let secret = if token.keypad {
            Arc::new(Secret::new(Vec::new()))
        } else {
            pin.get(uri, &token, login.accepted.as_ref(), &self.place)?
        };
        if login.refused.as_ref().is_some_and(|pin| same(pin, &secret)) && !token.keypad {
            return Err(Stumble::Fault(KeyFault::Login {
                provider: PROVIDER,
                how: "PIN",
                cause: format!(
                    "{} refused this PIN before, and it is not tried a second time",
                    shown(&token)
                ),
            }));
        }
        let ask = Ask::Login { slot: token.slot };
        let asked = found.child.ask(ask, secret.expose(), self.deadline);
        match asked.await {
            Ok((Answer::Done, _)) => {
                login.accepted = Some(secret);
                login.refused = None;
                Ok(())
            }
            Ok(_) => Err(Stumble::Final(self.about(uri).fault(beside_the_point()))),
            Err(CallFault::Trouble(Trouble {
                kind: TroubleKind::Pin,
                text,
            })) => {
                login.accepted = None;
                login.refused = Some(secret);
                Err(Stumble::Final(KeyFault::Login {
                    provider: PROVIDER,
                    how: "PIN",
                    cause: format!("{} refuses it ({text})", shown(&token)),
                }))
            }
            // A loss would be tried again, and a PIN may have been spent.
            Err(fault) => Err(Stumble::Final(self.about(uri).fault(fault))),
        }
    }
}

/// An answer to another question: memory was overwritten, or worse.
pub(super) fn beside_the_point() -> CallFault {
    CallFault::Gone("gave an answer to another question".to_owned())
}

/// The token, as messages name it.
pub(super) fn shown(token: &Token) -> String {
    format!("{:?} (serial number {})", token.label, token.serial)
}

pub(super) fn object(uri: &Uri) -> Object {
    Object {
        label: uri.object.label.clone(),
        id: uri.object.id.clone(),
    }
}

pub(super) fn fits(name: &TokenName, token: &Token, library: &Library) -> bool {
    let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
    same(&name.label, &token.label)
        && same(&name.manufacturer, &token.manufacturer)
        && same(&name.serial, &token.serial)
        && same(&name.model, &token.model)
        && same(&name.slot_description, &token.slot_description)
        && same(&name.slot_manufacturer, &token.slot_manufacturer)
        && same(&name.library_description, &library.description)
        && same(&name.library_manufacturer, &library.manufacturer)
        && same(&name.library_version, &library.version)
        && name.slot_id.is_none_or(|id| id == token.slot)
}
