//! What a module did, as a fault of a key.

use std::time::Duration;

use super::PROVIDER;
use super::child::CallFault;
use super::place::{Place, not_configured};
use super::uri::Uri;
use super::wire::{Trouble, TroubleKind};
use crate::keys::KeyFault;

/// What was asked for, when it went wrong.
pub(super) struct About<'a> {
    pub(super) place: &'a Place,
    pub(super) uri: &'a Uri,
    pub(super) deadline: Duration,
}

impl About<'_> {
    pub(super) fn fault(&self, fault: CallFault) -> KeyFault {
        match fault {
            CallFault::Trouble(trouble) => self.trouble(trouble),
            CallFault::Deadline => KeyFault::Deadline {
                provider: PROVIDER,
                seconds: self.deadline.as_secs(),
            },
            CallFault::Gone(failure) => KeyFault::Plugin {
                plugin: format!(
                    "the process that holds the PKCS#11 module {}",
                    self.place.path.display()
                ),
                failure,
            },
        }
    }

    fn trouble(&self, Trouble { kind, text }: Trouble) -> KeyFault {
        let key = || self.uri.canonical();
        let token = || self.uri.token_shown();
        match kind {
            TroubleKind::Load => not_configured(format!(
                "the module {} cannot be used: {text}",
                self.place.path.display()
            )),
            TroubleKind::Pin => KeyFault::Login {
                provider: PROVIDER,
                how: "PIN",
                cause: text,
            },
            TroubleKind::PinLocked => KeyFault::PinLocked {
                token: token(),
                state: "is locked",
            },
            TroubleKind::Absent => KeyFault::NoToken {
                token: token(),
                cause: text,
            },
            TroubleKind::Mechanism => KeyFault::WrongAlgorithm {
                key: key(),
                why: format!("the token does not do this ({text})"),
            },
            TroubleKind::NotPermitted => KeyFault::Refused {
                provider: PROVIDER,
                what: key(),
                cause: text,
            },
            TroubleKind::Missing => KeyFault::NoSuchKey(key()),
            TroubleKind::Several => KeyFault::BadUri {
                uri: key(),
                why: format!("{text}; add id=… or object=… to tell them apart"),
            },
            TroubleKind::Exists => KeyFault::Exists(format!("a key {}", key())),
            TroubleKind::Lost | TroubleKind::Exposed | TroubleKind::Other => KeyFault::Provider {
                provider: PROVIDER,
                cause: text,
            },
        }
    }
}

pub(super) fn bad_uri(uri: &str, why: impl ToString) -> KeyFault {
    KeyFault::BadUri {
        uri: uri.to_owned(),
        why: why.to_string(),
    }
}
