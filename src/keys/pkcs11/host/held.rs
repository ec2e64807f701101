//! The module, its sessions and the handles of its keys.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;

use super::trouble::{told, trouble};
use crate::keys::pkcs11::wire::{Library, Token, Trouble, TroubleKind};
use crate::limits;
use crate::secret::Secret;

/// A loaded and initialised module.
pub(super) struct Held {
    pkcs11: Pkcs11,
    library: Library,
    /// The module cannot lock, so it has one call at a time.
    serial: bool,
    open: Mutex<BTreeMap<u64, Arc<Open>>>,
    /// For epochs and for the numbers of keys.
    counter: AtomicU64,
    keys: Mutex<BTreeMap<u64, Key>>,
}

/// A token with sessions. The login belongs to all of them together and ends
/// with the last, so one stays open.
struct Open {
    epoch: u64,
    anchor: Mutex<Session>,
}

/// A private key's handle, valid in all sessions of its token and epoch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) slot: u64,
    pub(super) epoch: u64,
    pub(super) handle: ObjectHandle,
    /// The other half, where this process made both.
    pub(super) made_with: Option<ObjectHandle>,
}

/// One thread's own sessions, by slot.
#[derive(Default)]
pub(super) struct Sessions(BTreeMap<u64, (u64, Session)>);

impl Held {
    pub(super) fn load(module: &Path) -> Result<Self, Trouble> {
        let load = |what: &str, error: &Error| {
            let text = match error {
                Error::LibraryLoading(e) => {
                    // The loader's words, which libloading's own leave out.
                    use std::error::Error as _;
                    e.source()
                        .map_or_else(|| e.to_string(), ToString::to_string)
                }
                error => trouble(error).text,
            };
            told(TroubleKind::Load, format!("{what}: {text}"))
        };
        let pkcs11 = Pkcs11::new(module).map_err(|e| load("it is no PKCS #11 module", &e))?;
        let initialize = |flags| pkcs11.initialize(CInitializeArgs::new(flags));
        let serial = match initialize(CInitializeFlags::OS_LOCKING_OK) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => false,
            Err(Error::Pkcs11(RvError::CantLock, _)) => {
                initialize(CInitializeFlags::empty()).map_err(|e| load("it does not start", &e))?;
                true
            }
            Err(e) => return Err(load("it does not start", &e)),
        };
        // What it says of itself helps people, and decides nothing.
        let library = pkcs11.get_library_info().map_or_else(
            |_| Library::default(),
            |info| Library {
                description: info.library_description().to_owned(),
                manufacturer: info.manufacturer_id().to_owned(),
                version: info.library_version().to_string(),
            },
        );
        Ok(Self {
            pkcs11,
            library,
            serial,
            open: Mutex::default(),
            counter: AtomicU64::new(1),
            keys: Mutex::default(),
        })
    }

    pub(super) fn library(&self) -> Library {
        self.library.clone()
    }

    pub(super) const fn is_serial(&self) -> bool {
        self.serial
    }

    /// Closes what is open; the threads' own sessions are closed already.
    pub(super) fn end(&self) {
        self.open().clear();
        let _nobody_cares = self.pkcs11.clone().finalize();
    }

    /// All slots with a token in them. One that breaks while it is looked at
    /// is as one that is not there.
    pub(super) fn tokens(&self) -> Result<Vec<Token>, Trouble> {
        let slots = self.pkcs11.get_slots_with_token();
        let slots = slots.map_err(|e| trouble(&e))?;
        let mut tokens = Vec::new();
        for slot in slots.into_iter().take(limits::TOKEN_KEYS) {
            let Ok(info) = self.pkcs11.get_token_info(slot) else {
                continue;
            };
            // SoftHSM always shows one that nobody initialised.
            if !info.token_initialized() && info.label().is_empty() {
                continue;
            }
            let shown = self.pkcs11.get_slot_info(slot).ok();
            tokens.push(Token {
                slot: slot.id(),
                slot_description: shown
                    .as_ref()
                    .map_or_else(String::new, |s| s.slot_description().to_owned()),
                slot_manufacturer: shown
                    .as_ref()
                    .map_or_else(String::new, |s| s.manufacturer_id().to_owned()),
                label: info.label().to_owned(),
                manufacturer: info.manufacturer_id().to_owned(),
                model: info.model().to_owned(),
                serial: info.serial_number().to_owned(),
                login_required: info.login_required(),
                keypad: info.protected_authentication_path(),
                count_low: info.user_pin_count_low(),
                final_try: info.user_pin_final_try(),
                locked: info.user_pin_locked(),
                logged_in: self.is_logged_in(slot.id()),
            });
        }
        Ok(tokens)
    }

    /// Logs in with `pin`, once. That somebody is logged in is as good.
    pub(super) fn login(&self, slot: u64, pin: &Secret) -> Result<(), Trouble> {
        let mut open = self.opened(slot)?;
        let mut fresh = false;
        loop {
            let done = {
                let anchor = lock(&open.anchor);
                if pin.is_empty() {
                    anchor.login(UserType::User, None)
                } else {
                    let pin = RawAuthPin::new(Box::new(pin.expose().to_vec()));
                    anchor.login_with_raw(UserType::User, &pin)
                }
            };
            match done {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => return Ok(()),
                // Of a session that died: the PIN was not looked at.
                Err(Error::Pkcs11(RvError::SessionHandleInvalid | RvError::SessionClosed, _))
                    if !fresh =>
                {
                    self.lose(slot, open.epoch);
                    open = self.opened(slot)?;
                    fresh = true;
                }
                Err(e) => return Err(trouble(&e)),
            }
        }
    }

    /// Calls `what` with a session of this thread's own or, where the token
    /// gives no more, with the one that all share.
    pub(super) fn with_session<T>(
        &self,
        sessions: &mut Sessions,
        slot: u64,
        what: impl FnOnce(&Session, u64) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let open = self.opened(slot)?;
        if sessions.0.get(&slot).is_some_and(|own| own.0 != open.epoch) {
            sessions.0.remove(&slot);
        }
        let done = match sessions.0.get(&slot) {
            Some((_, own)) => what(own, open.epoch),
            None => match self.pkcs11.open_ro_session(self::slot(slot)?) {
                Ok(own) => {
                    let (_, own) = sessions.0.entry(slot).or_insert((open.epoch, own));
                    what(own, open.epoch)
                }
                Err(Error::Pkcs11(RvError::SessionCount, _)) => {
                    what(&lock(&open.anchor), open.epoch)
                }
                Err(e) => Err(trouble(&e)),
            },
        };
        if let Err(trouble) = &done
            && matches!(trouble.kind, TroubleKind::Lost | TroubleKind::Absent)
        {
            sessions.0.remove(&slot);
            self.lose(slot, open.epoch);
        }
        done
    }

    /// A session that may write, for one operation.
    pub(super) fn writing(&self, slot: u64) -> Result<(Session, u64), Trouble> {
        let open = self.opened(slot)?;
        let session = self.pkcs11.open_rw_session(self::slot(slot)?);
        Ok((session.map_err(|e| trouble(&e))?, open.epoch))
    }

    /// The number by which a private key is asked for; never given twice.
    pub(super) fn number(&self, key: Key) -> Result<u64, Trouble> {
        let mut keys = lock(&self.keys);
        if let Some((number, _)) = keys.iter().find(|(_, known)| **known == key) {
            return Ok(*number);
        }
        // Those of sessions that were lost are never asked for again.
        keys.retain(|_, known| self.is_current(known));
        if keys.len() >= limits::TOKEN_KEYS {
            return Err(told(
                TroubleKind::Other,
                format!("{} keys are open already", keys.len()),
            ));
        }
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        keys.insert(number, key);
        Ok(number)
    }

    pub(super) fn key(&self, number: u64) -> Result<Key, Trouble> {
        let key = lock(&self.keys).get(&number).copied();
        key.filter(|key| self.is_current(key))
            .ok_or_else(|| told(TroubleKind::Lost, "the sessions with the token were lost"))
    }

    fn is_current(&self, key: &Key) -> bool {
        let open = self.open();
        open.get(&key.slot).is_some_and(|o| o.epoch == key.epoch)
    }

    fn is_logged_in(&self, slot: u64) -> bool {
        let open = self.open().get(&slot).cloned();
        open.is_some_and(|open| {
            let state = lock(&open.anchor).get_session_info();
            let state = state.map(|info| info.session_state());
            matches!(state, Ok(SessionState::RoUser | SessionState::RwUser))
        })
    }

    fn opened(&self, slot: u64) -> Result<Arc<Open>, Trouble> {
        let mut all = self.open();
        if let Some(open) = all.get(&slot) {
            return Ok(Arc::clone(open));
        }
        let anchor = self.pkcs11.open_ro_session(self::slot(slot)?);
        let open = Arc::new(Open {
            epoch: self.counter.fetch_add(1, Ordering::Relaxed),
            anchor: Mutex::new(anchor.map_err(|e| trouble(&e))?),
        });
        all.insert(slot, Arc::clone(&open));
        Ok(open)
    }

    /// Gives up the sessions with a token; all that hang on them end too.
    fn lose(&self, slot: u64, epoch: u64) {
        let mut open = self.open();
        if open.get(&slot).is_some_and(|open| open.epoch == epoch) {
            open.remove(&slot);
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Open>>> {
        lock(&self.open)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn slot(id: u64) -> Result<Slot, Trouble> {
    Slot::try_from(id).map_err(|e| trouble(&e))
}
