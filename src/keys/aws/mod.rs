//! Keys in AWS KMS, through AWS' own SDK. Its requests, those for credentials
//! included, go through our HTTP client: answers are bounded, offline opens no
//! socket, and what the network does has one reading.

mod connector;
mod create;
mod describe;
mod fault;
mod lifecycle;
mod name;
mod place;
mod provider;
mod show;
mod sign;
mod spec;

#[cfg(test)]
mod tests;

use self::name::Name;
use self::place::Places;
use super::context::Context;
use super::{Aws, KeyFault, Settings};
use crate::reference::KeyRef;

/// The provider's name, in records and messages.
const PROVIDER: &str = "aws";

/// Keys in AWS KMS, in whatever region or account.
pub(super) struct AwsKeys {
    context: Context,
    settings: Aws,
    places: Places,
}

impl AwsKeys {
    /// Connects to nothing yet.
    pub(super) fn new(settings: &Settings, context: &Context) -> Self {
        let aws = settings.keys.aws.clone();
        Self {
            places: Places::new(aws.clone(), context.clone()),
            settings: aws,
            context: context.clone(),
        }
    }

    /// Reads a key's name, and sees to it that the network may be used.
    fn online(&self, key: &KeyRef) -> Result<Name, KeyFault> {
        let name = Name::parse(key)?;
        if self.context.offline {
            return Err(KeyFault::Offline { provider: PROVIDER });
        }
        Ok(name)
    }
}
